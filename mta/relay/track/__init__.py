"""Tracked conversations on the way through the relay.

Before the 250, `known` finds the conversation whose signed reference a message carries, and `original` says by what the
message is noted and who takes part by it; the store opens or continues. `carried` makes the decision say that every
copy carries the id (the edits are `stamp`'s). With the settlement, `copy` makes the copy for the processing mailbox.
`settings` is what all of them know of the organisation.
"""

from mta.relay.track.carried import track_of, with_id
from mta.relay.track.copy import CopyPlan, is_copy, make_copy, waiting
from mta.relay.track.known import Named, answered_by, named_in, tokens_of
from mta.relay.track.original import copy_claim, is_authenticated, key_of, original_of, participants
from mta.relay.track.settings import Tracking

__all__ = [
    "CopyPlan", "Named", "Tracking", "answered_by", "copy_claim", "is_authenticated", "is_copy", "key_of", "make_copy",
    "named_in", "original_of", "participants", "tokens_of", "track_of", "waiting", "with_id",
]  # fmt: skip
