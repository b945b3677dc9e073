"""Messages, people and templates that the tests of stamping share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mta.message.classify import classify
from mta.message.edit import joined
from mta.message.parse import Message, parse
from mta.model.actions import Action, Once, Place, Stamp
from mta.model.person import Person
from mta.relay.stamp.context import StampContext, StampOutcome
from mta.relay.stamp.stamp import stamp_message
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates

SAMPLES = Path(__file__).parents[4] / "templates"
_TEMPLATES = load_templates(SAMPLES)
STAMPS = sorted(name for name in _TEMPLATES.names() if not _TEMPLATES.speaks_of_records(name))
"""The project's own templates that mail is stamped with, or that a mail of the relay is written from."""
JANE = Person(
    "jane.doe@example.com",
    attributes={
        "displayName": "Jane Döe",
        "title": "Account Manager",
        "department": "Sales",
        "company": "Example Ltd",
        "telephoneNumber": "+44 20 7946 0101",
        "wWWHomePage": "www.example.com",
    },
    manager="maria.gruber@example.com",
)
MARIA = Person("maria.gruber@example.com", attributes={"displayName": "Maria Gruber"})
NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
HEADER = (
    b"From: Jane <jane.doe@example.com>\r\nTo: bob@example.net\r\nSubject: Offer\r\nMessage-ID: <1@example.com>\r\n"
)


def context(sender: Person = JANE, **organisation: str) -> StampContext:
    people = {person.address: person for person in (sender, MARIA)}
    return StampContext(people, sender.address, NOW, {"name": "Example", **organisation}, origin="example.com")


def write_templates(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Files by their path under the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def templates(folder: Path, **sources: str) -> TemplateSet:
    """Templates of one line each: `note="text"` is the template `note` with that HTML, and the same as text."""
    files = {f"{name}/signature.html.j2": f"<p>{source}</p>" for name, source in sources.items()}
    files |= {f"{name}/signature.txt.j2": source for name, source in sources.items()}
    return load_templates(write_templates(folder, files))


def plain(text: str, *, header: bytes = HEADER) -> bytes:
    body = text.replace("\n", "\r\n").encode()
    return header + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body


def html(source: str, *, header: bytes = HEADER) -> bytes:
    body = source.replace("\n", "\r\n").encode()
    return header + b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body


def multipart(kind: str, *parts: bytes, header: bytes = HEADER, boundary: bytes = b"=_b") -> bytes:
    content = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    field = b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n' % (kind.encode(), boundary)
    return header + field + content + b"--" + boundary + b"--\r\n"


def alternative(text: str, source: str) -> bytes:
    return multipart("alternative", plain(text, header=b""), html(source, header=b""))


def stamp(template: str, place: Place = Place.BOTTOM, once: Once = Once.MESSAGE, rule: str = "r") -> Stamp:
    return Stamp(template=template, place=place, once=once, rule=rule)


def outcome(
    data: bytes, actions: Sequence[Action], chosen: TemplateSet, given: StampContext | None = None
) -> StampOutcome:
    message = parse(data)
    return stamp_message(message, classify(message, False), actions, given or context(), chosen)


def stamped(data: bytes, actions: Sequence[Action], chosen: TemplateSet, given: StampContext | None = None) -> bytes:
    """The bytes after stamping."""
    return joined(data, outcome(data, actions, chosen, given).edits)


def without_bookmark(text: str) -> str:
    """The text without the invisible anchor by which stamps are known again."""
    return re.sub(r'<a name="stampline_[^"]*">(.*?)</a>| name="stampline_[^"]*"', r"\1", text, flags=re.DOTALL)


def parsed(data: bytes) -> Message:
    return parse(data)
