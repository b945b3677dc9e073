"""Which troubles there are, since when, and which channel has told of them. Kept in a file, so that a restart neither
forgets nor repeats."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mta.ports.notification import Notice
from mta.watch.trouble import Trouble, plain

STATE_FILE = "alerts.json"
"""Its name in the spool's folder."""
_STATE_MAX = 10_000_000
"""Octets; a larger file is none of ours."""
_CALMED_AFTER = timedelta(days=1)
"""What returns sooner after it was over is flapping."""
_TURN_MAX = timedelta(minutes=3)
"""How long looking and telling may take where disks and servers hang."""
_DOUBLED_MAX = 6
"""How often the time is doubled for which something that flaps has to be gone."""


@dataclass(slots=True)
class Entry:
    """One trouble, from its beginning until everybody who knows of it knows that it is over."""

    trouble: Trouble
    since: datetime
    last_seen: datetime
    over_at: datetime | None = None
    told: dict[str, datetime] = field(default_factory=dict)
    """When each channel told of it last."""
    returns: int = 0
    """How often it came back soon after it was over."""

    def not_after(self, now: datetime) -> None:
        """The clock was set back: what seems to lie ahead counts as now, or nothing would be told until then."""
        self.since, self.last_seen = min(self.since, now), min(self.last_seen, now)
        self.over_at = None if self.over_at is None else min(self.over_at, now)
        self.told = {channel: min(at, now) for channel, at in self.told.items()}


@dataclass(frozen=True, slots=True)
class Changes:
    """What an update found to be new."""

    begun: tuple[Trouble, ...]
    over: tuple[Trouble, ...]


class Board:
    """`ends_after` is how long a trouble has to be gone before it counts as over: what comes and goes is one.

    Each time that it returns within a day it has to be gone for twice as long, so that what flaps all night is told of
    a few times only.
    """

    def __init__(self, *, ends_after: timedelta, repeat: timedelta) -> None:
        self.ends_after = ends_after
        self.repeat = repeat
        self.looked_at: datetime | None = None
        """When somebody looked last."""
        self.holds_until: datetime | None = None
        """When somebody should have looked again by now."""
        self._entries: dict[str, Entry] = {}

    @property
    def current(self) -> Sequence[Entry]:
        """What is wrong, oldest first."""
        return sorted((e for e in self._entries.values() if e.over_at is None), key=lambda entry: entry.since)

    def update(self, troubles: Iterable[Trouble], looked_at: Collection[str], now: datetime) -> Changes:
        """Take in what was found by those who look for the kinds in `looked_at`; other kinds stay as they are."""
        found = {trouble.key: trouble for trouble in troubles}
        begun, over = [], []
        self.looked_at, self.holds_until = now, now + self.ends_after + _TURN_MAX
        for known in self._entries.values():
            known.not_after(now)
        for key, trouble in found.items():
            entry = self._entries.get(key)
            if entry is None or entry.over_at is not None:
                # Who has not heard yet that it was over need not hear it any more, and hears that it is there again.
                self._entries[key] = Entry(trouble, now, now, returns=entry.returns + 1 if entry is not None else 0)
                begun.append(trouble)
            else:
                entry.trouble, entry.last_seen = trouble, now
        for key, entry in self._entries.items():
            is_gone = key not in found and entry.trouble.kind in looked_at and entry.over_at is None
            if is_gone and now - entry.last_seen >= self.ends_after * 2 ** min(entry.returns, _DOUBLED_MAX):
                entry.over_at = now
                over.append(entry.trouble)
        return Changes(tuple(begun), tuple(over))

    def due(self, channel: str, now: datetime) -> tuple[Notice, ...]:
        """What a channel has to tell now."""
        notices = []
        for entry in self._entries.values():
            told = entry.told.get(channel)
            if entry.over_at is not None:
                if told is not None:
                    notices.append(_notice(entry, "over"))
            elif told is None:
                notices.append(_notice(entry, "begun"))
            elif now - told >= self.repeat:
                notices.append(_notice(entry, "lasts"))
        return tuple(notices)

    def was_told(self, channel: str, notices: Iterable[Notice], now: datetime) -> None:
        """The channel has told of these."""
        for notice in notices:
            entry = self._entries.get(notice.key)
            if entry is None:
                continue
            if notice.state == "over":
                entry.told.pop(channel, None)
            else:
                entry.told[channel] = now

    def forget(self, channels: Collection[str], now: datetime) -> None:
        """Drop what is over for a day and known to be; `channels` are those that there are now."""
        done = [
            key
            for key, entry in self._entries.items()
            if entry.over_at is not None
            and now - entry.over_at >= _CALMED_AFTER
            and not any(channel in channels for channel in entry.told)
        ]
        for key in done:
            del self._entries[key]

    # --- the file ---

    def write(self, path: Path) -> None:
        """Replace the file. Raises OSError."""
        entries = [_entry_to_json(entry) for entry in self._entries.values()]
        times = {"looked_at": self.looked_at, "holds_until": self.holds_until}
        data = {**{name: at.isoformat() if at else None for name, at in times.items()}, "entries": entries}
        temporary = path.with_name(path.name + ".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(data, file, indent=1)
        temporary.replace(path)

    def read(self, path: Path) -> None:
        """Take over what a former process knew; nothing where the file is missing or damaged: then all is told anew."""
        try:
            with path.open("rb") as file:
                data = json.loads(file.read(_STATE_MAX))
            times = [None if data[name] is None else _moment(data[name]) for name in ("looked_at", "holds_until")]
            entries = [_entry_from_json(each) for each in data["entries"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        self.looked_at, self.holds_until = times
        self._entries = {entry.trouble.key: entry for entry in entries}


def _notice(entry: Entry, state: Any) -> Notice:
    trouble = entry.trouble
    return Notice(trouble.key, trouble.kind, state, trouble.subject, trouble.text, entry.since)


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    return {
        **asdict(entry.trouble),
        "since": entry.since.isoformat(),
        "last_seen": entry.last_seen.isoformat(),
        "over_at": entry.over_at.isoformat() if entry.over_at is not None else None,
        "told": {channel: at.isoformat() for channel, at in entry.told.items()},
        "returns": entry.returns,
    }


def _entry_from_json(data: dict[str, Any]) -> Entry:
    return Entry(
        plain(Trouble(str(data["key"]), str(data["kind"]), str(data["subject"]), str(data["text"]))),
        _moment(data["since"]),
        _moment(data["last_seen"]),
        _moment(data["over_at"]) if data["over_at"] is not None else None,
        {str(channel): _moment(at) for channel, at in data["told"].items()},
        int(data["returns"]),
    )


def _moment(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment
