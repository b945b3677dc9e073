"""What tells an original from others, and who takes part in a conversation by it."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from mta.message.headers import addresses
from mta.message.parse import Message
from mta.model.address import without_tag
from mta.model.authentication import AuthenticationResults
from mta.model.delivery import OnceKey
from mta.relay.track.settings import Tracking

PARTICIPANTS_MAX = 100
"""That one message brings."""
_DATE_MAX = 200
_REMEMBERED = timedelta(days=30)
"""For how long an original's copy is not made again; the tracking process knows its Message-ID for good."""


def key_of(message: Message) -> str:
    """By which a message is noted: its Message-ID; without one its content, which a client that repeats it sends
    again."""
    return message.message_id or f"<{sha256(message.data).hexdigest()}@content.invalid>"


def original_of(message: Message, key: str, *, is_believed: bool | None) -> str:
    """What tells an original from others of the same `key`: its author and date, and whether that is his word. Whoever
    uses a Message-ID that is somebody else's keeps nobody's copy from being made."""
    author = next((mailbox.address.key for mailbox in addresses(message, "from")), "")
    whose = f"{author}\0{message.header('date')[:_DATE_MAX].strip()}\0{is_believed is False}"
    return f"{key} {sha256(whose.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def copy_claim(organisation: str, key: str) -> OnceKey:
    """The copy of an original for the processing mailbox: one, whichever of its parts and attempts makes it."""
    digest = sha256(f"{organisation}\0{key}".encode(errors="surrogatepass")).hexdigest()
    return OnceKey(f"track/{digest[:40]}", period=_REMEMBERED)


def participants(
    message: Message, tracking: Tracking, *, opens: bool, is_ours: bool, is_doubtful: bool
) -> tuple[str, ...]:
    """Address keys of those who take part by this message.

    A message of our own brings all whom it names, and so does one that opens a conversation, unless it is doubtful who
    wrote it. From outside, a reference proves the conversation and not the sender: correlation knows who takes part,
    and whom they may bring.
    """
    if not is_ours and (is_doubtful or not opens):
        return ()
    named = dict.fromkeys(
        mailbox.address.key for name in ("From", "Reply-To", "To", "Cc") for mailbox in addresses(message, name)
    )
    return tuple(key for key in named if without_tag(key) not in tracking.own)[:PARTICIPANTS_MAX]


def is_authenticated(authentication: AuthenticationResults | None, author_domain: str, *, is_ours: bool) -> bool | None:
    """Whether From can be believed; None where nobody looked or nobody says."""
    if is_ours:
        return True
    if authentication is None:
        return None
    if authentication.dmarc in ("pass", "fail"):
        return authentication.dmarc == "pass"
    return True if authentication.vouches_for(author_domain) else None
