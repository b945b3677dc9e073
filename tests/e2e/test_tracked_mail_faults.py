"""Tracked mail while things fail: one conversation, and in the end one copy."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.test_tracked_mail import PROCESSING, Running, message, named, to, tracking_relay
from tests.servers.client import send
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

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
            running.relay.stop()  # which lets what is in hand end
            assert not running.relay.cli_here("queue", "list", "--json", check=False).stdout.count(PROCESSING)
        finally:
            running.relay.clean_up()
        # A copy's own delivery may be repeated, with the same Message-ID.
        assert len({COPY_ID.search(arrived.data)[1] for arrived in to(sink, PROCESSING)}) == 1  # type: ignore[index]


def _last(running: Running, recipient: str) -> bytes:
    wait_until(lambda: to(running.sink, recipient), 60, f"mail for {recipient}")
    return to(running.sink, recipient)[-1].data
