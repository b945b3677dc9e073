"""Digests: reports by mail of what stands in records, each at its times, once for each of them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mta import events
from mta.config.clock_words import WEEKDAYS, time_of, zone_of
from mta.config.outgoing_checks import key_of, own_addresses
from mta.config.tracking_schema import Digest, OutgoingAccount
from mta.message.addresses import Mailbox
from mta.message.headers import format_field
from mta.message.letters import CannotWriteError, Letter, compose
from mta.message.notice import HEADER, make_notice_id
from mta.model.address import AddressError, parse_address, without_tag
from mta.model.printable import in_a_line
from mta.model.record import Record, RecordFilter
from mta.model.tracking import NewTask, TaskKind
from mta.ports.tracking_store import TrackingStore
from mta.tracking.notify.notices import NO_AUTOMATIC_ANSWERS, task_key
from mta.tracking.notify.occasion import style_of
from mta.tracking.notify.render import NoticeContext, Value
from mta.tracking.notify.words import PlainLetter, record_values

if TYPE_CHECKING:
    from mta.tracking.desk import Desk

SHOWN_MAX = 200
"""Records in one digest, the oldest of each module and state first."""
_TITLE_MAX = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """What a digest tells."""

    counts: Mapping[tuple[str, str], int]
    """(module, state) → how many."""
    records: Sequence[Record]
    overdue: frozenset[int]
    """Places in `records` of those whose time is over by a time-triggered rule."""
    now: datetime

    @property
    def total(self) -> int:
        return sum(self.counts.values())


async def digests_due(desk: Desk, store: TrackingStore, now: datetime) -> int:
    """Make the mails of the digests whose time has come since they were made last; how many digests there were.

    A digest that is new waits for its next time. After a pause only the latest one is made. Raises TemporaryError.
    """
    made = 0
    for digest in desk.settings.digests:
        run = f"digest:{desk.name}:{digest.name}"
        last = await store.last_run(run)
        if last is not None and last > now:  # by a clock that was wrong, as which none would be due for long
            last = None
        slot = last_slot(digest, now)
        if last is not None and last < slot:
            await _make(digest, slot, desk, store, now)
            made += 1
        if last is None or last < slot:
            await store.note_run(run, now if last is None else slot)
    return made


def last_slot(digest: Digest, now: datetime) -> datetime:
    """The latest of its times that is not after now. Raises ScheduleError."""
    zone = zone_of(digest.timezone) if digest.timezone else None
    at = time_of(digest.at)
    local = now.astimezone(zone)
    for back in range(8):
        day = local.date() - timedelta(days=back)
        slot = datetime.combine(day, at, local.tzinfo if zone is None else zone)
        if WEEKDAYS[day.weekday()] in digest.weekdays and slot <= now:
            return slot.astimezone(now.tzinfo)
    return now - timedelta(days=8)


async def standing_of(digest: Digest, desk: Desk, store: TrackingStore, now: datetime) -> Standing:
    """Read from the store what the digest tells."""
    modules = digest.modules or tuple(module.name for module in desk.settings.modules)
    everything = await store.count_records(RecordFilter(organisation=desk.name))
    counts: dict[tuple[str, str], int] = {}
    records: list[Record] = []
    for module in modules:
        for state in digest.states:
            counts[module, state] = everything.get((desk.name, module, state), 0)
            if counts[module, state] and len(records) < SHOWN_MAX:
                which = RecordFilter(organisation=desk.name, module=module, state=state)
                records += [record for _, record in await store.records(which, limit=SHOWN_MAX - len(records))]
    overdue = (n for n, record in enumerate(records) if desk.rules.is_overdue(record, now))
    return Standing(counts, records, frozenset(overdue), now)


async def _make(digest: Digest, slot: datetime, desk: Desk, store: TrackingStore, now: datetime) -> None:
    account = _account(digest, desk)
    standing = await standing_of(digest, desk, store, now)
    own = own_addresses(desk.settings)
    tasks = []
    for address in dict.fromkeys(map(key_of, digest.to)):
        if account is None or without_tag(address) in own:
            reason = "no-account" if account is None else "our-own-mailbox"
            events.tracking_notice_left_out("", rule=f"digest {digest.name}", recipient=address, reason=reason)
            continue
        about = f"digest\0{digest.name}\0{slot.isoformat()}\0{address}"
        message = await _message(digest, standing, desk, account, address, about)
        if message is not None:
            key = task_key("digest", desk.name, about)
            task = NewTask(key, TaskKind.NOTICE, desk.name, account.name, message, now, None, (address,))
            tasks.append(task)
    await store.add_tasks(tasks)
    events.tracking_digest(digest.name, records=standing.total, recipients=len(tasks))


def _account(digest: Digest, desk: Desk) -> OutgoingAccount | None:
    accounts = desk.settings.accounts
    if digest.account:
        return next((account for account in accounts if account.name == digest.account), None)
    return accounts[0] if accounts else None


async def _message(
    digest: Digest, standing: Standing, desk: Desk, account: OutgoingAccount, address: str, about: str
) -> bytes | None:
    """None where it can't be written, which is logged."""
    role = await desk.people.role(address)
    message_id = make_notice_id(desk.keys[0], desk.name, about, desk.hostname)
    for letter in _letters(digest, standing, desk, address, for_staff=role.is_technician):
        fields = [
            format_field("Subject", in_a_line(letter.subject or f"Digest {digest.name}", 300)),
            b"Auto-Submitted: auto-generated\r\n",
            NO_AUTOMATIC_ANSWERS,
            f"{HEADER}: {message_id}\r\n".encode(),
        ]
        try:
            return compose(
                letter, sender=Mailbox("", parse_address(account.senders[0])),
                to=[Mailbox("", parse_address(address))], date=standing.now, message_id=message_id, fields=fields,
            )  # fmt: skip
        except (CannotWriteError, AddressError) as exc:
            _failed(digest, str(exc))
    return None


def _failed(digest: Digest, error: str) -> None:
    events.tracking_template_failed("", rule=f"digest {digest.name}", template=digest.template, error=error)


def _letters(digest: Digest, standing: Standing, desk: Desk, address: str, *, for_staff: bool) -> list[Letter]:
    own: Letter = digest_words(digest, standing, desk, for_staff=for_staff)
    if not digest.template:
        return [own]
    rows = [_values(standing, n, record, desk, for_staff=for_staff) for n, record in enumerate(standing.records)]
    values: dict[str, dict[str, Value]] = {
        "digest": {
            "name": digest.name,
            "total": str(standing.total),
            "overdue": str(len(standing.overdue)),
            "shown": str(len(rows)),
            "records": rows,
        }
    }
    try:
        return [desk.render(digest.template, NoticeContext(values, standing.now, address)), own]
    except CannotWriteError as exc:
        _failed(digest, str(exc))
        return [own]


def _values(standing: Standing, place: int, record: Record, desk: Desk, *, for_staff: bool) -> dict[str, str]:
    module = desk.module(record.transaction.module)
    values = record_values(record, module, for_staff=for_staff)
    lines = {name: value for name, value in values.items() if isinstance(value, str)}
    return {
        **lines,
        "age": _age(standing.now - record.created_at),
        "overdue": "yes" if place in standing.overdue else "",
    }


def digest_words(digest: Digest, standing: Standing, desk: Desk, *, for_staff: bool) -> PlainLetter:
    """A digest without a template: how many there are of each, and a table of the oldest."""
    states = ", ".join(digest.states)
    subject = f"{standing.total} {states}, {len(standing.overdue)} overdue"
    counts = [f"{module}, {state}: {count}" for (module, state), count in standing.counts.items()]
    rows = [_row(standing, n, record, desk, for_staff=for_staff) for n, record in enumerate(standing.records)]
    rest = standing.total - len(rows)
    more = [f"… and {rest} more"] if rest > 0 else []
    text = "\n".join([*counts, "", *("  ".join(cell for cell in row if cell) for row in rows), *more])
    return PlainLetter(subject, f"{text.rstrip()}\n", _table(counts, rows, more))


def _row(standing: Standing, place: int, record: Record, desk: Desk, *, for_staff: bool) -> tuple[str, ...]:
    module = desk.module(record.transaction.module)
    style = style_of(module, record.transaction.module)
    url = record_values(record, module, for_staff=for_staff)["url"]
    return (
        f"{style.label} {style.id(record.transaction.number)}",
        record.state,
        record.owner or "nobody",
        _age(standing.now - record.created_at),
        "overdue" if place in standing.overdue else "",
        in_a_line(record.title, _TITLE_MAX),
        str(url),
    )


def _table(counts: Sequence[str], rows: Sequence[Sequence[str]], more: Sequence[str]) -> str:
    """Everything in it is escaped."""
    head = "".join(f'<th align="left">{name}</th>' for name in ("Record", "State", "Owner", "Age", "", "Subject"))
    body = "".join(
        "<tr>"
        + "".join(f"<td>{cell}</td>" for cell in (_link(row[0], row[-1]), *map(html.escape, row[1:-1])))
        + "</tr>\n"
        for row in rows
    )
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in counts)
    ending = "".join(f"<p>{html.escape(line)}</p>" for line in more)
    return f'<ul>{listed}</ul>\n<table cellpadding="4"><tr>{head}</tr>\n{body}</table>{ending}\n'


def _link(text: str, url: str) -> str:
    if not url.startswith(("https://", "http://")):
        return html.escape(text)
    return f'<a href="{html.escape(url, quote=True)}">{html.escape(text)}</a>'


def _age(age: timedelta) -> str:
    hours = int(age.total_seconds() // 3600)
    return f"{hours // 24} d" if hours >= 48 else f"{max(hours, 0)} h"
