"""Trace lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import pytest

from mta.model.envelope import Client, ListenerRole
from mta.relay.receive.trace import TOO_MANY_HOPS, added_fields, count_received, judge_hops, received_field

AT = datetime(2026, 11, 22, 9, 30, 5, 123456, tzinfo=UTC)


def _client(helo: str = "exchange.example.com", ip: str = "192.0.2.10", tls: str = "", esmtp: bool = True) -> Client:
    return Client(ip, 4711, helo, "submission", ListenerRole.TRUSTED, tls, esmtp)


def _received(client: Client, *, smtputf8: bool = False) -> bytes:
    return received_field(client, hostname="mx.example.com", queue_id="Q1", received_at=AT, smtputf8=smtputf8)


def test_received_says_from_whom_by_whom_how_and_when() -> None:
    assert _received(_client()) == (
        b"Received: from exchange.example.com ([192.0.2.10])\r\n"
        b"\tby mx.example.com (Stampline) with ESMTP id Q1;\r\n"
        b"\tSun, 22 Nov 2026 09:30:05 +0000\r\n"
    )


def test_received_under_tls_names_protocol_and_cipher() -> None:
    field = _received(_client(tls="TLSv1.3 TLS_AES_256_GCM_SHA384", ip="2001:db8::1"))
    assert field == (
        b"Received: from exchange.example.com ([IPv6:2001:db8::1])\r\n"
        b"\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n"
        b"\tby mx.example.com (Stampline) with ESMTPS id Q1;\r\n"
        b"\tSun, 22 Nov 2026 09:30:05 +0000\r\n"
    )


@pytest.mark.parametrize(
    ("esmtp", "tls", "smtputf8", "protocol"),
    [
        (False, "", False, b"SMTP"),
        (True, "", False, b"ESMTP"),
        (True, "TLSv1.2 X", False, b"ESMTPS"),
        (True, "", True, b"UTF8SMTP"),
        (True, "TLSv1.2 X", True, b"UTF8SMTPS"),
    ],
)
def test_protocol_types(esmtp: bool, tls: str, smtputf8: bool, protocol: bytes) -> None:
    assert b" with " + protocol + b" id Q1;" in _received(_client(esmtp=esmtp, tls=tls), smtputf8=smtputf8)


def test_received_of_a_client_that_has_shown_who_it_is() -> None:
    client = replace(
        _client(tls="TLSv1.3 TLS_AES_256_GCM_SHA384"), authenticated_as="printer", certificate="*.example.com"
    )  # fmt: skip
    assert _received(client) == (
        b"Received: from exchange.example.com ([192.0.2.10])\r\n"
        b"\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384\r\n"
        b"\t client certificate *.example.com)\r\n"
        b"\tby mx.example.com (Stampline) with ESMTPSA id Q1;\r\n"
        b"\tSun, 22 Nov 2026 09:30:05 +0000\r\n"
    )
    assert b" with UTF8SMTPSA id" in _received(client, smtputf8=True)


@pytest.mark.parametrize(
    "helo",
    [
        "a\r\nBcc: x@example.org",
        "a) by evil (",
        "x; Mon, 1 Jan 2024",
        "gr\u00fc\u00dfe",
        "a b",
        "\x00",
        "",
        "y" * 5000,
        "<a@b>",
    ],
)
def test_helo_can_not_shape_the_header(helo: str) -> None:
    field = _received(_client(helo=helo))
    assert max(len(line) for line in field.split(b"\r\n")) < 400
    assert field.isascii()
    parsed = message_from_bytes(field + b"\r\n", policy=policy.compat32)
    assert parsed.keys() == ["Received"]
    value = parsed["Received"]
    assert value.count(";") == 1
    assert value.count("(") == value.count(")") == 2
    assert value.startswith("from ")
    assert len(value.split("([192.0.2.10])")[0].split()) == 2


def test_recipients_are_never_named() -> None:
    assert b" for " not in _received(_client())


def test_added_fields_follow_from_the_queue_id() -> None:
    block = added_fields(has_message_id=False, has_date=False, hostname="mx.example.com", queue_id="Q1", received_at=AT)
    assert block == b"Message-ID: <Q1@mx.example.com>\r\nDate: Sun, 22 Nov 2026 09:30:05 +0000\r\n"
    assert parsedate_to_datetime("Sun, 22 Nov 2026 09:30:05 +0000") == AT.replace(microsecond=0)


@pytest.mark.parametrize(
    ("has_message_id", "has_date", "names"),
    [(True, True, []), (True, False, [b"Date"]), (False, True, [b"Message-ID"])],
)
def test_only_what_is_missing_is_added(has_message_id: bool, has_date: bool, names: list[bytes]) -> None:
    block = added_fields(
        has_message_id=has_message_id, has_date=has_date, hostname="mx.example.com", queue_id="Q1", received_at=AT
    )
    assert [line.split(b":")[0] for line in block.split(b"\r\n")[:-1]] == names


class _Field(NamedTuple):
    name: bytes


def test_hops_are_counted() -> None:
    fields = [_Field(b"received"), _Field(b"subject"), _Field(b"received"), _Field(b"x-received")]
    assert count_received(fields) == 2
    assert judge_hops(fields, 2) is None
    assert judge_hops(fields, 1) == TOO_MANY_HOPS
