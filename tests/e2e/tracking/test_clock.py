"""The clock of the real process leaps: what time does to records waits until it is known to be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.tracking.maildirs import Maildirs, message, titles, tracking
from tests.servers import shifted_clock
from tests.servers.relay import running_relay
from tests.servers.wait import free_port, wait_until

RULES = """\
rules:
  - name: new
    when: {outcome: new}
    actions: [create, note]
  - name: late
    when: {state: open, older_than: 12h}
    actions: [close]
"""


@pytest.mark.long  # it looks at records once a minute
def test_a_leap_closes_no_records_and_makes_one_digest(tmp_path: Path) -> None:
    shift, boxes = tmp_path / "shift", Maildirs(tmp_path / "boxes", "help")
    shift.write_text("0")
    environment = {"SHIFTED_CLOCK": str(shift), "PYTHONPATH": str(Path(shifted_clock.__path__[0]))}
    account = {"name": "out", "kind": "smtp", "host": "127.0.0.1", "port": free_port(), "tls": {"mode": "none"}}
    organisation = tracking(
        tmp_path / "desk", boxes.settings("help"), digests=[{"name": "open", "to": ["a@example.net"]}],
        accounts=[{**account, "senders": ["help@example.com"]}],
    )  # fmt: skip
    (tmp_path / "desk" / "rules" / "10-desk.yaml").write_text(RULES)
    boxes.put("help", message(1))
    with running_relay(tmp_path / "relay", free_port(), organisation=organisation, environment=environment) as relay:
        wait_until(lambda: not boxes.waiting("help"), 60, "the record")
        shift.write_text(str(3 * 86_400))
        wait_until(lambda: len(relay.events("clock-leapt")) == 2, 60, "the leap, of the worker and of ours")
        digest = relay.wait_for_event("tracking-digest", 90)
        assert digest["records"] == 1
        wait_until(lambda: titles(relay)["Printer 1"] == 1, 60, "the record")
        shift.write_text("0")
        wait_until(lambda: any(event["by_s"] < 0 for event in relay.events("clock-leapt")), 60, "the leap back")
        assert not relay.events("tracking-rule-timed")
        assert not relay.events("tracking-forgotten")
