"""Whom a sender has written to before: claims in the store that a message makes, and that later ones find.

They hold digests, not addresses, and are kept while rules ask for first contacts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from hashlib import blake2b

from mta.model.actions import Drop, Reject
from mta.model.decision import Decision
from mta.model.delivery import OnceKey
from mta.model.reply import TemporaryError
from mta.ports.spool import Spool

REMEMBERED_FOR = timedelta(days=5 * 365)
"""After that a contact is a first one again."""


def contact_key(organisation: str, sender: str, recipient: str) -> str:
    """The claim for one sender and recipient, given by their address keys."""
    octets = "\0".join((organisation, sender, recipient)).encode("utf-8", "surrogateescape")
    return f"contact:{blake2b(octets, digest_size=16).hexdigest()}"


async def known_contacts(
    spool: Spool, organisation: str, sender: str, recipients: Iterable[str]
) -> frozenset[str] | None:
    """Those of the recipients to whom the sender has written before; None where the store can't say."""
    keys = {recipient: contact_key(organisation, sender, recipient) for recipient in recipients}
    try:
        held = await spool.claimed(frozenset(keys.values()))
    except TemporaryError:
        return None  # it is logged; the rules that ask fail by their on_error
    return frozenset(recipient for recipient, key in keys.items() if key in held)


def new_contacts(organisation: str, decision: Decision, known: frozenset[str]) -> tuple[OnceKey, ...]:
    """What a message claims whose recipients get it and are not known yet."""
    if not decision.sender:
        return ()
    return tuple(
        OnceKey(contact_key(organisation, decision.sender, entry.recipient.key), period=REMEMBERED_FOR)
        for entry in decision.recipients
        if not entry.is_added
        and entry.recipient.key not in known
        and not any(isinstance(action, Reject | Drop) for action in entry.actions)
    )
