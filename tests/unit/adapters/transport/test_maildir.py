from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from mta.adapters.transport.maildir import MaildirTransport, folder_name
from mta.config.delivery_schema import MaildirHop
from mta.model.address import Address, parse_address
from mta.model.delivery import RecipientEntry, RecipientResult
from mta.model.envelope import Envelope

MAIL = b"From: jane@example.com\r\n\r\nDear Joe,\r\n.dot\r\n"


def maildir(root: Path, template: str = "{domain}/{local}") -> MaildirTransport:
    hop = MaildirHop(name="archive", kind="maildir", folder=root / template)
    return MaildirTransport(hop, hostname="relay.example.com")


async def delivered(
    way: MaildirTransport, *recipients: Address, sender: str = "jane@example.com"
) -> list[RecipientResult]:
    envelope = Envelope(parse_address(sender) if sender else None, recipients)
    entries = [RecipientEntry(i, address, 0, "archive") for i, address in enumerate(recipients)]
    try:
        return await way.deliver(envelope, entries, [MAIL[:10], memoryview(MAIL)[10:]], deadline_s=10)
    finally:
        await way.close()


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


async def test_each_recipient_has_a_file_in_new(tmp_path: Path) -> None:
    results = await delivered(maildir(tmp_path), parse_address("Joe@Example.org"), parse_address("ann@example.org"))
    assert [str(result.reply)[:9] for result in results] == ["250 2.0.0"] * 2
    ann, joe = files(tmp_path)
    assert joe.parent == tmp_path / "example.org" / "joe" / "new"
    assert joe.read_bytes() == b"Return-Path: <jane@example.com>\r\nDelivered-To: Joe@Example.org\r\n" + MAIL
    assert ann.read_bytes().endswith(MAIL)
    assert stat.S_IMODE(joe.stat().st_mode) == 0o600
    assert [folder.name for folder in sorted(joe.parent.parent.iterdir())] == ["cur", "new", "tmp"]


async def test_the_null_reverse_path(tmp_path: Path) -> None:
    await delivered(maildir(tmp_path), parse_address("joe@example.org"), sender="")
    assert files(tmp_path)[0].read_bytes().startswith(b"Return-Path: <>\r\n")


async def test_one_folder_for_all_as_an_archive(tmp_path: Path) -> None:
    await delivered(maildir(tmp_path, "archive"), parse_address("a@example.org"), parse_address("b@example.net"))
    assert len(files(tmp_path / "archive" / "new")) == 2


HOSTILE = [
    Address("../../etc/passwd", "example.org"),
    Address("..", ".."),
    Address(".", "."),
    Address("/etc/passwd", "/"),
    Address("a/../../b", "example.org"),
    Address("nul\0byte", "example.org"),
    Address("line\r\nX-Evil: 1", "example.org"),
    Address("{domain}", "{local}"),
    Address("new", "example.org"),
    Address("%2E%2E", "example.org"),
    Address("x" * 5000, "y" * 5000),
    Address("", ""),
    Address("\ud800", "example.org"),
    Address("jürgen", "bücher.example"),
    Address("~root", "example.org"),
    Address("-rf", "example.org"),
    Address("a:b\\c", "example.org"),
]


async def test_hostile_addresses_stay_in_their_folder(tmp_path: Path) -> None:
    root = tmp_path / "mail"
    results = await delivered(maildir(root), *HOSTILE)
    assert [result.reply.code for result in results] == [250] * len(HOSTILE)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mail"]
    for path in files(root):
        assert len(path.relative_to(root).parts) == 4
        header, _, body = path.read_bytes().partition(b"From: ")
        assert header.count(b"\r\n") == 2
        assert b"From: " + body == MAIL
    assert len({path.parent for path in files(root)}) == len(HOSTILE)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a/b", "a%2fb"), ("a/b", "a%2Fb"), (".a", "%2Ea"), ("x" * 400 + "1", "x" * 400 + "2"), ("", "%"), ("ü", "u")],
)
def test_no_two_names_share_a_folder(one: str, other: str) -> None:
    assert folder_name(one) != folder_name(other)
    assert max(len(folder_name(one)), len(folder_name(other))) <= 255


async def test_a_quoted_local_part_that_needs_no_quotes_is_the_same_mailbox(tmp_path: Path) -> None:
    await delivered(maildir(tmp_path), parse_address('"joe"@example.org'), parse_address("joe@example.org"))
    assert len({path.parent for path in files(tmp_path)}) == 1


@pytest.mark.parametrize(
    ("number", "reply"),
    [(errno.ENOSPC, "452 4.3.1"), (errno.EDQUOT, "452 4.3.1"), (errno.EIO, "451 4.2.0"), (errno.EACCES, "451 4.2.0")],
)
async def test_what_cannot_be_synced_is_deferred_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reply: str
) -> None:
    sync = os.fsync

    def fails_on_files(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fails_on_files)
    [result] = await delivered(maildir(tmp_path), parse_address("joe@example.org"))
    assert str(result.reply).startswith(reply)
    assert str(tmp_path) not in result.reply.text
    assert files(tmp_path) == []


async def test_a_file_is_synced_before_it_shows_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, Path.rename

    def seen_sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(f"sync {'file in tmp' if path.parent.name == 'tmp' else path.name}")
        sync(descriptor)

    def seen_rename(self: Path, target: Path) -> Path:
        steps.append(f"rename to {target.parent.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", seen_sync)
    monkeypatch.setattr(Path, "rename", seen_rename)
    await delivered(maildir(tmp_path), parse_address("joe@example.org"))
    assert steps[-3:] == ["sync file in tmp", "rename to new", "sync new"]
