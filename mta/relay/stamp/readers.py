"""What other stages ask about quotes and stamps: the newest text of a message, and whose stamps it carries."""

from __future__ import annotations

from collections.abc import Collection

from mta.message.body_text import displayed
from mta.message.classify import Classification, Kind
from mta.message.parse import Message
from mta.message.place import html_reply, place_plain
from mta.message.place.quote_marks import QuoteMarks
from mta.message.shown_text import readings
from mta.message.stamp_markers import key_of, markers
from mta.relay.stamp.bodies import ShownBody


def newest_texts(message: Message, classification: Classification, marks: QuoteMarks) -> tuple[str, ...]:
    """What stands above the quoted part, as `shown_text.readings` gives it; where a reply stands below, everything."""
    is_reply = classification.kind in (Kind.REPLY, Kind.FORWARD)
    texts = []
    for body in displayed(message):
        find = html_reply.reply_position if body.is_html else place_plain.reply_position
        position = find(ShownBody(body), is_reply, marks)
        texts.append((body, body.text[:position]))
    return readings(texts)


def earlier_stamps(message: Message, templates: Collection[str]) -> frozenset[str]:
    """Names of the templates, in lower case, whose markers stand in the message's HTML or in what that quotes."""
    by_digest = {key_of(name): name.lower() for name in templates}
    found = [marker for body in displayed(message) if body.is_html for marker in markers(ShownBody(body))]
    return frozenset(marker.name or by_digest.get(marker.digest, "") for marker in found) - {""}
