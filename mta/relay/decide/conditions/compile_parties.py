"""Makes conditions of what a rule file asks of sender and recipients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from mta.config.explain_errors import closest
from mta.config.texts import listed
from mta.config.yaml_values import Loc
from mta.message.patterns.text_patterns import Pattern, has_wildcard
from mta.model.address import AddressError, domain_key, parse_address
from mta.relay.decide.conditions.claims import ClaimsInternal
from mta.relay.decide.conditions.directory_tests import (
    AttributeEmpty,
    AttributeEquals,
    AttributeMatches,
    GroupAddressIs,
    InGroup,
    IsDisabled,
    LdapFilterHolds,
    PersonIs,
    UnitIs,
)
from mta.relay.decide.conditions.ldap_filter import FilterError, compile_filter
from mta.relay.decide.conditions.parties import AddressIs, DomainIs, PartyTest, RoleIs, ScopeIs
from mta.relay.decide.conditions.party_conditions import OnBehalfOf, RecipientIs, SenderIs
from mta.relay.decide.conditions.party_schema import (
    AttributeTest,
    GroupToGroup,
    OneRecipientTests,
    PartyTests,
    SenderTests,
)
from mta.relay.decide.conditions.relations import AttributesCompare, Between, FirstContact, RelationIs

ReportProblem = Callable[[Loc, str, str], None]
CompileRegex = Callable[[str, Loc], Pattern]
PartyCondition = (
    SenderIs | OnBehalfOf | ClaimsInternal | RecipientIs | AttributesCompare | Between | FirstContact | RelationIs
)


class DirectoryNames(Protocol):
    """What the directory is known to have; None where it can't list them."""

    @property
    def groups(self) -> frozenset[str] | None: ...

    @property
    def attributes(self) -> frozenset[str] | None: ...


class PartyCompiler:
    """Compiles tests of parties; problems are reported at their place."""

    def __init__(self, directory: DirectoryNames, problem: ReportProblem, regex: CompileRegex) -> None:
        self._directory = directory
        self._problem = problem
        self._regex = regex

    def sender(self, written: SenderTests, loc: Loc) -> Iterator[PartyCondition]:
        for test in self._party(written, loc):
            yield SenderIs(test, written.by)
        if written.on_behalf_of is not None:
            yield OnBehalfOf(expected=written.on_behalf_of)
        if written.claims is not None:
            yield ClaimsInternal()

    def recipient(self, written: OneRecipientTests, loc: Loc) -> Iterator[PartyCondition]:
        for test in self._party(written, loc):
            yield RecipientIs(test)
        if written.role is not None:
            yield RecipientIs(RoleIs(written.role))
        if written.is_ is not None:
            yield RelationIs(written.is_)
        for key, names in (("same", written.same), ("different", written.different)):
            if names is not None:
                for n, name in enumerate(names):
                    self._check_attribute(name, (*loc, key, n))
                yield AttributesCompare(names, same=key == "same")
        if written.between is not None:
            yield self._between(written.between, (*loc, "between"))
        if written.first_contact is not None:
            yield FirstContact(first=written.first_contact)

    def _between(self, written: tuple[str, str] | GroupToGroup, loc: Loc) -> Between:
        if isinstance(written, GroupToGroup):
            self.check_groups(written.from_, (*loc, "from"))
            self.check_groups(written.to, (*loc, "to"))
            return Between(written.from_, written.to, either_way=False)
        self.check_groups(written, loc)
        return Between([written[0]], [written[1]], either_way=True)

    def _party(self, written: PartyTests, loc: Loc) -> Iterator[PartyTest]:
        """Cheap tests first; the order is also that of an explanation."""
        if written.scope is not None:
            yield ScopeIs(written.scope)
        if written.domain is not None:
            self._check_domains(written.domain, (*loc, "domain"))
            yield DomainIs(written.domain, f"domain: {listed(written.domain)}")
        if written.group is not None:
            self.check_groups(written.group, (*loc, "group"))
            yield InGroup(written.group, f"group: {listed(written.group)}")
        if written.address is not None:
            yield self._address(written.address, (*loc, "address"))
        if written.person is not None:
            keys = [self._key(text, (*loc, "person", n)) for n, text in enumerate(written.person)]
            yield PersonIs(keys, f"person: {listed(written.person)}")
        if written.disabled is not None:
            yield IsDisabled(disabled=written.disabled)
        if written.attribute is not None:
            yield self._attribute(written.attribute, (*loc, "attribute"))
        yield from self._of_directory(written, loc)

    def _of_directory(self, written: PartyTests, loc: Loc) -> Iterator[PartyTest]:
        if written.group_address is not None:
            plain = {n: name for n, name in enumerate(written.group_address) if not has_wildcard(name)}
            for n, name in plain.items():
                self._check_group(name, (*loc, "group_address", n))
            yield GroupAddressIs(written.group_address)
        if written.unit is not None:
            for n, unit in enumerate(written.unit):
                self._check_unit(unit, (*loc, "unit", n))
            yield UnitIs(written.unit)
        if written.ldap is not None:
            try:
                yield LdapFilterHolds(written.ldap, compile_filter(written.ldap))
            except FilterError as exc:
                self._problem((*loc, "ldap"), f"LDAP filter: {exc}", exc.mend)

    def _check_unit(self, unit: str, loc: Loc) -> None:
        if "=" in unit or not unit.strip("/ "):
            self._problem(loc, f"{unit!r} is no path of a unit", "write it outermost first: corp.example/berlin/sales")

    def _check_domains(self, names: Sequence[str], loc: Loc) -> None:
        for n, name in enumerate(names):
            try:
                parse_address(f"x@{name.replace('*', 'x').replace('?', 'x')}")
            except AddressError as exc:
                self._problem((*loc, n), f"{name!r} is no domain: {exc}", "write example.com, or *.example.com")

    def check_groups(self, names: Sequence[str], loc: Loc) -> None:
        """Report the names that the directory doesn't have."""
        for n, name in enumerate(names):
            self._check_group(name, (*loc, n))

    def _check_group(self, name: str, loc: Loc) -> None:
        groups = self._directory.groups
        if groups is not None and name.lower() not in groups:
            self._problem(loc, f"the directory has no group {name!r}", closest(name, groups))

    def _address(self, texts: Sequence[str], loc: Loc) -> AddressIs:
        exact: list[str] = []
        patterns: list[str] = []
        for n, text in enumerate(texts):
            if has_wildcard(text):
                local, at, domain = text.lower().rpartition("@")
                patterns.append(f"{local}{at}{domain_key(domain)}")
                if not at:
                    self._problem((*loc, n), f"{text!r} has no @", "write it as *@example.com")
            else:
                exact.append(self._key(text, (*loc, n)))
        return AddressIs(exact, patterns, f"address: {listed(texts)}")

    def _key(self, text: str, loc: Loc) -> str:
        try:
            return parse_address(text).key
        except AddressError as exc:
            self._problem(loc, f"{text!r} is no address: {exc}", "write it as jane@example.com")
            return text

    def _check_attribute(self, name: str, loc: Loc) -> None:
        attributes = self._directory.attributes
        if attributes is not None and name not in attributes:
            self._problem(loc, f"the directory has no attribute {name!r}", closest(name, attributes))

    def _attribute(self, written: AttributeTest, loc: Loc) -> PartyTest:
        name = written.name
        self._check_attribute(name, (*loc, "name"))
        if written.equals is not None:
            return AttributeEquals(name, written.equals, f"attribute.{name} equals {listed(written.equals)}")
        if written.matches is not None:
            pattern = self._regex(written.matches, (*loc, "matches"))
            return AttributeMatches(name, pattern, f"attribute.{name} matches {written.matches}")
        empty = bool(written.empty)
        return AttributeEmpty(name, f"attribute.{name} empty: {str(empty).lower()}", empty=empty)
