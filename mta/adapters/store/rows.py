"""Messages as rows, and back."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from mta.adapters.store.claims import Key
from mta.adapters.store.statements import to_json
from mta.model.address import Address
from mta.model.decision import Decision
from mta.model.delivery import AcceptedMessage, Body, LeasedDelivery, OnceKey, RecipientEntry, State, StoredVariant
from mta.model.envelope import Client, DsnRequest, Envelope, ListenerRole, Notify

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EDIT = struct.Struct("<QQQ")
_SLOTS = 1024

OpenRecipient = tuple[int, str, int, str]
"""Position in the decision, address, variant, last reply."""


def microseconds(at: datetime) -> int:
    """Whole microseconds since 1970, UTC."""
    return (at - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The reverse of `microseconds`."""
    return _EPOCH + timedelta(microseconds=value)


def storable(text: str) -> str:
    """The text with lone surrogates replaced: strangers choose Message-IDs, and SQLite takes UTF-8 only."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class Ids:
    """Row ids of messages: rising with time, and never another process's, because the slot is part of them."""

    def __init__(self, slot: int, highest: int) -> None:
        """`highest` is the highest id in use: the clock may have been set back."""
        self._slot = slot
        self._last = highest // _SLOTS

    def fresh(self) -> int:
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last * _SLOTS + self._slot


@dataclass(frozen=True, slots=True)
class MessageRows:
    """A message ready to be inserted; made on the caller's side, so that the writer only writes."""

    queue_id: str
    message: tuple[object, ...]
    content: tuple[object, ...]
    deliveries: Sequence[tuple[object, ...]]
    """Empty where all recipients are final: then the message leaves nothing."""
    file: str | None
    claims: tuple[Key, ...] = ()


def message_rows(
    message: AcceptedMessage, number: int, file: str | None, *, owner: str, lease_until: int, held_until: int | None
) -> MessageRows:
    """Sort a message into rows; `file` names its body below bodies/, None keeps the body in the database.

    Recipients whose state is final leave no row. Queued ones are leased to `owner` where the message has no `due_at`.
    """
    reverse_path = message.envelope.reverse_path
    summary = (
        number,
        message.queue_id,
        microseconds(message.accepted_at),
        message.body.size_octets,
        "" if reverse_path is None else storable(str(reverse_path)),
        storable(message.message_id),
        file,
    )
    content = (
        number,
        message.snapshot,
        message.trace,
        _envelope_json(message),
        to_json(message.decision.to_json()),
        message.body.data if file is None else None,
    )
    if message.due_at is None:
        queued: tuple[int | None, str | None] = (lease_until, owner)
    else:
        queued = (microseconds(message.due_at), None)
    timing = {State.QUEUED: queued, State.HELD: (held_until, None)}
    deliveries = [
        (number, part, next_hop, state.value, *timing[state], recipients_json(recipients))
        for part, ((next_hop, state), recipients) in enumerate(_by_delivery(message.recipients).items())
    ]
    return MessageRows(message.queue_id, summary, content, deliveries, file, claim_keys(message.claims))


def claim_keys(claims: Sequence[OnceKey]) -> tuple[Key, ...]:
    """Claims as the writer takes them."""
    return tuple((storable(claim.key), claim.limit, claim.period // _MICROSECOND) for claim in claims)


def _by_delivery(recipients: Sequence[RecipientEntry]) -> dict[tuple[str, State], list[OpenRecipient]]:
    divided: dict[tuple[str, State], list[OpenRecipient]] = {}
    for entry in recipients:
        if not entry.state.is_final:
            row = (entry.index, str(entry.address), entry.group, entry.last_reply)
            divided.setdefault((entry.next_hop, entry.state), []).append(row)
    return divided


def recipients_json(recipients: Sequence[Sequence[object]]) -> str:
    """The column `delivery.recipients`, from `OpenRecipient`s."""
    return to_json(recipients)


def recipient_entries(column: str, next_hop: str, state: str) -> tuple[RecipientEntry, ...]:
    """The reverse of `recipients_json`."""
    return tuple(
        RecipientEntry(position, stored_address(address), group, next_hop, State(state), last_reply)
        for position, address, group, last_reply in json.loads(column)
    )


def _envelope_json(message: AcceptedMessage) -> str:
    envelope = message.envelope
    text = _session_json(envelope.body_8bit, envelope.smtputf8, envelope.envid, envelope.ret, message.client)
    if envelope.dsn:
        text = f'{text[:-1]},"dsn":{to_json(_dsn_values(envelope.dsn))}}}'
    if envelope.recipients == tuple(entry.recipient for entry in message.decision.recipients):
        return text
    return f'{text[:-1]},"recipients":{to_json([str(address) for address in envelope.recipients])}}}'


def _dsn_values(dsn: Mapping[str, DsnRequest]) -> dict[str, list[object]]:
    """Address key → [NOTIFY as its flags, None where not said; ORCPT]."""
    return {key: [None if asked.notify is None else asked.notify.value, asked.orcpt] for key, asked in dsn.items()}


def _dsn_requests(values: dict[str, tuple[int | None, str]]) -> dict[str, DsnRequest]:
    """The reverse."""
    return {
        key: DsnRequest(None if notify is None else Notify(notify), orcpt) for key, (notify, orcpt) in values.items()
    }


@lru_cache(maxsize=256)
def _session_json(body_8bit: bool, smtputf8: bool, envid: str, ret: str, client: Client | None) -> str:
    """What is mostly the same for all messages of a connection."""
    values: dict[str, object] = {"body_8bit": body_8bit, "smtputf8": smtputf8, "envid": envid, "ret": ret}
    if client is not None:
        values["client"] = {
            "ip": client.ip,
            "port": client.port,
            "helo": client.helo,
            "listener": client.listener,
            "role": client.role.value,
            "tls": client.tls,
            "esmtp": client.esmtp,
            "authenticated_as": client.authenticated_as,
            "certificate": client.certificate,
            "peer": client.peer,
            "admitted_as": client.admitted_as,
        }
    return to_json(values)


def stored_address(text: str) -> Address:
    """As it was stored: what we once took is not judged again."""
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


def _envelope(text: str, reverse_path: str, decision: Decision) -> tuple[Envelope, Client | None]:
    values: dict[str, Any] = json.loads(text)
    named = values.pop("recipients", None)
    if named is None:
        recipients = tuple(entry.recipient for entry in decision.recipients)
    else:
        recipients = tuple(stored_address(address) for address in named)
    dsn = _dsn_requests(values.pop("dsn", {}))
    client = values.pop("client", None)
    if client is not None:
        client = Client(**{**client, "role": ListenerRole(client["role"])})
    return Envelope(stored_address(reverse_path) if reverse_path else None, recipients, **values, dsn=dsn), client


def accepted_message(row: Sequence[Any], recipients: tuple[RecipientEntry, ...], bodies: Path) -> AcceptedMessage:
    """From a row of `load_messages`; `recipients` are the open ones.

    Raises ValueError, KeyError or TypeError where a newer version stored what this one does not know.
    """
    (_, queue_id, accepted_at, size, message_id, snapshot, trace, envelope_json, decision_json, file, reverse_path,
     data) = row  # fmt: skip
    decision = Decision.from_json(json.loads(decision_json))
    envelope, client = _envelope(envelope_json, reverse_path, decision)
    return AcceptedMessage(
        queue_id=queue_id,
        accepted_at=moment(accepted_at),
        envelope=envelope,
        client=client,
        body=Body(data, None if file is None else bodies / file, size),
        decision=decision,
        recipients=recipients,
        message_id=message_id,
        trace=trace,
        snapshot=snapshot,
    )


def leased_delivery(
    message: AcceptedMessage,
    next_hop: str,
    recipients: tuple[RecipientEntry, ...],
    attempts: int,
    variants: Sequence[StoredVariant],
    *,
    is_warned: bool = False,
) -> LeasedDelivery:
    """With those of the message's stored variants that these recipients get."""
    groups = {entry.group for entry in recipients}
    wanted = tuple(variant for variant in variants if variant.group in groups)
    return LeasedDelivery(message, next_hop, recipients, attempts, wanted, is_warned)


def pack_edits(variant: StoredVariant) -> bytes:
    """Start, end and length as 64-bit little-endian numbers, then the replacement, for each edit."""
    parts: list[bytes] = []
    for start, end, replacement in variant.edits:
        parts += (_EDIT.pack(start, end, len(replacement)), replacement)
    return b"".join(parts)


def unpack_edits(group: int, data: bytes, *, is_changed: bool = False) -> StoredVariant:
    """The reverse of `pack_edits`. Raises ValueError."""
    edits = []
    offset = 0
    while offset < len(data):
        if len(data) - offset < _EDIT.size:
            raise ValueError("edits are cut off")
        start, end, length = _EDIT.unpack_from(data, offset)
        offset += _EDIT.size
        if length > len(data) - offset:
            raise ValueError("edits are cut off")
        edits.append((start, end, data[offset : offset + length]))
        offset += length
    return StoredVariant(group, tuple(edits), is_changed)
