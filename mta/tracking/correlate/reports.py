"""What bounces and receipts are about: only what we sent, to whom we sent it, can fail.

Anybody can write a bounce. So it counts where it brings back our own proof with the message that it is about, or where
it names a recipient who takes part in the conversation of a message that we know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mta.message.notice import is_notice_id
from mta.message.parse import Message, Part
from mta.message.reference import references_in
from mta.message.transfer import decode
from mta.model.transaction import Transaction
from mta.tracking.correlate import reasons
from mta.tracking.correlate.correlation import Correlation, Outcome
from mta.tracking.correlate.inquiry import Inquiry
from mta.tracking.incoming import Automatic, Incoming
from mta.tracking.read.automatic import octets_of_report, report_parts

_HEADER_MAX = 100_000
_TEXT_MAX = 100_000
_IDS_MAX = 50
_ADDRESSES_MAX = 100
_ID = re.compile(r"<[^<>\s]{1,990}>")
_MESSAGE_ID = re.compile(
    r"^[> \t]{0,10}(?:original-)?message-id[ \t]*:[ \t\r\n>]{0,20}(<[^<>\s]{1,990}>)", re.IGNORECASE | re.MULTILINE
)
_NAMES_RECIPIENT = re.compile(
    r"^[> \t]{0,10}(?:(?:final|original)-recipient[ \t]*:[ \t]*[a-z0-9\-]{1,20}[ \t]*;|x-failed-recipients[ \t]*:)"
    r"([^\r\n]{1,2000})",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]{1,64}@[A-Za-z0-9.\-]{1,253}")
_STATUS = re.compile(r"^status[ \t]*:[ \t]*([245]\.\d{1,3}\.\d{1,3})", re.IGNORECASE | re.MULTILINE)
_STATUS_IN_TEXT = re.compile(r"(?<![\d.])(5\.\d{1,3}\.\d{1,3})(?![\d.])")
_FAILED = "5.0.0"
_MDN = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_HEADERS = frozenset({"text/rfc822-headers", "text/rfc822-header", "message/global-headers"})


class _Told(NamedTuple):
    """What a report says."""

    ids: list[str]
    """Message-IDs of what it may be about, the surest first."""
    original: str
    """What it brings back of the message: header fields, or its own text."""
    recipients: frozenset[str]
    """Addresses in lower case."""
    status: str


async def report(inquiry: Inquiry) -> Correlation | None:
    """None for what is no report."""
    incoming = inquiry.incoming
    if incoming.automatic not in (Automatic.BOUNCE, Automatic.RECEIPT):
        return None
    is_bounce = incoming.automatic is Automatic.BOUNCE
    told = _told(incoming, is_bounce=is_bounce)
    about, transaction = await _subject_of(inquiry, told)
    if not about and transaction is None:
        return Correlation(Outcome.REPORT, reasons.OF_NOTHING_SENT)
    return Correlation(
        Outcome.REPORT,
        reasons.BOUNCE if is_bounce else reasons.RECEIPT,
        transaction,
        about=about,
        status=told.status if about else "",
    )


async def _subject_of(inquiry: Inquiry, told: _Told) -> tuple[str, Transaction | None]:
    """The Message-ID of what we sent, and its conversation; neither where it isn't known that we did."""
    incoming = inquiry.incoming
    if incoming.is_authenticated is False:
        return "", None
    proven = None
    for signed in references_in(told.original, inquiry.keys, incoming.organisation):
        proven = proven or await inquiry.current(signed)
    notice = next((each for each in told.ids if is_notice_id(each, inquiry.keys, incoming.organisation)), "")
    if notice and proven is not None:
        return notice, proven
    found = await inquiry.conversations.transactions_of(incoming.organisation, told.ids) if told.ids else {}
    if notice:
        return notice, found.get(notice)
    for each in told.ids:
        transaction = found.get(each)
        if transaction is None or not await _was_sent(inquiry, each):
            continue
        if transaction == proven or not told.recipients.isdisjoint(
            await inquiry.conversations.participants(transaction)
        ):
            return each, transaction
    return "", proven


async def _was_sent(inquiry: Inquiry, message_id: str) -> bool:
    """By one of ours, or noted by the relay and not yet fetched."""
    entry = await inquiry.conversations.entry_of_message(inquiry.incoming.organisation, message_id)
    return entry is None or entry.direction == "sent"


def _told(incoming: Incoming, *, is_bounce: bool) -> _Told:
    fields = "\n".join(_fields_for_programs(incoming.parsed))
    brought = "\n".join(_brought_back(incoming.parsed))
    text = incoming.text[:_TEXT_MAX]
    stated = [*_MESSAGE_ID.findall(fields), *_MESSAGE_ID.findall(brought), *_MESSAGE_ID.findall(text)]
    ids = dict.fromkeys((*stated, *incoming.in_reply_to, *reversed(incoming.references)))
    named = _NAMES_RECIPIENT.findall(f"{fields}\n{_header_of(incoming.parsed.root)}")
    if not named and is_bounce:
        named = [text]
    addresses = (found.lower() for each in named for found in _ADDRESS.findall(each))
    return _Told(
        list(ids)[:_IDS_MAX],
        f"{brought}\n{text}",
        frozenset(address for _, address in zip(range(_ADDRESSES_MAX), addresses, strict=False)),
        _status(fields, text) if is_bounce else "",
    )


def _status(fields: str, text: str) -> str:
    """The gravest one that it states; without any, a failure of no known kind."""
    stated = [status for status in _STATUS.findall(fields) if status[0] != "2"]
    if stated:
        return str(max(stated, key=lambda status: status[0]))
    found = _STATUS_IN_TEXT.search(text)
    return str(found[1]) if found else _FAILED


def _fields_for_programs(message: Message) -> Iterator[str]:
    parts = [*report_parts(message), *(part for part in message.root.own_parts() if part.content_type in _MDN)]
    for part in parts:
        yield octets_of_report(part).decode("utf_8", "replace")


def _brought_back(message: Message) -> Iterator[str]:
    """Headers of attached messages, or parts that hold such a header alone."""
    for part in message.root.own_parts():
        if part.encloses_message and part.children:
            yield _header_of(part.children[0])
        elif part.content_type in _HEADERS or (part.content_type == "message/rfc822" and not part.encloses_message):
            yield decode(part.raw_body[:_HEADER_MAX], part.encoding).octets.decode("utf_8", "replace")


def _header_of(part: Part) -> str:
    end = min(part.body_start, part.header_start + _HEADER_MAX)
    return bytes(part.data[part.header_start : end]).decode("utf_8", "replace").replace("\r\n", "\n")
