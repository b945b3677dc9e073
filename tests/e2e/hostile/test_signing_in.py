"""AUTH under attack, and senders that are not one's own."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.hostile.site import ACCOUNT, PASSWORD, Site
from tests.servers.client import SmtpClient

RIGHT = b64encode(f"\0{ACCOUNT}\0{PASSWORD}".encode())
NAME, SECRET = b64encode(ACCOUNT.encode()), b64encode(PASSWORD.encode())


@contextmanager
def under_tls(site: Site, *, source: str = "") -> Iterator[SmtpClient]:
    context = ssl.create_default_context()
    site.authority.configure_trust(context)
    with SmtpClient(site.port("submission"), source=source) as client:
        client.start_tls(context)
        yield client


@pytest.mark.parametrize("line", [b"AUTH PLAIN " + RIGHT, b"AUTH LOGIN " + NAME, b"AUTH LOGIN", b"AUTH PLAIN"])
def test_nobody_signs_in_in_clear_text(site: Site, line: bytes) -> None:
    with SmtpClient(site.port("submission")) as client:
        assert "AUTH" not in client.extensions
        assert client.command(line).code == 538
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 530
    assert site.arrived() == []


BROKEN: dict[str, tuple[list[bytes], int]] = {
    "no mechanism": ([b"AUTH"], 501),
    "unknown mechanism": ([b"AUTH CRAM-MD5"], 504),
    "external": ([b"AUTH EXTERNAL ="], 504),
    "two responses": ([b"AUTH PLAIN " + RIGHT + b" " + RIGHT], 501),
    "no base64": ([b"AUTH PLAIN ???"], 501),
    "base64 with a space": ([b"AUTH PLAIN", RIGHT[:8] + b" " + RIGHT[8:]], 501),
    "cut base64": ([b"AUTH PLAIN " + RIGHT[:-1]], 501),
    "cancelled": ([b"AUTH PLAIN", b"*"], 501),
    "cancelled half-way": ([b"AUTH LOGIN", NAME, b"*"], 501),
    "empty": ([b"AUTH PLAIN ="], 535),
    "an empty line": ([b"AUTH PLAIN", b""], 535),
    "no NUL": ([b"AUTH PLAIN " + b64encode(b"jane")], 535),
    "one NUL": ([b"AUTH PLAIN " + b64encode(b"jane\0secret")], 535),
    "three NULs": ([b"AUTH PLAIN " + b64encode(f"\0{ACCOUNT}\0{PASSWORD}\0".encode())], 535),
    "for somebody else": ([b"AUTH PLAIN " + b64encode(f"boss@example.com\0{ACCOUNT}\0{PASSWORD}".encode())], 535),
    "wrong password": ([b"AUTH PLAIN " + b64encode(f"\0{ACCOUNT}\0wrong".encode())], 535),
    "empty password": ([b"AUTH PLAIN " + b64encode(f"\0{ACCOUNT}\0".encode())], 535),
    "password in other case": ([b"AUTH PLAIN " + b64encode(f"\0{ACCOUNT}\0{PASSWORD.upper()}".encode())], 535),
    "password and more": ([b"AUTH PLAIN " + b64encode(f"\0{ACCOUNT}\0{PASSWORD}{'x' * 900}".encode())], 535),
    "a huge password": ([b"AUTH PLAIN", b64encode(f"\0{ACCOUNT}\0{'x' * 9000}".encode())], 535),
    "unknown name": ([b"AUTH PLAIN " + b64encode(f"\0nobody\0{PASSWORD}".encode())], 535),
    "name with a colon": ([b"AUTH PLAIN " + b64encode(f"\0{ACCOUNT}:\0{PASSWORD}".encode())], 535),
    "name with a line end": ([b"AUTH PLAIN " + b64encode(f"\0{ACCOUNT}\r\n\0{PASSWORD}".encode())], 535),
    "hash as password": ([b"AUTH PLAIN " + b64encode(f"\0{ACCOUNT}\0$2b$10$".encode())], 535),
    "broken UTF-8": ([b"AUTH PLAIN " + b64encode(b"\0jane\xff\0x")], 535),
    "LOGIN, wrong password": ([b"AUTH LOGIN", NAME, b64encode(b"wrong")], 535),
    "LOGIN, commands for answers": ([b"AUTH LOGIN", b"MAIL FROM:<jane@example.com>"], 501),
    "LOGIN, BDAT for an answer": ([b"AUTH LOGIN", b"BDAT 4 LAST"], 501),
}  # fmt: skip


def test_broken_exchanges_prove_nothing(site: Site) -> None:
    said: dict[str, int] = {}
    for name, (lines, _) in BROKEN.items():
        with under_tls(site, source=f"127.0.1.{len(said) + 1}") as client:  # guesses count by address
            for line in lines[:-1]:
                assert client.command(line).code == 334, name
            said[name] = client.command(lines[-1]).code
            assert client.command(b"MAIL FROM:<jane@example.com>").code == 530, name
    assert said == {name: code for name, (_, code) in BROKEN.items()}
    with under_tls(site) as client:
        client.write(b"AUTH PLAIN\r\n" + b"A" * 100_000 + b"\r\nMAIL FROM:<jane@example.com>\r\n")
        assert client.rest().startswith(b"334 \r\n500 ")
    assert site.arrived() == []


def test_guessing_ends_the_session_and_then_helps_no_more(site: Site) -> None:
    """Even the right password is not tried any more; elsewhere it still is."""
    wrong = b"AUTH PLAIN " + b64encode(f"\0{ACCOUNT}\0wrong".encode())
    for codes in ([535] * 5 + [421], [535] * 5 + [421]):
        with under_tls(site, source="127.0.2.1") as client:
            client.write((wrong + b"\r\n") * len(codes))
            assert [client.answer().code for _ in codes] == codes
            assert client.rest() == b""
    with under_tls(site, source="127.0.2.1") as client:
        assert client.command(b"AUTH PLAIN " + RIGHT).code == 454
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 530
    with under_tls(site, source="127.0.2.2") as client:
        assert client.command(b"AUTH PLAIN " + RIGHT).code == 235
    assert site.arrived() == []


def test_what_was_proved_counts_for_its_session_only(site: Site) -> None:
    with under_tls(site) as client:
        assert client.command(b"AUTH PLAIN " + RIGHT).code == 235
        assert client.command(b"AUTH PLAIN " + RIGHT).code == 503
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 250
        assert client.command(b"AUTH PLAIN " + RIGHT).code == 503
        assert client.command(b"RCPT TO:<customer@customer.example>").code == 250
    with under_tls(site) as client:
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 530
        assert client.command(b"RCPT TO:<customer@customer.example>").code == 503
    log = "".join(path.read_text() for path in (site.relay.folder / "log").glob("*.log"))
    assert PASSWORD not in log
    assert RIGHT.decode() not in log
    assert SECRET.decode() not in log


REVERSE_PATHS = [
    b"boss@example.com", b"jane@example.org", b"jane@sub.example.com", b"jane@example.com.example.org",
    b'"jane@example.com"@example.org', b"jane+x@example.com", b"x@jane.example.com", b"jane@xn--example-.com",
    "jane@ехample.com".encode(), "jané@example.com".encode(), b"@example.com", b"jane@example.com@example.org",
]  # fmt: skip


def test_nobody_sends_as_another_in_the_envelope(site: Site) -> None:
    for path in REVERSE_PATHS:
        with under_tls(site) as client:
            assert client.command(b"AUTH PLAIN " + RIGHT).code == 235
            answer = client.command(b"MAIL FROM:<" + path + b"> SMTPUTF8")
            assert answer.code in (550, 553), (path, answer)
    assert site.arrived() == []


FORGED: dict[str, bytes] = {
    "From": b"From: boss@example.com\r\n",
    "in capitals": b"FROM: boss@example.com\r\n",
    "blank before the colon": b"From : boss@example.com\r\n",
    "tab before the colon": b"From\t: boss@example.com\r\n",
    "folded": b"From:\r\n boss@example.com\r\n",
    "folded after a name": b"From: Jane\r\n <boss@example.com>\r\n",
    "two fields, theirs last": b"From: jane@example.com\r\nFrom: boss@example.com\r\n",
    "two fields, theirs first": b"From: boss@example.com\r\nFrom: jane@example.com\r\n",
    "two addresses": b"From: jane@example.com, boss@example.com\r\n",
    "two in brackets": b"From: <jane@example.com> <boss@example.com>\r\n",
    "group": b"From: jane@example.com:boss@example.com;\r\n",
    "group of both": b"From: staff: jane@example.com, boss@example.com;\r\n",
    "semicolon": b"From: jane@example.com; boss@example.com\r\n",
    "comment": b"From: boss@example.com (jane@example.com)\r\n",
    "nested comment": b"From: (jane@example.com (x) boss@example.com\r\n",
    "quoted local part": b'From: "jane@example.com"@example.org\r\n',
    "encoded word for an address": b"From: =?utf-8?q?boss=40example.com?=\r\n",
    "bracket missing": b"From: <boss@example.com\r\n",
    "quote not closed": b'From: "jane@example.com <boss@example.com>\r\n',
    "Sender": b"From: jane@example.com\r\nSender: boss@example.com\r\n",
    "behind a broken line": b"this is no field\r\nFrom: boss@example.com\r\n",
    "behind a continuation": b" \r\nFrom: boss@example.com\r\n",
    "route": b"From: <@example.com:boss@example.com>\r\n",
    "below a domain that is not allowed": b"From: x@example.com.evil.example\r\n",
    "trailing dot": b"From: jane@example.com.\r\n",
    "wide letters": "From: boss@ｅｘａｍｐｌｅ.com\r\n".encode(),
    "nothing": b"From: \r\n",
    "a name alone": b"From: Boss\r\n",
    "spaces": b"From: boss @ example . com\r\n",
    "behind many commas": b"From: jane@example.com" + b"," * 90_000 + b" boss@example.com\r\n",
    "long": b"From: " + b"jane@example.com, " * 3000 + b"boss@example.com\r\n",
}


@pytest.mark.parametrize("trick", FORGED)
def test_nobody_sends_as_another_in_the_header(site: Site, trick: str) -> None:
    with under_tls(site) as client:
        assert client.command(b"AUTH PLAIN " + RIGHT).code == 235
        content = FORGED[trick] + b"To: john@example.com\r\nSubject: x\r\n\r\nx\r\n"
        answer = client.send("jane@example.com", ["john@example.com"], content)
        assert (answer.code, answer.text[:5]) == (550, "5.7.1"), trick
    assert site.arrived() == []
