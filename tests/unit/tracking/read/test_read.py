"""What is read from a message: its name, its words, who wrote it and whether anybody did."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Sequence
from typing import Any

import pytest

from mta.message.parse import parse
from mta.message.stamp_markers import Owner, marked
from mta.message.tracking_copy import Letterhead, TrackingCopy, digest_of, write_copy
from mta.model.address import parse_address
from mta.tracking.incoming import Automatic, Incoming
from mta.tracking.read import CannotReadError, read_incoming
from tests.shared import corpus
from tests.unit.tracking.scene import ANNA, DOMAIN, KEY, NOW, mail

GATEWAY = f"mx.{DOMAIN}"


def read(
    data: bytes, *, authserv_ids: Sequence[str] = (GATEWAY,), mailbox: str = "support", is_of_exchange: bool = False
) -> Incoming:
    return read_incoming(
        data, organisation="example", mailbox=mailbox, keys=(KEY,), accepted_domains=(DOMAIN,),
        authserv_ids=authserv_ids, is_of_exchange=is_of_exchange,
    )  # fmt: skip


# --- what names it ---------------------------------------------------------------------------------------------------


def as_another_mailbox_has_it(data: bytes) -> bytes:
    """Another hop, another encoding of the body, other header fields, the same moment in another zone."""
    head, _, body = data.partition(b"\r\n\r\n")
    head = head.replace(b"Sun, 22 Nov 2026 11:00:00 +0000", b"Sun, 22 Nov 2026 12:00:00 +0100")
    encoded = base64.encodebytes(body).replace(b"\n", b"\r\n")
    return (
        b"Received: from a by b.example; Sun, 22 Nov 2026 11:00:03 +0000\r\n" + head
        + b"\r\nX-MS-Has-Attach: no\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded
    )  # fmt: skip


@pytest.mark.parametrize("message_id", ["<one@customer.example.net>", None])
def test_the_same_mail_by_two_mailboxes_has_one_key(message_id: str | None) -> None:
    data = mail(message_id=message_id, subject="Drücker ä")
    one, other = read(data), read(as_another_mailbox_has_it(data), mailbox="sales")
    assert one.key == other.key
    assert one.content_hash == other.content_hash
    assert one.key.startswith("id:<one@" if message_id else "hash:")


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": "<mallory@stranger.example.org>"},
        {"date": "Sun, 22 Nov 2026 11:00:01 +0000"},
        {"message_id": "<two@customer.example.net>"},
        {"authentication_results": f"{GATEWAY}; dmarc=fail"},
    ],
)
def test_who_reuses_a_message_id_stands_in_nobodys_way(changes: dict[str, Any]) -> None:
    assert read(mail()).key != read(mail(**changes)).key


def test_a_footer_of_a_list_makes_no_other_message() -> None:
    footer = "The printer still prints nothing.\r\n-- \r\nlist@example.org\r\n"
    assert read(mail()).key == read(mail(body=footer)).key


@pytest.mark.parametrize(
    "changes", [{"subject": "Other"}, {"body": "Another text.\r\n"}, {"sender": "<bob@example.org>"}]
)
def test_without_a_message_id_the_content_tells_mails_apart(changes: dict[str, Any]) -> None:
    assert read(mail(message_id=None)).key != read(mail(message_id=None, **changes)).key


def with_file(octets: bytes) -> bytes:
    encoded = base64.encodebytes(octets).decode().replace("\n", "\r\n")
    body = (
        "--b\r\n\r\nSee the file.\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{encoded}--b--\r\n"
    )
    return mail(message_id=None, body=body, content_type='multipart/mixed; boundary="b"')


def test_without_a_message_id_files_count_too() -> None:
    assert read(with_file(b"%PDF one")).key == read(with_file(b"%PDF one")).key
    assert read(with_file(b"%PDF one")).key != read(with_file(b"%PDF two")).key


# --- its words -------------------------------------------------------------------------------------------------------

QUOTE = "On Fri, 20 Nov 2026 at 09:00, Jane <jane@desk.example.com> wrote:\r\n"
NEWEST = {
    "above the quote": (f"Still broken.\r\n\r\n{QUOTE}> Is it on?\r\n", "Still broken."),
    "below the quote": (f"{QUOTE}> Is it on?\r\n\r\nIt is.\r\n", "It is."),
    "between quoted lines": (
        f"Hello Jane,\r\n\r\n{QUOTE}> Is it on?\r\n\r\nYes.\r\n\r\n> Is it plugged in?\r\n\r\nNo.\r\n",
        "Hello Jane,\n\nYes.\n\nNo.",
    ),
    "signature": ("Still broken.\r\n\r\n-- \r\nAnna\r\nCustomer Ltd\r\n", "Still broken."),
    "signature above the quote": (f"No.\r\n-- \r\nAnna\r\n\r\n{QUOTE}> Is it on?\r\n", "No."),
    "nothing but a signature": ("-- \r\nAnna\r\n", "--\nAnna"),
    "nothing but a quote": (f"{QUOTE}> Is it on?\r\n", ""),
    "Outlook, German": (
        "Immer noch.\r\n\r\nVon: Jane <jane@desk.example.com>\r\nGesendet: Freitag, 20. November 2026 09:00\r\n"
        "An: Anna\r\nBetreff: Drucker\r\n\r\nIst er an?\r\n",
        "Immer noch.",
    ),
    "French": (
        "Toujours rien.\r\n\r\nLe ven. 20 nov. 2026 à 09:00, Jane <jane@desk.example.com> a écrit :\r\n> Bonjour\r\n",
        "Toujours rien.",
    ),
    "Japanese": (
        "まだです。\r\n\r\n2026年11月20日(金) 9:00 Jane <jane@desk.example.com>:\r\n> 電源は?\r\n",
        "まだです。",
    ),
    "no quote at all": ("First\r\n\r\n\r\n\r\n\r\nSecond\r\n", "First\n\nSecond"),
}


@pytest.mark.parametrize("name", NEWEST)
def test_what_the_author_wrote(name: str) -> None:
    body, newest = NEWEST[name]
    assert read(mail(in_reply_to="<x@y.example>", body=body)).newest == newest


HTML = {
    "Gmail": (
        '<p>Still <b>broken</b>.</p><div class="gmail_quote"><div class="gmail_attr">On Fri, Jane wrote:</div>'
        '<blockquote class="gmail_quote">Is it on?</blockquote></div>',
        "Still broken.",
    ),
    "inline": (
        "<p>Hello,</p><blockquote type=cite>Is it on?</blockquote><p>Yes.</p>"
        "<blockquote type=cite>Is it plugged in?</blockquote><p>No.</p>",
        "Hello,\n\nYes.\n\nNo.",
    ),
    "hidden": ('<p>Seen.</p><p style="display:none">Unseen.</p>', "Seen."),
}


@pytest.mark.parametrize("name", HTML)
def test_what_the_author_wrote_in_html(name: str) -> None:
    body, newest = HTML[name]
    message = mail(in_reply_to="<x@y.example>", content_type="text/html; charset=utf-8", body=f"{body}\r\n")
    assert read(message).newest == newest


def test_clear_signed_mail_has_words() -> None:
    body = (
        "--s\r\nContent-Type: text/plain\r\n\r\nSigned words.\r\n"
        "--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n"
    )
    message = mail(content_type='multipart/signed; protocol="application/pgp-signature"; boundary=s', body=body)
    assert read(message).newest == "Signed words."


def test_a_blank_plain_alternative_gives_way_to_html() -> None:
    body = "--a\r\n\r\n \r\n--a\r\nContent-Type: text/html\r\n\r\n<p>Words</p>\r\n--a--\r\n"
    assert read(mail(content_type="multipart/alternative; boundary=a", body=body)).text == "Words"


def test_what_no_charset_knows_is_storable() -> None:
    body = quopri.encodestring(b"caf\xe9 \xff\xfe").decode() + "\r\n"
    message = mail(content_type="text/plain; charset=utf-8", content_transfer_encoding="quoted-printable", body=body)
    incoming = read(message)
    assert incoming.text.encode().startswith(b"caf")
    assert read(mail(subject="\ud800".encode("utf_8", "surrogatepass").decode("latin_1"))).subject.encode()


# --- whether anybody wrote it ----------------------------------------------------------------------------------------

AUTOMATIC: dict[str, tuple[bytes, Automatic]] = {
    "a person": (mail(), Automatic.NO),
    "X-Auto-Response-Suppress alone": (mail(x_auto_response_suppress="All"), Automatic.NO),
    "Auto-Submitted: no": (mail(auto_submitted="no"), Automatic.NO),
    "a person's Re: to a bounce": (mail(subject="Re: Undeliverable: x", return_path=f"<{ANNA}>"), Automatic.NO),
    "auto-generated": (mail(auto_submitted="auto-generated"), Automatic.GENERATED),
    "auto-replied": (mail(auto_submitted="auto-replied"), Automatic.REPLY),
    "auto-replied, vacation": (mail(auto_submitted="auto-replied (vacation)"), Automatic.OUT_OF_OFFICE),
    "Exchange's absence note": (
        mail(subject="Automatische Antwort: x", x_auto_response_suppress="All", auto_submitted="auto-generated"),
        Automatic.OUT_OF_OFFICE,
    ),
    "an absence note that only its subject tells of": (
        mail(subject="Réponse automatique : x", in_reply_to="<x@y.example>"), Automatic.OUT_OF_OFFICE,
    ),
    "a person about an absence note": (
        mail(subject="Re: Automatische Antwort: x", in_reply_to="<x@y.example>"), Automatic.NO,
    ),
    "a person's first words about an absence": (mail(subject="Vacation: 3 to 5 December"), Automatic.NO),
    "Precedence: auto_reply": (mail(precedence="auto_reply"), Automatic.REPLY),
    "X-Autoreply": (mail(x_autoreply="yes"), Automatic.REPLY),
    "Precedence: bulk": (mail(precedence="bulk"), Automatic.BULK),
    "List-Id": (mail(list_id="<l.example.org>"), Automatic.BULK),
    "List-Unsubscribe": (mail(list_unsubscribe="<https://x.example>"), Automatic.BULK),
    "null reverse-path": (mail(return_path="<>"), Automatic.GENERATED),
    "null reverse-path, a reply": (mail(return_path="<>", in_reply_to="<x@y.example>"), Automatic.REPLY),
    "X-Failed-Recipients": (mail(x_failed_recipients="a@b.example"), Automatic.BOUNCE),
    "a daemon without a standard": (
        mail("Mail Delivery System <mailer-daemon@x.example>", subject="Mail delivery failed"), Automatic.BOUNCE,
    ),
    "a person at postmaster": (mail("<postmaster@x.example>", subject="Our new gateway"), Automatic.NO),
    "a meeting": (
        mail(content_type="text/calendar; method=REQUEST", body="BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n"),
        Automatic.MEETING,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AUTOMATIC)
def test_who_wrote_it(name: str) -> None:
    data, kind = AUTOMATIC[name]
    assert read(data).automatic is kind


@pytest.mark.corpus
def test_real_bounces() -> None:
    """Some of the corpus' bounces are web hooks' JSON, abuse reports or replies; at least nine in ten are told."""
    kinds = [
        read(message.data).automatic
        for message in corpus()
        if message.manifest["source"] == "sisimai"
    ]  # fmt: skip
    told = sum(kind in (Automatic.BOUNCE, Automatic.RECEIPT, Automatic.OUT_OF_OFFICE) for kind in kinds)
    assert told >= 0.9 * len(kinds)


# --- whether its author is to be believed ----------------------------------------------------------------------------

HOP = "from a by {} with ESMTP; Sun, 22 Nov 2026 11:00:00 +0000"
BELIEVED: dict[str, tuple[list[tuple[str, str]], bool | None]] = {
    "nobody says anything": ([], None),
    "DMARC passed": ([("AR", f"{GATEWAY}; dmarc=pass header.from=customer.example.net")], True),
    "DMARC failed": ([("AR", f"{GATEWAY}; dmarc=fail header.from=customer.example.net")], False),
    "DMARC passed for another domain": ([("AR", f"{GATEWAY}; dmarc=pass header.from=other.example")], False),
    "a server that isn't believed": ([("AR", "mx.other.example; dmarc=fail")], None),
    "DKIM of the domain": ([("AR", f"{GATEWAY}; dkim=pass header.d=customer.example.net")], True),
    "DKIM of another domain": ([("AR", f"{GATEWAY}; dkim=pass header.d=other.example")], None),
    "SPF of the domain": ([("AR", f"{GATEWAY}; spf=pass smtp.mailfrom=anna@customer.example.net")], True),
    "SPF of another domain": ([("AR", f"{GATEWAY}; spf=pass smtp.mailfrom=other.example")], None),
    "below our own hops": (
        [("Received", HOP.format(f"store.{DOMAIN}")), ("Received", HOP.format("exchange")),
         ("AR", f"{GATEWAY}; dmarc=fail")], False,
    ),
    "below a foreign hop": (
        [("Received", HOP.format(GATEWAY)), ("Received", HOP.format("mx.other.example")),
         ("AR", f"{GATEWAY}; dmarc=pass header.from=customer.example.net")], None,
    ),
    "ours above a forged one": (
        [("AR", f"{GATEWAY}; dmarc=fail"), ("Received", HOP.format(GATEWAY)),
         ("Received", HOP.format("mx.other.example")),
         ("AR", f"{GATEWAY}; dmarc=pass header.from=customer.example.net")], False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BELIEVED)
def test_what_servers_say_of_the_author(name: str) -> None:
    fields, expected = BELIEVED[name]
    names = {"AR": "Authentication-Results"}
    head = "".join(f"{names.get(field, field)}: {value}\r\n" for field, value in fields)
    assert read(head.encode() + mail()).is_authenticated is expected


def test_exchange_online_says_it_without_a_name() -> None:
    head = b"Authentication-Results: spf=fail smtp.mailfrom=x.example; dkim=none; dmarc=fail; compauth=fail\r\n"
    assert read(head + mail(), authserv_ids=("exchange-online",)).is_authenticated is False
    assert read(head + mail()).is_authenticated is None


AUTH_AS = b"X-MS-Exchange-Organization-AuthAs: "
OURS = f"<jane@{DOMAIN}>"


@pytest.mark.parametrize(
    ("head", "sender", "is_authenticated", "is_from_outside"),
    [
        (AUTH_AS + b"Internal\r\n", OURS, True, False),
        (AUTH_AS + b"Internal\r\n", "<anna@customer.example.net>", None, False),
        (AUTH_AS + b"Anonymous\r\n", OURS, None, True),
        (AUTH_AS + b"Internal\r\n" + AUTH_AS + b"Anonymous\r\n", OURS, None, False),
        (AUTH_AS + b"Internal\r\nAuthentication-Results: %b; dmarc=fail\r\n" % GATEWAY.encode(), OURS, False, False),
        (b"", OURS, None, False),
    ],
)
def test_exchange_knows_as_whom_it_let_one_of_ours_in(
    head: bytes, sender: str, is_authenticated: bool | None, is_from_outside: bool
) -> None:
    found = read(head + mail(sender), is_of_exchange=True)
    assert (found.is_authenticated, found.is_from_outside) == (is_authenticated, is_from_outside)


def test_elsewhere_and_in_copies_anybody_can_write_what_exchange_says() -> None:
    data = AUTH_AS + b"Internal\r\n" + mail(OURS)
    assert read(data).is_authenticated is None
    inside = read(copy_of(data, direction="received"), is_of_exchange=True)
    assert (inside.is_authenticated, inside.is_from_outside) == (None, False)


# --- copies of the relay ---------------------------------------------------------------------------------------------


def copy_of(data: bytes, key: bytes = KEY, organisation: str = "example", **changes: Any) -> bytes:
    said = TrackingCopy(
        None, changes.get("direction", "sent"), changes.get("mail_from", ANNA), (), "rule", "1q",
        parse(data).message_id, digest_of([data]), NOW, changes.get("authenticated"), organisation,
    )  # fmt: skip
    address = parse_address(f"postmaster@{DOMAIN}")
    return b"".join(write_copy(said, key, [data], Letterhead(address, address, "<copy@x.example>", NOW, "Copy")))


def test_a_copy_is_read_as_the_message_inside() -> None:
    inside = read(copy_of(mail()))
    assert (inside.message_id, inside.subject, inside.is_sent) == ("<new-1@customer.example.net>", "Printer", True)
    assert inside.key == read(mail()).key


def test_our_own_stamps_are_no_words_of_whom_they_are_put_on() -> None:
    """They count as such in what one of ours sent: whoever got a stamp can forge one."""
    stamp = marked(
        "sales", Owner("0a0a0a0a", "0b0b0b0b"), "0c0c0c0c", "<p>Jane Doe</p><div>Registered in England</div>"
    )
    html = f"<p>Switch it on.</p>{stamp}<hr><div id=divRplyFwdMsg><b>From:</b> Anna<br><b>Sent:</b> x</div><p>Hi</p>"
    parts = "".join(
        f"--b\r\nContent-Type: text/{kind}\r\n\r\n{text}\r\n"
        for kind, text in (("plain", "Switch it on.\r\n\r\nJane Doe\r\nRegistered in England"), ("html", html))
    )
    message = mail(
        content_type="multipart/alternative; boundary=b", body=f"{parts}--b--\r\n", in_reply_to="<x@y.example>"
    )
    assert read(copy_of(message)).newest == "Switch it on."
    assert read(message).newest == "Switch it on.\n\nJane Doe\nRegistered in England"


def test_a_received_copy_is_nobody_of_ours_but_its_listener_is_believed() -> None:
    inside = read(copy_of(mail(return_path=f"<{ANNA}>"), direction="received", authenticated=False, mail_from=""))
    assert (inside.is_sent, inside.is_authenticated, inside.automatic) == (False, False, Automatic.GENERATED)


@pytest.mark.parametrize("changes", [{"key": b"another"}, {"organisation": "another"}])
def test_a_copy_without_our_proof_is_an_ordinary_message(changes: dict[str, Any]) -> None:
    outer = read(copy_of(mail(), **changes))
    assert (outer.copy, outer.is_sent, outer.message_id) == (None, False, "<copy@x.example>")


# --- what can't be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0" * 1000, b"only words\r\n", mail(x="y" * 3_000_000)])
def test_what_cannot_be_read_says_why(data: bytes) -> None:
    with pytest.raises(CannotReadError) as caught:
        read(data)
    assert caught.value.reason


def test_lines_that_end_in_lf_are_mended() -> None:
    assert read(mail().replace(b"\r\n", b"\n")).key == read(mail()).key


def test_a_hundred_thousand_references_and_a_subject_of_a_megabyte() -> None:
    references = " ".join(f"<{number}@x.example>" for number in range(100_000))
    incoming = read(mail(subject="x" * 150_000, references=references[:1_700_000]))
    assert incoming.references[0] == "<0@x.example>"
    assert len(incoming.references) <= 501
    assert len(incoming.subject) == 10_000


def test_of_many_texts_no_more_is_read_than_of_a_long_one() -> None:
    part = "--b\r\nContent-Type: text/plain\r\n\r\n" + "some words\r\n" * 40_000
    incoming = read(mail(content_type="multipart/mixed; boundary=b", body=f"{part * 10}--b--\r\n"))
    assert 1_000_000 < len(incoming.text) < 2_000_000


def test_a_long_text_is_read_from_its_beginning() -> None:
    incoming = read(mail(body="some words\r\n" * 600_000))
    assert incoming.text.startswith("some words\nsome words")
    assert len(incoming.text) <= 1_000_000
