"""One group's copy: the received bytes with the stamps, our mark, the trace header lines and the DKIM signature.

Pure but for the log: the same original gives the same bytes, so that an attempt after a crash sends what the one before
it sent.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mta import events
from mta.message.authentication_results import results_on_top
from mta.message.classify import Classification
from mta.message.edit import Edit, apply, combine
from mta.message.fields import HeaderField
from mta.message.headers import addresses, prepend
from mta.message.mark import HEADER as MARK_HEADER
from mta.message.mark import make_mark
from mta.message.parse import Buffer, Message
from mta.model.actions import OnError, RewriteSender, SignWith
from mta.model.address import Address, parse_address
from mta.model.decision import Direction
from mta.model.delivery import AcceptedMessage
from mta.model.person import Person
from mta.model.reply import Reply
from mta.relay.book import Book
from mta.relay.foreign_fields import closing, foreign_fields, foreign_spans, is_mark
from mta.relay.sign import signatures_of
from mta.relay.split.variants import Variant
from mta.relay.stamp.content.changes import on_error_of
from mta.relay.stamp.context import Failed, KeepFile, StampContext, StampOutcome
from mta.relay.stamp.stamp import stamp_message

_OURS = frozenset({Direction.OUTBOUND, Direction.INTERNAL})
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_DATE_FIELD = re.compile(rb"(?mi)^Date: ([^\r]+)\r$")
_CHAIN = re.compile(rb";\s+arc=(none|pass|fail)(?=[\s;]|\Z)")
# Ours stand before the mark and the trace, which begins with a field of another name.
_SIGNATURES = re.compile(rb"\A(?:(?:DKIM-Signature|ARC-[A-Za-z\-]+):[^\r]*+\r\n(?:[ \t][^\r]*+\r\n)*)+")


@dataclass(frozen=True, slots=True)
class Original:
    """What copies are made of. `parsed` is None where the message is over our limits and goes unstamped."""

    message: AcceptedMessage
    data: Buffer
    parsed: Message | None
    classification: Classification | None
    book: Book
    is_orphaned: bool = False
    """The organisation that decided is gone, and `book` is another one's."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A group's content edits, or the reply that takes its copy's place where a rule insists on what failed."""

    edits: tuple[Edit, ...] = ()
    refused: Reply | None = None


def stamped(
    original: Original, variant: Variant, people: Mapping[str, Person], keep: KeepFile | None = None
) -> Stamped:
    """Carry out the content actions of one group; `keep` keeps what they take out, None lets it go."""
    if original.parsed is None or original.classification is None:
        return Stamped()
    message, book = original.message, original.book
    if original.is_orphaned:
        return _refused_or_not(message, _all_failed(variant, "the organisation is gone"))
    context = stamp_context(original, people, keep)
    try:
        outcome = stamp_message(
            original.parsed, original.classification, variant.actions, context, book.templates, book.quote_marks
        )
    except Exception as exc:  # noqa: BLE001 - whatever fails in stamping, each rule's on_error says what follows
        outcome = _nothing_stamped(message, variant, exc)
    for skipped in outcome.skipped:
        events.stamp_skipped(message.queue_id, group=variant.group, template=skipped.template, reason=skipped.reason)
    return _refused_or_not(message, outcome)


def _refused_or_not(message: AcceptedMessage, outcome: StampOutcome) -> Stamped:
    for failed in outcome.failed:
        events.rule_failed(message.queue_id, rule=failed.rule, error=failed.error, outcome=failed.on_error.value)
    return Stamped(outcome.edits, _refusal(outcome.failed))


def stamp_context(original: Original, people: Mapping[str, Person], keep: KeepFile | None = None) -> StampContext:
    """What the templates of every copy are rendered with."""
    message, book = original.message, original.book
    is_ours = message.client is None or message.decision.is_ours
    return StampContext(
        people,
        message.decision.sender,
        message.accepted_at,
        book.values,
        is_ours,
        book.settings.accepted_domains[0],
        keep,
    )


def _nothing_stamped(message: AcceptedMessage, variant: Variant, error: Exception) -> StampOutcome:
    trace = "".join(traceback.format_exception(error))
    events.internal_error("stamp", error=repr(error), queue_id=message.queue_id, traceback=trace)
    return _all_failed(variant, type(error).__name__)


def _all_failed(variant: Variant, error: str) -> StampOutcome:
    content = [action for action in variant.actions if action.changes_content]
    return StampOutcome(failed=tuple(Failed(action.rule, error, on_error_of(action)) for action in content))


def _refusal(failures: tuple[Failed, ...]) -> Reply | None:
    """`reject` outweighs `defer`; `deliver-unstamped` refuses nothing."""
    by_outcome = {failed.on_error: failed.rule for failed in failures}
    if (rule := by_outcome.get(OnError.REJECT)) is not None:
        return Reply(554, "5.3.0", f"Rule {rule} could not be carried out")
    if (rule := by_outcome.get(OnError.DEFER)) is not None:
        return Reply(451, "4.3.0", f"Rule {rule} could not be carried out")
    return None


def finished(original: Original, variant: Variant, content: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """The content's edits with all that stands on top: signature, mark, trace. The last change to the bytes."""
    message, parsed = original.message, original.parsed
    if parsed is None:
        # Without header fields the trace needs the empty line that ends a header.
        gap = b"" if _FIELD.match(original.data[:1000]) else b"\r\n"
        return (
            Edit(0, 0, message.trace + gap),
            *foreign_spans(message.client, original.data, original.book.authserv_ids),
        )
    foreign = foreign_fields(message.client, parsed, original.book.authserv_ids)
    closed = closing(message.client, parsed)
    if message.decision.already_processed:
        foreign = [field for field in foreign if not is_mark(field)]
        return combine((prepend(parsed, message.trace), *closed, *_removed(foreign, ())))
    mark = b"" if original.is_orphaned else _mark(original, variant, parsed)
    trace = mark + message.trace
    domain = "" if original.is_orphaned else _signing_domain(original, variant, parsed, content)
    taken_out = [*foreign, *_signatures_before(original, parsed, domain)]
    unsigned = combine((prepend(parsed, trace), *closed, *content, *_removed(taken_out, content)))  # the first is at 0
    if original.is_orphaned:
        return unsigned
    return _signed(original, variant, unsigned, domain) if domain else _sealed(original, variant, unsigned)


def unsigned(edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """A finished copy's edits without our own signatures on top of it."""
    top = edits[0]
    kept = _SIGNATURES.sub(b"", top.replacement, count=1)
    return (Edit(top.start, top.end, kept), *edits[1:])


def signed_anew(
    original: Original, variant: Variant, former: tuple[Edit, ...], changed: tuple[Edit, ...]
) -> tuple[Edit, ...]:
    """Sign a copy that was encoded otherwise (`changed`) as the one before (`former`) would be; both are unsigned."""
    message, parsed = original.message, original.parsed
    if parsed is None or original.is_orphaned or message.decision.already_processed:
        return changed
    domain = _signing_domain(original, variant, parsed, former)
    return _signed(original, variant, changed, domain) if domain else _sealed(original, variant, changed)


def _signed(original: Original, variant: Variant, unsigned: tuple[Edit, ...], domain: str) -> tuple[Edit, ...]:
    message = original.message
    signatures = original.book.signer.sign(
        domain, apply(original.data, unsigned), message.accepted_at, selector=_selector(variant)
    )
    if not signatures:
        return unsigned
    for made in signatures:
        events.signed(message.queue_id, group=variant.group, domain=made.domain, selector=made.selector)
    return _topped(unsigned, b"".join(made.field for made in signatures))


def _topped(edits: tuple[Edit, ...], fields: bytes) -> tuple[Edit, ...]:
    top = edits[0]
    return (Edit(top.start, top.end, fields + top.replacement), *edits[1:])


def _sealed(original: Original, variant: Variant, unsigned: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """With our ARC set on mail from outside whose results we have, where it is known what became of its chain."""
    message, sealer = original.message, original.book.sealer
    stated = results_on_top(message.trace) if sealer is not None else None
    status = _CHAIN.search(stated) if stated is not None else None
    if sealer is None or stated is None or status is None:
        return unsigned
    word = status[1].decode("ascii")
    made = sealer.seal(apply(original.data, unsigned), stated, word, message.accepted_at)
    if made is None:
        return unsigned
    events.sealed(
        message.queue_id, group=variant.group, domain=made.domain, selector=made.selector, instance=made.instance,
        status=word,
    )  # fmt: skip
    return _topped(unsigned, made.fields)


def _signatures_before(original: Original, parsed: Message, domain: str) -> Sequence[HeaderField]:
    """DKIM signatures of ours that a new one takes the place of; those of others stay, broken or not."""
    book = original.book
    if book.settings.existing_signatures == "keep" or not domain or book.signer.key_domain(domain) is None:
        return ()
    return signatures_of(parsed, book.signer.domains | book.organisation.accepted_domains)


def _removed(fields: Sequence[HeaderField], content: tuple[Edit, ...]) -> list[Edit]:
    """What a rule has put in such a field's place stays."""
    changed = {(edit.start, edit.end) for edit in content}
    return [Edit(field.start, field.end, b"") for field in fields if (field.start, field.end) not in changed]


def _mark(original: Original, variant: Variant, parsed: Message) -> bytes:
    message, book = original.message, original.book
    value = make_mark(
        book.mark_keys[0],
        message.decision.organisation,
        _direction(message, variant),
        message.message_id,
        parsed.header("date") or _added_date(message.trace),
        message.accepted_at + book.settings.mark.valid_for,
    )
    return b"%b: %b\r\n" % (MARK_HEADER, value)


def _added_date(trace: bytes) -> str:
    """The Date of a submission that came without one."""
    match = _DATE_FIELD.search(trace)
    return match[1].decode("ascii") if match else ""


def _direction(message: AcceptedMessage, variant: Variant) -> str:
    """Of the copy's recipients; "mixed" where they differ, for the copy has one mark."""
    directions = {message.decision.recipients[entry.index].direction for entry in variant.recipients}
    return directions.pop().value if len(directions) == 1 else "mixed"


def _signing_domain(original: Original, variant: Variant, parsed: Message, content: tuple[Edit, ...]) -> str:
    """From's domain where the mail is ours, else "": what merely claims our domain stays unsigned."""
    message = original.message
    author = _new_author(variant, parsed, content)
    if author is not None:
        return author.domain
    if message.client is not None:
        decided = message.decision.recipients
        if not message.client.is_trusted or all(decided[e.index].direction not in _OURS for e in variant.recipients):
            return ""
    # With several authors or From fields, readers may show another one than the one that the signature speaks for.
    authors = addresses(parsed, "from")
    is_plain = len(authors) == 1 and len(parsed.fields_named("from")) == 1
    return authors[0].address.domain if is_plain else ""


def _new_author(variant: Variant, parsed: Message, content: tuple[Edit, ...]) -> Address | None:
    """Whom a rule has put into From: then it is the organisation that says so, whoever wrote the message."""
    former = parsed.fields_named("from")
    if not former or not any(edit.start <= former[0].start < edit.end for edit in content):
        return None  # the rule was not carried out: a bypass, or a message that nobody may touch
    written = [action.address for action in variant.actions if isinstance(action, RewriteSender) and action.header]
    return parse_address(written[-1]) if written and written[-1] else None


def _selector(variant: Variant) -> str:
    """Of the DKIM key that the last rule wants, "" where none does."""
    wanted = [action.selector for action in variant.actions if isinstance(action, SignWith)]
    return wanted[-1] if wanted else ""
