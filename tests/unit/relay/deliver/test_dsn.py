from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage, Message

import pytest

from mta.model.address import Address, parse_address
from mta.model.decision import Direction
from mta.model.delivery import AcceptedMessage
from mta.model.reply import Reply
from mta.relay.deliver.dsn import FULL_UP_TO, DsnWriter
from mta.relay.deliver.settle import Cause, Failure
from tests.unit.relay.deliver.samples import NOON, ORIGINAL, message, next_hop_of

WRITER = DsnWriter("relay.example.com", "postmaster", next_hop_of, frozenset({"example.com"}))
JOE = parse_address("joe@example.org")
REFUSED = Failure(
    JOE, Cause.REFUSED, "5.1.1", Reply(550, "5.1.1", "no such user"),
    "mx.example.org[192.0.2.9]:25", "550 5.1.1 <joe@example.org>: no such user",
)  # fmt: skip


def written(
    *failures: Failure, of: AcceptedMessage | None = None, original: bytes = ORIGINAL
) -> tuple[AcceptedMessage, EmailMessage]:
    dsn = WRITER.write(of or message(), failures or (REFUSED,), NOON + timedelta(minutes=5), original)
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
    text = human.get_content()
    assert "Your message of 22 November 2026, 12:00 (UTC) could not be delivered to this address:" in text
    assert "There is no mailbox with this address." in text
    assert "mx.example.org answered:" in text
    assert "550 5.1.1 <joe@example.org>: no such user" in text


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (Failure(JOE, Cause.EXPIRED, "4.4.7", Reply(451, "4.4.1", "Can't connect")), "We have tried for 2 days"),
        (Failure(JOE, Cause.HELD, "5.7.1", Reply(554, "5.7.1", "held")), "nobody released it in time"),
        (Failure(JOE, Cause.POLICY, "5.7.1", Reply(550, "5.7.1", "No invoices")), "No invoices"),
        (Failure(JOE, Cause.REFUSED, "5.2.2", Reply(552, "5.2.2", "full")), "The mailbox is full."),
        (Failure(JOE, Cause.REFUSED, "5.1.99", Reply(550, "5.1.99", "?")), "The address was not accepted."),
        (Failure(JOE, Cause.REFUSED, "5.0.0", Reply(550, "5.0.0", "?")), "did not take the message"),
    ],
)
def test_the_reason_is_explained(failure: Failure, said: str) -> None:
    assert said in " ".join(parts(written(failure)[1])[0].get_content().split())


def test_our_own_reply_is_not_passed_off_as_smtp() -> None:
    ours = Failure(JOE, Cause.EXPIRED, "4.4.7", Reply(451, "4.4.1", "Can't connect: timed out"))
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


def test_ret_full_returns_a_small_message_whole() -> None:
    _, _, original = parts(written(of=message(ret="FULL"))[1])
    assert original.get_content_type() == "message/rfc822"
    assert "please find the offer" in original.as_string()


@pytest.mark.parametrize("tail", [b"x" * 70 + b"\r\n", "Grüße\r\n".encode()])
def test_ret_full_returns_the_header_of_what_is_large_or_8_bit(tail: bytes) -> None:
    body = tail * (FULL_UP_TO // 72 + 1) if tail.isascii() else tail
    _, _, original = parts(written(of=message(ret="FULL"), original=ORIGINAL + body)[1])
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
