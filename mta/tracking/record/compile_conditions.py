"""Makes conditions of what a business rule says, and reports what makes no sense, each at its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mta.config.explain_errors import closest
from mta.config.texts import listed
from mta.config.tracking_schema import TrackingSettings
from mta.config.yaml_values import Loc
from mta.message.addresses import Mailbox
from mta.message.patterns.text_patterns import (
    Pattern,
    PatternError,
    Text,
    compile_keywords,
    compile_phrases,
    compile_regex,
)
from mta.message.wildcards import Glob
from mta.tracking.record.conditions import All, Any, Condition, Not, Test
from mta.tracking.record.draft import Draft
from mta.tracking.record.facts import MessageFacts
from mta.tracking.record.schema import (
    AttachmentTests,
    BodyTests,
    Conditions,
    FieldTests,
    RecipientTests,
    SenderTests,
    SizeTests,
    TextTests,
)

DEPTH_MAX = 10
"""Levels of all, any and not inside each other."""
_OF_MESSAGES = (
    "kind", "outcome", "direction", "mailbox", "sender", "recipient", "subject", "body", "attachment", "size",
)  # fmt: skip


Report = Callable[[Loc, str, str], None]
"""(place, what is wrong, how to mend it)"""


class ConditionCompiler:
    """Compiles the conditions of one rule."""

    def __init__(self, settings: TrackingSettings, report: Report, *, by_time: bool) -> None:
        self._settings = settings
        self._report = report
        self._by_time = by_time

    def compile(self, written: Conditions, loc: Loc, depth: int = 1) -> Condition:
        """All that stands at `loc`."""
        if depth > DEPTH_MAX:
            self._report(loc, f"conditions are nested deeper than {DEPTH_MAX} levels", "write several rules")
            return All(())
        if self._by_time:
            self._refuse_message_tests(written, loc)
        if depth > 1 and (written.older_than is not None or written.unchanged_for is not None):
            self._report(loc, "older_than and unchanged_for have no place in all, any and not", "write them into when")
        parts = [*self._of_record(written, loc), *self._of_message(written, loc)]
        if written.all is not None:
            parts += [self.compile(part, (*loc, "all", n), depth + 1) for n, part in enumerate(written.all)]
        if written.any is not None:
            parts.append(Any([self.compile(part, (*loc, "any", n), depth + 1) for n, part in enumerate(written.any)]))
        if written.not_ is not None:
            parts.append(Not(self.compile(written.not_, (*loc, "not"), depth + 1)))
        return parts[0] if len(parts) == 1 else All(parts)

    def _refuse_message_tests(self, written: Conditions, loc: Loc) -> None:
        for name in _OF_MESSAGES:
            if getattr(written, name) is not None:
                what = f"{name} asks about a message, and a rule with older_than or unchanged_for has none"
                self._report((*loc, name), what, "ask about the record: module, state, field, owner")

    # --- the record ---------------------------------------------------------------------------------------------------

    def _of_record(self, written: Conditions, loc: Loc) -> Iterator[Condition]:
        if written.module is not None:
            known = [module.name for module in self._settings.modules]
            self._check_names(written.module, known, (*loc, "module"), "module")
            yield _one_of("module", written.module, lambda draft: draft.transaction.module if draft.transaction else "")
        if written.state is not None:
            yield _one_of("state", written.state, lambda draft: draft.record.state if draft.record else "")
        if written.record is not None:
            exists = written.record == "exists"
            yield Test(
                f"record: {written.record}", lambda draft: (draft.record is not None) is exists,
                lambda draft: "exists" if draft.record is not None else "missing",
            )  # fmt: skip
        if written.unassigned is not None:
            wanted = written.unassigned
            yield Test(
                f"unassigned: {_word(wanted)}",
                lambda draft: draft.record is not None and (not draft.record.owner) is wanted,
                lambda draft: (draft.record.owner or "nobody") if draft.record is not None else "no record",
            )
        for name in ("owner", "requester", "source"):
            texts: Sequence[str] | None = getattr(written, name)
            if texts is not None:
                yield _glob(name, texts, _attribute(name))
        if written.field is not None:
            yield from self._field(written.field, (*loc, "field"))

    def _field(self, written: FieldTests, loc: Loc) -> Iterator[Condition]:
        name = written.name

        def value(draft: Draft) -> str:
            return draft.record.fields.get(name, "") if draft.record is not None else ""

        if written.equals is not None:
            wanted = frozenset(text.casefold() for text in written.equals)
            source = f"field {name} equals: {listed(written.equals)}"
            yield Test(source, lambda draft: value(draft).casefold() in wanted, value)
        texts = TextTests.model_construct(
            phrase=written.phrase, keywords=None, regex=written.regex, empty=written.empty
        )
        yield from self._text(f"field {name}", texts, loc, lambda draft: Text(value(draft)))

    # --- the message --------------------------------------------------------------------------------------------------

    def _of_message(self, written: Conditions, loc: Loc) -> Iterator[Condition]:
        if written.kind is not None:
            kinds = frozenset(written.kind)
            yield _of("kind: " + ", ".join(written.kind), lambda m: not kinds.isdisjoint(m.kinds), _kinds)
        if written.outcome is not None:
            yield _one_of("outcome", written.outcome, lambda draft: draft.outcome)
        if written.direction is not None:
            directions = frozenset(written.direction)
            source = "direction: " + ", ".join(written.direction)
            yield _of(source, lambda m: _direction(m) in directions, _direction)
        if written.mailbox is not None:
            known = [mailbox.name for mailbox in self._settings.mailboxes]
            self._check_names(written.mailbox, known, (*loc, "mailbox"), "mailbox")
            names = frozenset(written.mailbox)
            yield _of(f"mailbox: {listed(written.mailbox)}", lambda m: m.incoming.mailbox in names, _mailbox)
        if written.sender is not None:
            yield from self._sender(written.sender)
        if written.recipient is not None:
            yield from _recipient(written.recipient)
        if written.subject is not None:
            yield from self._text("subject", written.subject, (*loc, "subject"), _text_of("subject"))
        if written.body is not None:
            yield from self._body(written.body, (*loc, "body"))
        if written.attachment is not None:
            yield from _attachment(written.attachment)
        if written.size is not None:
            yield from _size(written.size)

    def _sender(self, written: SenderTests) -> Iterator[Condition]:
        if written.address is not None:
            address = Glob(written.address)
            source = f"sender.address: {listed(written.address)}"
            yield _of(source, lambda m: address.search(m.incoming.author_key) is not None, _author)
        if written.domain is not None:
            domain = Glob(written.domain)
            source = f"sender.domain: {listed(written.domain)}"
            yield _of(source, lambda m: domain.search(m.incoming.author_key.rpartition("@")[2]) is not None, _author)
        if written.group is not None:
            groups = frozenset(group.lower() for group in written.group)
            source = f"sender.group: {listed(written.group)}"
            yield _of(source, lambda m: m.sender is not None and not groups.isdisjoint(m.sender.groups), _groups)
        if written.role is not None:
            role = written.role
            yield _of(f"sender.role: {role}", lambda m: _has_role(m, role), lambda m: m.role.value)
        if written.known is not None:
            known = written.known
            yield _of(f"sender.known: {_word(known)}", lambda m: m.is_known is known, lambda m: _word(m.is_known))
        if written.takes_part is not None:
            part = written.takes_part
            source = f"sender.takes_part: {_word(part)}"
            yield _of(source, lambda m: m.takes_part is part, lambda m: _word(m.takes_part))
        if written.authenticated is not None:
            sure = written.authenticated
            source = f"sender.authenticated: {_word(sure)}"
            yield _of(source, lambda m: (m.incoming.is_authenticated is True) is sure, _authenticated)

    def _body(self, written: BodyTests, loc: Loc) -> Iterator[Condition]:
        return self._text(f"body ({written.within})", written, loc, _text_of(written.within))

    def _text(self, name: str, written: TextTests, loc: Loc, text: Callable[[Draft], Text]) -> Iterator[Condition]:
        compilers: Sequence[tuple[str, Callable[[Sequence[str]], Pattern]]] = (
            ("phrase", compile_phrases), ("keywords", compile_keywords)
        )  # fmt: skip
        for key, compiler in compilers:
            texts: Sequence[str] | None = getattr(written, key)
            if texts is not None:
                pattern = self._pattern((*loc, key), compiler, texts)
                yield _found(f"{name} {key}: {listed(texts)}", [pattern], text)
        if written.regex is not None:
            patterns = [
                self._pattern((*loc, "regex", n), lambda texts: compile_regex(texts[0]), (regex,))
                for n, regex in enumerate(written.regex)
            ]
            yield _found(f"{name} regex: {listed(written.regex)}", patterns, text)
        if written.empty is not None:
            empty = written.empty
            yield Test(
                f"{name} empty: {_word(empty)}", lambda draft: (not text(draft).text.strip()) is empty,
                lambda draft: text(draft).text,
            )  # fmt: skip

    def _pattern(self, loc: Loc, compiler: Callable[[Sequence[str]], Pattern], texts: Sequence[str]) -> Pattern:
        try:
            return compiler(texts)
        except PatternError as exc:
            self._report(loc, str(exc), exc.mend)
            return compile_regex("")

    def _check_names(self, names: Sequence[str], known: Sequence[str], loc: Loc, what: str) -> None:
        for n, name in enumerate(names):
            if name not in known:
                self._report((*loc, n), f"no {what} is called {name!r}", closest(name, known))


# --- tests ------------------------------------------------------------------------------------------------------------


def _word(value: bool) -> str:
    return "true" if value else "false"


def _of(source: str, test: Callable[[MessageFacts], bool], value: Callable[[MessageFacts], str]) -> Test:
    """A test of the message; without one it doesn't hold."""
    return Test(
        source,
        lambda draft: draft.message is not None and test(draft.message),
        lambda draft: value(draft.message) if draft.message is not None else "no message",
    )


def _one_of(name: str, words: Sequence[str], value: Callable[[Draft], str]) -> Test:
    wanted = frozenset(words)
    return Test(f"{name}: {listed(words)}", lambda draft: value(draft) in wanted, value)


def _glob(name: str, texts: Sequence[str], value: Callable[[Draft], str]) -> Test:
    glob = Glob(texts)
    return Test(f"{name}: {listed(texts)}", lambda draft: glob.search(value(draft)) is not None, value)


def _attribute(name: str) -> Callable[[Draft], str]:
    return lambda draft: str(getattr(draft.record, name)) if draft.record is not None else ""


def _found(source: str, patterns: Sequence[Pattern], text: Callable[[Draft], Text]) -> Test:
    def holds(draft: Draft) -> bool:
        there = text(draft)
        return any(pattern.find(there) is not None for pattern in patterns)

    return Test(source, holds, lambda draft: text(draft).text)


_NO_TEXT = Text("")


def _text_of(name: str) -> Callable[[Draft], Text]:
    def text(draft: Draft) -> Text:
        found: Text = getattr(draft.message, name) if draft.message is not None else _NO_TEXT
        return found

    return text


def _kinds(message: MessageFacts) -> str:
    return ", ".join(sorted(message.kinds))


def _direction(message: MessageFacts) -> str:
    return "sent" if message.incoming.is_sent else "received"


def _mailbox(message: MessageFacts) -> str:
    return message.incoming.mailbox


def _author(message: MessageFacts) -> str:
    return message.incoming.author_key or "nobody"


def _groups(message: MessageFacts) -> str:
    return ", ".join(sorted(message.sender.groups)) if message.sender is not None else "not in the directory"


def _authenticated(message: MessageFacts) -> str:
    return {True: "true", False: "false", None: "nobody says"}[message.incoming.is_authenticated]


def _has_role(message: MessageFacts, role: str) -> bool:
    if role == "unknown":
        return not message.is_known
    if role == "both":
        return message.is_known
    return message.role.is_technician if role == "technician" else message.role.is_requestor


def _recipients(message: MessageFacts) -> list[Mailbox]:
    return [*message.incoming.to, *message.incoming.cc]


def _recipient(written: RecipientTests) -> Iterator[Condition]:
    def shown(message: MessageFacts) -> str:
        return ", ".join(mailbox.address.key for mailbox in _recipients(message)[:10]) or "nobody"

    if written.address is not None:
        address = Glob(written.address)
        source = f"recipient.address: {listed(written.address)}"
        yield _of(source, lambda m: any(address.search(each.address.key) for each in _recipients(m)), shown)
    if written.domain is not None:
        domain = Glob(written.domain)
        source = f"recipient.domain: {listed(written.domain)}"
        yield _of(source, lambda m: any(domain.search(each.address.domain_key) for each in _recipients(m)), shown)


def _attachment(written: AttachmentTests) -> Iterator[Condition]:
    def shown(message: MessageFacts) -> str:
        return ", ".join(each.shown_name for each in message.attachments[:10]) or "none"

    if written.any is not None:
        wanted = written.any
        yield _of(f"attachment.any: {_word(wanted)}", lambda m: bool(m.attachments) is wanted, shown)
    if written.name is not None:
        glob = Glob(written.name)
        source = f"attachment.name: {listed(written.name)}"
        yield _of(source, lambda m: any(glob.search(name) for each in m.attachments for name in each.names), shown)
    if written.count is not None:
        over, under = written.count.over, written.count.under
        source = f"attachment.count: {_limits(over, under)}"
        yield _of(source, lambda m: _within(len(m.attachments), over, under), shown)


def _size(written: SizeTests) -> Iterator[Condition]:
    over, under = written.over, written.under
    source = f"size: {_limits(over, under)}"
    yield _of(source, lambda m: _within(len(m.incoming.data), over, under), lambda m: str(len(m.incoming.data)))


def _within(number: int, over: int | None, under: int | None) -> bool:
    return (over is None or number > over) and (under is None or number < under)


def _limits(over: int | None, under: int | None) -> str:
    return ", ".join(f"{word} {limit}" for word, limit in (("over", over), ("under", under)) if limit is not None)
