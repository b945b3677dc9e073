"""Makes actions on texts and attachments of what a rule file says."""

from __future__ import annotations

import re
from pathlib import Path

import re2

from mta.config.yaml_values import Loc
from mta.message.attachments.libmagic import LibmagicMissingError, require
from mta.message.patterns.text_patterns import PatternError, compile_regex
from mta.model import actions as model
from mta.relay.decide.actions.content_schema import (
    AddAttachmentAction,
    MaskAction,
    RemoveKeywordsAction,
    RemoveStampsAction,
    RemoveTextAction,
    ReplaceTextAction,
    StripAttachmentsAction,
)
from mta.relay.decide.actions.makers import Fixed
from mta.relay.decide.actions.rule_actions import Makers, RuleActions

FILE_MAX = 10_000_000
"""Octets of a file that a rule attaches."""
_REFERENCE = re.compile(r"\\([0-9])")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_PLACEHOLDERS = ("names", "place", "rule")
_BLANK = r"[ \t\x{a0}]"


class ContentActions(RuleActions):
    """One method for each of these actions, by its name."""

    # --- texts --------------------------------------------------------------------------------------------------------

    def replace_text(self, written: ReplaceTextAction, loc: Loc) -> Makers:
        yield from self._replacing(written, loc, "replace-text", written.with_)

    def remove_text(self, written: RemoveTextAction, loc: Loc) -> Makers:
        yield from self._replacing(written, loc, "remove-text", "")

    def remove_keywords(self, written: RemoveKeywordsAction, loc: Loc) -> Makers:
        words = "|".join(_keyword(text) for text in written.keywords)
        action = model.ReplaceText(
            rule=self._rule,
            # The white space on one side goes with it.
            find=rf"{_BLANK}+(?:{words})|(?:{words}){_BLANK}*",
            is_regex=True,
            where=written.in_,
            on_error=self._on_error,
        )
        yield Fixed(action, f"remove-keywords: {', '.join(written.keywords)}")

    def mask(self, written: MaskAction, loc: Loc) -> Makers:
        yield from self._replacing(written, loc, "mask", "", written.with_, written.keep_last)

    def _replacing(
        self,
        written: ReplaceTextAction | RemoveTextAction | MaskAction,
        loc: Loc,
        name: str,
        replacement: str,
        mask: str = "",
        keep_last: int = 0,
    ) -> Makers:
        find, is_regex = written.find or "", False
        if written.regex is not None:
            find, is_regex = written.regex, True
            if not self._is_sound(find, replacement, loc):
                return
        elif written.match_case:
            find, is_regex = rf"(?-i:{_flexible(find)})", True
            replacement = replacement.replace("\\", r"\\")
        action = model.ReplaceText(
            rule=self._rule,
            find=find,
            is_regex=is_regex,
            replacement=replacement,
            mask=mask,
            keep_last=keep_last,
            where=written.in_,
            on_error=self._on_error,
        )
        yield Fixed(action, f"{name}: {written.find or written.regex}")

    def _is_sound(self, regex: str, replacement: str, loc: Loc) -> bool:
        try:
            pattern = compile_regex(regex)
        except PatternError as exc:
            self._problem((*loc, "regex"), str(exc), exc.mend)
            return False
        if pattern.search("") is not None:
            self._problem((*loc, "regex"), f"regex {regex!r} matches the empty text", "write + instead of *, or {1,9}")
            return False
        groups = re2.compile(regex).groups
        highest = max(map(int, _REFERENCE.findall(replacement.replace(r"\\", ""))), default=0)
        if highest > groups:
            self._problem((*loc, "with"), f"\\{highest} names no group of the regex", f"it has {groups}")
            return False
        return True

    def remove_stamps(self, written: RemoveStampsAction, loc: Loc) -> Makers:
        names = () if written.templates == ("all",) else written.templates
        for n, name in enumerate(names):
            self._check_template(name, (*loc, "templates", n))
        action = model.RemoveStamps(rule=self._rule, templates=names)
        yield Fixed(action, f"remove-stamps: {', '.join(names) or 'all'}")

    # --- attachments --------------------------------------------------------------------------------------------------

    def strip_attachments(self, written: StripAttachmentsAction, loc: Loc) -> Makers:
        if written.folder is not None:
            self._check_folder(Path(written.folder), (*loc, "folder"))
        for name in _PLACEHOLDER.findall(written.notice or ""):
            if name not in _PLACEHOLDERS:
                known = ", ".join(f"{{{known}}}" for known in _PLACEHOLDERS)
                self._problem((*loc, "notice"), f"{{{name}}} is not known here", f"there are {known}")
        if written.type is not None or written.mismatch is not None:
            self._check_library(loc)
        yield Fixed(
            model.StripAttachments(
                rule=self._rule,
                names=tuple(name.lower() for name in written.name or ()),
                extensions=tuple(extension.lower().lstrip(".") for extension in written.extension or ()),
                types=tuple(kind.lower() for kind in written.type or ()),
                larger_than=written.size.over if written.size is not None else 0,
                mismatch=written.mismatch,
                encrypted=written.encrypted,
                executable=written.executable,
                inline=written.inline,
                folder=written.folder or "",
                notice=written.notice or "",
                on_error=self._on_error,
            ),
            "strip-attachments",
        )

    def _check_folder(self, folder: Path, loc: Loc) -> None:
        if not folder.is_absolute():
            self._problem(loc, f"{str(folder)!r} is not an absolute path", "write it as /var/lib/stampline/removed")
        elif folder.exists() and not folder.is_dir():
            self._problem(loc, f"{str(folder)!r} is not a folder", "name a folder; it is made if it isn't there")

    def _check_library(self, loc: Loc) -> None:
        try:
            require()
        except LibmagicMissingError as exc:
            self._problem(loc, f"types of attachments can't be told: {exc}", "apt-get install libmagic1")

    def add_attachment(self, written: AddAttachmentAction, loc: Loc) -> Makers:
        name = written.name or (Path(written.file).name if written.file is not None else "contact.vcf")
        if not name.isprintable() or "/" in name or "\\" in name:
            self._problem((*loc, "name"), f"{name!r} is no file name", "write it without folders and line ends")
        file = ""
        if written.file is not None:
            path = self._file(written.file, (*loc, "file"))
            if path is None:
                return
            file = str(path)
        action = model.AddAttachment(
            rule=self._rule, file=file, vcard=written.vcard or "", filename=name, on_error=self._on_error
        )  # fmt: skip
        yield Fixed(action, f"add-attachment: {name}")

    def _file(self, written: str, loc: Loc) -> Path | None:
        """The file beside the rules; None where it was reported."""
        folder = self._document.file.parent.resolve()
        path = (folder / written).resolve()
        what = mend = ""
        if not path.is_relative_to(folder):
            what, mend = "is outside the rules' folder", "put the file beside the rules, or in a folder there"
        elif not path.is_file():
            what, mend = "is not there" if not path.exists() else "is no file", "correct the name"
        elif path.stat().st_size > FILE_MAX:
            what, mend = f"is larger than {FILE_MAX // 1_000_000} MB", "attach a smaller file, or send a link"
        else:
            try:
                path.open("rb").close()
            except OSError as exc:
                what, mend = f"can't be read: {exc.strerror}", "correct its permissions"
        if what:
            self._problem(loc, f"{written!r} {what}", mend)
            return None
        return path


def _flexible(text: str) -> str:
    return r"\s+".join(re2.escape(word) for word in text.split())


def _keyword(text: str) -> str:
    """Not inside a longer word, where it begins or ends like one."""
    before = r"\b" if re.match(r"[A-Za-z0-9_]", text.strip()) else ""
    behind = r"\b" if re.search(r"[A-Za-z0-9_]\Z", text.strip()) else ""
    return f"{before}{_flexible(text)}{behind}"
