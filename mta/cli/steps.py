"""Trials as their steps go: each with a green or red mark, what was seen, and how to mend what failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from mta.model.printable import printable

_MARKS = {True: "✔", False: "✘", None: "–"}
_WORDS = {True: "ok", False: "FAILED", None: "-"}
_COLOURS = {True: "\x1b[32m", False: "\x1b[31m", None: ""}


@dataclass(frozen=True, slots=True)
class Step:
    what: str
    is_good: bool | None
    """None: not tried."""
    text: str = ""
    mend: str = ""


Say = Callable[[Step], None]


def show(step: Step) -> None:
    """On the terminal."""
    mark = _MARKS[step.is_good]
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        mark = _WORDS[step.is_good]
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ and _COLOURS[step.is_good]:
        mark = f"{_COLOURS[step.is_good]}{mark}\x1b[0m"
    print(f"{mark} {printable(step.what)}{': ' if step.text else ''}{printable(step.text)}")
    if step.mend:
        print(f"  {printable(step.mend)}")
    sys.stdout.flush()
