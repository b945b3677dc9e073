"""Address lists in header fields (RFC 5322 §3.4), read tolerantly: groups, comments, quotes, missing brackets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mta.message.encoded_words import decode_text, decode_undeclared
from mta.message.parse import Message
from mta.message.remembered import remembered
from mta.model.address import Address, AddressError, parse_address

# Each alternative begins with a character of its own and can't go back, so that the cost is linear.
_TOKEN = re.compile(r'"((?>(?:[^"\\]|\\.)*))"?|<([^<>,;"]*+)>?|([,;])|([^"<,;(]++)|\(', re.DOTALL)
_COMMENT = re.compile(r"[()]|\\.", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPACE = re.compile(r"\s+")
_MAILBOXES_MAX = 10_000
_TOKENS_MAX = 20_000
"""Of one field. 100 kB of people's names and addresses come to 15,000; of commas to 100,000."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox of an address list; `display` is decoded, "" where there is none."""

    display: str
    address: Address


def addresses(message: Message, name: str) -> list[Mailbox]:
    """All mailboxes of all fields of that name, in order; what is not an address is left out."""
    found: list[Mailbox] = []
    for field in message.fields_named(name):
        found += read_mailboxes(message.raw(field))
    return found[:_MAILBOXES_MAX]


def is_doubtful(message: Message, name: str) -> bool:
    """Whether something that readers may take for an address is left out of `addresses`."""
    return any(_read_list(decode_undeclared(message.raw(field)), []) for field in message.fields_named(name))


@remembered
def read_mailboxes(raw: bytes) -> tuple[Mailbox, ...]:
    """The mailboxes of one field's value."""
    found: list[Mailbox] = []
    _read_list(decode_undeclared(raw), found)
    return tuple(found)


class _Entry:
    """One entry of a list while it is read: words before the address, and the address in brackets."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.comments: list[str] = []
        self.address: str | None = None
        self.quoted: set[int] = set()

    def finish(self) -> Mailbox | None:
        """The mailbox, None if it is none."""
        text = self.address
        words = self.words
        if text is None:
            text, words = "".join(_as_written(words, self.quoted)), []
        try:
            address = parse_address(_SPACE.sub("", text) if '"' not in text else text.strip())
        except AddressError:
            return None
        display = "".join(words).strip() or " ".join(self.comments).strip()
        return Mailbox(_display(display), address)


def _as_written(words: list[str], quoted: set[int]) -> list[str]:
    return [f'"{word}"' if index in quoted else word for index, word in enumerate(words)]


def _display(text: str) -> str:
    if "=?" in text:
        return decode_text(text.encode("utf_8", "replace"))
    return _SPACE.sub(" ", text)


def _read_list(text: str, found: list[Mailbox]) -> bool:
    """Add the mailboxes to `found`; whether anything with an @ is none of them."""
    entry, is_doubtful = _Entry(), False
    position = tokens = 0
    while position < len(text) and len(found) < _MAILBOXES_MAX:
        tokens += 1
        if tokens > _TOKENS_MAX:
            return True
        match = _TOKEN.match(text, position)
        if match is None:
            position += 1
            continue
        position = match.end()
        quoted, bracketed, separator, word = match.groups()
        if quoted is not None:
            entry.quoted.add(len(entry.words))
            entry.words.append(_ESCAPED.sub(r"\1", quoted))
        elif bracketed is not None:
            is_doubtful |= entry.address is not None and "@" in bracketed
            entry.address = bracketed if entry.address is None else entry.address
        elif word is not None:
            is_doubtful |= entry.address is not None and "@" in word
            entry.words.append(_without_group(entry, word))
        elif separator is not None:
            is_doubtful |= _add(entry, found)
            entry = _Entry()
        else:
            comment, position = _comment(text, position)
            entry.comments.append(comment)
    return _add(entry, found) or is_doubtful


def _add(entry: _Entry, found: list[Mailbox]) -> bool:
    """Add the entry's mailbox; whether it has none although there is an @ in it."""
    mailbox = entry.finish() if entry.words or entry.address is not None else None
    if mailbox is not None:
        found.append(mailbox)
        return False
    return "@" in (entry.address or "") or any("@" in word for word in entry.words)


def _without_group(entry: _Entry, word: str) -> str:
    """`Group name: first@…` begins a group: its name is no part of the first member."""
    before, colon, after = word.rpartition(":")
    if not colon or "@" in before:
        return word
    entry.words.clear()
    entry.quoted.clear()
    return after


def _comment(text: str, position: int) -> tuple[str, int]:
    """The comment whose "(" stands before `position`, and where it ends; comments nest."""
    depth = 1
    start = position
    for match in _COMMENT.finditer(text, position):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if not depth:
                return text[start : match.start()], match.end()
    return text[start:], len(text)
