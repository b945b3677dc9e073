"""SMTP smuggling (CVE-2023-51764, -51765, -51766, CVE-2024-27305): one DATA never becomes two messages, whoever reads.

Every string of CR, LF, dot and NUL up to a length stands where a message could be made to end early, with a second
transaction behind it. The next hop keeps all that it is told, and reads it as strict and as vulnerable servers do.
"""

from __future__ import annotations

import itertools
import re
from base64 import b64encode
from collections.abc import Callable

import pytest

from tests.e2e.hostile.site import Site
from tests.servers.client import SmtpClient

HEAD = b"From: <jane@example.com>\r\nTo: <john@example.com>\r\nMessage-ID: <%d@mail.example.com>\r\n\r\nbody"
SMUGGLED = (
    b"MAIL FROM:<boss@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
)
OPENING = b"MAIL FROM:<jane@example.com>\r\nRCPT TO:<john@example.com>\r\nDATA\r\n"
LENGTH = 4
_OCTETS = (b"\r", b"\n", b".", b"\0")
ENDS = [b"".join(octets) for n in range(1, LENGTH + 1) for octets in itertools.product(_OCTETS, repeat=n)]
ENDS += [
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\0\n",
    b"\r\0\n.\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n .\r\n",
    b"\r\n.\t\r\n",
]
ENDS += [b"\x85.\x85", "\u2028.\u2028".encode(), b"\x0b.\x0b", b"\x0c.\x0c", b"\r\n\xef\xbc\x8e\r\n", b"\r\n\xae\r\n"]
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def _expected(end: bytes, *, normalises: bool) -> str:
    if _BARE.search(end + SMUGGLED) and not normalises:
        return "550 5.6.11"
    return "550 5.6.11" if b"\0" in end else "250 2.0.0"


@pytest.mark.parametrize(
    ("listener", "is_pipelined"), [("exchange", True), ("exchange", False), ("internet", True), ("devices", True)]
)
def test_no_false_end_makes_two_messages_of_one(site: Site, listener: str, is_pipelined: bool) -> None:
    taken = []
    with SmtpClient(site.port(listener)) as client:
        for number, end in enumerate(ENDS):
            client.write(OPENING)
            if not is_pipelined:
                assert [client.answer().code for _ in range(3)] == [250, 250, 354]
            client.write(HEAD % number + end + SMUGGLED)
            if is_pipelined:
                assert [client.answer().code for _ in range(3)] == [250, 250, 354]
            answer = client.answer()
            expected = _expected(end, normalises=listener == "devices")
            assert f"{answer.code} {answer.text[: 5 if answer.code == 250 else 6]}" == expected, end
            taken += [number] * (answer.code == 250)
            assert client.command(b"RSET").text == "2.0.0 Ok", end  # one reply, so both are in step
            if answer.code != 250 and number % 15 == 14:  # errors are forgiven by a good message
                client.write(OPENING + HEAD % 10_000 + b"\r\n.\r\n")
                assert [client.answer().code for _ in range(4)] == [250, 250, 354, 250]
    arrived = [each for each in site.arrived() if b"<10000@" not in each.data]
    assert len(taken) > (50 if listener == "devices" else 15)
    assert len(arrived) == len(taken)
    assert {each.rcpt_to for each in arrived} == {("john@example.com",)}


CUT = [b"\r\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\r", b"\n.\n", b"\r.\r", b"\r\r\n.\n", b"\r\n\n.\r\n", b"\r\n.\r\r\n"]


@pytest.mark.parametrize("listener", ["exchange", "devices"])
def test_segments_change_nothing(site: Site, listener: str) -> None:
    with SmtpClient(site.port(listener)) as client:
        for end in CUT:
            for cut in range(len(end) + 1):
                client.write(OPENING)
                assert [client.answer().code for _ in range(3)] == [250, 250, 354]
                client.write(HEAD % cut + end[:cut])
                client.write(end[cut:] + SMUGGLED)
                assert client.answer().code == (250 if listener == "devices" else 550)
                assert client.command(b"RSET").code == 250
            client.write(OPENING + HEAD % 10_000 + b"\r\n.\r\n")
            assert [client.answer().code for _ in range(4)] == [250, 250, 354, 250]
    assert {each.rcpt_to for each in site.arrived()} == {("john@example.com",)}


ENCODED: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "base64 text": (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n", b64encode),
    "base64 HTML": (b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n", b64encode),
    "quoted-printable": (
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n",
        lambda text: b"".join(b"=%02X" % octet for octet in text),
    ),
    "quoted-printable HTML": (
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n",
        lambda text: b"".join(b"=%02X" % octet for octet in text),
    ),
    "UTF-16": (
        b"Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n",
        lambda text: b64encode(text.decode("latin_1").encode("utf_16_le")),
    ),
    "no body": (b"", lambda _: b""),
}  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n", "\u2028", "\x85"])
def test_decoded_text_that_is_stamped_ends_nothing(site: Site, encoding: str, line_end: str) -> None:
    """Rules decode subjects and text and write them anew: what was hidden in them stays inside."""
    fields, encode = ENCODED[encoding]
    end = line_end.encode("latin_1", "ignore") or line_end.encode()
    text = b"body" + end + b"." + end + SMUGGLED.replace(b"\r\n", end)
    written = b"".join(b"=%02X" % octet for octet in text)
    # Encoded words, and RFC 2231 in a file name, that come to line ends.
    head = b"From: <jane@example.com>\r\nMIME-Version: 1.0\r\n"
    head += b"Subject: =?utf-8?q?" + written + b"?= =?utf-8?b?" + b64encode(text) + b"?=\r\n"
    with SmtpClient(site.port("exchange")) as client:
        answer = client.send(
            "jane@example.com", ["a@stamped.example"], head + fields + b"\r\n" + encode(text) + b"\r\n"
        )
        assert answer.code == 250
    (arrived,) = site.arrived()
    header = arrived.data.partition(b"\r\n\r\n")[0]
    assert b"[tagged]" in header
    assert not _BARE.search(arrived.data)
    assert b"\r\nMAIL FROM" not in header
