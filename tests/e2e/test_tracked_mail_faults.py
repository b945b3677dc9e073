"""Tracked mail while things fail: one conversation, and in the end one copy."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_tracked_mail import PROCESSING, Running, message, named, to, tracking_relay
from tests.servers import shifted_clock
from tests.servers.client import send
from tests.servers.relay import Relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port, wait_until

RECIPIENTS = ["a@customer.example", "b@partner.example"]
SHORT, LONG = (
    ("tracking-copy-made",),
    ("tracking-opened", "before-commit", "accepted", "after-delivery", "before-settle", "after-settle"),
)
COPY_ID = re.compile(rb"^Message-ID: (<\S+>)", re.MULTILINE)


def _attempt(running: Running) -> bool:
    """Whether the client got its 250; else it would send again."""
    with suppress(OSError, EOFError, ConnectionError):
        data = message("crash", *RECIPIENTS)
        return send(running.relay.port, "jane@example.com", RECIPIENTS, data).code == 250
    return False


@pytest.mark.parametrize("point", [*SHORT, *(pytest.param(point, marks=pytest.mark.long) for point in LONG)])
def test_death_leaves_one_conversation_and_one_copy(tmp_path: Path, point: str) -> None:
    with Sink() as sink:
        running = Running(tracking_relay(tmp_path / "relay", sink.port), sink)
        try:
            running.relay.start(STAMPLINE_CRASH_AT=point)
            is_taken = _attempt(running)
            wait_until(lambda: running.relay.events("worker-died"), 60, f"a death at {point}")
            running.relay.kill()
            running.relay.start()
            assert is_taken or _attempt(running)
            names = {named(_last(running, recipient)) for recipient in RECIPIENTS}
            assert names == {"ticket-1"}
            wait_until(lambda: to(sink, PROCESSING), 60, "a copy")
            wait_until(
                lambda: PROCESSING not in running.relay.cli_here("queue", "list", "--json").stdout, 60, "its end"
            )
        finally:
            running.relay.clean_up()
        # A copy's own delivery may be repeated, with the same Message-ID.
        assert len({COPY_ID.search(arrived.data)[1] for arrived in to(sink, PROCESSING)}) == 1  # type: ignore[index]


def _last(running: Running, recipient: str) -> bytes:
    wait_until(lambda: to(running.sink, recipient), 60, f"mail for {recipient}")
    return to(running.sink, recipient)[-1].data


def _with_dead_processing_hop(folder: Path, sink: Sink, dead_port: int, retry: dict[str, Any]) -> Relay:
    relay = tracking_relay(folder, sink.port, retry=retry)
    dead = {"name": "dead", "hosts": [{"host": "127.0.0.1", "port": dead_port}], "tls": {"mode": "none"}}
    relay.settings["next_hops"].append(dead)
    relay.settings["routing"]["domains"] = {"example.com": "dead"}
    relay.write_settings()
    return relay


def _attempts(relay: Relay) -> list[dict[str, Any]]:
    return [event for event in relay.events("deferred") if event["next_hop"] == "dead"]


def _waiting_copy(relay: Relay) -> dict[str, Any]:
    (waiting,) = json.loads(relay.cli_here("queue", "list", "--recipient", PROCESSING, "--json").stdout)
    assert isinstance(waiting, dict)
    return waiting


def _arrives_once_when_it_is_back(relay: Relay, sink: Sink, dead_port: int) -> None:
    with Sink(port=dead_port) as revived:
        relay.cli_here("queue", "retry", "--next-hop", "dead")
        wait_until(lambda: to(revived, PROCESSING), 60, "the copy")
        relay.wait_for_event("delivered", next_hop="dead")
        assert len(to(revived, PROCESSING)) == 1
        assert len(to(sink, *RECIPIENTS)) == 2
    assert not relay.events("failed")
    assert not relay.events("own-message-lost")


def test_a_copy_is_never_too_old(tmp_path: Path) -> None:
    dead_port, retry = free_port(), {"schedule": ["1s"], "expire_after": "1s", "warn_after": "1s"}
    with Sink() as sink:
        relay = _with_dead_processing_hop(tmp_path / "relay", sink, dead_port, retry)
        try:
            relay.start()
            original = Running(relay, sink).send("late", *RECIPIENTS)
            relay.wait_until_settled(original)
            wait_until(lambda: len(_attempts(relay)) >= 3, 60, "attempts after its time")
            waiting = _waiting_copy(relay)
            (recipient,) = waiting["recipients"]
            assert (recipient["state"], "refused" in recipient["last_reply"]) == ("queued", True)
            assert waiting["attempts"] >= 3
            _arrives_once_when_it_is_back(relay, sink, dead_port)
        finally:
            relay.clean_up()


@pytest.mark.long
def test_after_days_without_the_processing_mailbox_its_copies_are_still_there(tmp_path: Path) -> None:
    dead_port, shift = free_port(), tmp_path / "shift"
    shift.write_text("0")
    environment = {"SHIFTED_CLOCK": str(shift), "PYTHONPATH": str(Path(shifted_clock.__path__[0]))}
    with Sink() as sink:
        relay = _with_dead_processing_hop(tmp_path / "relay", sink, dead_port, {"schedule": ["1s"] * 3})
        try:
            relay.start(**environment)
            original = Running(relay, sink).send("late", *RECIPIENTS)
            relay.wait_until_settled(original)
            for day in (3, 6, 9):
                before = len(_attempts(relay))
                wait_until(lambda before=before: len(_attempts(relay)) >= before + 4, 90, "attempts")  # type: ignore[misc]
                relay.stop()
                shift.write_text(str(day * 86_400))
                relay.start(**environment)
            assert _waiting_copy(relay)["attempts"] >= 12
            _arrives_once_when_it_is_back(relay, sink, dead_port)
        finally:
            relay.clean_up()
