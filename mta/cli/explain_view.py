"""How `stampline explain` shows what it found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from mta.cli.explain_authentication import result_lines
from mta.cli.explain_reception import is_already_processed, refusal
from mta.cli.explained import Explained, GroupCopy
from mta.model.address import Address
from mta.model.decision import Decision, Role
from mta.model.reply import Reply
from mta.relay.decide import Step, Verdict
from mta.relay.derive import NOTHING, Derived


def as_text(explained: Explained, copies: dict[int, GroupCopy], derived: Derived = NOTHING) -> Iterator[str]:
    """Line by line, for people."""
    outcome, classification = explained.outcome, explained.classification
    client = explained.client
    if len(explained.rulebook.snapshot.books) > 1:
        yield f"organisation: {explained.book.name}"
    yield (
        f"kind: {classification.kind.value}; sender: {outcome.decision.sender or '<>'}; "
        f"listener: {client.listener} ({client.role.value})"
    )
    if explained.authentication is not None:
        yield from result_lines(explained.authentication)
    if explained.outside:
        yield f"it has our domain in From or Sender but comes from outside ({explained.outside}): nobody vouches for it"
    if _is_processed(explained):
        yield "it carries our valid mark and is passed on as it is; below is what the rules say without the mark"
    if classification.untouchable:
        yield f"its content is not touched: {classification.untouchable}"
    if outcome.reply is not None:
        yield f"refused for all recipients: {outcome.reply}"
    named = outcome.decision.recipients[: len(explained.steps)]
    for entry, steps in zip(named, explained.steps, strict=True):
        yield ""
        yield (
            f"{entry.recipient}: {entry.direction.value}, {entry.role.value}, next hop {entry.next_hop}, "
            f"group {entry.group}"
        )
        if (refused := _refusal(explained, entry.recipient)) is not None:
            yield f"  listener {client.listener} refuses this recipient: {refused}; no rule is asked"
        if entry.is_redirected:
            yield f"  gets nothing: rule {entry.redirected_by} redirects it"
        for step in steps:
            yield from _step_lines(step)
    yield ""
    yield from _added_lines(outcome.decision)
    yield from _group_lines(explained, copies)
    yield from _followers(derived)
    if explained.tracked is not None:
        yield f"tracks: {explained.tracked}"
    for failure in outcome.failures:
        yield f"failed: rule {failure.rule}: {failure.error} ({failure.on_error.value})"
    if outcome.too_many_variants:
        yield f"too many variants ({outcome.too_many_variants}): what depends on the single recipient is left out"


def _step_lines(step: Step) -> Iterator[str]:
    yield f"  {step.rule}: {step.verdict.value}"
    if step.test:
        yield f"    {'because' if step.verdict in (Verdict.APPLIED, Verdict.AUDITED) else 'decided by'} {step.test}"
        yield f"    with: {step.value}"
    if step.actions:
        yield f"    actions: {'; '.join(step.actions)}"
    if step.note:
        yield f"    but {step.note}"


def _added_lines(decision: Decision) -> Iterator[str]:
    for entry in decision.recipients:
        if entry.is_added:
            instead = f" in place of {entry.in_place_of}" if entry.in_place_of else ""
            named = f", named in {entry.role.value.capitalize()}" if entry.role is not Role.HIDDEN else ""
            yield (
                f"rule {entry.added_by} adds {entry.recipient}{instead}{named}: {entry.direction.value}, "
                f"next hop {entry.next_hop}, group {entry.group}"
            )


def _followers(derived: Derived) -> Iterator[str]:
    for follower in derived.followers:
        message = follower.spawned.message
        to = ", ".join(f"{entry.recipient} by {entry.next_hop}" for entry in message.decision.recipients)
        yield f"follows: {follower.kind} ({follower.rule}) to {to}, unless it was done before"
    for left_out in derived.left_out:
        yield f"does not follow: {left_out.kind} ({left_out.rule}): {left_out.reason}"
    for failed in derived.failed:
        yield f"failed: {failed.kind} of rule {failed.rule}: {failed.error} ({failed.on_error.value})"


def _group_lines(explained: Explained, copies: dict[int, GroupCopy]) -> Iterator[str]:
    decision = explained.outcome.decision
    for group, actions in decision.group_actions().items():
        names = ", ".join(str(entry.recipient) for entry in decision.recipients if entry.group == group)
        kinds = ", ".join(f"{action.kind} ({action.rule})" for action in actions) or "unchanged"
        copy = copies.get(group, GroupCopy((), ""))
        yield f"group {group}: {names}: {kinds}" + (f" -> {copy.file}" if copy.file else "")
        yield from (f"  {note}" for note in copy.notes)


def _is_processed(explained: Explained) -> bool:
    return is_already_processed(explained.book, explained.client, explained.message, explained.now)


def _refusal(explained: Explained, recipient: Address) -> Reply | None:
    return refusal(explained.rulebook.snapshot, explained.client, recipient)


def as_json(explained: Explained, copies: dict[int, GroupCopy], derived: Derived = NOTHING) -> dict[str, Any]:
    """The same for programs."""
    outcome = explained.outcome
    recipients = []
    named = outcome.decision.recipients[: len(explained.steps)]
    for entry, steps in zip(named, explained.steps, strict=True):
        rules = [{**asdict(step), "verdict": step.verdict.value} for step in steps]
        refused = _refusal(explained, entry.recipient)
        recipients.append(
            {
                "recipient": str(entry.recipient),
                "direction": entry.direction.value,
                "role": entry.role.value,
                "next_hop": entry.next_hop,
                "group": entry.group,
                "refused": str(refused) if refused is not None else "",
                "redirected_by": entry.redirected_by,
                "rules": rules,
            }
        )
    return {
        "organisation": explained.book.name,
        "kind": explained.classification.kind.value,
        "authentication": asdict(explained.authentication) if explained.authentication is not None else None,
        "outside": explained.outside,
        "sender": outcome.decision.sender,
        "listener": explained.client.listener,
        "already_processed": _is_processed(explained),
        "untouchable": explained.classification.untouchable,
        "reply": str(outcome.reply) if outcome.reply is not None else "",
        "recipients": recipients,
        "added": [
            {
                "recipient": str(entry.recipient),
                "rule": entry.added_by,
                "in_place_of": entry.in_place_of,
                "role": entry.role.value,
                "next_hop": entry.next_hop,
                "group": entry.group,
            }
            for entry in outcome.decision.recipients
            if entry.is_added
        ],
        "follows": [
            {
                "kind": follower.kind,
                "rule": follower.rule,
                "to": [str(entry.recipient) for entry in follower.spawned.message.decision.recipients],
            }
            for follower in derived.followers
        ],
        "tracked": asdict(explained.tracked) if explained.tracked is not None else None,
        "left_out": [asdict(left_out) for left_out in derived.left_out],
        "groups": outcome.decision.to_json()["groups"],
        "files": {str(group): copy.file for group, copy in copies.items() if copy.file},
        "notes": {str(group): copy.notes for group, copy in copies.items() if copy.notes},
        "failures": [{"rule": f.rule, "error": f.error, "on_error": f.on_error.value} for f in outcome.failures],
        "too_many_variants": outcome.too_many_variants,
    }
