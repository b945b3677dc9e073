"""A monitored mailbox on POP3 servers that can less than others, refuse, lie, or mean no good."""

from __future__ import annotations

import asyncio
import base64
import itertools
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.adapters.mailbox.pop3 import Pop3Reader
from mta.config.tracking_schema import Pop3Mailbox
from mta.ports.mailbox import (
    AccessDeniedError,
    EndpointDownError,
    EndpointOverloadedError,
    ItemGoneError,
    MailboxError,
    MailboxUnavailableError,
    OutcomeUnknownError,
    RefusedError,
    SignInError,
    TlsFailedError,
)
from tests.servers.scripted_pop3 import DEFAULTS, Answer, scripted_pop3

PASSWORD = "pass word"


def _reader(port: int, place: Path, **settings: Any) -> Pop3Reader:
    (place / "password").write_text(PASSWORD)
    own = {
        "kind": "pop3", "name": "desk", "address": "desk@example.com", "host": "127.0.0.1", "port": port,
        "password": {"file": str(place / "password")}, "tls": {"mode": "none"}, "timeout": "60s",
    }  # fmt: skip
    return Pop3Reader(Pop3Mailbox.model_validate({**own, **settings}), set_aside_folder=place / "aside")


def _aside(place: Path) -> list[bytes]:
    assert not list(place.glob("aside/tmp/*"))
    return [file.read_bytes() for file in sorted(place.glob("aside/new/*"))]


# --- messages ---------------------------------------------------------------------------------------------------------


async def test_what_waits_and_what_becomes_of_it(tmp_path: Path) -> None:
    with scripted_pop3() as server:
        reader = _reader(server.port, tmp_path)
        assert [(each.ref, each.size_octets) for each in await reader.waiting(10)] == [("first", 100), ("second", 200)]
        assert await reader.fetch("second", 1000) == b"Subject: a\r\n\r\nb\r\n"
        await reader.delete("second")
        assert [each.ref for each in await reader.waiting(10)] == ["first"]
        await reader.end_session(purge=False)
        await reader.close()
    assert server.commands[-2:] == [b"DELE 2", b"QUIT"]
    assert not server.said(b"TOP", b"STAT", b"RSET", b"NOOP")


@pytest.mark.parametrize(
    ("do", "folder", "is_kept"),
    [("move", "StamplineProcessed", False), ("move", "StamplineSetAside", True), ("mark-read", "", False)],
)
async def test_processed_ones_are_deleted_and_others_kept(tmp_path: Path, do: str, folder: str, is_kept: bool) -> None:
    with scripted_pop3() as server:
        reader = _reader(server.port, tmp_path, after={"do": do})
        await (reader.move("first", folder) if folder else reader.mark_read("first"))
        await reader.end_session(purge=True)
        await reader.close()
    assert server.said(b"DELE") == [b"DELE 1"]
    assert _aside(tmp_path) == ([b"Subject: a\r\n\r\nb\r\n"] if is_kept else [])


async def test_what_is_set_aside_again_and_again_is_kept_once(tmp_path: Path) -> None:
    with scripted_pop3({b"QUIT": b"-ERR [SYS/TEMP] not deleted\r\n"}) as server:
        reader = _reader(server.port, tmp_path)
        for _ in range(3):
            await reader.move("first", "StamplineSetAside")
            with pytest.raises(MailboxUnavailableError):
                await reader.end_session(purge=True)
        await reader.close()
    assert len(_aside(tmp_path)) == 1
    assert server.said(b"DELE") == [b"DELE 1"] * 3


async def test_what_breaks_off_while_it_is_set_aside_is_neither_kept_nor_deleted(tmp_path: Path) -> None:
    with scripted_pop3({b"RETR": lambda _: [b"+OK\r\nhalf a message\r\n"]}) as server:
        reader = _reader(server.port, tmp_path, timeout=timedelta(milliseconds=300))
        with pytest.raises(MailboxUnavailableError):
            await reader.move("first", "StamplineSetAside")
        await reader.close()
    assert _aside(tmp_path) == []
    assert not server.said(b"DELE")


async def test_a_folder_that_can_not_be_written_to_leaves_the_message_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "aside").write_text("a file")
    with scripted_pop3() as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(MailboxError):
            await reader.move("first", "StamplineSetAside")
        await reader.end_session(purge=True)
        await reader.close()
    assert not server.said(b"DELE")


async def test_links_in_the_folder_are_not_followed_and_the_session_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "tmp").symlink_to(tmp_path)
    with scripted_pop3() as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(AccessDeniedError):
            await reader.move("first", "StamplineSetAside")
        assert len(await reader.waiting(10)) == 2
        await reader.close()
    assert not server.said(b"DELE")


async def test_copies_that_share_a_unique_id_are_taken_one_after_the_other(tmp_path: Path) -> None:
    with scripted_pop3({b"UIDL": b"+OK\r\n1 same\r\n2 other\r\n3 same\r\n.\r\n"}) as server:
        reader = _reader(server.port, tmp_path)
        assert [each.ref for each in await reader.waiting(10)] == ["same", "other"]
        await reader.delete("same")
        assert [each.ref for each in await reader.waiting(10)] == ["other", "same"]
        await reader.delete("same")
        await reader.delete("same")
        await reader.end_session(purge=True)
        await reader.close()
    assert server.said(b"DELE") == [b"DELE 1", b"DELE 3"]


async def test_numbers_are_those_of_the_session(tmp_path: Path) -> None:
    with scripted_pop3() as server:
        reader = _reader(server.port, tmp_path)
        await reader.waiting(10)
        await reader.end_session(purge=True)
        server.answers[b"UIDL"] = b"+OK\r\n1 second\r\n.\r\n"
        await reader.delete("second")
        with pytest.raises(ItemGoneError):
            await reader.fetch("first", 1000)
        await reader.close()
    assert server.said(b"DELE") == [b"DELE 1"]


async def test_without_unique_ids_nothing_is_done(tmp_path: Path) -> None:
    with scripted_pop3({b"UIDL": b"-ERR what?\r\n"}) as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(MailboxUnavailableError, match="UIDL"):
            await reader.sign_in()
        await reader.close()


async def test_a_lost_answer_to_quit_leaves_open_what_was_done(tmp_path: Path) -> None:
    with scripted_pop3({b"QUIT": b""}) as server:
        reader = _reader(server.port, tmp_path)
        await reader.delete("first")
        with pytest.raises(OutcomeUnknownError):
            await reader.end_session(purge=True)
        await reader.close()


@given(
    body=st.lists(st.sampled_from([b".", b"..", b"\r\n", b"\n", b"\r", b"a", b".\r\n", b"x" * 50]), max_size=30),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
@settings(max_examples=25, deadline=None)
def test_dots_are_taken_off_wherever_the_net_cuts(
    body: list[bytes], cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    message = b"".join(body)
    message += b"" if not message or message.endswith(b"\r\n") else b"\r\n"
    lines = message.split(b"\r\n")[:-1]
    stuffed = b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)
    sent = b"+OK\r\n" + stuffed + b".\r\n"
    ends = sorted({0, *(cut for cut in cuts if cut < len(sent)), len(sent)})

    def pieces(_: bytes) -> Iterator[bytes]:
        for start, end in itertools.pairwise(ends):
            yield sent[start:end]
            time.sleep(0)

    async def fetched() -> bytes:
        with scripted_pop3({b"RETR": pieces}) as server:
            reader = _reader(server.port, tmp_path_factory.mktemp("pop3"), after={"set_aside": "aside"})
            data = await reader.fetch("first", 10_000)
            await reader.move("first", "aside")  # in step: the next answer is read as such
            await reader.close()
            return data

    assert asyncio.run(fetched()) == message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# --- sizes and what breaks --------------------------------------------------------------------------------------------


async def test_what_is_too_large_is_not_loaded(tmp_path: Path) -> None:
    with scripted_pop3() as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(RefusedError, match="200 octets"):
            await reader.fetch("second", 150)
        await reader.close()
    assert not server.said(b"RETR")


def _endless(piece: bytes, first: bytes = b"") -> Answer:
    return lambda _: itertools.chain([first], itertools.repeat(piece))


def _dripping(piece: bytes) -> Answer:
    def drip(_: bytes) -> Iterator[bytes]:
        for octet in itertools.cycle(piece):
            time.sleep(0.02)
            yield bytes([octet])

    return drip


@pytest.mark.parametrize("piece", [b"x" * 50_000, b"a line\r\n" * 5000, b"..\r\n" * 10_000])
async def test_a_server_that_lies_about_a_size_costs_no_more_than_the_limit(tmp_path: Path, piece: bytes) -> None:
    with scripted_pop3({b"RETR": _endless(piece, b"+OK 100 octets\r\n")}) as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(RefusedError):
            await reader.fetch("first", 1_000_000)
        server.answers[b"RETR"] = DEFAULTS[b"RETR"]
        await reader.move("first", "StamplineSetAside")
        await reader.end_session(purge=True)
        await reader.close()
    assert server.said(b"DELE") == [b"DELE 1"]


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        (b"UIDL", _endless((b"1 " + b"x" * 60 + b"\r\n") * 1000, b"+OK\r\n"), MailboxUnavailableError),
        (b"UIDL", _endless(b"1" * 50_000, b"+OK\r\n"), MailboxUnavailableError),
        (b"UIDL", b"", MailboxUnavailableError),
        (b"UIDL", b"\xff\xfe\r\n", MailboxUnavailableError),
        (b"LIST", b"-ERR no\r\n", MailboxUnavailableError),
        (b"CAPA", _endless(b"UIDL\r\n" * 5000, b"+OK\r\n"), EndpointDownError),
        (b"CAPA", b"", EndpointDownError),
        (b"AUTH", b"", EndpointDownError),
        (b"AUTH", b"220 ESMTP\r\n", EndpointDownError),
        (b"AUTH", b"-ERR\r\n", SignInError),
        (b"AUTH", b"-ERR [AUTH] wrong password\r\n", SignInError),
        (b"AUTH", b"-ERR [IN-USE] somebody reads\r\n", MailboxUnavailableError),
        (b"AUTH", b"-ERR [LOGIN-DELAY] not so often\r\n", MailboxUnavailableError),
        (b"AUTH", b"-ERR [SYS/TEMP] later\r\n", MailboxUnavailableError),
        (b"AUTH", b"-ERR [SYS/PERM] broken\r\n", MailboxUnavailableError),
        (b"AUTH", b"-ERR maildrop already locked\r\n", MailboxUnavailableError),
        (b"AUTH", b"-ERR unable to lock your mailbox\r\n", MailboxUnavailableError),
        (b"AUTH", b"-ERR account locked, call the desk\r\n", SignInError),
        (b"AUTH", b"-ERR too many connections\r\n", EndpointOverloadedError),
    ],
    ids=[
        "endless-list", "endless-line", "closed", "no-pop3", "refused-list", "endless-capabilities",
        "closed-at-once", "closed-at-sign-in", "smtp", "refused", "password", "in-use", "delay",
        "temporary", "permanent", "locked", "unable-to-lock", "locked-account", "too-many",
    ],
)  # fmt: skip
async def test_what_goes_wrong(tmp_path: Path, command: bytes, answer: Answer, error: type[MailboxError]) -> None:
    await _goes_wrong(tmp_path, command, answer, error, "60s")


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        (b"UIDL", _dripping(b"+OK 1\r"), MailboxUnavailableError),
        (b"UIDL", None, MailboxUnavailableError),
        (b"AUTH", None, EndpointDownError),
    ],
    ids=["drip", "silence", "silence-at-sign-in"],
)
async def test_what_never_ends(tmp_path: Path, command: bytes, answer: Answer, error: type[MailboxError]) -> None:
    await _goes_wrong(tmp_path, command, answer, error, "2s")


async def _goes_wrong(tmp_path: Path, command: bytes, answer: Answer, error: type[MailboxError], timeout: str) -> None:
    with scripted_pop3({command: answer}) as server:
        reader = _reader(server.port, tmp_path, timeout=timeout)
        with pytest.raises(error) as raised:
            await reader.waiting(10)
        assert type(raised.value) is error
        assert PASSWORD not in str(raised.value)
        server.answers[command] = DEFAULTS[command]
        assert len(await reader.waiting(10)) == 2
        await reader.close()
        server.wait_for_no_connection()


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"-ERR [SYS/TEMP] later\r\n", MailboxUnavailableError),
        (b"-ERR too many connections\r\n", EndpointOverloadedError),
        (b"-ERR no\r\n", EndpointDownError),
        (b"* OK IMAP4rev1\r\n", EndpointDownError),
        (b"220 ESMTP\r\n", EndpointDownError),
        (b"x" * 2_000_000, EndpointDownError),
    ],
    ids=["temporary", "too-many", "no", "imap", "smtp", "endless"],
)
async def test_greetings(tmp_path: Path, greeting: bytes, error: type[MailboxError]) -> None:
    with scripted_pop3(greeting=greeting) as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(error):
            await reader.sign_in()
        await reader.close()
        server.wait_for_no_connection()
    assert not server.said(b"AUTH", b"USER")


async def test_a_message_at_which_the_server_fails_is_refused_the_third_time(tmp_path: Path) -> None:
    with scripted_pop3({b"RETR": b"-ERR can't convert it\r\n"}) as server:
        reader = _reader(server.port, tmp_path)
        for expected in (MailboxUnavailableError, MailboxUnavailableError, RefusedError):
            with pytest.raises(expected):
                await reader.fetch("first", 1000)
        await reader.close()


@pytest.mark.parametrize("command", [b"CAPA", b"AUTH", b"UIDL", b"RETR"])
async def test_an_adapter_that_is_closed_waits_for_nobody(tmp_path: Path, command: bytes) -> None:
    with scripted_pop3({command: None}) as server:
        reader = _reader(server.port, tmp_path, timeout="600s")
        waiting = asyncio.ensure_future(reader.fetch("first", 1000))
        await asyncio.to_thread(server.wait_for, command)
        await reader.close()
        with pytest.raises(MailboxError):
            await waiting
        server.wait_for_no_connection()


# --- signing in -------------------------------------------------------------------------------------------------------


async def test_plain_in_a_line_of_its_own(tmp_path: Path) -> None:
    with scripted_pop3() as server:
        reader = _reader(server.port, tmp_path, user="dösk")
        await reader.sign_in()
        await reader.close()
    assert server.commands[1:3] == [b"AUTH PLAIN", base64.b64encode(f"\0dösk\0{PASSWORD}".encode())]


@pytest.mark.parametrize("capa", [b"+OK\r\nUIDL\r\n.\r\n", b"-ERR what?\r\n"])
async def test_user_and_pass_where_there_is_nothing_better(tmp_path: Path, capa: bytes) -> None:
    with scripted_pop3({b"CAPA": capa, b"USER": b"+OK\r\n", b"PASS": b"+OK\r\n"}) as server:
        reader = _reader(server.port, tmp_path)
        await reader.sign_in()
        await reader.close()
    assert server.commands[1:3] == [b"USER desk@example.com", b"PASS pass word"]


async def test_nobody_puts_a_command_into_a_name(tmp_path: Path) -> None:
    with scripted_pop3({b"CAPA": b"-ERR what?\r\n", b"USER": b"+OK\r\n", b"PASS": b"+OK\r\n"}) as server:
        reader = _reader(server.port, tmp_path, user="desk\r\nDELE 1")
        with pytest.raises(SignInError):
            await reader.sign_in()
        await reader.close()
    assert not server.said(b"USER", b"DELE")


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("pop.example.com").configure_cert(made)
    return made


def _tls(place: Path, name: str | None = "pop.example.com") -> dict[str, object]:
    return {"mode": "starttls", "ca_file": str(place / "ca.pem"), "verify_name": name}


async def test_stls_comes_before_anything_else(tmp_path: Path, context: ssl.SSLContext) -> None:
    with scripted_pop3({b"STLS": b"+OK begin\r\n"}, context=context) as server:
        reader = _reader(server.port, tmp_path, tls=_tls(tmp_path))
        await reader.sign_in()
        await reader.close()
    assert server.commands[:2] == [b"STLS", b"CAPA"]


@pytest.mark.parametrize(
    "answer", [b"-ERR not now\r\n", b"+OK begin\r\n+OK\r\nSASL PLAIN\r\n.\r\n"], ids=["refused", "injected"]
)
async def test_nobody_between_talks_us_out_of_it(tmp_path: Path, context: ssl.SSLContext, answer: bytes) -> None:
    with scripted_pop3({b"STLS": answer}, context=context) as server:
        reader = _reader(server.port, tmp_path, tls=_tls(tmp_path))
        with pytest.raises(TlsFailedError):
            await reader.sign_in()
        await reader.close()
    assert server.commands[0] == b"STLS"
    assert not server.said(b"AUTH", b"USER")


async def test_another_name_is_another_server(tmp_path: Path, context: ssl.SSLContext) -> None:
    with scripted_pop3({b"STLS": b"+OK begin\r\n"}, context=context) as server:
        reader = _reader(server.port, tmp_path, tls=_tls(tmp_path, None))
        with pytest.raises(TlsFailedError):
            await reader.sign_in()
        await reader.close()


async def test_a_handshake_that_never_ends_holds_nobody_up(tmp_path: Path, context: ssl.SSLContext) -> None:
    with scripted_pop3({b"STLS": b"+OK begin\r\n"}) as server:  # and then it says nothing
        reader = _reader(server.port, tmp_path, tls=_tls(tmp_path), timeout="600s")
        waiting = asyncio.ensure_future(reader.sign_in())
        await asyncio.to_thread(server.wait_for, b"STLS")
        await reader.close()
        with pytest.raises(MailboxError):
            await waiting
        server.wait_for_no_connection()
