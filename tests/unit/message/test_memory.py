"""What strangers write is not remembered where it is long: nobody fills the memory with a few messages."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from mta.message.addresses import addresses
from mta.message.body_text import displayed
from mta.message.charsets import codec_for
from mta.message.classify import classify
from mta.message.domain_names import is_domain_name, is_host_name
from mta.message.parse import parse

MESSAGES = 60
OCTETS = 50_000


def _read(data: bytes) -> None:
    message = parse(data)
    classify(message, False)
    for name in ("from", "to", "subject", "x-other"):
        addresses(message, name)
        message.headers(name)
    displayed(message)


def _long(number: int, octet: bytes = b"a") -> bytes:
    return b"%d" % number + octet * OCTETS


SHAPES: dict[str, Callable[[int], bytes]] = {
    "no field": lambda n: b"no %b: x\r\nFrom: a@example.com\r\n\r\nx\r\n" % _long(n),
    "field name": lambda n: b"X%b: x\r\n\r\nx\r\n" % _long(n),
    "blanks behind a name": lambda n: b"X%d%b: x\r\n\r\nx\r\n" % (n, b" " * OCTETS),
    "From": lambda n: b"From: %b@example.com\r\n\r\nx\r\n" % _long(n),
    "domain": lambda n: b"From: a@%b\r\n\r\nx\r\n" % _long(n),
    "labels beyond ASCII": lambda n: b"From: a@%d%b\r\n\r\nx\r\n" % (n, "ü.".encode() * 10_000),
    "subject": lambda n: b"Subject: %b\r\n\r\nx\r\n" % _long(n),
    "charset": lambda n: b"Content-Type: text/plain; charset=%b\r\n\r\nx\r\n" % _long(n),
    "type": lambda n: b"Content-Type: %b/x\r\n\r\nx\r\n" % _long(n),
    "parameter": lambda n: b"Content-Type: text/plain; %b=x\r\n\r\nx\r\n" % _long(n),
    "encoding": lambda n: b"Content-Transfer-Encoding: %b\r\n\r\nx\r\n" % _long(n),
    "disposition": lambda n: b"Content-Disposition: %b\r\n\r\nx\r\n" % _long(n),
    "boundary": lambda n: b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n\r\nx\r\n" % (_long(n), _long(n)),
    "encoded word": lambda n: b"Subject: =?%b?q?x?=\r\n\r\nx\r\n" % _long(n),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_long_values_are_not_remembered(shape: str) -> None:
    make = SHAPES[shape]
    _read(make(0))
    tracemalloc.start()
    try:
        for number in range(1, MESSAGES):
            _read(make(number))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < MESSAGES * OCTETS // 4


@pytest.mark.parametrize("ask", [is_host_name, is_domain_name, codec_for])
def test_long_names_are_not_remembered(ask: Callable[[str], object]) -> None:
    tracemalloc.start()
    try:
        for number in range(MESSAGES):
            assert not ask(_long(number).decode())
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < MESSAGES * OCTETS // 4
