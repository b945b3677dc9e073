"""Real conversations of the corpus, as a desk that opens a record for whatever is new would get them.

Which messages are one conversation is told by their headers alone: who answers whom, by In-Reply-To and References.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from mta.message.parse import LimitExceededError, parse
from tests.shared import CorpusMessage, corpus

_ID = re.compile(rb"<[^<>\s]+>")
_NO_IDS = frozenset({b"<yes>", b"<xxx>"})


def threads() -> list[list[CorpusMessage]]:
    """Each with two messages or more that have Message-IDs of their own, in the order of the corpus."""
    named: dict[str, frozenset[bytes]] = {}
    by_path: dict[str, CorpusMessage] = {}
    seen: set[str] = set()
    for message in corpus():
        try:
            parsed = parse(message.data)
        except LimitExceededError:
            continue
        if not parsed.message_id or parsed.message_id in seen:
            continue
        seen.add(parsed.message_id)
        fields = (field for name in ("message-id", "in-reply-to", "references") for field in parsed.fields_named(name))
        ids = frozenset(found for field in fields for found in _ID.findall(parsed.raw(field))) - _NO_IDS
        if ids:
            named[message.path], by_path[message.path] = ids, message
    groups = _joined(named)
    return [[by_path[path] for path in group] for group in groups if len(group) > 1]


def _joined(named: dict[str, frozenset[bytes]]) -> Iterable[list[str]]:
    leader: dict[bytes, bytes] = {}

    def root(name: bytes) -> bytes:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for ids in named.values():
        first, *rest = ids
        for other in rest:
            leader[root(other)] = root(first)
    groups: dict[bytes, list[str]] = defaultdict(list)
    for path, ids in named.items():
        groups[root(next(iter(ids)))].append(path)
    return groups.values()
