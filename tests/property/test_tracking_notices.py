"""Notices: whatever strangers write into a message, header, HTML and addressees are ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.config.tracking_schema import Module
from mta.message.addresses import Mailbox
from mta.message.headers import format_field
from mta.message.letters import compose
from mta.message.notice import is_notice_id, make_notice_id
from mta.message.parse import parse
from mta.message.patterns.text_patterns import FieldPattern, Text
from mta.model.address import parse_address
from mta.model.person import Person
from mta.model.record import AddNote, Record
from mta.model.transaction import Transaction
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.mail import render_mail
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from mta.tracking.notify.occasion import Occasion
from mta.tracking.notify.words import PlainLetter, note_values, own_words, record_values
from mta.tracking.record.read_fields import from_lines, from_pattern

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOSTILE = st.text(max_size=300) | st.sampled_from([
    "x\r\nBcc: evil@example.com", "x\nSubject: other", "<script>alert(1)</script>", "=?utf-8?q?=0D=0ABcc:_x?=",
    "\u2028Bcc: x", "\x00\x1b[31m", "{{ 7 * 7 }}", "\"><img src=x onerror=alert(1)>", "\ud800", "a" * 3000,
])  # fmt: skip
MODULE = Module(name="ticket", staff_url="https://desk.example.com/{module}/{id}")
KEYS = (b"a key of tests only", b"another one")


def record(title: str, name: str, value: str) -> Record:
    transaction = Transaction("Example", "ticket", 1, "abcdefgh")
    return Record(transaction, "open", title, "anna@example.net", "", name, NOW, NOW, fields={"f": value})


def occasion(title: str, name: str, text: str) -> Occasion:
    note = AddNote(Transaction("Example", "ticket", 1, "abcdefgh"), "", name, "received", text)
    return Occasion("key", "note.added", record(title, name, text), note, None, (), NOW)


def composed(letter: PlainLetter, name: str) -> EmailMessage:
    data = compose(
        letter, sender=Mailbox("", parse_address("desk@example.com")),
        to=[Mailbox(name, parse_address("anna@example.net"))], date=NOW,
        message_id=make_notice_id(KEYS[0], "Example", name, "desk.example.com"),
        fields=[format_field("Subject", letter.subject)],
    )  # fmt: skip
    assert b"\r\n\r\n" in data
    return message_from_bytes(data, policy=policy.default)


@given(HOSTILE, HOSTILE, HOSTILE)
@settings(deadline=None, max_examples=150)
def test_no_value_makes_a_header_field_or_a_recipient(title: str, name: str, text: str) -> None:
    letter = own_words(occasion(title, name, text), None, for_staff=True, wrote_it=False)
    message = composed(letter, name)
    assert sorted(field.lower() for field in message) == [
        "content-transfer-encoding", "content-type", "date", "from", "message-id", "mime-version", "subject", "to",
    ]  # fmt: skip
    assert [address.addr_spec for address in message["to"].addresses] == ["anna@example.net"]
    assert message.get_content_type() == "text/plain"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(" ".join([tag, *sorted(name for name, _ in attrs)]))


def tags_of(html: str) -> list[str]:
    tags = Tags()
    tags.feed(html)
    tags.close()
    return tags.found


@given(HOSTILE, HOSTILE)
@settings(deadline=None, max_examples=80)
def test_no_value_adds_markup_to_a_template(title: str, name: str) -> None:
    assert tags_of(rendered(title, name)) == tags_of(rendered("Printer", "Anna"))


@cache
def templates() -> TemplateSet:
    return load_templates(Path(__file__).parents[2] / "templates")


def rendered(title: str, name: str) -> str:
    context = StampContext({}, "", NOW, {"name": "Example"}, origin="example.com")
    people = {"anna@example.net": Person("anna@example.net", attributes={"displayName": f"A {name}"})}
    values = {"record": {**record_values(record(title, name, name), MODULE, for_staff=True), "label": f"L{title}"}}
    template = templates().template("ticket-opened")
    context = replace(context, people=people)
    return render_mail(template, parse(b"\r\n"), context, recipient="anna@example.net", more=values).html


@given(st.text(max_size=200), st.binary(max_size=40))
@settings(deadline=None, max_examples=100)
def test_a_notice_id_is_known_and_no_other_is(about: str, noise: bytes) -> None:
    made = make_notice_id(KEYS[1], "Example", about, "desk.example.com")
    assert is_notice_id(made, KEYS, "Example")
    assert not is_notice_id(made, KEYS[:1], "Example")
    assert not is_notice_id(made, KEYS, "Other")
    place = len("<stampline-notice.") + (noise[0] % 26 if noise else 0)
    changed = made[:place] + ("a" if made[place] != "a" else "b") + made[place + 1 :]
    assert not is_notice_id(changed, KEYS, "Example")
    assert not is_notice_id(noise.decode("latin-1"), KEYS, "Example")


@given(st.text(max_size=2000), st.integers(1, 50))
@settings(deadline=None, max_examples=150)
def test_fields_are_one_short_printable_line(text: str, length: int) -> None:
    found = from_lines(text, {"Order": "order", "a": "b"}, length)
    found |= from_pattern(Text(text), FieldPattern(r"(?P<x>(?s:.+))"), length)
    for value in found.values():
        assert 0 < len(value) <= length
        assert not set(value) & set("\n\r\x1b\x00\u202e")


@given(HOSTILE, HOSTILE)
@settings(deadline=None, max_examples=50)
def test_what_templates_are_told_is_text(title: str, text: str) -> None:
    values = {**record_values(record(title, "s", text), None, for_staff=False)}
    lines = note_values(AddNote(Transaction("Example", "ticket", 1, "abcdefgh"), "", "", "k", text))["lines"]
    assert values["url"] == ""
    assert isinstance(lines, list)
    assert all("\n" not in line for line in lines)
