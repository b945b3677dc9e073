"""Ids and change keys ("EWS identifiers in Exchange"): opaque to clients."""

from __future__ import annotations

import base64
import binascii
from typing import Literal
from uuid import uuid4

from tests.peers.ews.errors import EwsError

_PREFIXES = {"item": "AAMkAG", "folder": "AQMkAG", "attachment": "AAMkAH"}


def new_id(kind: Literal["item", "folder", "attachment"], mailbox: str) -> str:
    """An id that tells kind and mailbox to us, and nothing to clients. Ids are case-sensitive (ItemId)."""
    return _PREFIXES[kind] + base64.b64encode(f"{mailbox}\0{uuid4().hex}".encode()).decode()


def mailbox_of_id(some_id: str) -> tuple[str, str]:
    """Kind and mailbox. Raises EwsError."""
    if not some_id:
        raise EwsError("ErrorInvalidIdEmpty", "Id must be non-empty.")
    for kind, prefix in _PREFIXES.items():
        if some_id.startswith(prefix):
            try:
                mailbox, _, unique = (
                    base64.b64decode(some_id.removeprefix(prefix), validate=True).decode().partition("\0")
                )
            except (binascii.Error, UnicodeDecodeError) as error:
                raise EwsError("ErrorInvalidIdMalformed") from error
            if len(unique) == 32:
                return kind, mailbox
    raise EwsError("ErrorInvalidIdMalformed")


def change_key(kind: Literal["item", "folder"], change: int) -> str:
    prefix = b"\x09\x00\x00\x00" if kind == "item" else b"\x01\x00\x00\x00"
    return base64.b64encode(prefix + b"\x16\x00\x00\x00" + change.to_bytes(22, "big")).decode()


def change_of_key(key: str) -> int:
    """Raises EwsError."""
    try:
        data = base64.b64decode(key, validate=True)
    except binascii.Error as error:
        raise EwsError("ErrorInvalidChangeKey") from error
    if len(data) != 30:
        raise EwsError("ErrorInvalidChangeKey")
    return int.from_bytes(data[8:], "big")
