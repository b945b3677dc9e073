"""`stampline queue begin-anew` sets a damaged queue aside, `queue recover` brings back what can be read of it."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mta.cli.command import CommandFailedError, ExitCode, add_config, add_word, print_json
from mta.cli.queue_spool import check_access, log_as_relay, read_configuration, wake, who

SHOWN_MAX = 20


def add_words(words: Any) -> None:
    """`queue begin-anew` and `queue recover`."""
    anew = add_word(
        words, "begin-anew", "set a damaged queue aside, so that mail flows again; a whole one is left alone"
    )
    add_config(anew)
    anew.add_argument("--json", action="store_true", help="print JSON")
    anew.set_defaults(run=run_begin_anew)
    recover = add_word(words, "recover", "bring back into the queue what can be read in one that was set aside")
    recover.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="where it is (default: the oldest in the spool)"
    )
    add_config(recover)
    recover.add_argument("--json", action="store_true", help="print JSON")
    recover.set_defaults(run=run_recover)


def run_begin_anew(arguments: argparse.Namespace) -> int:
    from mta import events
    from mta.adapters.store.damage import set_aside
    from mta.adapters.store.errors import StoreError

    configuration = read_configuration(arguments)
    folder = configuration.spool.folder
    check_access(folder)
    try:
        aside = set_aside(folder)
    except (StoreError, OSError) as exc:
        raise CommandFailedError(f"not set aside: {exc}") from exc
    if aside is None:
        raise CommandFailedError(f"the queue in {folder} is whole: nothing was set aside")
    log_as_relay(configuration)
    events.spool_set_aside(aside)
    if arguments.json:
        print_json({"set_aside": str(aside)})
        return ExitCode.OK
    print(f"set aside: {aside}")
    print(
        "A running relay begins an empty queue within seconds. `stampline queue recover` then brings back what it can."
    )
    return ExitCode.OK


def run_recover(arguments: argparse.Namespace) -> int:
    from mta import events
    from mta.adapters.store.errors import StoreError
    from mta.adapters.store.place import FILE
    from mta.adapters.store.recover import recover

    configuration = read_configuration(arguments)
    folder = configuration.spool.folder
    check_access(folder)
    aside = _folder(folder, arguments.folder)
    if not (folder / FILE).exists():
        raise CommandFailedError("there is no queue to bring messages back to yet: start the relay first")
    try:
        done = recover(folder, aside, time.time_ns() // 1000)
    except StoreError as exc:
        raise CommandFailedError(f"not finished, the same command goes on: {exc}") from exc
    log_as_relay(configuration)
    events.queue_recovered(str(aside), by=who(), brought_back=done.brought_back, unreadable=done.unreadable)
    kept = _mark_done(folder, aside)
    wake(configuration)
    if arguments.json:
        found = {"brought_back": done.brought_back, "present": done.present, "unreadable": done.unreadable}
        print_json({**found, "sent_items_jobs": done.jobs, "tracking": asdict(done.tracking)})
        return ExitCode.OK
    print(f"brought back: {len(done.brought_back)}, in the queue already: {len(done.present)}")
    if done.jobs:
        print(f"Sent Items jobs brought back: {len(done.jobs)}")
    if any(asdict(done.tracking).values()):
        kinds = (f"{count} {name.replace('_', ' ')}" for name, count in asdict(done.tracking).items())
        print(f"tracking brought back: {', '.join(kinds)}")
    print(f"can't be read: {len(done.unreadable)}")
    for name in done.unreadable[:SHOWN_MAX]:
        print(f"  {name}")
    print(f"Messages that were being sent when it was damaged may arrive twice. {kept} can be deleted.")
    return ExitCode.OK


def _folder(spool: Path, given: Path | None) -> Path:
    """Raises CommandFailedError."""
    from mta.adapters.store.damage import set_aside_folders
    from mta.adapters.store.place import FILE

    if given is not None:
        if not (given / FILE).is_file():
            raise CommandFailedError(f"{given} has no {FILE}: name the folder that the damaged queue was moved to")
        if given.absolute() == spool.absolute():
            raise CommandFailedError(f"{given} is the queue itself; `stampline queue begin-anew` sets it aside first")
        return given
    found = set_aside_folders(spool)
    if not found:
        raise CommandFailedError(f"nothing in {spool} was set aside, or all of it was brought back already")
    return found[0]


def _mark_done(spool: Path, aside: Path) -> Path:
    """Rename what stands in the spool: a second time would send again what was delivered since."""
    if aside.absolute().parent != spool.absolute() or not aside.name.startswith("damaged-"):
        return aside
    done = aside.with_name(aside.name.replace("damaged-", "recovered-", 1))
    try:
        aside.rename(done)
    except OSError as exc:
        raise CommandFailedError(f"done, but {aside} can't be renamed: don't recover it again: {exc}") from exc
    return done
