"""What would become of a message, and why; nothing is opened, written or sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mta.config.tracking_schema import MonitoredMailbox, is_of_exchange
from mta.model.authentication import Proof
from mta.model.record import AddNote
from mta.model.tracking import Entry, EntryState
from mta.ports.tracking_store import TrackingStore
from mta.tracking.correlate import Author, Correlation, correlate, reasons, with_fresh_proof
from mta.tracking.desk import Desk
from mta.tracking.filter import judge
from mta.tracking.incoming import Incoming
from mta.tracking.intake import FILTERED_OUTCOMES
from mta.tracking.notify.notices import Notifier
from mta.tracking.read import read_incoming
from mta.tracking.record.changes import Worked, occasion_of, work_out
from mta.tracking.record.draft import NoticeWish
from mta.tracking.record.facts import OUTCOMES


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody whom a rule names."""

    rule: str
    address: str
    why_not: str
    """"" where a notice would go out."""
    template: str


@dataclass(frozen=True, slots=True)
class DryRun:
    incoming: Incoming
    known: Entry | None
    """What became of it when it was taken; where that is settled, nothing would be done."""
    correlation: Correlation
    filtered: str
    """Why it would be left out; "" where it wouldn't."""
    said_of_author: str
    """What proves that its author wrote it, or why nothing does."""
    worked: Worked | None
    """None where rules aren't asked."""
    told: Sequence[Told] = ()


async def dry_run(data: bytes, mailbox: MonitoredMailbox, desk: Desk, store: TrackingStore, now: datetime) -> DryRun:
    """As `take`, without doing anything. Raises CannotReadError, TemporaryError."""
    incoming = read_incoming(
        data, organisation=desk.name, mailbox=mailbox.name, keys=desk.keys, accepted_domains=desk.accepted_domains,
        authserv_ids=desk.authserv_ids, is_of_exchange=is_of_exchange(mailbox),
    )  # fmt: skip
    incoming = await with_fresh_proof(incoming, store)
    known = await store.entry(desk.name, incoming.key)
    prover = desk.prover_for(mailbox, incoming)
    author = Author(incoming, desk.settings.correlation, prover, may_wait=False)
    correlation = await correlate(
        incoming, store, desk.settings, keys=desk.keys, people=desk.people, accepted_domains=desk.accepted_domains,
        author=author,
    )  # fmt: skip
    if desk.rules.ask_who_wrote:
        await author.look_up()
    incoming = author.judged(correlation)
    known = known or await store.entry(desk.name, incoming.key)
    said_of_author = await _said_of_author(author, incoming, correlation)
    filtered = ""
    if correlation.outcome in FILTERED_OUTCOMES:
        is_counted = known is not None and known.state is EntryState.UNMATCHED
        filtered = await judge(incoming, desk.settings.filters, desk.people, store, now, is_counted=is_counted)
    if filtered or correlation.outcome not in OUTCOMES:
        return DryRun(incoming, known, correlation, filtered, said_of_author, None)
    worked = await work_out(incoming, correlation, desk, store, now, explained=True)
    told = await _told(worked, incoming, desk, store)
    return DryRun(incoming, known, correlation, "", said_of_author, worked, told)


async def _said_of_author(author: Author, incoming: Incoming, correlation: Correlation) -> str:
    """What proves that he wrote it, or why nothing does; found out here even where nothing depends on it."""
    if correlation.reason in (reasons.UNPROVEN_SENDER, reasons.NO_ANSWER):
        return f"not proven: {incoming.said_by or 'nobody says it'}"
    if incoming.is_authenticated is not None:
        return f"{'proven' if incoming.is_authenticated else 'forged'}: {incoming.said_by}"
    proof = await author.look_up()
    if proof is not None:
        said = "proven" if proof.proof is Proof.PROVEN else "not proven"
        return f"{said}: {proof.by} (nothing depends on it here)"
    nobody = "no server of authserv_ids says it, and we verify no signatures here"
    return f"not proven: {incoming.said_by or nobody}"


async def _told(worked: Worked, incoming: Incoming, desk: Desk, store: TrackingStore) -> list[Told]:
    draft = worked.draft
    if draft.record is None:
        return []
    note = next((change for change in reversed(draft.changes) if isinstance(change, AddNote)), None)
    notifier = Notifier(occasion_of(draft, draft.record, note, (), incoming.key), desk, store)
    return [
        Told(wish.rule, address, reason, wish.template)
        for wish in draft.wishes
        if isinstance(wish, NoticeWish)
        for address, reason in await notifier.recipients(wish)
    ]
