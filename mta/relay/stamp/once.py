"""Markers: how we know a stamp of ours again, in this message and in the thread that it quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mta.message.body_text import TextBody
from mta.model.decision import Once
from mta.relay.stamp.place_plain import own_text
from mta.relay.stamp.quote_lines import QuoteMarks

_WORD = re.compile(r"[^\W_]{4,}")
_NOT_WORD = re.compile(r"[\W_]+")
_RECOGNISED_MIN = 12
"""Letters and digits that a text needs to be told from other texts."""


def marked(name: str, key: str, html: str) -> str:
    """The HTML in an element that names template and message.

    Class and id, because sanitisers and quoting clients keep now this, now that, and put prefixes (`x_`, `m_1`) before.
    """
    return f'<div class="stampline-{name}" id="stampline-{name}--{key}">{html}</div>'


@lru_cache(maxsize=256)
def _of_any_message(name: str) -> re.Pattern[str]:
    return re.compile(rf"stampline-{re.escape(name)}(?:--[0-9a-f]{{8}})?(?=[\"'\s>])")


def is_stamped(
    bodies: Sequence[TextBody], name: str, key: str, text: str, once: Once, is_reply: bool, marks: QuoteMarks
) -> bool:
    """Whether the stamp stands there already: in this message, or anywhere in the conversation that it quotes."""
    html = [body.text for body in bodies if body.is_html]
    plain = [body.text for body in bodies if not body.is_html]
    if once is Once.CONVERSATION:
        known = _of_any_message(name)
        return any(f"stampline-{name}" in body and known.search(body) for body in html) or any(
            _is_in(text, body) for body in plain
        )
    if html:
        return any("stampline-" in body and f"stampline-{name}--{key}" in body for body in html)
    return any(_is_in(text, body) and _is_in(text, own_text(body, is_reply, marks)) for body in plain)


def _is_in(stamp: str, body: str) -> bool:
    """Whether the stamp's words follow each other in the body, whatever stands between them."""
    words = _WORD.findall(stamp)
    if not words or max(words, key=len) not in body:
        return False
    wanted = _NOT_WORD.sub("", stamp)
    return len(wanted) >= _RECOGNISED_MIN and wanted in _NOT_WORD.sub("", body)
