"""Clients that leave in any state: nothing half is ever delivered, and nothing whole is lost or doubled."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest

from tests.e2e.hostile.site import Site
from tests.servers.client import SmtpClient
from tests.servers.load import simple_message
from tests.servers.wait import wait_until

_number = itertools.count()
RCPT = b"EHLO x\r\nMAIL FROM:<jane@example.com>\r\nRCPT TO:<john@example.com>\r\n"
STATES: dict[str, tuple[bytes, int]] = {
    # what was said, and how many replies there are to it
    "nothing said": (b"", 0),
    "half a command": (b"MAIL FR", 0),
    "EHLO": (b"EHLO x\r\n", 1),
    "MAIL": (b"EHLO x\r\nMAIL FROM:<jane@example.com>\r\n", 2),
    "RCPT": (RCPT, 3),
    "DATA": (RCPT + b"DATA\r\n", 4),
    "header": (RCPT + b"DATA\r\nSubject: x\r\n", 4),
    "body": (RCPT + b"DATA\r\nSubject: x\r\n\r\nx\r\n", 4),
    "dot": (RCPT + b"DATA\r\nSubject: x\r\n\r\nx\r\n.", 4),
    "dot and CR": (RCPT + b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r", 4),
    "dot and LF": (RCPT + b"DATA\r\nSubject: x\r\n\r\nx\r\n.\n", 4),
    "much": (RCPT + b"DATA\r\n" + b"x" * 3_000_000, 4),
    "chunk": (RCPT + b"BDAT 3\r\nx\r\n", 4),
    "half a chunk": (RCPT + b"BDAT 4 LAST\r\nx\r\n", 3),
    "BDAT": (RCPT + b"BDAT 4 LAST\r\n", 3),
    "STARTTLS": (b"EHLO x\r\nSTARTTLS\r\n", 2),
}
WAYS = ("half_close", "close", "reset")


@pytest.mark.parametrize("state", STATES)
def test_nothing_half_is_delivered(site: Site, state: str) -> None:
    before = site.open_files()
    said, answers = STATES[state]
    for way in WAYS:
        for is_heard in (False, True):
            client = SmtpClient(site.port("exchange"), helo="")
            client.write(said)
            if is_heard:
                assert [client.answer().code for _ in range(answers)][-1:] != [500]
            getattr(client, way)()
            with contextlib.suppress(ValueError):  # of a closed file
                client.rest()
            client.close()
    site.wait_until_all_left(before)
    assert site.arrived() == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ending", ["DATA", "BDAT"])
def test_what_was_whole_is_delivered_once_if_it_was_taken(site: Site, way: str, ending: str) -> None:
    """Who leaves right behind the last octet can't know: what the log calls accepted arrives once, all else never."""
    names = [f"whole-{next(_number)}" for _ in range(20)]
    opening = b"MAIL FROM:<jane@example.com>\r\nRCPT TO:<john@example.com>\r\n"
    already = len(site.relay.events("accepted"))
    for name in names:
        content = simple_message(name, to="john@example.com")
        client = SmtpClient(site.port("exchange"))
        if ending == "DATA":
            client.write(opening + b"DATA\r\n")
            assert [client.answer().code for _ in range(3)] == [250, 250, 354]
            client.write(content + b".\r\n")
        else:
            client.write(opening)
            assert [client.answer().code for _ in range(2)] == [250, 250]
            client.write(b"BDAT %d LAST\r\n" % len(content) + content)
        getattr(client, way)()
        if way == "half_close":
            assert client.answer().code == 250
        client.close()
    arrived = site.arrived()
    accepted = len(site.relay.events("accepted")) - already - 1  # but for the probe
    found = [next(name for name in names if f"<{name}@".encode() in each.data) for each in arrived]
    assert len(found) == len(set(found)) == accepted
    if way != "reset":
        assert accepted == len(names)
    assert all(each.data.endswith(b"--=_b--\r\n") for each in arrived)


def test_large_files_go_with_their_clients(site: Site) -> None:
    """What was written of a message that never became whole is removed, in the spool too."""
    folder = site.relay.folder / "spool"
    before = {path for path in folder.rglob("*") if path.is_file()}
    clients = []
    for _ in range(5):
        client = SmtpClient(site.port("exchange"))
        client.write(b"MAIL FROM:<jane@example.com>\r\nRCPT TO:<john@example.com>\r\nDATA\r\n" + b"x\r\n" * 2_000_000)
        clients.append(client)

    def left() -> set[Path]:
        return {path for path in folder.rglob("*") if path.is_file()} - before

    wait_until(lambda: len(left()) >= 5, 60, "large messages on disk")
    for client in clients:
        client.reset()
    wait_until(lambda: not left(), 60, lambda: f"the end of {left()}")
    assert site.arrived() == []
