"""Which conversation a message would open or go on with. The store is not asked: it may be another machine's."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mta.message.parse import Message
from mta.model.decision import Decision
from mta.model.transaction import Transaction
from mta.relay.book import Book
from mta.relay.track import named_in, tokens_of, track_of, with_id


@dataclass(frozen=True, slots=True)
class WouldTrack:
    """What a rule's `track` comes to."""

    rule: str
    transaction: str
    """The one that it goes on with; of one that it opens the module alone; "" for neither."""
    by: str
    """`opened`, or what names it: `in-reply-to`, `references`, `header`, `body`, `subject`; "" for nothing."""
    copy_to: str
    carries: bool
    """Whether copies carry the id."""

    def __str__(self) -> str:
        copy = f"; {self.copy_to} gets a copy" if self.copy_to else ""
        silent = "" if self.carries else "; nothing is put into a message of this kind"
        if self.by == "subject":
            what = (
                f"goes on with {self.transaction}, which our sender's subject names, if it was opened; else as without"
            )
        elif self.by == "opened":
            what = f"opens a {self.transaction}, number 0 in what is shown here"
        else:
            what = f"goes on with {self.transaction} (by {self.by})" if self.by else "opens nothing and knows none"
        return f"rule {self.rule} {what}{copy}{silent}"


def would_track(book: Book, message: Message, decision: Decision) -> tuple[Decision, WouldTrack | None]:
    """The decision with the id that copies would carry; None where no rule tracks the message."""
    tracking = book.tracking
    if tracking is None:
        return decision, None
    named = named_in(message, tracking)
    transaction, by = (named.transaction, named.by) if named is not None else (None, "")
    tokens = tokens_of(message, tracking) if named is None and decision.is_ours else ()
    if tokens:
        transaction, by = Transaction(tracking.organisation, *tokens[0], nonce="unknown0"), "subject"
    found = track_of(decision, is_known=transaction is not None)
    if found is None:
        return decision, None
    action, recipients = found
    shown = str(transaction or "")
    if transaction is None and action.opens:
        transaction, by = Transaction(tracking.organisation, tracking.module(action.module), 0, "unknown0"), "opened"
        shown = transaction.module
    if transaction is not None and action.carries:
        carried = tracking.carry(transaction, action.rule)
        if by in ("subject", "opened"):
            # Nobody is to take what is shown here for an id that we have given.
            carried = replace(carried, reference=f"stampline.{transaction}.not-signed")
        decision = with_id(decision, carried, recipients)
    copy_to = str(tracking.copy_to) if action.copies and tracking.copy_to is not None else ""
    return decision, WouldTrack(action.rule, shown, by, copy_to, action.carries)
