"""The words for how a message was correlated, each with what it means."""

from __future__ import annotations

from typing import Final

KNOWN: Final = "known"
"""It was taken before, by this mailbox or another."""
OWN_NOTICE: Final = "own-notice"
BOUNCE: Final = "bounce"
RECEIPT: Final = "receipt"
OF_NOTHING_SENT: Final = "report-of-nothing-sent"
"""A bounce or receipt about nothing that we know to have sent."""
TRACKED_COPY: Final = "tracked-copy"
"""The relay's copy of what one of ours sent says which."""
SIGNED_REFERENCE: Final = "signed-reference"
COLLEAGUE: Final = "colleague"
"""Carries a signed reference or answers a known message, and its author is one of ours who did not take part before."""
OPENED: Final = "opened"
"""The relay opened the conversation by it."""
MESSAGE_ID: Final = "message-id"
"""Its own Message-ID names the conversation: an answer was here before, or it was begun to be taken."""
KNOWN_REFERENCE: Final = "known-reference"
"""It answers a message of the conversation."""
SUBJECT_TOKEN: Final = "subject-token"  # noqa: S105
BODY_TOKEN: Final = "body-token"  # noqa: S105
THREAD_INDEX: Final = "thread-index"
OTHER_TICKET: Final = "other-ticket"
STRANGER: Final = "stranger"
"""Names the conversation by what only its mails carry, and its author does not take part."""
FORGED_SENDER: Final = "forged-sender"
"""The same, and servers that are believed say that its author did not send it; or it came to the relay from outside in
a name of ours, and nobody vouches for it."""
UNPROVEN_SENDER: Final = "unproven-sender"
"""Its author says to be one who may join, and nothing proves that he sent it, though the settings or his domain's DMARC
policy want it proven."""
NO_ANSWER: Final = "sender-not-looked-up"
"""The same, for DNS gave no answer in all the time that it was tried."""
REUSED_MESSAGE_ID: Final = "reused-message-id"
"""Somebody who does not take part gave it the Message-ID of one of the conversation's messages."""
NO_REFERENCE: Final = "no-reference"
"""Nothing names a conversation."""
UNKNOWN_ORIGINAL: Final = "unknown-original"
"""It answers a message that isn't known; it is looked at again when that comes within some days."""
UNPROVEN: Final = "unproven"
"""A token, an Exchange conversation, another system's number, or a message that was only named by others, tells of a
conversation; anybody can write these, and its author does not take part."""
GONE: Final = "gone"
"""It names a conversation that isn't kept any more, or is of a module that isn't there any more."""
