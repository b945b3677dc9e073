"""Tests of attachments: how many there are, how large together, and whether one of them, or each, meets what is asked.

Tests of one block are about the same attachment: `{extension: zip, encrypted: true}` asks for one encrypted ZIP file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mta.config.texts import listed
from mta.message.attachments import Attachment, Wanted
from mta.message.attachments.libmagic import LibmagicMissingError, require
from mta.relay.decide.conditions.condition import MessageTest
from mta.relay.decide.conditions.schema import AttachmentTests, OneAttachmentTests
from mta.relay.decide.facts import Facts

COST_COUNT = 30
COST_CONTENT = 300
_SHOWN_MAX = 5


def attachments(written: AttachmentTests) -> Iterator[MessageTest]:
    """One test for what is asked of one attachment, and one each for number, total size and `every`."""
    if written.count is not None:
        yield _count(written.count.over, written.count.under)
    if written.total_size is not None:
        yield _total_size(written.total_size.over, written.total_size.under)
    one = wanted(written)
    if one != Wanted():
        yield _some(one)
    if written.every is not None:
        yield _every(wanted(written.every))


def wanted(written: OneAttachmentTests) -> Wanted:
    """What an attachment has to meet."""
    size = written.size
    return Wanted(
        written.name or (),
        written.extension or (),
        written.type or (),
        size.over if size is not None else None,
        size.under if size is not None else None,
        written.mismatch,
        written.encrypted,
        written.executable,
    )


def missing_library(written: OneAttachmentTests) -> str:
    """Why types can't be told, where that is asked; "" if all is well."""
    if written.type is None and written.mismatch is None:
        return ""
    try:
        require()
    except LibmagicMissingError as exc:
        return str(exc)
    return ""


def _words(tests: Wanted) -> str:
    lists = {"name": tests.names, "extension": tests.extensions, "type": tests.types}
    words = [f"{key}: {listed(values)}" for key, values in lists.items() if values]
    if limits := _limits(tests.over, tests.under):
        words.append(f"size: {limits}")
    yes_or_no = {"mismatch": tests.mismatch, "encrypted": tests.encrypted, "executable": tests.executable}
    words += [f"{key}: {str(value).lower()}" for key, value in yes_or_no.items() if value is not None]
    return ", ".join(words)


def _limits(over: int | None, under: int | None) -> str:
    return " and ".join(
        filter(None, (f"over {over}" if over is not None else "", f"under {under}" if under is not None else ""))
    )


def _within(number: int, over: int | None, under: int | None) -> bool:
    return (over is None or number > over) and (under is None or number < under)


def _count(over: int | None, under: int | None) -> MessageTest:
    return MessageTest(
        f"attachments.count: {_limits(over, under)}",
        lambda facts: _within(len(facts.attachments), over, under),
        lambda facts: f"{len(facts.attachments)} attachment(s)",
        cost=COST_COUNT,
    )


def _total_size(over: int | None, under: int | None) -> MessageTest:
    def total(facts: Facts) -> int:
        return sum(attachment.size_octets for attachment in facts.attachments)

    return MessageTest(
        f"attachments.total_size: {_limits(over, under)}",
        lambda facts: _within(total(facts), over, under),
        lambda facts: f"{total(facts)} octets",
        cost=COST_CONTENT,
    )


def _cost(tests: Wanted) -> int:
    return COST_COUNT if tests == Wanted(tests.names, tests.extensions) else COST_CONTENT


def _some(tests: Wanted) -> MessageTest:
    def value(facts: Facts) -> str:
        found = next((each for each in facts.attachments if tests.meets(each)), None)
        return _told(tests, facts.attachments if found is None else [found])

    return MessageTest(
        f"attachments.{_words(tests)}",
        lambda facts: any(tests.meets(each) for each in facts.attachments),
        value,
        cost=_cost(tests),
    )


def _every(tests: Wanted) -> MessageTest:
    def value(facts: Facts) -> str:
        failing = [each for each in facts.attachments if not tests.meets(each)]
        return _told(tests, failing or facts.attachments)

    return MessageTest(
        f"attachments.every: {_words(tests)}",
        lambda facts: bool(facts.attachments) and all(tests.meets(each) for each in facts.attachments),
        value,
        cost=_cost(tests),
    )


def _told(tests: Wanted, found: Sequence[Attachment]) -> str:
    """Which attachments, and why."""
    told = [f"{attachment.shown_name}: {tests.explain(attachment)}" for attachment in found[:_SHOWN_MAX]]
    if len(found) > _SHOWN_MAX:
        told.append(f"and {len(found) - _SHOWN_MAX} more")
    return "; ".join(told) or "no attachments"
