"""A monitored Maildir that others use at the same time, not all of them friendly; and what is left after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mta.adapters.mailbox.maildir.reader import MaildirReader
from mta.config.tracking_schema import MaildirMailbox
from mta.ports.mailbox import AccessDeniedError, ItemGoneError, NoMailboxError, RefusedError
from tests.servers.wait import wait_until

_LARGE = 1_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for place in ("tmp", "new", "cur"):
        (tmp_path / "mail" / place).mkdir(parents=True)
    return tmp_path / "mail"


def _opened(root: Path, do: str = "move", folder: str = "") -> MaildirReader:
    values = {"kind": "maildir", "name": "desk", "address": "desk@example.com", "path": root, "folder": folder}
    return MaildirReader(MaildirMailbox.model_validate({**values, "after": {"do": do}}))


@pytest.fixture
async def reader(root: Path) -> AsyncIterator[MaildirReader]:
    opened = _opened(root)
    yield opened
    await opened.close()


def _put(root: Path, name: bytes | str, data: bytes = b"Subject: a\n\nb\n", place: str = "new") -> None:
    with open(os.path.join(os.fsencode(root / place), os.fsencode(name)), "wb") as file:  # noqa: PTH118, PTH123 (octets)
        file.write(data)


def _files(root: Path, *places: str) -> list[str]:
    return sorted(file.name for place in places or ("new", "cur") for file in (root / place).iterdir())


async def _refs(reader: MaildirReader, limit: int = 100) -> list[str]:
    return [waiting.ref for waiting in await reader.waiting(limit)]


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        b"1700000000.M1P1Q1.mail,S=14", b"no time", b"line\nbreak", b"caf\xe9.latin1", b"\xff\xfe\x80", b"'; drop",
        b"1.host:2,", b"1.host:2,S", b"1.host:2,FRS", b"1.host:3,odd", b"1.host:", b"a:b:c", b"x" * 255, b"100%25",
        b"99999999999999999999.host", "ä😀".encode(), b"-rf", b"~", b"\x1b[31m",
    ],
    ids=[
        "usual", "no-time", "line-break", "latin-1", "octets", "sql", "no-flags", "seen", "more-flags", "odd-info",
        "no-info", "colons", "long", "percent", "future", "utf-8", "option", "tilde", "escape",
    ],
)  # fmt: skip
async def test_whatever_a_file_is_called_it_is_a_message(root: Path, reader: MaildirReader, name: bytes) -> None:
    _put(root, name, b"Subject: a\n\nb\n", "cur" if b":2," in name else "new")
    (waiting,) = await reader.waiting(10)
    assert waiting.ref.isascii()
    assert waiting.ref.isprintable()
    assert waiting.ref.split() == [waiting.ref]
    assert await reader.fetch(waiting.ref, _LARGE) == b"Subject: a\r\n\r\nb\r\n"
    await reader.mark_read(waiting.ref)
    (marked,) = await reader.waiting(10)
    assert "S" in _files(root, "cur")[0].rpartition(":2,")[2]
    await reader.move(marked.ref, "Processed")
    assert _files(root) == []
    assert len(_files(root / ".Processed")) == 1


@pytest.mark.parametrize("name", [".hidden", ".", "..", "1.host:2,T", "1.host:2,ST"])
async def test_what_is_no_message_or_deleted_is_left_alone(root: Path, reader: MaildirReader, name: str) -> None:
    if name not in (".", ".."):
        _put(root, name, place="cur")
    before = _files(root)
    assert await _refs(reader) == []
    with pytest.raises(ItemGoneError):
        await reader.fetch(name, _LARGE)
    await reader.delete(name)
    await reader.end_session(purge=True)
    assert _files(root) == before


@pytest.mark.parametrize(
    "ref", ["../../secret", "..%2F..%2Fsecret", "%00", "/etc/passwd", "", "%2Fetc%2Fpasswd", "%ZZ"]
)
async def test_no_ref_leads_out_of_the_folder(root: Path, reader: MaildirReader, ref: str) -> None:
    (root.parent / "secret").write_text("not for you")
    with pytest.raises(ItemGoneError):
        await reader.fetch(ref, _LARGE)
    await reader.move(ref, "Processed")
    await reader.delete(ref)
    assert (root.parent / "secret").exists()


async def test_links_pipes_and_folders_are_no_messages(root: Path, reader: MaildirReader, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not for you")
    (root / "new" / "1.link").symlink_to(tmp_path / "secret")
    (root / "cur" / "2.link:2,").symlink_to("/dev/zero")
    os.mkfifo(root / "new" / "3.pipe")
    (root / "new" / "4.folder").mkdir()
    _put(root, "5.message")
    assert await _refs(reader, 1) == ["5.message"]
    for ref in ("1.link", "2.link", "3.pipe", "4.folder"):
        with pytest.raises(ItemGoneError):
            await reader.fetch(ref, _LARGE)
        await reader.move(ref, "Processed")
    assert not (root / ".Processed").exists() or _files(root / ".Processed") == []


@pytest.mark.parametrize("place", [".Processed", ".Processed/cur"])
async def test_a_folder_that_is_a_link_is_not_followed(root: Path, reader: MaildirReader, place: str) -> None:
    _put(root, "1.a")
    for part in ("cur", "new", "tmp"):
        (root.parent / "elsewhere" / part).mkdir(parents=True)
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).symlink_to(root.parent / "elsewhere")
    with pytest.raises(AccessDeniedError):
        await reader.move("1.a", "Processed")
    assert _files(root) == ["1.a"]
    assert _files(root.parent / "elsewhere") == []


@pytest.mark.parametrize("name", ["..", "/", ".", "a\0b", "a\nb", "x" * 300, "\udcff"])
async def test_what_can_not_be_a_folder(root: Path, reader: MaildirReader, name: str) -> None:
    _put(root, "1.a")
    with pytest.raises(RefusedError):
        await reader.move("1.a", name)
    assert _files(root) == ["1.a"]


async def test_folders_as_others_have_made_them(root: Path, reader: MaildirReader) -> None:
    for name in (".Größe", ".&AOQ-.Sub", ".Plain", ".no-maildir", "..odd", ".A &- B"):
        (root / name / ("none" if name == ".no-maildir" else "cur")).mkdir(parents=True)
    assert await reader.folders() == ["INBOX", "/odd", "A & B", "Größe", "Plain", "ä/Sub"]
    for number, name in enumerate(["Größe", "ä/Sub", "ä.Sub", ".Plain", "A & B"]):
        _put(root, f"{number}.a")
        await reader.move(f"{number}.a", name)
    assert [len(_files(root / each, "cur")) for each in (".Größe", ".&AOQ-.Sub", ".Plain", ".A &- B")] == [1, 2, 1, 1]
    other = _opened(root, folder="ä/Sub")
    assert len(await _refs(other)) == 2
    await other.close()


@pytest.mark.parametrize("folder", ["", "Absent"])
async def test_what_is_no_maildir(tmp_path: Path, folder: str) -> None:
    reader = _opened(tmp_path / "absent", folder=folder)
    with pytest.raises(NoMailboxError, match="absent"):
        await reader.sign_in()
    (tmp_path / "absent").mkdir()
    with pytest.raises(NoMailboxError, match="cur"):
        await reader.sign_in()
    await reader.close()


# --- order ------------------------------------------------------------------------------------------------------------


async def test_oldest_first_by_the_name_else_by_the_file(root: Path, reader: MaildirReader) -> None:
    for name in ("1700000002.M5P1Q1.a", "1700000001.M10P1Q1.b", "1700000001.M9P1Q3.c", "1700000001.M9P1Q20.d", "odd"):
        _put(root, name)
    os.utime(root / "new" / "odd", (1_600_000_000, 1_600_000_000))
    assert [ref[-1] for ref in await _refs(reader)] == ["d", "c", "d", "b", "a"]
    assert [ref[-1] for ref in await _refs(reader, 2)] == ["d", "c"]


async def test_of_many_files_the_oldest_are_taken(root: Path, reader: MaildirReader) -> None:
    for number in range(20_000):
        os.close(os.open(root / ("new" if number % 2 else "cur") / f"{1_700_000_000 + number}.x", os.O_CREAT))
    assert await _refs(reader, 3) == ["1700000000.x", "1700000001.x", "1700000002.x"]


# --- others at the same time ------------------------------------------------------------------------------------------


async def test_a_reader_who_takes_a_message_up_meanwhile(root: Path, reader: MaildirReader) -> None:
    for number in range(4):
        _put(root, f"{number}.a")
    refs = await _refs(reader)
    for number in range(4):
        (root / "new" / f"{number}.a").rename(root / "cur" / f"{number}.a:2,F")
    assert await reader.fetch(refs[0], _LARGE)
    await reader.mark_read(refs[1])
    await reader.move(refs[2], "Processed")
    await reader.delete(refs[3])
    await reader.end_session(purge=True)
    assert _files(root) == ["0.a:2,F", "1.a:2,FS"]
    assert [name.partition(":")[2] for name in _files(root / ".Processed")] == ["2,F"]


async def test_what_others_have_deleted_stays_deleted_and_in_place(root: Path, reader: MaildirReader) -> None:
    _put(root, "1.a:2,T", place="cur")
    _put(root, "2.b")
    await reader.delete("2.b")
    assert _files(root) == ["1.a:2,T", "2.b:2,T"]
    await reader.end_session(purge=True)
    assert _files(root) == ["1.a:2,T"]


async def test_nothing_in_the_folder_is_written_over(root: Path, reader: MaildirReader) -> None:
    for place in ("tmp", "new", "cur"):
        (root / ".Processed" / place).mkdir(parents=True)
    _put(root, "1.a", b"new")
    _put(root / ".Processed", "1.a:2,", b"old", "cur")
    await reader.move("1.a", "Processed")
    assert sorted(file.read_bytes() for file in (root / ".Processed" / "cur").iterdir()) == [b"new", b"old"]


async def test_time_and_bytes_of_what_is_moved_stay(root: Path, reader: MaildirReader) -> None:
    _put(root, "1.a", b"odd\r\nand\neven\rmore")
    os.utime(root / "new" / "1.a", (1_600_000_000, 1_600_000_000))
    await reader.move("1.a", "Processed")
    (moved,) = (root / ".Processed" / "cur").iterdir()
    assert moved.read_bytes() == b"odd\r\nand\neven\rmore"
    assert moved.stat().st_mtime == 1_600_000_000


async def test_a_quota_learns_what_was_purged(root: Path, reader: MaildirReader) -> None:
    (root / "maildirsize").write_text("1000S\n14 1\n")
    _put(root, "1.a")
    await reader.delete("1.a")
    await reader.end_session(purge=True)
    assert (root / "maildirsize").read_text() == "1000S\n14 1\n-14 -1\n"


@contextmanager
def _as_nobody() -> Iterator[None]:
    """For root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_file_that_can_not_be_read_is_refused_and_can_be_set_aside() -> None:
    with tempfile.TemporaryDirectory(prefix="maildir-") as name:
        root = Path(name)
        root.chmod(0o777)
        for place in ("tmp", "new", "cur"):
            (root / place).mkdir()
            (root / place).chmod(0o777)
        _put(root, "1.a")
        _put(root, "2.b")
        (root / "new" / "1.a").chmod(0)
        reader = _opened(root)
        with _as_nobody():
            first, second = await _refs(reader)
            with pytest.raises(RefusedError):
                await reader.fetch(first, _LARGE)
            assert await reader.fetch(second, _LARGE)
            await reader.move(first, "SetAside")
        await reader.close()
        assert len(_files(root / ".SetAside")) == 1


# --- crashes ----------------------------------------------------------------------------------------------------------

_MOVES_ALL = """
import asyncio, sys
from mta.adapters.mailbox.maildir.reader import MaildirReader
from mta.config.tracking_schema import MaildirMailbox

async def main():
    values = {"kind": "maildir", "name": "desk", "address": "desk@example.com", "path": sys.argv[1]}
    reader = MaildirReader(MaildirMailbox.model_validate(values))
    for number, waiting in enumerate(await reader.waiting(9999)):
        if number % 3 == 0:
            await reader.mark_read(waiting.ref)
        await reader.move(waiting.ref, "Processed")

asyncio.run(main())
"""


def test_whenever_we_are_killed_each_message_is_in_one_place(root: Path) -> None:
    bodies = Counter(f"message {number}\n".encode() for number in range(3000))
    for number, body in enumerate(bodies):
        _put(root, f"{1_700_000_000 + number}.a", body)
    processed = root / ".Processed" / "cur"
    for part in range(1, 4):
        process = subprocess.Popen([sys.executable, "-c", _MOVES_ALL, str(root)])
        wait_until(lambda: processed.exists() and len(_files(processed.parent)) >= part * 150, 60, "some moves")  # noqa: B023
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        folders = [root / "new", root / "cur", processed, processed.parent / "new"]
        assert Counter(file.read_bytes() for folder in folders for file in folder.iterdir()) == bodies
    assert _files(root)
