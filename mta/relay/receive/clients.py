"""Whether this client may send this message: who it is among the listener's `clients`, as whom it may send, how much.

Asked at MAIL and RCPT. Where the configuration asks for none of it, it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mta import events
from mta.config.listener_schema import Listener
from mta.config.types import Frequency, written_rate
from mta.model.address import Address
from mta.model.envelope import ListenerRole
from mta.model.reply import Reply
from mta.relay.receive.access import counting_key
from mta.relay.receive.certificate_names import matching_name
from mta.relay.receive.peers import PeerPolicy, Shown, Stranger, identify

if TYPE_CHECKING:
    from mta.relay.receive.session import RelaySession

NOT_YOUR_SENDER = Reply(550, "5.7.1", "You may not send as this sender")
TOO_MUCH = Reply(450, "4.7.1", "Too much mail in this time, try again later")


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """One listener's."""

    peers: tuple[PeerPolicy, ...]
    certificates: tuple[str, ...]
    """All names that any of the peers asks for: whether clients are asked for certificates at all."""
    messages_per_client: Frequency | None
    recipients_per_client: Frequency | None
    messages_per_sender: Frequency | None
    judges_clients: bool
    """Whether only `peers` may send; else everybody who may connect."""
    judges_messages: bool
    """Whether MAIL has to be looked at."""

    @classmethod
    def of(cls, listener: Listener) -> ClientPolicy:
        limits, is_online = listener.limits, listener.peer == "exchange-online"
        # Whatever the check says: Exchange Online's addresses alone are those of every tenant.
        peers = [peer for peer in listener.clients if peer.certificates or not is_online]
        judges_clients = is_online or bool(listener.clients)
        return cls(
            tuple(PeerPolicy.of(peer) for peer in peers),
            tuple(name for peer in peers for name in peer.certificates),
            limits.messages_per_client,
            limits.recipients_per_client,
            limits.messages_per_sender,
            judges_clients,
            judges_clients or bool(limits.messages_per_client or limits.messages_per_sender),
        )


def certificate_known(policy: ClientPolicy, names: tuple[str, ...]) -> str:
    """The configured name that the client's verified certificate has; "" where it has none."""
    return matching_name(policy.certificates, names) if names else ""


def judge_mail(session: RelaySession, reverse_path: Address | None) -> Reply | None:
    """None where the client may send a message with this reverse-path, else the refusal, which is logged."""
    policy = session.settings.clients
    if not policy.judges_messages:
        return None
    peer = None
    if policy.judges_clients:
        found = identify(policy.peers, Shown(session.ip, session.certificate_names, session.account))
        if isinstance(found, Stranger):
            _log_stranger(session, found)
            return found.reply
        peer = found
        _admit(session, peer)
        if not peer.senders.allows(reverse_path):
            events.sender_refused(
                session.settings.name, client=session.ip, admitted_as=peer.name, sender=str(reverse_path),
                where="reverse-path",
            )  # fmt: skip
            return NOT_YOUR_SENDER
    return _over_rate(session, _message_rates(session, policy, peer, reverse_path))


def judge_recipient(session: RelaySession) -> Reply | None:
    """None where the client may send to one more recipient."""
    limit = session.settings.clients.recipients_per_client
    if limit is None:
        return None
    return _over_rate(session, iter([("recipients", _who(session), limit)]))


def _log_stranger(session: RelaySession, stranger: Stranger) -> None:
    """Once a minute: some devices knock all day."""
    if session.listener.counters.is_news("stranger", counting_key(session.ip)):
        events.client_refused(
            session.settings.name, client=session.ip, account=session.account,
            certificate=",".join(session.certificate_names), missing=stranger.missing, reply=str(stranger.reply),
        )  # fmt: skip


def _admit(session: RelaySession, peer: PeerPolicy) -> None:
    client = session.client
    if client is not None and client.admitted_as != peer.name:
        session.client = replace(client, admitted_as=peer.name)


def _message_rates(
    session: RelaySession, policy: ClientPolicy, peer: PeerPolicy | None, reverse_path: Address | None
) -> Iterator[tuple[str, str, Frequency]]:
    """What is counted, by whom, and how much of it there may be."""
    if policy.messages_per_client is not None:
        yield "messages", _who(session), policy.messages_per_client
    if peer is not None and peer.settings.messages is not None:
        yield f"messages of {peer.name}", "", peer.settings.messages
    if policy.messages_per_sender is not None and reverse_path is not None:
        yield "messages of a sender", _as_whom(session, reverse_path), policy.messages_per_sender


def _over_rate(session: RelaySession, rates: Iterator[tuple[str, str, Frequency]]) -> Reply | None:
    counters = session.listener.counters
    for what, who, limit in rates:
        if counters.take(what, who, limit):
            continue
        if counters.is_news(what, who):
            events.over_rate(
                session.settings.name, client=session.ip, account=session.account, what=what, limit=written_rate(limit)
            )  # fmt: skip
        return TOO_MUCH
    return None


def _as_whom(session: RelaySession, reverse_path: Address) -> str:
    """By what a sender's mail is counted. Strangers write whatever they like into MAIL FROM: what one of them sends
    in somebody's name must not use up what others may."""
    if session.settings.role is ListenerRole.TRUSTED:
        return reverse_path.key
    return f"{reverse_path.key} {counting_key(session.ip)}"


def _who(session: RelaySession) -> str:
    """By what a client's mail is counted: its account, else its address."""
    return f"account {session.account}" if session.account else counting_key(session.ip)
