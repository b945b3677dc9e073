from __future__ import annotations

import base64
import email
import email.policy
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage, Message

import pytest

from mta.model.address import Address, parse_address
from mta.model.decision import Direction
from mta.model.delivery import AcceptedMessage
from mta.model.envelope import DsnRequest, ListenerRole
from mta.model.reply import Reply
from mta.relay.deliver.dsn import DsnWriter
from mta.relay.deliver.reports import Action, Cause, Report
from mta.relay.deliver.returned import FULL_UP_TO
from tests.unit.relay.deliver.samples import NOON, ORIGINAL, message, next_hop_of

WRITER = DsnWriter("relay.example.com", "postmaster", next_hop_of, frozenset({"example.com"}))
JOE = parse_address("joe@example.org")
REFUSED = Report(
    JOE, Action.FAILED, "5.1.1", Reply(550, "5.1.1", "no such user"), Cause.REFUSED,
    "mx.example.org[192.0.2.9]:25", "550 5.1.1 <joe@example.org>: no such user",
)  # fmt: skip


def written(
    *reports: Report,
    of: AcceptedMessage | None = None,
    original: bytes = ORIGINAL,
    after: timedelta = timedelta(minutes=5),
) -> tuple[AcceptedMessage, EmailMessage]:
    dsn = WRITER.write(of or message(), reports or (REFUSED,), NOON + after, original)
    assert dsn.body.data is not None
    assert dsn.body.data.isascii()
    assert dsn.body.data.count(b"\n") == dsn.body.data.count(b"\r\n") == dsn.body.data.count(b"\r")
    assert max(map(len, dsn.body.data.split(b"\r\n"))) <= 998
    parsed = email.message_from_bytes(dsn.body.data, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not any(part.defects for part in parsed.walk())
    return dsn, parsed


def parts(parsed: EmailMessage) -> tuple[EmailMessage, list[Message], EmailMessage]:
    human, status, original = parsed.iter_parts()
    blocks = status.get_payload()
    assert isinstance(human, EmailMessage)
    assert isinstance(original, EmailMessage)
    assert isinstance(blocks, list)
    return human, [block for block in blocks if isinstance(block, Message)], original


def test_it_goes_to_the_reverse_path_from_the_null_one() -> None:
    dsn, parsed = written()
    assert dsn.envelope.reverse_path is None
    assert dsn.envelope.recipients == (parse_address("jane@example.com"),)
    assert dsn.recipients[0].next_hop == dsn.decision.recipients[0].next_hop == "to-example.com"
    assert dsn.decision.recipients[0].actions == ()
    assert dsn.decision.recipients[0].direction is Direction.INTERNAL
    assert dsn.due_at == NOON + timedelta(minutes=5)
    assert dsn.client is None
    assert parsed["Message-ID"] == dsn.message_id == f"<{dsn.queue_id}@relay.example.com>"


def test_its_header_says_what_it_is() -> None:
    _, parsed = written()
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed["From"] == "Mail Delivery System <postmaster@relay.example.com>"
    assert parsed["To"] == "jane@example.com"
    assert parsed["References"] == parsed["In-Reply-To"] == "<offer.1@example.com>"
    assert parsed["Date"].datetime == NOON + timedelta(minutes=5)


def test_the_delivery_status_follows_rfc_3464() -> None:
    _, parsed = written(of=message(envid="QQ314159"))
    _, [of_message, of_joe], _ = parts(parsed)
    assert of_message["Reporting-MTA"] == "dns; relay.example.com"
    assert of_message["Original-Envelope-Id"] == "QQ314159"
    assert of_message["Arrival-Date"] == "Sun, 22 Nov 2026 12:00:00 +0000"
    assert of_joe["Final-Recipient"] == "rfc822; joe@example.org"
    assert of_joe["Action"] == "failed"
    assert of_joe["Status"] == "5.1.1"
    assert of_joe["Remote-MTA"] == "dns; mx.example.org"
    assert of_joe["Diagnostic-Code"] == "smtp; 550 5.1.1 <joe@example.org>: no such user"


def test_every_failed_recipient_has_a_block() -> None:
    others = [replace(REFUSED, address=parse_address(f"r{i}@example.org")) for i in range(50)]
    _, parsed = written(*others)
    human, blocks, _ = parts(parsed)
    assert len(blocks) == 51
    assert all(f"r{i}@example.org" in human.get_content() for i in range(50))


def test_people_are_told_in_plain_words() -> None:
    human, _, _ = parts(written()[1])
    text = " ".join(human.get_content().split())
    assert 'Your message "Offer" of 22 November 2026, 12:00 (UTC) could not be delivered to this address:' in text
    assert "There is no mailbox with this address." in text
    assert "mx.example.org answered:" in text
    assert "550 5.1.1 <joe@example.org>: no such user" in text


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            Report(JOE, Action.FAILED, "4.4.7", Reply(451, "4.4.1", "Can't connect"), Cause.EXPIRED),
            "We have tried for 2 days",
        ),
        (Report(JOE, Action.FAILED, "5.7.1", Reply(554, "5.7.1", "held"), Cause.HELD), "nobody released it in time"),
        (Report(JOE, Action.FAILED, "5.7.1", Reply(550, "5.7.1", "No invoices"), Cause.POLICY), "No invoices"),
        (Report(JOE, Action.FAILED, "5.2.2", Reply(552, "5.2.2", "full"), Cause.REFUSED), "The mailbox is full."),
        (
            Report(JOE, Action.FAILED, "5.1.99", Reply(550, "5.1.99", "?"), Cause.REFUSED),
            "The address was not accepted.",
        ),
        (Report(JOE, Action.FAILED, "5.0.0", Reply(550, "5.0.0", "?"), Cause.REFUSED), "did not take the message"),
    ],
)
def test_the_reason_is_explained(failure: Report, said: str) -> None:
    assert said in " ".join(parts(written(failure, after=timedelta(days=2))[1])[0].get_content().split())


def test_our_own_reply_is_not_passed_off_as_smtp() -> None:
    ours = Report(JOE, Action.FAILED, "4.4.7", Reply(451, "4.4.1", "Can't connect: timed out"), Cause.EXPIRED)
    _, [_, block], _ = parts(written(ours)[1])
    assert block["Diagnostic-Code"] == "x-stampline; 451 4.4.1 Can't connect: timed out"
    assert block["Remote-MTA"] is None
    assert block["Status"] == "4.4.7"


def test_a_remote_known_by_address_only_is_a_literal() -> None:
    _, [_, block], _ = parts(written(replace(REFUSED, remote="192.0.2.9[192.0.2.9]:25"))[1])
    assert block["Remote-MTA"] == "dns; [192.0.2.9]"


def test_the_header_comes_back_and_the_text_does_not() -> None:
    _, _, original = parts(written()[1])
    assert original.get_content_type() == "text/rfc822-headers"
    assert original.get_payload(decode=True) == ORIGINAL[: ORIGINAL.index(b"\r\n\r\n") + 2].rstrip(b"\r\n")


@pytest.mark.parametrize(("spf", "is_whole"), [("pass", True), ("none", False), ("softfail", False)])
def test_strangers_get_a_message_back_whole_only_if_it_is_theirs(spf: str, is_whole: bool) -> None:
    """Anybody could else send what they like to whom they like, in our name."""
    trace = f"Authentication-Results: relay.example.com;\r\n\tspf={spf} smtp.mailfrom=example.net\r\n".encode()
    of = message(sender="stranger@example.net", role=ListenerRole.INBOUND, ret="FULL")
    _, _, original = parts(written(of=replace(of, trace=trace))[1])
    assert original.get_content_type() == ("message/rfc822" if is_whole else "text/rfc822-headers")


@pytest.mark.parametrize("ret", ["HDRS", "FULL"])
def test_our_token_does_not_come_back(ret: str) -> None:
    token = b"X-Stampline-Token: a-secret\r\nx-stampline-token :\r\n a-secret\r\n"
    whole = replace(message(), envelope=replace(message().envelope, ret=ret))
    dsn, parsed = written(of=whole, original=token + ORIGINAL)
    _, _, original = parts(parsed)
    assert dsn.body.data is not None
    assert b"a-secret" not in dsn.body.data
    assert "Subject:" in original.as_string()


def test_ret_full_returns_a_small_message_whole() -> None:
    _, _, original = parts(written(of=message(ret="FULL"))[1])
    assert original.get_content_type() == "message/rfc822"
    assert "please find the offer" in original.as_string()


def test_ret_full_returns_the_header_of_what_is_large() -> None:
    body = (b"x" * 70 + b"\r\n") * (FULL_UP_TO // 72 + 1)
    _, _, original = parts(written(of=message(ret="FULL"), original=ORIGINAL + body)[1])
    assert original.get_content_type() == "text/rfc822-headers"


def test_ret_full_returns_8_bit_text_in_7_bits() -> None:
    of, sent = message(ret="FULL"), ORIGINAL.replace(b"Dear Joe", "Grüße, Joe".encode())
    _, _, original = parts(written(of=of, original=sent)[1])
    (inner,) = original.iter_parts()
    assert isinstance(inner, EmailMessage)
    assert inner.get_content().splitlines() == ["Grüße, Joe,", "please find the offer."]
    assert inner["Message-ID"] == "<offer.1@example.com>"


def test_ret_full_returns_the_header_of_what_is_signed_in_8_bits() -> None:
    signed = (
        b"Subject: signed\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nGr\xfc\xdfe\r\n--b\r\n"
        b"Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
    )
    _, _, original = parts(written(of=message(ret="FULL"), original=signed)[1])
    assert original.get_content_type() == "text/rfc822-headers"


def test_international_mail_comes_back_as_it_was() -> None:
    of = message(ret="FULL")
    of = replace(of, envelope=replace(of.envelope, smtputf8=True))
    sent = "From: zoë@example.com\r\nSubject: Grüße\r\n\r\nText\r\n".encode()
    # Without a second opinion: the standard library takes an encoded message/global for a plain one.
    whole = WRITER.write(of, [REFUSED], NOON, sent)
    header = WRITER.write(of, [replace(REFUSED, action=Action.DELAYED)], NOON, sent)
    assert whole.body.data is not None
    assert header.body.data is not None
    assert base64.encodebytes(sent).replace(b"\n", b"\r\n") in whole.body.data
    assert b"Content-Type: message/global\r\n" in whole.body.data
    assert b"Content-Type: message/global-headers\r\n" in header.body.data
    assert base64.encodebytes(sent[:-8]).replace(b"\n", b"\r\n") in header.body.data


def test_ret_full_is_for_failures_only() -> None:
    _, _, original = parts(written(replace(REFUSED, action=Action.RELAYED, status="2.0.0"), of=message(ret="FULL"))[1])
    assert original.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize(
    "original",
    [b"", b"\r\nno header\r\n", b"no line end", b"Subject: no body\r\n", b"X: " + b"y" * 100_000],
)
def test_odd_originals_are_returned_bounded(original: bytes) -> None:
    dsn, parsed = written(original=original)
    assert dsn.body.size_octets < 200_000
    parts(parsed)


def test_an_8_bit_header_is_encoded() -> None:
    original = "Subject: Grüße\r\n\r\n".encode()
    _, _, returned = parts(written(original=original)[1])
    assert returned.get_payload(decode=True) == "Subject: Grüße\r\n".encode()


def test_nothing_that_a_remote_says_adds_a_header_field() -> None:
    evil = "550 no\r\nBcc: victim@example.net\r\n\r\n--boundary\x00\x1b[31m ü " + "x" * 5000
    failure = replace(REFUSED, remote="mx\r\nX-Evil: 1[192.0.2.9]:25", remote_reply=evil)
    of = message(envid="id\r\nX-Evil: 2", message_id="<a@b>\r\nX-Evil: 3")
    _, parsed = written(failure, of=of)
    human, blocks, _ = parts(parsed)
    assert [set(block.keys()) & {"X-Evil", "Bcc"} for block in blocks] == [set(), set()]
    assert "X-Evil" not in parsed
    assert "References" not in parsed
    assert "\x1b" not in human.get_content()


def test_international_addresses_are_written_in_seven_bits() -> None:
    failure = replace(REFUSED, address=parse_address("jürgen@bücher.example"))
    of = message(("jürgen@bücher.example",), sender="zoë@example.com")
    dsn, parsed = written(failure, of=of)
    human, [_, block], _ = parts(parsed)
    assert block["Final-Recipient"] == "utf-8; j\\x{FC}rgen@b\\x{FC}cher.example"
    assert "jürgen@bücher.example" in human.get_content()
    assert dsn.envelope.smtputf8
    assert parsed["To"] == "undisclosed-recipients:;"


def test_a_whole_postmaster_address_is_taken_as_it_is() -> None:
    dsn = replace(WRITER, postmaster="mail-team@example.com").write(message(), [REFUSED], NOON, ORIGINAL)
    assert dsn.body.data is not None
    assert b"From: Mail Delivery System <mail-team@example.com>\r\n" in dsn.body.data


def test_the_null_reverse_path_is_never_written_to() -> None:
    with pytest.raises(ValueError, match="null reverse-path"):
        WRITER.write(message(sender=""), [REFUSED], NOON, ORIGINAL)


def test_an_address_made_by_hand_adds_no_line_to_the_status() -> None:
    failure = replace(REFUSED, address=Address("joe\r\nX-Evil: 1", "example.org"))
    _, blocks, _ = parts(written(failure)[1])
    assert all("X-Evil" not in block for block in blocks)


def told(*reports: Report, of: AcceptedMessage | None = None) -> tuple[EmailMessage, str, list[Message]]:
    """The DSN, its text on one line, its blocks about recipients."""
    _, parsed = written(*reports, of=of)
    human, blocks, _ = parts(parsed)
    return parsed, " ".join(human.get_content().split()), blocks[1:]


UNTIL = NOON + timedelta(days=2)
LATE = Report(
    JOE, Action.DELAYED, "4.4.1", Reply(451, "4.4.1", "Can't connect: refused"), retry_until=UNTIL,
)  # fmt: skip


def test_a_delay_is_a_warning_and_says_how_long_we_try() -> None:
    parsed, text, [block] = told(LATE)
    assert parsed["Subject"] == "Your message has not been delivered yet"
    assert "has not been delivered to this address yet. This is only a warning:" in text
    assert "can't be reached at present" in text
    assert "you need not" in text.lower()
    assert "we go on trying until 24 November 2026, 12:00 (UTC)" in text
    assert (block["Action"], block["Status"]) == ("delayed", "4.4.1")
    assert block["Will-Retry-Until"] == "Tue, 24 Nov 2026 12:00:00 +0000"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (replace(LATE, status="4.7.4"), "offers no encrypted connection"),
        (replace(LATE, status="4.2.2"), "The mailbox is full."),
        (replace(LATE, status="4.7.1", remote_reply="451 4.7.1 greylisted"), "puts us off at present"),
    ],
)
def test_the_reason_of_a_delay_is_explained(report: Report, said: str) -> None:
    assert said in told(report)[1]


def test_success_is_told_as_what_it_was() -> None:
    ok = Reply(250, "2.0.0", "taken")
    relayed = Report(JOE, Action.RELAYED, "2.0.0", ok, remote="mx.example.org[192.0.2.9]:25", remote_reply="250 ok")
    parsed, text, [block] = told(relayed)
    assert parsed["Subject"] == "Your message was passed on"
    assert "That mail system sends no confirmations" in text
    assert (block["Action"], block["Status"], block["Remote-MTA"]) == ("relayed", "2.0.0", "dns; mx.example.org")
    assert block["Diagnostic-Code"] == "smtp; 250 ok"
    parsed, text, [block] = told(Report(JOE, Action.DELIVERED, "2.0.0", ok))
    assert parsed["Subject"] == "Your message was delivered"
    assert (block["Action"], block["Diagnostic-Code"]) == ("delivered", None)


def test_all_kinds_stand_in_one_dsn_the_gravest_first() -> None:
    late, relayed = (
        replace(LATE, address=parse_address("late@example.org")),
        replace(REFUSED, action=Action.RELAYED, status="2.0.0", address=parse_address("ok@example.org")),
    )
    parsed, text, blocks = told(relayed, late, REFUSED)
    assert parsed["Subject"] == "Your message could not be delivered"
    places = [text.index(f"{address}@example.org") for address in ("joe", "late", "ok")]
    assert places == sorted(places)
    assert [block["Action"] for block in blocks] == ["relayed", "delayed", "failed"]


@pytest.mark.parametrize(
    ("orcpt", "field"),
    [
        ("rfc822;jane+2Bdoe+40example.com", "rfc822; jane+doe@example.com"),
        ("x400;/c=de/", "x400; /c=de/"),
        ("utf-8;j\\x{FC}rgen@example.com", "utf-8; j\\x{FC}rgen@example.com"),
        ("utf-8;jürgen@example.com", "utf-8; j\\x{FC}rgen@example.com"),
        ("rfc822;evil+0D+0AX-Evil: 1", "rfc822; evil?X-Evil: 1"),
        ("rfc822;broken+4", "rfc822; broken+4"),
        ("no type", None),
        ("", None),
        ("utf-8;" + "ü" * 490, None),
    ],
)
def test_the_sender_s_own_word_for_the_recipient_comes_back(orcpt: str, field: str | None) -> None:
    _, _, [block] = told(replace(REFUSED, asked=DsnRequest(None, orcpt)))
    assert block["Original-Recipient"] == field


def test_the_envelope_id_comes_back_decoded() -> None:
    _, parsed = written(of=message(envid="QQ+2B314+3D159"))
    assert parts(parsed)[1][0]["Original-Envelope-Id"] == "QQ+314=159"


def test_the_server_that_handed_it_over_is_named() -> None:
    assert parts(written()[1])[1][0]["Received-From-MTA"] == "dns; mail.example.com"
    of = message()
    assert of.client is not None
    odd = replace(of, client=replace(of.client, helo="a\r\nX-Evil: 1"))
    assert parts(written(of=odd)[1])[1][0]["Received-From-MTA"] is None


def test_an_odd_subject_is_shown_on_one_line() -> None:
    original = 'Subject: a\u202eb =?utf-8?q?x=0D=0Ay?= "c"\r\n\r\n'.encode() + b""
    human, _, _ = parts(written(original=original)[1])
    assert 'Your message "a b x y c" of' in human.get_content()
    human, _, _ = parts(written(original=b"Subject: " + b"s" * 300 + b"\r\n\r\n")[1])
    assert f'"{"s" * 100}…" of' in " ".join(human.get_content().split())
