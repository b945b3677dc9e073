"""Why a task waits or died: the words that stand in the log and in `stampline records tasks`, and what they mean."""

from __future__ import annotations

from http import HTTPStatus

UNREACHABLE = "unreachable"
TIMEOUT = "timeout"
TLS_FAILED = "tls-failed"
BAD_ANSWER = "bad-answer"
REDIRECTED = "redirected"
BUSY = "busy"
SIGN_IN = "sign-in"
NOT_OPENED = "not-opened"
DEFERRED = "deferred"
REFUSED = "refused"
SOME_REFUSED = "some-refused"
SENDER_NOT_ALLOWED = "sender-not-allowed"
TOO_LARGE = "too-large"
UNSENDABLE = "unsendable"
OUTCOME_UNKNOWN = "outcome-unknown"
PLUGIN_ASKS = "plugin-asks"
PLUGIN_FAILED = "plugin-failed"
PLUGIN_SLOW = "plugin-slow"
PLUGIN_STUCK = "plugin-stuck"
NOT_CONFIGURED = "not-configured"
PAYLOAD_MISSING = "payload-missing"
BY_ADMINISTRATOR = "by-administrator"
INTERNAL_ERROR = "internal-error"
KILLS = "kills-us"

_MEANINGS = {
    UNREACHABLE: "no connection could be made to the other side",
    TIMEOUT: "the other side did not answer in time; it may have done it all the same",
    TLS_FAILED: "the other side's certificate isn't trusted, or it offers no TLS where it is required",
    BAD_ANSWER: "what came back is no answer of the protocol",
    REDIRECTED: "the webhook answers with a redirection, which is not followed: correct its url",
    BUSY: "the other side wants to be left alone for a while",
    SIGN_IN: "the account is not let in: see user, password, token and rights",
    NOT_OPENED: "a secret, a file or a plug-in that the configuration names can't be used",
    DEFERRED: "the server takes the mail later",
    REFUSED: "the other side refuses it for good",
    SOME_REFUSED: "sent, but the server refused some of the recipients",
    SENDER_NOT_ALLOWED: "its From is no address of a monitored mailbox, nor of allowed_senders, or the account may not"
    " send from it",
    TOO_LARGE: "the mail is larger than the server takes",
    UNSENDABLE: "the mail has no readable From or no recipients, or the server lacks an extension that it needs",
    OUTCOME_UNKNOWN: "the connection broke after the whole mail was sent; it goes out again with the same Message-ID",
    PLUGIN_ASKS: "the plug-in asked to be called again later",
    PLUGIN_FAILED: "the plug-in raised an exception",
    PLUGIN_SLOW: "the plug-in did not end within its time",
    PLUGIN_STUCK: "too many calls of the plug-in hang; it is called again after the tracking process was restarted",
    NOT_CONFIGURED: "the configuration has no such sink or account (any more); the task waits for it",
    PAYLOAD_MISSING: "what it says was lost when the database was recovered",
    BY_ADMINISTRATOR: "an administrator has dropped it with `records drop`",
    KILLS: "the tracking process died over it again and again, with nothing else in hand: look at the plug-in",
    INTERNAL_ERROR: "a fault of ours; the log of component tracking has its traceback",
}


def explained(reason: str) -> str:
    """What a reason means, in a sentence for administrators; "" for one that an older version left."""
    code = reason.removeprefix("status-")
    if code != reason and code.isdecimal() and code.isascii():
        phrase = next((f" ({each.phrase})" for each in HTTPStatus if each == int(code)), "")
        return f"the webhook answered {code}{phrase}"
    return _MEANINGS.get(reason, "")
