"""A message's bytes as what filters, correlation and rules ask about.

In: bytes as a mailbox gave them, hostile until shown otherwise. Out: an `Incoming`, or the reason why it can't be read.
`message` does it; `identity` names it, `wording` finds what its author wrote, `automatic` whether anybody wrote it,
`forwarded` what it quotes, `authenticity` whether its author is to be believed.
"""

from mta.tracking.read.message import CannotReadError, read_incoming

__all__ = ["CannotReadError", "read_incoming"]
