"""`stampline bypass`: the switch for when stamping goes wrong."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from mta.cli.command import (
    CommandFailedError,
    ExitCode,
    add_config,
    add_socket,
    add_word,
    ask_supervisor,
    new_parser,
    print_json,
    seconds_of,
)
from mta.cli.status import bypass_text


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "bypass", "relay everything unstamped, at once",
        "Relay everything as it comes: no rules, no stamps, no splitting. Works at once in all workers, survives a\n"
        "restart, and ends by itself if told when. Mail that waits keeps its way, but gets no stamps meanwhile.",
        with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    on = add_word(words, "on", "switch it on")
    end = on.add_mutually_exclusive_group()
    end.add_argument("--for", dest="for_s", type=seconds_of, metavar="TIME", help="end by itself after 30m, 4h, 1d …")
    end.add_argument("--until", type=_moment, metavar="TIME", help="end by itself then, e.g. 2026-11-22T18:00+01:00")
    off = add_word(words, "off", "switch it off: rules apply again to what comes from now on")
    status = add_word(words, "status", "say how it stands")
    for name, word in (("on", on), ("off", off), ("status", status)):
        add_config(word)
        add_socket(word)
        word.add_argument("--json", action="store_true", help="print the switch as JSON")
        word.set_defaults(run=run, word=name)


def run(arguments: argparse.Namespace) -> int:
    request: dict[str, Any] = {"do": "bypass"}
    if arguments.word != "status":
        until = _until(arguments) if arguments.word == "on" else None
        request["bypass"] = {"on": arguments.word == "on", "until": until.isoformat() if until else None}
    answer = ask_supervisor(arguments, request)
    if not answer["ok"]:
        raise CommandFailedError(answer["error"])
    if arguments.json:
        print_json(answer["bypass"])
    else:
        print(f"bypass: {bypass_text(answer['bypass'])}")
    return ExitCode.OK


def _until(arguments: argparse.Namespace) -> datetime | None:
    if arguments.for_s is not None:
        # Whole seconds are enough to read, and the time is never cut short.
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=arguments.for_s + 1)
    until: datetime | None = arguments.until
    return until


def _moment(text: str) -> datetime:
    """ISO 8601; local time where it has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError("write a time as 2026-11-22T18:00 or 2026-11-22T18:00+01:00") from exc
    return moment.astimezone()
