"""Messages that follow from a message: archive copies, notices, auto-responses. Each is made once for the original.

In: a message about to be accepted, with its decision; out: messages of our own that are committed with it, each with
the claims by which the store knows that a sibling of the message brought it already. `auto_response` says when an
answer would be wrong (RFC 3834), `letters` writes what a template says as a message, `claims` names what is done once.
"""

from mta.message.letters import CannotWriteError, Letter, WriteLetter
from mta.relay.derive.derive import NOTHING, Derived, Follower, House, LeftOut, NotDerived, derive
from mta.relay.derive.original import Original

__all__ = [
    "NOTHING", "CannotWriteError", "Derived", "Follower", "House", "LeftOut", "Letter", "NotDerived", "Original",
    "WriteLetter", "derive",
]  # fmt: skip
