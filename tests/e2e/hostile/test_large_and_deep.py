"""Messages at and over the limits of lines, headers and MIME: decided outcomes, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.hostile.site import Site, running_site
from tests.servers.client import SmtpClient, dot_stuffed

FROM = b"From: <jane@example.com>\r\nTo: <john@example.com>\r\n"


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A relay that passes unstamped what is over the limits."""
    folder = tmp_path_factory.mktemp("lenient")
    with running_site(folder, message_limits={"above": "pass-unstamped"}) as site:
        yield site


def _depth(levels: int) -> bytes:
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(levels - 1)
    )
    return FROM + opening + b"Content-Type: text/plain\r\n\r\nx\r\n"


def _enclosed(levels: int) -> bytes:
    return FROM + b"Content-Type: message/rfc822\r\n\r\n" * (levels - 1) + b"Subject: x\r\n\r\nx\r\n"


def _parts(count: int) -> bytes:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    return FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * (count - 1) + b"--b--\r\n"


def _fields(count: int) -> bytes:
    return FROM + b"".join(b"X-%d: y\r\n" % number for number in range(count - 2)) + b"\r\nx\r\n"


def _header(octets: int) -> bytes:
    return FROM + b"X: " + b"y" * (octets - len(FROM) - 5) + b"\r\n\r\nx\r\n"


def _folded(octets: int) -> bytes:
    lines = (octets - len(FROM) - 4) // 4
    return FROM + b"X:" + b" y\r\n" * lines + b" " + b"z" * (octets - len(FROM) - 5 - 4 * lines) + b"\r\n\r\nx\r\n"


def _part_header(octets: int) -> bytes:
    return (
        FROM
        + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: "
        + b"y" * (octets - 5)
        + b"\r\n\r\nx\r\n--b--\r\n"
    )


LIMITS: dict[str, tuple[Callable[[int], bytes], int]] = {
    "MIME depth": (_depth, 100),
    "messages in messages": (_enclosed, 100),
    "MIME parts": (_parts, 1000),
    "header fields": (_fields, 1000),
    "octets in a header": (_header, 100_000),
    "octets in a folded header": (_folded, 100_000),
    "octets in a part's header": (_part_header, 100_000),
}
FAR_OVER: dict[str, bytes] = {
    "MIME depth": _depth(5000),
    "messages in messages": _enclosed(20_000),
    "MIME parts": _parts(20_000),
    "empty parts": FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 50_000,
    "header fields": _fields(50_000),
    "header without an end": FROM + b"X: y\r\n" * 100_000,
    "one endless field": FROM + b"X: " + b"y" * 2_000_000 + b"\r\n",
    "folds": FROM + b"X:" + b" \r\n" * 200_000,
}


def _answer(site: Site, content: bytes, recipient: str = "john@example.com") -> str:
    with SmtpClient(site.port("exchange")) as client:
        client.write(b"MAIL FROM:<jane@example.com>\r\nRCPT TO:<%b>\r\nDATA\r\n" % recipient.encode())
        assert [client.answer().code for _ in range(3)] == [250, 250, 354]
        client.write(dot_stuffed(content))
        answer = client.answer()
        return f"{answer.code} {answer.text.split()[0]}"


@pytest.mark.parametrize("limit", LIMITS)
def test_the_limit_itself_passes_and_one_more_does_not(site: Site, limit: str) -> None:
    make, most = LIMITS[limit]
    assert _answer(site, make(most)) == "250 2.0.0"
    assert _answer(site, make(most + 1)) == "554 5.6.0"
    (arrived,) = site.arrived()
    assert arrived.data.endswith(make(most))


@pytest.mark.parametrize("limit", FAR_OVER)
def test_far_over_a_limit_is_refused_at_little_cost(site: Site, limit: str) -> None:
    before = site.rss_mb()
    for _ in range(3):
        assert _answer(site, FAR_OVER[limit]) == "554 5.6.0"
    assert site.rss_mb() < before + 60
    assert site.arrived() == []


@pytest.mark.parametrize("limit", FAR_OVER)
def test_far_over_a_limit_passes_unstamped_where_so_configured(lenient: Site, limit: str) -> None:
    before = lenient.rss_mb()
    lenient.forget()
    assert _answer(lenient, FAR_OVER[limit], "a@stamped.example") == "250 2.0.0"
    (arrived,) = lenient.arrived()
    assert arrived.data.endswith(FAR_OVER[limit])
    assert b"[tagged]" not in arrived.data
    assert lenient.rss_mb() < before + 60


@pytest.mark.parametrize("length", [76, 997, 998, 999, 1000, 1001, 2000, 65_535, 65_536, 65_537, 10_000_000])
def test_lines_of_any_length_pass_unchanged(site: Site, length: int) -> None:
    before = site.rss_mb()
    openings = (b"", b".", b"\xe9") if length < 1_000_000 else (b".",)
    for opening in openings:
        line = opening + b"x" * (length - len(opening)) + b"\r\n"
        assert _answer(site, FROM + b"\r\nbefore\r\n" + line + b"after\r\n") == "250 2.0.0"
    arrived = site.arrived()
    assert len(arrived) == len(openings)
    assert {len(each.data.rpartition(b"\r\nbefore\r\n")[2]) for each in arrived} == {length + 2 + 7}
    assert site.rss_mb() < before + 80


def _mail_of(octets: int) -> bytes:
    return b"MAIL FROM:<jane@example.com>" + b" " * (octets - 30)


def test_command_lines_at_their_limit(site: Site) -> None:
    """512 octets with CRLF; MAIL and RCPT have room for the parameters of extensions, others have not."""
    with SmtpClient(site.port("exchange")) as client:
        assert client.command(b"NOOP " + b"x" * 505).code == 250
        assert client.command(b"NOOP " + b"x" * 506).code == 500
        assert client.command(b"EHLO " + b"x" * 255).code == 250
        assert client.command(b"EHLO " + b"x" * 256).code == 501
        for octets, code in ((512, 250), (1100, 250), (1300, 500), (5000, 500), (60_000, 500)):
            client.write(_mail_of(octets) + b"\r\nRSET\r\n")
            assert [client.answer().code for _ in range(2)] == [code, 250], octets
        client.write(b"MAIL FROM:<jane@example.com> ENVID=" + b"e" * 100 + b"\r\n")
        client.write(b"RCPT TO:<john@example.com> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;" + b"o" * 493 + b"\r\n")
        client.write(b"RCPT TO:<jane@example.com> ORCPT=rfc822;" + b"o" * 494 + b"\r\n")
        client.write(b"RSET\r\nMAIL FROM:<jane@example.com> ENVID=" + b"e" * 101 + b"\r\n")
        assert [client.answer().code for _ in range(5)] == [250, 250, 501, 250, 501]


ODD: dict[str, bytes] = {
    "nothing": b"",
    "an empty line": b"\r\n",
    "a dot": b".\r\n",
    "dots": b".\r\n" * 1000,
    "no header": b"just text\r\n",
    "a header alone": b"Subject: x\r\n",
    "colons": b":" * 5000 + b"\r\n\r\nx\r\n",
    "a field without a name": b": x\r\n\r\nx\r\n",
    "control characters": bytes(range(1, 9)) + bytes(range(11, 13)) + bytes(range(14, 32)) + b"\x7f: x\r\n\r\nx\r\n",
    "all octets": b"X: " + bytes(octet for octet in range(1, 256) if octet not in (10, 13)) * 40 + b"\r\n\r\nx\r\n",
    "boundary of nothing": b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nx\r\n----\r\n',
    "boundary of blanks": b'Content-Type: multipart/mixed; boundary="   "\r\n\r\n--   \r\n\r\nx\r\n',
    "boundary in a boundary": (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\nx\r\n--b--\r\n--b--\r\n"
    ),
    "boundary with dashes": b'Content-Type: multipart/mixed; boundary="--"\r\n\r\n----\r\n\r\nx\r\n------\r\n',
    "types within types": b"Content-Type: multipart/mixed; boundary=b; " * 200 + b"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
    "encodings of nothing": b"Content-Transfer-Encoding: base64\r\n\r\n====\r\n!!!!\r\n",
    "parameters in pieces": b"Content-Type: text/plain; "
    + b"; ".join(b"n*%d*=%%41" % n for n in range(2000))
    + b"\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("oddity", ODD)
def test_odd_messages_pass_whole(site: Site, oddity: str) -> None:
    """Whatever the scanner makes of it, without a rule it goes on as it came, and with one nobody crashes."""
    content = ODD[oddity]
    assert _answer(site, content) == "250 2.0.0"
    assert _answer(site, content, "a@stamped.example") == "250 2.0.0"
    by_recipient = {each.rcpt_to[0]: each.data for each in site.arrived()}
    assert by_recipient["john@example.com"].endswith(content)
    assert by_recipient.keys() == {"john@example.com", "a@stamped.example"}
    assert site.relay.events("internal-error") == []
