"""HELO, EHLO and STARTTLS: who the client says it is, and what we offer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mta.relay.receive import replies

if TYPE_CHECKING:
    from mta.relay.receive.session import RelaySession

_HOST_NAME = re.compile(r"[!-~]{1,255}\Z")


async def ehlo(session: RelaySession, argument: str) -> None:
    """Greet, and list what is offered in this state (RFC 5321 §4.1.1.1)."""
    if await _is_greeted(session, argument, esmtp=True):
        session.say_to_junk(session.settings.ehlo_tls if session.tls else session.settings.ehlo_clear)


async def helo(session: RelaySession, argument: str) -> None:
    """Greet; the client gets none of the extensions."""
    if await _is_greeted(session, argument, esmtp=False):
        session.say_to_junk(session.settings.helo)


async def _is_greeted(session: RelaySession, host_name: str, *, esmtp: bool) -> bool:
    if not _HOST_NAME.match(host_name):
        session.refuse(replies.NEEDS_HOST_NAME)
        return False
    await session.reset()
    session.introduce(host_name, esmtp=esmtp)
    return True


async def starttls(session: RelaySession, argument: str) -> None:
    """Shake hands; once only, and nothing that was said in clear text counts any more (RFC 3207 §4.2)."""
    context = session.settings.ssl_context
    if session.tls:
        session.refuse(replies.TLS_IS_ON)
    elif context is None:
        session.refuse(replies.NOT_IMPLEMENTED)
    elif argument:
        session.refuse(replies.NO_ARGUMENT)
    else:
        await session.flush()
        if await session.upgrade(replies.READY_FOR_TLS, context):
            session.client = None
            await session.reset()
