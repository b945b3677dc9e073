"""A stamp action's template, rendered for one message in both formats."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mta.message.parse import Message
from mta.message.structure import Picture
from mta.model.actions import Stamp
from mta.model.person import Person
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.html_text import html_of, text_of
from mta.relay.stamp.templates import SignatureTemplate
from mta.relay.stamp.values import Missing, Values

_TRAILING = re.compile(r"(?<!^--)[ \t]+$", re.MULTILINE)  # `-- ` on a line of its own keeps its space
_BLANKS = re.compile(r"\n{3,}")
_OF_THE_SENDER = frozenset(("sender", "manager", "organisation", "rule"))
_KEPT_MAX = 1000
_HEADERS = {"message_id": "message-id"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """What to insert; "" where the template has nothing to say. `pictures` are those that `html` shows."""

    html: str
    text: str
    pictures: tuple[Picture, ...]


def message_key(message: Message) -> str:
    """Eight hexadecimal digits that name this message in markers and cids: the same for every attempt and server."""
    name = message.message_id or f"{message.header('from')}\n{message.header('date')}"
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


class Renderer:
    """Renders the stamps of one message."""

    def __init__(self, message: Message, context: StampContext) -> None:
        self.message = message
        self.context = context
        self.key = message_key(message)

    def render(self, action: Stamp, template: SignatureTemplate) -> Rendered:
        """Both formats, the one that the template lacks made from the other. Raises RenderError."""
        html, text = (
            self._kept(action, template) if template.context <= _OF_THE_SENDER else self._texts(action, template)
        )
        html, pictures = self._with_pictures(html, template)
        return Rendered(html, text, pictures)

    def _kept(self, action: Stamp, template: SignatureTemplate) -> tuple[str, str]:
        """The texts for this sender, rendered again only if what the directory says of them is another object."""
        sender = self.context.people.get(self.context.sender)
        manager = self.context.people.get(sender.manager) if sender is not None and sender.manager else None
        kept = template.rendered.get(self.context.sender)
        if kept is not None:
            of_sender, of_manager, organisation, rule, texts = kept
            same_people = of_sender is sender and of_manager is manager
            if same_people and rule == action.rule and organisation == self.context.organisation:
                found: tuple[str, str] = texts
                return found
        texts = self._texts(action, template)
        if len(template.rendered) >= _KEPT_MAX:
            template.rendered.clear()
        template.rendered[self.context.sender] = (sender, manager, self.context.organisation, action.rule, texts)
        return texts

    def _texts(self, action: Stamp, template: SignatureTemplate) -> tuple[str, str]:
        values = self._values(action, template.missing)
        html = template.render_html(values).strip() if template.html is not None else ""
        text = _tidy(template.render_text(values)) if template.text is not None else text_of(html)
        if template.html is None and text:
            html = html_of(text)
        return html, text

    def _values(self, action: Stamp, missing: Missing) -> Mapping[str, Any]:
        sender = self.context.people.get(self.context.sender)
        manager = self.context.people.get(sender.manager) if sender is not None and sender.manager else None
        looked_up: dict[str, Callable[[str], str]] = {
            "sender": _person(sender, self.context.sender),
            "recipient": _person(self.context.people.get(action.recipient), action.recipient),
            "manager": _person(manager, ""),
            "message": self._message_value,
            "organisation": lambda name: self.context.organisation.get(name, ""),
            "rule": lambda name: action.rule if name == "name" else "",
        }
        values: dict[str, Any] = {name: Values(name, look_up, missing) for name, look_up in looked_up.items()}
        values["now"] = self.context.now
        return values

    def _message_value(self, name: str) -> str:
        return self.message.header(_HEADERS.get(name, name))

    def _with_pictures(self, html: str, template: SignatureTemplate) -> tuple[str, tuple[Picture, ...]]:
        pictures = []
        for source in template.pictures:
            called = f'"cid:{source.cid}"'
            if called not in html:
                continue
            # Of this message alone: a quoted message may still hold the picture of its own stamp.
            digest = hashlib.sha256(source.digest + self.key.encode()).hexdigest()[:16]
            cid = f"{source.cid}-{digest}@stampline"
            html = html.replace(called, f'"cid:{cid}"')
            pictures.append(Picture(cid, source.content_type, source.filename, source.data))
        return html, tuple(pictures)


def _person(person: Person | None, key: str) -> Callable[[str], str]:
    def look_up(name: str) -> str:
        value = person.attributes.get(name, "") if person is not None else ""
        if value or name not in ("address", "mail"):
            return value
        return person.address if person is not None else key

    return look_up


def _tidy(text: str) -> str:
    """Lines without spaces at their ends, never two blank ones together, none at the beginning or the end."""
    return _BLANKS.sub("\n\n", _TRAILING.sub("", text)).strip("\n")
