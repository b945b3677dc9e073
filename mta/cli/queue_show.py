"""`stampline queue show`: one message with all that the queue knows of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mta import events
from mta.cli.command import CommandFailedError, ExitCode, print_json, print_table, printable, short_age
from mta.cli.queue_spool import log_as_relay, read_configuration, who, with_spool
from mta.cli.queue_view import entry_to_json, first_of, size_text
from mta.config.schema import Configuration
from mta.model.actions import Action, action_to_json
from mta.model.decision import Decision, RecipientDecision
from mta.model.delivery import AcceptedMessage, Body, RecipientEntry, State
from mta.model.queue import QueuedDelivery, QueueEntry, QueueFilter, is_frozen
from mta.model.reply import MailError
from mta.ports.spool import Spool

HEADER_MAX = 65_536
"""Octets of a message's header that are printed."""
_PIECE = 1 << 20


def add_arguments(word: argparse.ArgumentParser) -> None:
    """What `show` takes."""
    word.add_argument("id", metavar="ID", help="queue id, as in the list, the log, and our 250")
    word.add_argument("--raw", action="store_true", help="write the message as it was received to standard output, "
        "which must not be a terminal; the log says who did it")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)

    async def use(spool: Spool) -> int:
        delivery = await spool.load(arguments.id)
        entries = await spool.entries(QueueFilter(queue_id=arguments.id))
        if delivery is None or not entries:
            raise CommandFailedError(
                f"{arguments.id} is not in the queue; `stampline trace {arguments.id}` says what became of it"
            )
        body = await _body(spool, arguments.id)
        if arguments.raw:
            log_as_relay(configuration)
            return await asyncio.to_thread(_write_raw, body, arguments.id)
        header = await asyncio.to_thread(read_header, body)
        frozen = frozenset(hop.next_hop for hop in await spool.frozen())
        fates = [_fate(each, entries[0], configuration, frozen) for each in entries[0].deliveries]
        if arguments.json:
            print_json(message_to_json(delivery.message, entries[0], header, fates))
        else:
            print_message(delivery.message, entries[0], header, fates)
        return ExitCode.OK

    return with_spool(configuration, use)


async def _body(spool: Spool, queue_id: str) -> Body:
    """The message's bytes, in memory or a file. Raises CommandFailedError."""
    try:
        return await spool.read_body(queue_id)
    except (KeyError, MailError) as exc:
        raise CommandFailedError(f"{queue_id} has gone, or its file is missing in the spool") from exc


def read_header(body: Body) -> bytes:
    """The message's header, up to HEADER_MAX octets. Raises CommandFailedError."""
    if body.data is not None:
        start = body.data[:HEADER_MAX]
    else:
        assert body.path is not None
        try:
            with body.path.open("rb") as file:
                start = file.read(HEADER_MAX)
        except OSError as exc:
            raise CommandFailedError(f"{body.path} can't be read: {exc.strerror}") from exc
    return start.partition(b"\r\n\r\n")[0]


def _write_raw(body: Body, queue_id: str) -> int:
    """What strangers wrote may steer a terminal, so it goes to a file or a program only. Raises CommandFailedError."""
    if sys.stdout.isatty():
        raise CommandFailedError("--raw writes bytes that may steer a terminal: redirect it, as in `> message.eml`")
    events.message_read(queue_id, by=who())
    if body.data is not None:
        sys.stdout.buffer.write(body.data)
    else:
        assert body.path is not None
        with body.path.open("rb") as file:
            while piece := file.read(_PIECE):
                sys.stdout.buffer.write(piece)
    sys.stdout.flush()
    return ExitCode.OK


def _fate(
    each: QueuedDelivery, entry: QueueEntry, configuration: Configuration, frozen: frozenset[str]
) -> dict[str, Any]:
    """One delivery, and what will happen to it next."""
    from mta.relay.deliver.routing import RetryTable

    retry = RetryTable(configuration.retry, configuration.next_hops).of(each.next_hop)
    expires_at = entry.accepted_at + retry.expire_after
    return {
        "next_hop": each.next_hop,
        "state": each.state.value,
        "is_frozen": is_frozen(each.next_hop, frozen),
        "attempts": each.attempts,
        "due_at": each.due_at.isoformat() if each.due_at else None,
        "leased_by": each.leased_by,
        "expires_at": expires_at.isoformat() if each.state is State.QUEUED else None,
        "recipients": [str(recipient.address) for recipient in each.recipients],
        "next": _next(each, expires_at, frozen),
    }


def _next(each: QueuedDelivery, expires_at: datetime, frozen: frozenset[str]) -> str:
    """What will happen to a delivery, in words."""
    now = datetime.now(UTC)
    if each.leased_by:
        by = "an administrator's command" if each.leased_by == "admin" else f"worker {each.leased_by}"
        return f"in the hands of {by}, whose lease ends {_when(each.due_at, now)} unless renewed"
    if each.state is State.HELD:
        return "held until it is released" + (
            f"; given up, with a DSN, {_when(each.due_at, now)}" if each.due_at else ""
        )
    if is_frozen(each.next_hop, frozen):
        return "waits until its next hop is thawed"
    last = f"; given up, with a DSN, if it still fails {_when(expires_at, now)}"
    if each.due_at is not None and each.due_at > now:
        return f"tried again {_when(each.due_at, now)}{last}"
    return f"due now{last}"


def _when(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "-"
    distance = (at - now).total_seconds()
    relative = f"in {short_age(distance)}" if distance >= 0 else f"{short_age(-distance)} ago"
    return f"at {at.astimezone():%Y-%m-%d %H:%M:%S} ({relative})"


def message_to_json(
    message: AcceptedMessage, entry: QueueEntry, header: bytes, fates: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One message with all that `queue show` tells."""
    client = message.client
    return {
        **entry_to_json(entry),
        "client": {"ip": client.ip, "helo": client.helo, "listener": client.listener} if client else None,
        "snapshot": message.snapshot,
        "deliveries": list(fates),
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


def print_message(
    message: AcceptedMessage, entry: QueueEntry, header: bytes, fates: Sequence[Mapping[str, Any]]
) -> None:
    """Envelope, decision, recipients, header."""
    lines = [
        f"queue id    {entry.queue_id}",
        f"accepted    {entry.accepted_at.astimezone().isoformat(timespec='seconds')} from {_origin(message)}",
        f"sender      <{entry.reverse_path}>",
        f"message id  {entry.message_id}",
        f"size        {size_text(entry.size_octets)}",
        f"decided     as {message.decision.sender or '<>'}, under snapshot {message.snapshot}",
    ]
    print("\n".join(printable(line) for line in lines), end="\n\n")
    headings = ("RECIPIENT", "STATE", "NEXT HOP", "GROUP", "LAST REPLY")
    print_table(headings, [_recipient_row(recipient) for recipient in entry.recipients])
    print("\nwhat happens next")
    for fate in fates:
        tries = f"{fate['attempts']} attempt{'s' if fate['attempts'] != 1 else ''} so far"
        print(printable(f"  {fate['next_hop']}, {first_of(fate['recipients'])}: {tries}; {fate['next']}"))
    for group, actions in sorted(message.decision.group_actions().items()):
        print(printable(f"\ngroup {group} ({_directions(message.decision, group)})"))
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


def _origin(message: AcceptedMessage) -> str:
    client = message.client
    if client is None:
        return "ourselves"
    account = f", account {client.authenticated_as}" if client.authenticated_as else ""
    return f"{client.helo} [{client.ip}] by listener {client.listener}, {client.tls or 'in clear text'}{account}"


def _recipient_row(entry: RecipientEntry) -> list[str]:
    return [str(entry.address), entry.state.value, entry.next_hop, str(entry.group), entry.last_reply or "-"]


def _directions(decision: Decision, group: int) -> str:
    members = [entry for entry in decision.recipients if entry.group == group]
    directions = ", ".join(dict.fromkeys(entry.direction.value for entry in members))
    return f"{directions}: {first_of([str(entry.recipient) for entry in members])}"


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
