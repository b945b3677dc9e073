"""The command AUTH (RFC 4954): only under TLS, only where the listener has accounts, once in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta import events
from mta.relay.receive import replies
from mta.relay.receive.access import counting_key
from mta.relay.receive.sasl import (
    LINE_MAX,
    MECHANISMS,
    UNKNOWN_MECHANISM,
    WRONG,
    BusyError,
    SaslError,
    read_credentials,
)

if TYPE_CHECKING:
    from mta.relay.receive.sasl import Credentials
    from mta.relay.receive.session import RelaySession

SYNTAX = b"501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n"
ONCE = b"503 5.5.1 You have signed in already\r\n"
IN_TRANSACTION = b"503 5.5.1 Not inside a transaction\r\n"
NEEDS_TLS = b"538 5.7.11 Signing in needs TLS: send STARTTLS first\r\n"
SIGNED_IN = b"235 2.7.0 Authentication successful\r\n"
TRY_LATER = b"454 4.7.0 Can't check this now, try again later\r\n"


class _SessionOverError(Exception):
    """The client has gone in the midst of the exchange."""


async def auth(session: RelaySession, argument: str) -> None:
    """Sign in. What the client sends is never logged, nor told to anybody."""
    refusal = _out_of_turn(session)
    mechanism, _, initial = argument.partition(" ")
    if refusal is None and (not mechanism or " " in initial):
        refusal = SYNTAX
    if refusal is None and mechanism.upper() not in MECHANISMS:
        refusal = UNKNOWN_MECHANISM
    if refusal is not None:
        session.refuse(refusal)
        return
    session.in_exchange = True
    try:
        credentials = await read_credentials(
            mechanism.upper(), initial.encode() if initial else None, lambda text: _challenge(session, text)
        )
    except SaslError as exc:
        if exc.reply == WRONG:
            _fail(session, "")
        else:
            session.refuse(exc.reply)
    except _SessionOverError:
        return
    else:
        await _verify(session, credentials)
    finally:
        session.in_exchange = False


def _out_of_turn(session: RelaySession) -> bytes | None:
    if session.listener.sign_in is None:
        return replies.NOT_IMPLEMENTED
    if not session.tls:
        return NEEDS_TLS
    if session.client is None or not session.client.esmtp:
        return replies.NEEDS_HELO
    if session.account:
        return ONCE
    return IN_TRANSACTION if session.mail is not None else None


async def _challenge(session: RelaySession, text: bytes) -> bytes:
    session.say(b"334 " + text + b"\r\n")
    line = await session.line(LINE_MAX)
    if line is None:
        raise _SessionOverError
    return line


async def _verify(session: RelaySession, credentials: Credentials) -> None:
    sign_in, client = session.listener.sign_in, session.client
    assert sign_in is not None
    assert client is not None
    try:
        account = await sign_in.verify(credentials, counting_key(session.ip))
    except BusyError as exc:
        if session.listener.counters.is_news("sign-in", counting_key(session.ip)):
            events.sign_in_failed(session.settings.name, client=session.ip, account="", reason=str(exc))
        session.fail_sign_in(TRY_LATER)
        return
    if account is None:
        _fail(session, sign_in.known_name(credentials))
        return
    session.signed_in = account
    session.introduce(client.helo, esmtp=client.esmtp)
    events.signed_in(session.settings.name, client=session.ip, account=account.name)
    session.say(SIGNED_IN)


def _fail(session: RelaySession, account: str) -> None:
    events.sign_in_failed(
        session.settings.name, client=session.ip, account=account,
        reason="wrong password" if account else "unknown account, or not a name and a password",
    )  # fmt: skip
    session.fail_sign_in(WRONG)
