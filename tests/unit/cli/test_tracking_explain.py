"""`stampline tracking explain`: what would become of a message, and that nothing does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mta.adapters.directory import open_directory
from mta.adapters.store.tracking import SqliteTrackingStore
from mta.app.desks import desks_of, directories_of
from mta.cli import main
from mta.config.load import load_configuration
from mta.model.record import RecordFilter
from mta.ports.clock import SystemClock
from mta.tracking.intake import take
from tests.servers.dns import dns_server
from tests.servers.relay import Relay
from tests.unit.tracking.correlate.signed_mail import PUBLISHED, policy_of, signed
from tests.unit.tracking.record.rule_desk import ACCOUNT, DESK_RULES
from tests.unit.tracking.scene import ANNA, NOW, SUPPORT, mail

ESCAPE = "\x1b[31m"


@pytest.fixture
def config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A configuration and a store in which a ticket stands."""
    relay = Relay(tmp_path, 9)
    (tmp_path / "tracking.key").write_bytes(b"a tracking key that is only for tests")
    relay.settings["organisation"]["tracking"] = {
        "keys": [{"file": "tracking.key"}],
        "modules": [{"name": "ticket", "owner": "jane@example.com"}],
        "rules": str(DESK_RULES),
        "mailboxes": [{"name": "support", "kind": "maildir", "address": SUPPORT, "path": "box"}],
        "accounts": [ACCOUNT],
        "correlation": {"verify_dkim": "never"},
    }
    relay.write_settings()
    asyncio.run(take_one(relay.configuration, mail()))
    capsys.readouterr()
    return relay.configuration


async def take_one(path: Path, data: bytes) -> None:
    configuration = load_configuration(path)
    (desk,) = desks_of(configuration, directories_of(configuration, {}, open_directory)).values()
    store = await SqliteTrackingStore.open(configuration.spool.folder, works=True, patient=False, clock=SystemClock())
    await take(data, desk.settings.mailboxes[0], desk, store, NOW)
    await store.close()


async def notes_of(path: Path) -> int:
    folder = load_configuration(path).spool.folder
    store = await SqliteTrackingStore.open(folder, works=False, patient=False, clock=SystemClock())
    found = [record.notes for _, record in await store.records(RecordFilter())]
    await store.close()
    return sum(found)


def explain(config: Path, message: bytes, *arguments: str) -> int:
    file = config.parent / "message.eml"
    file.write_bytes(message.replace(b"\r\n", b"\n"))
    return main(["tracking", "explain", str(file), "--config", str(config), *arguments])


CUSTOMER = ANNA.partition("@")[2]
ANSWER: dict[str, Any] = {"message_id": "<2@customer.example.net>", "references": "<new-1@customer.example.net>"}


def test_an_answer_and_which_test_decided(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, mail(**ANSWER)) == 0
    shown = capsys.readouterr().out
    assert "belongs   joined, by known-reference: ticket-1" in shown
    assert "  – new-ticket (10-desk.yaml:13)\n      outcome: new: joined" in shown
    assert "  ✔ answer (10-desk.yaml:" in shown
    assert "  note of kind received by Anna, public: The printer still prints nothing." in shown
    assert "  notice to jane@example.com, our own words" in shown
    assert asyncio.run(notes_of(config)) == 1


def test_what_proves_its_author_or_why_nothing_does(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, mail(**ANSWER)) == 0
    unasked = "not proven: no server of authserv_ids says it, and we verify no signatures here"
    assert f"author    {unasked}\n" in capsys.readouterr().out
    with dns_server({**PUBLISHED, **policy_of(CUSTOMER)}) as dns:
        settings = yaml.safe_load(config.read_text()) | {"dns": {"servers": [dns.address], "timeout": "60s"}}
        del settings["organisation"]["tracking"]["correlation"]
        config.write_text(yaml.safe_dump(settings))
        unsigned = f"{CUSTOMER} has a DMARC policy, and the message has no DKIM signature"
        for data, said, outcome in (
            (signed(mail(**ANSWER), CUSTOMER), f"proven: DKIM signature of {CUSTOMER}", "joined"),
            (mail(**ANSWER), f"not proven: {unsigned}", "pending"),
            (mail(message_id="<3@x.example>"), f"not proven: {unsigned} (nothing depends on it here)", "new"),
        ):
            assert explain(config, data, "--json") == 0
            told = json.loads(capsys.readouterr().out)
            assert (told["author"], told["outcome"]) == (said, outcome)


def test_json_says_the_same(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, mail(**ANSWER), "--json", "--mailbox", "support") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["transaction"], told["filtered"]) == ("joined", "ticket-1", "")
    assert [rule["rule"] for rule in told["rules"] if rule["matched"]] == ["answer"]
    assert [(each["change"], each["kind"], each["author"]) for each in told["changes"]] == [
        ("AddNote", "received", ANNA)
    ]
    assert told["notices"] == [{"rule": "answer", "to": "jane@example.com", "why_not": "", "template": ""}]


def test_other_rules_can_be_tried(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "1.yaml").write_text("rules: [{name: mine, actions: [close, {update: {owner: '{subject}'}}]}]")
    assert explain(config, mail(**ANSWER), "--rules", str(folder)) == 0
    shown = capsys.readouterr().out
    assert "updates ticket-1: state = closed" in shown
    assert "FAILS: update: owner of rule mine: not-an-address" in shown


def test_what_is_filtered_comes_to_no_rule(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, mail(subject="Out of Office", message_id="<3@x.example>")) == 0
    shown = capsys.readouterr().out
    assert "filters   left out: preset-subject" in shown
    assert "rules" not in shown


def test_what_was_taken_before_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, mail()) == 0
    assert "joined (rule). Nothing would be done; if it were new:" in capsys.readouterr().out


def test_nothing_of_a_message_steers_the_terminal(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = mail(
        f'"{ESCAPE}x" <{ANNA}>', subject=f"{ESCAPE}\u202ex", body=f"{ESCAPE}\r\n", message_id="<4@x.example>"
    )
    assert explain(config, hostile) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--mailbox", "suport"], 2, "support"),
        (["--rules", "/nowhere"], 2, "/nowhere:0:0: cannot read: No such file or directory (correct the path)"),
    ],
)
def test_mistakes(config: Path, arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, mail(), *arguments) == code
    assert told in capsys.readouterr().err


def test_a_file_that_is_not_there(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tracking", "explain", "/nowhere.eml", "--config", str(config)]) == 1
    assert "cannot read /nowhere.eml: No such file or directory" in capsys.readouterr().err
