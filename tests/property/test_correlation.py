"""Whatever somebody who doesn't take part puts into a mail, it never joins; and what is held brings nobody in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.tracking.correlate import Correlation, Outcome
from tests.unit.tracking.scene import AGENT, ANNA, DOMAIN, MALLORY, SUPPORT, Conversation, Scene, desk_settings, mail

STRANGERS = (
    MALLORY, f"Anna <{MALLORY}>", f'"{ANNA}" <{MALLORY}>', f"<anna@{DOMAIN}.evil.example>", f"<{SUPPORT}>",
    f"<nobody@{DOMAIN}>", f"<{MALLORY}>, <{ANNA}>", f"<{ANNA}>, <{MALLORY}>", "Anna", "", f"<anna{ANNA}>",
)  # fmt: skip
PIECES = (
    "<{ref:T1}@desk.example.com>", "{ref:T1}", "<sent-1@desk.example.com>", "<named@list.example>", "{token:T1}",
    "[Ticket - {number:T1}]", "<x@y.example>", "{notice}", "<{foreign:T1}@desk.example.com>", "INC0012345", " ", "Re: ",
    "<{oldref:T1}@desk.example.com>", "<{gone}@desk.example.com>",
)  # fmt: skip
VALUES = st.lists(st.sampled_from(PIECES), max_size=4).map(" ".join)
FIELDS = st.fixed_dictionaries({
    "in_reply_to": VALUES, "references": VALUES, "x_stampline_transaction": VALUES, "subject": VALUES,
    "body": VALUES.map(lambda text: f"{text}\r\n"), "message_id": st.sampled_from(
        ["<new@x.example>", "<sent-1@desk.example.com>", "<named@list.example>", None]
    ),
    "thread_index": st.sampled_from(["", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFg=="]),
    "reply_to": st.sampled_from(["", f"<{ANNA}>"]), "cc": st.sampled_from(["", f"<{ANNA}>, <{AGENT}>"]),
    "Sender": st.sampled_from(["", f"<{ANNA}>", f"<stranger@{DOMAIN}>"]),
    "authentication_results": st.sampled_from(["", "mx.evil.example; dmarc=pass", f"mx.{DOMAIN}; dmarc=fail"]),
})  # fmt: skip
KNOWN = Conversation(
    (ANNA, AGENT), ("<sent-1@desk.example.com>",),
    ("<named@list.example>", "thread-index:" + bytes(range(1, 23)).hex(), "ticket:snow:0012345"),
)  # fmt: skip


class Table:
    """One conversation in a store of its own, asked again and again."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.store = self.loop.run_until_complete(SqliteTrackingStore.open(folder, works=True, reserve=0))
        tickets = [{"system": "snow", "regex": "INC([0-9]{7})"}]
        self.scene = Scene(self.store, "example", desk_settings(correlation={"tickets": tickets}))
        self.transaction = self.loop.run_until_complete(self.scene.begin("T1", KNOWN))

    def ask(self, message: bytes) -> Correlation:
        return self.loop.run_until_complete(self.scene.correlate(message))

    def close(self) -> None:
        self.loop.run_until_complete(self.store.close())
        self.loop.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    opened = Table(tmp_path_factory.mktemp("store") / "spool")
    yield opened
    opened.close()


@settings(deadline=None, max_examples=120)
@given(sender=st.sampled_from(STRANGERS), fields=FIELDS)
def test_no_stranger_joins(desk: Table, sender: str, fields: dict[str, str]) -> None:
    said = desk.ask(mail(sender, **fields))
    assert said.outcome in (Outcome.NEW, Outcome.PENDING, Outcome.LOOP)
    assert not said.merges
    if said.outcome is Outcome.NEW:
        assert said.transaction is None
    else:
        assert (said.participants, said.known_ids) == ((), ())


@settings(deadline=None, max_examples=80)
@given(fields=FIELDS)
def test_whose_mail_a_server_calls_forged_joins_nothing(desk: Table, fields: dict[str, str]) -> None:
    said = desk.ask(mail(f"<{ANNA}>", **{**fields, "authentication_results": f"mx.{DOMAIN}; dmarc=fail"}))
    assert said.outcome is not Outcome.JOINED
    assert set(said.participants) <= {ANNA}


@settings(deadline=None, max_examples=80)
@given(fields=FIELDS)
def test_who_takes_part_joins_by_a_valid_reference(desk: Table, fields: dict[str, str]) -> None:
    """Whatever else it carries, but for the id of a notice of ours."""
    given_fields = {**fields, "authentication_results": "", "references": "<{ref:T1}@desk.example.com>"}
    said = desk.ask(mail(f"<{ANNA}>", **given_fields))
    assert (said.outcome, said.transaction) == (Outcome.JOINED, desk.transaction)
