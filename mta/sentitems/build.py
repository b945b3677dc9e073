"""The new item: the content that was sent, below the header fields of the sender's own item.

What the relay and other servers wrote on the way is not the sender's to see: traces, signatures, marks, what Exchange
tells itself. Recipients stay as the item shows them, Bcc too, whoever got this copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from mta.message.addresses import Mailbox
from mta.message.ascii_fields import ascii_field
from mta.message.contents import Contents
from mta.message.edit import CannotEditError, joined
from mta.message.fields import HeaderField
from mta.message.headers import format_field, tag_subject
from mta.message.mailboxes import address_field
from mta.message.parse import LimitExceededError, Message, parse
from mta.model.address import AddressError, parse_address
from mta.model.mailbox_item import Marks, NewAttachment, NewItem, Participant, SentItem, stamp_of
from mta.model.sentitem import SentItemJob
from mta.sentitems.copies import Content, UnusableCopyError
from mta.sentitems.guard import came_of, said_in
from mta.sentitems.reasons import UNREADABLE
from mta.sentitems.same_text import digest

_OF_THE_WAY = frozenset({
    b"received", b"return-path", b"delivered-to", b"x-original-to", b"envelope-to", b"dkim-signature",
    b"domainkey-signature", b"authentication-results", b"received-spf", b"x-google-dkim-signature",
    b"x-ms-publictraffictype", b"x-ms-office365-filtering-correlation-id", b"x-forefront-antispam-report",
    b"x-originatororg", b"x-ms-has-attach", b"x-eopattributedmessage", b"x-eoptenantattributedmessage", b"lines",
    b"content-length", b"x-ms-tnef-correlator",
})  # fmt: skip
_OF_SYSTEMS = (
    b"arc-", b"x-stampline-", b"x-ms-exchange-organization-", b"x-ms-exchange-crosstenant-",
    b"x-ms-exchange-crosspremises-", b"x-ms-exchange-forest-", b"x-ms-exchange-transport-", b"x-ms-exchange-antispam-",
    b"x-ms-traffictypediagnostic", b"x-microsoft-antispam",
)  # fmt: skip
_OF_CONTENT = (b"content-", b"mime-version")
_IDENTIFIERS = frozenset({b"message-id", b"in-reply-to", b"references"})
"""What is compared by octets, so that it stays as it is even where it is no ASCII."""
_RECIPIENTS = ("To", "Cc", "Bcc")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LONG_LINE = re.compile(rb"[^\r\n]{999}")
_FOLD_AT = re.compile(rb"([^\r\n]{600,900}?)[ \t]+(?=[^ \t\r\n])")


def new_item(job: SentItemJob, content: Content, original: SentItem, *, subject_mark: str, category: str) -> NewItem:
    """What is to stand in Sent Items for one copy. Raises UnusableCopyError."""
    mime = new_mime(job, content, original, subject_mark)
    try:
        made = parse(mime)
    except LimitExceededError as exc:  # thousands of Bcc recipients
        raise UnusableCopyError(UNREADABLE, str(exc)) from exc
    contents = Contents(made)
    return NewItem(
        stamp=stamp_of(job.id, content.copy.key, digest(said_in(made)), came_of(content.received)),
        original=original,
        mime=mime,
        message_id=original.message_id or job.message_id,
        subject=made.subject,
        html=_writable(contents.html),
        text=_writable(contents.text),
        attachments=tuple(
            NewAttachment(file.name, file.content_type, file.octets, file.content_id, file.is_inline)
            for file in contents.files
        ),
        in_reply_to=original.in_reply_to or content.received.header("in-reply-to"),
        references=original.references or content.received.header("references"),
        marks=with_category(original.marks, category),
    )


def with_category(marks: Marks, category: str) -> Marks:
    """The same marks, and our category behind them."""
    if not category or category.casefold() in map(str.casefold, marks.categories):
        return marks
    return Marks(marks.is_read, (*marks.categories, category), marks.follow_up, marks.keywords)


def _writable(text: str | None) -> str | None:
    """Without what JSON and XML can't hold: octets that are no text in their charset, NUL."""
    return None if text is None else _UNWRITABLE.sub("\ufffd", text)


def new_mime(job: SentItemJob, content: Content, original: SentItem, subject_mark: str) -> bytes:
    """The new item as a message: CRLF line ends; a header in ASCII, with lines of at most 998 octets where it folds."""
    above = _header_of(original) or content.received
    fields = [*_kept(above), *_missing(above, original, job), *_content_fields(content.sent)]
    position = next((index for index, (name, _) in enumerate(fields) if name == b"subject"), len(fields))
    others = [field for name, field in fields if name != b"subject"]
    others[position:position] = _subject(above, content, original, subject_mark)
    body = content.sent.data[content.sent.body_start :]
    return b"".join([*others, b"\r\n", _with_whole_line_ends(body)])


def _header_of(original: SentItem) -> Message | None:
    """The item's own header, where the server has one."""
    if not original.mime:
        return None
    try:
        message = parse(original.mime[: original.mime.find(b"\r\n\r\n") + 4 or None])
    except LimitExceededError:
        return None
    return message if message.fields else None


def _kept(above: Message) -> Iterator[tuple[bytes, bytes]]:
    for field in above.fields:
        if _stays(field):
            yield field.name, _neutral(field.name, above.data[field.start : field.end])


def _stays(field: HeaderField) -> bool:
    name = field.name
    return bool(name) and name not in _OF_THE_WAY and not name.startswith(_OF_SYSTEMS + _OF_CONTENT)


def _content_fields(sent: Message) -> Iterator[tuple[bytes, bytes]]:
    for field in sent.fields:
        if field.name.startswith(_OF_CONTENT):
            yield field.name, _neutral(field.name, sent.data[field.start : field.end])


def _missing(above: Message, original: SentItem, job: SentItemJob) -> Iterator[tuple[bytes, bytes]]:
    """What the item has, and its header lacks: Bcc above all; Exchange writes it for the owner only."""
    shown = {"To": original.to, "Cc": original.cc, "Bcc": original.bcc}
    for name in _RECIPIENTS:
        if not above.has(name) and (mailboxes := list(_mailboxes(shown[name]))):
            yield name.lower().encode(), address_field(name, mailboxes)
    if not above.has("message-id"):
        yield b"message-id", format_field("Message-ID", original.message_id or job.message_id)


def _mailboxes(people: Iterable[Participant]) -> Iterator[Mailbox]:
    """Those with an SMTP address that a header can hold."""
    for person in people:
        try:
            address = parse_address(person.address)
        except AddressError:
            continue
        if str(address).isascii():
            yield Mailbox(person.name, address)


def _subject(above: Message, content: Content, original: SentItem, mark: str) -> list[bytes]:
    """The item's own subject, or what rules have made of it, with our mark before it.

    An item of ours has the subject of another copy.
    """
    before, sent = content.received, content.sent
    is_own = not original.stamp and sent.subject == before.subject and above.has("subject")
    source = above if is_own else sent
    fields = source.fields_named("subject")
    if not fields and not original.subject and not mark:
        return []
    field = source.data[fields[0].start : fields[0].end] if fields else format_field("Subject", original.subject)
    if not field.partition(b":")[2].strip() and not mark:
        return [b"Subject: \r\n"]
    lone = parse(_neutral(b"subject", field) + b"\r\n")
    marked = joined(lone.data, tag_subject(lone, mark, "prefix")) if mark else bytes(lone.data)
    return [marked.removesuffix(b"\r\n")]


def _neutral(name: bytes, field: bytes) -> bytes:
    """A field in ASCII, CRLF at its end, without lines that are too long."""
    field = _with_whole_line_ends(field).rstrip(b"\r\n") + b"\r\n"
    if not field.isascii() and name not in _IDENTIFIERS:
        with suppress(CannotEditError):  # an address in UTF-8 (RFC 6531) can't be written otherwise
            field = ascii_field(name, field)
    field = field.replace(b"\0", b"")
    return _FOLD_AT.sub(rb"\1\r\n ", field) if _LONG_LINE.search(field) else field


def _with_whole_line_ends(octets: bytes) -> bytes:
    """No CR and no LF by itself."""
    return _BARE_LINE_END.sub(b"\r\n", octets) if _BARE_LINE_END.search(octets) else octets
