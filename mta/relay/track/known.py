"""Which conversation a message names, and by what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mta.message.body_text import displayed
from mta.message.parse import Message
from mta.message.reference import HEADER, references_in
from mta.message.tokens import tokens_in
from mta.model.transaction import Transaction
from mta.relay.track.settings import Tracking

LOOKED_AT = 20_000
"""Octets at the end of each header field."""
TEXT_LOOKED_AT = 1_000_000
"""Characters at the beginning of each text."""
ANSWERED_MAX = 20
_HEADER = HEADER.lower()
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,990}>")


@dataclass(frozen=True, slots=True)
class Named:
    """A conversation whose signed reference the message carries."""

    transaction: Transaction
    by: str
    """`in-reply-to`, `references`, `header` or `body`; of our senders' mail `message-id` or `subject`, too."""


def named_in(message: Message, tracking: Tracking) -> Named | None:
    """The conversation that a valid reference names: in In-Reply-To, in References from the right, in our own field,
    in the text from its beginning, where the newest is. Those of modules that are gone count for nothing.

    Reading the text costs more than all else, so it is read only where some module puts references into texts.
    """
    for name, by, latest in (
        ("in-reply-to", "in-reply-to", False),
        ("references", "references", True),
        (_HEADER, "header", False),
    ):
        for field in message.fields_named(name):
            text = message.raw(field)[-LOOKED_AT:].decode("latin_1")
            found = list(_valid(text, tracking))
            if found:
                return Named(found[-1] if latest else found[0], by)
    for body in displayed(message) if tracking.looks_into_texts else ():
        for transaction in _valid(body.text[:TEXT_LOOKED_AT], tracking):
            return Named(transaction, "body")
    return None


def _valid(text: str, tracking: Tracking) -> Iterator[Transaction]:
    for transaction in references_in(text, tracking.keys, tracking.organisation):
        if transaction.module in tracking.styles:
            yield transaction


def answered_by(message: Message) -> tuple[str, ...]:
    """Message-IDs that it answers, the nearest first, bounded."""
    found: dict[str, None] = {}
    for name, step in (("in-reply-to", 1), ("references", -1)):
        for field in message.fields_named(name):
            text = message.raw(field)[-LOOKED_AT:].decode("utf_8", "replace")
            found.update(dict.fromkeys(_MESSAGE_ID.findall(text)[::step]))
    return tuple(found)[:ANSWERED_MAX]


def tokens_of(message: Message, tracking: Tracking) -> tuple[tuple[str, int], ...]:
    """(module, number) of the tokens in the subject, which prove nothing: anybody can write them."""
    return tuple(dict.fromkeys(tokens_in(message.subject, tracking.expressions)))
