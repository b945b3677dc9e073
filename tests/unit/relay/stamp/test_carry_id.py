"""A conversation's id in one copy: header, subject and text, beside whatever else rules do to them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mta.message.body_text import displayed
from mta.message.classify import classify
from mta.message.edit import joined
from mta.message.parse import Message, parse
from mta.model.actions import Action, CarryId, Place, RemoveHeader, ReplaceText, SetHeader, Stamp, TagSubject
from mta.relay.sent_items import changes_what_is_read
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.stamp import stamp_message
from mta.relay.stamp.templates.template_set import load_templates

REFERENCE = "stampline.ticket.12.abcdefgh.abcdefghijklmnopqrstuvwxyz"
ID = f"<{REFERENCE}@example.com>"
HEAD = b"From: jane@example.com\r\nSubject: Re: Printer\r\nMessage-ID: <1@example.com>\r\n"
PLAIN = HEAD + b"\r\nMy answer\r\n\r\nOn Monday, Bob wrote:\r\n> a question\r\n"
ALTERNATIVE = (
    HEAD + b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<html><body><p>Hello</p></body></html>\r\n--b--\r\n"
)


def carry(in_text: str = "none", in_subject: str = "[Ticket - 12]") -> CarryId:
    return CarryId(reference=REFERENCE, domain="example.com", in_subject=in_subject, in_text=in_text)


def carried(data: bytes, *actions: Action, folder: Path) -> Message:
    message = parse(data)
    templates = load_templates(folder, None, None)
    context = StampContext({}, "jane@example.com", datetime(2026, 11, 23, tzinfo=UTC))
    outcome = stamp_message(message, classify(message, False), actions, context, templates)
    assert not outcome.failed
    return parse(joined(data, outcome.edits))


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "sales"
    folder.mkdir()
    (folder / "signature.html.j2").write_text("<p>STAMPED</p>")
    (folder / "signature.txt.j2").write_text("STAMPED\n")
    return tmp_path


def texts(message: Message) -> list[str]:
    return [body.text for body in displayed(message)]


def test_header_and_subject(templates: Path) -> None:
    found = carried(PLAIN, carry(), folder=templates)
    assert found.header("x-stampline-transaction") == found.header("references") == ID
    assert found.subject == "Re: [Ticket - 12] Printer"
    assert found.data[found.body_start :] == PLAIN[len(HEAD) + 2 :]


def test_nothing_is_added_twice(templates: Path) -> None:
    once = carried(ALTERNATIVE, carry("visible"), folder=templates)
    assert carried(once.data, carry("visible"), folder=templates).data == once.data  # type: ignore[arg-type]


def test_what_others_call_the_id_goes(templates: Path) -> None:
    data = PLAIN.replace(b"Subject:", b"x-stampline-transaction: <foreign@x>\r\nSubject:", 1)
    data = data.replace(b"Message-ID:", b"X-Stampline-Transaction: <more@x>\r\nMessage-ID:")
    assert carried(data, carry(), folder=templates).headers("x-stampline-transaction") == [ID]


@pytest.mark.parametrize(
    ("actions", "subject"),
    [
        ((TagSubject(text="[EXT]"),), "[EXT] Re: [Ticket - 12] Printer"),
        ((TagSubject(text="(x)", where="suffix"),), "Re: [Ticket - 12] Printer (x)"),
        ((SetHeader(name="Subject", value="Other"),), "[Ticket - 12] Other"),
        ((RemoveHeader(name="Subject"),), "[Ticket - 12]"),
        ((ReplaceText(find="Printer", replacement="Scanner"),), "Re: [Ticket - 12] Scanner"),
        ((TagSubject(text="[Ticket - 12]"),), "[Ticket - 12] Re: Printer"),
    ],
    ids=["prefix", "suffix", "set", "removed", "replaced", "same-tag"],
)
def test_other_actions_on_the_subject_count_as_well(templates: Path, actions: tuple[Action, ...], subject: str) -> None:
    for order in ((carry(), *actions), (*actions, carry())):
        found = carried(PLAIN, *order, folder=templates)
        assert found.subject == subject
        assert len(found.fields_named("subject")) == 1


def test_a_visible_reference_stands_under_the_newest_reply(templates: Path) -> None:
    (text,) = texts(carried(PLAIN, carry("visible"), folder=templates))
    assert text.index("My answer") < text.index(f"Ref: {REFERENCE}") < text.index("On Monday")


def test_a_hidden_one_is_in_the_html_alone(templates: Path) -> None:
    plain, html = texts(carried(ALTERNATIVE, carry("hidden"), folder=templates))
    assert REFERENCE not in plain
    assert f">{REFERENCE}</div>" in html
    assert "display:none" in html
    assert texts(carried(PLAIN, carry("hidden"), folder=templates)) == texts(parse(PLAIN))


def test_it_stands_below_stamps_of_the_same_place(templates: Path) -> None:
    stamp = Stamp(template="sales", place=Place.REPLY)
    for body in texts(carried(ALTERNATIVE, stamp, carry("visible"), folder=templates)):
        assert body.index("Hello") < body.index("STAMPED") < body.index(REFERENCE)


def test_a_thread_that_quotes_it_has_it_already(templates: Path) -> None:
    data = PLAIN.replace(b"a question", b"a question\r\n> Ref: " + REFERENCE.encode())
    (text,) = texts(carried(data, carry("visible"), folder=templates))
    assert text.count(REFERENCE) == 1


SIGNED = (
    HEAD
    + b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n'
    b"--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
)


def test_signed_mail_carries_it_where_no_reader_looks(templates: Path) -> None:
    found = carried(SIGNED, carry("visible"), TagSubject(text="[EXT]"), folder=templates)
    assert found.header("references") == found.header("x-stampline-transaction") == ID
    assert found.subject == "Re: Printer"
    assert found.data[found.body_start :] == SIGNED[SIGNED.index(b"\r\n\r\n") + 4 :]


@pytest.mark.parametrize(
    ("in_subject", "in_text", "is_read"), [("", "none", False), ("T-1", "none", True), ("", "visible", True)]
)
def test_the_sender_finds_what_people_read_in_his_sent_items(
    templates: Path, in_subject: str, in_text: str, is_read: bool
) -> None:
    message = parse(PLAIN)
    context = StampContext({}, "jane@example.com", datetime(2026, 11, 23, tzinfo=UTC))
    actions = [carry(in_text, in_subject)]
    outcome = stamp_message(message, classify(message, False), actions, context, load_templates(templates, None, None))
    assert outcome.edits
    assert changes_what_is_read(message, outcome.edits) is is_read
