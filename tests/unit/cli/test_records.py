"""`stampline records` on a store that the tracking process has filled."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.cli import main
from mta.model.record import AddNote, Change, CreateRecord, DeleteRecord, NewAttachment
from mta.model.tracking import Entry, EntryState, Intake, NewTask, TaskKind
from mta.model.transaction import Opening, Transaction
from tests.unit.cli.queue_commands import CONFIGURATION

NOW = datetime.now(UTC) - timedelta(hours=3)
ANN = "ann@customer.example"
HOSTILE = "Printer \x1b[2J\u202e on fire\r\nX: y"


class Records:
    """A configuration with a store, and the command on it."""

    def __init__(self, folder: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
        self.config = folder / "stampline.yaml"
        self.config.write_text(CONFIGURATION)
        self.folder = folder
        self._capsys = capsysbinary
        self.fill(lambda store: store.mailbox_notes())

    def fill(self, fill: Callable[[SqliteTrackingStore], Awaitable[object]]) -> Any:
        async def run() -> object:
            store = await SqliteTrackingStore.open(self.folder / "spool", works=True, reserve=0)
            try:
                return await fill(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def ticket(
        self, message_id: str, *changes: Change, title: str = "Printer", text: str = "It smokes.",
        module: str = "ticket", attachment: bytes = b"\x00octets\xff",
    ) -> Transaction:  # fmt: skip
        async def take(store: SqliteTrackingStore) -> Transaction:
            transaction = await store.open_transaction(Opening("default", module, message_id, NOW))
            entry = Entry(f"id:{message_id}", "default", "support", message_id, "00", EntryState.JOINED, "new", NOW,
                          ANN, "received", transaction)  # fmt: skip
            files = (NewAttachment("log\x1b[1m.txt", "text/plain", attachment),)
            made = (
                CreateRecord(transaction, "open", title, ANN, "", "support", {"room": "12"}),
                AddNote(transaction, ANN, "Ann", "received", text, message_id, True, files),
            )
            task = NewTask(f"k{message_id}", TaskKind.CALL, "default", "hook", b"{}", NOW, transaction)
            await store.take(Intake(entry, (ANN,), (), (*made, *changes), (task,)))
            return transaction

        opened: Transaction = self.fill(take)
        return opened

    def stranger(
        self, transaction: Transaction, message_id: str, key: str = "", sender: str = "new@customer.example"
    ) -> None:
        entry = Entry(key or f"id:{message_id}", "default", "support", message_id, "00", EntryState.PENDING, "stranger",
                      NOW, sender, "received", transaction)  # fmt: skip
        self.fill(lambda store: store.take(Intake(entry)))

    def octets(self, *arguments: str, code: int = 0) -> bytes:
        """What it printed; where it fails, on standard error."""
        assert main(["records", *arguments, "--config", str(self.config)]) == code
        printed = self._capsys.readouterr()
        return printed.err if code else printed.out

    def run(self, *arguments: str, code: int = 0) -> str:
        return self.octets(*arguments, code=code).decode()

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def logged(self, action: str) -> list[dict[str, Any]]:
        lines = [line for path in (self.folder / "log").glob("*") for line in path.read_text().splitlines()]
        return [event for line in lines if (event := json.loads(line))["action"] == action]


@pytest.fixture
def records(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Records:
    return Records(tmp_path, capsysbinary)


def test_without_records(records: Records) -> None:
    assert records.run("list") == "0 records\n"
    assert records.json("list") == []
    assert records.run("pending") == "0 wait for `stampline records accept|decline ENTRY`\n"
    assert "there is no record 'ticket-1'" in records.run("show", "ticket-1", code=1)
    assert "names no record" in records.run("show", "tick et", code=2)


def test_the_newest_come_first_and_the_sums_are_of_all(records: Records) -> None:
    for number in range(3):
        records.ticket(f"<{number}@x>", title=f"title {number}")
    lines = records.run("list", "--limit", "2").splitlines()
    assert lines[0].split() == ["RECORD", "STATE", "AGE", "UNCHANGED", "REQUESTER", "OWNER", "NOTES", "TITLE"]
    assert re.fullmatch(rf"ticket-3  open   3h\d\dm  3h\d\dm +{ANN}  - +1 +title 2", lines[1])
    assert lines[2].startswith("ticket-2 ")
    assert lines[3:] == ["... and 1 more", "ticket: 3 open"]
    assert records.run("list", "--count") == "ticket: 3 open\n"


def test_filters_narrow_down(records: Records) -> None:
    records.ticket("<1@x>", title="Printer")
    records.ticket("<2@x>", title="Lamp", module="case")
    assert [each["record"] for each in records.json("list", "--title", "*LAMP*")] == ["case-1"]
    assert [each["record"] for each in records.json("list", "--module", "ticket", "--older-than", "2h")] == ["ticket-1"]
    assert records.json("list", "--older-than", "4h") == []
    assert records.json("list", "--count", "--state", "open", "--requester", "ann@*") == [
        {"organisation": "default", "module": "case", "state": "open", "records": 1},
        {"organisation": "default", "module": "ticket", "state": "open", "records": 1},
    ]


def test_a_module_that_nobody_knows_is_a_slip(records: Records) -> None:
    records.ticket("<1@example.net>")
    tracking = "  tracking: {keys: [{env: HOME}], rules: rules, modules: [{name: case}]}\n"
    records.config.write_text(CONFIGURATION.replace("organisation:\n", f"organisation:\n{tracking}"))
    assert "did you mean 'case'" in records.run("list", "--module", "cases", code=2)
    assert "0 records" in records.run("list", "--module", "case")
    assert "ticket-1" in records.run("list", "--module", "ticket")  # which the configuration has no more


def test_what_strangers_wrote_steers_no_terminal(records: Records) -> None:
    transaction = records.ticket("<1\x1b]0;x\x07@x>", title=HOSTILE, text=HOSTILE)
    records.stranger(transaction, "<2\x1b[31m@x>")
    for arguments in (("list",), ("show", "ticket-1"), ("pending",)):
        printed = records.run(*arguments)
        assert not set(printed) & {"\x1b", "\u202e", "\r", "\x07"}, arguments
        assert "Printer" in printed or arguments == ("pending",)


def test_everything_that_belongs_to_a_record_is_shown(records: Records) -> None:
    records.ticket("<1@x>", text="Line 1\nLine 2")
    for name in ("ticket-1", "1", "TICKET-000001"):
        printed = records.run("show", name)
    for line in (
        "record      ticket-1 of default",
        "state       open",
        "field       room: 12",
        f"takes part  {ANN}",
        "  Line 1\n  Line 2",
        "attachment 1: log\N{REPLACEMENT CHARACTER}[1m.txt, text/plain, 8 octets",
        "<1@x>  joined (new), received, by support",
        "call to hook: waiting",
    ):
        assert line in printed
    shown = records.json("show", "ticket-1")
    assert shown["record"]["fields"] == {"room": "12"}
    assert shown["notes"][0]["text"] == "Line 1\nLine 2"
    assert [task["state"] for task in shown["tasks"]] == ["waiting"]


def test_an_attachment_is_written_as_it_was(records: Records) -> None:
    records.ticket("<1@x>", attachment=bytes(range(256)) * 600)
    assert records.octets("show", "ticket-1", "--attachment", "1") == bytes(range(256)) * 600
    assert "has 1 attachments" in records.run("show", "ticket-1", "--attachment", "2", code=1)


def test_a_number_that_several_have_is_asked_about(records: Records) -> None:
    records.ticket("<1@x>")
    records.ticket("<2@x>", module="case")
    assert "names several: ticket-1 of default, case-1 of default" in records.run("show", "1", code=1)


def test_a_conversation_without_a_record_is_shown(records: Records) -> None:
    records.fill(lambda store: store.open_transaction(Opening("default", "ticket", "<1@x>", NOW, None, (ANN,))))
    assert "no rule has made a record" in records.run("show", "ticket-1")


@pytest.mark.parametrize("name", ["2@x", "<2@x>", "id:<2@x>"])
def test_a_stranger_is_let_in(records: Records, name: str) -> None:
    transaction = records.ticket("<1@x>")
    records.stranger(transaction, "<2@x>")
    assert re.search(r"ticket-1  3h\d\dm  new@customer.example  stranger  support  <2@x>\n", records.run("pending"))
    assert records.run("accept", name) == "new@customer.example takes part in ticket-1\n"
    assert "new@customer.example" in records.json("show", "ticket-1")["participants"]
    (logged,) = records.logged("pending-decided")
    assert (logged["decision"], logged["record"], logged["message_id"]) == ("accept", "ticket-1", "<2@x>")
    assert logged["by"]
    assert "no message" in records.run("accept", name, code=1)


def test_of_two_strangers_with_one_message_id_each_is_decided_about_by_itself(records: Records) -> None:
    transaction = records.ticket("<1@x>")
    records.stranger(transaction, "<2@x>")
    records.stranger(transaction, "<2@x>", key="id:<2@x>:forged", sender="evil@elsewhere.example")
    assert "id:<2@x>:forged of evil@elsewhere.example" in records.run("accept", "<2@x>", code=1)
    assert {each["entry"] for each in records.json("pending")} == {"id:<2@x>", "id:<2@x>:forged"}
    assert records.run("decline", "id:<2@x>:forged") == "evil@elsewhere.example stays out of ticket-1\n"
    assert records.run("accept", "<2@x>") == "new@customer.example takes part in ticket-1\n"


def test_a_stranger_is_left_out(records: Records) -> None:
    transaction = records.ticket("<1@x>")
    records.stranger(transaction, "<2@x>")
    assert records.run("decline", "<2@x>") == "new@customer.example stays out of ticket-1\n"
    assert records.json("show", "ticket-1")["participants"] == [ANN]
    assert records.json("pending") == []


def test_two_records_become_one(records: Records) -> None:
    records.ticket("<1@x>", title="one")
    records.ticket("<2@x>", title="two")
    assert "ticket-1 is ticket-2 now" in records.run("merge", "ticket-1", "into", "ticket-2")
    assert [note["number"] for note in records.json("show", "ticket-1")["notes"]] == [1, 2]
    assert [each["record"] for each in records.json("list")] == ["ticket-2"]
    assert "one record already" in records.run("merge", "ticket-1", "into", "ticket-2", code=1)
    assert [event["into"] for event in records.logged("records-merged")] == ["ticket-2"]


def test_only_what_a_rule_has_deleted_is_purged(records: Records) -> None:
    records.ticket("<1@x>")
    records.ticket("<2@x>", DeleteRecord(Transaction("default", "case", 1, "aaaaaaaa")))
    gone = records.ticket("<3@x>", title="secret")
    records.ticket("<4@x>", DeleteRecord(gone))
    assert "needs a filter" in records.run("purge", code=2)
    assert records.json("purge", "--all", "--dry-run") == {"would_be_purged": 1}
    assert records.json("purge", "--title", "sec*") == {"purged": 1}
    assert records.json("purge", "--all") == {"purged": 0}
    assert [event["which"] for event in records.logged("records-purged")] == ["title=…"]
    assert len(records.json("list", "--deleted")) == 3


def test_an_export_has_each_record_on_a_line_with_its_notes(records: Records) -> None:
    records.ticket("<1@x>", title="a")
    records.ticket("<2@x>", title="b")
    exported = [json.loads(line) for line in records.run("export").splitlines()]
    assert [(each["title"], each["notes"][0]["text"]) for each in exported] == [
        ("a", "It smokes."),
        ("b", "It smokes."),
    ]
    assert [json.loads(line)["title"] for line in records.run("export", "--title", "b").splitlines()] == ["b"]


def test_an_export_for_a_spreadsheet_holds_no_formulas(records: Records) -> None:
    records.ticket("<1@x>", title='=HYPERLINK("https://evil.example")')
    written = records.run("export", "--csv")
    assert written[0] == "\ufeff"  # else Excel takes it for the machine's code page
    ((row),) = csv.DictReader(io.StringIO(written[1:]))
    assert row["title"] == '\'=HYPERLINK("https://evil.example")'
    assert (row["record"], row["notes"], row["fields"]) == ("ticket-1", "1", '{"room": "12"}')


def test_where_there_is_no_spool_none_is_made(records: Records, tmp_path: Path) -> None:
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    assert "there is no spool" in records.run("list", code=1)
    assert not (tmp_path / "spool").exists()
