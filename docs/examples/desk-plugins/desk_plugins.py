"""Two plug-ins for Stampline: a sink that keeps a journal in CSV, and columns from a record's fields."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from mta.ports.record_sink import Refuse, Retry

COLUMNS = ("idempotency_key", "at", "event", "module", "number", "state", "requester", "note_by")


class CsvJournal:
    """A line for each event: `settings: {file: /var/lib/stampline/journal.csv}`.

    It may be called from several threads, and again for what it has written already: the key tells.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._file = Path(settings["file"])
        self._lock = Lock()

    def __call__(self, event: Mapping[str, Any]) -> None:
        record = event.get("record")
        if not isinstance(record, dict):
            raise Refuse("an event without a record")
        note = event.get("note") or {}
        line = {**event, **record, "note_by": note.get("author", "")}
        with self._lock:
            try:
                self._write({name: _cell(line.get(name, "")) for name in COLUMNS})
            except BlockingIOError as exc:
                raise Retry("the journal is locked") from exc

    def _write(self, line: Mapping[str, str]) -> None:
        if self._file.exists():
            with self._file.open(newline="", encoding="utf-8") as lines:
                if any(each["idempotency_key"] == line["idempotency_key"] for each in csv.DictReader(lines)):
                    return
        with self._file.open("a", newline="", encoding="utf-8") as journal:
            writer = csv.DictWriter(journal, COLUMNS)
            if journal.tell() == 0:
                writer.writeheader()
            writer.writerow(line)
            journal.flush()
            os.fsync(journal.fileno())


def _cell(value: object) -> str:
    """Strangers choose addresses and fields: no spreadsheet is to take one for a formula."""
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


class RecordFields:
    """Columns for Outlook: `columns_settings: {fields: {Priority: priority, Costs: costs}}`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._fields = dict(settings.get("fields", {}))

    def __call__(self, record: Mapping[str, Any]) -> Mapping[str, str | int]:
        fields = record.get("fields", {})
        columns: dict[str, str | int] = {"Ticket": int(record["number"]), "State": str(record["state"])}
        for column, name in self._fields.items():
            value = str(fields.get(name, ""))
            columns[column] = int(value) if value.isdecimal() and len(value) < 10 else value
        return columns
