"""What the contract can't show of Maildirs: hostile users, readers at work meanwhile, full disks, names, quotas."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from mta.adapters.mailbox.maildir import MaildirSentItems
from mta.adapters.mailbox.maildir.directories import Directory
from mta.adapters.mailbox.maildir.folder import Folder
from mta.config.mailbox_schema import MaildirMailboxes
from mta.model.mailbox_item import FollowUp, FoundItem, ItemRef, Marks, Removal, SentItem
from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    ItemGoneError,
    MailboxUnavailableError,
    NoMailboxError,
    QuotaError,
    RefusedError,
)
from tests.contract.mailboxes.samples import SENT_AT, changed, in_place_of, new_id, plain, unread
from tests.servers.small_disk import fill, small_disk

JANE = "jane@example.com"
_NO_JOB = "0" * 32
_OWNER = (4711, 4712) if os.geteuid() == 0 else (os.getuid(), os.getgid())
"""Whose the mailbox is; only root can give files away."""


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    for place in ("tmp", "new", "cur"):
        (tmp_path / "mail" / "example.com" / "jane" / ".Sent" / place).mkdir(parents=True)
    return tmp_path / "mail" / "example.com" / "jane" / ".Sent"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MaildirSentItems]:
    adapter = MaildirSentItems(_settings(tmp_path / "mail"))
    yield adapter
    await adapter.close()


def _settings(folder: Path, **more: object) -> MaildirMailboxes:
    values = {"kind": "maildir", "name": "maildirs", "folder": folder / "{domain}" / "{local}", **more}
    return MaildirMailboxes.model_validate(values)


def _put(sent: Path, message_id: str, name: str = "", *, place: str = "cur", info: str = ":2,S") -> Path:
    file = sent / place / f"{name or f'{int(SENT_AT.timestamp())}.M1P1.host'}{info}"
    file.write_bytes(plain(message_id).mime.replace(b"\r\n", b"\n"))
    return file


async def _ref(server: MaildirSentItems, message_id: str) -> ItemRef:
    (found,) = await server.find(JANE, message_id, _NO_JOB)
    return found.ref


# --- hostile users ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["mail/example.com/jane", "mail/example.com/jane/.Sent", "mail/example.com/jane/.Sent/cur"]
)
async def test_symbolic_links_are_not_followed(
    tmp_path: Path, server: MaildirSentItems, sent: Path, place: str
) -> None:
    _put(sent, message_id := new_id())
    folder = tmp_path / place
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AccessDeniedError, match="symbolic link"):
        await server.find(JANE, message_id, _NO_JOB)
    with pytest.raises(AccessDeniedError, match="symbolic link"):
        await server.create(JANE, in_place_of(unread(message_id, plain(message_id).mime), plain(message_id).mime))


async def test_the_administrators_own_links_are_followed(tmp_path: Path, sent: Path) -> None:
    _put(sent, message_id := new_id())
    (tmp_path / "link").symlink_to(tmp_path / "mail")
    server = MaildirSentItems(_settings(tmp_path / "link"))
    assert len(await server.find(JANE, message_id, _NO_JOB)) == 1
    await server.close()


async def test_files_that_are_none_are_left_alone(server: MaildirSentItems, sent: Path, tmp_path: Path) -> None:
    """A pipe would wait for its writer, and a link show another's file."""
    secret = tmp_path / "secret"
    secret.write_bytes(plain(message_id := new_id()).mime)
    os.mkfifo(sent / "cur" / "1.pipe.host:2,")
    (sent / "cur" / "2.link.host:2,").symlink_to(secret)
    (sent / "cur" / "3.folder.host:2,").mkdir()
    (sent / "new" / ".hidden").write_bytes(secret.read_bytes())
    assert await server.find(JANE, new_id(), _NO_JOB) == []
    for name in ("1.pipe.host", "2.link.host", "3.folder.host"):
        with pytest.raises(ItemGoneError):
            await server.read(JANE, ItemRef(name))
    assert await server.find(JANE, message_id, _NO_JOB) == []


@pytest.mark.parametrize(
    "mailbox",
    [
        "../jane@example.com", '"../jane"@example.com', '"/etc"@example.com', '".."@example.com', "jane@..", "jane", "",
        "a\0b@example.com", '"a\\/b"@example.com',
    ],
)  # fmt: skip
async def test_no_address_leads_out_of_the_folder(
    tmp_path: Path, server: MaildirSentItems, sent: Path, mailbox: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NoMailboxError):
        await server.create(mailbox, in_place_of(unread("<a@b>", plain(new_id()).mime), plain(new_id()).mime))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("ref", ["../../../secret", "/etc/passwd", "", ".", "..", "a\0b", "x" * 5000])
@pytest.mark.parametrize("key", ["", "cur/2,S/1.1.1", "../2,S/1", "new//1", "cur/../../x/1"])
async def test_no_reference_leads_out_of_the_folder(server: MaildirSentItems, sent: Path, ref: str, key: str) -> None:
    with pytest.raises(ItemGoneError):
        await server.read(JANE, ItemRef(ref, key))
    await server.remove(JANE, ItemRef(ref, key), Removal.FOR_GOOD)


async def test_a_broken_message_is_refused_and_no_hindrance(server: MaildirSentItems, sent: Path) -> None:
    (sent / "cur" / "1.broken.host:2,S").write_bytes(b"X: y\n" * 200_000)
    (sent / "cur" / "2.empty.host:2,S").write_bytes(b"")
    (sent / "cur" / "3.octets.host:2,S").write_bytes(bytes(range(256)) * 100)
    _put(sent, message_id := new_id())
    assert len(await server.find(JANE, message_id, _NO_JOB)) == 1
    with pytest.raises(RefusedError):
        await server.read(JANE, ItemRef("1.broken.host"))
    assert (await server.read(JANE, ItemRef("2.empty.host"))).message_id == ""


async def test_what_is_too_large_is_not_read(server: MaildirSentItems, sent: Path) -> None:
    file = _put(sent, message_id := new_id())
    os.truncate(file, 200_000_000)
    with pytest.raises(RefusedError, match="too-large"):
        await server.read(JANE, await _ref(server, message_id))


def test_what_grows_while_it_is_read_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "cur").mkdir()
    file = tmp_path / "cur" / "1.M1P1.host:2,S"
    file.write_bytes(b"Subject: x\n\nbody\n")
    with Directory.at(tmp_path, ()) as directory, Folder(directory) as folder:
        message = folder.look("1.M1P1.host")
        assert message is not None
        os.truncate(file, 10_000_000)
        assert folder.read(message) == b"Subject: x\n\nbody\n"


# --- readers at work --------------------------------------------------------------------------------------------------


async def test_an_item_is_the_same_wherever_its_reader_moves_it(server: MaildirSentItems, sent: Path) -> None:
    file = _put(sent, message_id := new_id(), place="new", info="")
    ref = await _ref(server, message_id)
    moved = file.rename(sent / "cur" / f"{file.name}:2,FS")
    item = await server.read(JANE, ref)
    assert item.ref.id == ref.id
    assert item.ref.change_key != ref.change_key
    assert (item.marks.is_read, item.marks.follow_up) == (True, FollowUp("flagged"))
    for call in (server.set_marks(JANE, ref, Marks()), server.remove(JANE, ref, Removal.FOR_GOOD)):
        with pytest.raises(ConflictError):
            await call
    assert moved.exists()


async def test_a_reader_at_work_loses_and_doubles_nothing(server: MaildirSentItems, sent: Path) -> None:
    """It sets and takes flags as fast as it can, while items are read, marked and replaced."""
    ids = [new_id() for _ in range(8)]
    for number, message_id in enumerate(ids):
        _put(sent, message_id, f"{1000 + number}.M1P1.host")
    with ThreadPoolExecutor(1) as pool:
        is_over = threading.Event()
        reader = pool.submit(_flip_flags, sent, is_over)
        try:
            await asyncio.gather(*(_replaced(server, message_id) for message_id in ids))
        finally:
            is_over.set()
        assert reader.result(30) > 0
    for message_id in ids:
        (item,) = await server.find(JANE, message_id, _NO_JOB)
        assert item.stamp


async def _replaced(server: MaildirSentItems, message_id: str) -> None:
    """As a job does it: what was missed, and conflicts, are tried again, with what the item is by then."""
    found: Sequence[FoundItem] = ()
    while not found:
        with suppress(ConflictError):
            found = await server.find(JANE, message_id, _NO_JOB)
    original = await _read_in_the_end(server, found[0].ref.id)
    await server.create(JANE, changed(original, "more"))
    while True:
        try:
            await server.set_marks(JANE, original.ref, original.marks)
            await server.remove(JANE, original.ref, Removal.FOR_GOOD)
        except ConflictError:
            original = await _read_in_the_end(server, original.ref.id)
        else:
            return


async def _read_in_the_end(server: MaildirSentItems, name: str) -> SentItem:
    while True:
        with suppress(ConflictError, ItemGoneError):
            return await server.read(JANE, ItemRef(name))


def _flip_flags(sent: Path, is_over: threading.Event) -> int:
    done = 0
    while not is_over.is_set():
        for file in list((sent / "cur").iterdir()):
            flags = "" if "F" in file.name.partition(":2,")[2] else "F"
            with suppress(FileNotFoundError):
                file.rename(file.with_name(f"{file.name.partition(':')[0]}:2,{flags}S"))
                done += 1
    return done


async def test_what_is_written_over_is_another_version(server: MaildirSentItems, sent: Path) -> None:
    file = _put(sent, message_id := new_id())
    ref = await _ref(server, message_id)
    file.write_bytes(file.read_bytes() + b"edited\n")
    with pytest.raises(ConflictError):
        await server.remove(JANE, ref, Removal.FOR_GOOD)


async def test_what_its_user_has_marked_deleted_is_gone(server: MaildirSentItems, sent: Path) -> None:
    file = _put(sent, message_id := new_id())
    ref = await _ref(server, message_id)
    file.rename(sent / "cur" / file.name.replace(":2,S", ":2,ST"))
    assert await server.find(JANE, message_id, _NO_JOB) == []
    with pytest.raises(ItemGoneError):
        await server.read(JANE, ref)


# --- what is written --------------------------------------------------------------------------------------------------


async def test_a_new_item_is_a_file_as_other_programs_want_it(server: MaildirSentItems, sent: Path) -> None:
    os.chown(sent / "cur", *_OWNER)
    for place in ("tmp", "cur"):
        os.chown(sent / place, *_OWNER)
        (sent / place).chmod(0o770)
    _put(sent, message_id := new_id())
    original = await server.read(JANE, await _ref(server, message_id))
    await server.create(JANE, changed(original, "more"))
    (file,) = (file for file in (sent / "cur").iterdir() if b"more" in file.read_bytes())
    state = file.stat()
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (*_OWNER, 0o660)
    assert f",S={state.st_size}:2,S" in file.name
    assert b"\r" not in file.read_bytes()
    assert file.read_bytes().startswith(b"X-Stampline-Job: ")
    assert list((sent / "tmp").iterdir()) == []
    assert original.delivered_at is not None
    assert state.st_mtime == pytest.approx(original.delivered_at.timestamp(), abs=0.001)


async def test_folders_that_are_missing_are_made_as_their_neighbours(server: MaildirSentItems, tmp_path: Path) -> None:
    root = tmp_path / "mail" / "example.com" / "jane"
    root.mkdir(parents=True)
    root.chmod(0o750)
    os.chown(root, *_OWNER)
    assert "without a folder" in await server.sign_in(JANE)
    message_id = new_id()
    mime = plain(message_id).mime
    ref = await server.create(JANE, in_place_of(unread(message_id, mime), mime))
    await server.remove(JANE, ref, Removal.DELETED_ITEMS)
    (file,) = (root / ".Trash" / "cur").iterdir()
    for made in (root / ".Sent", root / ".Sent" / "cur", root / ".Trash" / "new"):
        state = made.stat()
        assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (*_OWNER, 0o750)
    assert file.stat().st_uid == _OWNER[0]


async def test_a_folder_that_lacks_what_is_empty(server: MaildirSentItems, sent: Path) -> None:
    _put(sent, message_id := new_id())
    (sent / "new").rmdir()
    (sent / "tmp").rmdir()
    original = await server.read(JANE, await _ref(server, message_id))
    await server.create(JANE, changed(original, "more"))
    await server.remove(JANE, original.ref, Removal.FOR_GOOD)
    assert len(await server.find(JANE, message_id, _NO_JOB)) == 1
    assert {path.name for path in sent.iterdir()} == {"cur", "new", "tmp"}


@pytest.mark.parametrize(
    ("category", "letters"), [("T", "S"), ("\\Deleted", "S"), ("\\deleted", "S"), ("D", "S"), ("Work", "Sb")]
)
async def test_no_category_is_taken_for_a_flag(
    server: MaildirSentItems, sent: Path, category: str, letters: str
) -> None:
    (sent / "dovecot-keywords").write_text("0 $MDNSent\n1 work\n27 beyond\nnonsense\n")
    _put(sent, message_id := new_id())
    original = await server.read(JANE, await _ref(server, message_id))
    marks = Marks(categories=(category,), keywords=(category,))
    ref = await server.set_marks(JANE, original.ref, marks)
    assert [file.name.partition(":2,")[2] for file in (sent / "cur").iterdir()] == [letters]
    assert (await server.read(JANE, ref)).marks.keywords == (("work",) if "b" in letters else ())


async def test_keywords_without_names_stay_the_letters_they_are(server: MaildirSentItems, sent: Path) -> None:
    _put(sent, message_id := new_id(), info=":2,PSac")
    original = await server.read(JANE, await _ref(server, message_id))
    assert original.marks.keywords == ("$Forwarded", "a", "c")
    made = await server.read(JANE, await server.create(JANE, changed(original, "more")))
    assert made.marks == original.marks


async def test_the_mailbox_itself_may_be_the_folder(tmp_path: Path, sent: Path) -> None:
    for place in ("tmp", "new", "cur"):
        (sent.parent / place).mkdir()
    _put(sent.parent, message_id := new_id())
    server = MaildirSentItems(_settings(tmp_path / "mail", sent_folder=""))
    assert len(await server.find(JANE, message_id, _NO_JOB)) == 1
    await server.close()


# --- no room, no permission -------------------------------------------------------------------------------------------


async def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    with small_disk(tmp_path / "mail", 200_000):
        sent = tmp_path / "mail" / "example.com" / "jane" / ".Sent"
        for place in ("tmp", "new", "cur"):
            (sent / place).mkdir(parents=True)
        server = MaildirSentItems(_settings(tmp_path / "mail"))
        message_id = new_id()
        mime = plain(message_id).mime + b"x" * 20_000
        fill(tmp_path / "mail" / "ballast")
        with pytest.raises(QuotaError, match="ENOSPC"):
            await server.create(JANE, in_place_of(unread(message_id, mime), mime))
        assert [file for file in sent.rglob("*") if file.is_file()] == []
        (tmp_path / "mail" / "ballast").unlink()
        await server.create(JANE, in_place_of(unread(message_id, mime), mime))
        await server.close()


async def test_a_quota_is_counted(server: MaildirSentItems, sent: Path) -> None:
    """As Maildir++ has it: a line for what came, a line for what went."""
    sizes = sent.parent / "maildirsize"
    sizes.write_text("2000S\n100 1\n")
    _put(sent, message_id := new_id())
    original = await server.read(JANE, await _ref(server, message_id))
    ref = await server.create(JANE, changed(original, "more"))
    size = sum(file.stat().st_size for file in (sent / "cur").iterdir() if b"more" in file.read_bytes())
    await server.remove(JANE, ref, Removal.FOR_GOOD)
    assert sizes.read_text() == f"2000S\n100 1\n{size} 1\n-{size} -1\n"
    sizes.write_text("2000S,2C\n100 1\n100 1\n")
    with pytest.raises(QuotaError):
        await server.create(JANE, changed(original, "more"))


async def test_a_folder_that_is_no_maildir_and_a_file_in_its_place(server: MaildirSentItems, sent: Path) -> None:
    (sent / "cur").rmdir()
    (sent / "cur").write_text("")
    with pytest.raises((AccessDeniedError, MailboxUnavailableError)):
        await server.find(JANE, new_id(), _NO_JOB)


# --- many -------------------------------------------------------------------------------------------------------------


async def test_the_newest_are_looked_through_first(server: MaildirSentItems, sent: Path) -> None:
    """Those older than thousands of others are not found; what was just sent is, whatever the order on disk."""
    _put(sent, old := new_id(), "100.M1P1.host")
    for number in range(5000):
        (sent / "cur" / f"{200 + number}.M1P1.host:2,S").write_bytes(b"\n")
    _put(sent, new := new_id(), "9000.M1P1.host")
    assert await server.find(JANE, old, _NO_JOB) == []
    assert len(await server.find(JANE, new, _NO_JOB)) == 1
    _put(sent, other := new_id(), "no-time-in-its-name")
    os.utime(sent / "cur" / "no-time-in-its-name:2,S", (time.time(), time.time()))
    assert len(await server.find(JANE, other, _NO_JOB)) == 1


async def test_similar_items_are_those_stored_about_then(server: MaildirSentItems, sent: Path) -> None:
    _put(sent, new_id(), f"{int(SENT_AT.timestamp()) - 400_000}.M1P1.host")
    _put(sent, near := new_id(), f"{int(SENT_AT.timestamp()) + 60}.M1P1.host")
    found = await server.find_similar(JANE, "Offer", SENT_AT, timedelta(minutes=2))
    assert [item.message_id for item in found] == [near]


async def test_a_link_among_the_folders_keeps_no_filed_message_from_being_found(
    server: MaildirSentItems, sent: Path, tmp_path: Path
) -> None:
    _put(sent, message_id := new_id())
    (sent.parent / "cur").mkdir()
    (sent.parent / "new").mkdir()
    (sent.parent / ".Shared").symlink_to(tmp_path)
    assert [item.folder for item in await server.find_filed(JANE, message_id)] == [".Sent"]
