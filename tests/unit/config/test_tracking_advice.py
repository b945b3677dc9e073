"""What `stampline check` says of tracking that would start, and hardly do what is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mta.config.load import examine_configuration
from mta.config.tracking_advice import tracking_advice
from tests.servers.relay import Relay

_KEY = {"env": "HOME"}
_EWS = {"kind": "ews", "user": "x", "password": _KEY, "address": "cases@example.com"}


def advised(folder: Path, **tracking: Any) -> list[str]:
    said = {"keys": [_KEY], "modules": [{"name": "ticket"}], "rules": "rules", **tracking}
    relay = Relay(folder, 1, organisation={"tracking": said})
    try:
        located, problems = examine_configuration(relay.configuration)
        assert not [problem for problem in problems if "schedule" in str(problem) or "is over" in str(problem)]
        findings = list(tracking_advice(located.value))
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
