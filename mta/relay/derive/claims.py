"""Names for what is done once: equal for the siblings of a message, different for everything else.

Exchange hands one message over in several transactions (bifurcation). They have the same Message-ID, Date and verified
sender; their bodies may be encoded anew. A stranger could send two messages under one Message-ID, to keep the second
from being archived: theirs are siblings only where header and body are the same, too.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from mta.model.actions import AutoRespond
from mta.model.delivery import OnceKey
from mta.relay.derive.original import Original

NOTICES_MAX = 100
"""Notices of one rule to the same people within an hour, should somebody's robot answer them with new mail."""
ANSWERS_MAX = 20
"""Answers of one rule to one sender within an hour, whoever answers: one message to many may be forged."""
_HOUR = timedelta(hours=1)
_FIELDS = ("from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id")


def once(original: Original, kind: str, rule: str, *what: str) -> OnceKey:
    """Something that a rule does once for a message and its siblings."""
    return OnceKey(_key(kind, rule, original.message.decision.organisation, _identity(original), *what))


def notice_limit(original: Original, rule: str, to: tuple[str, ...]) -> OnceKey:
    """A bound on the notices that a rule writes to the same people."""
    return OnceKey(_key("notices", rule, original.message.decision.organisation, *to), NOTICES_MAX, _HOUR)


def response_limit(original: Original, action: AutoRespond, sender: str) -> OnceKey:
    """How often one sender is answered; each recipient answers for themselves, unless one answers for all."""
    who = action.recipient or action.sender
    key = _key("responses", action.rule, original.message.decision.organisation, who, sender)
    return OnceKey(key, action.limit, timedelta(seconds=action.period_s))


def answer_limit(original: Original, action: AutoRespond, sender: str) -> OnceKey:
    """A bound on what a rule answers one sender in everybody's name; never less than what it says for each."""
    key = _key("answers", action.rule, original.message.decision.organisation, sender)
    period = min(_HOUR, timedelta(seconds=action.period_s))
    return OnceKey(key, max(ANSWERS_MAX, action.limit), period)


def _key(kind: str, rule: str, *parts: str) -> str:
    """Readable in front; the rest is a digest, which is short and tells nobody's address."""
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return f"{kind}/{rule}/{digest[:40]}"


def _identity(original: Original) -> str:
    message, parsed = original.message, original.parsed
    if not parsed.message_id:
        return message.queue_id
    parts = [message.decision.sender, parsed.message_id, parsed.header("date")]
    if not original.is_verified:
        digest = hashlib.sha256()
        for name in _FIELDS:
            for field in parsed.fields_named(name):
                digest.update(b"%b:%b\n" % (name.encode(), parsed.raw(field)))
        digest.update(memoryview(parsed.data)[parsed.root.body_start :])
        parts.append(digest.hexdigest())
    return json.dumps(parts)
