"""Values in PowerShell scripts and in Exchange's filters: nobody who names a group or an address writes code.

Scripts are ASCII whatever they say. Windows PowerShell 5.1 reads a file without a byte order mark in the system's code
page, where octets of UTF-8 turn into quotation marks: Ñ would end a string.
"""

from __future__ import annotations

import re


class UnquotableError(ValueError):
    """The value can't stand in a script, or says what Exchange can't."""


def quoted(text: str) -> str:
    """A string expression: single quotes doubled, what isn't ASCII by number. Raises UnquotableError.

    about_Quoting_Rules: nothing is expanded in single quotes. PowerShell takes ‘ ’ ‚ ‛ for single quotes; as they are
    not ASCII, they never stand in the script.
    """
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        raise UnquotableError("holds a control character")
    parts: list[str] = []
    for run in re.findall(r"[ -~]+|[^ -~]+", text):
        if run.isascii():
            parts.append("'" + run.replace("'", "''") + "'")
        else:
            units = run.encode("utf-16-be", "surrogatepass")
            parts += [f"[char]0x{units[at]:02X}{units[at + 1]:02X}" for at in range(0, len(units), 2)]
    if not parts or not parts[0].startswith("'"):
        parts.insert(0, "''")  # a string first, so that + joins
    return parts[0] if len(parts) == 1 else "(" + " + ".join(parts) + ")"


def listed(texts: tuple[str, ...]) -> str:
    """An array expression."""
    return "@(" + ", ".join(quoted(text) for text in texts) + ")"


def comment(text: str) -> str:
    """Text for a `#` line: it can't end the line."""
    return re.sub(r"[^ -~]", "?", text)


def address_filter(pattern: str, *, is_cloud: bool) -> str:
    """A recipient filter for one address of the configuration, where `*` stands for anything.

    New-ManagementScope: on-premises a `*` is first or last; in the cloud it can't be first. Raises UnquotableError.
    """
    if re.search(r"[\"$`\\‘-‟]|[^!-~]", pattern):
        raise UnquotableError(f"{pattern!r} holds what a recipient filter can't")
    if "*" not in pattern:
        return f"EmailAddresses -eq 'smtp:{_doubled(pattern)}'"
    if "*" in pattern.strip("*"):
        raise UnquotableError(f"{pattern!r} has * in the middle; Exchange takes it first or last")
    if pattern.startswith("*") and is_cloud:
        text = f"{pattern!r} begins with *, which Exchange Online doesn't take in a scope; name a group instead"
        raise UnquotableError(text)
    prefix = "" if pattern.startswith("*") else "smtp:"
    return f"EmailAddresses -like '{prefix}{_doubled(pattern)}'"


def _doubled(text: str) -> str:
    return text.replace("'", "''")
