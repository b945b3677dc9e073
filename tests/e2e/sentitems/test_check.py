"""`stampline sentitems check` as a process that is ended in the middle: it takes its test item along."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.peers.ews import EwsServer, ews_server
from tests.servers.relay import Relay
from tests.servers.wait import wait_until

JANE = "jane@example.com"


@pytest.fixture
def exchange() -> Iterator[EwsServer]:
    with ews_server() as server:
        server.add_mailbox(JANE, keeps_deleted=False)
        server.add_account("EXAMPLE\\svc", "secret", impersonates=["*"])
        yield server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_who_is_told_to_end_removes_its_item(exchange: EwsServer, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "password").write_text("secret")
    server = {
        "name": "exchange", "kind": "ews", "url": exchange.url, "sign_in": "basic", "user": "EXAMPLE\\svc",
        "password": {"file": str(tmp_path / "password")}, "tls": {"ca_file": str(exchange.ca_file)},
    }  # fmt: skip
    relay = Relay(tmp_path / "relay", 25, organisation={"sent_items": {"servers": [server]}})
    exchange.fail("slow", operation="GetItem", delay_s=100)
    command = [sys.executable, "-m", "mta", "sentitems", "check", "--mailbox", JANE]
    command += ["--config", str(relay.configuration)]
    # What runs in the background of a script inherits that Ctrl-C is ignored, and so would the command.
    as_in_a_terminal = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=as_in_a_terminal
    ) as process:
        wait_until(lambda: "GetItem" in [each.operation for each in exchange.log()], 60, "the test item to be read")
        process.send_signal(number)
        wait_until(lambda: not exchange.items(JANE), 60, "the test item to be removed")
        exchange.heal()
        out, err = process.communicate(timeout=60)
    assert process.returncode in (1, 130)
    assert "was broken off" in out
    assert "it was removed" in out
    assert "Traceback" not in err
    assert exchange.items(JANE) == []
