"""What an enhanced status code means, in words for a sender who knows nothing of mail servers."""

from __future__ import annotations

from datetime import timedelta

from mta.relay.deliver.settle import Cause, Failure

_BY_STATUS = {
    "1.0": "The address was not accepted. Please check it for typing errors.",
    "1.1": "There is no mailbox with this address. Please check it for typing errors.",
    "1.2": "The domain of this address, the part after the @, does not take mail. Please check it for typing errors.",
    "1.3": "The address is not written as a mail address has to be. Please check it for typing errors.",
    "1.10": "The domain of this address does not take any mail.",
    "2.1": "The mailbox is switched off and takes no mail.",
    "2.2": "The mailbox is full. Please ask the recipient to make room, then send your message again.",
    "2.3": "The message is larger than this mailbox takes. Please send less, or share large files in another way.",
    "3.4": "The message is too large for the other mail system. Please send less, or share large files in another way.",
    "4.6": "The message went round in circles between mail servers. An administrator has to mend that.",
    "6.7": "The address uses letters that the other mail system does not know yet.",
    "7.1": "The other mail system does not take this message from you, by a rule of its administrators.",
}
_BY_SUBJECT = {
    "1": "The address was not accepted. Please check it for typing errors.",
    "2": "The mailbox can't take the message.",
    "3": "The other mail system can't take the message.",
    "4": "The other mail system could not be reached.",
    "6": "The other mail system can't handle the contents of the message.",
    "7": "The message was refused for reasons of security or policy.",
}
_TLS_STATUSES = frozenset({"4.7.4", "4.7.5"})
"""RFC 3463 §3.8: what our transports answer where TLS is required and can't be had."""
_UNKNOWN = "The other mail system did not take the message."


def explanation(failure: Failure, expire_after: timedelta) -> str:
    """Two or three sentences on why a recipient was given up, and what the sender can do."""
    if failure.cause is Cause.POLICY:
        return f"A rule of your organisation does not let the message go to this address: {failure.reply.text}"
    if failure.cause is Cause.HELD:
        return "The message was held back for review, and nobody released it in time. It has not been delivered."
    if failure.cause is Cause.EXPIRED and failure.reply.status in _TLS_STATUSES:
        return (
            "This message may only travel over an encrypted connection to a server that proves its name. "
            f"We have tried for {_period(expire_after)}, but the other mail system did not offer one. "
            "Please ask your administrator."
        )
    if failure.cause is Cause.EXPIRED:
        return (
            f"We have tried for {_period(expire_after)}, but the other mail system could not be reached or put us off "
            "each time. If the message is still needed, please send it again later."
        )
    _, _, detail = failure.status.partition(".")
    return _BY_STATUS.get(detail) or _BY_SUBJECT.get(detail.partition(".")[0], _UNKNOWN)


def _period(time: timedelta) -> str:
    hours = max(1, round(time / timedelta(hours=1)))
    if hours < 48:
        return f"{hours} hours" if hours > 1 else "an hour"
    return f"{hours // 24} days"
