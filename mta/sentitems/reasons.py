"""Why a job waits or how it ended: the words that stand in the log and in `sentitems list`, and what they mean."""

from __future__ import annotations

NOT_FOUND = "not-found"
BY_ADMINISTRATOR = "by-administrator"
NOT_CONFIGURED = "not-configured"
OUT_OF_SCOPE = "out-of-scope"
GROUP = "group"
NO_MAILBOX = "no-mailbox"
ACCESS_DENIED = "access-denied"
DIRECTORY_DOWN = "directory-down"
SERVER_BUSY = "server-busy"
SERVER_OVERLOADED = "server-overloaded"
SERVER_DOWN = "server-down"
SIGN_IN = "sign-in"
TLS_FAILED = "tls-failed"
MAILBOX_UNAVAILABLE = "mailbox-unavailable"
CONFLICT = "conflict"
QUOTA = "quota"
REFUSED = "refused"
OUTCOME_UNKNOWN = "outcome-unknown"
INTERNAL_ERROR = "internal-error"

# Of an attempt, see `work`.
INTERRUPTED = "interrupted"
MADE_AGAIN = "made-again"
AFTER_COPY = "after-copy"
UNCHANGED = "unchanged"
AMBIGUOUS = "ambiguous"
OTHER_JOB = "other-job"
ANOTHER_MESSAGE = "another-message"
DRAFT = "draft"
NOT_A_NOTE = "not-a-note"
SIGNED = "signed"
ENCRYPTED = "encrypted"
RIGHTS_PROTECTED = "rights-protected"
MEETING = "meeting"
VOTES = "votes"
TNEF = "tnef"
EDITED = "edited"
ATTACHMENTS = "attachments"
GONE = "gone"
TOO_LARGE = "too-large"
UNREADABLE = "unreadable"
BYTES_LOST = "bytes-lost"
NOT_VERIFIED = "not-verified"

_MEANINGS = {
    NOT_FOUND: "the sender's own item is not in Sent Items (yet); for marks: no copy is in Inbox, Sent Items or below",
    BY_ADMINISTRATOR: "an administrator has ended it with `sentitems skip`",
    NOT_CONFIGURED: "the organisation has no `sent_items` (for marks: `write_back`) in the configuration any more",
    OUT_OF_SCOPE: "the sender is none of those whom `senders` names; for marks: nobody of the audience",
    GROUP: "the address is a group's, which has no Sent Items of its own",
    NO_MAILBOX: "no mailbox server has a mailbox of this address",
    ACCESS_DENIED: "the mailbox server doesn't let us into this mailbox",
    DIRECTORY_DOWN: "the directory doesn't answer, and has to say whether and where the mailbox is served",
    SERVER_BUSY: "the mailbox server wants to be left alone for a while",
    SERVER_OVERLOADED: "the mailbox server wants fewer connections at a time",
    SERVER_DOWN: "the mailbox server can't be reached",
    SIGN_IN: "the mailbox server doesn't sign us in",
    TLS_FAILED: "the mailbox server's certificate isn't trusted",
    MAILBOX_UNAVAILABLE: "the mailbox is being moved, or can't be used for a while",
    CONFLICT: "the item was changed again and again while it was worked on",
    QUOTA: "the mailbox is full",
    REFUSED: "the mailbox server won't take this item",
    OUTCOME_UNKNOWN: "the connection broke, and what was asked may have been done: the next attempt looks",
    INTERNAL_ERROR: "a fault of ours; the log of component sentitems has its traceback",
    INTERRUPTED: "the process ended in the middle of an attempt; it is looked for what became of it",
    MADE_AGAIN: "the new item stands there; as an answer was lost before, it is looked once more whether it does twice",
    AFTER_COPY: "what was really sent is put into Sent Items first, or the mark would be lost with the item it is on",
    UNCHANGED: "the copy that counts went out as the sender wrote it",
    AMBIGUOUS: "several items in Sent Items have this Message-ID; none of them is touched",
    OTHER_JOB: "another job has put this message there: the mailbox has several addresses",
    ANOTHER_MESSAGE: "what came later under this Message-ID and date is another message; what stands there stays",
    DRAFT: "the item is a draft",
    NOT_A_NOTE: "the item is no ordinary message: another program or Exchange gave it a class of its own",
    SIGNED: "the item is signed; its signature would not hold for anything else",
    ENCRYPTED: "the item is encrypted",
    RIGHTS_PROTECTED: "the item is protected by rights (IRM, sensitivity labels with encryption)",
    MEETING: "the item is a meeting request or an answer to one",
    VOTES: "the item has voting buttons, whose answers are counted in it",
    TNEF: "the message went out in Exchange's own format (winmail.dat), which holds more than what can be made anew",
    EDITED: "the item's text is not what came to us: its owner edited it, or the mail was changed on its way",
    ATTACHMENTS: "the item hasn't the attachments that came to us: its owner removed some, or it holds links to files",
    GONE: "its owner moved or deleted the item meanwhile, and that counts",
    TOO_LARGE: "the message is larger than `largest` allows",
    UNREADABLE: "the message has more parts, levels or header fields than we look at",
    BYTES_LOST: "the message's file is gone from the queue's folder or can't be read",
    NOT_VERIFIED: "the new item was not what it should be and was removed; the detail says what differed",
}


def explained(reason: str) -> str:
    """What a reason means, in a sentence for administrators; "" for one that an older version left."""
    return _MEANINGS.get(reason, "")
