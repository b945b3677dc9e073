"""`stampline tracking explain`: a dry run of one message."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mta.adapters.directory import open_directory
from mta.adapters.store.errors import StoreError
from mta.app.author_prover import ProverOnDemand
from mta.app.desks import desks_of, directories_of
from mta.app.spool import open_tracking_store
from mta.cli.command import CommandFailedError, ExitCode, bad_configuration, print_json, printable
from mta.cli.mailbox_names import mailboxes_of, require
from mta.cli.queue_spool import check_access, read_configuration
from mta.config.problems import ConfigurationError
from mta.config.schema import Configuration, Organisation
from mta.config.tracking_schema import MonitoredMailbox
from mta.model.printable import in_a_line
from mta.model.record import AddNote, Change, CreateRecord, DeleteRecord, UpdateRecord
from mta.model.reply import MailError
from mta.tracking.desk import Desk
from mta.tracking.dry_run import DryRun, dry_run
from mta.tracking.read import CannotReadError
from mta.tracking.record import load_business_rules
from mta.tracking.record.draft import CallWish, Draft, MarkWish
from mta.tracking.record.walk import Step

_BARE_LINE_END = re.compile(rb"\r?\n|\r")
_OCTETS_MAX = 200_000_000
_TEXT_SHOWN = 160


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    mailboxes = mailboxes_of(configuration)
    name = arguments.mailbox or next(iter(mailboxes))
    require(name, mailboxes)
    organisation, mailbox = mailboxes[name]
    data = _message(arguments)
    check_access(configuration.spool.folder)
    try:
        desk = _desk(arguments, configuration, organisation)
        found = asyncio.run(_explained(configuration, mailbox, desk, data))
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    except CannotReadError as exc:
        raise CommandFailedError(f"it would be set aside: {exc.reason}") from exc
    except (StoreError, OSError, KeyError) as exc:
        raise CommandFailedError(str(exc)) from exc
    except MailError as exc:
        raise CommandFailedError(f"the store or the directory gives no answer: {exc}") from exc
    if arguments.json:
        print_json(as_json(found))
    else:
        for line in as_text(found, only_matching=arguments.matching):
            print(printable(line))
    return ExitCode.OK


def _message(arguments: argparse.Namespace) -> bytes:
    try:
        raw = sys.stdin.buffer.read(_OCTETS_MAX) if str(arguments.message) == "-" else arguments.message.read_bytes()
    except OSError as exc:
        raise CommandFailedError(f"cannot read {arguments.message}: {exc.strerror}") from exc
    return _BARE_LINE_END.sub(b"\r\n", raw)


def _desk(arguments: argparse.Namespace, configuration: Configuration, organisation: Organisation) -> Desk:
    desk = desks_of(configuration, directories_of(configuration, {}, open_directory))[organisation.name]
    if arguments.rules is not None:
        desk = replace(desk, rules=load_business_rules(arguments.rules, desk.settings))
    return desk


async def _explained(configuration: Configuration, mailbox: MonitoredMailbox, desk: Desk, data: bytes) -> DryRun:
    store = await open_tracking_store(configuration, works=False)
    prover = ProverOnDemand(configuration)
    try:
        return await dry_run(data, mailbox, replace(desk, prover=prover), store, datetime.now(UTC))
    finally:
        await prover.close()
        await store.close()


# --- for people -------------------------------------------------------------------------------------------------------


def as_text(found: DryRun, *, only_matching: bool = False) -> Iterator[str]:
    incoming, correlation = found.incoming, found.correlation
    yield f"message   {incoming.message_id or '(no Message-ID)'} from {incoming.author_key or 'nobody'}"
    yield f"subject   {in_a_line(incoming.subject, _TEXT_SHOWN)}"
    yield f"is        {_kind(found)}, {'sent by one of us' if incoming.is_sent else 'received'}"
    yield f"author    {found.said_of_author}"
    if found.known is not None:
        became = f"{found.known.state.value} ({found.known.reason})"
        now = "Nothing would be done; if it were new:" if found.known.is_settled else "Put back, it is judged anew:"
        yield f"known     taken {found.known.at:%Y-%m-%d %H:%M}: {became}. {now}"
    belongs = f"{correlation.outcome.value}, by {correlation.reason}"
    yield f"belongs   {belongs}{f': {correlation.transaction}' if correlation.transaction is not None else ''}"
    if found.filtered:
        yield f"filters   left out: {found.filtered}"
    if found.worked is None:
        return
    yield "rules"
    for step in found.worked.steps:
        if step.matched or not only_matching:
            yield from _step(step)
    yield "then"
    yield from _then(found, found.worked.draft)


def _kind(found: DryRun) -> str:
    message = found.worked.draft.message if found.worked is not None else None
    return ", ".join(sorted(message.kinds)) if message is not None else found.incoming.automatic.value


def _step(step: Step) -> Iterator[str]:
    mark = "✔" if step.matched else "–"
    audit = " (audit: does nothing)" if step.is_audit and step.matched else ""
    yield f"  {mark} {step.rule} ({step.place}){audit}"
    yield f"      {step.test}{f': {step.value}' if step.value else ''}"
    for action in step.actions:
        yield f"      → {action}"


def _then(found: DryRun, draft: Draft) -> Iterator[str]:
    if not draft.changes and not draft.wishes:
        yield "  nothing: it belongs to no record, and no rule opens one"
    for change in draft.changes:
        yield f"  {_change(change)}"
    for told in found.told:
        template = f", template {told.template}" if told.template else ", our own words"
        refused = f"  no notice to {told.address}: {told.why_not}"
        yield refused if told.why_not else f"  notice to {told.address}{template}"
    for wish in draft.wishes:
        if isinstance(wish, CallWish):
            yield f"  call of {wish.sink}: {wish.event or draft.event}"
        elif isinstance(wish, MarkWish):
            yield "  marks in the mailboxes of the audience"
    for failure in draft.failures:
        yield f"  FAILS: {failure.action} of rule {failure.rule}: {failure.reason}"


def _change(change: Change) -> str:
    name = str(change.transaction) if change.transaction.number else f"a new {change.transaction.module}"
    if isinstance(change, CreateRecord):
        fields = "".join(f", {key}: {value}" for key, value in change.fields.items())
        people = f"requester {change.requester or 'nobody'}, owner {change.owner or 'nobody'}"
        return f"opens {name}: {change.title!r}, {change.state}, {people}{fields}"
    if isinstance(change, AddNote):
        files = "".join(f", {file.name} ({len(file.data)} octets)" for file in change.attachments)
        seen = "public" if change.is_public else "not public"
        text = in_a_line(change.text, _TEXT_SHOWN)
        return f"note of kind {change.kind} by {change.author_name or change.author or 'nobody'}, {seen}{files}: {text}"
    if isinstance(change, UpdateRecord):
        return f"updates {name}: {', '.join(f'{key} = {value}' for key, value in _updated(change).items())}"
    return f"{'deletes' if isinstance(change, DeleteRecord) else 'changes'} {name}"


def _updated(change: UpdateRecord) -> dict[str, str]:
    given = {name: getattr(change, name) for name in ("state", "title", "owner", "requester")}
    return {name: value for name, value in given.items() if value is not None} | dict(change.fields)


# --- for programs -----------------------------------------------------------------------------------------------------


def as_json(found: DryRun) -> dict[str, Any]:
    correlation = found.correlation
    worked = found.worked
    return {
        "message_id": found.incoming.message_id,
        "sender": found.incoming.author_key,
        "author": found.said_of_author,
        "key": found.incoming.key,
        "taken_before": found.known.state.value if found.known is not None else None,
        "outcome": correlation.outcome.value,
        "reason": correlation.reason,
        "transaction": str(correlation.transaction) if correlation.transaction is not None else None,
        "filtered": found.filtered,
        "rules": [_step_json(step) for step in worked.steps] if worked is not None else [],
        "changes": [_change_json(change) for change in worked.draft.changes] if worked is not None else [],
        "notices": [
            {"rule": told.rule, "to": told.address, "why_not": told.why_not, "template": told.template}
            for told in found.told
        ],
        "failures": [
            {"rule": each.rule, "action": each.action, "reason": each.reason}
            for each in (worked.draft.failures if worked is not None else ())
        ],
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "rule": step.rule, "place": step.place, "matched": step.matched, "audit": step.is_audit, "test": step.test,
        "value": step.value, "actions": list(step.actions),
    }  # fmt: skip


def _change_json(change: Change) -> dict[str, Any]:
    told: dict[str, Any] = {
        "change": type(change).__name__, "module": change.transaction.module,
        "number": change.transaction.number or None,
    }  # fmt: skip
    if isinstance(change, CreateRecord):
        return told | {
            "title": change.title, "state": change.state, "requester": change.requester, "owner": change.owner,
            "source": change.source, "fields": dict(change.fields),
        }  # fmt: skip
    if isinstance(change, AddNote):
        files = [{"name": file.name, "size_octets": len(file.data)} for file in change.attachments]
        return told | {
            "kind": change.kind, "author": change.author, "author_name": change.author_name, "text": change.text,
            "is_public": change.is_public, "attachments": files,
        }  # fmt: skip
    return told | (_updated(change) if isinstance(change, UpdateRecord) else {})
