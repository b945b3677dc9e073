"""The labels as stored: which body, what it is, and where its quoted part begins."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("placement.tsv")


class LabelKind(Enum):
    """What a reader sees in a body."""

    ABOVE = "above"
    """The reply (or nothing) stands above the quoted part, which begins at the label's offset."""
    BOTTOM = "bottom"
    """The reply stands below or between quoted text."""
    NONE = "none"
    """Nothing is quoted."""
    RETURNED = "returned"
    """A bounce, or broken parts, with a raw message in the text: neither reply nor forward, not measured."""
    UNCLEAR = "unclear"
    """A reader can't tell either; not measured."""


@dataclass(frozen=True, slots=True)
class Label:
    """`offset` counts characters of the part's decoded text; None unless the kind is ABOVE."""

    path: str
    body: str
    kind: LabelKind
    offset: int | None


def body_hash(text: str) -> str:
    """Names a body within its message, and tells a label of another text from one of this."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


@cache
def labels() -> dict[tuple[str, str], Label]:
    """Every label by path and body hash."""
    with _FILE.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        found = [
            Label(row["path"], row["body"], LabelKind(row["kind"]), int(row["offset"]) if row["offset"] else None)
            for row in rows
        ]
    return {(label.path, label.body): label for label in found}
