"""`stampline explain`: what the rules would do with a message, and why; nothing is sent and nothing is kept."""

from __future__ import annotations

import argparse
import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from mta.app.relay import read_snapshot, rulebook
from mta.cli import explain_circumstances as circumstances
from mta.cli.command import (
    CommandFailedError,
    ExitCode,
    bad_configuration,
    new_parser,
    print_json,
    printable,
)
from mta.cli.explain_authentication import asked_results
from mta.cli.explain_tracking import would_track
from mta.cli.explain_view import as_json, as_text
from mta.cli.explained import Explained, GroupCopy
from mta.config.problems import ConfigurationError
from mta.message.classify import classify
from mta.message.edit import joined
from mta.message.parse import LimitExceededError, parse
from mta.model.delivery import AcceptedMessage, Body, RecipientEntry
from mta.model.envelope import Envelope
from mta.model.person import Person
from mta.relay.book import Book, people_of
from mta.relay.copies import Original, finished, stamp_context, stamped
from mta.relay.decide import Facts, Participants, Trace, decide
from mta.relay.derive import Derived
from mta.relay.derive import Original as Source
from mta.relay.following import following
from mta.relay.organisations import divide, participants_of
from mta.relay.split.variants import Variant, variants
from mta.relay.stamp.stamp import stamp_message

_BARE_LINE_END = re.compile(rb"\r?\n|\r")
_QUEUE_ID = "EXPLAINED"


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "explain", "show which rules a message would meet, and why",
        "Show for each recipient and rule whether it would apply: which test decided, and with what value.\n"
        "Nothing is sent. With --out, the copies that recipients would get are written to a folder.",
    )  # fmt: skip
    parser.add_argument("message", type=Path, metavar="MESSAGE.eml", help="the message as a file")
    parser.add_argument("--from", dest="sender", required=True, metavar="ADDRESS", help="reverse-path; '<>' for none")
    parser.add_argument(
        "--to", action="append", required=True, metavar="ADDRESS", dest="recipients", help="recipient; may be repeated"
    )
    circumstances.add_arguments(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the copies to this folder")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    found = [(each, *_results(each, _folder(each, arguments.out))) for each in _explain(arguments)]
    if arguments.json:
        views = [as_json(*results) for results in found]
        print_json(views[0] if len(views) == 1 else {"organisations": views})
        return ExitCode.OK
    for number, results in enumerate(found):
        if number:
            print()
        for line in as_text(*results):
            print(printable(line))
    return ExitCode.OK


def _folder(explained: Explained, out: Path | None) -> Path | None:
    """Where an organisation's copies go: a folder of its own where there are several."""
    return out / explained.book.name if out is not None and len(explained.rulebook.snapshot.books) > 1 else out


def _explain(arguments: argparse.Namespace) -> list[Explained]:
    """One for each organisation that the message concerns."""
    try:
        rules = rulebook(read_snapshot(arguments.config))
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    snapshot = rules.snapshot
    envelope = _envelope(arguments)
    client = circumstances.client(snapshot.configuration, arguments)
    now, authentication = circumstances.time(arguments), circumstances.authentication(arguments)
    known_contacts = circumstances.known_contacts(arguments)
    data = _read(arguments.message)
    try:
        message = parse(data, rules.limits)
    except LimitExceededError as exc:
        raise CommandFailedError(f"{arguments.message}: {exc}; no rule would see it") from exc
    classification = classify(message, envelope.reverse_path is None, is_trusted=client.is_trusted)
    if circumstances.ASK in arguments.auth:
        authentication = asked_results(snapshot.configuration, message, envelope, client, now)
    participants, outside = participants_of(snapshot, message, envelope, client)
    explained = []
    for book, recipients in divide(snapshot, participants):
        share = replace(participants, recipients=recipients)
        people = dict(asyncio.run(_people(book, share)))
        facts = Facts(
            message, classification, share, people, now, book.organisation, client=client, readers=book.readers,
            authentication=authentication, known_contacts=known_contacts,
        )  # fmt: skip
        trace = Trace()
        outcome = decide(book.rules, facts, book.policy, trace)
        steps = [trace.steps(book.rules, index) for index in range(len(recipients))]
        decision, tracked = would_track(book, message, outcome.decision)
        outcome = replace(outcome, decision=decision)
        own = replace(envelope, recipients=recipients)
        explained.append(
            Explained(
                rules,
                book,
                data,
                message,
                classification,
                own,
                client,
                people,
                now,
                outcome,
                steps,
                authentication,
                outside,
                tracked,
            )
        )
    return explained


async def _people(book: Book, participants: Participants) -> dict[str, Person]:
    try:
        return dict(await people_of(book.directory, participants.directory_keys))
    finally:
        await book.directory.close()


def _read(path: Path) -> bytes:
    """The message with CRLF line ends, as SMTP would carry it."""
    try:
        return _BARE_LINE_END.sub(b"\r\n", path.read_bytes())
    except OSError as exc:
        raise CommandFailedError(f"cannot read {path}: {exc.strerror}") from exc


def _envelope(arguments: argparse.Namespace) -> Envelope:
    sender = None if arguments.sender in ("", "<>") else circumstances.address(arguments.sender)
    recipients = {address.key: address for address in map(circumstances.address, arguments.recipients)}
    return Envelope(sender, tuple(recipients.values()))


# --- copies -----------------------------------------------------------------------------------------------------------


def _results(explained: Explained, folder: Path | None) -> tuple[dict[int, GroupCopy], Derived]:
    """Make each group's copy, and what follows from the message; written where there is a folder."""
    accepted = _accepted(explained)
    original = Original(accepted, explained.data, explained.message, explained.classification, explained.book)
    derived = following(
        Source(accepted, explained.message, explained.classification, explained.people, explained.authentication),
        explained.book,
        explained.rulebook.snapshot.configuration,
        is_refused=explained.outcome.reply is not None,
    )
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            _write_followers(derived, folder)
        copies = {
            variant.group: GroupCopy(
                _left_out(original, explained, variant),
                _write_copy(original, variant, explained.people, folder) if folder is not None else "",
            )
            for variant in variants(accepted.decision, accepted.recipients)
        }
    except OSError as exc:
        raise CommandFailedError(f"cannot write to {folder}: {exc.strerror}") from exc
    return copies, derived


def _accepted(explained: Explained) -> AcceptedMessage:
    decision = explained.outcome.decision
    return AcceptedMessage(
        _QUEUE_ID,
        explained.now,
        explained.envelope,
        explained.client,
        Body.of(explained.data),
        decision,
        tuple(
            RecipientEntry(n, entry.recipient, entry.group, entry.next_hop)
            for n, entry in enumerate(decision.recipients)
            if not entry.is_redirected
        ),
        explained.message.message_id,
    )


def _write_followers(derived: Derived, folder: Path) -> None:
    """Notices and auto-responses; an archive copy is the message itself."""
    for number, follower in enumerate(derived.followers):
        if follower.kind != "archive":
            data = follower.spawned.message.body.data or b""
            (folder / f"{follower.kind}-{number}-{follower.rule}.eml").write_bytes(data)


def _left_out(original: Original, explained: Explained, variant: Variant) -> tuple[str, ...]:
    """The stamps that this copy doesn't get although a rule says so."""
    book = explained.book
    context = stamp_context(original, explained.people)
    outcome = stamp_message(
        explained.message, explained.classification, variant.actions, context, book.templates, book.quote_marks
    )
    return (
        *(f"stamp {skipped.template} left out: {skipped.reason}" for skipped in outcome.skipped),
        *(f"rule {failed.rule} failed: {failed.error}; on_error: {failed.on_error.value}" for failed in outcome.failed),
    )


def _write_copy(original: Original, variant: Variant, people: dict[str, Person], folder: Path) -> str:
    made = stamped(original, variant, people)
    if made.refused is not None:
        return f"not made: {made.refused}"
    path = folder / f"group-{variant.group}.eml"
    path.write_bytes(joined(original.data, finished(original, variant, made.edits)))
    return str(path)
