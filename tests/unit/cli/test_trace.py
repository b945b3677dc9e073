"""`stampline trace` on log files and a real spool."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import SentCopy, Settlement, State
from mta.model.queue import QueueFilter
from mta.model.sentitem import JobFilter, JobOutcome, JobState, SentItemJob
from mta.model.writeback import FiledMark, NewMark
from tests.unit.cli.queue_commands import Queue, message
from tests.unit.trace.log_writer import NOON, LogWriter


class Traced(Queue):
    """A queue, and the relay's log files."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[Any]) -> None:
        super().__init__(folder, capsys)
        (folder / "log").mkdir()
        self.log = LogWriter(folder / "log")

    def trace(self, *arguments: str, code: int = 0) -> str:
        return self.command("trace", *arguments, code=code)

    def trace_json(self, *arguments: str) -> Any:
        return json.loads(self.trace(*arguments, "--json"))


@pytest.fixture
def traced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Traced:
    return Traced(tmp_path, capsys)


def test_what_is_queued_is_told_beside_what_the_log_says(traced: Traced) -> None:
    queue_id = traced.log.accepted("jane@example.com", "a@example.net", "b@example.net")
    traced.log("delivered", queue_id, recipients="a@example.net", next_hop="out", reply="250 Ok", attempts=1)
    traced.log("deferred", queue_id, recipients="b@example.net", next_hop="out", reply="450 4.2.0 later", attempts=1)
    traced.fill(message(queue_id, recipients=["b@example.net"]))
    told = traced.trace(queue_id)
    assert "a@example.net: delivered" in told
    assert 'b@example.net: IN THE QUEUE, queued by out, 0 attempts, "450 4.2.0 later", due' in told
    assert "+1.0s" in told
    (life,) = traced.trace_json(queue_id)["messages"]
    assert life["is_queued"]
    assert [(fate["address"], fate["outcome"]) for fate in life["recipients"]] == [
        ("a@example.net", "delivered"), ("b@example.net", "queued")
    ]  # fmt: skip


def test_what_only_the_queue_knows_is_told(traced: Traced) -> None:
    traced.fill(message("Q1"))
    assert "IN THE QUEUE" in traced.trace("Q1")
    assert [life["queue_id"] for life in traced.trace_json("<1@example.com>")["messages"]] == ["Q1"]
    assert [row["queue_id"] for row in traced.trace_json("a@example.net")["messages"]] == ["Q1"]


def test_siblings_stand_beside(traced: Traced) -> None:
    one = traced.log.accepted("jane@example.com", "a@example.net")
    two = traced.log.accepted("jane@example.com", "b@example.net")
    assert [row["queue_id"] for row in traced.trace_json(one)["siblings"]] == [two]
    assert "other messages with the same Message-ID" in traced.trace(one)
    assert {life["queue_id"] for life in traced.trace_json("<1@mail.example.com>")["messages"]} == {one, two}


def test_what_was_refused_is_told(traced: Traced) -> None:
    traced.log("message-refused", sender="jane@example.com", recipients=1, reply="550 5.7.1 no", message_id="<x@y>")
    assert "550 5.7.1 no" in traced.trace("<x@y>")
    assert traced.trace_json("jane@example.com")["messages"][0]["outcome"] == "refused: 550 5.7.1 no"


def test_the_logs_alone_do_where_the_queue_cannot_be_read(traced: Traced) -> None:
    queue_id = traced.log.accepted("jane@example.com", "a@example.net")
    traced.log("deferred", queue_id, recipients="a@example.net", reply="450 later")
    shutil.rmtree(traced.folder / "spool")
    told = traced.trace(queue_id)
    assert "not done, as far as the log tells" in told
    assert "note: told from the logs alone, for the queue could not be read: there is no spool" in told


def test_logs_of_another_machine(traced: Traced, tmp_path: Path) -> None:
    folder = tmp_path / "copied"
    folder.mkdir()
    queue_id = LogWriter(folder).accepted("jane@example.com", "a@example.net")
    traced.config.unlink()
    assert "received from 192.0.2.1" in traced.trace(queue_id, "--logs", str(folder))


def test_nothing_that_strangers_wrote_reaches_the_terminal(traced: Traced) -> None:
    queue_id = traced.log.accepted("jane@example.com", "a@example.net")
    traced.log("deferred", queue_id, recipients="a@example.net", reply="450 \x1b]0;pwned\x07 \x9b2J\nroot: rm")
    told = traced.trace(queue_id)
    assert not {"\x1b", "\x07", "\x9b"} & set(told)
    assert not any(line.startswith("root") for line in told.splitlines())


def test_bad_lines_and_bad_files_are_told_of(traced: Traced) -> None:
    queue_id = traced.log.accepted("jane@example.com", "a@example.net")
    traced.log.raw(f"half a line about {queue_id}\n")
    broken = traced.folder / "log" / "relay_2099-01-01.log.gz"
    broken.write_bytes(b"not gzip")
    told = traced.trace(queue_id)
    assert "not in a format of ours: 1" in told
    assert str(broken) in told


def test_what_nobody_knows(traced: Traced) -> None:
    assert "no log files, for there are none" in traced.trace("0dZJwpdswx064KPYd", code=1)
    traced.log.accepted("jane@example.com", "a@example.net")
    told = traced.trace("0dZJwpdswx064KPYd", code=1)
    assert "log files from" in told
    assert "and the queue" in told


def test_the_list_of_an_address_is_as_long_as_asked(traced: Traced) -> None:
    for _ in range(5):
        traced.log.accepted("jane@example.com", "a@example.net")
    assert len(traced.trace_json("jane@example.com", "--limit", "3")["messages"]) == 3


@pytest.mark.parametrize("what", ["", " ", "<>"], ids=repr)
def test_nothing_is_not_looked_for(traced: Traced, what: str) -> None:
    traced.log("started", component="relay")
    assert "trace what?" in traced.command("trace", what, code=2)


def test_all_times_are_local_whichever_zone_the_log_was_written_in(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_id = traced.log.accepted("jane@example.com", "a@example.net")
    due_at = (NOON + timedelta(minutes=5)).isoformat()
    traced.log("deferred", queue_id, recipients="a@example.net", reply="450 later", attempts=1, due_at=due_at)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        told = traced.trace(queue_id)
    finally:
        monkeypatch.undo()
        time.tzset()
    local = (NOON + timedelta(minutes=5)).astimezone(ZoneInfo("Pacific/Auckland"))
    assert f"next attempt {local:%Y-%m-%d %H:%M:%S}" in told


def test_the_senders_own_copy_is_told_of(traced: Traced) -> None:
    kept = message("Q1", recipients=["a@example.net"])
    traced.fill(kept)
    now = datetime.now(UTC)

    async def deliver() -> SentItemJob:
        spool = await SqliteSpool.open(traced.folder / "spool", slot=0, reserve=0)
        await spool.lease_due(now + timedelta(hours=1), limit=10)
        (entry,) = await spool.entries(QueueFilter())
        copy = SentCopy(
            ("jane@example.com",), "default", "<1@example.com>", None, 0, True, 1, sent_at=now, due_at=now
        )  # fmt: skip
        next_hop = entry.recipients[0].next_hop
        await spool.settle(Settlement("Q1", next_hop, (), {entry.recipients[0].index: State.DELIVERED}, sent=(copy,)))
        await spool.close()
        jobs = await SqliteSentItemJobs.open(traced.folder / "spool")
        (job,) = await jobs.entries(JobFilter())
        await jobs.close()
        return job

    job = asyncio.run(deliver())
    traced.log("delivered", "Q1", recipients="a@example.net", next_hop="out", reply="250 Ok", attempts=1)
    traced.log(
        "sent-item", "Q1", job=job.id, mailbox="jane@example.com", state="waiting", reason="not-found", detail="",
        server="exchange",
    )  # fmt: skip
    told = traced.trace("Q1")
    assert f"Sent Items of jane@example.com on exchange: waiting (not-found), job {job.id}" in told
    assert "=> Sent Items of jane@example.com: waiting, due " in told
    (life,) = traced.trace_json("Q1")["messages"]
    assert [(each["job"], each["state"]) for each in life["sent_items"]] == [(job.id, "waiting")]
    assert not life["is_queued"]
    traced.log("sent-item-left-out", "Q1", mailboxes="boss@example.com", reason="no-room")
    assert "Sent Items of boss@example.com: left as they are (no-room)" in traced.trace("Q1")


def test_what_became_of_it_in_a_monitored_mailbox_is_told(traced: Traced) -> None:
    queue_id = traced.log.accepted("jane@example.com", "help@example.com")
    traced.log.component = "mailbox-help-2"
    fields = {"mailbox": "help-2", "message_id": "<1@mail.example.com>"}
    traced.log("mailbox-message-waits", **fields, reason="DNS gave no answer about example.net")
    traced.log("mailbox-message", **fields, state="joined", reason="signed-reference", record="ticket-7")
    traced.log("mailbox-message-stays", **fields, what="move", reason="denied")
    traced.log("mailbox-message-set-aside", mailbox="help-2", message_id="<2@x>", reason="too-large", folder="Aside")
    for what in (queue_id, "<1@mail.example.com>"):
        told = traced.trace(what)
        assert "mailbox help-2: joined (signed-reference), record ticket-7" in told
        assert "mailbox help-2: taken, but move fails (denied)" in told
        assert "mailbox help-2: left there, to be tried again (DNS gave no answer about example.net)" in told
    assert "mailbox help-2: set aside in Aside (too-large)" in traced.trace("<2@x>")
    assert [line["action"] for line in traced.trace_json("<2@x>")["mailboxes"]] == ["mailbox-message-set-aside"]
    traced.log("mailbox-answer", **fields, state="joined", reason="known-reference", record="ticket-8")
    assert "has come, so it was looked at again: joined (known-reference), record ticket-8" in traced.trace(queue_id)


def test_marks_on_its_copies_are_told_of_and_what_became_of_them(traced: Traced) -> None:
    queue_id = traced.log.accepted("jane@example.com", "help@example.com")
    traced.fill(message("Q1"))
    now = datetime.now(UTC)
    orders = [
        NewMark(mailbox, "default", message_id, FiledMark(record="ticket-7"), now, now)
        for mailbox, message_id in (
            ("ann@example.com", "<1@mail.example.com>"), ("bob@example.com", "<1@mail.example.com>"),
            ("bob@example.com", "<another@mail.example.com>"),
        )
    ]  # fmt: skip

    async def mark() -> None:
        jobs = await SqliteSentItemJobs.open(traced.folder / "spool", works=True)
        await jobs.add_marks(orders)
        leased = {job.mailbox: job for job in await jobs.lease_due(now, limit=10)}
        await jobs.settle(JobOutcome(leased["ann@example.com"], JobState.DONE, detail="2 of 2 copies"))
        await jobs.close()

    asyncio.run(mark())
    traced.log.component = "sentitems"
    done = {"mailbox": "ann@example.com", "state": "done", "reason": "", "detail": "2 of 2 copies", "server": "ews"}
    traced.log("sent-item", job=orders[0].id, message_id="<1@mail.example.com>", record="ticket-7", **done)
    traced.log("sent-item", queue_id, job="j", message_id="<1@mail.example.com>", **done)
    for what in (queue_id, "<1@mail.example.com>"):
        told = traced.trace(what)
        assert told.count('mark of ticket-7 in the mailbox of ann@example.com on ews: done: "2 of 2 copies"') == 1
        assert told.count("Sent Items of ann@example.com on ews: done") == 1
        assert f"=> mark of ticket-7 in ann@example.com: done, job {orders[0].id}" in told
        assert "=> mark of ticket-7 in bob@example.com: " in told
        assert orders[2].id not in told
    marks = traced.trace_json(queue_id)["marks"]
    assert [(each["mailbox"], each["state"], each["record"]) for each in marks] == [
        ("ann@example.com", "done", "ticket-7"), ("bob@example.com", "waiting", "ticket-7"),
    ]  # fmt: skip
    assert "bob@example.com" in traced.trace("<another@mail.example.com>"), "nothing else is known of it"
