"""Takes attachments out of a message: keeps them where that is asked, and leaves a notice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import unquote

from mta.message.attachments import Attachment, Wanted, attachments
from mta.message.attachments.take_out import NOTICE_NAME, can_hold_notice, needs_notice, notice_part, take_out
from mta.message.edit import CannotEditError, Edit
from mta.message.parse import Message
from mta.message.part import Part
from mta.model.actions import StripAttachments
from mta.relay.stamp.content.changes import Content
from mta.relay.stamp.content.kept_names import kept_name
from mta.relay.stamp.context import Failed

NOTICE = "Removed by policy:\n{names}"
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_CID = re.compile(r"cid:([^\s\"'<>()]{1,500})")
_NOTICE_MAX = 200_000  # characters


@dataclass
class Stripping:
    """What is taken of one message; an action that fails takes nothing."""

    message: Message
    content: Content
    taken: dict[Part, StripAttachments] = field(default_factory=dict)
    failed: list[Failed] = field(default_factory=list)
    apart: dict[StripAttachments, bytes] = field(default_factory=dict)
    """Notices that have no place where something was taken out, as parts to attach."""
    _lines: dict[Part, str] = field(default_factory=dict)

    def plan(self, action: StripAttachments) -> None:
        """Find, and keep, what one action takes; what an earlier one took is gone."""
        wanted = _wanted(action)
        found = [each for each in self._candidates(action) if each.part not in self.taken and wanted.meets(each)]
        lines: dict[Part, str] = {}
        for attachment in found:
            try:
                lines[_unit(attachment.part)] = self._keep(action, attachment)
            except OSError as exc:
                error = f"an attachment could not be kept: {exc.strerror or type(exc).__name__}"
                self.failed.append(Failed(action.rule, error, action.on_error))
                return
        self._lines |= lines
        self.taken |= dict.fromkeys(lines, action)

    def edits(self) -> Sequence[Edit]:
        """The edits of all actions; where the message can't be changed they all fail."""
        if not self.taken:
            return ()
        actions = dict.fromkeys(self.taken.values())
        places: dict[StripAttachments, Part] = {}
        for part, action in self.taken.items():
            if can_hold_notice(part):
                places.setdefault(action, part)
        notices = {
            part: self._notice(action) if places.get(action) is part or needs_notice(part, self.taken) else ""
            for part, action in self.taken.items()
        }
        told = {action for part, action in self.taken.items() if notices[part]}
        try:
            edits = take_out(notices)
        except CannotEditError as exc:
            self.failed += [Failed(action.rule, str(exc), action.on_error) for action in actions]
            return ()
        self.apart = {action: notice_part(self._notice(action)) for action in actions if action not in told}
        return edits

    def _candidates(self, action: StripAttachments) -> list[Attachment]:
        """Not TNEF, which holds all of Outlook's content, no notice of ours, and pictures in the text only if asked."""
        found = [each for each in attachments(self.message) if not _is_kept_out(each)]
        if action.inline:
            known = {each.part for each in found}
            pictures = [part for part in self.message.root.walk() if _is_picture(part) and part not in known]
            return found + [Attachment(part, self.message) for part in pictures]
        return [each for each in found if not (each.media_type.startswith("image/") and self._is_shown(each.part))]

    def _is_shown(self, part: Part) -> bool:
        """Whether a text shows it by its Content-ID."""
        cid = part.content_id.lower()
        return bool(cid) and cid in self._shown

    @cached_property
    def _shown(self) -> frozenset[str]:
        """The Content-IDs that the HTML texts name, in lower case."""
        texts = (body.folded for body in self.content.bodies if body.is_html)
        return frozenset(unquote(match) for text in texts for match in _CID.findall(text))

    def _keep(self, action: StripAttachments, attachment: Attachment) -> str:
        """The notice's line of it. Raises OSError."""
        line = f"- {attachment.shown_name} ({attachment.media_type}, {attachment.size_octets} octets)"
        if not action.folder:
            return line
        name = kept_name(attachment.name, attachment.octets)
        if self.content.context.keep is not None:
            self.content.context.keep(Path(action.folder), name, attachment.octets)
        return f"{line}, kept as {name}"

    def _notice(self, action: StripAttachments) -> str:
        names = "\n".join(self._lines[part] for part, by in self.taken.items() if by is action)
        text = action.notice or NOTICE
        for key, value in (("place", action.folder), ("rule", action.rule), ("names", names)):
            text = text.replace(f"{{{key}}}", value)
        return text[:_NOTICE_MAX]


@lru_cache(maxsize=256)
def _wanted(action: StripAttachments) -> Wanted:
    return Wanted(
        action.names,
        action.extensions,
        action.types,
        over=action.larger_than or None,
        mismatch=action.mismatch,
        encrypted=action.encrypted,
        executable=action.executable,
    )


def _unit(part: Part) -> Part:
    """What goes together: a Macintosh file's two forks."""
    parent = part.parent
    return parent if parent is not None and parent.content_type == "multipart/appledouble" else part


def _is_kept_out(attachment: Attachment) -> bool:
    part = attachment.part
    if part.content_type in _TNEF or attachment.media_type in _TNEF:
        return True
    is_notice = part.filename == NOTICE_NAME and part.disposition == "inline"
    return is_notice and part.content_type == attachment.media_type == "text/plain"


def _is_picture(part: Part) -> bool:
    parent = part.parent
    is_beside = parent is not None and parent.content_type == "multipart/related" and parent.related_root is not part
    return is_beside and part.content_type.startswith("image/")
