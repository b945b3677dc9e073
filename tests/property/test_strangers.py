"""Whatever somebody who doesn't take part does, mail after mail, by relay and by mailbox: he never gets into the
conversation of others, hears nothing of it, and keeps nobody else out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.config.tracking_schema import TrackingSettings
from mta.message.parse import parse
from mta.model.tracking import EntryState, TaskFilter
from mta.model.transaction import Opening, Transaction
from mta.relay.track import Tracking, key_of, named_in, participants
from mta.tracking.intake import Taken
from tests.unit.tracking.record.rule_desk import RuleDesk, rule_desk
from tests.unit.tracking.scene import AGENT, ANNA, DOMAIN, KEY, MALLORY, NOW, SUPPORT, CopyOf, Scene, mail

RULES = """\
rules:
  - name: new
    when: {outcome: new}
    actions: [create, note, {notify: {to: [sender, owner]}}]
  - name: others
    actions: [note, {notify: {to: [participants, requester, owner]}}]
"""
FRIEND = "friend@stranger.example.org"
FROM = (f"<{MALLORY}>", f"Anna <{MALLORY}>", f"<{FRIEND}>", f'"{ANNA}" <{MALLORY}>', f"<{MALLORY}>, <{ANNA}>",
        f"x: <{MALLORY}>;", f"<{SUPPORT}>", f"<support+x@{DOMAIN}>", "Mailer-Daemon <>", "")  # fmt: skip
IDS = ("<evil-1@x.example>", "<evil-2@x.example>", "<printer@customer.example.net>", "<answer@desk.example.com>",
       "<later@customer.example.net>", "<thread@list.example>")  # fmt: skip
"""The last ones are, or will be, of the conversation: his mails may come before those that have them."""
NAMES = (*IDS, "{ref:T1}", "<{ref:T1}@x>", "<{ref:own}@x>", "{notice}", "[Ticket - 1]", "[Ticket - 2]", "{token:T1}")
WORDS = st.lists(st.sampled_from(NAMES), max_size=3).map(" ".join)
PEOPLE = st.sampled_from(["", f"<{ANNA}>", f"<{ANNA}>, <{MALLORY}>", f"<support+x@{DOMAIN}>, <{FRIEND}>"])
THREAD = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFg=="
VERDICTS = ("", f"mx.{DOMAIN}; dmarc=fail", f"mx.{DOMAIN}; dmarc=pass header.from=stranger.example.org")
BOUNCE = "multipart/report; report-type=delivery-status; boundary=b"


@dataclass(frozen=True)
class Step:
    data: bytes
    by_relay: bool
    """It goes through our relay, which opens or continues, and comes as the relay's copy."""


STEPS = st.builds(
    lambda sender, fields, by_relay: Step(mail(sender, **fields), by_relay),
    st.sampled_from(FROM),
    st.fixed_dictionaries({
        "message_id": st.sampled_from(IDS), "subject": WORDS, "in_reply_to": WORDS,
        "references": WORDS, "x_stampline_transaction": WORDS, "body": WORDS, "cc": PEOPLE, "reply_to": PEOPLE,
        "Sender": PEOPLE, "thread_index": st.sampled_from(["", THREAD]),
        "content_type": st.sampled_from(["", BOUNCE]), "auto_submitted": st.sampled_from(["", "", "auto-replied"]),
        "date": st.sampled_from(["Sun, 22 Nov 2026 11:00:00 +0000", "Sun, 22 Nov 2026 11:00:01 +0000"]),
        "authentication_results": st.sampled_from(VERDICTS),
    }),
    st.booleans(),
)  # fmt: skip


class Attacked:
    """A desk with one conversation, between one that takes part and whoever wants to."""

    def __init__(self, desk: RuleDesk, organisation: str) -> None:
        desk.equip(name=organisation)
        self.desk = desk
        self.scene = Scene(desk.store, organisation, desk.desk.settings)
        self.tracking = tracking_of(desk.desk.settings, organisation)

    async def begin(self) -> Transaction:
        first = await self.desk.take(self._mail("<printer@customer.example.net>", ""))
        assert first.transaction is not None
        self.scene.conversations |= {"T1": first.transaction, "own": first.transaction}
        return first.transaction

    def _mail(self, message_id: str, references: str) -> bytes:
        return self.scene.filled(mail(f"<{ANNA}>", message_id=message_id, references=references, thread_index=THREAD))

    async def anna_writes(self) -> Taken:
        """As she would have without the stranger."""
        return await self.desk.take(self._mail("<later@customer.example.net>", "<thread@list.example> <{ref:T1}@x>"))

    async def carry_out(self, step: Step) -> None:
        data = self.scene.filled(step.data)
        taken = await self.desk.take(await self._relayed(data) if step.by_relay else data)
        if taken.transaction is not None and taken.transaction != self.scene.conversations["T1"]:
            self.scene.conversations["own"] = taken.transaction  # whose reference he has got from our notice

    async def _relayed(self, data: bytes) -> bytes:
        """As the relay does with mail from outside."""
        parsed = parse(data)
        named = named_in(parsed, self.tracking)
        opening = Opening(
            self.tracking.organisation, "ticket", key_of(parsed), NOW, named.transaction if named is not None else None,
            participants(parsed, self.tracking, opens=named is None, is_ours=False, is_doubtful=False),
        )  # fmt: skip
        self.scene.conversations["relayed"] = await self.desk.store.open_transaction(opening)
        by = named.by if named is not None else "opened"
        return self.scene.copied(data, CopyOf("relayed", "received", by=by, mail_from=MALLORY))

    async def told(self) -> Sequence[str]:
        """Who was told of the conversation."""
        tasks = await self.desk.store.tasks(TaskFilter(organisation=self.scene.organisation))
        about = self.scene.conversations["T1"]
        return [each for task in tasks if task.transaction == about for each in task.recipients]


def tracking_of(made: TrackingSettings, organisation: str) -> Tracking:
    keyless = Tracking.of(organisation, DOMAIN, made.model_copy(update={"keys": ()}))
    return replace(keyless, keys=(KEY,))


@dataclass
class Table:
    loop: asyncio.AbstractEventLoop
    desk: RuleDesk
    numbers: Iterator[int]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """One store for all; each example is an organisation of its own."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    folder: Path = tmp_path_factory.mktemp("attacked")
    desk = loop.run_until_complete(stack.enter_async_context(rule_desk(folder, RULES)))
    yield Table(loop, desk, itertools.count())
    loop.run_until_complete(stack.aclose())
    loop.close()


async def _attack(attacked: Attacked, steps: Sequence[Step]) -> None:
    conversation = await attacked.begin()
    store = attacked.desk.store
    takes_part = await store.participants(conversation)
    for step in steps:
        await attacked.carry_out(step)
        assert await store.current(conversation) == conversation
        assert await store.participants(conversation) == takes_part
    kinds = {(note.author, note.kind) for note in await store.notes(conversation)}
    assert {author for author, kind in kinds if kind == "received"} <= {ANNA}
    assert set(await attacked.told()) <= {ANNA, AGENT}
    hers = await attacked.anna_writes()
    assert (hers.state, hers.transaction, hers.is_new) == (EntryState.JOINED, conversation, True)


@settings(deadline=None, max_examples=40)
@given(steps=st.lists(STEPS, min_size=1, max_size=5))
def test_a_stranger_gets_nowhere_mail_after_mail(table: Table, steps: list[Step]) -> None:
    attacked = Attacked(table.desk, f"example-{next(table.numbers)}")
    table.loop.run_until_complete(_attack(attacked, steps))
