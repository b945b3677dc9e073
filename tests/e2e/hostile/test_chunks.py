"""BDAT (RFC 3030) in bad hands: chunks that lie, break off, come in crumbs, or hold commands."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from tests.e2e.hostile.site import Site
from tests.servers.client import SmtpClient

OPENING = b"MAIL FROM:<jane@example.com>\r\nRCPT TO:<john@example.com>\r\n"
CONTENT = b"From: <jane@example.com>\r\nMessage-ID: <chunk@mail.example.com>\r\n\r\nx\r\n"
COMMANDS = b"MAIL FROM:<boss@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nx\r\n.\r\nRSET\r\nQUIT\r\n"


def _chunk(octets: bytes, last: bytes = b"") -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(octets), last, octets)


UNREADABLE = [
    b"BDAT", b"BDAT ", b"BDAT LAST", b"BDAT -1", b"BDAT -1 LAST", b"BDAT +5", b"BDAT 5.0", b"BDAT 0x10", b"BDAT 1e3",
    b"BDAT 5 FIRST", b"BDAT 5 LAST LAST", b"BDAT 5LAST", b"BDAT five", b"BDAT 999999999999999999999999 LAST",
    b"BDAT 5\tLAST", b"BDAT\t5", b"BDAT 5\0", b"BDAT \xd9\xa5", b"BDAT \xff", b"BDAT 5 LAST\n",
    b"BDAT " + b"0" * 600 + b"5", b"BDAT 5 " + b" " * 3000 + b"LAST", b"BDAT " + b"9" * 90_000,
]  # fmt: skip


@pytest.mark.parametrize("is_begun", [False, True], ids=["before MAIL", "after RCPT"])
def test_what_is_behind_an_unreadable_bdat_is_never_read_as_commands(site: Site, is_begun: bool) -> None:
    for line in UNREADABLE:
        with SmtpClient(site.port("exchange")) as client:
            if is_begun:
                client.write(OPENING)
                assert [client.answer().code for _ in range(2)] == [250, 250]
            with contextlib.suppress(ConnectionError):
                client.write(line + b"\r\n" + COMMANDS)
            said = client.rest()
            assert said.count(b"\r\n") == (1 if said else 0), (line, said)
            assert said[:1] in (b"5", b""), (line, said)
    assert site.arrived() == []


@pytest.mark.parametrize("size", [b"9223372036854775807", b"99999999999999999999", b"4294967296", b"2147483648"])
@pytest.mark.parametrize("opening", [b"", OPENING])
def test_an_absurd_chunk_is_not_waited_for(site: Site, size: bytes, opening: bytes) -> None:
    before = site.rss_mb()
    with SmtpClient(site.port("exchange")) as client:
        client.write(opening)
        assert [client.answer().code for _ in opening.splitlines()] == [250] * len(opening.splitlines())
        with contextlib.suppress(ConnectionError):
            client.write(b"BDAT " + size + b" LAST\r\n" + COMMANDS)
        assert client.rest().startswith(b"552" if opening else b"503")
    assert site.arrived() == []
    assert site.rss_mb() < before + 50


def test_a_chunk_that_is_refused_is_read_whole(site: Site) -> None:
    """Out of order or not: what it holds is no command."""
    for opening in (b"", b"MAIL FROM:<jane@example.com>\r\n", b"MAIL FROM:<jane@example.com>\r\nRCPT TO:<x>\r\n"):
        for last in (b"", b" LAST", b" last"):
            with SmtpClient(site.port("exchange")) as client:
                client.write(opening + _chunk(COMMANDS, last) + b"NOOP\r\n")
                codes = [client.answer().code for _ in range(opening.count(b"\r\n") + 2)]
                assert codes[-2] in (503, 554)
                assert codes[-1] == 250
                client.write(_chunk(COMMANDS, last) + b"NOOP\r\n")
                assert client.answer().code in (503, 554)
                assert client.answer().code == 250
    assert site.arrived() == []


def test_chunks_may_hold_anything_and_end_nowhere(site: Site) -> None:
    """Commands, dots and ends of data are text; what the next hop gets is read loosely, too."""
    text = CONTENT + COMMANDS + b"\r\n.\r\n" + COMMANDS + b".\r\n..\r\n"
    with SmtpClient(site.port("exchange")) as client:
        for cut in range(len(CONTENT), len(text), 7):
            client.write(OPENING + _chunk(text[:cut]) + _chunk(text[cut:], b" LAST"))
            assert [client.answer().code for _ in range(4)] == [250] * 4
        client.write(OPENING + b"".join(_chunk(text[at : at + 1]) for at in range(len(text))) + b"BDAT 0 LAST\r\n")
        assert {client.answer().code for _ in range(3 + len(text))} == {250}
    arrived = site.arrived()
    assert {each.rcpt_to for each in arrived} == {("john@example.com",)}
    assert all(each.data.endswith(text) for each in arrived)


BARE = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\r\n.\r\n",
    b"\n",
    b"\r",
    b"a\nb",
    b"a\rb",
]


@pytest.mark.parametrize("listener", ["exchange", "devices"])
def test_bare_line_ends_in_chunks_and_across_their_borders(site: Site, listener: str) -> None:
    count = 0
    for bare in BARE:
        text = CONTENT + bare + COMMANDS
        for cut in range(len(CONTENT) - 1, len(CONTENT) + len(bare) + 1):
            with SmtpClient(site.port(listener)) as client:
                client.write(OPENING + _chunk(text[:cut]) + _chunk(text[cut:], b" LAST") + b"RSET\r\n")
                codes = [client.answer().code for _ in range(5)]
                expected = [250, 250] if listener == "devices" else [250, 550]
                assert codes[:2] + codes[3:] in ([250, 250, expected[1], 250],), (bare, cut, codes)
                count += codes[3] == 250
    arrived = site.arrived()
    assert len(arrived) == count
    assert {each.rcpt_to for each in arrived} <= {("john@example.com",)}


def test_a_crlf_across_two_chunks_is_one(site: Site) -> None:
    with SmtpClient(site.port("exchange")) as client:
        client.write(OPENING + _chunk(CONTENT + b"a\r") + _chunk(b"\nb\r") + _chunk(b"\n", b" LAST"))
        assert [client.answer().code for _ in range(5)] == [250] * 5
    (arrived,) = site.arrived()
    assert arrived.data.endswith(b"\r\na\r\nb\r\n")


@pytest.mark.parametrize("leaves", ["half_close", "close", "reset"])
@pytest.mark.parametrize("held", [CONTENT[:-2], b"", CONTENT])
def test_half_a_chunk_is_no_message(site: Site, leaves: str, held: bytes) -> None:
    before = site.open_files()
    with SmtpClient(site.port("exchange")) as client:
        client.write(OPENING + _chunk(CONTENT) + b"BDAT %d LAST\r\n" % (len(CONTENT) + 1) + held)
        assert [client.answer().code for _ in range(3)] == [250] * 3
        getattr(client, leaves)()
        if leaves == "half_close":
            assert client.rest() == b""
    site.wait_until_all_left(before)
    assert site.arrived() == []


@pytest.mark.parametrize("ending", [b"DATA\r\n", b"RSET\r\n", b"QUIT\r\n", b"MAIL FROM:<>\r\n", b"EHLO x\r\n", b""])
def test_a_message_without_its_last_chunk_is_none(site: Site, ending: bytes) -> None:
    with SmtpClient(site.port("exchange")) as client:
        client.write(OPENING + _chunk(CONTENT))
        assert [client.answer().code for _ in range(3)] == [250] * 3
        client.write(ending)
        if ending == b"DATA\r\n":
            assert client.answer().code == 503
    assert site.arrived() == []


def test_a_message_ends_with_its_last_chunk(site: Site) -> None:
    """LAST twice: the second belongs to no message, as does what comes after DATA's end."""
    with SmtpClient(site.port("exchange")) as client:
        client.write(OPENING + _chunk(CONTENT, b" LAST") + _chunk(COMMANDS, b" LAST") + b"NOOP\r\n")
        assert [client.answer().code for _ in range(5)] == [250, 250, 250, 503, 250]
        client.write(OPENING + b"DATA\r\n" + CONTENT + b".\r\n" + _chunk(COMMANDS, b" LAST") + b"NOOP\r\n")
        assert [client.answer().code for _ in range(6)] == [250, 250, 354, 250, 503, 250]
        client.write(
            OPENING + b"DATA\r\n" + CONTENT + _chunk(COMMANDS.replace(b"\r\n.\r\n", b""), b" LAST") + b"\r\n.\r\n"
        )
        assert [client.answer().code for _ in range(4)] == [250, 250, 354, 250]
    assert [each.rcpt_to for each in site.arrived()] == [("john@example.com",)] * 3


def test_recipients_can_not_be_added_between_chunks(site: Site) -> None:
    with SmtpClient(site.port("internet")) as client:
        client.write(
            OPENING + _chunk(CONTENT) + b"RCPT TO:<jane@example.com>\r\nRCPT TO:<victim@elsewhere.example>\r\n"
        )
        assert [client.answer().code for _ in range(5)] == [250, 250, 250, 503, 503]
        client.write(b"MAIL FROM:<boss@example.com>\r\n" + _chunk(b"y\r\n", b" LAST"))
        assert [client.answer().code for _ in range(2)] == [503, 250]
    (arrived,) = site.arrived()
    assert (arrived.mail_from, arrived.rcpt_to) == ("jane@example.com", ("john@example.com",))


def test_crumbs_cost_little(site: Site) -> None:
    """10,000 chunks of one octet, then more than any client needs."""
    before = site.rss_mb()
    with SmtpClient(site.port("exchange")) as client:
        client.write(OPENING + _chunk(CONTENT) + b"BDAT 1\r\nx" * 10_000 + b"BDAT 2 LAST\r\n\r\n")
        assert {client.answer().code for _ in range(10_004)} == {250}
    with SmtpClient(site.port("exchange")) as client, contextlib.suppress(ConnectionError):
        client.write(OPENING)
        for _ in range(12):
            client.write(b"BDAT 0\r\n" * 10_000)
            assert [client.answer().code for _ in range(9_000)][-1] in (250, 452, 503, 550, 552, 554)
    (arrived,) = site.arrived()
    assert arrived.data.endswith(b"x" * 10_000 + b"\r\n")
    assert site.rss_mb() < before + 60


def test_chunks_wait_for_tls_where_it_is_required(site: Site) -> None:
    context = ssl.create_default_context()
    site.authority.configure_trust(context)
    for line in (b"BDAT 6 LAST\r\nRSET\r\n", b"BDAT 0 LAST\r\n"):
        with SmtpClient(site.port("secure")) as client:
            client.write(OPENING + line + b"NOOP\r\n")
            said = client.rest()
            assert said.count(b"530 5.7.0") == 3
            assert b"250" not in said
    with SmtpClient(site.port("secure")) as client:
        client.start_tls(context)
        client.write(OPENING + _chunk(CONTENT, b" LAST"))
        assert [client.answer().code for _ in range(3)] == [250] * 3
    assert len(site.arrived()) == 1


def test_a_message_is_bounded_however_many_chunks_it_has(site: Site) -> None:
    before = site.rss_mb()
    with SmtpClient(site.port("exchange")) as client, contextlib.suppress(ConnectionError):
        client.write(OPENING)
        for _ in range(120):
            client.write(_chunk(b"x" * 1_000_000))
    assert site.rss_mb() < before + 80
    assert site.arrived() == []
