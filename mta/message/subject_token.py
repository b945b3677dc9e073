"""A conversation's token in the subject: behind `Re:` and its like, where the answers to come will have it, too."""

from __future__ import annotations

from mta.message.edit import Edit
from mta.message.headers import set_subject, tag_subject
from mta.message.parse import Message
from mta.message.subject import has_tag, prefix_end
from mta.message.tokens import TokenStyle

_LINE = 78


def with_token(subject: str, token: str) -> str:
    """A subject with the token; as it is where that stands there already."""
    if not token or has_tag(subject, token):
        return subject
    end = prefix_end(subject)
    return " ".join(part for part in (subject[:end].rstrip(), token, subject[end:]) if part)


def without_token(subject: str, style: TokenStyle, number: int) -> str:
    """A subject without one conversation's token, and `Re:` and its like in front of that; else as it is."""
    expression = style.expression()
    if expression is None:
        return subject
    bare = " ".join(expression.sub(lambda match: match[0] if int(match[1]) != number else " ", subject).split())
    return subject if bare == " ".join(subject.split()) else bare[prefix_end(bare) :]


def name_conversation(message: Message, token: str) -> list[Edit]:
    """The same for a message; what stands around the token stays as it is encoded, where that can be."""
    subject = message.subject
    if not token or has_tag(subject, token):
        return []
    end = prefix_end(subject)
    if not end:
        return tag_subject(message, token, "prefix")
    field = message.fields_named("subject")[0]
    raw = message.raw(field)
    start = len(raw) - len(raw.lstrip(b" \t\r\n"))
    prefix = subject[:end].encode("utf-8")
    if not (token.isascii() and prefix.isascii() and raw[start : start + len(prefix)] == prefix):
        return set_subject(message, with_token(subject, token))
    rest = raw[start + len(prefix) :].partition(b"\r\n")[0]
    has_room = len(b"Subject: ") + len(prefix) + len(token) + 1 + len(rest) <= _LINE
    gap = (b" " if has_room else b"\r\n ") if rest.strip() else b""
    place = field.value_start + start
    return [Edit(place + len(prefix.rstrip()), place + len(prefix), b" " + token.encode() + gap)]
