"""What `stampline check` says of tracking that would start, and hardly do what is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mta.config.load import examine_configuration
from mta.config.tracking_advice import tracking_advice
from tests.servers.relay import Relay

_KEY = {"env": "HOME"}
_EWS = {"kind": "ews", "user": "x", "password": _KEY, "address": "cases@example.com"}


def advised(folder: Path, **tracking: Any) -> list[str]:
    proof = {"authserv_ids": ["mx.example.com"]}
    said = {"keys": [_KEY], "modules": [{"name": "ticket"}], "rules": "rules", "correlation": proof, **tracking}
    relay = Relay(folder, 1, organisation={"tracking": said})
    try:
        located, problems = examine_configuration(relay.configuration)
        assert not [problem for problem in problems if "schedule" in str(problem) or "is over" in str(problem)]
        findings = [each for each in tracking_advice(located.value) if each.loc[0] == "organisation"]
        assert all(finding.mend for finding in findings)
        return [f"{'.'.join(map(str, finding.loc[2:]))}: {finding.what}" for finding in findings]
    finally:
        relay.clean_up()


def test_copies_that_nobody_reads_templates_that_are_gone_and_what_ends_soon(tmp_path: Path) -> None:
    online = {**_EWS, "name": "cloud", "url": "https://outlook.office365.com/EWS/Exchange.asmx"}
    digest = {"name": "daily", "to": ["a@example.com"], "template": "gone"}
    copies, ends, trouble, daily = advised(
        tmp_path / "a", processing_mailbox="p@example.com", mailboxes=[{**online, "trouble_template": "lost"}],
        digests=[digest],
    )  # fmt: skip
    assert "copies would lie there unread" in copies
    assert ends.startswith("mailboxes.0.url: Exchange Online ends EWS")
    assert trouble.startswith("mailboxes.0.trouble_template: there is no template 'lost'")
    assert daily.startswith("digests.0.template: there is no template 'gone'")


def test_what_is_meant_so_is_not_mentioned(tmp_path: Path) -> None:
    here = {**_EWS, "name": "here", "url": "https://mail.example.com/EWS/Exchange.asmx"}
    assert advised(tmp_path / "b", processing_mailbox="Cases@example.com", mailboxes=[here]) == []


def test_hours_that_are_over_are_mentioned_and_stop_nothing(tmp_path: Path) -> None:
    """The relay would not start any more on the day after."""
    over = {**_EWS, "name": "fair", "url": "https://mail.example.com/EWS/Exchange.asmx"}
    [said] = advised(
        tmp_path / "c", mailboxes=[{**over, "schedule": {"start": "2020-01-01", "end": "2020-01-10"}}]
    )  # fmt: skip
    assert said == "mailboxes.0.schedule.end: 2020-01-10 is over: the mailbox is polled no more"


_ONLINE_IMAP = {"kind": "imap", "host": "outlook.office365.com", "user": "x", "password": _KEY}
_IMAP = {"kind": "imap", "host": "mail.example.com", "user": "x", "password": _KEY}


@pytest.mark.parametrize(
    ("mailbox", "correlation", "is_said"),
    [
        (_IMAP, {}, ""),
        (_IMAP, {"verify_dkim": "never"}, "can write in it in a customer's name"),
        (_IMAP, {"verify_dkim": "never", "authserv_ids": ["mx.example.com"]}, ""),
        (_IMAP, {"verify_dkim": "never", "unproven": "hold"}, "all that belongs to a conversation is held"),
        (_IMAP, {"unproven": "join"}, "can write in it in a customer's name"),
        (_ONLINE_IMAP, {}, "can write in it in a customer's name"),
        (_EWS, {}, "can write in it in a customer's name"),
        (_EWS, {"verify_dkim": "always"}, ""),
        ({**_EWS, "enabled": False}, {}, ""),
    ],
)
def test_a_mailbox_whose_senders_nothing_can_prove_is_mentioned(
    mailbox: dict[str, Any], correlation: dict[str, Any], is_said: str, tmp_path: Path
) -> None:
    """But for the processing mailbox, where copies come with our own proof."""
    url = {"url": "https://mail.example.com/EWS/Exchange.asmx"} if mailbox["kind"] == "ews" else {}
    there = [{**mailbox, **url, "name": "help", "address": "help@example.com"}]
    said = advised(tmp_path / "a", mailboxes=there, correlation=correlation)
    assert [each.startswith("mailboxes.0: nothing proves who wrote") and is_said in each for each in said] == (
        [True] if is_said else []
    )
    copies = advised(tmp_path / "b", mailboxes=there, correlation=correlation, processing_mailbox="Help@example.com")
    assert not [each for each in copies if each.startswith("mailboxes.0")]


def test_an_inbound_listener_that_authenticates_nothing_is_mentioned(tmp_path: Path) -> None:
    """Where mail is tracked at all."""
    relay = Relay(tmp_path / "a", 1, organisation={"tracking": {
        "keys": [_KEY], "modules": [{"name": "ticket"}], "rules": "rules", "processing_mailbox": "p@example.com",
    }})  # fmt: skip
    for mode in ("off", "verify"):
        relay.settings["listeners"].append({
            "name": f"in-{mode}", "address": "192.0.2.1", "port": 1, "role": "inbound",
            "authentication": {"mode": mode},
        })  # fmt: skip
    try:
        relay.write_settings()
        located, _ = examine_configuration(relay.configuration)
        found = [finding.loc for finding in tracking_advice(located.value) if "From is true" in finding.what]
        assert [located.value.listeners[int(loc[1])].name for loc in found] == ["in-off"]
    finally:
        relay.clean_up()
