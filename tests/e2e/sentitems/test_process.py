"""The process that writes to Sent Items: it comes and goes with the configuration, dies, and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.sentitems.mailboxes import (
    RULES,
    STAMP,
    TEMPLATES,
    Mailboxes,
    counts,
    kill_process,
    message,
    process,
    sent_items,
    submit,
)
from tests.servers.relay import Relay, merged, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port, wait_until

CRASH_POINTS = [
    ("sentitem-created", False),
    pytest.param("sentitem-verified", True, marks=pytest.mark.long),
    ("sentitem-removed", False),
    pytest.param("before-job-settle", True, marks=pytest.mark.long),
    pytest.param("after-job-settle", False, marks=pytest.mark.long),
]
"""And whether the process passes it again, when it takes the job up again."""


@pytest.fixture
def mailboxes(tmp_path: Path) -> Mailboxes:
    return Mailboxes(tmp_path / "mailboxes", "jane")


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def reload_with(relay: Relay, changes: dict[str, Any]) -> None:
    """Another configuration of the organisation, in use."""
    relay.settings["organisation"] = merged(relay.settings["organisation"], changes)
    relay.write_settings()
    relay.cli_here("reload")


def put_and_submit(relay: Relay, mailboxes: Mailboxes, name: str) -> None:
    mailboxes.put("jane", message(name))
    submit(relay, message(name))


def until_stamped(relay: Relay, mailboxes: Mailboxes, name: str) -> None:
    wait_until(lambda: mailboxes.is_stamped("jane", name), 60, lambda: f"a stamped item: {counts(relay)}")


@pytest.mark.parametrize(("point", "comes_again"), CRASH_POINTS)
def test_killed_at_any_step_there_is_always_a_copy_and_one_in_the_end(
    point: str, comes_again: bool, tmp_path: Path, sink: Sink, mailboxes: Mailboxes
) -> None:
    name = f"<{point}@example.com>"
    with running_relay(
        tmp_path / "relay", sink.port, rules=RULES, templates=TEMPLATES,
        environment={"STAMPLINE_CRASH_AT": point}, organisation=sent_items(mailboxes.settings()),
    ) as relay:  # fmt: skip
        put_and_submit(relay, mailboxes, name)
        relay.wait_for_event("worker-died", component="sentitems", status="signal SIGKILL")
        assert mailboxes.items("jane", name)
        if comes_again:
            relay.kill()
            relay.start()
        wait_until(lambda: counts(relay) == {"done": 1} or point == "after-job-settle", 60, lambda: str(counts(relay)))
        assert mailboxes.is_stamped("jane", name)


def test_it_comes_and_goes_with_the_configuration_and_mail_flows(
    tmp_path: Path, sink: Sink, mailboxes: Mailboxes
) -> None:
    with running_relay(tmp_path / "relay", sink.port, rules=RULES, templates=TEMPLATES) as relay:
        put_and_submit(relay, mailboxes, "<before@example.com>")
        relay.wait_until_settled()
        assert not process(relay)
        reload_with(relay, sent_items(mailboxes.settings()))
        relay.wait_for_event("worker-ready", component="sentitems")
        assert process(relay)
        put_and_submit(relay, mailboxes, "<with@example.com>")
        until_stamped(relay, mailboxes, "<with@example.com>")
        assert STAMP not in mailboxes.texts("jane", "<before@example.com>")[0]
        reload_with(relay, {"sent_items": None})
        wait_until(lambda: not process(relay), 60, "its end")
        put_and_submit(relay, mailboxes, "<after@example.com>")
        relay.wait_until_settled()
        assert STAMP not in mailboxes.texts("jane", "<after@example.com>")[0]


def test_its_death_stops_no_mail_and_another_one_goes_on(tmp_path: Path, sink: Sink, mailboxes: Mailboxes) -> None:
    with running_relay(
        tmp_path / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=sent_items(mailboxes.settings())
    ) as relay:
        first = kill_process(relay)
        put_and_submit(relay, mailboxes, "<m@example.com>")
        relay.wait_until_settled()
        until_stamped(relay, mailboxes, "<m@example.com>")
        assert process(relay) != first
        assert {event["component"] for event in relay.events("worker-died")} == {"sentitems"}


def test_a_server_that_is_down_loses_no_job_and_another_configuration_has_it_done(
    tmp_path: Path, sink: Sink, mailboxes: Mailboxes
) -> None:
    (tmp_path / "password").write_text("secret word\n")
    imap = {
        "name": "mail", "kind": "imap", "host": "127.0.0.1", "port": free_port(), "tls": {"mode": "none"},
        "user": "stampline", "password": {"file": str(tmp_path / "password")},
    }  # fmt: skip
    with running_relay(
        tmp_path / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=sent_items(imap)
    ) as relay:
        put_and_submit(relay, mailboxes, "<m@example.com>")
        event = relay.wait_for_event("mailbox-server-left-alone", server="mail", reason="server-down")
        assert event["for_s"] > 0
        relay.wait_for_event("sent-item", state="waiting", reason="server-down")
        reload_with(relay, sent_items(mailboxes.settings("other")))
        until_stamped(relay, mailboxes, "<m@example.com>")
        assert "secret word" not in "".join(path.read_text() for path in (tmp_path / "relay/log").iterdir())


def test_a_later_copy_takes_the_place_of_ours(tmp_path: Path, sink: Sink, mailboxes: Mailboxes) -> None:
    rules = yaml.safe_load(RULES)
    rules["rules"].append(
        {"name": "partner", "when": {"recipient": {"domain": "partner.example"}},
         "actions": [{"tag-subject": {"text": "[Partner]"}}]}
    )  # fmt: skip
    with running_relay(
        tmp_path / "relay", sink.port, rules=yaml.safe_dump(rules), templates=TEMPLATES,
        organisation=sent_items(mailboxes.settings(), copies="last"),
    ) as relay:  # fmt: skip
        put_and_submit(relay, mailboxes, "<m@example.com>")
        until_stamped(relay, mailboxes, "<m@example.com>")
        submit(relay, message("<m@example.com>"), "eve@partner.example")
        wait_until(
            lambda: [item["Subject"] for item in mailboxes.items("jane", "<m@example.com>")] == ["[Partner] An offer"],
            60, lambda: f"the later copy: {counts(relay)}",
        )  # fmt: skip
        wait_until(lambda: len(relay.events("sent-item")) == 2, 60, "two log lines")
