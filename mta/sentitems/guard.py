"""Which items are left as they are, and why: what we could not make anew, and what its owner has changed."""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple

from mta.message.classify import Classification, Kind, classify
from mta.message.contents import Contents
from mta.message.parse import LimitExceededError, Message, parse
from mta.model.mailbox_item import SentItem, stamped_came, stamped_text
from mta.sentitems import reasons
from mta.sentitems.copies import Content
from mta.sentitems.same_files import are_files_same, digest_of_files
from mta.sentitems.same_links import are_links_same, digest_of_links
from mta.sentitems.same_text import Said, digest, has_digest, hides_other_text, is_same

_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_CLASSES = (
    ("ipm.note.smime.multipartsigned", reasons.SIGNED),
    ("ipm.note.smime", reasons.ENCRYPTED),
    ("ipm.note.secure.sign", reasons.SIGNED),
    ("ipm.note.secure", reasons.ENCRYPTED),
    ("ipm.note.rpmsg", reasons.RIGHTS_PROTECTED),
    ("ipm.schedule", reasons.MEETING),
)


class Refusal(NamedTuple):
    """Why an item is left as it is; `detail` holds nothing of its content."""

    reason: str
    detail: str = ""


def said_by(item: SentItem) -> Said:
    """An item's text."""
    if item.html is not None or item.text is not None or not item.mime:
        return Said(item.html, item.text)
    try:
        return said_in(parse(item.mime))
    except LimitExceededError:
        return Said(None, None)


def said_in(message: Message) -> Said:
    """A message's text."""
    contents = Contents(message)
    return Said(contents.html, contents.text)


def by_itself(item: SentItem, largest: int) -> Refusal | None:
    """What the item alone says: its class, flags, size and structure."""
    if item.is_draft:
        return Refusal(reasons.DRAFT)
    item_class = item.item_class.lower()
    if item_class != "ipm.note":
        reason = next((reason for prefix, reason in _CLASSES if item_class.startswith(prefix)), reasons.NOT_A_NOTE)
        return Refusal(reason, item.item_class[:100])
    if item.is_protected:
        return Refusal(reasons.RIGHTS_PROTECTED)
    if item.has_votes:
        return Refusal(reasons.VOTES)
    if item.size_octets > largest:
        return Refusal(reasons.TOO_LARGE, f"{item.size_octets} octets")
    if not item.mime:
        return None
    try:
        return by_structure(parse(item.mime))
    except LimitExceededError as exc:
        return Refusal(reasons.UNREADABLE, str(exc))


def by_structure(message: Message) -> Refusal | None:
    """What a message's parts say."""
    classified = classify(message, reverse_path_is_null=False)
    if (reason := _classified(classified)) is not None:
        return Refusal(reason)
    if any(part.content_type in _TNEF for part in message.root.walk()):
        return Refusal(reasons.TNEF)
    return None


def _classified(found: Classification) -> str | None:
    if found.rights_protected:
        return reasons.RIGHTS_PROTECTED
    if found.encrypted:
        return reasons.ENCRYPTED
    if found.signed:
        return reasons.SIGNED
    return reasons.MEETING if found.kind is Kind.MEETING else None


def by_subject(item: SentItem, content: Content) -> Refusal | None:
    """Whether its owner and a rule have both changed the subject; one that only its owner has changed stays his."""
    before, sent = content.received.subject, content.sent.subject
    return Refusal(reasons.EDITED) if sent != before and item.subject.split() != before.split() else None


def by_content(item: SentItem, received: Message) -> Refusal | None:
    """Whether the sender's own item still says what passed the relay, with all its attachments.

    Whoever may send through the relay may send in anybody's name, with the Message-ID of a message that he got: nothing
    of his may come into that sender's mailbox.
    """
    said, came = said_by(item), said_in(received)
    if not is_same(said, came) or hides_other_text(said, came):
        return Refusal(reasons.EDITED)
    if said.html is not None and came.html is not None and not are_links_same(said.html, came.html):
        return Refusal(reasons.EDITED, "links lead elsewhere")
    has, had = files_of(item), len(Contents(received).files)
    if had not in has or len(item.attachments) > had:  # more: what is no file, such as links to documents elsewhere
        return Refusal(reasons.ATTACHMENTS, f"the item has {len(item.attachments)}, the message had {had}")
    if had and not are_files_same(item, received):
        return Refusal(reasons.ATTACHMENTS, "as many as the message had, but others")
    return None


def came_of(received: Message) -> str:
    """A digest of what came to us, for the stamp of what is made of it."""
    said = said_in(received)
    pieces = (digest(Said(said.html, None)), digest(Said(None, said.text)), digest_of_links(said.html or ""))
    return blake2b(" ".join((*pieces, digest_of_files(received))).encode(), digest_size=16).hexdigest()


def by_stamp(item: SentItem, received: Message) -> Refusal | None:
    """Whether an item of ours says what it said, and was made of the same message as what is to take its place."""
    if (refusal := by_digest(item)) is not None:
        return refusal
    known = stamped_came(item.stamp)
    return None if not known or known == came_of(received) else Refusal(reasons.ANOTHER_MESSAGE)


def by_digest(item: SentItem) -> Refusal | None:
    """Whether an item of ours still says what it said when it was made."""
    known = stamped_text(item.stamp)
    return None if not known or has_digest(said_by(item), known) else Refusal(reasons.EDITED)


def files_of(item: SentItem) -> set[int]:
    """How many attachments it has: as the server counts them, and by its MIME where that is there.

    Servers differ in whether pictures in the text count.
    """
    counts = {len(item.attachments)}
    if item.mime:
        with suppress(LimitExceededError):
            counts.add(len(Contents(parse(item.mime)).files))
    return counts
