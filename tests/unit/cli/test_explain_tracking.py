"""`stampline explain` of mail that a rule tracks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mta.cli import main
from mta.message.reference import make_reference, references_in
from mta.model.transaction import Transaction
from tests.e2e.test_tracked_mail import KEY, tracking_relay

RULES = "rules:\n- {name: desk, actions: [{track: ticket}]}\n"
REFERENCE = make_reference(KEY, Transaction("default", "case", 7, "abcdefgh"))


def explained(tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: str = "", rules: str = RULES) -> str:
    relay = tracking_relay(tmp_path / "relay", 1, rules)
    message = tmp_path / "message.eml"
    message.write_text(f"From: jane@example.com\nTo: a@customer.example\nMessage-ID: <1@x>\n{fields}\nHello\n")
    addresses = ["--from", "jane@example.com", "--to", "a@customer.example"]
    out = ["--out", str(tmp_path / "out")]
    assert main(["explain", str(message), *addresses, *out, "--config", str(relay.configuration)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("", "rule desk opens a ticket, number 0 in what is shown here; processing@example.com gets a copy"),
        (f"References: <a@b> <{REFERENCE}@c>\n", "rule desk goes on with case-7 (by references)"),
        ("Subject: [Ticket - 12] x\n", "rule desk goes on with ticket-12, which our sender's subject names"),
        (
            "Auto-Submitted: auto-replied\n",
            "rule desk opens nothing and knows none; processing@example.com gets a copy",
        ),
    ],
)
def test_it_says_which_conversation(tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: str, says: str) -> None:
    assert f"tracks: {says}" in explained(tmp_path, capsys, fields)


def test_copies_look_as_they_will_and_their_id_is_worth_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explained(tmp_path, capsys, "Subject: Re: Printer\n")
    shown = (tmp_path / "out" / "group-0.eml").read_text()
    assert "Subject: Re: [Ticket - 000000] Printer" in shown
    assert "X-Stampline-Transaction: <stampline.ticket-0.not-signed@example.com>" in shown
    assert not list(references_in(shown, [KEY], "default"))


def test_what_no_rule_tracks_is_said_to_be_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "tracks:" not in explained(tmp_path, capsys, rules="rules: []\n")


def test_programs_get_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    relay = tracking_relay(tmp_path / "relay", 1, RULES)
    message = tmp_path / "message.eml"
    message.write_text("From: jane@example.com\nTo: a@customer.example\nMessage-ID: <1@x>\n\nHello\n")
    addresses = ["--from", "jane@example.com", "--to", "a@customer.example"]
    assert main(["explain", str(message), *addresses, "--json", "--config", str(relay.configuration)]) == 0
    assert json.loads(capsys.readouterr().out)["tracked"] == {
        "rule": "desk", "transaction": "ticket", "by": "opened", "copy_to": "processing@example.com", "carries": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("track: incident", "tracking has no module 'incident'"),
        ("track: {module: tickets}", "did you mean 'ticket'"),
        ("track: {copies: true}", "unknown key"),
    ],
)
def test_check_finds_what_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, says: str
) -> None:
    relay = tracking_relay(tmp_path / "relay", 1, f"rules:\n- {{name: r, actions: [{{{action}}}]}}\n")
    assert main(["check", "--config", str(relay.configuration)]) == 2
    assert says in capsys.readouterr().out.replace("\n", " ")


def test_check_finds_an_organisation_that_tracks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    relay = tracking_relay(tmp_path / "relay", 1, RULES)
    del relay.settings["organisation"]["tracking"]
    relay.write_settings()
    assert main(["check", "--config", str(relay.configuration)]) == 2
    assert "the organisation tracks nothing" in capsys.readouterr().out
