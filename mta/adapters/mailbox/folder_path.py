"""Paths of folders in Exchange, as the configuration has them: `Inbox/Tickets`; a slash within a name is `\\/`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mta.ports.mailbox import RefusedError

WELL_KNOWN = frozenset({"inbox", "drafts", "outbox", "sentitems", "deleteditems", "junkemail"})
"""Folders that EWS and Graph find by these names, whatever the mailbox's language calls them."""
_PART = re.compile(r"(?:\\.|[^\\/])+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LONGEST = 255
_DEEPEST = 20


def parts_of(path: str) -> tuple[str, ...]:
    """The folders' names from the top down. Raises RefusedError for what can't be a path."""
    parts = tuple(_ESCAPED.sub(r"\1", part).strip() for part in _PART.findall(path))
    if (
        not parts
        or len(parts) > _DEEPEST
        or not all(part.isprintable() and 0 < len(part) <= _LONGEST for part in parts)
    ):
        raise RefusedError("no-name", "this can't be the name of a folder")
    return parts


def path_of(parts: Iterable[str]) -> str:
    """What `parts_of` reads."""
    return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in parts)


def well_known(part: str) -> str:
    """The name in `WELL_KNOWN` that `Sent Items` or `inbox` on top of a path stands for; "" for none."""
    name = part.replace(" ", "").lower()
    return name if name in WELL_KNOWN else ""
