"""Header fields that rules change: who it is from and to, importance, tags; the rest of the header stays as it is."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest

from mta.message.edit import joined
from mta.message.parse import parse
from mta.model.actions import Action, NameRecipients, RemoveHeader, RewriteSender, SetHeader, SetReplyTo, TagSubject
from mta.relay.stamp.content.header_actions import header_edits

HEADER = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <jane@example.com>\r\n"
    b"To: Buyer <buyer@customer.example>\r\n"
    b"Subject: Offer\r\n"
    b"Message-ID: <1@example.com>\r\n"
)


def changed(*actions: Action, header: bytes = HEADER) -> bytes:
    """The header with those actions carried out."""
    data = header + b"\r\nbody\r\n"
    edits, failed = header_edits(parse(data), actions)
    assert not failed
    result = joined(data, edits)
    assert result.endswith(b"\r\n\r\nbody\r\n")
    return result.removesuffix(b"\r\nbody\r\n")


def read(header: bytes) -> EmailMessage:
    """By the standard library's parser."""
    return BytesParser(policy=policy.default).parsebytes(header + b"\r\n")


def test_replies_go_to_the_address_given() -> None:
    set_to = SetReplyTo(address="team@example.com", display_name="Verkauf Süd")
    assert changed(set_to) == HEADER + b"Reply-To: =?utf-8?q?Verkauf_S=C3=BCd?= <team@example.com>\r\n"
    twice = HEADER + b"Reply-To: a@example.com\r\nX: y\r\nReply-To: b@example.com\r\n"
    assert changed(set_to, header=twice).count(b"Reply-To") == 1


@pytest.mark.parametrize(
    ("action", "display", "address"),
    [
        (RewriteSender(address="team@example.com"), "Jürgen", "team@example.com"),
        (RewriteSender(address="team@example.com", display_name="The Team"), "The Team", "team@example.com"),
        (RewriteSender(display_name="Jane, Sales"), "Jane, Sales", "jane@example.com"),
    ],
)
def test_a_new_author(action: RewriteSender, display: str, address: str) -> None:
    header = read(changed(action))
    (author,) = header["From"].addresses
    assert (author.display_name, author.addr_spec) == (display, address)
    assert header["Reply-To"] is None


def test_the_former_author_becomes_whom_replies_go_to() -> None:
    action = RewriteSender(address="team@example.com", keep_as_reply_to=True)
    made = changed(action)
    assert b"Reply-To: =?utf-8?q?J=C3=BCrgen?= <jane@example.com>\r\n" in made
    own = HEADER + b"Reply-To: desk@example.com\r\n"
    assert b"Reply-To: desk@example.com\r\n" in changed(action, header=own)
    assert changed(action, header=own).count(b"Reply-To") == 1
    assert b"Reply-To: x@example.com\r\n" in changed(SetReplyTo(address="x@example.com"), action)


def test_the_envelope_alone_changes_no_header() -> None:
    assert changed(RewriteSender(address="bounce@example.com", header=False, envelope=True)) == HEADER


def test_several_authors_become_one() -> None:
    header = HEADER + b"From: evil@example.net\r\n"
    assert changed(RewriteSender(address="team@example.com"), header=header).count(b"From:") == 1


def test_a_name_without_an_author_fails() -> None:
    edits, (failed,) = header_edits(parse(b"Subject: x\r\n\r\n"), [RewriteSender(display_name="N", rule="r")])
    assert not edits
    assert failed.rule == "r"


@pytest.mark.parametrize("name", ["to", "cc"])
def test_recipients_are_named_once(name: str) -> None:
    new = ("new@example.com", "buyer@customer.example", "NEW@example.com")
    actions = [NameRecipients(addresses=new[:2], header=name), NameRecipients(addresses=new[2:], header="cc")]
    header = read(changed(*actions))
    named = [address.addr_spec for field in ("To", "Cc") if header[field] for address in header[field].addresses]
    assert named == ["buyer@customer.example", "new@example.com"]
    assert changed(*actions).startswith(HEADER.partition(b"To: ")[0] + b"To: Buyer <buyer@customer.example>")


def test_a_header_without_to_gets_one() -> None:
    header = b"From: jane@example.com\r\nSubject: x\r\n"
    assert changed(NameRecipients(addresses=("a@example.com",), header="to"), header=header) == (
        header + b"To: a@example.com\r\n"
    )


@pytest.mark.parametrize(
    ("subject", "tag", "tagged"),
    [
        ("Offer", "[EXT]", False),
        ("Re: [EXT] Offer", "[EXT]", True),
        ("AW: WG: [ext]  Offer", "[EXT]", True),
        ("RE: =?utf-8?q?=5BEXT=5D?= Offer", "[EXT]", True),
        ("Vá: Továbbítás: [EXT] Offer", "[EXT]", True),
        ("回复: [EXT] Offer", "[EXT]", True),
        ("Next steps", "EXT", False),
        ("Exterior", "EXT", False),
        ("EXT: Offer", "ext", True),
        ("Re: Extern  Offer", "extern offer", True),
        ("Textern ext", "EXT", True),
        ("[EXT]ra", "[EXT]", True),
    ],
)
def test_a_subject_is_tagged_once(subject: str, tag: str, tagged: bool) -> None:
    header = b"Subject: %b\r\n" % subject.encode()
    made = changed(TagSubject(text=tag), header=header)
    assert (made == header) is tagged
    assert changed(TagSubject(text=tag), header=made) == made


def test_tags_stack_before_and_behind() -> None:
    tags = [TagSubject(text="[A]"), TagSubject(text="[B]"), TagSubject(text="[C]", where="suffix")]
    assert read(changed(*tags))["Subject"] == "[A] [B] Offer [C]"


def test_a_later_rule_outweighs_an_earlier_one() -> None:
    actions = [SetHeader(name="X-A", value="1"), RemoveHeader(name="x-a"), SetHeader(name="X-a", value="2")]
    assert changed(*actions) == HEADER + b"X-a: 2\r\n"
