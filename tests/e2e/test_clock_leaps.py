"""The machine's clock is set three days ahead, and back: nobody's mail is bounced for it, and none is kept waiting."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from tests.servers import shifted_clock
from tests.servers.client import send
from tests.servers.load import simple_message
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

DAYS = 3


class Busy:
    is_busy = True

    def __call__(self, verb: str, argument: str) -> str | None:
        return "450 4.2.1 busy" if self.is_busy and verb == "RCPT" else None


def _attempts(relay: Relay, queue_id: str) -> int:
    return len([event for event in relay.events("deferred") if event["queue_id"] == queue_id])


def test_a_leap_bounces_nothing_and_keeps_nothing_waiting(tmp_path: Path) -> None:
    day, shift, script = datetime.now().astimezone().date(), tmp_path / "shift", Busy()
    shift.write_text("0")
    environment = {"SHIFTED_CLOCK": str(shift), "PYTHONPATH": str(Path(shifted_clock.__path__[0]))}
    retry = {"schedule": ["1s", "1s", "1s"], "expire_after": "2d"}
    with (
        Sink(script) as sink,
        running_relay(tmp_path / "relay", sink.port, retry=retry, environment=environment) as relay,
    ):
        queue_id = send(relay.port, "jane@example.com", ["r@customer.example"], simple_message("kept")).queue_id
        wait_until(lambda: _attempts(relay, queue_id) >= 3, 60, "enough attempts to expire")
        _set(shift, DAYS * 86_400)
        assert relay.wait_for_event("clock-leapt")["by_s"] in range(DAYS * 86_400 - 5, DAYS * 86_400 + 5)
        before = _attempts(relay, queue_id)
        wait_until(lambda: _attempts(relay, queue_id) >= before + 2, 60, "further attempts")
        later = day + timedelta(days=DAYS)
        assert any(path.name >= f"relay_{later.isoformat()}.log" for path in (relay.folder / "log").glob("relay_*.log"))
        _set(shift, 0)
        wait_until(lambda: len(relay.events("clock-leapt")) == 2, 60, "the leap back")
        script.is_busy = False
        sink.wait_for_message(b"<kept@")
        after = send(relay.port, "jane@example.com", ["r@customer.example"], simple_message("after"))
        relay.wait_until_settled(after.queue_id)
        assert relay.events("failed") == []
    assert len(sink.arrived) == 2


def _set(shift: Path, seconds: int) -> None:
    fresh = shift.with_suffix(".new")
    fresh.write_text(str(seconds))
    fresh.replace(shift)
