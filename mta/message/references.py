"""References with one more id at its end; every other octet of the header stays as it is (RFC 5322 §3.6.4)."""

from __future__ import annotations

import re

from mta.message.edit import CannotEditError, Edit
from mta.message.parse import Message
from mta.message.part_header import add_field

_LINE = 78
_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,990}>")
_IN_REPLY_TO_LOOKED_AT = 4000


def with_reference(message: Message, reference: bytes) -> list[Edit]:
    """Put an id (with its brackets) behind those that References names, unless it is among them.

    Where there is none, the new field also names what the message answers, if that is one message: whoever reads
    References looks no further. No edits for a message without a header.
    """
    fields = message.fields_named("references")
    if any(reference.lower() in message.raw(field).lower() for field in fields):
        return []
    if not fields:
        return _new_field(message, reference)
    # Of several, which RFC 5322 forbids, readers mostly take the first.
    field = fields[0]
    raw = message.raw(field)
    kept = raw.rstrip(b" \t\r\n")
    last_line = kept.rpartition(b"\n")[2]
    if b"\n" not in kept:
        last_line = message.data[field.start : field.value_start] + last_line
    has_room = not kept or len(last_line) + 1 + len(reference) <= _LINE
    start = field.value_start
    return [Edit(start + len(kept), start + len(raw), (b" " if has_room else b"\r\n ") + reference)]


def _new_field(message: Message, reference: bytes) -> list[Edit]:
    answered = message.fields_named("in-reply-to")
    ids = _MESSAGE_ID.findall(message.raw(answered[0])[:_IN_REPLY_TO_LOOKED_AT]) if len(answered) == 1 else []
    before = [ids[0]] if len(ids) == 1 and ids[0].lower() != reference.lower() else []
    try:
        return [add_field(message.root, b"References: %b\r\n" % b"\r\n ".join([*before, reference]))]
    except CannotEditError:
        return []
