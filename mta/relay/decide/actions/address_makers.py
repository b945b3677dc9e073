"""Actions that name somebody, made for a recipient: see `address_values.py` for whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mta.model.actions import (
    Action,
    AddRecipients,
    Archive,
    AutoRespond,
    NameRecipients,
    Notify,
    OnError,
    Redirect,
    RewriteSender,
    SetReplyTo,
)
from mta.relay.decide.actions.address_values import AddressValue
from mta.relay.decide.actions.header_values import HeaderValue
from mta.relay.decide.facts import Facts


class ForAddresses:
    """An action with a list of addresses: recipients to add, to name, or to redirect to."""

    __slots__ = ("_make", "_rule", "_who", "changes_content", "personal", "source")

    def __init__(
        self,
        make: Callable[[str, tuple[str, ...]], Action],
        who: Sequence[AddressValue],
        rule: str,
        source: str,
        *,
        changes_content: bool = False,
    ) -> None:
        self._make = make
        self._who = who
        self._rule = rule
        self.changes_content = changes_content
        self.personal = any(value.uses_recipient for value in who)
        self.source = f"{source}: {', '.join(value.source for value in who)}"

    def make(self, facts: Facts, index: int) -> Action:
        return self._make(self._rule, _addresses(self._who, facts, index, self._rule))


def adding(rule: str, addresses: tuple[str, ...]) -> Action:
    return AddRecipients(rule=rule, addresses=addresses)


def naming(header: str) -> Callable[[str, tuple[str, ...]], Action]:
    """Names the added recipients in "to" or "cc"."""
    return lambda rule, addresses: NameRecipients(rule=rule, addresses=addresses, header=header)


def redirecting(rule: str, addresses: tuple[str, ...]) -> Action:
    return Redirect(rule=rule, addresses=addresses)


class ArchiveCopy:
    """One copy of the original."""

    __slots__ = ("_next_hop", "_rule", "_to", "personal", "source")
    changes_content = False

    def __init__(self, to: AddressValue | None, next_hop: str, rule: str) -> None:
        self._to = to
        self._next_hop = next_hop
        self._rule = rule
        self.personal = to is not None and to.uses_recipient
        self.source = f"archive: {' by '.join(part for part in (to.source if to else '', next_hop) if part)}"

    def make(self, facts: Facts, index: int) -> Action:
        address = str(self._to.resolve(facts, index, self._rule)) if self._to is not None else ""
        return Archive(rule=self._rule, address=address, next_hop=self._next_hop)


class ReplyTo:
    """Another address for replies."""

    __slots__ = ("_address", "_name", "_rule", "personal", "source")
    changes_content = True

    def __init__(self, address: AddressValue, name: HeaderValue | None, rule: str) -> None:
        self._address = address
        self._name = name
        self._rule = rule
        self.personal = address.uses_recipient or (name is not None and name.uses_recipient)
        self.source = f"set-reply-to: {address.source}"

    def make(self, facts: Facts, index: int) -> Action:
        name = self._name.render(facts, index, self._rule) if self._name is not None else ""
        address = self._address.resolve(facts, index, self._rule)
        return SetReplyTo(rule=self._rule, address=str(address), display_name=name)


class NewSender:
    """Another author, reverse-path, or both."""

    __slots__ = ("_address", "_keep", "_name", "_rule", "_where", "changes_content", "personal", "source")

    def __init__(
        self, address: AddressValue | None, name: HeaderValue | None, where: str, rule: str, *, keep: bool
    ) -> None:
        self._address = address
        self._name = name
        self._where = where
        self._rule = rule
        self._keep = keep
        self.changes_content = where != "envelope"
        self.personal = any(value is not None and value.uses_recipient for value in (address, name))
        self.source = f"rewrite-sender: {address.source if address is not None else 'name'} ({where})"

    def make(self, facts: Facts, index: int) -> Action:
        address = str(self._address.resolve(facts, index, self._rule)) if self._address is not None else ""
        return RewriteSender(
            rule=self._rule,
            address=address,
            display_name=self._name.render(facts, index, self._rule) if self._name is not None else "",
            header=self._where != "envelope",
            envelope=self._where != "from",
            keep_as_reply_to=self._keep,
        )


class Letter:
    """What a notice and an auto-response have in common: a template, and who it is from."""

    __slots__ = ("on_error", "rule", "sender", "speaks_of_recipient", "template")

    def __init__(
        self, template: str, sender: AddressValue | None, rule: str, on_error: OnError, *, speaks_of_recipient: bool
    ) -> None:
        self.template = template
        self.sender = sender
        self.rule = rule
        self.on_error = on_error
        self.speaks_of_recipient = speaks_of_recipient

    def sender_for(self, facts: Facts, index: int) -> str:
        return str(self.sender.resolve(facts, index, self.rule)) if self.sender is not None else ""

    @property
    def personal(self) -> bool:
        return self.speaks_of_recipient or (self.sender is not None and self.sender.uses_recipient)


class Notice:
    """A message to somebody."""

    __slots__ = ("_letter", "_who", "personal", "source")
    changes_content = False

    def __init__(self, letter: Letter, who: Sequence[AddressValue]) -> None:
        self._letter = letter
        self._who = who
        self.personal = letter.personal or any(value.uses_recipient for value in who)
        self.source = f"notify: {letter.template} to {', '.join(value.source for value in who)}"

    def make(self, facts: Facts, index: int) -> Action:
        letter = self._letter
        return Notify(
            rule=letter.rule,
            template=letter.template,
            to=_addresses(self._who, facts, index, letter.rule),
            sender=letter.sender_for(facts, index),
            recipient=facts.recipients[index].key if letter.speaks_of_recipient else "",
            on_error=letter.on_error,
        )


class Response:
    """An answer to the sender, in a recipient's name, or in one for all."""

    __slots__ = ("_letter", "_limit", "_period_s", "personal", "source")
    changes_content = False

    def __init__(self, letter: Letter, limit: int, period_s: int) -> None:
        self._letter = letter
        self._limit = limit
        self._period_s = period_s
        self.personal = letter.personal or letter.sender is None
        self.source = f"auto-respond: {letter.template}"

    def make(self, facts: Facts, index: int) -> Action:
        letter = self._letter
        return AutoRespond(
            rule=letter.rule,
            template=letter.template,
            limit=self._limit,
            period_s=self._period_s,
            sender=letter.sender_for(facts, index),
            recipient=facts.recipients[index].key if self.personal else "",
            on_error=letter.on_error,
        )


def _addresses(who: Sequence[AddressValue], facts: Facts, index: int, rule: str) -> tuple[str, ...]:
    """Each once, in the order of the rule."""
    found: dict[str, str] = {}
    for value in who:
        address = value.resolve(facts, index, rule)
        found.setdefault(address.key, str(address))
    return tuple(found.values())
