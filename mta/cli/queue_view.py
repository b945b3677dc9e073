"""How the queue is shown: tables for people, plain values for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from mta.cli.command import print_table, printable, short_age
from mta.model.actions import Action, action_to_json
from mta.model.decision import Decision, RecipientDecision
from mta.model.delivery import AcceptedMessage, RecipientEntry
from mta.model.queue import QueueEntry, QueueFilter


def entry_to_json(entry: QueueEntry) -> dict[str, Any]:
    """One message of the queue as JSON values; `sender` is "" for the null reverse-path."""
    return {
        "queue_id": entry.queue_id,
        "accepted_at": entry.accepted_at.isoformat(),
        "size_octets": entry.size_octets,
        "sender": entry.reverse_path,
        "message_id": entry.message_id,
        "attempts": entry.attempts,
        "due_at": entry.due_at.isoformat() if entry.due_at else None,
        "is_being_delivered": entry.leased,
        "recipients": [
            {
                "address": str(recipient.address),
                "state": recipient.state.value,
                "next_hop": recipient.next_hop,
                "group": recipient.group,
                "last_reply": recipient.last_reply,
            }
            for recipient in entry.recipients
        ],
    }


def message_to_json(message: AcceptedMessage, entry: QueueEntry, header: bytes) -> dict[str, Any]:
    """One message with all that `queue show` tells."""
    client = message.client
    return {
        **entry_to_json(entry),
        "client": {"ip": client.ip, "helo": client.helo, "listener": client.listener} if client else None,
        "snapshot": message.snapshot,
        "decision": {
            "organisation": message.decision.organisation,
            "sender": message.decision.sender,
            "recipients": [
                {
                    "address": str(decided.recipient),
                    "direction": decided.direction.value,
                    "role": decided.role.value,
                    "group": decided.group,
                    "next_hop": decided.next_hop,
                    "actions": [action_to_json(action) for action in decided.actions],
                    "added_by": decided.added_by,
                    "in_place_of": decided.in_place_of,
                    "redirected_by": decided.redirected_by,
                }
                for decided in message.decision.recipients
            ],
            "once": [action_to_json(each.action) for each in message.decision.once],
        },
        "header": header.decode("utf-8", "replace"),
    }


def print_entries(entries: Sequence[QueueEntry]) -> None:
    """One line a message, and a line of sums."""
    headings = ("QUEUE ID", "AGE", "SIZE", "STATE", "TRIES", "DUE", "SENDER", "RECIPIENTS", "LAST REPLY")
    now = datetime.now(UTC)
    if entries:
        print_table(headings, [_row(entry, now) for entry in entries])
    octets = sum(entry.size_octets for entry in entries)
    print(f"{len(entries)} message{'s' if len(entries) != 1 else ''}, {_size(octets)}")


def print_message(message: AcceptedMessage, entry: QueueEntry, header: bytes) -> None:
    """Envelope, decision, recipients, header."""
    client = message.client
    origin = f"{client.helo} [{client.ip}] by listener {client.listener}" if client else "ourselves"
    lines = [
        f"queue id    {entry.queue_id}",
        f"accepted    {entry.accepted_at.astimezone().isoformat(timespec='seconds')} from {origin}",
        f"sender      <{entry.reverse_path}>",
        f"message id  {entry.message_id}",
        f"size        {_size(entry.size_octets)}",
        f"attempts    {entry.attempts}",
        f"due         {_due(entry, datetime.now(UTC))}",
        f"decided     as {message.decision.sender or '<>'}, under snapshot {message.snapshot}",
    ]
    print("\n".join(printable(line) for line in lines), end="\n\n")
    print_table(
        ("RECIPIENT", "STATE", "NEXT HOP", "GROUP", "LAST REPLY"), [_recipient_row(r) for r in entry.recipients]
    )
    for group, actions in sorted(message.decision.group_actions().items()):
        print(f"\ngroup {group} ({_directions(message.decision, group)})")
        print(
            "\n".join(f"  {printable(_action_text(action))}" for action in actions) or "  no action: relayed as it is"
        )
    by_rules = [entry for entry in message.decision.recipients if entry.is_added or entry.is_redirected]
    if by_rules:
        print("\nrecipients by rules\n" + "\n".join(f"  {printable(_by_rule(entry))}" for entry in by_rules))
    if message.decision.once:
        print("\nonce for the message")
        print("\n".join(f"  {printable(_action_text(each.action))}" for each in message.decision.once))
    print("\nheader\n" + printable("\n".join("  " + line for line in header.decode("utf-8", "replace").split("\r\n"))))


def filter_text(which: QueueFilter) -> str:
    """A filter as it stands in the log, e.g. `sender=jane@example.com state=held`; `all` for the empty one."""
    given = [(each.name, getattr(which, each.name)) for each in fields(which)]
    texts = [f"{name}={value.value if isinstance(value, Enum) else value}" for name, value in given if value]
    return " ".join(texts) or "all"


def _row(entry: QueueEntry, now: datetime) -> list[str]:
    states = Counter(recipient.state.value for recipient in entry.recipients)
    state = ", ".join(f"{name} {count}" if len(states) > 1 else name for name, count in states.items())
    replies = [recipient.last_reply for recipient in entry.recipients if recipient.last_reply]
    return [
        entry.queue_id,
        short_age((now - entry.accepted_at).total_seconds()),
        _size(entry.size_octets),
        state,
        str(entry.attempts),
        _due(entry, now),
        f"<{entry.reverse_path}>",
        _first_of([str(recipient.address) for recipient in entry.recipients]),
        replies[0] if replies else "-",
    ]


def _recipient_row(entry: RecipientEntry) -> list[str]:
    return [str(entry.address), entry.state.value, entry.next_hop, str(entry.group), entry.last_reply or "-"]


def _due(entry: QueueEntry, now: datetime) -> str:
    if entry.leased:
        return "at work"
    if entry.due_at is None:
        return "-"
    wait_s = (entry.due_at - now).total_seconds()
    return f"in {short_age(wait_s)}" if wait_s > 0 else "now"


def _directions(decision: Decision, group: int) -> str:
    members = [entry for entry in decision.recipients if entry.group == group]
    directions = ", ".join(dict.fromkeys(entry.direction.value for entry in members))
    return f"{directions}: {_first_of([str(entry.recipient) for entry in members])}"


def _action_text(action: Action) -> str:
    values = action_to_json(action)
    rule = values.pop("rule")
    kind = values.pop("kind")
    details = " ".join(
        f"{name}={','.join(value) if isinstance(value, list | tuple) else value}"
        for name, value in values.items()
        if value not in ("", [], ())
    )
    return f"{kind} {details}" + (f"  (rule {rule})" if rule else "")


def _by_rule(entry: RecipientDecision) -> str:
    if entry.is_redirected:
        return f"{entry.recipient} gets nothing  (rule {entry.redirected_by} redirects it)"
    instead = f" in place of {entry.in_place_of}" if entry.in_place_of else ""
    return f"{entry.recipient} added{instead}  (rule {entry.added_by})"


def _first_of(texts: Sequence[str]) -> str:
    if not texts:
        return "-"
    return texts[0] + (f" +{len(texts) - 1}" if len(texts) > 1 else "")


def _size(octets: int) -> str:
    if octets < 1000:
        return f"{octets} B"
    return f"{octets / 1000:.1f} kB" if octets < 1_000_000 else f"{octets / 1_000_000:.1f} MB"
