"""`stampline erase`: what it shows, asks, logs and leaves alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import IO, Any

import pytest

from mta.adapters.store.sqlite import SqliteSpool
from mta.cli import main
from mta.model.address import parse_address
from mta.model.erasure import ErasedPerson
from mta.model.tracking import NewTask, TaskKind
from tests.unit.cli.queue_commands import message
from tests.unit.cli.test_records import ANN, NOW, Records

BOB = "bob@example.net"
PERSON = ErasedPerson.of([parse_address(ANN)])


@pytest.fixture
def records(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Records:
    """One ticket that only Ann wrote to; nothing waits."""
    made = Records(tmp_path, capsysbinary)
    made.ticket("<1@customer.example>")
    made.run("drop", "--waiting", "--all")
    return made


class Erase:
    """The command on a store."""

    def __init__(self, records: Records, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
        self.records = records
        self._capsys = capsysbinary

    def run(self, *arguments: str, code: int = 0) -> str:
        assert main(["erase", *arguments, "--config", str(self.records.config)]) == code
        printed = self._capsys.readouterr()
        return (printed.err if code == 2 else printed.out).decode()

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))

    def queue(self, sender: str, recipient: str) -> str:
        async def accept() -> None:
            spool = await SqliteSpool.open(self.records.folder / "spool", slot=0, reserve=1000)
            await spool.accept(message("0aaa", sender, [recipient]))
            await spool.close()

        asyncio.run(accept())
        return "0aaa"

    def log(self, day: date, name: str, *lines: str) -> Path:
        path = self.records.folder / "log" / f"{name}_{day.isoformat()}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path


@pytest.fixture
def erase(records: Records, capsysbinary: pytest.CaptureFixture[bytes]) -> Erase:
    return Erase(records, capsysbinary)


def test_a_dry_run_says_what_would_go_and_changes_nothing(erase: Erase) -> None:
    told = erase.json("ANN+x@Customer.example", "--dry-run")
    assert told["addresses"] == [ANN]
    assert told["would_be_erased"]["records_removed"] == 1
    assert "complete" not in told
    shown = erase.run(ANN, "--dry-run")
    assert shown.startswith(f"{ANN}: would be erased:\n")
    assert "notes removed" in shown
    assert len(erase.records.json("list")) == 1
    assert not erase.records.logged("erasure-begun")


def test_nobody_is_erased_without_being_asked_or_yes(erase: Erase) -> None:
    assert "nothing was changed: --yes" in erase.run(ANN, code=2)
    assert len(erase.records.json("list")) == 1


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_the_question_is_asked_with_all_that_would_go(
    erase: Erase, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    class Terminal:
        """Somebody who answers."""

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return answer

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    shown = erase.run(ANN, code=1 if left else 0)
    assert shown.index("would be erased") < shown.index(f"Erase all of that, of {ANN}? [y/N]")
    assert len(erase.records.json("list")) == left


def test_it_is_done_and_told_without_the_address(erase: Erase) -> None:
    told = erase.json(ANN, "--yes")
    assert told["erased"]["notes_removed"] == 1
    assert told["complete"] is True
    assert told["database"]["log_is_empty"] is True
    assert erase.records.json("list") == []
    assert erase.run(ANN, "--yes").startswith(f"{ANN}: nothing was left to erase\n")
    begun, *_ = erase.records.logged("erasure-begun")
    done, *_ = erase.records.logged("erasure-done")
    assert begun["person"] == done["person"] == told["person"] == PERSON.digest
    assert begun["records"] == "remove"
    assert "notes_removed=1" in done["what"]
    log = "".join(path.read_text() for path in (erase.records.folder / "log").iterdir())
    assert ANN not in log


def test_text_may_stay(erase: Erase) -> None:
    erase.run(ANN, "--yes", "--records", "keep-text")
    (record,) = erase.records.json("list")
    assert record["requester"].startswith("erased-")
    assert "It smokes." in erase.records.run("show", "ticket-1")
    assert "is no address" in erase.run("ann", "--yes", code=2)
    assert "--name needs a name" in erase.run(ANN, "--name", " ", "--yes", code=2)


def test_undelivered_mail_is_kept_and_told_with_the_command_that_drops_it(erase: Erase) -> None:
    queue_id = erase.queue(ANN, BOB)
    kept = erase.json(ANN, "--yes", code=1)
    assert kept["complete"] is False
    assert kept["kept"] == [
        {"kind": "message", "name": queue_id, "why": "undelivered mail from this person",
         "drop": f"stampline queue delete {queue_id}"}
    ]  # fmt: skip
    assert main([*kept["kept"][0]["drop"].split()[1:], "--config", str(erase.records.config)]) == 0
    erase.run(ANN, "--yes")


def test_a_task_that_waits_is_kept_and_the_command_drops_it(erase: Erase) -> None:
    task = NewTask("waits", TaskKind.NOTICE, "default", "post", b"To: x\r\n\r\n", NOW, None, (ANN,))
    erase.records.fill(lambda store: store.add_tasks([task]))
    (kept,) = erase.json(ANN, "--yes", code=1)["kept"]
    assert main([*kept["drop"].split()[1:], "--config", str(erase.records.config)]) == 0
    erase.run(ANN, "--yes")
    shown = erase.run(BOB, "--yes")
    assert "not searched: " in shown


def test_log_files_are_named_with_the_day_on_which_they_go(erase: Erase) -> None:
    today = date.today()  # noqa: DTZ011 - the files' days are local
    erase.log(today - timedelta(days=3), "relay", f"time=x action=accepted sender={ANN}", f"again {ANN}", "other")
    erase.log(today, "mailbox-desk", '{"sender": "ANN+shop@Customer.Example"}')
    erase.log(today, "tracking", "joanna@customer.example ann@elsewhere.example")
    named = {Path(each["file"]).name: each["what"] for each in erase.json(ANN, "--dry-run")["named_elsewhere"]}
    assert named == {
        f"relay_{today - timedelta(days=3)}.log": f"2 lines; it is deleted on {today + timedelta(days=27)}",
        f"mailbox-desk_{today}.log": f"1 line; it is deleted on {today + timedelta(days=30)}",
    }
    assert "left alone" in erase.run(ANN, "--dry-run")


def test_other_files_that_name_the_person_are_told_of(erase: Erase) -> None:
    spool = erase.records.folder / "spool"
    for folder, name in (
        ("damaged-1", "spool.db"),
        ("recovered-1", "spool.db"),
        ("recovered-2", "x"),
        ("set-aside/p", "m.eml"),
    ):
        (spool / folder).mkdir(parents=True)
        (spool / folder / name).write_bytes(b"\x00\xff" * 9 + (b"" if name == "x" else ANN.upper().encode()))
    (spool / "alerts.json").write_text(f'{{"text": "{ANN}"}}')
    erase.records.config.write_text(erase.records.config.read_text() + f"# {ANN}\n")
    named = {
        str(Path(each["file"]).relative_to(erase.records.folder)): each["what"]
        for each in erase.json(ANN, "--dry-run")["named_elsewhere"]
    }
    assert set(named) == {
        "spool/damaged-1",
        "spool/recovered-1",
        "spool/set-aside/p/m.eml",
        "spool/alerts.json",
        "stampline.yaml",
    }
    assert "queue recover" in named["spool/damaged-1"]


def test_what_can_t_be_read_is_said(erase: Erase) -> None:
    path = erase.log(NOW.date(), "relay", ANN)
    path.rename(path.with_name(path.name + ".gz"))  # it isn't compressed
    told = erase.json(ANN, "--dry-run")
    assert any(path.name in text for text in told["unreadable"])
    assert "could not be searched" in erase.run(ANN, "--dry-run")


def test_what_goes_while_it_is_looked_at_is_no_fault(erase: Erase, monkeypatch: pytest.MonkeyPatch) -> None:
    alerts = erase.records.folder / "spool" / "alerts.json"
    alerts.write_text(ANN)
    opened: Callable[..., IO[Any]] = Path.open

    def replaced(path: Path, *args: Any, **named: Any) -> IO[Any]:
        if path == alerts:
            path.unlink(missing_ok=True)
        return opened(path, *args, **named)

    monkeypatch.setattr(Path, "open", replaced)
    told = erase.json(ANN, "--dry-run")
    assert not alerts.exists()
    assert (told["unreadable"], told["named_elsewhere"]) == ([], [])


def test_without_a_spool_nothing_is_made(
    tmp_path: Path, erase: Erase, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    assert main(["erase", ANN, "--yes", "--config", str(erase.records.config)]) == 1
    assert b"there is no spool" in capsysbinary.readouterr().err
    assert not (tmp_path / "spool").exists()
