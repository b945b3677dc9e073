"""Faults of this machine while Sent Items are written: its disk, its clock, its configuration; and who keeps none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sentitems.faulty import Clock, exchanges
from tests.e2e.sentitems.mailboxes import (
    RULES,
    TEMPLATES,
    Mailboxes,
    counts,
    message,
    process,
    sent_items,
    submit,
)
from tests.servers.client import send
from tests.servers.faults import failing
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

_DAY = 86_400


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def _until_stamped(relay: Relay, mailboxes: Mailboxes, name: str) -> None:
    wait_until(lambda: mailboxes.is_stamped("jane", name), 60, lambda: f"a stamped item: {counts(relay)}")


def test_a_store_that_takes_no_results_makes_no_second_item_and_ends_well(tmp_path: Path, sink: Sink) -> None:
    mailboxes = Mailboxes(tmp_path / "mailboxes", "jane")
    with running_relay(
        tmp_path / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=sent_items(mailboxes.settings())
    ) as relay:
        pid = wait_until(lambda: process(relay), 60, "the process")
        mailboxes.put("jane", message("<m@example.com>"))
        with failing(pid, "fdatasync", "error=EIO", relay.folder / "spool" / "spool.db-wal"):
            submit(relay, message("<m@example.com>"))
            wait_until(lambda: relay.events("spool-closed"), 60, "the store's fault")
        _until_stamped(relay, mailboxes, "<m@example.com>")
        relay.wait_for_event("sent-item", message_id="<m@example.com>", state="done")
        assert process(relay) == pid
        assert send(relay.port, "jane@example.com", ["bob@example.net"], message("<after@example.com>")).code == 250


@pytest.mark.long
def test_a_clock_that_leaps_a_day_and_back_gives_nothing_up(tmp_path: Path, sink: Sink) -> None:
    mailboxes, clock = Mailboxes(tmp_path / "mailboxes", "jane"), Clock(tmp_path / "shift")
    with running_relay(
        tmp_path / "relay", sink.port, rules=RULES, templates=TEMPLATES, environment=clock.environment,
        organisation=sent_items(mailboxes.settings()),
    ) as relay:  # fmt: skip
        submit(relay, message("<late@example.com>"))
        relay.wait_for_event("sent-item", state="waiting", reason="not-found")
        for leap in (2 * _DAY, -2 * _DAY):
            before = len(relay.events("clock-leapt"))
            clock.forward(leap)
            wait_until(lambda before=before: len(relay.events("clock-leapt")) > before, 60, "the leap")  # type: ignore[misc]
        mailboxes.put("jane", message("<late@example.com>"))
        relay.cli_here("sentitems", "retry", "--all")
        _until_stamped(relay, mailboxes, "<late@example.com>")
        assert counts(relay) == {"done": 1}


def test_jobs_that_wait_when_sent_items_goes_wait_until_it_comes_again(tmp_path: Path, sink: Sink) -> None:
    mailboxes = Mailboxes(tmp_path / "mailboxes", "jane")
    settings = sent_items(mailboxes.settings())
    with running_relay(
        tmp_path / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=settings
    ) as relay:  # fmt: skip
        submit(relay, message("<m@example.com>"))
        relay.wait_for_event("sent-item", state="waiting", reason="not-found")
        relay.settings["organisation"]["sent_items"] = None
        relay.write_settings()
        relay.cli_here("reload")
        wait_until(lambda: not process(relay), 60, "the end of the process")
        mailboxes.put("jane", message("<m@example.com>"))
        relay.settings["organisation"] |= settings
        relay.write_settings()
        relay.cli_here("reload")
        _until_stamped(relay, mailboxes, "<m@example.com>")


@pytest.mark.long
@pytest.mark.parametrize("how_many", [20, 1000])
def test_who_keeps_no_sent_items_is_looked_for_once_a_message(tmp_path: Path, how_many: int) -> None:
    """A printer."""
    with exchanges(tmp_path, ["print"]) as site:
        printer = site.mailbox("print")
        relay = site.relay
        relay.settings["organisation"]["sent_items"]["search_for"] = "0s"
        relay.write_settings()
        relay.cli_here("reload")
        for _ in range(3):
            name = site.send(printer, is_kept=False)
            relay.wait_for_event("sent-item", message_id=name, state="given-up", reason="not-found")
        site.exchange.forget()
        names = [site.send(printer, is_kept=False) for _ in range(how_many)]
        wait_until(lambda: counts(relay).get("skipped/not-found") == how_many, 120, lambda: str(counts(relay)))
        assert len(site.requests(printer)) <= len(names) + 1
        assert json.loads(relay.cli_here("sentitems", "list", "--json").stdout)
