"""Short texts in rules, with what the message and the record say: `Order of {sender_name}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mta.model.printable import in_a_line
from mta.tracking.record.draft import Draft

VALUE_MAX = 1000
"""Characters of what a wording gives."""
_PLACE = re.compile(r"\{([^{}]*)\}")
_FIELD = re.compile(r"fields\.[a-z0-9][a-z0-9_-]{0,63}\Z")


class WordingError(ValueError):
    """A placeholder that stands for nothing."""


class Wording:
    """A text with placeholders, checked. `{{` and what else isn't a name between braces is refused."""

    __slots__ = ("names", "text")

    def __init__(self, text: str) -> None:
        """Raises WordingError."""
        self.text = text
        self.names = frozenset(_PLACE.findall(text))
        for name in sorted(self.names):
            if name not in NAMES and not _FIELD.match(name):
                raise WordingError(f"{{{name}}} stands for nothing")
        if set(_PLACE.sub("", text)) & set("{}"):
            raise WordingError("a brace that doesn't belong to a name")

    def of(self, draft: Draft) -> str:
        """In one line."""
        return in_a_line(_PLACE.sub(lambda match: _value(match[1], draft), self.text), VALUE_MAX)

    @property
    def needs_message(self) -> bool:
        return not self.names.isdisjoint(_OF_MESSAGE)


def _value(name: str, draft: Draft) -> str:
    if name.startswith("fields."):
        return draft.record.fields.get(name[7:], "") if draft.record is not None else ""
    return NAMES[name](draft)


def _subject(draft: Draft) -> str:
    return draft.message.incoming.subject if draft.message is not None else ""


def _sender(draft: Draft) -> str:
    return draft.message.incoming.author_key if draft.message is not None else ""


def _sender_name(draft: Draft) -> str:
    author = draft.message.incoming.author if draft.message is not None else None
    return (author.display or str(author.address)) if author is not None else ""


def _mailbox(draft: Draft) -> str:
    return draft.message.incoming.mailbox if draft.message is not None else ""


def _of_record(name: str) -> Callable[[Draft], str]:
    return lambda draft: str(getattr(draft.record, name)) if draft.record is not None else ""


def _module(draft: Draft) -> str:
    return draft.transaction.module if draft.transaction is not None else ""


_OF_MESSAGE: Mapping[str, Callable[[Draft], str]] = {
    "subject": _subject, "sender": _sender, "sender_name": _sender_name, "mailbox": _mailbox
}  # fmt: skip
NAMES: Mapping[str, Callable[[Draft], str]] = {
    **_OF_MESSAGE,
    **{name: _of_record(name) for name in ("title", "state", "owner", "requester", "source")},
    "module": _module,
}
"""Beside these there is `fields.NAME`."""
