"""Mails that are written from a template: auto-responses and notices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import escape

from mta.message.parse import Message
from mta.message.structure import Picture
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.render import Renderer
from mta.relay.stamp.templates.template_set import SignatureTemplate

SUBJECT_MAX = 500
"""Characters; a longer subject is cut."""


class RenderedMail(NamedTuple):
    """A mail's subject in one line ("" where the template has none), its two bodies, and the pictures of the HTML.

    `html` is a whole document, `text` has "\\n" line ends; both are "" where the template has nothing to say.
    """

    subject: str
    html: str
    text: str
    pictures: tuple[Picture, ...]


def render_mail(
    template: SignatureTemplate, message: Message, context: StampContext, *, rule: str = "", recipient: str = "",
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> RenderedMail:  # fmt: skip
    """Write a mail about `message`. `recipient` is the address key of whom the template speaks, `more` are names that
    mails of the relay don't have: `record`, `note`, …

    The same message and context give the same mail. Raises RenderError.
    """
    renderer = Renderer(message, context)
    renderer.more = more or {}
    rendered = renderer.render_for(template, rule, recipient)
    subject = " ".join(renderer.subject(template, rule, recipient).split())[:SUBJECT_MAX]
    html = document(rendered.html, renderer.language(template)) if rendered.html else ""
    return RenderedMail(subject, html, rendered.text, rendered.pictures)


def document(html: str, language: str) -> str:
    """The HTML as a document of its own, which mail programs may show light or dark."""
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="supported-color-schemes" content="light dark">\n'
        f"</head>\n<body>\n{html}\n</body>\n</html>\n"
    )
