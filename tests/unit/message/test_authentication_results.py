"""The header field: ours as others read it, others' as they write it, and what pretends to be one."""

from __future__ import annotations

import pytest

from mta.message.authentication_results import fields_of, read_field, stated_results, write_field
from mta.message.parse import parse
from mta.model.authentication import AuthenticationResults, SignatureResult

RESULTS = AuthenticationResults(
    spf="softfail", dkim="pass", dmarc="pass", arc="none", spf_domain="bounces.example.org",
    dkim_domains=("example.org",), dmarc_domain="example.org", dmarc_policy="reject",
    signatures=(
        SignatureResult("pass", "example.org", "s1", "rsa-sha256", "Ab+/x123"),
        SignatureResult("fail", "example.net", "s2", "rsa-sha256", "zz", "body has changed"),
    ),
)  # fmt: skip


def test_our_field() -> None:
    assert write_field(RESULTS, "mx.example.com") == (
        b"Authentication-Results: mx.example.com;\r\n"
        b"\tspf=softfail smtp.mailfrom=bounces.example.org;\r\n"
        b"\tdkim=pass\r\n"
        b'\theader.d=example.org header.s=s1 header.a=rsa-sha256 header.b="Ab+/x123";\r\n'
        b'\tdkim=fail reason="body has changed"\r\n'
        b'\theader.d=example.net header.s=s2 header.a=rsa-sha256 header.b="zz";\r\n'
        b"\tdmarc=pass polrec.p=reject header.from=example.org;\r\n"
        b"\tarc=none\r\n"
    )


def test_nothing_found_is_said() -> None:
    assert (
        write_field(AuthenticationResults(), "mx.example.com")
        == b"Authentication-Results: mx.example.com;\r\n\tnone\r\n"
    )


def test_nothing_of_a_message_breaks_out_of_it() -> None:
    hostile = AuthenticationResults(
        spf="pass", spf_domain="x\r\nBcc: y", dkim="pass", dmarc="pass", dmarc_domain="a;dmarc=pass",
        signatures=(SignatureResult("pass", "example.org", "s1", "rsa-sha256", 'a";\r\nx'),),
    )  # fmt: skip
    written = write_field(hostile, "mx.example.com")
    assert b"Bcc" not in written
    assert b"header.b" not in written
    assert b"a;dmarc" not in written


def test_our_field_is_read_again() -> None:
    message = parse(write_field(RESULTS, "mx.example.com") + b"From: a@example.org\r\n\r\n")
    read = stated_results(message, frozenset({"mx.example.com"}))
    assert (read.spf, read.dkim, read.dmarc, read.arc) == ("softfail", "pass", "pass", "none")
    assert read.spf_domain == "bounces.example.org"
    assert read.dkim_domains == ("example.org",)
    assert read.dmarc_domain == "example.org"
    assert [each.result for each in read.signatures] == ["pass", "fail"]


@pytest.mark.parametrize(
    ("value", "ids", "expected"),
    [
        # Exchange Online names no server.
        ("spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=example.org; dkim=pass (signature was verified)\r\n"
         " header.d=example.org;dmarc=pass action=none\r\n header.from=example.org;compauth=pass reason=100",
         ["exchange-online"], ("pass", "pass", "pass", "example.org", ("example.org",), "example.org")),
        ("spf=fail (sender IP is 192.0.2.1)\r\n smtp.mailfrom=example.org; dkim=none (message not signed)\r\n"
         " header.d=none;dmarc=bestguesspass action=none\r\n header.from=example.org;compauth=fail reason=001",
         ["exchange-online"], ("fail", "none", "none", "example.org", (), "example.org")),
        # Proofpoint
        ("ppops.net; spf=softfail smtp.mailfrom=jane@example.org;\r\n\tdkim=pass header.s=s1 header.d=example.org;"
         "\r\n\tdmarc=pass header.from=example.org", ["PPOPS.net"],
         ("softfail", "pass", "pass", "example.org", ("example.org",), "example.org")),
        # Mimecast
        ("relay.mimecast.com;\r\n\tdkim=pass header.d=example.org header.s=s1 header.b=Ab+/;\r\n"
         "\tdmarc=pass (policy=none) header.from=example.org;\r\n"
         '\tspf=pass (relay.mimecast.com: domain of "jane@example.org" designates 192.0.2.1 as permitted sender)'
         " smtp.mailfrom=jane@example.org", ["relay.mimecast.com"],
         ("pass", "pass", "pass", "example.org", ("example.org",), "example.org")),
        # The grammar's corners: version, comments anywhere, quotes, method versions.
        ('(a comment (nested; mx.evil)) "mx.example.net" 1 (x); (spf=fail;) SPF/1 = (y) Pass reason="a; spf=fail"'
         ' smtp . mailfrom=x; dkim=pass header.i=@sales.example.org', ["mx.example.net"],
         ("pass", "pass", "", "", ("sales.example.org",), "")),
        ("mx.example.net; none", ["mx.example.net"], ("", "", "", "", (), "")),
        ("mx.example.net; spf=excellent smtp.mailfrom=example.org", ["mx.example.net"], ("", "", "", "", (), "")),
        ("mx.example.net", ["mx.example.org"], ("", "", "", "", (), "")),
    ],
)  # fmt: skip
def test_what_gateways_write(value: str, ids: list[str], expected: tuple[object, ...]) -> None:
    message = parse(f"Authentication-Results: {value}\r\nFrom: a@example.org\r\n\r\n".encode())
    read = stated_results(message, frozenset(name.lower() for name in ids))
    assert (read.spf, read.dkim, read.dmarc, read.spf_domain, read.dkim_domains, read.dmarc_domain) == expected


def test_the_topmost_field_of_the_gateway_counts() -> None:
    message = parse(
        b"Authentication-Results: mx.evil.example; dmarc=pass\r\nReceived: x\r\n"
        b"Authentication-Results: gw.example.net; dmarc=fail header.from=example.com\r\n"
        b"Authentication-Results: gw.example.net; dmarc=pass header.from=example.com\r\n"
        b"ARC-Authentication-Results: i=1; gw.example.net; dmarc=pass\r\nFrom: a@example.com\r\n\r\n"
    )
    assert stated_results(message, frozenset({"gw.example.net"})).dmarc == "fail"


@pytest.mark.parametrize(
    "value",
    [
        "mx.example.com; dmarc=pass",
        "MX.Example.COM; dmarc=pass",
        '"mx.example.com"; dmarc=pass',
        "(by) mx.example.com (really) 1; dmarc=pass",
        "\r\n mx.example.com ; dmarc=pass",
        "mx.example.com",
        "mx\\.example.com; dmarc=pass\r\n\tx",
    ],
)
def test_forged_fields_are_found(value: str) -> None:
    message = parse(f"Authentication-Results: {value}\r\nFrom: a@example.com\r\n\r\n".encode())
    found = fields_of(message, frozenset({"mx.example.com"}))
    assert len(found) == (0 if "\\" in value else 1)


def test_a_field_too_long_to_be_read_may_be_ours() -> None:
    for padding in (f"mx.example.com; dmarc=pass ({'x' * 30_000})", f"({'x' * 30_000}) mx.example.com; dmarc=pass"):
        message = parse(f"Authentication-Results: {padding}\r\nFrom: a@example.com\r\n\r\n".encode())
        assert len(fields_of(message, frozenset({"mx.example.com"}))) == 1
        assert stated_results(message, frozenset({"mx.example.com"})) == AuthenticationResults()


def test_other_servers_fields_stay() -> None:
    message = parse(b"Authentication-Results: mx.example.com.evil.example; dmarc=pass\r\nFrom: a@example.com\r\n\r\n")
    assert fields_of(message, frozenset({"mx.example.com"})) == []


def test_hostile_fields_take_no_long_time() -> None:
    for value in (b"(" * 19_000, b'"' * 19_000, b"\\" * 19_000, b"a=" * 9_000, b";" * 19_000, b'"\\' * 9_000):
        assert read_field(value) is not None
    assert read_field(b"x" * 30_000) is None
