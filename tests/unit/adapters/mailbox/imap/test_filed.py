"""Filed messages on IMAP servers with folders of others, read-only ones, few keywords, and no new ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.model.mailbox_item import ItemRef
from mta.model.writeback import FiledMark
from mta.ports import mailbox as port
from tests.servers.scripted_imap import Answer, ScriptedImap, scripted_imap
from tests.unit.adapters.mailbox.imap.servers import JANE, imap_server

MARK = FiledMark("Filed away", "https://desk.example.com/7", "Ticket 7", {}, "ticket-7")
_FLAGS = b'* 1 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 9 INTERNALDATE "20-Nov-2026 09:30:18 +0000")\r\n$ OK done\r\n'
_READ_ONLY = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 1] it\r\n$ OK [READ-ONLY] done\r\n"
_FOUND: dict[bytes, Answer] = {
    b"LIST": b'* LIST (\\Sent) "/" Sent\r\n$ OK done\r\n',
    b"LIST INBOX": b'* LIST () "/" INBOX\r\n* LIST () "/" INBOX/Others\r\n$ OK done\r\n',
    b"SEARCH": b"* SEARCH 5\r\n$ OK done\r\n",
    b"FETCH HEADER": b"* 1 FETCH (UID 5 FLAGS (\\Seen) BODY[HEADER.FIELDS (MESSAGE-ID DATE SUBJECT X-STAMPLINE-JOB)] "
    b"{27}\r\nMessage-ID: <a@example>\r\n\r\n)\r\n$ OK done\r\n",
    b"FETCH INTERNALDATE": _FLAGS,
    b"STORE": b"$ OK done\r\n",
}


def _stored(server: ScriptedImap) -> list[bytes]:
    return [command.partition(b" ")[2].strip() for command in server.commands if b"STORE" in command]


async def test_a_folder_that_may_only_be_read_keeps_no_other_copy_from_being_found(tmp_path: Path) -> None:
    """And doesn't make the mailbox one that is closed to us."""
    with scripted_imap({**_FOUND, b"SELECT Others": _READ_ONLY}) as server:
        adapter = imap_server(server.port, tmp_path)
        assert [item.folder for item in await adapter.find_filed(JANE, "<a@example>")] == ["INBOX", "Sent"]
        await adapter.close()


async def test_an_inbox_that_may_only_be_read_is_told_of(tmp_path: Path) -> None:
    with scripted_imap({**_FOUND, b"SELECT INBOX": _READ_ONLY}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.AccessDeniedError):
            await adapter.find_filed(JANE, "<a@example>")
        await adapter.close()


async def test_a_category_becomes_a_keyword(tmp_path: Path) -> None:
    with scripted_imap(_FOUND) as server:
        adapter = imap_server(server.port, tmp_path)
        await adapter.put_mark(JANE, ItemRef("1.5/INBOX"), MARK)
        await adapter.close()
    assert _stored(server) == [b"UID STORE 5 +FLAGS.SILENT (Filed_away)"]


async def test_where_a_folder_takes_no_new_keywords_nothing_is_stored(tmp_path: Path) -> None:
    fixed = (
        b"* 1 EXISTS\r\n* OK [UIDVALIDITY 1] it\r\n* OK [PERMANENTFLAGS (\\Seen)] they\r\n$ OK [READ-WRITE] done\r\n"
    )
    with scripted_imap({**_FOUND, b"SELECT": fixed}) as server:
        adapter = imap_server(server.port, tmp_path)
        await adapter.put_mark(JANE, ItemRef("1.5/INBOX"), MARK)
        await adapter.close()
    assert _stored(server) == []


async def test_one_keyword_too_many_is_refused(tmp_path: Path) -> None:
    with scripted_imap({**_FOUND, b"STORE": b"$ NO [LIMIT] Too many keywords\r\n"}) as server:
        adapter = imap_server(server.port, tmp_path)
        with pytest.raises(port.RefusedError):
            await adapter.put_mark(JANE, ItemRef("1.5/INBOX"), MARK)
        await adapter.close()
