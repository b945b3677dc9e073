"""Tests of attachments in rules: about one and the same attachment, about each, about all together."""

from __future__ import annotations

import pytest

from mta.config.problems import ConfigurationError
from mta.message.attachments import libmagic
from mta.relay.decide import Trace
from tests.unit.message.attachment_samples import HEADER, PDF, PE, PNG, TEXT, mixed, part, zipped
from tests.unit.relay.decide.situation import Situation, rule, rules

PLAIN = HEADER + b"\r\nHello"
TWO = mixed(TEXT, part(PDF, "bill.pdf"), part(PE, "holiday.jpg"))
ZIPPED = mixed(TEXT, part(zipped(["a.txt"]), "plain.zip"), part(zipped(["b.exe"], flags=1), "secret.zip"))
PICTURES = mixed(TEXT, part(PNG, "a.png"), part(PNG, "b.png"))


def outcome(raw: bytes, condition: str) -> tuple[bool, str]:
    """Whether the condition holds, and the value that an explanation shows."""
    header, _, body = raw.decode("ascii").partition("\r\n\r\n")
    kind = header.partition("Content-Type: ")[2]
    situation = Situation(header={"MIME-Version": "1.0", "Content-Type": kind}, body=body)
    text, trace = rule(f"when: [{condition}]"), Trace()
    applied = situation.decide(text, trace).rules
    return bool(applied[0]), trace.steps(rules(text), 0)[0].value


@pytest.mark.parametrize(
    ("raw", "condition", "holds"),
    [
        (PLAIN, "{attachments: any}", False),
        (PLAIN, "{attachments: none}", True),
        (TWO, "{attachments: any}", True),
        (TWO, "{attachments: {count: {over: 1}}}", True),
        (TWO, "{attachments: {type: application/pdf}}", True),
        (TWO, "{attachments: {type: [image/*, text/*]}}", False),
        (TWO, "{attachments: {type: application/x-msdownload}}", True),
        (TWO, "{attachments: {extension: jpg, executable: true}}", True),
        (TWO, "{attachments: {extension: pdf, executable: true}}", False),
        (TWO, "{attachments: {name: 'HOLI*', mismatch: true}}", True),
        (TWO, "{attachments: {name: 'bill*', mismatch: true}}", False),
        (TWO, "{attachments: {size: {over: 300B}}}", True),
        (TWO, "{attachments: {size: {over: 1MB}}}", False),
        (TWO, "{attachments: {total_size: {over: 400B}}}", True),
        (TWO, "{attachments: {total_size: {under: 400B}}}", False),
        (PLAIN, "{attachments: {total_size: {under: 1B}}}", True),
        (ZIPPED, "{attachments: {encrypted: true}}", True),
        (ZIPPED, "{attachments: {encrypted: true, name: plain.zip}}", False),
        (ZIPPED, "{attachments: {executable: true, name: secret.zip}}", True),
        (TWO, "{attachments: {encrypted: true}}", False),
        (TWO, "{attachments: {encrypted: false}}", True),
        (PLAIN, "{attachments: {encrypted: false}}", False),
        (PICTURES, "{attachments: {every: {type: image/*}}}", True),
        (TWO, "{attachments: {every: {type: application/pdf}}}", False),
        (PLAIN, "{attachments: {every: {type: image/*}}}", False),
        (TWO, "{not: {attachments: {executable: true}}}", False),
    ],
)
def test_condition(raw: bytes, condition: str, holds: bool) -> None:
    assert outcome(raw, condition)[0] is holds


@pytest.mark.parametrize(
    ("raw", "condition", "value"),
    [
        (TWO, "{attachments: {type: application/pdf}}", "bill.pdf: is application/pdf"),
        (TWO, "{attachments: {mismatch: true}}",
         "holiday.jpg: called .jpg, is application/vnd.microsoft.portable-executable"),
        (TWO, "{attachments: {extension: [pdf, jpg], encrypted: true}}",
         "bill.pdf: is not encrypted; holiday.jpg: is not encrypted"),
        (ZIPPED, "{attachments: {executable: true}}", "secret.zip: holds b.exe"),
        (TWO, "{attachments: {every: {type: application/pdf}}}",
         "holiday.jpg: is application/vnd.microsoft.portable-executable"),
        (PLAIN, "{attachments: {encrypted: true}}", "no attachments"),
        (TWO, "{attachments: {total_size: {over: 1MB}}}", f"{len(PDF) + len(PE)} octets"),
    ],
)  # fmt: skip
def test_explanation_says_which_attachment_and_why(raw: bytes, condition: str, value: str) -> None:
    assert outcome(raw, condition)[1] == value


def test_content_is_not_looked_at_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = libmagic._loaded
    monkeypatch.setattr(libmagic, "_loaded", lambda: pytest.fail("libmagic was asked"))
    raw = mixed(TEXT, part(b"\1\0unknown", "a.bin"))
    assert outcome(raw, "{attachments: {extension: bin, size: {under: 1kB}}}")[0]
    assert not outcome(raw, "{attachments: {executable: true, extension: exe}}")[0]
    monkeypatch.setattr(libmagic, "_loaded", loaded)
    assert outcome(raw, "{attachments: {type: application/octet-stream}}")[0]


def test_without_libmagic_rules_that_need_it_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = libmagic.LibmagicMissingError("libmagic.so.1 is not installed")
    monkeypatch.setattr(libmagic, "_loaded", lambda: missing)
    for condition in ("{type: image/*}", "{mismatch: true}", "{every: {type: image/*}}"):
        text = f"rules: [{{name: r, when: [attachments: {condition}], actions: [drop]}}]"
        with pytest.raises(ConfigurationError, match=r"libmagic\.so\.1 is not installed \(apt-get install libmagic1\)"):
            rules(text)
    assert len(rules("rules: [{name: r, when: [attachments: {executable: true}], actions: [drop]}]")) == 1
    with pytest.raises(ConfigurationError, match="types of attachments can't be told"):
        rules("rules: [{name: r, actions: [strip-attachments: {type: image/*}]}]")
