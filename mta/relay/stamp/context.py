"""What templates are rendered with, and what stamping a group's copy gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mta.message.edit import Edit
from mta.model.actions import OnError
from mta.model.person import Person

KeepFile = Callable[[Path, str, bytes], None]
"""Writes octets under a name into a folder, durably. Raises OSError."""


@dataclass(frozen=True, slots=True)
class StampContext:
    """The same for every group of a message, and for every attempt: nothing in it may depend on the hour of the day."""

    people: Mapping[str, Person]
    """Sender, recipients and their managers by address key, as the directory gave them."""
    sender: str
    """Address key that the rules judged as the sender; "" for the null reverse-path."""
    now: datetime
    """The time of acceptance, aware."""
    organisation: Mapping[str, str] = field(default_factory=dict)
    """The organisation's attributes from the configuration, and `name`."""
    is_trusted: bool = True
    """Whether the message is of ourselves or of a verified sender of ours. What a stranger sends, by whatever way,
    holds no stamp of a server of ours, only words and markers like it, written there to keep a warning out."""
    origin: str = ""
    """What tells the organisation's stamps from those of others who run this program: its first accepted domain."""

    keep: KeepFile | None = None
    """Keeps what is taken out of the message; None where nothing is to be kept, as in an explanation."""


class Skipped(NamedTuple):
    """A stamp that was rightly not put on, for example because it stands there already."""

    template: str
    reason: str
    rule: str = ""


class Failed(NamedTuple):
    """An action that could not be carried out; `on_error` says what the pipeline has to do about it."""

    rule: str
    error: str
    on_error: OnError
    template: str = ""


@dataclass(frozen=True, slots=True)
class StampOutcome:
    """`edits` over the received bytes, sorted and free of overlaps; empty where nothing changes."""

    edits: tuple[Edit, ...] = ()
    stamped: tuple[str, ...] = ()
    """Names of the templates that were put on, in the order of the rules."""
    skipped: tuple[Skipped, ...] = ()
    failed: tuple[Failed, ...] = ()
