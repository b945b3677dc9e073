"""A monitored folder on servers that can less than others, refuse, lie, or mean no good."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.mailbox.imap.reader import ImapReader
from mta.config.tracking_schema import ImapMailbox
from mta.ports.mailbox import (
    AccessDeniedError,
    EndpointDownError,
    EndpointOverloadedError,
    ItemGoneError,
    MailboxError,
    MailboxUnavailableError,
    NoMailboxError,
    QuotaError,
    RefusedError,
    SignInError,
)
from tests.servers.scripted_imap import Answer, scripted_imap

_CAPABILITY = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE NAMESPACE\r\n$ OK done\r\n"
_TWO = b"* SEARCH 7 5\r\n$ OK done\r\n"
_SIZES = (
    b'* 1 FETCH (UID 5 FLAGS () RFC822.SIZE 5 INTERNALDATE " 2-Nov-2026 10:00:00 +0100")\r\n'
    b'* 2 FETCH (UID 7 FLAGS (\\Seen) RFC822.SIZE 5 INTERNALDATE "nonsense")\r\n$ OK done\r\n'
)
_BODY = b"* 1 FETCH (UID 5 BODY[] {5}\r\na\r\nb\n)\r\n$ OK done\r\n"
_DONE: dict[bytes, Answer] = {
    b"CAPABILITY": _CAPABILITY, b"SEARCH": _TWO, b"FETCH RFC822.SIZE": _SIZES, b"FETCH BODY.PEEK": _BODY,
    b"MOVE": b"$ OK done\r\n", b"COPY": b"$ OK done\r\n", b"STORE": b"$ OK done\r\n", b"EXPUNGE": b"$ OK done\r\n",
    b"LIST": b'* LIST () "/" Processed\r\n$ OK done\r\n',
}  # fmt: skip


def _reader(port: int, place: Path, **settings: Any) -> ImapReader:
    (place / "password").write_text('pass "word" \\')
    own = {
        "kind": "imap", "name": "desk", "address": "desk@example.com", "host": "127.0.0.1", "port": port,
        "password": {"file": str(place / "password")}, "tls": {"mode": "none"}, "timeout": "60s",
    }  # fmt: skip
    return ImapReader(ImapMailbox.model_validate({**own, **settings}))


def _said(commands: list[bytes], *words: bytes) -> list[bytes]:
    """Of the commands those that begin so behind their tag (and UID)."""
    rest = [command.partition(b" ")[2].removeprefix(b"UID ").strip() for command in commands]
    return [command for command in rest if command.startswith(words)]


# --- messages ---------------------------------------------------------------------------------------------------------


async def test_what_waits_and_what_it_is(tmp_path: Path) -> None:
    with scripted_imap(_DONE) as server:
        reader = _reader(server.port, tmp_path)
        first, second = await reader.waiting(10)
        assert (first.ref, first.size_octets) == ("1.5", 5)
        assert first.received_at == datetime(2026, 11, 2, 9, tzinfo=UTC)
        assert (second.ref, second.received_at) == ("1.7", None)
        assert await reader.fetch(first.ref, 100) == b"a\r\nb\r\n"
        await reader.end_session(purge=True)
        await reader.close()
    assert not _said(server.commands, b"STORE", b"EXPUNGE")
    assert _said(server.commands, b"LOGOUT")


@pytest.mark.parametrize(("do", "what"), [("mark-read", b"UNDELETED UNSEEN"), ("move", b"UNDELETED")])
async def test_large_folders_are_searched_page_by_page(tmp_path: Path, do: str, what: bytes) -> None:
    def search(command: bytes) -> list[bytes]:
        found = b" ".join(b"%d" % uid for uid in range(90_000, 90_600))
        return [b"* SEARCH" + (b" " + found if b"20001:40000" in command else b"") + b"\r\n$ OK done\r\n"]

    def sizes(command: bytes) -> Iterator[bytes]:
        for uid in re.findall(rb"9\d{4}", command):
            yield b"* 1 FETCH (UID %b RFC822.SIZE 5)\r\n" % uid
        yield b"$ OK done\r\n"

    answers: dict[bytes, Answer] = {
        **_DONE, b"SEARCH": search, b"FETCH RFC822.SIZE": sizes,
        b"SELECT": b"* 70000 EXISTS\r\n* OK [UIDVALIDITY 1] it\r\n$ OK [READ-WRITE] done\r\n",
    }  # fmt: skip
    with scripted_imap(answers) as server:
        reader = _reader(server.port, tmp_path, after={"do": do})
        assert [each.ref for each in await reader.waiting(600)] == [f"1.{uid}" for uid in range(90_000, 90_600)]
        await reader.close()
    assert _said(server.commands, b"SEARCH") == [b"SEARCH 1:20000 " + what, b"SEARCH 20001:40000 " + what]
    fetches = _said(server.commands, b"FETCH")
    assert len(fetches) == 2
    assert max(map(len, fetches)) < 8000


async def test_after_the_folder_was_made_anew_refs_name_nothing(tmp_path: Path) -> None:
    with scripted_imap(_DONE) as server:
        reader = _reader(server.port, tmp_path)
        ref = (await reader.waiting(1))[0].ref
        server.answers[b"SELECT"] = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 2] it\r\n$ OK [READ-WRITE] done\r\n"
        await reader.end_session(purge=True)
        server.commands.clear()
        with pytest.raises(ItemGoneError):
            await reader.fetch(ref, 100)
        for done in (reader.delete(ref), reader.mark_read(ref), reader.move(ref, "Processed")):
            await done
        await reader.end_session(purge=True)
        await reader.close()
    assert not _said(server.commands, b"FETCH", b"STORE", b"MOVE", b"EXPUNGE")


async def test_what_others_deleted_is_gone(tmp_path: Path) -> None:
    deleted = b"* 1 FETCH (UID 5 FLAGS (\\Deleted) RFC822.SIZE 5)\r\n$ OK done\r\n"
    with scripted_imap({**_DONE, b"FETCH RFC822.SIZE": deleted}) as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(ItemGoneError):
            await reader.fetch("1.5", 100)
        await reader.close()


@pytest.mark.parametrize("purge", [True, False])
async def test_only_what_we_deleted_is_purged(tmp_path: Path, purge: bool) -> None:
    with scripted_imap(_DONE) as server:
        reader = _reader(server.port, tmp_path)
        for ref in ("1.5", "1.7"):
            await reader.delete(ref)
        await reader.end_session(purge=purge)
        await reader.close()
    assert _said(server.commands, b"EXPUNGE") == ([b"EXPUNGE 5,7"] if purge else [])


async def test_without_uidplus_nothing_is_purged_as_others_would_lose_theirs(tmp_path: Path) -> None:
    capability = _CAPABILITY.replace(b" UIDPLUS MOVE", b"")
    with scripted_imap({**_DONE, b"CAPABILITY": capability}) as server:
        reader = _reader(server.port, tmp_path)
        await reader.delete("1.5")
        await reader.move("1.7", "Processed")
        await reader.end_session(purge=True)
        await reader.close()
    assert len(_said(server.commands, b"STORE")) == 2
    assert not _said(server.commands, b"EXPUNGE", b"CLOSE")


async def test_without_move_it_is_copied_then_deleted(tmp_path: Path) -> None:
    with scripted_imap({**_DONE, b"CAPABILITY": _CAPABILITY.replace(b" MOVE", b"")}) as server:
        reader = _reader(server.port, tmp_path)
        await reader.move("1.5", "Processed")
        await reader.close()
    changes = [each.split(b" ")[0] for each in _said(server.commands, b"COPY", b"STORE", b"EXPUNGE", b"MOVE")]
    assert changes == [b"COPY", b"STORE", b"EXPUNGE"]


@pytest.mark.parametrize(
    ("capability", "said"),
    [
        (b"UIDPLUS MOVE", [b'MOVE 5,7 "Processed"']),
        (b"UIDPLUS", [b'COPY 5,7 "Processed"', rb"STORE 5,7 +FLAGS.SILENT (\Deleted)", b"EXPUNGE 5,7"]),
        (b"IDLE", [b'COPY 5,7 "Processed"', rb"STORE 5,7 +FLAGS.SILENT (\Deleted)"]),
    ],
)
async def test_many_go_by_one_command_each(tmp_path: Path, capability: bytes, said: list[bytes]) -> None:
    with scripted_imap({**_DONE, b"CAPABILITY": _CAPABILITY.replace(b"UIDPLUS MOVE", capability)}) as server:
        reader = _reader(server.port, tmp_path)
        await reader.put_away(["1.5", "1.7", "2.9"], "move", "Processed")
        await reader.put_away(["2.9"], "move", "Processed")  # of a folder that was made anew since
        await reader.close()
    assert _said(server.commands, b"COPY", b"STORE", b"EXPUNGE", b"MOVE") == said


@pytest.mark.parametrize("command", [b"MOVE", b"COPY"])
async def test_a_full_mailbox_keeps_the_message_where_it_is(tmp_path: Path, command: bytes) -> None:
    capability = _CAPABILITY if command == b"MOVE" else _CAPABILITY.replace(b" MOVE", b"")
    answers = {**_DONE, b"CAPABILITY": capability, command: b"$ NO [OVERQUOTA] full\r\n"}
    with scripted_imap(answers) as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(QuotaError):
            await reader.move("1.5", "Processed")
        assert len(await reader.waiting(10)) == 2
        await reader.end_session(purge=True)
        await reader.close()
    assert not _said(server.commands, b"STORE", b"EXPUNGE")
    assert len([each for each in server.commands if b"AUTHENTICATE" in each]) == 1  # the session went on


async def test_a_server_that_refuses_to_move_what_is_gone(tmp_path: Path) -> None:
    answers = {**_DONE, b"MOVE": b"$ NO nothing to move\r\n", b"FETCH FLAGS": b"$ OK done\r\n"}
    with scripted_imap(answers) as server:
        reader = _reader(server.port, tmp_path)
        await reader.move("1.9", "Processed")
        await reader.close()


async def test_a_folder_is_made_once(tmp_path: Path) -> None:
    answers = {**_DONE, b"LIST": b"$ OK done\r\n", b"CREATE": b"$ OK done\r\n", b"SUBSCRIBE": b"$ OK done\r\n"}
    with scripted_imap(answers) as server:
        reader = _reader(server.port, tmp_path)
        await reader.move("1.5", "Bearbeitet/ä")
        await reader.move("1.7", "Bearbeitet/ä")
        await reader.close()
    assert _said(server.commands, b"CREATE", b"SUBSCRIBE") == [
        b'CREATE "Bearbeitet/&AOQ-"', b'SUBSCRIBE "Bearbeitet/&AOQ-"',
    ]  # fmt: skip


# --- sizes ------------------------------------------------------------------------------------------------------------


async def test_what_is_too_large_is_not_loaded(tmp_path: Path) -> None:
    with scripted_imap(_DONE) as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(RefusedError, match="5 octets"):
            await reader.fetch("1.5", 4)
        await reader.close()
    assert not [command for command in server.commands if b"BODY.PEEK" in command]


@pytest.mark.parametrize("announced", [True, False], ids=["literal", "line"])
async def test_a_server_that_lies_about_a_size_costs_no_more_than_the_limit(tmp_path: Path, announced: bool) -> None:
    sent = 0

    def body(_: bytes) -> Iterator[bytes]:
        nonlocal sent
        yield b"* 1 FETCH (UID 5 BODY[] {2000000000}\r\n" if announced else b'* 1 FETCH (UID 5 BODY[] "'
        for _piece in range(2000):
            yield b"x" * 100_000
            sent += 100_000

    with scripted_imap({**_DONE, b"FETCH BODY.PEEK": body}) as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(RefusedError):
            await reader.fetch("1.5", 100_000)
        await reader.move("1.5", "SetAside")  # on a new connection
        await reader.close()
    assert sent < 20_000_000
    assert len(_said(server.commands, b"MOVE")) == 1


# --- what breaks ------------------------------------------------------------------------------------------------------


def _endless(piece: bytes) -> Answer:
    return lambda _: itertools.repeat(piece)


def _dripping(piece: bytes) -> Answer:
    def drip(_: bytes) -> Iterator[bytes]:
        for octet in itertools.cycle(piece):
            time.sleep(0.02)
            yield bytes([octet])

    return drip


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"SEARCH", _endless(b"1" * 60_000)),
        (b"SEARCH", _endless(b"* SEARCH {900000}\r\n")),
        (b"SEARCH", lambda _: [b"* SEARCH " + b"(" * 100_000 + b"\r\n$ OK done\r\n"]),
        (b"SEARCH", lambda _: [b"* SEARCH one two\r\n$ OK done\r\n"]),
        (b"SEARCH", b""),
        (b"SEARCH", b"* BYE going down\r\n"),
        (b"SEARCH", b"$ NO not now\r\n"),
        (b"SEARCH", b"$ BAD never heard of\r\n"),
        (b"FETCH RFC822.SIZE", lambda _: [b"* 1 FETCH (UID 5 RFC822.SIZE {3}\r\nabc\r\n$ OK done\r\n"]),
        (b"FETCH RFC822.SIZE", lambda _: [b"* 1 FETCH NIL\r\n$ OK done\r\n"]),
        (b"FETCH RFC822.SIZE", lambda _: [b"\0\xff\xfe\r\n" * 100]),
    ],
    ids=[
        "endless-line", "endless-literals", "deep", "words", "closed", "bye", "no", "bad",
        "literal-size", "nil", "no-imap",
    ],
)  # fmt: skip
async def test_a_server_that_breaks_off_is_told_and_the_next_call_begins_anew(
    tmp_path: Path, command: bytes, answer: Answer
) -> None:
    await _breaks_off(tmp_path, command, answer, "60s")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"SEARCH", _endless(b"* SEARCH 1 2 3\r\n" * 4000)),
        (b"FETCH RFC822.SIZE", _endless(b"* 1 FETCH (UID 5 RFC822.SIZE 5)\r\n" * 2000)),
        (b"SEARCH", _dripping(b"* SEARCH 1\r\n")),
        (b"SEARCH", None),
    ],
    ids=["endless-lists", "endless-fetches", "drip", "silence"],
)
async def test_a_server_that_never_ends_is_not_waited_for_without_end(
    tmp_path: Path, command: bytes, answer: Answer
) -> None:
    await _breaks_off(tmp_path, command, answer, "2s")


async def _breaks_off(tmp_path: Path, command: bytes, answer: Answer, timeout: str) -> None:
    with scripted_imap({**_DONE, command: answer}) as server:
        reader = _reader(server.port, tmp_path, timeout=timeout)
        with pytest.raises(MailboxUnavailableError):
            await reader.waiting(10)
        server.answers[command] = _DONE[command]
        assert len(await reader.waiting(10)) == 2
        await reader.close()


async def test_a_message_at_which_the_server_fails_is_refused_the_third_time(tmp_path: Path) -> None:
    with scripted_imap({**_DONE, b"FETCH BODY.PEEK": b"$ NO conversion failed\r\n"}) as server:
        reader = _reader(server.port, tmp_path)
        for expected in (MailboxUnavailableError, MailboxUnavailableError, RefusedError, MailboxUnavailableError):
            with pytest.raises(expected):
                await reader.fetch("1.5", 100)
        server.answers[b"FETCH BODY.PEEK"] = _BODY
        assert await reader.fetch("1.5", 100) == b"a\r\nb\r\n"
        await reader.close()


@pytest.mark.parametrize("command", [b"CAPABILITY", b"SELECT", b"SEARCH"])
async def test_an_adapter_that_is_closed_waits_for_nobody(tmp_path: Path, command: bytes) -> None:
    with scripted_imap({**_DONE, command: None}) as server:
        reader = _reader(server.port, tmp_path, timeout="600s")
        waiting = asyncio.ensure_future(reader.waiting(10))
        await asyncio.to_thread(server.wait_for, command)
        await reader.close()
        with pytest.raises(MailboxError):
            await waiting
        server.wait_for_at_most(0)


# --- signing in -------------------------------------------------------------------------------------------------------


async def test_login_where_there_is_nothing_better(tmp_path: Path) -> None:
    answers = {**_DONE, b"CAPABILITY": _CAPABILITY.replace(b" AUTH=PLAIN", b""), b"LOGIN": b"$ OK done\r\n"}
    with scripted_imap(answers) as server:
        reader = _reader(server.port, tmp_path, user='DESK\\"it"')
        await reader.sign_in()
        await reader.close()
    (login,) = _said(server.commands, b"LOGIN")
    assert login == b'LOGIN "DESK\\\\\\"it\\"" "pass \\"word\\" \\\\"'


async def test_what_a_server_can_is_asked_again_after_signing_in(tmp_path: Path) -> None:
    asked = itertools.count()

    def capability(_: bytes) -> list[bytes]:
        return [_CAPABILITY if next(asked) else b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n$ OK done\r\n"]

    with scripted_imap({**_DONE, b"CAPABILITY": capability}) as server:
        reader = _reader(server.port, tmp_path)
        await reader.move("1.5", "Processed")
        await reader.close()
    assert _said(server.commands, b"MOVE", b"COPY") == [b'MOVE 5 "Processed"']


@pytest.mark.parametrize(("capability", "user"), [(b" LOGINDISABLED", "desk"), (b"", "dösk"), (b"", "a\r\nb LOGOUT")])
async def test_a_password_is_not_said_where_it_can_not_be(tmp_path: Path, capability: bytes, user: str) -> None:
    answers = {**_DONE, b"CAPABILITY": _CAPABILITY.replace(b" AUTH=PLAIN", capability), b"LOGIN": b"$ OK done\r\n"}
    with scripted_imap(answers) as server:
        reader = _reader(server.port, tmp_path, user=user)
        with pytest.raises(SignInError):
            await reader.sign_in()
        await reader.close()
    assert not _said(server.commands, b"LOGIN", b"AUTHENTICATE")


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        (b"AUTHENTICATE", b"$ NO [AUTHENTICATIONFAILED] no\r\n", SignInError),
        (b"AUTHENTICATE", b"$ NO [UNAVAILABLE] later\r\n", MailboxUnavailableError),
        (b"AUTHENTICATE", b"$ NO [LIMIT] too many connections\r\n", EndpointOverloadedError),
        (b"AUTHENTICATE", b"", EndpointDownError),
        (b"SELECT", b"* 1 EXISTS\r\n$ OK [READ-ONLY] done\r\n", AccessDeniedError),
        (b"SELECT", b"$ NO [NOPERM] no\r\n", AccessDeniedError),
    ],
    ids=["password", "unavailable", "limit", "closed", "read-only", "no-permission"],
)
async def test_refusals(tmp_path: Path, command: bytes, answer: bytes, error: type[MailboxError]) -> None:
    with scripted_imap({**_DONE, command: answer}) as server:
        reader = _reader(server.port, tmp_path)
        with pytest.raises(error):
            await reader.sign_in()
        await reader.close()
        server.wait_for_at_most(0)


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    answers = {**_DONE, b"SELECT": b"$ NO no such folder\r\n", b"LIST": b"$ OK done\r\n"}
    with scripted_imap(answers) as server:
        reader = _reader(server.port, tmp_path, folder="Absent")
        with pytest.raises(NoMailboxError, match="Absent"):
            await reader.sign_in()
        await reader.close()


@pytest.mark.parametrize(
    ("namespace", "written", "on_server"),
    [
        (b'(("INBOX." ".")) NIL NIL', "Desk/Open", b'"INBOX.Desk.Open"'),
        (b'(("INBOX." ".")) (("user." ".")) (("shared." "."))', "shared/Desk", b'"shared.Desk"'),
        (b'(("" "/")) NIL NIL', "Desk/Open", b'"Desk/Open"'),
        (b'(("" NIL)) NIL NIL', "Desk/Open", b'"Desk/Open"'),
        (b"NIL NIL NIL", "Desk", b'"Desk"'),
        (b'(("" "\\\\")) NIL NIL', "Desk/Open", b'"Desk\\\\Open"'),
        (b'(("INBOX." ".")) NIL NIL', "inbox", b'"INBOX"'),
    ],
)
async def test_names_of_folders(tmp_path: Path, namespace: bytes, written: str, on_server: bytes) -> None:
    answers = {**_DONE, b"NAMESPACE": b"* NAMESPACE " + namespace + b"\r\n$ OK done\r\n"}
    with scripted_imap(answers) as server:
        reader = _reader(server.port, tmp_path, folder=written)
        await reader.sign_in()
        await reader.close()
    assert _said(server.commands, b"SELECT") == [b"SELECT " + on_server]


async def test_without_namespaces_the_delimiter_is_asked_for(tmp_path: Path) -> None:
    answers = {
        **_DONE, b"CAPABILITY": _CAPABILITY.replace(b" NAMESPACE", b""),
        b"LIST": b'* LIST (\\Noselect) "." ""\r\n* LIST () "." INBOX\r\n* LIST () "." Desk.Open\r\n$ OK done\r\n',
    }  # fmt: skip
    with scripted_imap(answers) as server:
        reader = _reader(server.port, tmp_path, folder="Desk/Open")
        assert await reader.folders() == ["Desk/Open", "INBOX"]
        await reader.close()
    assert _said(server.commands, b"SELECT") == [b'SELECT "Desk.Open"']
