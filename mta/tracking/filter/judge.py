"""The filters in their order: what costs nothing first, then the directory, then the store."""

from __future__ import annotations

from datetime import datetime

from mta.config.tracking_schema import Filters
from mta.message.unanswered import is_program
from mta.ports.tracking_store import Conversations
from mta.tracking.filter import presets, reasons
from mta.tracking.filter.rules import Correspondent, first_match
from mta.tracking.incoming import Automatic, Incoming
from mta.tracking.people import KnownPeople, Role

STAFF_TIMES = 20
"""So many times the cap is what one of the staff gets: still an end, where two programs answer each other."""
_FROM_MAX = 1000


async def judge(
    incoming: Incoming, filters: Filters, people: KnownPeople, conversations: Conversations, now: datetime,
    *, is_counted: bool = False,
) -> str:  # fmt: skip
    """Why a message is left out, one of `reasons`; "" where it isn't. What ours sent is only ever too large.

    `is_counted`: it was let through before, and stands in the count of its day.
    """
    if len(incoming.data) > filters.largest:
        return reasons.TOO_LARGE
    if incoming.is_sent:
        return ""
    if filters.presets and (reason := _by_presets(incoming)):
        return reason
    if filters.automatic == "leave-out" and incoming.automatic not in (Automatic.NO, Automatic.MEETING):
        return reasons.AUTOMATIC[incoming.automatic]

    async def role() -> Role:
        return await people.role(incoming.author_key)

    name = incoming.author.display if incoming.author is not None else ""
    rule = await first_match(filters, "incoming", Correspondent(incoming.author_key, name, incoming.subject), role)
    if rule:
        return reasons.of_rule(rule)
    if filters.accept != "everybody" and not _is_accepted(await role(), filters):
        return reasons.NOT_ACCEPTED
    if is_counted:
        return ""
    if await _is_over_cap(incoming.counted_as, incoming.organisation, filters, conversations, now):
        return reasons.CAP
    return ""


async def may_write_to(
    address_key: str,
    name: str,
    subject: str,
    *,
    organisation: str,
    filters: Filters,
    people: KnownPeople,
    conversations: Conversations,
    now: datetime,
    is_staff: bool = False,
) -> str:
    """Why this address gets no notice; "" where it may get one.

    Staff get more, for they are told of everybody's mail: nobody is to use up what they get by writing much.
    """
    if filters.presets and is_program(address_key.rpartition("@")[0]):
        return reasons.PROGRAM

    async def role() -> Role:
        return await people.role(address_key)

    rule = await first_match(filters, "outgoing", Correspondent(address_key, name, subject), role)
    if rule:
        return reasons.of_rule(rule)
    times = STAFF_TIMES if is_staff else 1
    return reasons.CAP if await _is_over_cap(address_key, organisation, filters, conversations, now, times) else ""


def _by_presets(incoming: Incoming) -> str:
    from_line = "" if incoming.author is not None else incoming.parsed.header("from")[:_FROM_MAX]
    if presets.is_preset_sender(incoming.author, from_line):
        return reasons.PRESET_SENDER
    return reasons.PRESET_SUBJECT if presets.is_preset_subject(incoming.subject) else ""


def _is_accepted(role: Role, filters: Filters) -> bool:
    if filters.accept == "requestors":
        return role.is_requestor
    if filters.accept == "technicians":
        return role.is_technician
    return role is not Role.UNKNOWN


async def _is_over_cap(
    address_key: str, organisation: str, filters: Filters, conversations: Conversations, now: datetime, times: int = 1
) -> bool:
    if not address_key:
        return False
    return await conversations.count_today(organisation, address_key, now) >= filters.cap_per_day * times
