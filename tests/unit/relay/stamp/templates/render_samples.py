"""Templates of a line or two, rendered for one message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from mta.message.parse import parse
from mta.model.actions import Stamp
from mta.model.person import Person
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.render import Rendered, Renderer
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from tests.unit.relay.stamp.samples import JANE, MARIA, NOW, write_templates

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 20


def person(photo: bytes = b"", **attributes: str) -> Person:
    """Jane with these attributes and no others."""
    return Person(JANE.address, attributes=attributes, manager=MARIA.address, photo=photo)


def render(
    templates: TemplateSet,
    name: str = "t",
    *,
    sender: Person = JANE,
    at: datetime = NOW,
    organisation: Mapping[str, str] | None = None,
    message_id: str = "1@example.com",
    rule: str = "",
) -> Rendered:
    """As a stamp is rendered, with what is kept from earlier messages."""
    message = parse(
        b"From: jane.doe@example.com\r\nSubject: Offer\r\nMessage-ID: <%b>\r\n\r\nHi\r\n" % message_id.encode()
    )
    people = {each.address: each for each in (sender, MARIA)}
    context = StampContext(people, sender.address, at, organisation or {"name": "Example"})
    return Renderer(message, context).render(Stamp(template=name, rule=rule), templates.template(name))


def text(folder: Path, source: str, settings: str = "", **given: object) -> str:
    """The text that a template of these lines gives."""
    files: dict[str, str | bytes] = {"t/signature.txt.j2": source}
    if settings:
        files["t/template.yaml"] = settings
    return render(load_templates(write_templates(folder, files)), **given).text  # type: ignore[arg-type]


def html(folder: Path, source: str, files: Mapping[str, str | bytes] | None = None, **given: object) -> Rendered:
    """What a template with this HTML gives; `files` lie beside it."""
    written = {f"t/{name}": content for name, content in (files or {}).items()}
    templates = load_templates(write_templates(folder, {"t/signature.html.j2": source, **written}))
    return render(templates, **given)  # type: ignore[arg-type]
