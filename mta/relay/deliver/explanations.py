"""The part of a DSN for people: what became of their message, in words for who knows nothing of mail servers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from datetime import datetime, timedelta

from mta.relay.deliver.reports import Action, Cause, Report

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
    "6.3": (
        "The message is written in a way that the other mail system can't take, and it can't be changed without "
        "breaking its digital signature. Please send it again without the signature."
    ),
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
_TITLES = {
    Action.FAILED: "could not be delivered",
    Action.DELAYED: "has not been delivered yet",
    Action.RELAYED: "was passed on",
    Action.DELIVERED: "was delivered",
}
_ADDRESSES = {
    Action.FAILED: ("could not be delivered to this address:", "could not be delivered to these addresses:"),
    Action.DELAYED: (
        "has not been delivered to this address yet. This is only a warning:",
        "has not been delivered to these addresses yet. This is only a warning:",
    ),
    Action.RELAYED: ("was passed on to the mail system of this address:",
                     "was passed on to the mail systems of these addresses:"),
    Action.DELIVERED: ("was delivered to this address:", "was delivered to these addresses:"),
}  # fmt: skip
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_WORDS_MAX = 900
_WIDTH = 72


def one_line(text: str) -> str:
    """Printable ASCII only and bounded, so that no reply or address can add a line or a header field."""
    return _UNPRINTABLE.sub("?", text)[:_WORDS_MAX]


def title(reports: Sequence[Report]) -> str:
    """Subject of the DSN: what is gravest of all that it tells."""
    whose = "A copy" if reports[0].for_postmaster else "Your message"
    return f"{whose} {_TITLES[_by_gravity(reports)[0]]}"


def letter(
    reports: Sequence[Report], *, hostname: str, accepted_at: datetime, now: datetime, queue_id: str, subject: str
) -> str:
    """The whole text, lines ended by CRLF. `subject` is the original's, in printable characters, or ""."""
    whose = "A copy that a rule made of a message" if reports[0].for_postmaster else "Your message"
    about = f'{whose} "{subject}"' if subject else whose
    lines = [f"This is the mail system at {hostname}."]
    for action in _by_gravity(reports):
        some = [report for report in reports if report.action is action]
        said = f"{about} of {accepted_at:%d %B %Y, %H:%M} (UTC) {_ADDRESSES[action][len(some) > 1]}"
        lines += ["", *textwrap.wrap(said, _WIDTH, break_long_words=False)]
        for report in some:
            lines += _about_one(report, now - accepted_at)
        lines += ["", *textwrap.wrap(_closing(action, some), _WIDTH)]
    lines += [
        "",
        "Addresses that are not listed here are not affected.",
        "",
        "If you ask your administrator for help, please forward this whole message;",
        f"our reference is {queue_id}.",
    ]
    return "\r\n".join(lines) + "\r\n"


def _by_gravity(reports: Sequence[Report]) -> list[Action]:
    """What they tell, the gravest first."""
    told = {report.action for report in reports}
    return [action for action in Action if action in told]


def _about_one(report: Report, age: timedelta) -> list[str]:
    lines = ["", f"    {report.address}"]
    if reason := _reason(report, age):
        lines += ["", *textwrap.wrap(reason, _WIDTH)]
    if report.remote_reply and report.action in (Action.FAILED, Action.DELAYED):
        name = remote_name(report.remote) or "The other mail server"
        lines += ["", f"{name} answered:"]
        lines += textwrap.wrap(
            one_line(report.remote_reply), _WIDTH - 4, initial_indent="    ", subsequent_indent="    "
        )
    return lines


def _reason(report: Report, age: timedelta) -> str:
    """Why, and what the sender can do; "" where all is well."""
    if report.action is Action.FAILED:
        return _why_failed(report, age)
    return _why_late(report) if report.action is Action.DELAYED else ""


def _closing(action: Action, reports: Sequence[Report]) -> str:
    these = "these addresses" if len(reports) > 1 else "this address"
    if action is Action.FAILED:
        return f"The message will not be tried again for {these}."
    if action is Action.DELAYED:
        until = max((report.retry_until for report in reports if report.retry_until), default=None)
        limit = f" until {until:%d %B %Y, %H:%M} (UTC)" if until else ""
        return (
            f"You need not do anything, and need not send the message again: we go on trying{limit}. "
            "You will be told if it can't be delivered by then."
        )
    if action is Action.RELAYED:
        return "That mail system sends no confirmations, so this is the last report that you get about it."
    return "You have asked for this confirmation."


def _why_failed(report: Report, age: timedelta) -> str:
    if report.cause is Cause.POLICY:
        return f"A rule of your organisation does not let the message go to this address: {report.reply.text}"
    if report.cause is Cause.HELD:
        return "The message was held back for review, and nobody released it in time. It has not been delivered."
    if report.cause is Cause.DELETED:
        return "Your administrator has taken the message out of the queue. It has not been delivered."
    if report.cause is Cause.EXPIRED and report.reply.status in _TLS_STATUSES:
        return (
            "This message may only travel over an encrypted connection to a server that proves its name. "
            f"We have tried for {_period(age)}, but the other mail system did not offer one. "
            "Please ask your administrator."
        )
    if report.cause is Cause.EXPIRED:
        return (
            f"We have tried for {_period(age)}, but the other mail system could not be reached or put us off "
            "each time. If the message is still needed, please send it again later."
        )
    _, _, detail = report.status.partition(".")
    return _BY_STATUS.get(detail) or _BY_SUBJECT.get(detail.partition(".")[0], _UNKNOWN)


def _why_late(report: Report) -> str:
    if report.status in _TLS_STATUSES:
        return "The other mail system offers no encrypted connection, without which this message may not travel."
    if report.status == "4.2.2":
        return "The mailbox is full."
    if not report.remote_reply and report.status.startswith("4.4."):
        return "The other mail system can't be reached at present."
    return "The other mail system puts us off at present."


def _period(time: timedelta) -> str:
    hours = max(1, round(time / timedelta(hours=1)))
    if hours < 48:
        return f"{hours} hours" if hours > 1 else "an hour"
    return f"{hours // 24} days"


_REMOTE = re.compile(r"([^\[\]]*)\[([^\[\]]+)\](?::\d+)?\Z")


def remote_name(remote: str) -> str:
    """`name[ip]:port` without address and port; an address literal where there is no name."""
    match = _REMOTE.match(remote)
    if match is None:
        return one_line(remote)
    name, ip = match.groups()
    return one_line(name) if name and name != ip else f"[{one_line(ip)}]"
