"""What templates are told of a record, and our own words where there is no template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import wrap

from mta.config.tracking_schema import Module
from mta.message.structure import Picture
from mta.model.printable import in_a_line, printable
from mta.model.record import AddNote, Record
from mta.tracking.notify.occasion import Occasion, style_of, url_of
from mta.tracking.notify.render import Value

LINES_MAX = 200
"""Of a note, in a notice."""
LINE_MAX = 1000
_EVENTS = {
    "record.created": "was opened",
    "record.deleted": "was deleted",
    "record.updated": "has changed",
    "note.added": "has a new note",
    "record.overdue": "is overdue",
    "record.pending": "has mail of somebody who does not take part",
}


@dataclass(frozen=True, slots=True)
class PlainLetter:
    """A letter of our own."""

    subject: str
    text: str
    html: str = ""
    pictures: Sequence[Picture] = ()


def record_values(record: Record, module: Module | None, *, for_staff: bool) -> Mapping[str, Value]:
    """What stands behind `record` in templates."""
    style = style_of(module, record.transaction.module)
    return {
        "id": style.id(record.transaction.number),
        "number": str(record.transaction.number),
        "module": record.transaction.module,
        "label": style.label,
        "token": style.write(record.transaction.number),
        "title": record.title,
        "state": record.state,
        "requester": record.requester,
        "owner": record.owner,
        "source": record.source,
        "url": url_of(module, record.transaction, for_staff=for_staff),
        "created": _time(record.created_at),
        "updated": _time(record.updated_at),
        "closed": _time(record.closed_at),
        "fields": dict(record.fields),
    }


def note_values(note: AddNote | None) -> Mapping[str, Value]:
    """What stands behind `note`; nothing for None."""
    if note is None:
        return {}
    lines = lines_of(note.text)
    return {
        "author": note.author,
        "author_name": note.author_name,
        "kind": note.kind,
        "text": " ".join(lines),
        "lines": lines,
        "attachments": [file.name for file in note.attachments],
    }


def lines_of(text: str) -> list[str]:
    """The first lines, printable; a paragraph that is one long line becomes several."""
    first = printable(text[: LINES_MAX * LINE_MAX])
    lines = [piece for line in first.split("\n")[: LINES_MAX + 1] for piece in _wrapped(line.rstrip())]
    is_cut = len(lines) > LINES_MAX or len(text) > LINES_MAX * LINE_MAX
    return [*lines[:LINES_MAX], "…"] if is_cut else lines


def _wrapped(line: str) -> list[str]:
    return [line] if len(line) <= LINE_MAX else wrap(line, LINE_MAX, break_on_hyphens=False)


def own_words(occasion: Occasion, module: Module | None, *, for_staff: bool, wrote_it: bool) -> PlainLetter:
    """A notice without a template. `wrote_it`: it goes to whom the message is of."""
    record, note = occasion.record, occasion.note
    style = style_of(module, record.transaction.module)
    name = f"{style.label} {style.id(record.transaction.number)}"
    url = url_of(module, record.transaction, for_staff=for_staff)
    paragraphs = [_first_words(occasion, name, wrote_it=wrote_it), _facts(record, url, for_staff=for_staff)]
    if note is not None and not wrote_it and (note.is_public or for_staff):
        said = "\n".join(f"> {line}" for line in lines_of(note.text))
        paragraphs.append(f"{in_a_line(note.author_name, 200) or 'Somebody'} wrote:\n{said}")
        if note.attachments:
            names = ", ".join(in_a_line(each.name, 100) or "a file without a name" for each in note.attachments[:50])
            paragraphs.append(f"With files, which stand there: {names}")
    token = style.write(record.transaction.number)
    if token and not for_staff:
        paragraphs.append(f"To add to it, answer this mail, or keep {token} in the subject.")
    return PlainLetter(record.title, "\n\n".join(paragraphs) + "\n")


def _first_words(occasion: Occasion, name: str, *, wrote_it: bool) -> str:
    if wrote_it and occasion.event == "record.created":
        return f"Your message has arrived. It is {name} now."
    if wrote_it and occasion.event == "note.added":
        return f"Your message has arrived, and was added to {name}."
    return f"{name} {_EVENTS.get(occasion.event, 'has changed')}."


def _facts(record: Record, url: str, *, for_staff: bool) -> str:
    lines = [f"Subject: {record.title}", f"State: {record.state}"]
    if for_staff:
        lines += [f"Requester: {record.requester or 'nobody'}", f"Owner: {record.owner or 'nobody'}"]
        lines += [f"{name}: {in_a_line(value, 200)}" for name, value in list(record.fields.items())[:50]]
    return "\n".join([*lines, *([f"See: {url}"] if url else [])])


def pending_words(occasion: Occasion, module: Module | None, entry_key: str) -> PlainLetter:
    """To the owner: somebody who does not take part has written, with a reference that somebody gave him."""
    record, message = occasion.record, occasion.message
    style = style_of(module, record.transaction.module)
    name = f"{style.label} {style.id(record.transaction.number)}"
    author = message.incoming.author if message is not None else None
    who = in_a_line(f"{author.display} <{author.address}>" if author is not None else "nobody", 300)
    why = "Its sender does not take part in it."
    if message is not None and message.incoming.is_authenticated is False:
        said_by = in_a_line(message.incoming.said_by, 300)
        why = f"Nothing proves that it is from there{f' ({said_by})' if said_by else ''}: it may be forged."
    said = "\n".join(f"> {line}" for line in lines_of(occasion.note.text if occasion.note is not None else ""))
    text = (
        f"A message that says to be from {who} came to {name}. {why} It carries a valid reference, which whoever got a "
        "mail of this conversation can hand on. So it is held, and nothing but this notice has come of it.\n\n"
        f"{_facts(record, url_of(module, record.transaction, for_staff=True), for_staff=True)}\n\n"
        f"{said}\n\nTo let it in, so that its sender takes part from now on:\n\n"
        f"    stampline records accept {_quoted(entry_key)}\n\nElse:\n\n"
        f"    stampline records decline {_quoted(entry_key)}\n"
    )
    return PlainLetter(f"Held: {record.title}", text)


def _quoted(key: str) -> str:
    """For a shell."""
    escaped = printable(key).replace("'", "'\"'\"'")
    return f"'{escaped}'"


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC") if moment is not None else ""
