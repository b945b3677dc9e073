"""What names a person and is not the store's to change: log files, other files in the spool, the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from mta.adapters.store.place import FILES
from mta.config.delivery_schema import MaildirHop
from mta.config.schema import Configuration
from mta.model.erasure import ErasedPerson
from mta.ports.erasure import Step
from mta.trace.log_files import LogFile, Pattern, Scanned, log_files, matching_lines

_OF_THE_STORE = frozenset({*FILES, "bodies", "slots", "turnstile.lock", "writer.lock"})
_COPIES = {
    "damaged-": "a queue that was set aside: `stampline queue recover`, erase again, then remove it",
    "recovered-": "a queue that was brought back: remove it",
    "set-aside": "a message that could not be processed: look at it, then remove it",
    "alerts.json": "an alert; it is forgotten a day after its trouble is over",
}


@dataclass(frozen=True, slots=True)
class Named:
    """A file that names the person, and what becomes of it."""

    path: Path
    what: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    named: tuple[Named, ...]
    unreadable: tuple[str, ...]
    """What could not be searched, and why."""
    not_searched: tuple[str, ...]
    """Where mail and records go by the configuration, which is others' to search."""


def look_elsewhere(configuration: Configuration, config: Path, person: ErasedPerson, step: Step) -> Elsewhere:
    """Search what lies beside the store; nothing is changed."""
    unreadable: list[str] = []
    named = [*_logs(configuration, person, unreadable, step), *_beside(configuration.spool.folder, person, unreadable)]
    if _is_in_file(config, person, unreadable):
        named.append(Named(config, "the configuration: take it out there, or new mail brings it back"))
    return Elsewhere(tuple(named), tuple(dict.fromkeys(unreadable)), tuple(_not_searched(configuration)))


# --- log files -------------------------------------------------------------------------------------------------------


def _logs(configuration: Configuration, person: ErasedPerson, unreadable: list[str], step: Step) -> Iterator[Named]:
    """Log files are never rewritten: they tell who did what, and go by age."""
    folder, keep_days = configuration.logs.folder, configuration.logs.keep_days
    try:
        files = log_files(folder)
    except FileNotFoundError:
        return
    except OSError as exc:
        unreadable.append(f"{folder}: {exc.strerror}")
        return
    locals_ = {key.rpartition("@")[0] for key in person.addresses}
    pattern = Pattern([f"{local}{end}" for local in locals_ for end in ("@", "+", "%40")], any_case=True)
    scanned = Scanned()
    for file in files:
        found = matching_lines(file, pattern, scanned, lambda octets: step("kB of log files", scanned.octets // 1000))
        if lines := sum(person.is_in(line.decode("utf-8", "replace")) for line in found):
            yield Named(file.path, f"{lines} line{'s' if lines > 1 else ''}; {_goes(file, keep_days)}")
    unreadable += scanned.unreadable


def _goes(file: LogFile, keep_days: int) -> str:
    if file.path.suffix == ".gz":
        return "an administrator's copy, which nobody else removes"
    return f"it is deleted on {max(file.day + timedelta(days=keep_days), _today() + timedelta(days=1))}"


def _today() -> date:
    return date.today()  # noqa: DTZ011 - the files' days are local


# --- other files -----------------------------------------------------------------------------------------------------


def _beside(spool: Path, person: ErasedPerson, unreadable: list[str]) -> Iterator[Named]:
    """What else lies in the spool folder; of a queue that was set aside, the folder is told."""
    try:
        entries = sorted(spool.iterdir())
    except OSError as exc:
        unreadable.append(f"{spool}: {exc.strerror}")
        return
    for entry in entries:
        if entry.name in _OF_THE_STORE:
            continue
        what = next((text for name, text in _COPIES.items() if entry.name.startswith(name)), "none of the store's")
        files = sorted(entry.rglob("*")) if entry.is_dir() else [entry]
        naming = (file for file in files if file.is_file() and _is_in_file(file, person, unreadable))
        if not entry.name.startswith(("damaged-", "recovered-")):
            yield from (Named(file, what) for file in naming)
        elif any(naming):
            yield Named(entry, what)


def _is_in_file(path: Path, person: ErasedPerson, unreadable: list[str]) -> bool:
    try:
        with path.open("rb") as file:
            return person.is_in_octets(file)
    except FileNotFoundError:
        return False  # gone meanwhile: the relay replaces some of them
    except OSError as exc:
        unreadable.append(f"{path}: {exc.strerror}")
        return False


def _not_searched(configuration: Configuration) -> Iterator[str]:
    for organisation in configuration.every_organisation:
        tracking = organisation.tracking
        if tracking is not None:
            yield from (f"monitored mailbox {mailbox.name} ({mailbox.kind})" for mailbox in tracking.mailboxes)
            if tracking.processing_mailbox:
                yield f"processing mailbox {tracking.processing_mailbox}"
            yield from (f"{sink.kind} {sink.name}, which was told of records" for sink in tracking.sinks)
        if organisation.mailbox_servers:
            yield "people's own mailboxes"
    hops = (hop for hop in configuration.next_hops if isinstance(hop, MaildirHop))
    yield from (f"next hop {hop.name} ({hop.folder})" for hop in hops)
    yield "folders where rules put attachments, logs outside of the log folder, backups"
