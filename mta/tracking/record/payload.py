"""What sinks and write-backs are told, as JSON (docs/tracking.md); `version` rises when a reader has to know."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mta.config.tracking_schema import Module, WriteBack
from mta.model.record import AddNote, NewAttachment, Record
from mta.tracking.notify.occasion import Occasion, style_of, url_of
from mta.tracking.record.draft import CallWish

VERSION = 1
ATTACHED_MAX = 5_000_000
"""Octets of attachments that one call carries; what is beyond has no content there."""
TEXT_MAX = 100_000
"""Characters of a note in a call."""


def call_payload(occasion: Occasion, wish: CallWish, module: Module | None, organisation: str) -> bytes:
    """What a sink is told of an occasion."""
    told = {
        "version": VERSION,
        "event": wish.event or occasion.event,
        "organisation": organisation,
        "rule": wish.rule,
        "at": occasion.now.isoformat(),
        "record": record_as_json(occasion.record, module, wish.fields),
        "note": _note(occasion.note, wish.attachments) if occasion.note is not None else None,
        "message": _message(occasion),
        "participants": sorted(occasion.participants)[:1000],
    }
    return _octets(told)


def record_as_json(record: Record, module: Module | None, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """A record for programs. `fields`: those that are told; None for all."""
    transaction = record.transaction
    wanted = record.fields.keys() if fields is None else fields
    return {
        "module": transaction.module,
        "number": transaction.number,
        "id": style_of(module, transaction.module).id(transaction.number),
        "state": record.state,
        "title": record.title,
        "requester": record.requester,
        "owner": record.owner,
        "source": record.source,
        "created_at": _time(record.created_at),
        "updated_at": _time(record.updated_at),
        "closed_at": _time(record.closed_at),
        "fields": {name: record.fields[name] for name in wanted if name in record.fields},
        "notes": record.notes,
        "staff_url": url_of(module, transaction, for_staff=True),
        "self_service_url": url_of(module, transaction, for_staff=False),
    }


def mark_payload(
    occasion: Occasion, mailbox: str, write_back: WriteBack, module: Module | None, *, for_staff: bool
) -> bytes:
    """What is put on the copies of a message in one mailbox; columns are computed of `record` when it is done."""
    message = occasion.message
    assert message is not None
    link = url_of(module, occasion.transaction, for_staff=for_staff) if write_back.link else ""
    style = style_of(module, occasion.transaction.module)
    named = f"{style.label} {style.id(occasion.transaction.number)}"
    told = {
        "version": VERSION,
        "message_id": message.incoming.message_id,
        "mailbox": mailbox,
        "category": write_back.category,
        "link": link,
        "link_text": named if link and write_back.link_in_body else "",
        "record": record_as_json(occasion.record, module),
    }
    return _octets(told)


def _note(note: AddNote, attachments: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": note.kind,
        "author": note.author,
        "author_name": note.author_name,
        "text": note.text[:TEXT_MAX],
        "is_public": note.is_public,
        "message_id": note.message_id,
    }
    if attachments != "none":
        told["attachments"] = _attachments(note.attachments, with_content=attachments == "whole")
    return told


def _attachments(attachments: Sequence[NewAttachment], *, with_content: bool) -> list[dict[str, Any]]:
    room = ATTACHED_MAX if with_content else 0
    told: list[dict[str, Any]] = []
    for each in attachments:
        described: dict[str, Any] = {
            "name": each.name,
            "content_type": each.content_type,
            "size_octets": len(each.data),
            "sha256": hashlib.sha256(each.data).hexdigest(),
        }
        if with_content:
            fits = len(each.data) <= room
            room -= len(each.data) if fits else 0
            described["content"] = b64encode(each.data).decode() if fits else None
        told.append(described)
    return told


def _message(occasion: Occasion) -> dict[str, Any] | None:
    if occasion.message is None:
        return None
    incoming = occasion.message.incoming
    return {
        "message_id": incoming.message_id,
        "mailbox": incoming.mailbox,
        "direction": "sent" if incoming.is_sent else "received",
        "sender": incoming.author_key,
        "subject": incoming.subject[:TEXT_MAX],
        "kinds": sorted(occasion.message.kinds),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _octets(told: Mapping[str, Any]) -> bytes:
    """Lone surrogates, which decoded mail may hold, are escaped as JSON writes them."""
    return json.dumps(told).encode("ascii")
