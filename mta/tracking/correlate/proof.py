"""A copy's proof counts once: whoever gets hold of a copy could put other words into it."""

from __future__ import annotations

from dataclasses import replace

from mta.model.tracking import EntryState
from mta.ports.tracking_store import Conversations
from mta.tracking.incoming import Incoming

_FORGED = ":forged"


async def with_fresh_proof(incoming: Incoming, conversations: Conversations) -> Incoming:
    """The message as it is to be believed: what stands in a copy that was changed on its way, as Exchange may do, is
    the original unless that was taken before with another author or date. Then it is a forgery in the author's name.
    """
    if incoming.copy is None or incoming.copy.is_intact:
        return incoming
    first = await conversations.entry_of_message(incoming.organisation, incoming.message_id)
    if first is None or first.state is not EntryState.JOINED or _name(first.key) == _name(incoming.key):
        return incoming
    if incoming.is_sent and first.direction != "sent":  # somebody used its Message-ID before it came
        return incoming
    return replace(incoming, key=key_of_forger(incoming.key), copy=None, is_sent=False, is_authenticated=False)


def key_of_forger(key: str) -> str:
    """For what nothing proves: it may have the Message-ID and date of a true message, and stands not in its way."""
    return f"{_name(key)}{_FORGED}"


def _name(key: str) -> str:
    return key.removesuffix(_FORGED)
