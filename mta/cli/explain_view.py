"""How `stampline explain` shows what it found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from mta.cli.explain_reception import is_already_processed, refusal
from mta.cli.explained import Explained, GroupCopy
from mta.model.address import Address
from mta.model.reply import Reply
from mta.relay.decide import Step, Verdict


def as_text(explained: Explained, copies: dict[int, GroupCopy]) -> Iterator[str]:
    """Line by line, for people."""
    outcome, classification = explained.outcome, explained.classification
    client = explained.client
    if len(explained.rulebook.snapshot.books) > 1:
        yield f"organisation: {explained.book.name}"
    yield (
        f"kind: {classification.kind.value}; sender: {outcome.decision.sender or '<>'}; "
        f"listener: {client.listener} ({client.role.value})"
    )
    if _is_processed(explained):
        yield "it carries our valid mark and is passed on as it is; below is what the rules say without the mark"
    if classification.untouchable:
        yield f"its content is not touched: {classification.untouchable}"
    if outcome.reply is not None:
        yield f"refused for all recipients: {outcome.reply}"
    for entry, steps in zip(outcome.decision.recipients, explained.steps, strict=True):
        yield ""
        yield (
            f"{entry.recipient}: {entry.direction.value}, {entry.role.value}, next hop {entry.next_hop}, "
            f"group {entry.group}"
        )
        if (refused := _refusal(explained, entry.recipient)) is not None:
            yield f"  listener {client.listener} refuses this recipient: {refused}; no rule is asked"
        for step in steps:
            yield from _step_lines(step)
    yield ""
    yield from _group_lines(explained, copies)
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


def as_json(explained: Explained, copies: dict[int, GroupCopy]) -> dict[str, Any]:
    """The same for programs."""
    outcome = explained.outcome
    recipients = []
    for entry, steps in zip(outcome.decision.recipients, explained.steps, strict=True):
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
                "rules": rules,
            }
        )
    return {
        "organisation": explained.book.name,
        "kind": explained.classification.kind.value,
        "sender": outcome.decision.sender,
        "listener": explained.client.listener,
        "already_processed": _is_processed(explained),
        "untouchable": explained.classification.untouchable,
        "reply": str(outcome.reply) if outcome.reply is not None else "",
        "recipients": recipients,
        "groups": outcome.decision.to_json()["groups"],
        "files": {str(group): copy.file for group, copy in copies.items() if copy.file},
        "notes": {str(group): copy.notes for group, copy in copies.items() if copy.notes},
        "failures": [{"rule": f.rule, "error": f.error, "on_error": f.on_error.value} for f in outcome.failures],
        "too_many_variants": outcome.too_many_variants,
    }
