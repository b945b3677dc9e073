"""`stampline records export`: all that matches, in flat memory."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from mta.cli.command import ExitCode
from mta.cli.queue_spool import read_configuration, with_store
from mta.cli.records_filters import filter_of
from mta.cli.records_look import note_to_json, record_to_json
from mta.model.record import Note, Record
from mta.ports.tracking_store import TrackingStore

_TOLD_EVERY_S = 2.0
_COLUMNS = (
    "organisation", "record", "state", "title", "requester", "owner", "source", "created_at", "updated_at", "closed_at",
    "notes", "fields",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Write = Callable[[Record, Sequence[Note]], None]


def run(arguments: argparse.Namespace) -> int:
    """To standard output; how far it is, to standard error."""
    which = filter_of(arguments)
    write = _csv_writer() if arguments.csv else _write_json

    async def use(store: TrackingStore) -> int:
        total = sum((await store.count_records(which)).values())
        done, told_at = 0, time.monotonic()
        async for record, notes in store.export(which):
            write(record, notes)
            done += 1
            if time.monotonic() - told_at >= _TOLD_EVERY_S:
                told_at = time.monotonic()
                print(f"{done} of {total} records", file=sys.stderr)
        print(f"{done} record{'s' if done != 1 else ''} exported", file=sys.stderr)
        return ExitCode.OK

    return with_store(read_configuration(arguments), use)


def _write_json(record: Record, notes: Sequence[Note]) -> None:
    values = {**record_to_json(record), "notes": [note_to_json(note) for note in notes]}
    print(json.dumps(values, separators=(",", ":")))


def _csv_writer() -> Write:
    sys.stdout.write("\ufeff")  # by which Excel knows that it is UTF-8
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)

    def write(record: Record, _: Sequence[Note]) -> None:
        values = {**record_to_json(record), "fields": json.dumps(dict(record.fields), ensure_ascii=False)}
        writer.writerow([_cell(values[name]) for name in _COLUMNS])

    return write


def _cell(value: Any) -> str:
    """Strangers choose titles: no spreadsheet takes one for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
