"""The header lines that record our part of a message's way (RFC 5321 §4.4), and the guard against loops. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Protocol

from mta.model.envelope import Client
from mta.model.reply import Reply

TOO_MANY_HOPS = Reply(554, "5.4.6", "Too many Received fields: the message is in a loop")

_UNSAFE_IN_HELO = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
_UNSAFE_IN_TLS = re.compile(r"[^A-Za-z0-9.*_ -]")
_HELO_MAX = 255


class _Field(Protocol):
    @property
    def name(self) -> bytes: ...


def received_field(
    client: Client, *, hostname: str, queue_id: str, received_at: datetime, smtputf8: bool = False
) -> bytes:
    """Our Received field, folded, CRLF-terminated.

    It names no recipient (`for`), so that no copy tells of a hidden one. The client chose its HELO name: whatever is
    not of a host name or address literal becomes `?`, so it can neither add header lines nor end a comment.
    """
    protocol = _protocol(client, smtputf8=smtputf8)
    path = _path(client.ip, client.helo, client.tls, client.certificate, protocol, hostname)
    return f"{path} id {queue_id};\r\n\t{_date(received_at)}\r\n".encode("ascii", "replace")


@lru_cache(maxsize=256)
def _path(ip: str, helo: str, tls: str, certificate: str, protocol: str, hostname: str) -> str:
    """What the Received fields of one client have in common."""
    name = _UNSAFE_IN_HELO.sub("?", helo[:_HELO_MAX]) or "unknown"
    address = f"IPv6:{ip}" if ":" in ip else ip
    verified = f"\r\n\t client certificate {_UNSAFE_IN_TLS.sub('?', certificate)}" if certificate else ""
    session = _UNSAFE_IN_TLS.sub("?", tls).replace(" ", " with cipher ", 1)
    using = f"\r\n\t(using {session}{verified})" if tls else ""
    return f"Received: from {name} ([{address}]){using}\r\n\tby {hostname} (Stampline) with {protocol}"


def _protocol(client: Client, *, smtputf8: bool) -> str:
    """RFC 3848, RFC 6531."""
    if not client.esmtp:
        return "SMTP"
    secured = ("S" if client.tls else "") + ("A" if client.authenticated_as else "")
    return ("UTF8SMTP" if smtputf8 else "ESMTP") + secured


def added_fields(*, has_message_id: bool, has_date: bool, hostname: str, queue_id: str, received_at: datetime) -> bytes:
    """Message-ID and Date for a trusted submission that lacks them (RFC 6409 §8), CRLF-terminated; b"" if it has both.

    Both follow from the queue id and the time of acceptance, so every copy and every attempt has the same.
    """
    message_id = "" if has_message_id else f"Message-ID: <{queue_id}@{hostname}>\r\n"
    date = "" if has_date else f"Date: {_date(received_at)}\r\n"
    return (message_id + date).encode("ascii")


def count_received(fields: Iterable[_Field]) -> int:
    """How many hops a message has behind it; `fields` are a parsed message's, their names in lower case."""
    return sum(1 for field in fields if field.name == b"received")


def judge_hops(fields: Iterable[_Field], limit: int) -> Reply | None:
    """The refusal of a message with more than `limit` Received fields, else None (RFC 5321 §6.3)."""
    return TOO_MANY_HOPS if count_received(fields) > limit else None


def is_going_round(fields: Iterable[bytes], hostname: str, limit: int) -> bool:
    """Whether more than `limit` of these raw Received fields are ours.

    A rule may send a copy to somebody who sends it back to us, and copies double in each round: the limit on all hops
    alone would let a thousand million of them come.
    """
    ours = re.compile(rb"\bby\s+%b\s+\(Stampline\)" % re.escape(hostname.encode("ascii", "replace")), re.IGNORECASE)
    return sum(1 for field in fields if ours.search(field)) > limit


def _date(moment: datetime) -> str:
    return _date_of_second(int(moment.timestamp()))


@lru_cache(maxsize=64)
def _date_of_second(seconds: int) -> str:
    """Many messages come within one second; `seconds` since 1970."""
    return format_datetime(datetime.fromtimestamp(seconds, UTC))
