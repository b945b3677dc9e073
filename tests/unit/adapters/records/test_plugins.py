"""Plug-ins: found by their entry points, called in their time, and none of them stops another."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.records import open_sink
from mta.adapters.records.columns import PluggedColumns
from mta.config.tracking_schema import PluginSink
from mta.plugin_threads import STUCK_MAX
from mta.ports.record_sink import RecordSink, SinkCall
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError
from tests.servers.plugins import install, install_example

MODULE = """
import asyncio, sys, threading
from datetime import timedelta
from mta.ports.record_sink import Refuse, Retry

seen, gate = [], threading.Event()

def note(event): seen.append(event)
async def note_later(event):
    await asyncio.sleep(0)
    seen.append(event)
def retry(event): raise Retry("busy\\n" + "x" * 500, after=timedelta(minutes=3))
def refuse(event): raise Refuse("no such project")
def fail(event): raise ValueError("content of a record")
def leave(event): sys.exit(1)
def interrupt(event): raise KeyboardInterrupt
def stop(event): raise StopIteration
async def cancel(event): raise asyncio.CancelledError
def late(event): raise TimeoutError("its own")
def hang(event): gate.wait(30)
class Made:
    def __init__(self, settings): self.settings = settings
    def __call__(self, event): seen.append((self.settings, event))
    def close(self): seen.append("closed")
class Broken:
    def __init__(self, settings): raise RuntimeError("no such file")
class Slow:
    def __init__(self, settings): gate.wait(30)
constant = 3
def columns(record): return {"Number": record["number"], "Cost": 1.5, "Open": True, "Title": "x" * 1000}
def many(record): return {str(n): n for n in range(1000)}
def odd(record): return {"Value": [1]}
def unnamed(record): return {"a\\nb": 1}
def huge(record): return {"n": 2 ** 40}
def infinite(record): return {"n": float("inf")}
def no_columns(record): return None
"""
RAISE = ["retry", "refuse", "fail", "leave", "interrupt", "stop", "cancel", "late"]
NAMES = ["note", "note_later", *RAISE, "hang", "Made", "Broken", "Slow", "constant"]
COLUMNS = ["columns", "many", "odd", "unnamed", "huge", "infinite", "no_columns", "hang"]
CALL = SinkCall("key-1", json.dumps({"event": "created"}).encode())


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The installed package's module."""
    name = f"plugged_{threading.get_native_id()}"
    groups = {"stampline.sinks": NAMES, "stampline.columns": COLUMNS}
    entries = {group: {each: f"{name}:{each}" for each in names} for group, names in groups.items()}
    entries["stampline.sinks"]["absent"] = f"{name}:absent"
    install(tmp_path / "site", name, MODULE, entries)
    monkeypatch.syspath_prepend(tmp_path / "site")
    made = __import__(name)
    yield made
    made.gate.set()
    del __import__("sys").modules[name]


def sink(plugin: str, timeout: timedelta = timedelta(seconds=60), **settings: Any) -> RecordSink:
    said = {"name": "mine", "kind": "plugin", "plugin": plugin, "timeout": timeout, "settings": settings}
    return open_sink(PluginSink.model_validate(said))


async def test_functions_coroutines_and_instances_are_told(module: Any) -> None:
    event = {"event": "created", "idempotency_key": "key-1"}
    await sink("note").call(CALL)
    await sink("note_later").call(CALL)
    made = sink("Made", file="x")
    await made.call(CALL)
    await made.close()
    assert module.seen == [event, event, ({"file": "x"}, event), "closed"]


@pytest.mark.parametrize(
    ("plugin", "kind", "reason", "detail"),
    [
        ("refuse", RefusedTaskError, "refused", "no such project"),
        ("fail", TryAgainError, "plugin-failed", "ValueError"),
        ("leave", TryAgainError, "plugin-failed", "SystemExit"),
        ("interrupt", TryAgainError, "plugin-failed", "KeyboardInterrupt"),
        ("stop", TryAgainError, "plugin-failed", "StopIteration"),
        ("cancel", TryAgainError, "plugin-failed", "CancelledError"),
        ("late", TryAgainError, "plugin-failed", "TimeoutError"),
    ],
)
async def test_what_it_raises_is_an_outcome(
    module: Any, plugin: str, kind: type[TaskError], reason: str, detail: str
) -> None:
    with pytest.raises(kind) as caught:
        await sink(plugin).call(CALL)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


async def test_it_may_ask_for_a_pause(module: Any) -> None:
    with pytest.raises(TryAgainError) as caught:
        await sink("retry").call(CALL)
    assert caught.value.retry_after == timedelta(minutes=3)
    assert caught.value.detail.startswith("busy xxx")
    assert len(caught.value.detail) <= 200


async def test_one_that_hangs_is_given_up_and_left_alone_in_the_end_and_stops_no_other(module: Any) -> None:
    hanging, given_up = sink("hang", timedelta(milliseconds=10)), 0
    while type(error := await _error_of(hanging)) is TryAgainError:
        assert error.reason == "plugin-slow"
        given_up += 1
        await sink("note").call(CALL)
    assert type(error) is TargetDownError
    assert error.reason == "plugin-stuck"
    assert given_up >= STUCK_MAX, "one that no thread came to in time isn't stuck"
    assert len(module.seen) == given_up


async def _error_of(sink: RecordSink) -> TaskError:
    with pytest.raises(TaskError) as caught:
        await sink.call(CALL)
    return caught.value


@pytest.mark.parametrize(
    ("plugin", "says"),
    [
        ("nobody", "there is no plug-in 'nobody' in the group stampline.sinks"),
        ("absent", "can't be loaded: AttributeError"),
        ("Broken", "can't be loaded: RuntimeError: no such file"),
        ("constant", "can't be called"),
    ],
)
async def test_what_cannot_be_had_says_why(module: Any, plugin: str, says: str) -> None:
    with pytest.raises(TargetDownError, match=says) as caught:
        await sink(plugin).call(CALL)
    assert caught.value.reason == "not-opened"


async def test_one_that_hangs_while_it_is_loaded_is_given_up_too(module: Any) -> None:
    with pytest.raises(TryAgainError) as caught:
        await sink("Slow", timedelta(milliseconds=10)).call(CALL)
    assert caught.value.reason == "plugin-slow"


async def test_columns_are_what_a_mailbox_takes(module: Any) -> None:
    columns = await PluggedColumns("columns", {}).of({"number": 7})
    assert columns == {"Number": 7, "Cost": 1.5, "Open": True, "Title": "x" * 255}


@pytest.mark.parametrize("plugin", ["many", "odd", "unnamed", "huge", "infinite"])
async def test_columns_that_no_mailbox_takes_are_refused(module: Any, plugin: str) -> None:
    with pytest.raises(RefusedTaskError):
        await PluggedColumns(plugin, {}).of({"number": 7})


async def test_columns_that_are_none_are_a_failure(module: Any) -> None:
    with pytest.raises(TryAgainError):
        await PluggedColumns("no_columns", {}).of({"number": 7})


# --- the examples of the documentation -------------------------------------------------------------------------------


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_example(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")


def _event(number: int) -> Mapping[str, Any]:
    record = {"module": "ticket", "number": number, "state": "open", "requester": "jane@example.net", "fields": {}}
    return {"event": "created", "at": "2026-11-22T12:00:00+00:00", "record": record, "note": None}


async def test_the_journal_has_each_event_once(examples: None, tmp_path: Path) -> None:
    journal = sink("csv-journal", file=str(tmp_path / "journal.csv"))
    for key, number in (("a", 1), ("b", 2), ("a", 1)):
        await journal.call(SinkCall(key, json.dumps(_event(number)).encode()))
    with pytest.raises(RefusedTaskError):
        await journal.call(SinkCall("c", b"{}"))
    with (tmp_path / "journal.csv").open(newline="") as lines:
        assert [(line["number"], line["idempotency_key"]) for line in csv.DictReader(lines)] == [("1", "a"), ("2", "b")]


async def test_no_cell_of_the_journal_is_a_formula(examples: None, tmp_path: Path) -> None:
    journal = sink("csv-journal", file=str(tmp_path / "journal.csv"))
    event = dict(_event(1))
    event["record"] = {**event["record"], "requester": "=cmd@evil.example"}
    await journal.call(SinkCall("a", json.dumps(event).encode()))
    with (tmp_path / "journal.csv").open(newline="") as lines:
        assert next(csv.DictReader(lines))["requester"] == "'=cmd@evil.example"


async def test_columns_come_from_the_records_fields(examples: None) -> None:
    plugged = PluggedColumns("record-fields", {"fields": {"Priority": "priority", "Costs": "costs"}})
    record = {"number": 7, "state": "open", "fields": {"priority": "high", "costs": "120"}}
    assert await plugged.of(record) == {"Ticket": 7, "State": "open", "Priority": "high", "Costs": 120}


@pytest.mark.parametrize("name", ["Keywords", "keywords", "StamplineLink"])
async def test_no_column_takes_the_place_of_categories_or_the_link(examples: None, name: str) -> None:
    """Outlook keeps an item's categories in the property `Keywords` of the same set."""
    with pytest.raises(RefusedTaskError, match="that name is taken"):
        await PluggedColumns("record-fields", {"fields": {name: "priority"}}).of({"number": 7, "state": "open"})
