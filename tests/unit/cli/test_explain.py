"""`stampline explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mta.cli import main
from tests.servers.dns import dns_server
from tests.unit.cli.installation import demonstration

MESSAGE = (
    b"From: Jane Doe <jane.doe@example.com>\nTo: john.roe@example.com\nCc: buyer@customer.example\n"
    b"Subject: Offer 7\nDate: Mon, 23 Nov 2026 10:00:00 +0000\nMessage-ID: <7@example.com>\n"
    b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nHere it is.\n"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return demonstration(tmp_path)


@pytest.fixture
def message(tmp_path: Path) -> Path:
    path = tmp_path / "message.eml"
    path.write_bytes(MESSAGE)
    return path


def explain(config: Path, message: Path, *more: str) -> int:
    recipients = ["--to", "john.roe@example.com", "--to", "buyer@customer.example"]
    return main(
        ["explain", str(message), "--from", "jane.doe@example.com", *recipients, "--config", str(config), *more]
    )


def test_each_rule_is_explained_for_each_recipient(
    config: Path, message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(config, message) == 0
    text = capsys.readouterr().out
    inside, outside, groups = text.split("\n\n")[1:4]
    assert inside.startswith("john.roe@example.com: internal, to, next hop maildirs, group 0\n")
    assert outside.startswith("buyer@customer.example: outbound, cc, next hop maildirs, group 1\n")
    assert "signature-external: not applied\n    decided by direction: outbound\n    with: internal" in inside
    assert "signature-external: applied\n    because direction: outbound; sender.scope: internal;" in outside
    assert "jane.doe@example.com is in everyone, sales" in inside
    assert "group 1: buyer@customer.example: stamp (signature-external), set-header (signature-external)" in groups


def test_copies_are_written_stamped_and_signed(
    config: Path, message: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert explain(config, message, "--out", str(out), "--json") == 0
    files = json.loads(capsys.readouterr().out)["files"]
    inside, outside = Path(files["0"]).read_bytes(), Path(files["1"]).read_bytes()
    assert b"X-Department: Sales\r\n" in outside
    assert b"X-Department" not in inside
    assert b"Jane Doe | +44 20 7946 0101" in inside
    assert b"Account Manager" in outside
    assert all(copy.startswith(b"DKIM-Signature:") for copy in (inside, outside))
    assert all(b"Subject: Offer 7\r\n" in copy and b"Here it is.\r\n" in copy for copy in (inside, outside))


def test_as_json(config: Path, message: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, message, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    steps = {step["rule"]: step for step in answer["recipients"][1]["rules"]}
    assert steps["signature-external"]["verdict"] == "applied"
    assert steps["signature-external"]["actions"] == ["stamp: corporate", "set-header: X-Department"]
    assert steps["confidential-hold-large"]["value"] == "the subject is 'Offer 7'"
    assert [action["kind"] for action in answer["groups"]["1"]] == ["stamp", "set-header"]


def test_a_listener_changes_who_is_believed(config: Path, message: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, message, "--listener", "inbound", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [entry["direction"] for entry in answer["recipients"]] == ["inbound", "forwarded"]


def test_what_a_listener_refuses_no_rule_sees(config: Path, message: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, message, "--listener", "inbound") == 0
    inside, outside = capsys.readouterr().out.split("\n\n")[1:3]
    assert "refuses" not in inside
    assert "  listener inbound refuses this recipient: 550 5.7.1 Relaying denied; no rule is asked\n" in outside


def test_a_copy_that_comes_back_is_recognised_by_our_mark(
    config: Path, message: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(config, message, "--out", str(tmp_path / "out")) == 0
    assert "our valid mark" not in capsys.readouterr().out
    copy = tmp_path / "out" / "group-1.eml"
    assert explain(config, copy) == 0
    assert "it carries our valid mark and is passed on as it is" in capsys.readouterr().out
    assert explain(config, copy, "--json", "--listener", "inbound") == 0
    assert json.loads(capsys.readouterr().out)["already_processed"] is False


def test_a_stamp_that_is_left_out_is_told_with_the_reason(
    config: Path, message: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message.write_bytes(MESSAGE.replace(b"text/plain; charset=utf-8", b"application/pdf"))
    assert explain(config, message) == 0
    assert "\n  stamp corporate left out: " in capsys.readouterr().out
    people = config.parent / "people.yaml"
    people.write_text(people.read_text().replace("      displayName: Jane Doe\n", ""))
    message.write_bytes(MESSAGE)
    assert explain(config, message) == 0
    assert "\n  rule signature-external failed: " in capsys.readouterr().out


def test_a_refusal_for_all_is_told(config: Path, message: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = config.parent.parent / "rules" / "00-stop.yaml"
    rules.write_text("rules:\n  - name: stop\n    actions: [{reject: {text: Not today}}]\n")
    assert explain(config, message) == 0
    assert "refused for all recipients: 550 5.7.1 Not today\n" in capsys.readouterr().out


def test_the_hour_can_be_chosen(config: Path, message: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = config.parent.parent / "rules" / "00-night.yaml"
    rules.write_text("rules:\n  - {name: night, active: {hours: '22:00-06:00'}, actions: [{hold: {}}]}\n")
    for at, verdict in (("2026-11-23T23:30+00:00", "applied"), ("2026-11-23T12:00+00:00", "not in force now")):
        assert explain(config, message, "--at", at, "--json") == 0
        steps = json.loads(capsys.readouterr().out)["recipients"][0]["rules"]
        assert (steps[0]["rule"], steps[0]["verdict"]) == ("night", verdict)


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        (["--listener", "nowhere"], 2, "no listener is called 'nowhere'; there are submission, inbound"),
        (["--to", "nobody"], 2, "'nobody' is no address"),
        (["--at", "noon"], 2, "'noon' is no time"),
    ],
)
def test_wrong_use(
    config: Path, message: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, text: str
) -> None:
    assert explain(config, message, *more) == code
    assert text in capsys.readouterr().err


def test_a_message_that_is_not_there(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(config, tmp_path / "absent.eml") == 1
    assert "cannot read" in capsys.readouterr().err


def values(capsys: pytest.CaptureFixture[str], rule: str) -> list[str]:
    answer = json.loads(capsys.readouterr().out)
    steps = [step for recipient in answer["recipients"] for step in recipient["rules"] if step["rule"] == rule]
    return [f"{step['verdict']}: {step['test']}: {step['value']}" for step in steps]


CIRCUMSTANCES = """rules:
  - name: way
    when:
      - client: {network: 10.0.0.0/8, tls: true, helo: "mx.*", authenticated_as: "app*"}
      - authentication: {spf: softfail, dmarc: fail, dkim_domain: customer.example}
      - time: {weekdays: sun}
    actions: [hold: {reason: way}]
  - name: first
    when: {recipient: {first_contact: true}}
    actions: [hold: {reason: first}]
"""


def test_circumstances_are_told_on_the_command_line(
    config: Path, message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent.parent / "rules" / "00-way.yaml").write_text(CIRCUMSTANCES)
    told = ["--client", "10.1.2.3", "--tls", "--helo", "mx.example.net", "--authenticated-as", "app7"]
    told += ["--auth", "spf=softfail", "--auth", "dmarc=FAIL", "--auth", "dkim_domain=customer.example"]
    told += ["--at", "2026-11-22T10:00+00:00", "--known-contact", "<buyer@customer.example>", "--json"]
    assert explain(config, message, *told) == 0
    out = capsys.readouterr().out
    assert explain(config, message, "--json") == 0
    assert values(capsys, "way")[0] == "not applied: client.network: 10.0.0.0/8: it is 127.0.0.1"
    steps = [step for recipient in json.loads(out)["recipients"] for step in recipient["rules"]]
    assert [step["verdict"] for step in steps if step["rule"] == "way"] == ["applied", "applied"]
    assert [step["verdict"] for step in steps if step["rule"] == "first"] == ["applied", "not applied"]


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (["--client", "exchange"], "'exchange' is no IP address"),
        (["--auth", "spf=bad"], "'spf=bad' is no result: write spf, dkim"),
        (["--auth", "dkim_domain="], "is no result"),
        (["--known-contact", "bob"], "'bob' is no address"),
    ],
)
def test_circumstances_that_cannot_be(
    config: Path, message: Path, told: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(config, message, *told) != 0
    assert what in capsys.readouterr().err


def test_dns_is_asked_where_that_is_wanted(config: Path, message: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = {
        "example.com": [("TXT", "v=spf1 ip4:192.0.2.7 -all")],
        "_dmarc.example.com": [("TXT", "v=DMARC1; p=reject")],
    }
    with dns_server(records) as server:
        with config.open("a") as file:
            file.write(f"dns:\n  servers: ['{server.address}']\n")
        asked = ["--auth", "ask", "--listener", "inbound", "--client"]
        assert explain(config, message, *asked, "192.0.2.7") == 0
        text = capsys.readouterr().out
        assert "spf: pass for example.com\ndkim: none\ndmarc: pass for example.com\narc: none\n" in text
        assert explain(config, message, *asked, "192.0.2.8", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["authentication"]["spf"], found["authentication"]["dmarc"]) == ("fail", "fail")


def test_what_our_server_passes_on_for_a_stranger_is_told(
    config: Path, message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["explain", str(message), "--from", "x@stranger.example", "--to", "buyer@customer.example"]
    assert main([*told, "--config", str(config)]) == 0
    text = capsys.readouterr().out
    assert "it has our domain in From or Sender but comes from outside (reverse-path): nobody vouches for it" in text
    assert "buyer@customer.example: forwarded, cc" in text


def test_what_a_stranger_quotes_keeps_no_warning_out_here_either(
    config: Path, message: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = MESSAGE.replace(b"jane.doe@example.com", b"x@stranger.example").replace(b"/plain", b"/html")
    message.write_bytes(foreign)
    out = tmp_path / "out"
    arguments = ["--from", "x@stranger.example", "--to", "john.roe@example.com", "--config", str(config)]
    inbound = [*arguments, "--listener", "inbound"]
    assert main(["explain", str(message), *inbound, "--out", str(out)]) == 0
    stamped = (out / "group-0.eml").read_bytes().partition(b"\r\n\r\n")[2]
    message.write_bytes(foreign + b"<blockquote type=cite>" + stamped + b"</blockquote>")
    capsys.readouterr()
    for listener in (inbound, arguments):
        assert main(["explain", str(message), *listener]) == 0
        shown = capsys.readouterr().out
        assert "stamp (warn-of-strangers)" in shown
        assert "left out" not in shown
