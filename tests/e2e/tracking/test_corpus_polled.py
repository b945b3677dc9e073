"""The whole corpus in a monitored mailbox: whatever it is, it ends in a decided state, and the process lives on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.tracking.maildirs import Maildirs, tracking
from tests.servers.processes import peak_rss_mb
from tests.servers.relay import running_relay
from tests.servers.wait import free_port, wait_until
from tests.shared import corpus

pytestmark = [pytest.mark.corpus, pytest.mark.long]
STATES = {"joined", "pending", "filtered", "report", "unmatched"}


def test_each_message_ends_in_a_decided_state(tmp_path: Path) -> None:
    boxes = Maildirs(tmp_path / "boxes", "help")
    paths = {boxes.put("help", each.data).name: each.path for each in corpus()}
    organisation = tracking(tmp_path / "desk", boxes.settings("help", poll={"messages": 500}))
    with running_relay(tmp_path / "relay", free_port(), organisation=organisation) as relay:
        wait_until(lambda: not boxes.waiting("help"), 200, lambda: f"an empty mailbox; {len(boxes.waiting('help'))}")
        wait_until(lambda: len(relay.events("mailbox-message")) == len(paths), 60, "a line for each")
        ends = Counter((event["state"], event["reason"]) for event in relay.events("mailbox-message"))
        pids = {event["pid"] for event in relay.events("started") if event["component"] == "tracking"}
        print(f"{len(paths)} messages, {peak_rss_mb(*pids):.0f} MB at most: {ends}")
        assert {state for state, _ in ends} <= STATES
        assert not relay.events("worker-died", "internal-error", "mailbox-message-failed", "mailbox-message-set-aside")
        assert len(boxes.folder_of("help", "StamplineProcessed")) == len(paths)
