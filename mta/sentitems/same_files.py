"""Whether an item has the attachments and pictures that a message has: by their octets, where the server gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b, sha256

from mta.message.contents import MESSAGES, Contents, File
from mta.message.parse import LimitExceededError, Message, parse
from mta.model.mailbox_item import SentItem, StoredAttachment
from mta.sentitems.same_text import Said, is_same

_OVERHEAD_OCTETS = 65_536
"""What Exchange counts beside the octets of an attachment: its properties, an icon."""


def are_files_same(item: SentItem, message: Message) -> bool:
    """As many files, each with the same octets; by their sizes where the server tells nothing else."""
    wanted = Contents(message).files
    if item.mime:
        with suppress(LimitExceededError):
            found = Contents(parse(item.mime)).files
            if len(found) == len(wanted):
                return _are_same(found, wanted)
    if len(item.attachments) != len(wanted):
        return False
    files, stored = [f for f in wanted if not f.is_message], [s for s in item.attachments if not _is_message(s)]
    if all(file.sha256 for file in stored):
        return not Counter(sha256(file.octets).hexdigest() for file in files) - Counter(file.sha256 for file in stored)
    return are_sizes_near(stored, [len(file.octets) for file in files])


def digest_of_files(message: Message) -> str:
    """The same for the same files in any order; attached messages, which Exchange writes anew, count only as such."""
    digests = sorted(b"message" if file.is_message else _key(file) for file in Contents(message).files)
    return _digest(b"".join(digests)).hex()


def _are_same(found: Iterable[File], wanted: Iterable[File]) -> bool:
    one, other = ([(_key(file), file) for file in files] for files in (found, wanted))
    keys, other_keys = (Counter(key for key, _ in files) for files in (one, other))
    return _are_messages_same(_some(one, keys - other_keys), _some(other, other_keys - keys))


def _some(files: Iterable[tuple[bytes, File]], wanted: Counter[bytes]) -> list[File]:
    """So many of each key."""
    found = []
    for key, file in files:
        if wanted[key]:
            wanted[key] -= 1
            found.append(file)
    return found


def _are_messages_same(found: list[File], wanted: list[File]) -> bool:
    """Exchange writes attached messages anew, and leaves them in their order."""
    return all(file.is_message for file in (*found, *wanted)) and all(
        is_same(_said(one), _said(other)) for one, other in zip(found, wanted, strict=True)
    )


def _said(file: File) -> Said:
    try:
        contents = Contents(parse(file.octets))
    except LimitExceededError:
        return Said(None, None)
    return Said(contents.html, contents.text)


def _key(file: File) -> bytes:
    """White space of attached texts is nobody's."""
    octets = file.octets
    plain = b" ".join(octets.split()) if file.content_type.startswith("text/") else octets
    return _digest(plain, b"message" if file.is_message else b"")


def _digest(octets: bytes, kind: bytes = b"") -> bytes:
    return blake2b(octets, digest_size=16, person=kind).digest()


def are_sizes_near(found: Iterable[StoredAttachment], wanted: Iterable[int]) -> bool:
    """Of attachments that are no messages: what servers call a size is not that of the octets, but not far from it."""
    sizes = sorted(wanted)
    stored = sorted(file.size_octets for file in found if not _is_message(file))
    if len(stored) != len(sizes) or not any(stored):
        return True  # it doesn't tell
    return all(
        size * 0.9 - 100 <= known <= size * 1.5 + _OVERHEAD_OCTETS for known, size in zip(stored, sizes, strict=True)
    )


def _is_message(stored: StoredAttachment) -> bool:
    return stored.is_item or stored.content_type.lower() in MESSAGES
