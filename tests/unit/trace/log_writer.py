"""Writes log files as the relay does, at times that a test chooses."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mta.events import Value, format_json, format_logfmt
from mta.model.queue_id import new_queue_id

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
"""Of today, for queue ids tell when they were made."""


class LogWriter:
    """Each call writes one line, a second after the last one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.component = "relay"
        self.at = NOON
        self.as_json = False

    def __call__(self, action: str, queue_id: str = "", **fields: Value) -> None:
        values: dict[str, Value] = {"queue_id": queue_id, **fields}
        time = self.at.isoformat(timespec="milliseconds")
        if self.as_json:
            line = format_json({"time": time, "level": "info", "action": action, **values})
        else:
            line = f"time={time} level=info action={action} {format_logfmt(values)}"
        self.raw(line + "\n")
        self.at += timedelta(seconds=1)

    def raw(self, text: str) -> None:
        """Anything, as it is."""
        with self.path.open("a") as file:
            file.write(text)

    @property
    def path(self) -> Path:
        return self.folder / f"{self.component}_{self.at:%Y-%m-%d}.log"

    def accepted(self, sender: str, *recipients: str, message_id: str = "<1@mail.example.com>") -> str:
        """A message comes in; gives its queue id."""
        queue_id = new_queue_id()
        self(
            "accepted", queue_id, listener="exchange", client="192.0.2.1", sender=sender,
            recipients=",".join(recipients), size=100, message_id=message_id,
        )  # fmt: skip
        return queue_id

    def compress(self) -> None:
        """The day's file as an administrator's logrotate leaves it."""
        path = self.path
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
