"""Under which envelopes the recipients of a copy get it, and what servers behind us are asked to report (RFC 3461)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mta.model.actions import RewriteSender
from mta.model.address import Address, parse_address
from mta.model.decision import RecipientDecision
from mta.model.delivery import AcceptedMessage, RecipientEntry
from mta.model.envelope import NOTHING_ASKED, DsnRequest, Envelope, Notify
from mta.relay.deliver.reports import is_suspicious
from mta.relay.split.variants import Variant

_NEVER = DsnRequest(Notify.NEVER)


def envelopes(
    message: AcceptedMessage, variant: Variant, recipients: tuple[RecipientEntry, ...], postmaster: Address | None
) -> list[tuple[Envelope, tuple[RecipientEntry, ...]]]:
    """The envelopes under which these recipients of one copy get it.

    A rule may name another reverse-path. Who was added by a rule gets the postmaster's: what becomes of a copy of which
    the sender knows nothing is not reported to them, neither by us nor by servers behind us. Where mail is redirected
    the sender's stays, for they are to know whether it arrived. The null reverse-path always stays (RFC 5321 §4.5.5).
    """
    envelope = message.envelope
    if envelope.reverse_path is None:
        return [(envelope, recipients)]
    rewritten = [action.address for action in variant.actions if isinstance(action, RewriteSender) and action.envelope]
    sent = replace(envelope, reverse_path=parse_address(rewritten[-1])) if rewritten else envelope
    decided = message.decision.recipients
    added = tuple(e for e in recipients if decided[e.index].is_added and not decided[e.index].in_place_of)
    sent = _with_requests(message, sent, recipients)
    if not added or postmaster is None:
        return [(sent, recipients)]
    others = tuple(entry for entry in recipients if entry not in added)
    ours = replace(envelope, reverse_path=postmaster, ret="", envid="", dsn={})
    return [(each, served) for each, served in ((sent, others), (ours, added)) if served]


def _with_requests(message: AcceptedMessage, sent: Envelope, recipients: tuple[RecipientEntry, ...]) -> Envelope:
    """What the next hop is asked to report of each of these recipients: what the sender asked us, for them alone.

    For mail that somebody else may have sent in the sender's name, nothing at all.
    """
    if is_suspicious(message):
        return replace(sent, dsn={entry.address.key: _NEVER for entry in recipients})
    decided = message.decision.recipients
    if not sent.dsn and not any(decided[entry.index].is_added for entry in recipients):
        return sent
    asked = {
        entry.address.key: request
        for entry in recipients
        if (request := _request(sent.dsn, entry, decided[entry.index])) is not None
    }
    return replace(sent, dsn=asked)


def _request(dsn: Mapping[str, DsnRequest], entry: RecipientEntry, decided: RecipientDecision) -> DsnRequest | None:
    """Of who stands for a redirected recipient: reports in that one's name, but none of success.

    That one we give ourselves, as if it were a mailing list (RFC 3461 §5.2.7.3), for another's would name the new
    address. Of who was added: none, so that the sender is told nothing even where there is no postmaster to be told.
    """
    if not decided.is_added:
        return dsn.get(entry.address.key)
    if not decided.in_place_of:
        return _NEVER
    asked = dsn.get(parse_address(decided.in_place_of).key, NOTHING_ASKED)
    notify = None if asked.notify is None else asked.notify & ~Notify.SUCCESS
    return DsnRequest(notify, asked.orcpt or _orcpt(decided.in_place_of))


def _orcpt(address: str) -> str:
    """As address type and xtext (RFC 3461 §4); nothing for an address beyond ASCII, which can't be written so."""
    if not address.isascii():
        return ""
    return "rfc822;" + "".join(ch if "!" <= ch <= "~" and ch not in "+=" else f"+{ord(ch):02X}" for ch in address)
