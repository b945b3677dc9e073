"""Paths by RFC 5321 §4.1.2 and RFC 6531 §3.3: good ones come out as they went in, bad ones don't get in."""

from __future__ import annotations

import pytest

from tests.e2e.hostile.site import Site
from tests.servers.client import SmtpClient

L64 = "l" * 64
LABEL = "d" * 63
D252 = ".".join([LABEL, LABEL, LABEL, "d" * 60])  # with `a@`, 254 octets
VALID = [
    "jane@customer.example",
    "Jane.Doe@Customer.Example",
    "a@customer.example",
    "0@customer.example",
    "a.b.c.d@customer.example",
    "jane+tag@customer.example",
    "jane-doe_x@customer.example",
    "!#$%&'*+-/=?^_`{|}~@customer.example",
    '"jane doe"@customer.example',
    '"jane.doe"@customer.example',
    '".."@customer.example',
    '""@customer.example',
    '"a\\"b"@customer.example',
    '"a\\\\b"@customer.example',
    '"a@b"@customer.example',
    '"a\\ b"@customer.example',
    '"(no comment)"@customer.example',
    '"a,b;c:d"@customer.example',
    "jane@x",
    "jane@x.y",
    "jane@1.example",
    "jane@a-b.example",
    "jane@a--b.example",
    "jane@xn--mnchen-3ya.example",
    f"{L64}@customer.example",
    f"a@{LABEL}.example",
    f"a@{D252}",
    "jörg@customer.example",
    "jane@münchen.example",
    "用户@例え.テスト",
    '"jörg ü"@customer.example',
    "\U0001f4e7@customer.example",
    "ü" * 32 + "@customer.example",
]
INVALID = [
    "jane",
    "@customer.example",
    "jane@",
    "jane@@customer.example",
    "jane@b@customer.example",
    '"a>b"@customer.example',
    '"<a>"@customer.example',
    ".jane@customer.example",
    "jane.@customer.example",
    "jane..doe@customer.example",
    "jane doe@customer.example",
    "jane(comment)@customer.example",
    "jane,doe@customer.example",
    "jane;doe@customer.example",
    "jane:doe@customer.example",
    "jane\\doe@customer.example",
    "jane[doe]@customer.example",
    'jane"doe"@customer.example',
    '"jane"doe@customer.example',
    '"jane".doe@customer.example',
    '"jane@customer.example',
    'jane"@customer.example',
    '"jane\\"@customer.example',
    "jane@customer.example.",
    "jane@.customer.example",
    "jane@customer..example",
    "jane@-customer.example",
    "jane@customer-.example",
    "jane@_customer.example",
    "jane@customer!.example",
    "jane@customer example",
    "jane@customer,example",
    "jane@(x)customer.example",
    "jane@[192.0.2.1]",
    "jane@[IPv6:2001:db8::1]",
    "jane@[x-tag:y]",
    "jane@[192.0.2.1",
    "@a.example:jane@customer.example",
    "@a.example,@b.example:jane@customer.example",
    f"{L64}l@customer.example",
    f"a@{LABEL}d.example",
    f"ab@{D252}",
    f"a@{D252}d.example",
    "ü" * 33 + "@customer.example",
    "jane@" + "ü" * 60 + ".example",
    "jane@\u202e.example",
    "jane@ex\u00admple\u2028.example",
    "\u0080@customer.example",
    "jane@xn--\u00fc.example",
]


def test_valid_paths_are_passed_on_unchanged(site: Site) -> None:
    with SmtpClient(site.port("exchange")) as client:
        for path in VALID:
            answer = client.send(path, [path], b"Subject: x\r\n\r\nx\r\n", parameters=" SMTPUTF8")
            assert answer.code == 250, (path, answer)
    assert {(each.mail_from, each.rcpt_to) for each in site.arrived()} == {(path, (path,)) for path in VALID}


@pytest.mark.parametrize("verb", ["MAIL FROM", "RCPT TO"])
def test_invalid_paths_are_refused(site: Site, verb: str) -> None:
    said = {}
    for path in INVALID:
        with SmtpClient(site.port("exchange")) as client:
            if verb == "RCPT TO":
                assert client.command(b"MAIL FROM:<> SMTPUTF8").code == 250
            answer = client.command(f"{verb}:<{path}>{' SMTPUTF8' if verb == 'MAIL FROM' else ''}".encode())
            said[path] = f"{answer.code} {answer.text.split()[0]}"
            assert client.command(b"DATA").code in (503, 554)
    status = "5.1.7" if verb == "MAIL FROM" else "5.1.3"
    assert {path: text for path, text in said.items() if text not in ("501 5.5.4", f"553 {status}")} == {}
    syntax = [path for path, text in said.items() if text == "501 5.5.4"]
    assert all(" " in path or '"' in path for path in syntax)  # all else has the form of a path
    assert site.arrived() == []


@pytest.mark.parametrize("path", ["jörg@customer.example", "jane@münchen.example", '"ü"@customer.example'])
def test_paths_beyond_ascii_need_smtputf8(site: Site, path: str) -> None:
    with SmtpClient(site.port("exchange")) as client:
        assert client.command(f"MAIL FROM:<{path}>".encode()).text.startswith("5.6.7")
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 250
        assert client.command(f"RCPT TO:<{path}>".encode()).text.startswith("5.6.7")


COMMANDS = [
    b"MAIL FROM: <jane@example.com>", b"mail from:<jane@example.com>", b"MAIL FROM:<jane@example.com>   ",
    b"MAIL FROM:<jane@example.com> SIZE=0", b"MAIL FROM:<> BODY=8BITMIME SIZE=99",
]  # fmt: skip
BROKEN = [
    b"MAIL", b"MAIL ", b"MAIL FROM", b"MAIL FROM:", b"MAIL FROM <jane@example.com>", b"MAIL FROM:jane@example.com",
    b"MAIL  FROM:<jane@example.com>", b"MAIL FROM :<jane@example.com>", b"MAIL FROM:  <jane@example.com>",
    b"MAILFROM:<jane@example.com>", b"MAIL FROM:<jane@example.com> SIZE", b"MAIL FROM:<jane@example.com> SIZE=",
    b"MAIL FROM:<jane@example.com> SIZE=-1", b"MAIL FROM:<jane@example.com> SIZE=0x10",
    b"MAIL FROM:<jane@example.com> SIZE=1 SIZE=1", b"MAIL FROM:<jane@example.com>SIZE=1",
    b"MAIL FROM:<jane@example.com> SIZE=999999999999999999999999", b"MAIL FROM:<jane@example.com> BODY=BINARYMIME",
    b"MAIL FROM:<jane@example.com> SIZE=\xd9\xa1\xd9\xa2", b"MAIL FROM:<jane@example.com> BY=1;R",
    b"MAIL FROM:<jane@example.com> =", b"MAIL FROM:<jane@example.com> SMTPUTF8=", b"MAIL FROM:<jane@example.com> -X",
    b"SEND FROM:<jane@example.com>", b"SAML FROM:<jane@example.com>", b"TURN", b"XCLIENT ADDR=127.0.0.1",
    b"XFORWARD NAME=x", b"ETRN x", b"BURL imap://x LAST", b"MAIL FROM:<jane@example.com>\0",
    b"MAIL FROM:<\x7f@x.example>",
]  # fmt: skip


def test_commands_are_read_strictly(site: Site) -> None:
    for line in COMMANDS:
        with SmtpClient(site.port("exchange")) as client:
            assert client.command(line).code == 250, line
    for line in BROKEN:
        with SmtpClient(site.port("exchange")) as client:
            answer = client.command(line)
            assert 500 <= answer.code < 560, (line, answer)
            assert client.command(b"DATA").code == 503, line
