"""The note that a message makes: whose it is, what it says, which files it has."""

from __future__ import annotations

from dataclasses import dataclass

from mta.model.printable import printable
from mta.model.record import AddNote
from mta.tracking.record.draft import Draft
from mta.tracking.record.facts import MessageFacts
from mta.tracking.record.files import NoteFiles, note_files
from mta.tracking.record.wording import Wording

TEXT_MAX = 200_000
"""Characters of a note; the rest is left out, and the note says so."""
NO_TEXT = "(no text)"
ENCRYPTED = "(encrypted: open the message in a mail program that has the key)"
HELD = "held"
"""Kind of the note of somebody who does not take part."""
_NAME_MAX = 200


@dataclass(frozen=True, slots=True)
class PlannedNote:
    """What a rule says of it."""

    text: str = "newest"
    """`newest` or `whole`; what the desk has nothing of is kept whole in any case."""
    wording: Wording | None = None
    """Instead of the message's text."""
    kind: str = ""
    """"" for what the message is."""
    is_public: bool | None = None
    attach: str = "all"

    def of(self, draft: Draft) -> AddNote:
        """Of a draft with a transaction."""
        transaction, message = draft.transaction, draft.message
        assert transaction is not None
        if message is None:
            text = self.wording.of(draft) if self.wording is not None else ""
            return AddNote(transaction, "", "", self.kind or "system", text or NO_TEXT, "", bool(self.is_public))
        files = self._files(draft, message)
        author, name = author_of(draft, message)
        kind = self.kind or kind_of(draft, message)
        is_public = (kind in ("received", "sent")) if self.is_public is None else self.is_public
        return AddNote(
            transaction, author, name, kind, self._text(draft, message, files),
            message.incoming.message_id, is_public, files.kept,
        )  # fmt: skip

    def _files(self, draft: Draft, message: MessageFacts) -> NoteFiles:
        if self.attach == "none":
            return NoteFiles()
        return note_files(
            message.incoming.parsed, draft.defaults.restricted, with_pictures=self.attach == "all",
            known=draft.known_files,
        )  # fmt: skip

    def _text(self, draft: Draft, message: MessageFacts, files: NoteFiles) -> str:
        incoming = message.incoming
        if self.wording is not None:
            said = self.wording.of(draft)
        else:
            is_whole = self.text == "whole" or _is_all_new(draft, message)
            said = (incoming.text if is_whole else incoming.newest) or incoming.text
        said = printable(said).strip("\n").rstrip()
        if len(said) > TEXT_MAX:
            said = f"{said[:TEXT_MAX]}\n[The rest of {len(said)} characters is left out]"
        parts = [said or (ENCRYPTED if incoming.classification.encrypted else NO_TEXT), files.told]
        if len(incoming.subject) > draft.defaults.subject_length:
            parts.insert(0, f"Subject: {printable(incoming.subject)[:TEXT_MAX]}")
        return "\n\n".join(part for part in parts if part)


def _is_all_new(draft: Draft, message: MessageFacts) -> bool:
    """Whether the desk has nothing of what the message quotes: a forward that it gets, or an answer to what it never
    got."""
    incoming = message.incoming
    if draft.outcome == "new":
        return incoming.is_forward or bool(incoming.in_reply_to or incoming.references)
    return incoming.is_forward and not incoming.is_sent


def author_of(draft: Draft, message: MessageFacts) -> tuple[str, str]:
    """Address key and name: of the person where we know him, else of the record's owner, with the name that the
    and address that the message gives, so that nobody takes it for the owner's words."""
    incoming = message.incoming
    author = incoming.author
    said = printable(author.display or str(author.address))[:_NAME_MAX] if author is not None else ""
    if message.sender is not None:
        return message.sender.address, message.sender.attributes.get("displayName", "")[:_NAME_MAX] or said
    if incoming.author_key and (message.is_known or message.takes_part or _is_requester(draft, message)):
        return incoming.author_key, said
    if author is not None:
        said = f"{printable(author.display)[:_NAME_MAX]} <{printable(str(author.address))}>".lstrip()
    return (draft.record.owner if draft.record is not None else ""), said


def _is_requester(draft: Draft, message: MessageFacts) -> bool:
    return (
        draft.record is not None
        and draft.outcome != "pending"
        and message.incoming.is_authenticated is not False
        and draft.record.requester == message.incoming.author_key
    )


def kind_of(draft: Draft, message: MessageFacts) -> str:
    """`received` and `sent` are people's words in the conversation; everything else is no unread work."""
    if draft.outcome == "pending":
        return HELD
    if not message.is_personal:
        return message.incoming.automatic.value
    return "sent" if message.incoming.is_sent else "received"
