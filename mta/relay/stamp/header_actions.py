"""The header actions of a group, brought together so that each field is edited once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mta.message.edit import Edit
from mta.message.headers import remove_header, set_header, tag_subject
from mta.message.parse import Message
from mta.model.actions import Action, OnError, RemoveHeader, SetHeader, TagSubject
from mta.relay.stamp.context import Failed

# What the message's structure says of itself, and what our own edits change: not for rules.
_STRUCTURE = frozenset(("content-type", "content-transfer-encoding", "mime-version", "content-length", "content-md5"))


@dataclass(slots=True)
class _Wanted:
    """What the actions come to: a later one on the same field outweighs an earlier one."""

    fields: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Name in lower case → name as written and value; None removes."""
    prefixes: list[str] = field(default_factory=list)
    suffixes: list[str] = field(default_factory=list)


def header_edits(message: Message, actions: Sequence[Action]) -> tuple[list[Edit], list[Failed]]:
    """Edits for the header actions among `actions`, in rule order, and those that can't be carried out."""
    wanted = _Wanted()
    failed: list[Failed] = []
    for action in actions:
        if isinstance(action, SetHeader | RemoveHeader):
            name = action.name.lower()
            if name in _STRUCTURE:
                error = f"{action.name} describes the message's structure"
                failed.append(Failed(action.rule, error, OnError.DELIVER_UNSTAMPED))
                continue
            wanted.fields[name] = (action.name, action.value if isinstance(action, SetHeader) else None)
        elif isinstance(action, TagSubject):
            _tag(wanted, message, action)
    edits = _subject_edits(message, wanted)
    for name, value in wanted.fields.values():
        try:
            edits += remove_header(message, name) if value is None else set_header(message, name, value)
        except ValueError as exc:
            failed.append(Failed("", str(exc), OnError.DELIVER_UNSTAMPED))
    return edits, failed


def _tag(wanted: _Wanted, message: Message, action: TagSubject) -> None:
    texts = wanted.prefixes if action.where == "prefix" else wanted.suffixes
    subject = _subject(message, wanted).casefold()
    tag = " ".join(action.text.split())
    if tag and tag.casefold() not in subject and tag not in texts:
        texts.append(tag)


def _subject(message: Message, wanted: _Wanted) -> str:
    given = wanted.fields.get("subject")
    return message.subject if given is None else given[1] or ""


def _subject_edits(message: Message, wanted: _Wanted) -> list[Edit]:
    """The subject's tags; the first rule's stands outermost."""
    prefix, suffix = " ".join(wanted.prefixes), " ".join(reversed(wanted.suffixes))
    if not prefix and not suffix:
        return []
    given = wanted.fields.pop("subject", None)
    if given is not None or (prefix and suffix):
        subject = message.subject if given is None else given[1] or ""
        return set_header(message, "Subject", " ".join(part for part in (prefix, subject, suffix) if part))
    return tag_subject(message, prefix or suffix, "prefix" if prefix else "suffix")
