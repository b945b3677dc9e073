"""The real process that monitors mailboxes: it dies at any step, comes and goes, takes orders, and loses nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.tracking.maildirs import Maildirs, message, process, standing, titles, tracking
from tests.servers.processes import rss_mb
from tests.servers.relay import Relay, merged, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until


@pytest.fixture
def boxes(tmp_path: Path) -> Maildirs:
    return Maildirs(tmp_path / "boxes", "help")


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def desk(tmp_path: Path, boxes: Maildirs, *names: str, **more: Any) -> dict[str, Any]:
    return tracking(tmp_path / "desk", boxes.settings(*names), **more)


def until_empty(boxes: Maildirs, name: str = "help", timeout_s: float = 60) -> None:
    wait_until(lambda: not boxes.waiting(name), timeout_s, lambda: f"an empty mailbox; {boxes.waiting(name)}")


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("message-fetched", marks=pytest.mark.long),
        "after-open-transaction",
        pytest.param("before-take", marks=pytest.mark.long),
        "message-taken",
        pytest.param("message-moved", marks=pytest.mark.long),
    ],
)
def test_killed_at_any_step_nothing_is_lost_and_nothing_is_taken_twice(
    point: str, tmp_path: Path, sink: Sink, boxes: Maildirs
) -> None:
    for number in range(7):
        boxes.put("help", message(number))
    with running_relay(
        tmp_path / "relay", sink.port, environment={"STAMPLINE_CRASH_AT": f"{point}:4"},
        organisation=desk(tmp_path, boxes, "help"),
    ) as relay:  # fmt: skip
        until_empty(boxes)
        relay.wait_for_event("worker-died", component="tracking", status="signal SIGKILL")
        assert titles(relay) == {f"Printer {number}": 1 for number in range(7)}
        assert len(boxes.folder_of("help", "StamplineProcessed")) == 7
        assert not boxes.folder_of("help", "StamplineSetAside")
        assert relay.events("tracking-cautious")


@pytest.mark.long
def test_a_message_that_kills_the_process_each_time_is_set_aside_and_others_go_on(
    tmp_path: Path, sink: Sink, boxes: Maildirs
) -> None:
    boxes.make("other")
    boxes.put("help", message(1))
    with running_relay(
        tmp_path / "relay", sink.port, environment={"STAMPLINE_CRASH_AT": "message-fetched"},
        organisation=desk(tmp_path, boxes, "help"),
    ) as relay:  # fmt: skip
        event = relay.wait_for_event("mailbox-message-set-aside", mailbox="help", reason="kills-us")
        assert event["folder"] == "StamplineSetAside"
        wait_until(lambda: len(boxes.folder_of("help", "StamplineSetAside")) == 1, 60, "the message in its folder")
        assert not titles(relay)
        assert "kills-us" in relay.cli("mailbox", "messages", "--state", "set-aside").stdout
        relay.stop()
        relay.start(STAMPLINE_CRASH_AT="")
        for path in boxes.folder_of("help", "StamplineSetAside"):  # as an administrator who has mended what it was
            path.rename(boxes.folder / "help" / "cur" / path.name)
        relay.cli_here("mailbox", "poll", "help")
        assert titles(relay) == {"Printer 1": 1}


def test_it_comes_and_goes_with_the_configuration_and_takes_it_over(
    tmp_path: Path, sink: Sink, boxes: Maildirs
) -> None:
    boxes.make("other")

    def reload_with(relay: Relay, changes: dict[str, Any]) -> None:
        relay.settings["organisation"] = merged(relay.settings["organisation"], changes)
        relay.write_settings()
        relay.cli_here("reload")

    with running_relay(tmp_path / "relay", sink.port) as relay:
        assert not process(relay)
        boxes.put("help", message(1))
        reload_with(relay, desk(tmp_path, boxes, "help"))
        until_empty(boxes)
        first = process(relay)
        boxes.put("other", message(2))
        reload_with(relay, desk(tmp_path, boxes, "help", "other"))
        until_empty(boxes, "other")
        assert process(relay) == first
        wait_until(lambda: "<m2@example.net>" in _log(relay, "mailbox-other"), 60, "its line")
        assert "Printer" not in _log(relay, "mailbox-other")
        assert "mailbox other: joined" in relay.cli_here("trace", "<m2@example.net>").stdout
        reload_with(relay, tracking(tmp_path / "desk", boxes.settings("other", after={"do": "delete"})))
        boxes.put("help", message(3))
        boxes.put("other", message(4))
        relay.cli_here("mailbox", "poll", "--all")
        assert len(boxes.waiting("help")) == 1
        assert len(boxes.folder_of("other", "StamplineProcessed")) == 1
        broken = tmp_path / "desk" / "rules" / "20-broken.yaml"
        broken.write_text("rules: [{name: x, when: {nonsense: 1}}]\n")
        assert "20-broken.yaml" in relay.cli_here("reload", check=False).stderr
        broken.unlink()
        reload_with(relay, {"tracking": None})
        wait_until(lambda: not process(relay), 60, "its end")
        assert {event["status"] for event in relay.events("worker-died")} <= {"exit 0"}


def _log(relay: Relay, component: str) -> str:
    """A file for each day."""
    return "".join(path.read_text() for path in (relay.folder / "log").glob(f"{component}_*.log"))


def test_orders_by_the_command_line(tmp_path: Path, sink: Sink, boxes: Maildirs) -> None:
    with running_relay(tmp_path / "relay", sink.port, organisation=desk(tmp_path, boxes, "help")) as relay:
        wait_until(lambda: standing(relay, "help")["answered_at"], 60, "the first poll")
        assert "help: paused" in relay.cli_here("mailbox", "pause", "help").stdout
        assert "was paused already" in relay.cli_here("mailbox", "pause", "--all").stdout
        boxes.put("help", message(1))
        refused = relay.cli_here("mailbox", "poll", "help", check=False)
        assert (refused.returncode, "resume help" in refused.stderr) == (1, True)
        relay.stop()
        relay.start()
        assert standing(relay, "help")["state"] == "paused"
        assert "help: resumed" in relay.cli_here("mailbox", "resume", "help").stdout
        until_empty(boxes)
        for number in range(2, 5):
            boxes.put("help", message(number))
        report = json.loads(relay.cli_here("mailbox", "poll", "help", "--json").stdout)
        assert (report["help"]["progress"]["taken"], report["help"]["failure"]) == (3, "")
        unknown = relay.cli_here("mailbox", "poll", "hepl", check=False)
        assert (unknown.returncode, "'help'" in unknown.stderr) == (2, True)
        assert "mailboxes=1" in relay.cli_here("status").stdout
        assert [event["order"] for event in relay.events("mailbox-ordered")][:2] == ["pause", "resume"]
        relay.stop()
        boxes.put("help", message(5))
        assert "1 taken" in relay.cli("mailbox", "poll", "--all").stdout
        assert standing(relay, "help")["state"] == "not polled"
        assert len(titles(relay)) == 5


def test_a_trial_sends_a_message_through_the_relay_sees_it_arrive_and_removes_it(
    tmp_path: Path, sink: Sink, boxes: Maildirs
) -> None:
    with running_relay(tmp_path / "relay", sink.port, organisation=desk(tmp_path, boxes, "help")) as relay:
        account = {
            "name": "relay", "kind": "smtp", "host": "127.0.0.1", "port": relay.port, "tls": {"mode": "none"},
            "senders": ["help@example.com"],
        }  # fmt: skip
        relay.settings["next_hops"].append({"name": "boxes", "kind": "maildir", "folder": f"{boxes.folder}/{{local}}"})
        relay.settings["routing"]["domains"] = {"example.com": "boxes"}
        relay.settings["organisation"]["tracking"]["accounts"] = [account]
        relay.write_settings()
        relay.cli_here("reload")
        done = json.loads(relay.cli_here("mailbox", "test", "help", "--json").stdout)
        assert done["ok"]
        assert [step["is_good"] for step in done["steps"]] == [True] * len(done["steps"])
        assert "arriv" in done["steps"][-1]["what"]
        assert not boxes.waiting("help")
        assert not titles(relay)
        boxes.put("help", message(1))
        relay.cli_here("mailbox", "poll", "help")  # it is held no more
        assert titles(relay) == {"Printer 1": 1}
        (boxes.folder / "help").rename(boxes.folder / "away")
        failed = relay.cli_here("mailbox", "test", "help", check=False)
        assert failed.returncode == 1
        assert "✘" in failed.stdout


@pytest.mark.timeout(400)
@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.long)])
def test_many_messages_in_flat_memory_with_progress(count: int, tmp_path: Path, sink: Sink, boxes: Maildirs) -> None:
    for number in range(count):
        boxes.put("help", message(number))
    organisation = tracking(
        tmp_path / "desk", boxes.settings("help", poll={"messages": count // 4}, log_messages=False)
    )
    with running_relay(tmp_path / "relay", sink.port, organisation=organisation) as relay:
        relay.wait_for_event("mailbox-polled", 60)
        pid, early = process(relay), rss_mb(process(relay))
        wait_until(lambda: any(event.get("more") is None for event in relay.events("mailbox-polled")), 300, "the end")
        polled = relay.events("mailbox-polled")[-1]
        late = rss_mb(pid)
        print(f"{count} messages: {polled['per_s']} a second, {early:.0f} MB after a part, {late:.0f} MB at the end")
        assert late < early + 20
        assert len(boxes.folder_of("help", "StamplineProcessed")) == count
        wait_until(lambda: standing(relay, "help")["taken"] == count, 60, "the last note")
