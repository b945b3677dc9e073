"""What entries of Active Directory mean: people, contacts and groups with their addresses."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mta.adapters.directory.attributes import WELL_KNOWN_ATTRIBUTES
from mta.adapters.directory.ldap.names import sid_text, unit_of
from mta.adapters.directory.ldap.protocol import Entry
from mta.adapters.directory.photos import is_photo
from mta.config.directory_schema import LdapDirectory
from mta.model.address import AddressError, parse_address
from mta.model.ldap_filter import And, Compare, Filter, Or, Present, parse_filter
from mta.model.person import Person

VALUE_MAX = 4000
"""Characters of an attribute that are kept."""
_SHARED_MAX = 20_000
_NOBODY = frozenset[str]()
_OWN = (
    "objectClass", "cn", "sAMAccountName", "mail", "proxyAddresses", "targetAddress", "userPrincipalName",
    "userAccountControl", "manager", "memberOf", "primaryGroupID", "objectSid",
)  # fmt: skip
_ADDRESSES = ("objectClass", "mail", "proxyAddresses", "targetAddress", "userPrincipalName")
_DISABLED = 2  # UF_ACCOUNTDISABLE
_NUMBER = re.compile(r"-?[0-9]{1,19}\Z")
_KINDS = Or((Compare("objectCategory", "=", b"person"), Compare("objectCategory", "=", b"group")))


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """An entry of the server, with what has to be looked up still: who its manager is, and what its groups are in."""

    person: Person
    manager_dn: str
    group_dns: tuple[str, ...]
    primary_group_sid: str
    """`S-1-5-21-…`, or ""."""


class EntryReader:
    """What is asked for, and how it is read, by the settings."""

    def __init__(self, settings: LdapDirectory) -> None:
        self._photo = "" if settings.photo == "none" else settings.photo
        self._by_principal_name = settings.user_principal_name
        own_filter = (parse_filter(settings.filter),) if settings.filter else ()
        self._fitting = And((_KINDS, *own_filter))
        names = {name: name for name in WELL_KNOWN_ATTRIBUTES} | settings.attributes
        self.names = frozenset(names)
        """What templates and rules may call attributes."""
        self._shown: dict[str, tuple[str, ...]] = {}
        for name, attribute in names.items():
            key = attribute.lower()
            self._shown[key] = (*self._shown.get(key, ()), name)
        self._texts: dict[str, str] = {}
        """Values by themselves: departments, towns and titles are many people's, and kept once."""
        wanted = {attribute.lower(): attribute for attribute in (*names.values(), *_OWN)}
        self.attributes = (*sorted(wanted.values()), *filter(None, [self._photo]))

    def by_addresses(self, keys: Collection[str]) -> Filter:
        """For the entries that have one of these addresses.

        Only attributes that Active Directory keeps an index of: others would make it read the whole domain.
        """
        tests: list[Filter] = []
        for key in keys:
            for spelling in _spellings(key):
                tests.append(Compare("proxyAddresses", "=", b"smtp:" + spelling))
                tests.append(Compare("mail", "=", spelling))
                if self._by_principal_name:
                    tests.append(Compare("userPrincipalName", "=", spelling))
        return And((self._fitting, Or(tuple(tests))))

    def everybody(self) -> Filter:
        """For all entries that have an address."""
        names = ("mail", "proxyAddresses", *(("userPrincipalName",) if self._by_principal_name else ()))
        return And((self._fitting, Or(tuple(Present(name) for name in names))))

    def address(self, entry: Entry) -> str:
        """The primary address key, or "" for an entry without."""
        return self._addresses(entry)[0]

    @property
    def address_attributes(self) -> tuple[str, ...]:
        return _ADDRESSES

    def read(self, entry: Entry) -> FoundEntry | None:
        """None for what has no address."""
        address, aliases = self._addresses(entry)
        if not address:
            return None
        classes = _texts(entry, "objectClass")
        control = _first(entry, "userAccountControl")
        person = Person(
            address,
            aliases,
            self._attributes(entry, address),
            disabled=_NUMBER.match(control) is not None and bool(int(control) & _DISABLED),
            is_contact="contact" in classes,
            unit=unit_of(entry.dn),
            photo=self._photo_of(entry),
            group_name=_first(entry, "cn").lower() if "group" in classes else "",
        )
        groups = tuple(_texts(entry, "memberOf"))
        return FoundEntry(person, _first(entry, "manager"), groups, _primary_group(entry))

    def _addresses(self, entry: Entry) -> tuple[str, frozenset[str]]:
        """Primary address and aliases. A contact's primary one is where its mail really goes."""
        proxies = _texts(entry, "proxyAddresses")
        ranked = [text[5:] for text in proxies if text.startswith("SMTP:")]
        if "contact" in _texts(entry, "objectClass"):
            ranked = [_target(entry), *ranked]
        ranked += [_first(entry, "mail")]
        if self._by_principal_name:
            ranked.append(_first(entry, "userPrincipalName"))
        ranked += [text[5:] for text in proxies if text.startswith("smtp:")]
        keys = [key for text in (*ranked, _target(entry)) if (key := _key(text))]
        if not keys:
            return "", _NOBODY
        address, aliases = keys[0], frozenset(keys[1:]) - {keys[0]}
        return address, aliases or _NOBODY

    def _attributes(self, entry: Entry, address: str) -> Mapping[str, str]:
        found: dict[str, str] = {"mail": address}
        for attribute, names in self._shown.items():
            values = entry.attributes.get(attribute)
            if not values:
                continue
            try:
                text = b", ".join(values).decode()[:VALUE_MAX]
            except UnicodeDecodeError:  # binary, such as a certificate: nothing to print
                continue
            if len(self._texts) > _SHARED_MAX:
                self._texts.clear()
            text = self._texts.setdefault(text, text)
            for name in names:
                found[name] = text
        return found

    def _photo_of(self, entry: Entry) -> bytes:
        data = next(iter(entry.attributes.get(self._photo.lower(), ())), b"")
        return data if is_photo(data) else b""


def is_key(text: str) -> bool:
    """Whether it can be somebody's address key."""
    return bool(text) and _key(text) == text


def _spellings(key: str) -> list[bytes]:
    """An address as the directory may have it: with an internationalised domain in either form."""
    spellings = [key.encode()]
    local, _, domain = key.rpartition("@")
    if "xn--" in domain:
        with contextlib.suppress(UnicodeError):
            spellings.append(f"{local}@{domain.encode('ascii').decode('idna')}".encode())
    return spellings


def _texts(entry: Entry, name: str) -> list[str]:
    return [value.decode("utf-8", "replace") for value in entry.attributes.get(name.lower(), ())]


def _first(entry: Entry, name: str) -> str:
    return next(iter(_texts(entry, name)), "")


def _target(entry: Entry) -> str:
    kind, _, address = _first(entry, "targetAddress").partition(":")
    return address if kind.lower() == "smtp" else ""


def _key(text: str) -> str:
    """An address key; "" for what is no address, such as X.400's."""
    try:
        return parse_address(text.strip()).key if text else ""
    except AddressError:
        return ""


def _primary_group(entry: Entry) -> str:
    """The primary group stands in no memberOf: its identifier is that of the domain with its own number."""
    number = _first(entry, "primaryGroupID")
    own = sid_text(next(iter(entry.attributes.get("objectsid", ())), b""))
    return f"{own.rpartition('-')[0]}-{number}" if own and number.isdecimal() else ""
