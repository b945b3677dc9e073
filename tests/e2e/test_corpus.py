"""The whole corpus through a running relay: each message stamped in three places at once, one place a recipient."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest

from mta.message.body_text import displayed
from mta.message.parse import Message as Parsed
from mta.message.parse import Part, parse
from tests.servers.client import Answer, SmtpClient
from tests.servers.relay import running_relay
from tests.servers.sink import Arrived, Sink
from tests.servers.wait import free_port
from tests.shared import CorpusMessage, corpus

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(300)]  # the first one waits for all that is sent

PLACES = ("top", "bottom", "reply")
MARKER = "stampmark7c1f"
RULES = "rules:\n" + "".join(
    f"""\
  - name: stamp-{place}
    when: {{recipient: {{address: '{place}@customer.example'}}}}
    actions: [{{stamp: {{template: marker, place: {place}}}}}]
"""
    for place in PLACES
)
TEMPLATES = {"marker": (f"<p>{MARKER} Jane Doe</p>\n", f"{MARKER} Jane Doe\n")}
_FIELD = re.compile(rb"([!-9;-~]+):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")
_NAME_FOR_A_LINE = re.compile(rb"X-Folded-Line:\r\n(?=[ \t])|Mailbox-Line: (?=From )|X-Broken-Line: ")
LYING = (b"content-length", b"content-md5", b"lines")
"""Fields that would tell of the part as it was before it was changed."""
TRACE = (b"received", b"x-stampline-processed", b"dkim-signature", b"message-id", b"date")


ONLY_A_PART_IS_PROTECTED = {
    # Plain text that quotes a signed message with its MIME headers.
    "kde-mimetreeparser/testdata_openpgp-signed-mailinglist_old.eml",
}
STANDARD_LIBRARY_SEES_OTHERWISE = {
    # Boundaries that end in spaces or hyphens are not found.
    "mime4j/mimetools-testmsgs_multi-badnames.eml",
    "mime4j/mimetools-testmsgs_multi-simple.eml",
    "stalwart-mail-parser/malformed_005.eml",
    # The encoding `quoted-printable;` is not decoded.
    "ruby-mail/error_emails_content_transfer_encoding_with_semi_colon.eml",
}


@dataclass(frozen=True)
class Passage:
    """One corpus message's way through: the answer that its sender got, and the copies by place."""

    message: CorpusMessage
    answer: Answer
    copies: dict[str, list[Arrived]]
    skipped: list[dict[str, Any]]
    """What the log says about stamps that were left out."""


@dataclass(frozen=True)
class Run:
    passages: list[Passage]
    troubles: list[dict[str, Any]]
    """Log events that should not be there."""


def _sender(number: int) -> str:
    return f"m{number}@example.com"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    messages = corpus()
    folder = tmp_path_factory.mktemp("corpus") / "relay"
    recipients = [f"{place}@customer.example" for place in PLACES]
    # Many of the messages came out of an Exchange, and keep what only one may set.
    behind_exchange = {
        "name": "exchange", "address": "127.0.0.1", "port": free_port(), "role": "trusted", "peer": "exchange",
        "allowed_networks": ["127.0.0.1/32"],
    }  # fmt: skip
    with (
        Sink() as sink,
        running_relay(folder, sink.port, rules=RULES, templates=TEMPLATES, listeners=[behind_exchange]) as relay,
    ):

        def send(part: int) -> list[tuple[int, Answer]]:
            with SmtpClient(relay.port) as client:
                return [
                    (number, client.send(_sender(number), recipients, messages[number].data))
                    for number in range(part, len(messages), 4)
                ]

        with ThreadPoolExecutor(4) as pool:
            answers = dict(pair for part in pool.map(send, range(4)) for pair in part)
        relay.wait_until_settled(timeout_s=240)
        skipped: dict[str, list[dict[str, Any]]] = {}
        for event in relay.events("stamp-skipped", "withheld", "rule-failed"):
            skipped.setdefault(event["queue_id"], []).append(event)
        copies: dict[str, dict[str, list[Arrived]]] = {}
        for arrived in sink.arrived:
            for path in arrived.rcpt_to:
                place = path.partition("@")[0]
                copies.setdefault(arrived.mail_from, {}).setdefault(place, []).append(arrived)
        passages = [
            Passage(
                message, answers[number], copies.get(_sender(number), {}),
                skipped.get(answers[number].queue_id, []) if answers[number].code == 250 else [],
            )
            for number, message in enumerate(messages)
        ]  # fmt: skip
        return Run(passages, relay.events("internal-error"))


@pytest.fixture(scope="module")
def passages(run: Run) -> list[Passage]:
    return run.passages


def test_nothing_goes_wrong_inside(run: Run) -> None:
    assert run.troubles == []


def _split_trace(copy: bytes, original: bytes) -> tuple[bytes, bytes]:
    """The header lines that we put on top, and the rest.

    A message that opens with a folded line, an mbox `From ` line or another that is no field would end our own header
    or be swallowed by it. It gets a field name in front of that line; the name counts as ours.
    """
    position = 0
    while True:
        match = _FIELD.match(copy, position)
        if match is None or match[1].lower() not in TRACE or copy.startswith(original[: len(match[0])], position):
            break
        position = match.end()
    if name := _NAME_FOR_A_LINE.match(copy, position):
        position = name.end()
    return copy[:position], copy[position:]


def _faults(passages: list[Passage], check: Any) -> list[str]:
    return [
        f"{passage.message.path} {place}: {fault}"
        for passage in passages
        for place, arrived in passage.copies.items()
        for copy in arrived
        if (fault := check(passage, copy.data))
    ]


def _is_touched(passage: Passage, copy: bytes) -> bool:
    return MARKER.encode() in copy or bool(_changed(copy, passage.message.data))


def test_every_message_is_delivered_once_in_each_variant_or_refused_with_a_reason(passages: list[Passage]) -> None:
    for passage in passages:
        if passage.answer.code == 250:
            counts = {place: len(passage.copies.get(place, [])) for place in PLACES}
            assert counts == dict.fromkeys(PLACES, 1), passage.message.path
        else:
            assert re.match(r"[45]\.\d+\.\d+ \S", passage.answer.text), passage.answer
            assert not passage.copies, passage.message.path
    refused = Counter(passage.answer.text for passage in passages if passage.answer.code != 250)
    assert sum(refused.values()) < len(passages) // 20, refused


def test_only_hostile_messages_are_refused(passages: list[Passage]) -> None:
    """A bare CR or LF or a NUL in the message is the only reason in this corpus, besides what is over a limit."""
    for passage in passages:
        if passage.answer.code != 250:
            bare = re.search(rb"\r(?!\n)|(?<!\r)\n", passage.message.data)
            nul = b"\x00" in passage.message.data
            assert bare or nul or passage.answer.text.startswith("5.6.0 Message refused: more than "), (
                passage.message.path,
                passage.answer,
            )


def test_untouchable_kinds_are_byte_identical_below_the_trace_headers(passages: list[Passage]) -> None:
    kinds = ("is_multipart_signed", "is_encrypted", "is_pgp_inline", "is_dsn")
    protected = [
        p
        for p in passages
        if p.copies
        and any(p.message.manifest[kind] for kind in kinds)
        and p.message.path not in ONLY_A_PART_IS_PROTECTED
    ]
    assert len(protected) > 100
    assert _faults(protected, lambda passage, copy: _changed(copy, passage.message.data)) == []


def _changed(copy: bytes, original: bytes) -> str:
    trace, _ = _split_trace(copy, original)
    return "" if copy == trace + original else "is not trace headers and the message as it was"


def test_copies_without_a_stamp_are_byte_identical_and_say_why(passages: list[Passage]) -> None:
    """The rule asked for the stamp: what keeps it away is in the log."""

    def fault(passage: Passage, copy: bytes) -> str:
        if _is_touched(passage, copy):
            return ""
        if not passage.skipped:
            return "is not stamped, and the log does not say why"
        return _changed(copy, passage.message.data)

    assert _faults(passages, fault) == []
    stamped = sum(1 for passage in passages for place in PLACES for copy in passage.copies.get(place, []))
    untouched = sum(
        not _is_touched(p, copy.data) for p in passages for place in PLACES for copy in p.copies.get(place, [])
    )
    assert untouched < stamped // 2


# --- everything outside the stamped parts ---


def _leaves(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children:
        yield from _leaves(child)


def _header_lines(message: Parsed, part: Part, without: tuple[bytes, ...] = ()) -> list[bytes]:
    """What a change may touch left out; with it signatures whose l= lets anything stand below what they cover."""
    lines = [bytes(message.data[field.start : field.end]) for field in part.fields if field.name not in without]
    return [
        line for line in lines if not (line.lower().startswith(b"dkim-signature:") and re.search(rb";\s*l=\d", line))
    ]


def _outside_fault(passage: Passage, copy: bytes) -> str:
    if not _is_touched(passage, copy):
        return ""
    original = parse(passage.message.data)
    _, below = _split_trace(copy, passage.message.data)
    changed = parse(below)
    ours, theirs = list(_leaves(original.root)), list(_leaves(changed.root))
    if [part.content_type for part in ours] != [part.content_type for part in theirs]:
        return f"other parts: {[part.content_type for part in theirs]}"
    bodies = {id(body.part) for body in displayed(original)}
    for before, after in zip(ours, theirs, strict=True):
        may_change = LYING + ((b"content-type", b"content-transfer-encoding") if id(before) in bodies else ())
        if _header_lines(original, before, may_change) != _header_lines(changed, after, may_change):
            return f"header of {before.content_type}"
        same = bytes(original.data[before.body_start : before.body_end]) == bytes(
            changed.data[after.body_start : after.body_end]
        )
        if not before.children and id(before) not in bodies and not same:
            return f"body of {before.content_type}"
    return ""


def test_everything_outside_the_stamped_parts_is_byte_identical(passages: list[Passage]) -> None:
    assert _faults(passages, _outside_fault) == []


# --- the marker, as the standard library's parser sees it ---


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    try:
        return payload.decode(part.get_content_charset("utf-8"), "replace").replace("\x00", "")
    except LookupError:
        return payload.decode("latin-1")


def _texts(message: Message) -> Iterator[tuple[Message, str]]:
    """All leaf texts with their decoded content, those in attached messages included."""
    for part in message.walk():
        if part.get_content_maintype() == "text" and not part.is_multipart():
            yield part, _text(part)


def _rendering(part: Message, prefer: str) -> list[Message]:
    """The text parts that a reader shows who prefers HTML, or plain text."""
    children = part.get_payload() if part.is_multipart() else []
    if part.get_content_maintype() == "message":
        return []
    if not isinstance(children, list) or not children:
        is_body = (
            part.get_content_type() in ("text/plain", "text/html") and part.get_content_disposition() != "attachment"
        )
        return [part] if is_body else []
    messages = [child for child in children if isinstance(child, Message)]
    if part.get_content_subtype() == "alternative":
        shown = [r for r in (_rendering(child, prefer) for child in messages) if r]
        fitting = [r for r in shown if any(leaf.get_content_type() == prefer for leaf in r)]
        return (fitting or shown or [[]])[0]
    if part.get_content_subtype() == "related":
        return _rendering(messages[0], prefer)
    return [leaf for child in messages for leaf in _rendering(child, prefer)]


def _marker_fault(passage: Passage, copy: bytes) -> str:
    if not _is_touched(passage, copy) or passage.message.path in STANDARD_LIBRARY_SEES_OTHERWISE:
        return ""
    message = message_from_bytes(copy)
    for prefer in ("text/html", "text/plain"):
        count = sum(_text(leaf).count(MARKER) for leaf in _rendering(message, prefer))
        if count != 1:
            return f"{count} markers for a reader of {prefer}"
    return ""


def test_the_marker_stands_exactly_once_in_each_displayed_alternative(passages: list[Passage]) -> None:
    assert _faults(passages, _marker_fault) == []
