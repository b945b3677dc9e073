"""Strips attachments, then adds those of the organisation."""

from __future__ import annotations

from collections.abc import Sequence

from mta.message.attachments import attachments
from mta.message.attachments.attach import attach
from mta.message.edit import CannotEditError, Edit, combine, composed, joined
from mta.message.parse import Message, parse
from mta.model.actions import Action, AddAttachment, StripAttachments
from mta.model.reply import MailError
from mta.relay.stamp.content.added_files import AddedFile, part_of, read_file, sender_card
from mta.relay.stamp.content.changes import Content, PartOutcome, on_error_of
from mta.relay.stamp.content.strip import Stripping
from mta.relay.stamp.context import Failed


def change_parts(actions: Sequence[Action], message: Message, content: Content) -> PartOutcome:
    """Edits over `message` of all strip-attachments and add-attachment, and those that could not be carried out.

    What is added is never stripped, whatever the order of the rules.
    """
    stripping = Stripping(message, content)
    for action in actions:
        if isinstance(action, StripAttachments):
            stripping.plan(action)
    edits = stripping.edits()
    added, failed = _files([action for action in actions if isinstance(action, AddAttachment)], message, content)
    parts = [*stripping.apart.values(), *map(part_of, added.values())]
    if parts:
        try:
            edits = _with_parts(message, edits, parts)
        except CannotEditError as exc:
            failed += [Failed(action.rule, str(exc), on_error_of(action)) for action in (*stripping.apart, *added)]
    return PartOutcome(edits, (*stripping.failed, *failed))


def _files(
    actions: Sequence[AddAttachment], message: Message, content: Content
) -> tuple[dict[AddAttachment, AddedFile], list[Failed]]:
    """What is to be attached: not what is there already under the same name, from a server before us."""
    added: dict[AddAttachment, AddedFile] = {}
    failed: list[Failed] = []
    there = {(each.name, each.size_octets): each for each in attachments(message)} if actions else {}
    for action in actions:
        try:
            file = read_file(action) if action.file else sender_card(action, content.context)
        except OSError as exc:
            error = f"the file to attach can't be read: {exc.strerror or type(exc).__name__}"
            failed.append(Failed(action.rule, error, action.on_error))
            continue
        except MailError as exc:
            failed.append(Failed(action.rule, f"the directory does not answer: {exc.reply.text}", action.on_error))
            continue
        if file is None or file in added.values():
            continue
        known = there.get((file.filename, len(file.data)))
        if known is None or known.octets != file.data:
            added[action] = file
    return added, failed


def _with_parts(message: Message, edits: Sequence[Edit], parts: Sequence[bytes]) -> Sequence[Edit]:
    if not edits or message.root.is_multipart:
        return combine((*edits, *attach(message, parts)))
    # A message that was one attachment: what it is now gets its new structure.
    changed = parse(joined(message.data, edits))
    return composed(edits, attach(changed, parts))
