"""Tests of what the directory knows of one party: the person, groups, unit, attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mta.config.texts import listed
from mta.message.patterns.text_patterns import Pattern, has_wildcard
from mta.message.wildcards import Glob
from mta.model.person import Person
from mta.relay.decide.conditions.parties import union
from mta.relay.decide.facts import Facts
from mta.relay.decide.participants import Party


class PersonIs:
    """A directory person by any of their addresses."""

    __slots__ = ("_keys", "source")

    def __init__(self, keys: Sequence[str], source: str) -> None:
        self._keys = frozenset(keys)
        self.source = source

    def holds(self, party: Party) -> bool:
        if party.key in self._keys:
            return True
        person = party.person
        return person is not None and (person.address in self._keys or not self._keys.isdisjoint(person.aliases))

    def mask(self, facts: Facts) -> int:
        return facts.mask(self.holds)

    def value(self, party: Party) -> str:
        return party.key if party.person is None else f"{party.key} ({party.person.address})"


class InGroup:
    """Member of one of the groups, nested ones included."""

    __slots__ = ("_groups", "source")

    def __init__(self, groups: Sequence[str], source: str) -> None:
        self._groups = tuple(group.lower() for group in groups)
        self.source = source

    def holds(self, party: Party) -> bool:
        return not party.groups.isdisjoint(self._groups)

    def mask(self, facts: Facts) -> int:
        return union(facts.by_group, self._groups)

    def value(self, party: Party) -> str:
        if party.person is None:
            return f"{party.key} is not in the directory"
        groups = ", ".join(sorted(party.groups))
        return f"{party.key} is in {groups}" if groups else f"{party.key} is in no group"


class GroupAddressIs:
    """The address is a directory group's: mail sent in its name, or to it before anybody expanded it."""

    __slots__ = ("_glob", "source")

    def __init__(self, groups: Sequence[str]) -> None:
        self._glob = Glob(groups)
        self.source = f"group_address: {listed(groups)}"

    def holds(self, party: Party) -> bool:
        name = "" if party.person is None else party.person.group_name
        return bool(name) and self._glob.search(name) is not None

    def mask(self, facts: Facts) -> int:
        return facts.mask(self.holds)

    def value(self, party: Party) -> str:
        name = "" if party.person is None else party.person.group_name
        return f"{party.key} is the address of {name}" if name else f"{party.key} is no group's address"


class UnitIs:
    """In one of the organisational units, or in a unit below it."""

    __slots__ = ("_exact", "_glob", "source")

    def __init__(self, units: Sequence[str]) -> None:
        paths = [unit.strip("/").lower() for unit in units]
        self._exact = tuple(path for path in paths if not has_wildcard(path))
        wild = [path for path in paths if has_wildcard(path)]
        self._glob = Glob([*wild, *(f"{path}/*" for path in wild)]) if wild else None
        self.source = f"unit: {listed(units)}"

    def _has(self, unit: str) -> bool:
        if not unit:
            return False
        if self._glob is not None and self._glob.search(unit) is not None:
            return True
        return any(unit == path or unit.startswith(f"{path}/") for path in self._exact)

    def holds(self, party: Party) -> bool:
        return party.person is not None and self._has(party.person.unit)

    def mask(self, facts: Facts) -> int:
        mask = 0
        for unit, having in facts.by_unit.items():
            if self._has(unit):
                mask |= having
        return mask

    def value(self, party: Party) -> str:
        if party.person is None:
            return f"{party.key} is not in the directory"
        return f"{party.key} is in unit {party.person.unit}" if party.person.unit else f"{party.key} has no unit"


class LdapFilterHolds:
    """An LDAP filter over the directory entry; who is not in the directory fails every filter."""

    __slots__ = ("_test", "source")

    def __init__(self, text: str, test: Callable[[Person], bool]) -> None:
        self._test = test
        self.source = f"ldap: {text}"

    def holds(self, party: Party) -> bool:
        return party.person is not None and self._test(party.person)

    def mask(self, facts: Facts) -> int:
        return facts.mask(self.holds)

    def value(self, party: Party) -> str:
        if party.person is None:
            return f"{party.key} is not in the directory"
        return f"the entry of {party.key} {'passes' if self.holds(party) else 'fails'} the filter"


class IsDisabled:
    """Whether the directory account is disabled; who is not in the directory has none."""

    __slots__ = ("_disabled", "source")

    def __init__(self, *, disabled: bool) -> None:
        self._disabled = disabled
        self.source = f"disabled: {str(disabled).lower()}"

    def holds(self, party: Party) -> bool:
        return (party.person is not None and party.person.disabled) is self._disabled

    def mask(self, facts: Facts) -> int:
        return facts.mask(self.holds)

    def value(self, party: Party) -> str:
        if party.person is None:
            return f"{party.key} is not in the directory"
        return f"{party.key} is {'disabled' if party.person.disabled else 'enabled'}"


class _Attribute:
    __slots__ = ("name", "source")

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source

    def value(self, party: Party) -> str:
        return f"{self.name} is {party.text(self.name)!r}"


class AttributeEquals(_Attribute):
    """A directory attribute is one of the texts; case doesn't count."""

    __slots__ = ("_texts",)

    def __init__(self, name: str, texts: Sequence[str], source: str) -> None:
        super().__init__(name, source)
        self._texts = frozenset(text.strip().casefold() for text in texts)

    def holds(self, party: Party) -> bool:
        return party.attribute(self.name) in self._texts

    def mask(self, facts: Facts) -> int:
        return union(facts.by_attribute(self.name), self._texts)


class AttributeMatches(_Attribute):
    """A directory attribute has a match of the regex."""

    __slots__ = ("_pattern",)

    def __init__(self, name: str, pattern: Pattern, source: str) -> None:
        super().__init__(name, source)
        self._pattern = pattern

    def holds(self, party: Party) -> bool:
        return self._pattern.search(party.text(self.name)) is not None

    def mask(self, facts: Facts) -> int:
        mask = 0
        for text, having in facts.by_text(self.name).items():
            if self._pattern.search(text) is not None:
                mask |= having
        return mask


class AttributeEmpty(_Attribute):
    """A directory attribute has no value; so it is for who is not in the directory."""

    __slots__ = ("_empty",)

    def __init__(self, name: str, source: str, *, empty: bool) -> None:
        super().__init__(name, source)
        self._empty = empty

    def holds(self, party: Party) -> bool:
        return (not party.attribute(self.name)) is self._empty

    def mask(self, facts: Facts) -> int:
        lacking = facts.by_attribute(self.name).get("", 0)
        return lacking if self._empty else facts.everyone & ~lacking
