"""Reads one message. Whatever strangers write costs bounded time, and ends in an Incoming or a reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from mta.message.addresses import Mailbox, addresses, is_doubtful
from mta.message.classify import Classification, Kind, classify
from mta.message.contents import Contents
from mta.message.parse import LimitExceededError, Limits, Message, parse
from mta.message.tracking_copy import CONTENT_TYPE, FILE_NAME, TrackingCopy, read_copy
from mta.tracking.incoming import Automatic, Incoming
from mta.tracking.read.authenticity import Said, exchange_said, says_authentic
from mta.tracking.read.automatic import automatic_kind
from mta.tracking.read.forwarded import is_forward
from mta.tracking.read.identity import content_hash, date_of, ids_in, key_of
from mta.tracking.read.thread_index import thread_index_of
from mta.tracking.read.wording import Wording, wording_of

LIMITS = Limits(header_octets=2_000_000, header_fields=5000, mime_depth=100, mime_parts=5000)
"""More than the relay takes: what lies in a mailbox is there already."""
SUBJECT_MAX = 10_000
_LINE_END_SEARCHED = 100_000
_IN_GROUP = re.compile(rb'[^"<(@]{0,1000}:')
_REPLIES = frozenset({Kind.REPLY, Kind.FORWARD})


class CannotReadError(Exception):
    """It can't be processed, now or later; the text says why, without content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_incoming(
    data: bytes,
    *,
    organisation: str,
    mailbox: str,
    keys: Sequence[bytes],
    accepted_domains: Collection[str],
    authserv_ids: Collection[str],
    is_of_exchange: bool = False,
) -> Incoming:
    """Read a message with CRLF line ends (LF alone is mended), or the one inside a copy of the relay's.

    `is_of_exchange`: the mailbox is one of Exchange's, which knows as whom it let a sender in. Raises CannotReadError.
    """
    message = _parsed(data)
    copy = None
    if any(part.content_type == CONTENT_TYPE or part.filename == FILE_NAME for part in message.root.children):
        found = read_copy(message, keys, organisation)
        if found is not None:
            copy, inner = found
            message = _parsed(inner)
    as_whom = exchange_said(message) if is_of_exchange and copy is None else ""
    return _Reading(message, copy, accepted_domains, authserv_ids, as_whom).incoming(organisation, mailbox)


def _parsed(data: bytes) -> Message:
    if not data.strip():
        raise CannotReadError("the message is empty")
    if b"\r\n" not in data[:_LINE_END_SEARCHED]:
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    try:
        message = parse(data, LIMITS)
    except LimitExceededError as exc:
        raise CannotReadError(str(exc)) from exc
    if not any(field.name for field in message.fields):
        raise CannotReadError("the message has no header")
    return message


class _Reading:
    def __init__(
        self,
        message: Message,
        copy: TrackingCopy | None,
        accepted: Collection[str],
        authserv_ids: Collection[str],
        as_whom: str,
    ) -> None:
        self.message = message
        self.copy = copy
        self.accepted = accepted
        self.authserv_ids = authserv_ids
        self.as_whom = as_whom
        self.reverse_path_is_null = copy.mail_from == "" if copy is not None else _is_null(message)
        self.classification: Classification = classify(message, self.reverse_path_is_null)
        self.authors = addresses(message, "from")
        self.author = self.authors[0] if self.authors else None
        self.is_sent = copy is not None and copy.direction in ("sent", "internal")

    def incoming(self, organisation: str, mailbox: str) -> Incoming:
        message = self.message
        author_key = self.author.address.key if self.author is not None else ""
        date = date_of(message)
        subject = " ".join(message.subject[:SUBJECT_MAX].encode("utf_8", "replace").decode("utf_8").split())
        is_authenticated, said_by = self._said()
        content = content_hash(message, author_key, date, subject, Contents(message))
        to, cc = addresses(message, "to"), addresses(message, "cc")
        wording = wording_of(message, is_reply=self._is_reply(), is_ours=self.is_sent)
        return Incoming(
            organisation=organisation,
            mailbox=mailbox,
            key=key_of(message, author_key, date, content, is_forged=is_authenticated is False),
            data=bytes(message.data),
            parsed=message,
            classification=self.classification,
            copy=self.copy,
            message_id=message.message_id,
            content_hash=content,
            in_reply_to=ids_in(message, "in-reply-to"),
            references=ids_in(message, "references"),
            author=self.author,
            sender=next(iter(addresses(message, "sender")), None),
            to=tuple(to),
            cc=tuple(cc),
            reply_to=tuple(addresses(message, "reply-to")),
            subject=subject,
            date=date,
            text=wording.text,
            newest=wording.newest,
            thread_index=thread_index_of(message),
            automatic=self._automatic(),
            is_forward=self._is_forward(wording, [*to, *cc]),
            is_sent=self.is_sent,
            is_authenticated=is_authenticated,
            said_by=said_by,
            is_from_outside=self.as_whom == "anonymous",
        )

    def _is_reply(self) -> bool:
        return self.classification.kind in _REPLIES or self.message.has("in-reply-to") or self.message.has("references")

    def _automatic(self) -> Automatic:
        raw = self.message.header("from")
        return automatic_kind(
            self.message, self.classification, reverse_path_is_null=self.reverse_path_is_null, from_line=raw[:1000]
        )

    def _is_forward(self, wording: Wording, recipients: Sequence[Mailbox]) -> bool:
        if self.classification.kind in (Kind.DSN, Kind.MDN, Kind.JOURNAL):
            return False
        return is_forward(self.message, wording, self.author, recipients)

    def _said(self) -> Said:
        """Who names several authors, or one that other readers see and we don't, is nobody that we know."""
        if self.is_sent:
            return Said(True, "the relay: one of us sent it")
        if self.author is None:
            return Said(None, "From names nobody")
        if len(self.authors) > 1 or len(self.message.fields_named("from")) > 1 or is_doubtful(self.message, "from"):
            return Said(False, "From isn't exactly one address")
        if self.copy is not None and self.copy.authenticated is not None:
            return Said(self.copy.authenticated, "what the relay found out when it came")
        domain = self.author.address.domain_key
        said = says_authentic(self.message, domain, self.authserv_ids, self.accepted)
        if said.is_authentic is not None:
            return said
        if self._is_in_group():
            return Said(False, "From names a group")
        if self.as_whom == "internal" and domain in self.accepted:
            return Said(True, "Exchange: one of us sent it")
        return said

    def _is_in_group(self) -> bool:
        """Servers may not find the domain of such an author, and so not ask it (RFC 7489 §6.6.1)."""
        return any(_IN_GROUP.match(self.message.raw(field)) for field in self.message.fields_named("from"))


def _is_null(message: Message) -> bool:
    """By the line that the last server wrote; a message without one says nothing."""
    fields = message.fields_named("return-path")
    return bool(fields) and message.raw(fields[0]).strip() in (b"<>", b"<MAILER-DAEMON>")
