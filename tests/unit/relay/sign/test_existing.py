"""Which signatures on a message are whose."""

from __future__ import annotations

import pytest

from mta.message.parse import parse
from mta.relay.sign import signatures_of


@pytest.mark.parametrize(
    ("value", "is_ours"),
    [
        (b"v=1; d=example.com; s=x", True),
        (b"v=1; d=EXAMPLE.com; s=x", True),
        (b"d=example.com", True),
        (b"v=1;\r\n\td =\r\n example.com ;\r\n\ts=x", True),
        (b"v=1; d=sub.example.com; s=x", False),
        (b"v=1; d=example.org; s=x; i=@example.com; bh=d=example.com", False),
        (b"v=1; bd=example.com; s=d", False),
        (b"v=1; s=x", False),
        (b"v=1; d=; s=x", False),
        (b"v=1; d=example.com example.org; s=x", False),
        (b"d=" + b"a" * 300, False),
        (b"", False),
    ],
    ids=range(12),
)
def test_by_the_signing_domain(value: bytes, is_ours: bool) -> None:
    message = parse(b"DKIM-Signature: " + value + b"\r\nFrom: a@example.com\r\n\r\nx\r\n")
    assert bool(signatures_of(message, {"example.com"})) is is_ours


def test_international_domains_by_either_form() -> None:
    fields = "".join(f"DKIM-Signature: d={name}; s=x\r\n" for name in ("bücher.example", "xn--bcher-kva.example"))
    message = parse(fields.encode() + b"From: a@example.com\r\n\r\nx\r\n")
    assert len(signatures_of(message, {"xn--bcher-kva.example"})) == 2
