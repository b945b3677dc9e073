"""The words for why a message is left out, or somebody isn't written to."""

from __future__ import annotations

from mta.tracking.incoming import Automatic

TOO_LARGE = "too-large"
PRESET_SENDER = "preset-sender"
PRESET_SUBJECT = "preset-subject"
NOT_ACCEPTED = "not-accepted"
"""Known people only are accepted, and this is none, or of another kind."""
CAP = "cap-of-a-day"
PROGRAM = "no-person"
"""No person reads what is written to this address."""
AUTOMATIC = {
    Automatic.BOUNCE: "bounce",
    Automatic.RECEIPT: "receipt",
    Automatic.OUT_OF_OFFICE: "out-of-office",
    Automatic.REPLY: "automatic-reply",
    Automatic.BULK: "bulk-mail",
    Automatic.GENERATED: "written-by-a-program",
}


def of_rule(name: str) -> str:
    """An administrator's filter, by its name."""
    return f"rule:{name}"
