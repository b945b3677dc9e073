"""Alerts of a whole relay: told by mail and in the log, shown by the command, and over when it is mended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers.client import send
from tests.servers.processes import children, command_line
from tests.servers.relay import Relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port, wait_until

QUICK = {"look_every": "1s", "queue_age": "1s", "next_hop_stopped": "1s", "forgotten": "1s"}
MAIL = b"From: jane@example.com\r\nTo: bob@example.net\r\nSubject: x\r\n\r\nhello\r\n"


def command(relay: Relay, *arguments: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "mta", "alerts", *arguments, "--json", "--config", str(relay.configuration)],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout)


def subjects(sink: Sink) -> list[str]:
    lines = [line for each in sink.arrived for line in each.data.decode().splitlines()]
    return [line for line in lines if line.startswith("Subject:")]


def test_mail_that_waits_is_told_of_and_that_it_is_over(tmp_path: Path) -> None:
    with Sink() as operator:
        alerts = {**QUICK, "mail": {"to": ["ops@example.org"], "host": "127.0.0.1", "port": operator.port}}
        relay = Relay(tmp_path / "relay", free_port(), alerts=alerts)
        try:
            relay.start()
            send(relay.port, "jane@example.com", ["bob@example.net"], MAIL)
            wait_until(lambda: any("mail waits" in s for s in subjects(operator)), 60, lambda: "an alert by mail")
            code, current = command(relay)
            assert code == 1
            assert "queue-age" in {trouble["kind"] for trouble in current}
            subprocess.run(
                [sys.executable, "-m", "mta", "queue", "delete", "--all", "--config", str(relay.configuration)],
                check=True, timeout=60,
            )  # fmt: skip
            wait_until(lambda: any("Over: mail waits" in s for s in subjects(operator)), 60, lambda: "its end")
        finally:
            relay.clean_up()


def test_a_refused_reload_and_forgotten_orders_are_told_of_until_they_are_mended(tmp_path: Path) -> None:
    relay = Relay(tmp_path / "relay", free_port(), alerts=QUICK)
    try:
        relay.start()
        good = relay.configuration.read_text()
        relay.configuration.write_text(good + "\nnonsense: 1\n")
        relay.reload()
        relay.wait_for_event("reload-refused")
        relay.cli_here("bypass", "on", "--socket", str(relay.settings["control"]["socket"]))
        relay.configuration.write_text(good)
        relay.cli_here("queue", "freeze", "out")
        relay.cli_here("drain")
        wanted = {"reload-refused", "bypass", "frozen", "draining"}
        wait_until(lambda: wanted <= kinds(relay), 60, lambda: f"alerts; there are {kinds(relay)}")
        wait_until(lambda: "ALERTS: 4" in relay.cli_here("status").stdout, 60, "a status that counts them")
        for order in (["bypass", "off"], ["queue", "thaw", "out"], ["undrain"]):
            relay.cli_here(*order)
        relay.reload()
        wait_until(lambda: command(relay) == (0, []), 60, lambda: "its end")
    finally:
        relay.clean_up()


def test_whoever_watches_may_die_and_mail_goes_on(tmp_path: Path) -> None:
    with Sink() as sink:
        relay = Relay(tmp_path / "relay", sink.port, alerts=QUICK)
        try:
            relay.start()
            # A file that was broken since is no obstacle: what is in use is what counts.
            relay.configuration.write_text(relay.configuration.read_text() + "\nnonsense: 1\n")
            first = wait_until(lambda: watching(relay), 60, "a process that watches")
            os.kill(first, signal.SIGKILL)
            send(relay.port, "jane@example.com", ["bob@example.net"], MAIL)
            wait_until(lambda: sink.arrived, 60, "the mail")
            wait_until(lambda: watching(relay) not in (0, first), 60, "its successor")
        finally:
            relay.clean_up()


def watching(relay: Relay) -> int:
    """The process that watches; 0 where there is none."""
    return next((pid for pid in children(relay.pid) if "_watch" in command_line(pid)), 0)


def kinds(relay: Relay) -> set[str]:
    return {trouble["kind"] for trouble in command(relay)[1]}


def test_a_test_goes_out_by_every_channel(tmp_path: Path) -> None:
    with Sink() as operator:
        alerts = {
            "mail": {"to": ["ops@example.org"], "host": "127.0.0.1", "port": operator.port},
            "webhook": {"url": f"http://127.0.0.1:{free_port()}/"},
        }
        relay = Relay(tmp_path / "relay", free_port(), alerts=alerts)
        code, results = command(relay, "--test")
        assert code == 1  # nobody answers the webhook
        assert results["mail"] == {"ok": True, "error": ""}
        assert not results["webhook"]["ok"]
        assert "Test: this is a test" in subjects(operator)[0]
