"""The sender finds in Sent Items what the customer received: a whole relay, and mailboxes on this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.sentitems.mailboxes import (
    RULES,
    STAMP,
    TEMPLATES,
    Mailboxes,
    counts,
    message,
    process,
    sent_items,
    submit,
)
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until


@dataclass(frozen=True)
class Running:
    relay: Relay
    sink: Sink
    mailboxes: Mailboxes


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sentitems")
    mailboxes = Mailboxes(folder / "mailboxes", "jane", "john")
    with (
        Sink() as sink,
        running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES,
            organisation=sent_items(mailboxes.settings()),
        ) as relay,
    ):  # fmt: skip
        yield Running(relay, sink, mailboxes)


def test_the_stamped_copy_takes_the_originals_place(running: Running) -> None:
    name = "<replaced@example.com>"
    running.mailboxes.put("jane", message(name))
    submit(running.relay, message(name))
    wait_until(lambda: running.mailboxes.is_stamped("jane", name), 30, lambda: f"a stamped item: {counts(running.relay)}")
    assert STAMP in str(running.sink.arrived[0].data)
