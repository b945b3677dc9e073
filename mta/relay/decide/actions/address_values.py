"""Who an action means: an address as written, or a value of the directory that is one.

`manager` is the sender's; `sender`, `recipient` and `manager` with `.attribute` give that attribute, and
`recipient.manager` the recipient's manager; anything with `{{ }}` is a template as in `set-header`. What it comes to is
one address, or the rule fails: nothing is sent to half an address.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from mta.model.address import Address, AddressError, parse_address
from mta.model.person import Person
from mta.relay.decide.actions.header_values import ActionError, HeaderValue, compile_value
from mta.relay.decide.facts import Facts
from mta.relay.decide.participants import Party

_WORD = re.compile(r"(sender|recipient|manager)(?:\.([A-Za-z][\w-]*))?\Z")


class AddressValue:
    """A compiled address; `source` is how the rule names it."""

    __slots__ = ("_fixed", "_manager_of", "_value", "source", "uses_recipient")

    def __init__(
        self, source: str, *, fixed: Address | None = None, value: HeaderValue | None = None, manager_of: str = ""
    ) -> None:
        self.source = source
        self._fixed = fixed
        self._value = value
        self._manager_of = manager_of
        self.uses_recipient = manager_of == "recipient" or (value is not None and value.uses_recipient)

    def resolve(self, facts: Facts, index: int, rule: str) -> Address:
        """The address for one recipient. Raises ActionError, without any value in its text."""
        if self._fixed is not None:
            return self._fixed
        if self._value is not None:
            text = self._value.render(facts, index, rule)
        else:
            text = _manager_of(facts.recipients[index] if self._manager_of == "recipient" else facts.sender)
        if not text:
            raise ActionError(f"{self.source}: there is none")
        try:
            return sendable(parse_address(text.removeprefix("<").removesuffix(">")))
        except AddressError as exc:
            raise ActionError(f"{self.source}: is not one address") from exc


def compile_address(
    text: str, attributes: Collection[str] | None, organisation: Collection[str] | None
) -> AddressValue:
    """An address as written in a rule. Raises ActionError."""
    written = text.strip()
    if "{" in written:
        return AddressValue(written, value=compile_value(written, attributes, organisation))
    word = _WORD.match(written)
    if word is None:
        try:
            return AddressValue(written, fixed=sendable(parse_address(written)))
        except AddressError as exc:
            mend = "write name@example.com, manager, sender.ATTRIBUTE, recipient.ATTRIBUTE or {{ … }}"
            raise ActionError(f"{written!r} is no address: {exc}", mend) from exc
    who, attribute = word[1], word[2] or "address"
    if written == "manager" or (attribute == "manager" and who != "manager"):
        return AddressValue(written, manager_of="recipient" if who == "recipient" else "sender")
    template = f"{{{{ {who}['{attribute}'] }}}}"
    return AddressValue(written, value=compile_value(template, attributes, organisation))


def sendable(address: Address) -> Address:
    """The address with its domain as A-labels. Raises AddressError where the local part would need SMTPUTF8.

    Rules add addresses to mail of all kinds, and to next hops of all kinds; one that some can't take is a trap.
    """
    if not address.local.isascii():
        raise AddressError("letters beyond ASCII before the @ can't be sent everywhere")
    return address if address.domain.isascii() else Address(address.local, address.domain_key)


def _manager_of(party: Party | None) -> str:
    person: Person | None = party.person if party is not None else None
    return person.manager or "" if person is not None else ""
