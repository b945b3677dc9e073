"""A stamp action's template, rendered for one message in both formats."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import escape

from mta.message.html.text import html_of, text_of
from mta.message.parse import Message
from mta.message.structure import Picture
from mta.model.actions import Stamp
from mta.model.person import Person
from mta.ports.directory import DirectoryDownError
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.templates.banners import Campaigns
from mta.relay.stamp.templates.rendering import Period, PictureSource, Rendering
from mta.relay.stamp.templates.template_set import RenderError, SignatureTemplate
from mta.relay.stamp.templates.values import Missing, Values, values_of
from mta.relay.stamp.templates.variables import RECORDS

_TRAILING = re.compile(r"(?<!^--)[ \t]+$", re.MULTILINE)  # `-- ` on a line of its own keeps its space
_BLANKS = re.compile(r"\n{3,}")
_OF_THE_SENDER = frozenset(("sender", "manager", "organisation", "rule", "banner"))
_KEPT_MAX = 1000
_NO_CAMPAIGNS = Campaigns((), (), (), "message")
_HEADERS = {"message_id": "message-id"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """What to insert; "" where the template has nothing to say. `pictures` are those that `html` shows."""

    html: str
    text: str
    pictures: tuple[Picture, ...]


class _Texts(NamedTuple):
    html: str
    text: str
    pictures: tuple[PictureSource, ...]
    """Those made for it."""
    period: Period
    is_of_message: bool


class _Kept(NamedTuple):
    """Texts for a sender, and what they were made of."""

    sender: Person | None
    manager: Person | None
    organisation: Mapping[str, str]
    texts: _Texts


def message_key(message: Message) -> str:
    """Eight hexadecimal digits that name this message in markers and cids: the same for every attempt and server."""
    name = message.message_id or f"{message.header('from')}\n{message.header('date')}"
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


class Renderer:
    """Renders the templates that speak of one message."""

    def __init__(self, message: Message, context: StampContext) -> None:
        self.message = message
        self.context = context
        self.key = message_key(message)
        self.hide: Callable[[str], str] = str
        """What masks of this copy make of the subject."""
        self.more: Mapping[str, Mapping[str, Any]] = {}
        """Names that only notices of tracking have, with their attributes."""

    def render(self, action: Stamp, template: SignatureTemplate) -> Rendered:
        """Both formats, the one that the template lacks made from the other. Raises RenderError."""
        texts = (
            self._kept(action.rule, template)
            if template.context <= _OF_THE_SENDER
            else self._texts(action.rule, action.recipient, template)
        )
        return self._finished(texts, template)

    def render_for(self, template: SignatureTemplate, rule: str, recipient: str) -> Rendered:
        """The same without keeping anything: for mails, which are rare. Raises RenderError."""
        return self._finished(self._texts(rule, recipient, template), template)

    def subject(self, template: SignatureTemplate, rule: str, recipient: str) -> str:
        """The subject of a mail; "" if the template has none. Raises RenderError."""
        values, rendering = self.values(rule, recipient, template)
        return template.render_subject(values, rendering)

    def language(self, template: SignatureTemplate) -> str:
        """As HTML names it, such as `en-GB`."""
        return template.region.region(self.context.organisation).locale.replace("_", "-")

    def _kept(self, rule: str, template: SignatureTemplate) -> _Texts:
        """The texts for this sender.

        They are rendered again if what the directory says of them is another object, or if the time is another that
        blocks and days in them depend on.
        """
        uses, context = template.context, self.context
        sender = self._sender() if "sender" in uses or "manager" in uses else None
        try:
            manager = self._manager() if "manager" in uses else None
        except DirectoryDownError as exc:
            raise RenderError(f"{template.name}: the directory gives no answer") from exc
        rule_used = rule if "rule" in uses else ""
        key = context.sender, rule_used
        kept: _Kept | None = template.rendered.get(key)
        if (
            kept is not None
            and kept.sender is sender
            and kept.manager is manager
            and kept.texts.period.start <= context.now < kept.texts.period.end
            and kept.organisation == context.organisation
        ):
            return kept.texts
        texts = self._texts(rule, "", template)
        if not texts.is_of_message:
            if len(template.rendered) >= _KEPT_MAX:
                template.rendered.clear()
            template.rendered[key] = _Kept(sender, manager, context.organisation, texts)
        return texts

    def _texts(self, rule: str, recipient: str, template: SignatureTemplate) -> _Texts:
        values, rendering = self.values(rule, recipient, template)
        html = template.render_html(values, rendering).strip() if template.html is not None else ""
        text = _tidy(template.render_text(values, rendering)) if template.text is not None else text_of(html)
        if template.html is None and text:
            html = html_of(text)
        pictures = tuple(rendering.pictures.values())
        return _Texts(html, text, pictures, rendering.period, rendering.is_of_message)

    def values(self, rule: str, recipient: str, template: SignatureTemplate) -> tuple[dict[str, Any], Rendering]:
        """What the template sees by its names, and the rendering that goes with it."""
        missing = template.missing
        region = template.region.region(self.context.organisation)
        rendering = Rendering(
            self.context.now.astimezone(region.zone),
            self.key,
            self.context.sender,
            region,
            template.parameters,
            template.named,
        )
        organisation, people = self.context.organisation, self.context.people
        values: dict[str, Any] = {
            "sender": _person("sender", self._sender, self.context.sender, missing),
            "recipient": _person("recipient", lambda: people.get(recipient), recipient, missing),
            "manager": _person("manager", self._manager, "", missing),
            "message": Values("message", self._message_value, missing),
            "organisation": Values("organisation", lambda name: organisation.get(name, ""), missing),
            "rule": Values("rule", lambda name: rule if name == "name" else "", missing),
            "now": rendering.now,
        }
        for name in template.context & RECORDS:
            if name in self.more:
                values[name] = values_of(name, self.more[name], missing)
        if "banner" in template.context:
            values["banner"] = (template.campaigns or _NO_CAMPAIGNS).values_for(rendering)
        return values, rendering

    def _sender(self) -> Person | None:
        return self.context.people.get(self.context.sender)

    def _manager(self) -> Person | None:
        sender = self._sender()
        return self.context.people.get(sender.manager) if sender is not None and sender.manager else None

    def _message_value(self, name: str) -> str:
        value = self.message.header(_HEADERS.get(name, name))
        return self.hide(value) if name == "subject" else value

    def _finished(self, texts: _Texts, template: SignatureTemplate) -> Rendered:
        """With the pictures that the HTML shows."""
        html = texts.html
        pictures = []
        for source in (*template.pictures, *texts.pictures):
            called = f'"cid:{source.cid}"'
            if called not in html:
                continue
            if source.url:
                html = html.replace(called, f'"{escape(source.url)}"')
                continue
            # Of this message alone: a quoted message may still hold the picture of its own stamp.
            digest = hashlib.sha256(source.digest + self.key.encode()).hexdigest()[:16]
            cid = f"{source.cid}-{digest}@stampline"
            html = html.replace(called, f'"cid:{cid}"')
            pictures.append(Picture(cid, source.content_type, source.filename, source.data))
        return Rendered(html, texts.text, tuple(pictures))


def _person(name: str, find: Callable[[], Person | None], key: str, missing: Missing) -> Values:
    """Asked for only when the template does: of somebody whom the directory can't be asked about, all else fails."""

    def look_up(attribute: str) -> str:
        person = find()
        if person is None:
            return key if attribute in ("address", "mail") else ""
        value = person.attributes.get(attribute, "")
        return value or (person.address if attribute in ("address", "mail") else "")

    def photo() -> bytes:
        person = find()
        return person.photo if person is not None else b""

    return Values(name, look_up, missing, lambda: find() is not None, photo)


def _tidy(text: str) -> str:
    """Lines without spaces at their ends, never two blank ones together, none at the beginning or the end."""
    return _BLANKS.sub("\n\n", _TRAILING.sub("", text)).strip("\n")
