"""One line of the log as a sentence for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from mta.trace.log_lines import LogLine

_NAMED_MAX = 5
"""Recipients that a sentence names."""


def sentence(line: LogLine) -> str:
    """What happened; an event that has no words of its own is told by its fields."""
    words = _WORDS.get(line.action)
    return words(line) if words is not None else _plain(line)


def _plain(line: LogLine) -> str:
    left = {name: value for name, value in line.fields.items() if name not in ("queue_id", "traceback")}
    return " ".join([line.action, *(f"{name}={value}" for name, value in left.items())])


def people(addresses: Sequence[str]) -> str:
    """Some addresses, and how many more."""
    named = ", ".join(addresses[:_NAMED_MAX])
    more = len(addresses) - _NAMED_MAX
    return f"{named} and {more} more" if more > 0 else named


def _accepted(line: LogLine) -> str:
    said = f" ({helo})" if (helo := line.text("helo")) else ""
    account = f", account {account}" if (account := line.text("account")) else ""
    certificate = f", certificate {name}" if (name := line.text("certificate")) else ""
    return (
        f"received from {line.text('client')}{said} by listener {line.text('listener')}, "
        f"{line.text('tls') or 'in clear text'}{account}{certificate}: {line.text('size')} octets from "
        f"{line.text('sender')} to {people(line.items('recipients'))}"
    )


def _decided(line: LogLine) -> str:
    rules = f" by {rules}" if (rules := ", ".join(line.items("rules"))) else ""
    actions = ", ".join(line.items("actions")) or "no action"
    return f"decided for {_recipients(line)} ({line.text('direction')}, group {line.text('group')}): {actions}{rules}"


def _attempt(outcome: str) -> Callable[[LogLine], str]:
    def words(line: LogLine) -> str:
        hop = f" by {hop}" if (hop := line.text("next_hop")) else ""
        remote = f", {remote}" if (remote := line.text("remote")) else ""
        tls = f", {tls}" if (tls := line.text("tls")) else ""
        took = f" in {took} ms" if (took := line.text("attempt_ms")) else ""
        again = f"; next attempt {_local(due_at)}" if (due_at := line.text("due_at")) else ""
        reply = f': "{reply}"' if (reply := line.text("reply")) else ""
        return f"{outcome} {_recipients(line)}{hop}{remote}{tls}, attempt {line.text('attempts')}{took}{reply}{again}"

    return words


def _local(moment: str) -> str:
    """In the zone of the times beside it, whichever the line was written in."""
    try:
        return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return moment


def _failed(line: LogLine) -> str:
    dsn = f"; DSN {', '.join(line.items('dsn'))}" if line.text("dsn") else "; nobody is told"
    return _attempt("gave up")(line) + dsn


def _changed(line: LogLine) -> str:
    to = f" to {to}" if (to := line.text("to")) else ""
    return f"administrator {line.text('by')}: {line.text('what')}{to} ({line.text('which')})"


def _followed(line: LogLine) -> str:
    rule = f" by rule {rule}" if (rule := line.text("rule")) else ""
    return f"{line.text('kind')} {line.text('spawned')} queued{rule} to {_recipients(line)}"


def _dsn_queued(line: LogLine) -> str:
    return f"DSN {line.text('dsn')} queued to {line.text('to')} by {line.text('next_hop')}"


def _tracked(line: LogLine) -> str:
    rule, by = line.text("rule"), line.text("by")
    if not by:
        return f"tracked by rule {rule}; which conversation, is found out in the processing mailbox"
    how = "opens it" if by == "opened" else f"known by {by}"
    return f"belongs to {line.text('transaction')} (rule {rule}, {how})"


def _tracking_copy(line: LogLine) -> str:
    return f"tracking copy {line.text('copy')} queued to {line.text('to')} by {line.text('next_hop')}"


def _recipients(line: LogLine) -> str:
    return people(line.items("recipients"))


def _sent_item(line: LogLine) -> str:
    reason = f" ({reason})" if (reason := line.text("reason")) else ""
    server = f" on {server}" if (server := line.text("server")) else ""
    detail = f': "{detail}"' if (detail := line.text("detail")) else ""
    record = line.text("record")
    what = f"mark of {record} in the mailbox" if record else "Sent Items"
    return f"{what} of {line.text('mailbox')}{server}: {line.text('state')}{reason}{detail}, job {line.text('job')}"


def _mailbox_message(line: LogLine) -> str:
    again = ", which was known already" if line.text("again") else ""
    record = f", record {record}" if (record := line.text("record")) else ""
    return f"mailbox {line.text('mailbox')}: {line.text('state')} ({line.text('reason')}){record}{again}"


def _mailbox_answer(line: LogLine) -> str:
    record = f", record {record}" if (record := line.text("record")) else ""
    became = f"{line.text('state')} ({line.text('reason')}){record}"
    return f"mailbox {line.text('mailbox')}: what it answers has come, so it was looked at again: {became}"


def _mailbox_aside(line: LogLine) -> str:
    detail = f", {detail}" if (detail := line.text("detail")) else ""
    return f"mailbox {line.text('mailbox')}: set aside in {line.text('folder')} ({line.text('reason')}{detail})"


_WORDS: dict[str, Callable[[LogLine], str]] = {
    "accepted": _accepted,
    "decided": _decided,
    "delivered": _attempt("delivered to"),
    "deferred": _attempt("deferred"),
    "failed": _failed,
    "followed": _followed,
    "dsn-queued": _dsn_queued,
    "tracked": _tracked,
    "tracking-copy": _tracking_copy,
    "queue-changed": _changed,
    "sent-item": _sent_item,
    "mailbox-message": _mailbox_message,
    "mailbox-answer": _mailbox_answer,
    "mailbox-message-set-aside": _mailbox_aside,
    "mailbox-message-waits": lambda line: (
        f"mailbox {line.text('mailbox')}: left there, to be tried again ({line.text('reason')})"
    ),
    "mailbox-message-stays": lambda line: (
        f"mailbox {line.text('mailbox')}: taken, but {line.text('what')} fails ({line.text('reason')})"
    ),
    "sent-item-left-out": lambda line: (
        f"Sent Items of {people(line.items('mailboxes'))}: left as they are ({line.text('reason')})"
    ),
    "held": lambda line: f"held for {_recipients(line)} by a {line.text('reason')}",
    "dropped": lambda line: f"dropped for {_recipients(line)} by a {line.text('reason')}",
    "left-alone": lambda line: f"not tried: next hop {line.text('next_hop')} is {line.text('reason')}",
    "message-read": lambda line: f"administrator {line.text('by')} had the message printed",
    "already-processed": lambda line: "relayed as it is: it came with our own valid mark",
    "recipient-added": lambda line: (
        f"rule {line.text('rule')} adds {line.text('recipient')}"
        + (f" in place of {instead}" if (instead := line.text("in_place_of")) else "")
    ),
}
