"""What follows elsewhere from what rules wish: tasks of notices, calls and write-backs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mta.message.addresses import Mailbox
from mta.model.tracking import NewTask, TaskKind
from mta.ports.tracking_store import TrackingStore
from mta.tracking.notify.notices import Notifier, task_key
from mta.tracking.notify.occasion import Occasion
from mta.tracking.record.draft import CallWish, MarkWish, NoticeWish, Wish
from mta.tracking.record.payload import call_payload, mark_payload

if TYPE_CHECKING:
    from mta.tracking.desk import Desk

LOOKED_UP_MAX = 200
"""Sender and recipients of one message that are looked for in the audience."""


@dataclass(slots=True)
class Following:
    """Of all wishes of one occasion."""

    tasks: list[NewTask] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    invited: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


async def following(wishes: Sequence[Wish], occasion: Occasion, desk: Desk, store: TrackingStore) -> Following:
    """The tasks, in the order of the wishes. Raises DirectoryDownError, and what the store raises."""
    made = Following()
    for place, wish in enumerate(wishes):
        if isinstance(wish, NoticeWish):
            notices = await Notifier(occasion, desk, store).carry_out(wish, place)
            made.tasks += notices.tasks
            made.message_ids += notices.message_ids
            made.invited += notices.invited
            made.told += notices.told
        elif isinstance(wish, CallWish):
            made.tasks.append(_call(wish, occasion, desk, place))
        else:
            made.tasks += await _marks(wish, occasion, desk)
    return made


def _call(wish: CallWish, occasion: Occasion, desk: Desk, place: int) -> NewTask:
    payload = call_payload(occasion, wish, desk.module(occasion.transaction.module), desk.name)
    key = task_key("call", desk.name, f"{occasion.key}\0{wish.rule}\0{place}\0{wish.sink}")
    return NewTask(key, TaskKind.CALL, desk.name, wish.sink, payload, occasion.now, occasion.transaction)


async def _marks(wish: MarkWish, occasion: Occasion, desk: Desk) -> list[NewTask]:
    """For sender and recipients of the message who are of the audience, each person's mailbox once."""
    settings = desk.settings.write_back
    if settings is None or occasion.message is None:
        return []
    module = desk.module(occasion.transaction.module)
    tasks: dict[str, NewTask] = {}
    for address in _addressed(occasion):
        person = await desk.people.person(address)
        mailbox = person.address if person is not None else address
        if mailbox in tasks or not desk.people.gets_marks(address, person):
            continue
        role = await desk.people.role(address)
        payload = mark_payload(occasion, mailbox, settings, module, for_staff=role.is_technician)
        key = task_key("write-back", desk.name, f"{occasion.key}\0{mailbox}\0{occasion.transaction}")
        tasks[mailbox] = NewTask(
            key, TaskKind.WRITE_BACK, desk.name, mailbox, payload, occasion.now, occasion.transaction
        )
    return list(tasks.values())


def _addressed(occasion: Occasion) -> list[str]:
    """Address keys of the message's sender and recipients, each once."""
    assert occasion.message is not None
    incoming = occasion.message.incoming
    people: list[Mailbox] = [*([incoming.author] if incoming.author is not None else []), *incoming.to, *incoming.cc]
    return list(dict.fromkeys(each.address.key for each in people))[:LOOKED_UP_MAX]
