"""What a message carries that may name a conversation, read from it without asking anybody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from mta.config.tracking_schema import CorrelationSettings, Module, TicketPattern
from mta.message.body_text import displayed
from mta.message.patterns.text_patterns import Pattern, compile_regex
from mta.message.reference import HEADER, SHAPE, references_in
from mta.message.tokens import tokens_in
from mta.model.transaction import Transaction
from mta.tracking.incoming import Incoming
from mta.tracking.read.thread_index import ROOT_OCTETS

NAMED_MAX = 50
"""Unseen messages that one message names."""
_BODY_MAX = 1_000_000
_HEADER_MAX = 2000
_TICKET_MAX = 64
_HINT = "stampline."


class Expressions(NamedTuple):
    tokens: tuple[tuple[str, re.Pattern[str]], ...]
    tickets: tuple[tuple[str, Pattern], ...]


@lru_cache(maxsize=32)
def expressions(modules: tuple[Module, ...], tickets: tuple[TicketPattern, ...]) -> Expressions:
    """Compiled once for each configuration. Raises PatternError for what its check finds before."""
    styles = (module.style for module in modules)
    return Expressions(
        tuple((style.module, found) for style in styles if (found := style.expression()) is not None),
        tuple((ticket.system, compile_regex(ticket.regex)) for ticket in tickets),
    )


def signed_references(incoming: Incoming, keys: Sequence[bytes]) -> Iterator[Transaction]:
    """Valid ones, the likeliest first: In-Reply-To, References from the right, our own header field, the text from
    its beginning, where the newest is. Text is only read where nothing before was enough."""
    organisation = incoming.organisation
    seen: set[Transaction] = set()
    for text in _texts(incoming):
        if _HINT not in text and _HINT not in text.lower():
            continue
        for transaction in references_in(text, keys, organisation):
            if transaction not in seen:
                seen.add(transaction)
                yield transaction


def _texts(incoming: Incoming) -> Iterator[str]:
    yield " ".join(incoming.in_reply_to)
    yield " ".join(reversed(incoming.references))
    for field in incoming.parsed.fields_named(HEADER)[:4]:
        yield incoming.parsed.raw(field)[:_HEADER_MAX].decode("latin_1")
    yield incoming.newest
    # As it was written: HTML holds what readers don't see.
    for body in displayed(incoming.parsed):
        yield body.text[:_BODY_MAX]


def answered(incoming: Incoming) -> list[str]:
    """Message-IDs that it answers, the nearest first; our own references are no messages."""
    ids = dict.fromkeys((*incoming.in_reply_to, *reversed(incoming.references)))
    return [each for each in ids if not SHAPE.match(each, 1) and each != incoming.message_id]


def thread_id(incoming: Incoming, settings: CorrelationSettings) -> str:
    """Exchange's conversation, as it is noted among Message-IDs; "" for none."""
    if not settings.thread_index or not incoming.thread_index:
        return ""
    return f"thread-index:{incoming.thread_index[:ROOT_OCTETS].hex()}"


def ticket_ids(incoming: Incoming, found: Iterable[tuple[str, Pattern]]) -> list[str]:
    """Other systems' numbers in the subject, as they are noted."""
    ids = []
    for system, pattern in found:
        match = pattern.search(incoming.subject)
        number = match.group(1).decode("utf-8", "replace").strip().casefold() if match and match.group(1) else ""
        if number and len(number) <= _TICKET_MAX:
            ids.append(f"ticket:{system}:{number}")
    return ids


def tokens(text: str, found: Iterable[tuple[str, re.Pattern[str]]]) -> list[tuple[str, int]]:
    """(module, number), each once."""
    return list(dict.fromkeys(tokens_in(text, found)))
