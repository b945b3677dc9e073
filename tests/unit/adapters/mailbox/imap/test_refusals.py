"""What the adapter makes of servers that refuse, break off, or answer what is no IMAP."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.mailbox_item import ItemRef, Marks, Removal
from mta.ports import mailbox as port
from tests.contract.mailboxes.samples import in_place_of, new_id, plain, unread
from tests.servers.scripted_imap import DEFAULTS, scripted_imap
from tests.unit.adapters.mailbox.imap.servers import JANE, NO_JOB, imap_server

_FOUND = (
    b"* 1 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 100 INTERNALDATE \"20-Nov-2026 09:30:18 +0000\" "
    b"BODY[HEADER.FIELDS (MESSAGE-ID DATE SUBJECT X-STAMPLINE-JOB)] {27}\r\nMessage-ID: <a@example>\r\n\r\n)\r\n"
    b"$ OK done\r\n"
)  # fmt: skip
_REF = ItemRef("1.5")


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (b"$ NO [AUTHENTICATIONFAILED] Wrong", port.SignInError),
        (b"$ NO AUTHENTICATE failed.", port.SignInError),
        (b"$ NO [EXPIRED] Change your password", port.SignInError),
        (b"$ NO [PRIVACYREQUIRED] Not in clear text", port.SignInError),
        (b"$ NO [AUTHORIZATIONFAILED] Not for you", port.AccessDeniedError),
        (b"$ NO [CONTACTADMIN] Login disabled for this user", port.AccessDeniedError),
        (b"$ NO [UNAVAILABLE] Internal error occurred", port.MailboxUnavailableError),
        (b"$ NO [INUSE] Locked", port.MailboxUnavailableError),
        (b"$ NO [LIMIT] Sessions", port.EndpointOverloadedError),
        (b"$ NO [ALERT] Maximum number of connections from user+IP exceeded", port.EndpointOverloadedError),
        (b"$ BAD User is authenticated but not connected.", port.MailboxUnavailableError),
        (b"* BYE Too many connections", port.EndpointOverloadedError),
        (b"* BYE Temporary failure", port.EndpointDownError),
        (b"garbage", port.EndpointDownError),
        (b"", port.EndpointDownError),
    ],
)  # fmt: skip
async def test_signing_in_is_refused(tmp_path: Path, refusal: bytes, expected: type[port.MailboxError]) -> None:
    with scripted_imap({b"AUTHENTICATE": refusal and refusal + b"\r\n"}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(expected):
            await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()
        assert not [command for command in server.commands if b"SELECT" in command]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, b"jane@example.com\0stampline\0master password"),
        ({"mailbox_name": "local-part"}, b"jane\0stampline\0master password"),
        ({"sign_in": "master-user"}, b"\0jane@example.com*stampline\0master password"),
        ({"sign_in": "master-user", "separator": "%"}, b"\0jane@example.com%stampline\0master password"),
    ],
    ids=["authzid", "local-part", "master-user", "separator"],
)
async def test_how_one_account_signs_in_for_everybody(tmp_path: Path, settings: dict[str, str], words: bytes) -> None:
    with scripted_imap() as server:
        adapter = imap_server(server.port, tmp_path, **settings)
        await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()
        assert base64.b64encode(words) + b"\r\n" in server.commands


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (b"$ NO [OVERQUOTA] Full", port.QuotaError),
        (b"$ NO [TOOBIG] Too big", port.RefusedError),
        (b"$ NO [LIMIT] Too many flags", port.RefusedError),
        (b"$ NO Message contains NUL characters", port.RefusedError),
        (b"$ NO [NOPERM] Read-only", port.AccessDeniedError),
        (b"$ NO [UNAVAILABLE] Disk away", port.MailboxUnavailableError),
        (b"$ BAD Invalid: Hello", port.MailboxUnavailableError),
        (b"* BYE Shutting down", port.OutcomeUnknownError),
        (b"what?", port.OutcomeUnknownError),
        (b"", port.OutcomeUnknownError),
    ],
)  # fmt: skip
async def test_an_item_is_refused(tmp_path: Path, refusal: bytes, expected: type[port.MailboxError]) -> None:
    original = plain(new_id())
    with scripted_imap({b"APPEND": refusal and refusal + b"\r\n"}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(expected) as caught:
            await adapter.create(JANE, in_place_of(unread("<a@example>", original.mime), original.mime))
        assert "Hello" not in str(caught.value)
        await adapter.close()


async def test_a_connection_that_ends_before_the_message_was_sent_left_nothing_done(tmp_path: Path) -> None:
    original = plain(new_id())
    new = in_place_of(unread("<a@example>", original.mime), original.mime)
    with scripted_imap({b"SELECT": b""}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.MailboxUnavailableError):
            await adapter.create(JANE, new)
        await adapter.close()


async def test_a_change_without_an_answer_may_have_been_made(tmp_path: Path) -> None:
    with scripted_imap({b"FETCH": _FOUND, b"STORE": b""}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.OutcomeUnknownError):
            await adapter.set_marks(JANE, _REF, Marks(is_read=False))
        with pytest.raises(port.OutcomeUnknownError):
            await adapter.remove(JANE, _REF, Removal.FOR_GOOD)
        await adapter.close()


async def test_what_exchange_says_of_a_throttled_mailbox_is_a_hint(tmp_path: Path) -> None:
    refusal = b"$ BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n"
    with scripted_imap({b"SEARCH": refusal}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.MailboxUnavailableError) as caught:
            await adapter.find(JANE, "<a@example>", NO_JOB)
        assert caught.value.retry_after == timedelta(milliseconds=299_961)
        await adapter.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (99999999999999999999999999) " + b"(" * 3000 + b"\r\n$ OK done\r\n",
        b"* 1 FETCH (UID " + b"9" * 5000 + b" FLAGS ())\r\n$ OK done\r\n",
        b"* 1 FETCH (FLAGS\r\n$ OK done\r\n",
        b"* 1 FETCH (UID 5 FLAGS (7))\r\n$ OK done\r\n",
        b"* 1 FETCH (UID 5 BODY[] {99999999999}\r\n",
        b"* FETCH\r\n\r\n\r\n",
        b"x" * 1_100_000,
    ],
    ids=["nested", "digits", "cut", "no-flags", "literal", "nothing", "line"],
)  # fmt: skip
async def test_what_is_no_imap_is_not_believed(tmp_path: Path, answer: bytes) -> None:
    with scripted_imap({b"SEARCH": b"* SEARCH 5\r\n$ OK done\r\n", b"FETCH": answer}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.MailboxUnavailableError):
            await adapter.read(JANE, _REF)
        await adapter.close()


async def test_a_server_that_answers_drop_by_drop_ends_in_time(tmp_path: Path) -> None:
    """Untagged lines without an end: each comes in time, the answer never."""
    with scripted_imap({b"SEARCH": b"* SEARCH\r\n"}) as server:
        adapter = imap_server(server.port, tmp_path, timeout=timedelta(seconds=1))
        with pytest.raises(port.MailboxUnavailableError):
            await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()


# --- whose fault a refused sign-in is ---------------------------------------------------------------------------------


async def test_a_mailbox_that_is_refused_does_not_stop_the_server(tmp_path: Path) -> None:
    """Only the first word of the identity tells which mailbox it is for."""
    with scripted_imap() as server:
        adapter = imap_server(server.port, tmp_path, connections=1)
        await adapter.find(JANE, "<a@example>", NO_JOB)
        server.refuse_for = base64.b64encode(b"joe@example.com\0")[:12]
        with pytest.raises(port.AccessDeniedError):
            await adapter.find("joe@example.com", "<a@example>", NO_JOB)
        server.answers[b"AUTHENTICATE"] = b"$ NO [AUTHENTICATIONFAILED] Wrong\r\n"
        before = len([command for command in server.commands if b"AUTHENTICATE" in command])
        told = []
        for _ in range(3):
            with pytest.raises(port.SignInError) as caught:
                await adapter.find("joe@example.com", "<a@example>", NO_JOB)
            told.append(caught.value.tries)
        assert told == [2, 1, 1]
        # Once for each, and once to know whether it is the account: more could lock it.
        assert len([command for command in server.commands if b"AUTHENTICATE" in command]) == before + 4
        await adapter.close()


# --- servers that can less --------------------------------------------------------------------------------------------


def _capabilities(*names: str) -> dict[bytes, bytes | None]:
    words = " ".join(("IMAP4rev1", "AUTH=PLAIN", *names))
    return {b"CAPABILITY": f"* CAPABILITY {words}\r\n$ OK done\r\n".encode()}


async def test_without_uidplus_nothing_is_expunged(tmp_path: Path) -> None:
    """A plain EXPUNGE would take what the user has marked for deletion with it."""
    answers = {**_capabilities(), b"FETCH": _FOUND, b"STORE": b"$ OK done\r\n"}
    with scripted_imap(answers) as server:
        adapter = imap_server(server.port, tmp_path)
        await adapter.remove(JANE, _REF, Removal.FOR_GOOD)
        await adapter.close()
    assert [line.split(b" ", 1)[1] for line in server.commands if b"STORE" in line or b"EXPUNGE" in line] == [
        b"UID STORE 5 +FLAGS.SILENT (\\Deleted)\r\n"
    ]


async def test_without_move_it_is_copied_first(tmp_path: Path) -> None:
    listed = b'* LIST (\\Sent) "/" Sent\r\n* LIST (\\Trash) "/" "Deleted Items"\r\n$ OK done\r\n'
    done = b"$ OK done\r\n"
    answers = {
        **_capabilities("UIDPLUS"),
        b"LIST": listed,
        b"FETCH": _FOUND,
        b"STORE": done,
        b"COPY": done,
        b"EXPUNGE": done,
    }
    with scripted_imap(answers) as server:
        adapter = imap_server(server.port, tmp_path)
        await adapter.remove(JANE, _REF, Removal.DELETED_ITEMS)
        await adapter.close()
    changes = [
        line.split(b" ", 1)[1]
        for line in server.commands
        if line.split(b" ")[2:3] in ([b"COPY"], [b"STORE"], [b"EXPUNGE"])
    ]
    assert changes == [
        b'UID COPY 5 "Deleted Items"\r\n', b"UID STORE 5 +FLAGS.SILENT (\\Deleted)\r\n", b"UID EXPUNGE 5\r\n"
    ]  # fmt: skip


async def test_without_appenduid_the_new_item_is_looked_for(tmp_path: Path) -> None:
    original = plain(new_id())
    new = in_place_of(unread("<a@example>", original.mime), original.mime)
    header = f"Message-ID: <a@example>\r\nX-Stampline-Job: {new.stamp}\r\n\r\n".encode()
    found = b"* 1 FETCH (UID 9 FLAGS (\\Seen) BODY[HEADER.FIELDS (X)] {%d}\r\n%b)\r\n$ OK done\r\n" % (
        len(header),
        header,
    )
    answers = {b"APPEND": b"$ OK done\r\n", b"SEARCH": b"* SEARCH 9\r\n$ OK done\r\n", b"FETCH": found}
    with scripted_imap(answers) as server:
        adapter = imap_server(server.port, tmp_path)
        assert (await adapter.create(JANE, new)).id == "1.9"
        server.answers[b"SEARCH"] = DEFAULTS[b"SEARCH"]
        with pytest.raises(port.OutcomeUnknownError):
            await adapter.create(JANE, new)
        await adapter.close()


async def test_keywords_that_the_folder_does_not_keep_are_left_out(tmp_path: Path) -> None:
    original = plain(new_id())
    marks = Marks(keywords=("home", "work"), categories=("Blue",))
    new = in_place_of(unread("<a@example>", original.mime), original.mime, marks=marks)
    selected = b"* OK [UIDVALIDITY 1] it\r\n* OK [PERMANENTFLAGS (\\Seen work)] they\r\n$ OK [READ-WRITE] done\r\n"
    with scripted_imap({b"SELECT": selected, b"APPEND": b"$ OK [APPENDUID 1 9] done\r\n"}) as server:
        adapter = imap_server(server.port, tmp_path)
        assert (await adapter.create(JANE, new)).id == "1.9"
        await adapter.close()
    (append,) = [line for line in server.commands if b" APPEND " in line]
    assert b' APPEND "Sent" (\\Seen work) "20-Nov-2026 09:30:18 +0000" {' in append


async def test_a_folder_made_anew_has_other_items(tmp_path: Path) -> None:
    with scripted_imap({b"FETCH": _FOUND}) as server:
        adapter = imap_server(server.port, tmp_path)
        for ref in (ItemRef("2.5"), ItemRef("1.x"), ItemRef("1.5\r\nA1 LOGOUT"), ItemRef("")):
            with pytest.raises(port.ItemGoneError):
                await adapter.read(JANE, ref)
        await adapter.close()
        assert not [command for command in server.commands if b"LOGOUT" in command]


async def test_what_its_user_has_marked_deleted_is_gone(tmp_path: Path) -> None:
    with scripted_imap({b"FETCH": _FOUND.replace(b"(\\Seen)", b"(\\Seen \\Deleted)")}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.ItemGoneError):
            await adapter.read(JANE, _REF)
        await adapter.remove(JANE, _REF, Removal.FOR_GOOD)
        await adapter.close()
        assert not [command for command in server.commands if b"STORE" in command]


# --- connections ------------------------------------------------------------------------------------------------------


async def test_a_connection_is_used_again(tmp_path: Path) -> None:
    with scripted_imap() as server:
        adapter = imap_server(server.port, tmp_path)
        for _ in range(3):
            await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()
    assert len([command for command in server.commands if b"AUTHENTICATE" in command]) == 1


async def test_no_more_connections_than_configured(tmp_path: Path) -> None:
    with scripted_imap() as server:
        adapter = imap_server(server.port, tmp_path, connections=2)
        for number in range(6):
            await adapter.find(f"user{number}@example.com", "<a@example>", NO_JOB)
            server.wait_for_at_most(2)
        await adapter.close()
        server.wait_for_at_most(0)


async def test_after_a_broken_connection_there_is_another(tmp_path: Path) -> None:
    with scripted_imap({b"SEARCH": b""}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.MailboxUnavailableError):
            await adapter.find(JANE, "<a@example>", NO_JOB)
        server.answers[b"SEARCH"] = DEFAULTS[b"SEARCH"]
        assert await adapter.find(JANE, "<a@example>", NO_JOB) == []
        await adapter.close()


async def test_the_end_does_not_wait_for_a_server_that_says_nothing(tmp_path: Path) -> None:
    with scripted_imap({b"SEARCH": None}) as server:
        adapter = imap_server(server.port, tmp_path, timeout=timedelta(minutes=10))
        asking = asyncio.create_task(adapter.find(JANE, "<a@example>", NO_JOB))
        await asyncio.to_thread(server.wait_for, b"SEARCH")
        await adapter.close()
        with pytest.raises(port.MailboxUnavailableError):
            await asking


@pytest.mark.parametrize("greeting", [b"+OK POP3 ready\r\n", b"220 mail.example.com ESMTP\r\n", b"SSH-2.0-x\r\n"])
async def test_what_greets_otherwise_than_imap_is_called_so(tmp_path: Path, greeting: bytes) -> None:
    with scripted_imap({}, greeting=greeting) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.EndpointDownError, match="no IMAP"):
            await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()


async def test_the_servers_code_is_told_once(tmp_path: Path) -> None:
    with scripted_imap({b"AUTHENTICATE": b"$ NO [AUTHENTICATIONFAILED] Wrong\r\n"}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.SignInError) as caught:
            await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()
    assert str(caught.value) == "AUTHENTICATIONFAILED: Wrong"
