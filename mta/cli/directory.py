"""`stampline directory`: what templates and rules see of people, and who lacks what templates print."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mta.app.relay import read_snapshot
from mta.cli.command import (
    CommandFailedError,
    ExitCode,
    add_config,
    add_word,
    bad_configuration,
    new_parser,
    print_json,
    print_table,
    printable,
)
from mta.cli.directory_report import Report, ReportMaker, lacking
from mta.config.explain_errors import closest
from mta.config.problems import ConfigurationError
from mta.model.address import AddressError, parse_address
from mta.model.person import Person
from mta.ports.directory import Directory, DirectoryDownError
from mta.relay.book import Book
from mta.relay.snapshot import Snapshot


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "directory", "show people as templates see them, and who lacks what templates print",
        "Look into the directory that rules and templates use.", with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="words", metavar="WORD", required=True)
    show = add_word(words, "show", "show what the directory says of an address")
    show.add_argument("address", metavar="ADDRESS", help="any address of a person, contact or group")
    report = add_word(words, "report", "list the people who lack fields that templates print; exit code 1 if any does")
    report.add_argument(
        "--template", action="append", metavar="NAME", default=[], help="of this template only; may be repeated"
    )
    for word, run in ((show, run_show), (report, run_report)):
        add_config(word)
        word.add_argument(
            "--organisation", metavar="NAME", help="where there are several (default: by the address, all)"
        )
        word.add_argument("--json", action="store_true", help="print the result as JSON")
        word.set_defaults(run=run)


# --- show -------------------------------------------------------------------------------------------------------------


def run_show(arguments: argparse.Namespace) -> int:
    try:
        address = parse_address(arguments.address.strip().removeprefix("<").removesuffix(">"))
    except AddressError as exc:
        raise CommandFailedError(f"{arguments.address!r} is no address: {exc}", ExitCode.BAD_CONFIGURATION) from exc
    snapshot = _snapshot(arguments)
    own = snapshot.book_of(address.domain_key)
    books = _books(snapshot, arguments.organisation) if arguments.organisation or own is None else (own,)
    for book in books:
        people = asyncio.run(_people(book.directory, address.key))
        if address.key in people:
            _show(book, people[address.key], people, as_json=arguments.json)
            return ExitCode.OK
    raise CommandFailedError(f"nobody in the directory has the address {address}")


async def _people(directory: Directory, key: str) -> dict[str, Person]:
    async with _opened(directory):
        return dict(await directory.people([key]))


def _show(book: Book, person: Person, people: dict[str, Person], *, as_json: bool) -> None:
    manager = people.get(person.manager) if person.manager else None
    missing = lacking(book.templates, person, manager)
    kind = "group" if person.group_name else "contact" if person.is_contact else "person"
    if as_json:
        print_json({
            "organisation": book.name, "source": _source(book), "kind": kind, "address": person.address,
            "aliases": sorted(person.aliases), "disabled": person.disabled, "unit": person.unit,
            "manager": person.manager, "groups": sorted(person.groups), "photo_octets": len(person.photo),
            "attributes": dict(sorted(person.attributes.items())),
            "missing": {name: list(values) for name, values in missing.items()},
        })  # fmt: skip
        return
    name = manager.attributes.get("displayName", "") if manager is not None else ""
    lines = {
        "address": person.address,
        "aliases": ", ".join(sorted(person.aliases)),
        "kind": f"{kind}, disabled" if person.disabled else kind,
        "unit": person.unit,
        "manager": f"{person.manager} ({name})" if name else person.manager or "",
        "groups": ", ".join(sorted(person.groups)),
        "photo": f"{len(person.photo) / 1000:.1f} kB" if person.photo else "",
        "source": f"{_source(book)}, organisation {book.name}",
    }
    for heading, value in lines.items():
        print(printable(f"{heading + ':':<10}{value or '-'}"))
    print("\nattributes:")
    for heading, value in sorted(person.attributes.items()):
        print(printable(f"  {heading:<28}{value}"))
    print("\nmissing for templates:" if missing else "\nnothing is missing for any template")
    for template, values in missing.items():
        print(printable(f"  {template:<28}{', '.join(values)}"))


def _source(book: Book) -> str:
    settings = book.settings.directory
    return (
        f"{settings.kind} {', '.join(server.host for server in settings.servers)}"
        if settings.kind == "ldap"
        else (f"{settings.kind} {settings.file}")
    )


# --- report -----------------------------------------------------------------------------------------------------------


def run_report(arguments: argparse.Namespace) -> int:
    snapshot = _snapshot(arguments)
    books = _books(snapshot, arguments.organisation)
    known = {name for book in books for name in book.templates.names()}
    for name in arguments.template:
        if name not in known:
            text = f"there is no template {name!r}; {closest(name, known)}"
            raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    reports = [
        asyncio.run(_report(book, [name for name in arguments.template if name in book.templates.names()]))
        for book in books
    ]
    if arguments.json:
        print_json({"organisations": [report.as_json() for report in reports]})
    else:
        for report in reports:
            _print(report, named=len(reports) > 1)
    return ExitCode.FAILED if any(report.lacking for report in reports) else ExitCode.OK


async def _report(book: Book, templates: Sequence[str]) -> Report:
    maker = ReportMaker(book, templates)
    async with _opened(book.directory):
        async for person in book.directory.everybody():
            maker.add(person)
            if maker.read % 500 == 0:
                _say_progress(f"{maker.read} entries read")
    _say_progress("")
    return maker.report()


def _say_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _print(report: Report, *, named: bool) -> None:
    if named:
        print(f"organisation {report.organisation}\n")
    left_out = f" ({report.left_out} contacts, groups and disabled accounts left out)" if report.left_out else ""
    print(f"{len(report.lacking)} of {report.people} people lack something{left_out}")
    if report.fields:
        rows = [
            (field.name, str(field.lacked_by), ", ".join(field.templates), ", ".join(field.rules) or "-")
            for field in report.fields
        ]
        print()
        print_table(("FIELD", "LACKED BY", "TEMPLATES", "RULES"), rows)
        print()
        print_table(("ADDRESS", "LACKS"), [(address, ", ".join(fields)) for address, fields in report.lacking.items()])
    print()


# --- both -------------------------------------------------------------------------------------------------------------


def _snapshot(arguments: argparse.Namespace) -> Snapshot:
    try:
        return read_snapshot(arguments.config)
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc


def _books(snapshot: Snapshot, name: str | None) -> tuple[Book, ...]:
    if name is None:
        return snapshot.books
    books = {book.name: book for book in snapshot.books}
    if name not in books:
        text = f"there is no organisation {name!r}; {closest(name, books)}"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    return (books[name],)


@asynccontextmanager
async def _opened(directory: Directory) -> AsyncIterator[None]:
    """Closes the directory at the end, and says it where the source doesn't answer."""
    try:
        yield
    except DirectoryDownError as exc:
        raise CommandFailedError("the directory does not answer; `stampline check` says why") from exc
    finally:
        await directory.close()
