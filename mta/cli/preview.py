"""`stampline preview`: a template as its readers will see it, before it goes live."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mta.app.relay import read_snapshot
from mta.cli.chromium import Chromium, ChromiumError, View, find_chromium
from mta.cli.command import CommandFailedError, ExitCode, bad_configuration, new_parser, print_json, printable
from mta.cli.preview_messages import Picture as SeenPicture
from mta.cli.preview_messages import page, sample, seen
from mta.cli.preview_report import Lack, lacks, warnings
from mta.config.explain_errors import closest
from mta.config.problems import ConfigurationError
from mta.message.classify import classify
from mta.message.edit import joined
from mta.message.parse import parse
from mta.model.actions import Place, Stamp
from mta.model.address import Address, AddressError, parse_address
from mta.model.person import Person
from mta.ports.directory import DirectoryDownError
from mta.relay.book import Book
from mta.relay.decide.actions.makers import Fixed, StampForRecipient
from mta.relay.snapshot import Snapshot
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.mail import RenderedMail, render_mail
from mta.relay.stamp.render import Rendered, Renderer
from mta.relay.stamp.stamp import stamp_message
from mta.relay.stamp.templates.template_set import RenderError

READER = "reader@example.net"
VIEWS = {
    "desktop": View(800),
    "phone": View(390, scale=2, is_phone=True),
    "dark": View(800, prefers_dark=True),
    "forced-dark": View(800, forces_dark=True),
}
"""By the names of their files. Programs like Apple Mail prefer dark, those like Outlook turn colours round."""
_PHONE_MARGINS = 2


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "preview", "show a template as readers will see it",
        "Write a template's HTML and text as the reader sees them, in a sample message, and say which values are\n"
        "missing, how large it is, and what mail programs will not show as it was meant.\n"
        "With --png, a headless Chromium makes pictures of it: desktop, phone, and dark in two ways.",
    )  # fmt: skip
    parser.add_argument("template", metavar="TEMPLATE", help="name of the template's folder")
    parser.add_argument("--as", dest="sender", required=True, metavar="ADDRESS", help="who sends the message")
    parser.add_argument("--to", default=READER, metavar="ADDRESS", help="who gets it (default: %(default)s)")
    parser.add_argument("--reply", action="store_true", help="in a reply with the older message below")
    parser.add_argument(
        "--place", choices=[place.value for place in Place],
        help="where it goes (default: as the first rule says that stamps it, else reply)",
    )  # fmt: skip
    parser.add_argument("--organisation", metavar="NAME", help="whose template (default: the sender's organisation's)")
    parser.add_argument("--at", metavar="TIME", help="when, such as 2026-12-01T09:00+01:00 (default: now)")
    parser.add_argument(
        "--output", type=Path, default=Path("preview"), metavar="FOLDER", help="where files go (default: %(default)s)"
    )
    parser.add_argument("--png", action="store_true", help="make pictures, too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


@dataclass(slots=True)
class Preview:
    """What is written and said."""

    template: str
    html: str
    text: str
    subject: str
    rendered: Rendered | RenderedMail
    lacks: list[Lack]
    warnings: list[str]
    files: list[Path] = field(default_factory=list)

    @property
    def kilobytes(self) -> dict[str, float]:
        """Of what the template adds to each message."""
        pictures = sum(len(picture.data) for picture in self.rendered.pictures)
        octets = {
            "html": len(self.rendered.html.encode()),
            "text": len(self.rendered.text.encode()),
            "pictures": pictures,
        }
        return {name: round(count / 1000, 1) for name, count in octets.items()}


def run(arguments: argparse.Namespace) -> int:
    try:
        snapshot = read_snapshot(arguments.config)
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    sender, recipient = _address(arguments.sender), _address(arguments.to)
    book = _book(snapshot, arguments.organisation, sender, recipient)
    preview = _preview(arguments, book, sender, recipient)
    stem = f"{arguments.template}-reply" if arguments.reply else arguments.template
    try:
        _write(preview, arguments.output, stem)
        if arguments.png:
            _shoot(preview, arguments.output, stem)
    except OSError as exc:
        raise CommandFailedError(f"cannot write to {arguments.output}: {exc.strerror}") from exc
    _print(preview, as_json=arguments.json)
    return ExitCode.OK


def _preview(arguments: argparse.Namespace, book: Book, sender: Address, recipient: Address) -> Preview:
    name = arguments.template
    if name not in book.templates.names():
        text = f"there is no template {name!r}; {closest(name, book.templates.names())}"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    now = _time(arguments.at)
    people = _people(book, sender, recipient)
    person = people.get(sender.key)
    data = sample(
        str(sender), person.attributes.get("displayName", "") if person else "", str(recipient), now,
        is_reply=arguments.reply,
    )  # fmt: skip
    message = parse(data)
    origin = book.settings.accepted_domains[0]
    context = StampContext(people, sender.key, now, book.values, origin=origin)
    rule, place = _rule(book, name, arguments.place)
    renderer = Renderer(message, context)
    template = book.templates.template(name)
    values, _ = renderer.values(rule, recipient.key, template)
    subject = ""
    try:
        rendered: Rendered | RenderedMail
        if template.subject is not None and not (arguments.reply or arguments.place):
            rendered = render_mail(template, message, context, rule=rule, recipient=recipient.key)
            subject, html, text = rendered.subject, rendered.html, rendered.text
            pictures = tuple(SeenPicture(each.cid, each.content_type, each.data) for each in rendered.pictures)
        else:
            rendered = renderer.render_for(template, rule, recipient.key)
            stamp = Stamp(template=name, place=place, rule=rule, recipient=recipient.key)
            outcome = stamp_message(
                message, classify(message, False), [stamp], context, book.templates, book.quote_marks
            )
            for failed in outcome.failed:
                raise CommandFailedError(failed.error)
            html, text, pictures = _seen(joined(data, outcome.edits))
    except RenderError as exc:
        raise CommandFailedError(str(exc)) from exc
    said = list(warnings(rendered.html, rendered.text, rendered.pictures))
    if sender.key not in people and sender.domain_key in book.organisation.accepted_domains:
        said.insert(0, f"{sender} is not in the directory")
    shown = page(html, pictures, f"{name}, as {sender}")
    return Preview(name, shown, text, subject, rendered, lacks(book.templates, name, values), said)


def _seen(data: bytes) -> tuple[str, str, tuple[SeenPicture, ...]]:
    result = seen(data)
    return result.html, result.text, result.pictures


def _book(snapshot: Snapshot, name: str | None, sender: Address, recipient: Address) -> Book:
    if name is not None:
        books = {book.name: book for book in snapshot.books}
        if name not in books:
            text = f"there is no organisation {name!r}; {closest(name, books)}"
            raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
        return books[name]
    found = snapshot.book_of(sender.domain_key) or snapshot.book_of(recipient.domain_key)
    return found or snapshot.books[0]


def _rule(book: Book, template: str, place: str | None) -> tuple[str, Place]:
    """Name of the first rule that puts the template on, and where."""
    for rule in book.rules.rules:
        for maker in rule.actions:
            if isinstance(maker, (Fixed, StampForRecipient)):
                action = maker.action
                if isinstance(action, Stamp) and action.template == template:
                    return rule.name, Place(place) if place else action.place
    return "", Place(place or "reply")


def _people(book: Book, sender: Address, recipient: Address) -> Mapping[str, Person]:
    try:
        return asyncio.run(_asked(book, sender, recipient))
    except DirectoryDownError as exc:
        raise CommandFailedError("the directory gives no answer") from exc


async def _asked(book: Book, sender: Address, recipient: Address) -> Mapping[str, Person]:
    try:
        return await book.directory.people({sender.key, recipient.key})
    finally:
        await book.directory.close()


def _address(text: str) -> Address:
    try:
        return parse_address(text.strip().removeprefix("<").removesuffix(">"))
    except AddressError as exc:
        raise CommandFailedError(f"{text!r} is no address: {exc}", ExitCode.BAD_CONFIGURATION) from exc


def _time(text: str | None) -> datetime:
    try:
        # Without a zone it is the time of this machine.
        return datetime.now(UTC) if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise CommandFailedError(f"{text!r} is no time: write 2026-12-01T09:00", ExitCode.BAD_CONFIGURATION) from exc


# --- what comes of it -------------------------------------------------------------------------------------------------


def _write(preview: Preview, folder: Path, stem: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, content in ((".html", preview.html), (".txt", preview.text)):
        path = folder / f"{stem}{suffix}"
        path.write_bytes(content.replace("\r\n", "\n").encode("utf-8", "replace"))
        preview.files.append(path)


def _shoot(preview: Preview, folder: Path, stem: str) -> None:
    path = find_chromium()
    if path is None:
        text = "no Chromium on PATH for --png: install Debian's chromium-headless-shell, or Chromium, or Chrome"
        raise CommandFailedError(f"{text}\n(HTML and text are written: {', '.join(map(str, preview.files))})")
    try:
        with Chromium(path) as browser:
            for name, view in VIEWS.items():
                shot = browser.shoot(preview.html, view)
                if shot.width > view.width + _PHONE_MARGINS:
                    preview.warnings.append(
                        f"{shot.width} pixels wide on a {name} of {view.width}: readers scroll sideways"
                    )
                picture = folder / f"{stem}-{name}.png"
                picture.write_bytes(shot.png)
                preview.files.append(picture)
    except ChromiumError as exc:
        raise CommandFailedError(f"no pictures: {exc}") from exc


def _print(preview: Preview, *, as_json: bool) -> None:
    if as_json:
        missing = [{"value": e.value, "file": e.file, "line": e.line, "instead": e.instead} for e in preview.lacks]
        print_json(
            {
                "template": preview.template, "subject": preview.subject,
                "files": [str(path) for path in preview.files],
                "kB": preview.kilobytes, "missing": missing, "warnings": preview.warnings,
            }
        )  # fmt: skip
        return
    size = preview.kilobytes
    if preview.subject:
        print(f"subject: {printable(preview.subject)}")
    print(f"adds {size['html']} kB of HTML, {size['text']} kB of text, {size['pictures']} kB of pictures")
    for lack in preview.lacks:
        print(f"missing: {printable(str(lack))}")
    for warning in preview.warnings:
        print(f"warning: {printable(warning)}")
    for path in preview.files:
        print(path)
