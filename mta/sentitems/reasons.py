"""Why a job waits or how it ended: the words that stand in the log and in `sentitems list`, and what they mean."""

from __future__ import annotations

NOT_FOUND = "not-found"
BY_ADMINISTRATOR = "by-administrator"

_MEANINGS = {
    NOT_FOUND: "the sender's own item is not in Sent Items (yet); programs and printers keep none",
    BY_ADMINISTRATOR: "an administrator has ended it with `sentitems skip`",
}


def explained(reason: str) -> str:
    """What a reason means, in a sentence for administrators; "" for one that an older version left."""
    return _MEANINGS.get(reason, "")
