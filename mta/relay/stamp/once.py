"""Markers: how we know a stamp of ours again, in this message and in the thread that it quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import re2

from mta.relay.stamp.bodies import ShownBody
from mta.relay.stamp.place import MARKER
from mta.relay.stamp.place_plain import own_text
from mta.relay.stamp.quote_lines import Gate, QuoteMarks, is_quiet

_MARKER: Gate = re2.compile(MARKER)
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


class Own(NamedTuple):
    """A stamp as it would be put on this message: template, message key, plain text."""

    name: str
    key: str
    text: str


def in_conversation(bodies: Sequence[ShownBody], own: Own) -> bool:
    """Whether the template's stamp stands anywhere: in this message, or in the thread that it quotes."""
    known = _of_any_message(own.name)
    return any(_has_marker(body) and known.search(body.text) for body in bodies if body.is_html) or any(
        _is_in(own.text, body.text) for body in bodies if not body.is_html
    )


def in_message(bodies: Sequence[ShownBody], own: Own, in_html: bool, is_reply: bool, marks: QuoteMarks) -> bool:
    """Whether this message has it already, from another server say; what it quotes doesn't count.

    `in_html`: whether the stamp goes into HTML. There the marker decides, in plain text the stamp's own words above the
    quoted part.
    """
    if in_html:
        marker = f"stampline-{own.name}--{own.key}"
        return any(
            not is_quiet(body, marks) and _has_marker(body) and marker in body.text for body in bodies if body.is_html
        )
    return any(
        _is_in(own.text, body.text) and _is_in(own.text, own_text(body, is_reply, marks))
        for body in bodies
        if not body.is_html
    )


def _has_marker(body: ShownBody) -> bool:
    """Far quicker than looking for one in the text, and nearly always the answer is no."""
    return _MARKER.search(body.octets) is not None


def _is_in(stamp: str, body: str) -> bool:
    """Whether the stamp's words follow each other in the body, whatever stands between them."""
    words = _WORD.findall(stamp)
    if not words or max(words, key=len) not in body:
        return False
    wanted = _NOT_WORD.sub("", stamp)
    return len(wanted) >= _RECOGNISED_MIN and wanted in _NOT_WORD.sub("", body)
