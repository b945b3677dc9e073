"""Actions of business rules, ready to run: each changes the draft, or says there what is wanted elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from mta.message.addresses import Mailbox
from mta.message.patterns.text_patterns import FieldPattern
from mta.message.subject import prefix_end
from mta.message.subject_token import without_token
from mta.model.address import AddressError, parse_address
from mta.model.record import CreateRecord
from mta.model.transaction import Transaction
from mta.tracking.record.draft import CallWish, Draft, Failure, MarkWish, NoticeWish
from mta.tracking.record.facts import MessageFacts
from mta.tracking.record.note import PlannedNote
from mta.tracking.record.read_fields import from_lines, from_pattern
from mta.tracking.record.wording import Wording

NO_TITLE = "(no subject)"


class Action(ABC):
    """`source` is what the rule's writer calls it."""

    source: str

    @abstractmethod
    def carry_out(self, draft: Draft, rule: str) -> None:
        """What can't be done is noted as a failure of the draft, and nothing else changes."""


class _OfRecord(Action):
    """One that needs a record. One that this message's rules have deleted can still be told of."""

    tells: ClassVar[bool] = False

    def carry_out(self, draft: Draft, rule: str) -> None:
        if draft.record is None or (draft.is_deleted and not self.tells):
            draft.failures.append(Failure(rule, self.source, "no-record"))
        else:
            self._change(draft, rule)

    @abstractmethod
    def _change(self, draft: Draft, rule: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Create(Action):
    source: str
    module: str
    """Of a conversation that isn't tracked yet."""
    title: Wording
    requester: Wording
    owner: Wording
    state: str
    origin: Wording
    fields: Mapping[str, Wording]

    def carry_out(self, draft: Draft, rule: str) -> None:
        if draft.record is not None or draft.is_deleted:
            return  # it is there already, or was taken away on purpose
        transaction = draft.facts.transaction or Transaction(draft.facts.organisation, self.module, 0, "")
        title = _title(self.title.of(draft), draft, transaction)
        draft.create(
            CreateRecord(
                transaction, self.state, _cut(title, draft.defaults.subject_length),
                _address(self.requester.of(draft)) or _requester(draft),
                _address(self.owner.of(draft)) or _owner(draft, transaction.module), self.origin.of(draft),
                {name: value for name, wording in self.fields.items() if (value := wording.of(draft))},
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Update(_OfRecord):
    source: str
    state: str | None = None
    title: Wording | None = None
    owner: Wording | None = None
    requester: Wording | None = None
    fields: Mapping[str, Wording] = field(default_factory=dict)
    only_from: tuple[str, ...] = ()
    """States in which it changes anything; empty for all."""

    def _change(self, draft: Draft, rule: str) -> None:
        assert draft.record is not None
        if self.only_from and draft.record.state not in self.only_from:
            return
        draft.update(
            state=self.state,
            title=_cut(self.title.of(draft), draft.defaults.subject_length) or None if self.title else None,
            owner=self._person(draft, rule, self.owner),
            requester=self._person(draft, rule, self.requester),
            fields={name: wording.of(draft) for name, wording in self.fields.items()},
        )

    def _person(self, draft: Draft, rule: str, wording: Wording | None) -> str | None:
        """An address key; None where nothing is to change. Nobody is written as ""."""
        if wording is None:
            return None
        said = wording.of(draft)
        address = _address(said)
        if said and not address:
            draft.failures.append(Failure(rule, self.source, "not-an-address"))
            return None
        return address


@dataclass(frozen=True, slots=True)
class Delete(_OfRecord):
    source: str

    def _change(self, draft: Draft, rule: str) -> None:
        draft.delete()


@dataclass(frozen=True, slots=True)
class Note(Action):
    """Of a conversation, too, that has no record yet: one that is made later has it."""

    source: str
    planned: PlannedNote

    def carry_out(self, draft: Draft, rule: str) -> None:
        if draft.transaction is None:
            draft.failures.append(Failure(rule, self.source, "no-record"))
        elif not draft.is_deleted:
            draft.add_note(self.planned.of(draft))


@dataclass(frozen=True, slots=True)
class ReadFields(_OfRecord):
    source: str
    lines: Mapping[str, str]
    pattern: FieldPattern | None
    within: str
    length: int
    keep: bool

    def _change(self, draft: Draft, rule: str) -> None:
        assert draft.record is not None
        message = draft.message
        if message is None:
            return
        found = from_lines(message.incoming.newest, self.lines, self.length) if self.lines else {}
        if self.pattern is not None:
            found |= from_pattern(getattr(message, self.within), self.pattern, self.length)
        if self.keep:
            found = {name: value for name, value in found.items() if not draft.record.fields.get(name)}
        draft.update(fields=found)


@dataclass(frozen=True, slots=True)
class Notify(_OfRecord):
    tells: ClassVar[bool] = True
    source: str
    to: tuple[str, ...]
    template: str
    subject: Wording
    account: str
    sender: str

    def _change(self, draft: Draft, rule: str) -> None:
        draft.wishes.append(NoticeWish(rule, self.to, self.template, self.subject.of(draft), self.account, self.sender))


@dataclass(frozen=True, slots=True)
class Call(_OfRecord):
    tells: ClassVar[bool] = True
    source: str
    sink: str
    event: str
    fields: tuple[str, ...] | None
    attachments: str

    def _change(self, draft: Draft, rule: str) -> None:
        draft.wishes.append(CallWish(rule, self.sink, self.event, self.fields, self.attachments))


@dataclass(frozen=True, slots=True)
class WriteBack(_OfRecord):
    source: str

    def _change(self, draft: Draft, rule: str) -> None:
        if draft.message is not None and draft.message.incoming.message_id:
            draft.wishes.append(MarkWish(rule))


@dataclass(frozen=True, slots=True)
class Join(Action):
    source: str

    def carry_out(self, draft: Draft, rule: str) -> None:
        if draft.outcome == "pending":
            draft.outcome = "joined"
            draft.joins = True


# --- defaults ---------------------------------------------------------------------------------------------------------


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _title(said: str, draft: Draft, transaction: Transaction) -> str:
    """Without the record's own token, which notices put in front of it again; and without `Re:` where it answers."""
    style = draft.defaults.styles.get(transaction.module)
    bare = without_token(said, style, transaction.number) if style is not None else said
    if draft.message is not None and (draft.message.incoming.in_reply_to or draft.message.incoming.references):
        bare = bare[prefix_end(bare) :]
    return bare or NO_TITLE


def _address(text: str) -> str:
    """Its address key; "" for what is no address."""
    try:
        return parse_address(text).key
    except AddressError:
        return ""


def _requester(draft: Draft) -> str:
    message = draft.message
    if message is None:
        return ""
    if not message.incoming.is_sent:
        return message.incoming.author_key
    return next((each.address.key for each in _outside(message, draft.defaults.accepted_domains)), "")


def _outside(message: MessageFacts, accepted_domains: Collection[str]) -> list[Mailbox]:
    everybody = [*message.incoming.to, *message.incoming.cc]
    return [each for each in everybody if each.address.domain_key not in accepted_domains] or everybody


def _owner(draft: Draft, module: str) -> str:
    message = draft.message
    if message is not None and message.incoming.is_sent and message.incoming.author_key:
        return message.incoming.author_key
    return draft.defaults.owners.get(module, "")
