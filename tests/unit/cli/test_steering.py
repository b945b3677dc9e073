"""`status`, `reload` and `bypass` against a control socket that remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.cli import main
from mta.control.server import ControlServer

STATUS: dict[str, Any] = {
    "ok": True, "version": "0.1.0", "pid": 4711, "started_at": "2026-11-22T10:00:00+00:00", "snapshot": "abc",
    "config": "/etc/stampline/stampline.yaml", "is_up": True, "is_stopping": False,
    "bypass": {"on": True, "until": None}, "last_reload": {"at": "then", "ok": False, "problems": 3},
    "listeners": [{"name": "in", "address": "127.0.0.1", "port": 25, "role": "inbound"}],
    "workers": [
        {
            "slot": 0, "state": "ready", "pid": 4712, "snapshot": "abc", "up_s": 11400.0, "silent_s": 0.1, "deaths": 2,
            "report": {"in_hand": 7, "draining": 1, "frozen_next_hops": 2},
        },
        {"slot": 1, "state": "waiting", "deaths": 9},
    ],
    "companions": {
        "watch": {
            "slot": 0, "state": "ready", "deaths": 0, "pid": 4713, "up_s": 61, "snapshot": "old",
            "report": {"alerts": 2},
        },
    },
}  # fmt: skip


class Relay:
    """Answers like a supervisor; `requests` is what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "stampline.yaml"
        self.config.write_text("control: {socket: c}\nlisteners: broken, but that is no matter here\n")
        self.requests: list[Mapping[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {"status": STATUS}
        self._loop = asyncio.new_event_loop()
        self._server = ControlServer(folder / "c", self._answer)
        self._thread = threading.Thread(target=self._loop.run_forever)

    async def _answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.requests.append(request)
        if request["do"] == "bypass" and "bypass" in request:
            return {"ok": True, "bypass": request["bypass"]}
        return self.answers[request["do"]]

    def start(self) -> None:
        self._server.lock()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(60)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


@pytest.fixture
def relay() -> Iterator[Relay]:
    with tempfile.TemporaryDirectory() as folder:
        relay = Relay(Path(folder))
        relay.start()
        yield relay
        relay.stop()


def _run(relay: Relay, *arguments: str) -> int:
    return main([*arguments, "--config", str(relay.config)])


def test_status_for_people(relay: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(relay, "status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stampline 0.1.0, process 4711, up since 2026-11-22T10:00:00+00:00"
    assert "last reload: then, REFUSED with 3 problems" in lines
    assert "bypass: ON, everything is relayed unstamped until it is switched off" in lines
    assert "listener in (inbound): 127.0.0.1 port 25" in lines
    assert "DRAINING: no mail is taken until `stampline undrain`" in lines
    assert "FROZEN next hops: 2; `stampline queue frozen` lists them" in lines
    assert [line.split() for line in lines[-3:]] == [
        ["0", "ready", "4712", "3h10m", "2", "in_hand=7"],
        ["1", "waiting", "-", "-", "9", "-"],
        ["watch", "ready", "4713", "1m", "0", "snapshot=old"],
    ]
    assert "ALERTS: 2; `stampline alerts` tells what is wrong" in lines
    assert max(map(len, lines)) <= 80


def test_a_thousand_next_hops_that_stand_still(relay: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    stopped = {f"hop{i}": {"since": f"2026-11-22T10:{i % 60:02}:00+00:00", "reason": "\x1b[2Jno"} for i in range(1000)}
    relay.answers["status"] = STATUS | {"workers": [{"slot": 0, "deaths": 0, "state": "ready",
                                                     "report": {"stopped": stopped}}]}  # fmt: skip
    assert _run(relay, "status") == 0
    printed = capsys.readouterr().out
    assert "... and 980 more" in printed
    assert len(printed.splitlines()) < 40
    assert "\x1b" not in printed


def test_status_tells_of_sent_items_what_is_not_as_it_should_be(
    relay: Relay, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = {"exchange": {"reason": "sign-in", "detail": "401: \x1b[2JUnauthorized"}}
    report = {"waiting": 7, "in_hand": 2, "sent_items_switch": "paused", "stopped_servers": stopped}
    process = {"slot": 0, "state": "ready", "deaths": 0, "pid": 4714, "up_s": 61, "snapshot": "", "report": report}
    relay.answers["status"] = STATUS | {"companions": {"sentitems": process}}
    assert _run(relay, "status") == 0
    printed = capsys.readouterr().out
    assert "SENT ITEMS: paused; `stampline sentitems status` tells more" in printed
    assert "mailbox server exchange is STOPPED, sign-in: 401: " in printed
    assert printed.splitlines()[-1].split() == ["sentitems", "ready", "4714", "1m", "0", "waiting=7", "in_hand=2"]
    assert "\x1b" not in printed


def test_status_for_programs(relay: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(relay, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == STATUS


def test_a_reload_that_worked(relay: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    relay.answers["reload"] = {"ok": True, "snapshot": "def", "problems": []}
    assert _run(relay, "reload") == 0
    assert capsys.readouterr().out == "reloaded: snapshot def\n"


def test_a_reload_that_was_refused_shows_every_problem(relay: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [
        {"file": "/a.yaml", "line": 3, "column": 5, "what": "no such group \x1b[31m", "mend": "write Sales"},
        {"file": "/b.yaml", "line": 1, "column": 1, "what": "no rules", "mend": ""},
    ]
    relay.answers["reload"] = {"ok": False, "snapshot": "abc", "problems": problems, "error": "refused"}
    assert _run(relay, "reload") == 2
    assert capsys.readouterr().err.splitlines() == [
        "stampline: the configuration has 2 problems:",
        "/a.yaml:3:5: no such group \N{REPLACEMENT CHARACTER}[31m (write Sales)",
        "/b.yaml:1:1: no rules",
    ]
    assert _run(relay, "reload", "--json") == 2
    assert json.loads(capsys.readouterr().out)["problems"] == problems


def test_bypass_on_for_a_time(relay: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    before = datetime.now(UTC)
    assert _run(relay, "bypass", "on", "--for", "2h") == 0
    asked = relay.requests[-1]["bypass"]
    until = datetime.fromisoformat(asked["until"])
    assert asked["on"] is True
    assert timedelta(hours=2) <= until - before < timedelta(hours=2, minutes=1)
    assert capsys.readouterr().out == f"bypass: ON, everything is relayed unstamped until {asked['until']}\n"


def test_bypass_until_a_time_has_a_zone(relay: Relay) -> None:
    assert _run(relay, "bypass", "on", "--until", "2026-11-22T18:00+01:00") == 0
    until = datetime.fromisoformat(relay.requests[-1]["bypass"]["until"])
    assert until == datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
    assert _run(relay, "bypass", "on", "--until", "2026-11-22T18:00") == 0
    assert datetime.fromisoformat(relay.requests[-1]["bypass"]["until"]).tzinfo is not None


def test_bypass_off_and_status(relay: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(relay, "bypass", "off") == 0
    assert relay.requests[-1] == {"do": "bypass", "bypass": {"on": False, "until": None}}
    relay.answers["bypass"] = {"ok": True, "bypass": {"on": False, "until": None}}
    capsys.readouterr()
    assert _run(relay, "bypass", "status", "--json") == 0
    assert relay.requests[-1] == {"do": "bypass"}
    assert json.loads(capsys.readouterr().out) == {"on": False, "until": None}


def test_bypass_that_was_not_kept_fails(relay: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    relay.answers["bypass"] = {"ok": False, "error": "no room"}
    assert _run(relay, "bypass", "status") == 1
    assert capsys.readouterr().err == "stampline: no room\n"


@pytest.mark.parametrize("command", [["status"], ["reload"], ["bypass", "on"], ["bypass", "status"]], ids=" ".join)
def test_not_running_is_3(tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "stampline.yaml"
    config.write_text("control: {socket: c}\n")
    assert main([*command, "--config", str(config)]) == 3
    assert "the relay does not run" in capsys.readouterr().err
    assert main([*command, "--socket", str(tmp_path / "c")]) == 3


@pytest.mark.parametrize("text", ["control: {}\n", "[]\n", "control: {socket: [\n"])
def test_a_configuration_without_a_socket_is_2(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "stampline.yaml"
    config.write_text(text)
    assert main(["status", "--config", str(config)]) == 2
    assert str(config) in capsys.readouterr().err


def test_the_environment_names_the_configuration(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPLINE_CONFIG", str(relay.config))
    assert main(["status"]) == 0
    assert relay.requests == [{"do": "status"}]
