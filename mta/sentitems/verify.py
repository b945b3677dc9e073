"""Whether what stands in Sent Items is what was to be made, by its properties: servers make MIME anew at each read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from mta.message.contents import MESSAGES
from mta.model.mailbox_item import NewItem, Participant, SentItem
from mta.sentitems.address_keys import keys_of
from mta.sentitems.guard import files_of, said_by
from mta.sentitems.same_files import are_sizes_near
from mta.sentitems.same_text import Said, is_same

_NEAR = timedelta(seconds=1)


def differences(new: NewItem, found: SentItem) -> list[str]:
    """What differs, each in a word or two, nothing of the content; empty where all is well.

    What the server told of neither of the two items says nothing.
    """
    original = new.original
    checks = (
        ("draft", found.is_draft),
        ("stamp", found.stamp != new.stamp),
        ("Message-ID", bool(found.message_id) and found.message_id != new.message_id),
        ("time sent", _is_another_time(original.sent_at, found.sent_at)),
        ("To", not _are_same_people(original.to, found.to)),
        ("Cc", not _are_same_people(original.cc, found.cc)),
        ("Bcc", not _are_same_people(original.bcc, found.bcc)),
        ("attachments", len(new.attachments) not in files_of(found)),
        ("attachments' sizes", not are_sizes_near(found.attachments, _sizes(new))),
        ("text", not is_same(said_by(found), Said(new.html, new.text))),
    )
    return [name for name, differs in checks if differs]


def _sizes(new: NewItem) -> list[int]:
    return [len(file.data) for file in new.attachments if file.content_type not in MESSAGES]


def _is_another_time(wanted: datetime | None, found: datetime | None) -> bool:
    if wanted is None:
        return False
    return found is None or abs(found - wanted) > _NEAR


def _are_same_people(wanted: Sequence[Participant], found: Sequence[Participant]) -> bool:
    """As many, and all whose address can be compared: Exchange names its own people by directory names at times."""
    known = keys_of(found)
    if len(wanted) != len(found) or any("@" not in address for address in known):
        return len(wanted) == len(found)
    return all(address in known for address in keys_of(wanted) if "@" in address)
