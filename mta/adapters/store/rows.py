"""Messages as rows, and back."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mta.adapters.store.statements import Row
from mta.model.address import Address
from mta.model.decision import Decision
from mta.model.delivery import AcceptedMessage, Body, LeasedDelivery, RecipientEntry, State, StoredVariant
from mta.model.envelope import Client, Envelope, ListenerRole

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EDIT = struct.Struct("<QQQ")
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def microseconds(time: datetime) -> int:
    """Whole microseconds since 1970, UTC."""
    return (time - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The reverse of `microseconds`."""
    return _EPOCH + timedelta(microseconds=value)


def storable(text: str) -> str:
    """The text with lone surrogates replaced: strangers choose Message-IDs and replies, and SQLite takes UTF-8 only."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class DeliveryRows:
    """One delivery and its recipients, but for the ids, which the writer gives."""

    columns: tuple[object, ...]
    recipients: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class MessageRows:
    """A message ready to be inserted, but for the ids; made on the caller's side, so that the writer only writes."""

    queue_id: str
    columns: tuple[object, ...]
    inline: bytes | None
    file: str | None
    deliveries: tuple[DeliveryRows, ...]
    once_keys: tuple[str, ...]


def message_rows(
    message: AcceptedMessage, file: str | None, *, owner: str, lease_until: int, held_until: int | None
) -> MessageRows:
    """Sort a message into rows; `file` names its body below bodies/, None keeps the body in the database.

    Recipients whose state is final leave no row. Queued ones are leased to `owner` where the message has no `due_at`.
    """
    reverse_path = message.envelope.reverse_path
    columns = (
        message.queue_id,
        microseconds(message.accepted_at),
        message.body.size_octets,
        "" if reverse_path is None else storable(str(reverse_path)),
        storable(message.message_id),
        message.snapshot,
        message.trace,
        _envelope_json(message),
        _to_json(message.decision.to_json()),
        file,
    )
    if message.due_at is None:
        due: tuple[int | None, str | None] = (lease_until, owner)
    else:
        due = (microseconds(message.due_at), None)
    timing = {State.QUEUED: due, State.HELD: (held_until, None)}
    deliveries = _delivery_rows(message.recipients, timing)
    return MessageRows(
        message.queue_id, columns, message.body.data if file is None else None, file, deliveries, message.once_keys
    )


def _delivery_rows(
    recipients: Sequence[RecipientEntry], timing: dict[State, tuple[int | None, str | None]]
) -> tuple[DeliveryRows, ...]:
    split: dict[tuple[str, State], list[tuple[object, ...]]] = {}
    for entry in recipients:
        if not entry.state.is_final:
            row = (entry.index, storable(str(entry.address)), entry.group, storable(entry.last_reply))
            split.setdefault((entry.next_hop, entry.state), []).append(row)
    return tuple(
        DeliveryRows((next_hop, state.value, timing[state][0], 0, timing[state][1]), tuple(rows))
        for (next_hop, state), rows in split.items()
    )


def _envelope_json(message: AcceptedMessage) -> str:
    envelope, client = message.envelope, message.client
    values: dict[str, object] = {
        "body_8bit": envelope.body_8bit,
        "smtputf8": envelope.smtputf8,
        "envid": envelope.envid,
        "ret": envelope.ret,
    }
    decided = message.decision.recipients
    same = len(decided) == len(envelope.recipients) and all(
        entry.recipient == address for entry, address in zip(decided, envelope.recipients, strict=True)
    )
    if not same:
        values["recipients"] = [str(address) for address in envelope.recipients]
    if client is not None:
        values["client"] = {
            "ip": client.ip,
            "port": client.port,
            "helo": client.helo,
            "listener": client.listener,
            "role": client.role.value,
            "tls": client.tls,
            "esmtp": client.esmtp,
        }
    return _to_json(values)


def _address(text: str) -> Address:
    """As it was stored: what we once took is not judged again."""
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


def _envelope(text: str, reverse_path: str, decision: Decision) -> tuple[Envelope, Client | None]:
    values: dict[str, Any] = json.loads(text)
    named = values.pop("recipients", None)
    if named is None:
        recipients = tuple(entry.recipient for entry in decision.recipients)
    else:
        recipients = tuple(_address(address) for address in named)
    client = values.pop("client", None)
    if client is not None:
        client = Client(**{**client, "role": ListenerRole(client["role"])})
    return Envelope(_address(reverse_path) if reverse_path else None, recipients, **values), client


def recipient_entry(row: Row) -> RecipientEntry:
    """From (position, address, variant, next_hop, state, last_reply)."""
    position, address, group, next_hop, state, last_reply = row
    return RecipientEntry(
        int(str(position)), _address(str(address)), int(str(group)), str(next_hop), State(state), str(last_reply)
    )


def leased_delivery(
    row: Sequence[Any],
    recipients: tuple[RecipientEntry, ...],
    open_recipients: tuple[RecipientEntry, ...],
    variants: Sequence[StoredVariant],
    bodies: Path,
) -> LeasedDelivery:
    """From a row of `load_deliveries`; `recipients` are the delivery's, `open_recipients` the whole message's.

    Raises ValueError, KeyError or TypeError where a newer version stored what this one does not know.
    """
    (_, _, next_hop, attempts, queue_id, accepted_at, size, message_id, snapshot, trace, envelope, decision_json, file,
     reverse_path, data) = row  # fmt: skip
    decision = Decision.from_json(json.loads(decision_json))
    parsed, client = _envelope(envelope, reverse_path, decision)
    message = AcceptedMessage(
        queue_id=queue_id,
        accepted_at=moment(accepted_at),
        envelope=parsed,
        client=client,
        body=Body(data, None if file is None else bodies / file, size),
        decision=decision,
        recipients=open_recipients,
        message_id=message_id,
        trace=trace,
        snapshot=snapshot,
    )
    groups = {entry.group for entry in recipients}
    wanted = tuple(variant for variant in variants if variant.group in groups)
    return LeasedDelivery(message, next_hop, recipients, attempts, wanted)


def pack_edits(variant: StoredVariant) -> bytes:
    """Start, end and length as 64-bit little-endian numbers, then the replacement, for each edit."""
    parts: list[bytes] = []
    for start, end, replacement in variant.edits:
        parts += (_EDIT.pack(start, end, len(replacement)), replacement)
    return b"".join(parts)


def unpack_edits(group: int, data: bytes) -> StoredVariant:
    """The reverse of `pack_edits`."""
    edits = []
    offset = 0
    while offset < len(data):
        start, end, length = _EDIT.unpack_from(data, offset)
        offset += _EDIT.size
        edits.append((start, end, data[offset : offset + length]))
        offset += length
    return StoredVariant(group, tuple(edits))
