"""`stampline queue` on a real spool."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.cli import main
from mta.model.delivery import State
from tests.unit.cli.queue_commands import CONTENT, Queue, message


@pytest.fixture
def queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Queue:
    return Queue(tmp_path, capsys)


@pytest.mark.parametrize("command", [("queue", "list"), ("queue", "retry", "--all"), ("drain",)], ids=" ".join)
def test_no_command_makes_a_queue_where_its_files_were_moved_away(queue: Queue, command: tuple[str, ...]) -> None:
    for path in (queue.folder / "spool").glob("spool.db*"):
        path.rename(queue.folder / path.name)
    before = sorted((queue.folder / "spool").iterdir())
    assert "there is no queue in" in queue.command(*command, code=1)
    assert sorted((queue.folder / "spool").iterdir()) == before


def test_a_queue_of_another_version_is_left_to_the_service(queue: Queue) -> None:
    with closing(sqlite3.connect(queue.folder / "spool" / "spool.db")) as connection:
        connection.execute("PRAGMA user_version = 1")
    assert "restart the service" in queue.run("list", code=1)


def test_an_empty_queue(queue: Queue) -> None:
    assert queue.run("list") == "0 messages\n"
    assert queue.json("list") == []


def test_a_spool_that_is_not_there_is_not_made(queue: Queue) -> None:
    shutil.rmtree(queue.folder / "spool")
    queue.run("list", code=1)
    assert not (queue.folder / "spool").exists()


def test_list_for_people(queue: Queue) -> None:
    queue.fill(message("Q1", recipients=["a@example.net", "b@example.net"]), message("Q2", state=State.HELD))
    heading, first, second, sums = queue.run("list").splitlines()
    assert heading.split()[:3] == ["QUEUE", "ID", "AGE"]
    assert first.split()[:4] == ["Q1", "5m", str(len(CONTENT)), "B"]
    assert "queued" in first
    assert "in 59m" in first
    assert "a@example.net +1" in first
    assert "held" in second
    assert sums == f"2 messages to 3 recipients, {2 * len(CONTENT)} B"


def test_lists_fit_a_terminal_of_80_columns(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.fill(
        message("Q1", sender=f"{'s' * 60}@example.com", recipients=[f"{'r' * 60}@example.net", "b@example.net"]),
        message("Q2", next_hop="direct/a-long-name.example", age=timedelta(days=2)),
    )
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    listed, summed = queue.run("list").splitlines(), queue.run("summary").splitlines()
    assert listed[0].startswith("Q1  5m")
    assert listed[1].endswith("@example.net +1")
    assert listed[2] == "    450 4.2.0 later"
    assert max(map(len, [*listed, *summed])) <= 80
    assert summed[0].split()[-2:] == ["<15m", "1d+"]


def test_list_for_programs(queue: Queue) -> None:
    queue.fill(message("Q1"))
    (entry,) = queue.json("list")
    assert entry["sender"] == "jane@example.com"
    assert entry["is_being_delivered"] is False
    assert [(r["address"], r["state"], r["next_hop"]) for r in entry["recipients"]] == [
        ("a@example.net", "queued", "out")
    ]


def test_filters(queue: Queue) -> None:
    queue.fill(
        message("Q1"),
        message("Q2", sender="john@example.com", age=timedelta(hours=5)),
        message("Q3", recipients=["b@example.org"], state=State.HELD),
        message("Q4", next_hop="other"),
    )
    assert queue.ids("--id", "Q2") == ["Q2"]
    assert queue.ids("--sender", "john@example.com") == ["Q2"]
    assert queue.ids("--recipient", "b@example.org") == ["Q3"]
    assert queue.ids("--next-hop", "other") == ["Q4"]
    assert queue.ids("--state", "held") == ["Q3"]
    assert queue.ids("--older-than", "4h") == ["Q2"]
    assert queue.ids("--state", "held", "--sender", "john@example.com") == []
    assert len(queue.ids()) == 4
    assert len(queue.ids("--limit", "2")) == 2


def test_an_address_is_found_as_the_list_shows_it(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2", sender="john@example.com"))
    assert queue.ids("--sender", "<jane@example.com>") == ["Q1"]
    assert queue.ids("--recipient", "<A@example.net>") == ["Q1", "Q2"]
    assert queue.ids("--sender", "<>") == []


@pytest.mark.parametrize(
    "text", ["%", "_ane@*", "'; DROP TABLE message; --", '"', "\x1b[2J", "\udcff", "j?ne@*", "[j]*"]
)
def test_only_a_star_is_special_in_a_filter(queue: Queue, text: str) -> None:
    queue.fill(message("Q1"))
    for option in ("--sender", "--recipient", "--message-id", "--reply", "--next-hop", "--id"):
        assert queue.ids(option, text) == []
    assert queue.run("delete", "--sender", text) == "deleted: 0\n"
    assert queue.ids() == ["Q1"]


@pytest.mark.parametrize("command", ["list", "summary", "retry", "hold"])
def test_a_next_hop_that_nobody_has_is_told(
    queue: Queue, command: str, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    queue.fill(message("Q1"), message("Q2", next_hop="former"))
    arguments = ["queue", command, "--config", str(queue.config), "--next-hop"]
    assert main([*arguments, "outt"]) == 0
    assert "there is no next hop outt; the configuration has backup, direct, out" in capsys.readouterr().err
    for known in ("direct/example.net", "out", "former"):
        main([*arguments, known])
        assert "there is no next hop" not in capsys.readouterr().err


def test_what_seems_to_come_from_tomorrow_is_meant_by_its_id(queue: Queue) -> None:
    """The clock was set back since it was accepted."""
    queue.fill(message("Q1", age=timedelta(days=-1)))
    assert queue.run("delete", "Q1") == "deleted: 1\n"


def test_wildcards(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2", sender="jane@example.org"), message("Q3", recipients=["x_y@example.org"]))
    assert queue.ids("--sender", "*@example.org") == ["Q2"]
    assert queue.ids("--recipient", "x*@example.org") == ["Q3"]
    assert queue.ids("--recipient", "%") == []


def test_show_has_everything_but_the_body(queue: Queue) -> None:
    queue.fill(message("Q1"))
    shown = queue.run("show", "Q1")
    for part in (
        "mail.example.com [192.0.2.1] by listener exchange", "<jane@example.com>", "a@example.net", "snapshot abc",
        "stamp template=sales", "formats=html,plain", "(rule sales-external)", "group 0 (outbound: a@example.net)",
        "Subject: Offer \N{REPLACEMENT CHARACTER}[2J",
    ):  # fmt: skip
        assert part in shown
    assert "nobody's business" not in shown
    as_json = queue.json("show", "Q1")
    assert as_json["header"] == CONTENT.partition(b"\r\n\r\n")[0].decode()
    assert [a["kind"] for a in as_json["decision"]["recipients"][0]["actions"]] == ["stamp", "tag-subject"]


def test_show_of_what_is_not_there_fails(queue: Queue) -> None:
    queue.run("show", "Q9", code=1)


def test_hold_release_retry_delete(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2"))
    assert queue.run("hold", "Q1") == "held: 1\n"
    assert queue.ids("--state", "held") == ["Q1"]
    assert queue.json("release", "--state", "held") == {"released": 1, "busy": 0}
    assert queue.ids("--state", "held") == []
    assert queue.run("retry", "Q2") == "retried: 1\n"
    entry = queue.json("list", "--id", "Q2")[0]
    assert datetime.fromisoformat(entry["due_at"]) <= datetime.now(UTC)
    assert queue.run("delete", "Q1", "Q2") == "deleted: 2\n"
    assert queue.ids() == []
    queue.run("delete", "Q1", code=1)


@pytest.mark.parametrize("operation", ["retry", "hold", "release", "delete"])
def test_everything_is_only_meant_when_it_is_said(queue: Queue, operation: str) -> None:
    queue.fill(message("Q1"))
    queue.run(operation, code=2)
    queue.run(operation, "Q1", "--all", code=2)
    assert queue.ids("--state", "queued") == ["Q1"]
    queue.run(operation, "--all")


def test_who_changed_what_stands_in_the_log(queue: Queue) -> None:
    queue.fill(message("Q1"))
    queue.run("hold", "--sender", "jane@example.com", "--older-than", "1m")
    (path,) = (queue.folder / "log").iterdir()
    event = json.loads(path.read_text())
    assert (event["action"], event["what"], event["messages"]) == ("queue-changed", "hold", 1)
    assert event["which"] == "sender=jane@example.com older_than_s=60.0"
    assert event["by"]
    assert event["queue_ids"] == "Q1"


def test_a_message_that_a_filter_caught_is_found_in_the_log_by_its_queue_id(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2", sender="john@example.com"), message("Q3", state=State.HELD))
    queue.run("delete", "--sender", "john@example.com")
    queue.run("release", "--all")
    days = sorted((queue.folder / "log").iterdir())
    deleted, released = (json.loads(line) for day in days for line in day.read_text().splitlines())
    assert (deleted["what"], deleted["queue_ids"]) == ("delete", "Q2")
    assert (released["what"], released["queue_ids"]) == ("release", "Q3")


def test_a_bad_configuration_is_2(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    queue.config.write_text("hostname: [\n")
    assert main(["queue", "list", "--config", str(queue.config)]) == 2
    assert f"{queue.config}:" in capsys.readouterr().err


def test_a_spool_that_cannot_be_opened_is_1(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(queue.folder / "spool")
    (queue.folder / "spool").write_text("not a folder")
    assert main(["queue", "list", "--config", str(queue.config)]) == 1
    assert capsys.readouterr().err.startswith("stampline: ")


# --- summary, counts, dry runs ---


def test_a_summary(queue: Queue) -> None:
    queue.fill(message("Q1", recipients=["a@example.net", "b@example.net"]), message("Q2", state=State.HELD))
    heading, row, sums = queue.run("summary", "--by", "domain").splitlines()
    assert heading.split()[:3] == ["DOMAIN", "RECIPIENTS", "MESSAGES"]
    assert heading.split()[-2:] == ["<1d", "1d+"]
    assert row.split()[:3] == ["example.net", "3", "2"]
    assert sums.startswith("2 messages to 3 recipients")
    as_json = queue.json("summary")
    assert [(each["key"], each["recipients"], each["held"]) for each in as_json["rows"]] == [("out", 3, 1)]


def test_only_the_sums(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2", next_hop="backup"))
    assert queue.json("list", "--count", "--next-hop", "out")["messages"] == 1
    assert queue.run("list", "--count").startswith("2 messages to 2 recipients")


def test_a_list_that_is_cut_says_how_much_there_is(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2"), message("Q3"))
    assert queue.run("list", "--limit", "1").splitlines()[-2:] == [
        "... and 2 more", f"3 messages to 3 recipients, {3 * len(CONTENT)} B"
    ]  # fmt: skip


@pytest.mark.parametrize("operation", ["hold", "delete", "bounce", "retry"])
def test_a_dry_run_changes_nothing(queue: Queue, operation: str) -> None:
    queue.fill(message("Q1"), message("Q2"))
    before = queue.json("list")
    assert "nothing was changed" in queue.run(operation, "--sender", "jane@*", "--dry-run")
    would = queue.json(operation, "--all", "--dry-run")
    assert [count["messages"] for name, count in would.items() if name != "first"] == [2]
    assert queue.json("list") == before
    assert not (queue.folder / "log").exists()


def test_a_reply_finds_its_recipient_alone(queue: Queue) -> None:
    queue.fill(message("Q1", recipients=["a@example.net", "b@example.net"]))
    assert queue.ids("--reply", "4.2.0 LATER") == ["Q1"]
    assert queue.ids("--reply", "mailbox full") == []


# --- another way, a report, frozen ---


def test_rerouting(queue: Queue) -> None:
    queue.fill(message("Q1", recipients=["a@example.net", "b@example.org"]), message("Q2", state=State.HELD))
    assert queue.run("reroute", "--to", "direct", "Q1") == "rerouted: 1\n"
    hops = {r["address"]: r["next_hop"] for r in queue.json("list", "--id", "Q1")[0]["recipients"]}
    assert hops == {"a@example.net": "direct/example.net", "b@example.org": "direct/example.org"}
    queue.run("reroute", "--to", "direct/example.com", "Q2")
    (held,) = queue.json("list", "--id", "Q2")[0]["recipients"]
    assert (held["state"], held["next_hop"]) == ("held", "direct/example.com")


@pytest.mark.parametrize("name", ["nowhere", "out/example.net", ""])
def test_there_is_no_way_that_the_configuration_does_not_have(queue: Queue, name: str) -> None:
    queue.fill(message("Q1"))
    assert "out" in queue.run("reroute", "--to", name, "Q1", code=2)
    assert queue.ids("--next-hop", "out") == ["Q1"]


def test_bouncing_tells_the_sender_in_the_same_transaction(queue: Queue) -> None:
    queue.fill(message("Q1", recipients=["a@example.net", "b@example.net"]), message("Q2", state=State.HELD))
    assert queue.json("bounce", "--recipient", "b@example.net") == {"bounced": 1, "busy": 0}
    (entry, held, dsn) = queue.json("list")
    assert [r["address"] for r in entry["recipients"]] == ["a@example.net"]
    assert (held["queue_id"], dsn["sender"], dsn["recipients"][0]["address"]) == ("Q2", "", "jane@example.com")
    assert queue.json("bounce", "--all") == {"bounced": 3, "busy": 0}
    assert {each["sender"] for each in queue.json("list")} == {""}


def test_freezing_and_thawing(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2", next_hop="backup"))
    assert queue.run("freeze", "out+tls", "--reason", "new\x1b[2J disks\udcff") == "out is frozen\n"
    assert queue.run("freeze", "out") == "out was frozen already\n"
    assert queue.json("frozen")[0]["waiting"] == 1
    listed = queue.run("list")
    assert "frozen" in next(line for line in listed.splitlines() if line.startswith("Q1"))
    assert "FROZEN, left alone until `queue thaw`: out" in listed
    assert "\x1b" not in listed + queue.run("frozen")
    assert "waits until its next hop is thawed" in queue.run("show", "Q1")
    assert queue.run("thaw", "out") == "out is thawed; 1 messages wait for it\n"
    assert "out is not frozen" in queue.run("thaw", "out", code=1)
    assert queue.run("frozen") == "no next hop is frozen\n"
    assert "there is no next hop 'nowhere'" in queue.run("freeze", "nowhere", code=2)
    assert "has no domains behind it" in queue.run("freeze", "out/example.net", code=2)
    assert queue.run("freeze", "direct/Exämple.NET") == "direct/xn--exmple-cua.net is frozen\n"


def test_draining(queue: Queue) -> None:
    queue.fill(message("Q1", state=State.HELD))
    assert queue.command("drain").startswith("no more mail is taken; in the queue: 1 message")
    assert "left in the queue" in _printed(queue, "drain", "--wait")
    assert queue.command("undrain") == "mail is taken again\n"
    assert queue.command("undrain") == "this node was not draining\n"


def _printed(queue: Queue, *arguments: str) -> str:
    """Of a command that ends with 1, though it did what it was told."""
    assert main([*arguments, "--config", str(queue.config)]) == 1
    return str(queue.capsys.readouterr().out)


# --- the bytes; who may ---


def test_the_bytes_are_given_where_they_can_do_no_harm_and_it_is_logged(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    queue = Queue(tmp_path, capsysbinary)
    queue.fill(message("Q1"))
    assert main(["queue", "show", "Q1", "--raw", "--config", str(queue.config)]) == 0
    assert capsysbinary.readouterr().out == CONTENT
    (path,) = (queue.folder / "log").iterdir()
    assert json.loads(path.read_text())["action"] == "message-read"


def test_another_user_is_told_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory() as name:  # not below pytest's own folder, which no stranger may enter
        folder = Path(name)
        folder.chmod(0o755)
        queue = Queue(folder, capsys)
        queue.fill(message("Q1"))
        (folder / "spool").chmod(0o700 if os.geteuid() == 0 else 0)
        try:
            if os.geteuid() == 0:
                os.seteuid(65534)
            told = queue.run("list", code=1)
        finally:
            os.seteuid(os.getuid())
            (folder / "spool").chmod(0o700)
    assert "may not use the spool" in told
    assert "run this as root, or as the service's user" in told
