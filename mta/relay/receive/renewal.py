"""A reload within a session: what was believed of its client before has to hold by the configuration of now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.relay.receive import replies
from mta.relay.receive.access import in_networks

if TYPE_CHECKING:
    from mta.relay.receive.session import RelaySession
    from mta.relay.receive.settings import ListenerSettings


def take_up_settings(session: RelaySession) -> bool:
    """Go by the listener's present settings; False where the client was told that it can't go on, or not like this."""
    former, session.settings = session.settings, session.listener.settings
    settings, client = session.settings, session.client
    if _has_to_begin_anew(session, former, settings):
        session.end(replies.CHANGED, "the configuration has changed")
        return False
    if not session.is_balancer and not settings.policy.may_connect(session.ip):
        session.end(replies.NOT_ALLOWED, "not in the allowed networks any more")
        return False
    if settings.tls_required and not session.tls:
        session.refuse(replies.NEEDS_TLS)
        return False
    sign_in = session.listener.sign_in
    if session.signed_in is not None and (sign_in is None or not sign_in.has(session.signed_in)):
        session.signed_in = None
    if client is not None:
        session.introduce(client.helo, esmtp=client.esmtp)
    return True


def _has_to_begin_anew(session: RelaySession, former: ListenerSettings, settings: ListenerSettings) -> bool:
    """Whether it rests on what is settled before the first command: who named the client, who vouched for it."""
    if in_networks(session.balancer or session.ip, settings.proxy_networks) is not bool(session.balancer):
        return True
    return bool(session.certificate_names) and former.ssl_context is not settings.ssl_context
