"""Forwards are told from replies by what they quote, not by what their subjects begin with."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from mta.message.addresses import Mailbox
from mta.message.parse import Message
from mta.message.place import quote_lines
from mta.message.place import separators as words
from mta.message.place.placement import lowered
from mta.model.address import domain_key
from mta.tracking.read.wording import Wording

_STEMS = (
    "forward", "weitergeleit", "transfér", "réexpédi", "reenviad", "inoltrat", "encaminhad", "reencaminhad",
    "vidarebefordra", "videresend", "doorgestuurd", "przekaz", "пересыл", "пересла", "переадрес", "ilet", "yönlendiril",
    "välitetty", "edelleenlähetetty", "továbbít", "přepos", "prepos", "redirecționat", "retransmis", "προωθημέν",
    "转发", "轉寄", "転送", "전달", "הועבר", "توجيه", "terusan", "diteruskan", "chuyển tiếp", "reenviat",
)  # fmt: skip
_SAYS_FORWARDED = re.compile(
    "|".join(re.escape(word) for word in (*words.FORWARDED, *words.ORIGINAL) if any(stem in word for stem in _STEMS))
)
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]{1,64}@[^\s<>()\[\]\"',;:]{1,255}")
_LINES = 14
_LINE_MAX = 1000
_NAME_MAX = 100


def is_forward(message: Message, wording: Wording, author: Mailbox | None, recipients: Sequence[Mailbox]) -> bool:
    """Whether what it quotes, or attaches, is handed on to people who are not the quoted message's writer."""
    lines = [line[:_LINE_MAX] for line in _beginning(wording.quoted)]
    if not lines:
        return _hands_on_a_message(message)
    folded = [lowered(quote_lines.without_directions(line)).strip(quote_lines.EDGES) for line in lines]
    if any(len(line) <= _NAME_MAX and _SAYS_FORWARDED.search(line) for line in folded[:3] if not _is_label(line)):
        return True
    header = next((index for index, line in enumerate(folded[:4]) if "from" in quote_lines.label(line)), None)
    if header is None or not quote_lines.is_header_block(folded[header:], 2):
        return False
    return not _is_answered(lines[header], author, recipients, _quoted_recipients(lines, folded))


def _beginning(quoted: str) -> list[str]:
    return [line for line in quoted[: _LINES * _LINE_MAX].split("\n") if line.strip()][:_LINES]


def _is_label(line: str) -> bool:
    return bool(quote_lines.label(line))


def _hands_on_a_message(message: Message) -> bool:
    """A message attached to one that answers none."""
    if message.has("in-reply-to") or message.has("references"):
        return False
    root = message.root
    return root.encloses_message or any(part.encloses_message for part in root.children)


def _is_answered(
    line: str, author: Mailbox | None, recipients: Sequence[Mailbox], quoted_recipients: Collection[str]
) -> bool:
    """Whether the writer of the quoted message, or somebody of the same house (a desk's agent), gets this one."""
    written = _ADDRESS.search(line)
    if written is None:
        name = " ".join(line.partition(":")[2].split()).casefold()
        return not name or any(_names(mailbox, name) for mailbox in recipients)
    quoted = written[0].lower().rstrip(".")
    if author is not None and quoted == author.address.key:
        return any(mailbox.address.key in quoted_recipients for mailbox in recipients)
    domain = domain_key(quoted.rpartition("@")[2])
    return any(mailbox.address.domain_key == domain for mailbox in recipients)


def _names(mailbox: Mailbox, name: str) -> bool:
    display = " ".join(mailbox.display.split()).casefold()
    return bool(display) and (display in name or name in display)


def _quoted_recipients(lines: Sequence[str], folded: Sequence[str]) -> frozenset[str]:
    return frozenset(
        found.lower()
        for line, seen in zip(lines, folded, strict=True)
        if "to" in quote_lines.label(seen)
        for found in _ADDRESS.findall(line)
    )
