"""Active Directory as the directory: searches made into people, behind the cache."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace

from mta import events
from mta.adapters.directory.cache import PeopleCache
from mta.adapters.directory.ldap.by_name import EntriesByName
from mta.adapters.directory.ldap.connection import Endpoint, LdapError
from mta.adapters.directory.ldap.entries import EntryReader, FoundEntry, is_key
from mta.adapters.directory.ldap.groups import NAME_ATTRIBUTES, GroupTree, names_of_group
from mta.adapters.directory.ldap.protocol import Entry, Scope, Search
from mta.adapters.directory.ldap.servers import LdapServers
from mta.config import directory_schema as schema
from mta.model.ldap_filter import Compare, Filter, Present
from mta.model.person import Person
from mta.ports.directory import DirectoryDownError

_Rank = tuple[bool, bool, bool, str]


class LdapDirectory:
    """Opens connections when first asked. Bound to one event loop between two calls of `close`."""

    def __init__(self, settings: schema.LdapDirectory) -> None:
        self.settings = settings
        self.source = ",".join(server.host for server in settings.servers)
        self.endpoints = endpoints_of(settings)
        self._reader = EntryReader(settings)
        self._servers = self._new_servers()
        ttl_s = settings.cache.ttl.total_seconds()
        self._groups = GroupTree(self._servers, ttl_s)
        self._managers = EntriesByName(self._servers, self._reader.address_attributes, self._address, ttl_s)
        self._cache = PeopleCache(self._fetch, settings.cache, self.source)
        self._bases: tuple[str, ...] = settings.bases
        self._preloading: asyncio.Task[None] | None = None

    def _new_servers(self) -> LdapServers:
        return LdapServers(self.endpoints, self.credentials, self.settings.retry_after.total_seconds())

    def credentials(self) -> tuple[str, bytes]:
        """Name and password as they are now. Raises OSError or KeyError."""
        password = self.settings.password
        return self.settings.bind_dn, password.read() if password is not None else b""

    async def people(self, keys: Collection[str]) -> Mapping[str, Person]:
        """As the port says; from memory, or within the configured wait."""
        return await self._cache.people(keys)

    def group_names(self) -> None:
        """Not known without asking: a group that is renamed there must not keep the relay from starting."""
        return

    def attribute_names(self) -> frozenset[str]:
        """Active Directory's well-known names, and those of the settings."""
        return self._reader.names

    async def start(self) -> None:
        """Read everybody in the background, where that is wanted."""
        if self.settings.preload and self._preloading is None:
            self._preloading = asyncio.create_task(self._preload())

    async def close(self) -> None:
        """End what runs and close the connections; what is remembered stays."""
        task, self._preloading = self._preloading, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._cache.close()
        await self._servers.close()

    # --- reading ------------------------------------------------------------------------------------------------------

    async def everybody(self) -> AsyncIterator[Person]:
        """All entries, page by page, over a connection of their own, so that mail doesn't wait behind them."""
        servers = self._new_servers()
        try:
            for base in await self._found_bases():
                async for entries in servers.pages(self._search(base, self._reader.everybody())):
                    for person in await self._people_of(entries):
                        yield person
        except LdapError as exc:
            raise DirectoryDownError from exc
        finally:
            await servers.close()

    async def all_group_names(self) -> frozenset[str]:
        """The names of all groups, lower case. Raises LdapError."""
        servers = self._new_servers()
        names: set[str] = set()
        try:
            for base in await self._found_bases():
                every_group = replace(
                    self._search(base, Compare("objectCategory", "=", b"group")), attributes=NAME_ATTRIBUTES
                )
                async for entries in servers.pages(every_group):
                    names.update(name for entry in entries for name in names_of_group(entry))
        finally:
            await servers.close()
        return frozenset(names)

    async def _preload(self) -> None:
        began, count = time.monotonic(), 0
        ranks: dict[str, _Rank] = {}
        try:
            async for person in self.everybody():
                rank = _rank(person)
                keys = {person.address, *person.aliases}
                others = {key for key in keys if key in ranks and ranks[key] < rank}
                ranks |= dict.fromkeys(keys - others, rank)
                self._cache.remember((person,), besides=others)
                count += 1
        except DirectoryDownError:
            return  # the servers' failures are logged; look-ups go on by themselves
        events.directory_loaded(self.source, people=count, took_s=time.monotonic() - began)

    async def _fetch(self, keys: Collection[str]) -> Mapping[str, Person]:
        entries: list[Entry] = []
        # Strangers write keys, too: what is no address is nobody's, and must not spoil the query for the others.
        keys = [key for key in keys if is_key(key)]
        for base in await self._found_bases() if keys else ():
            search = replace(self._search(base, self._reader.by_addresses(keys)), page_size=0)
            entries += await self._servers.search(search)
        found: dict[str, Person] = {}
        for person in sorted(await self._people_of(entries), key=_rank):
            for key in (person.address, *person.aliases):
                found.setdefault(key, person)
        return found

    async def _found_bases(self) -> tuple[str, ...]:
        if not self._bases:
            root = Search("", Scope.BASE, Present("objectClass"), ("defaultNamingContext",))
            entries = await self._servers.search(root)
            values = entries[0].attributes.get("defaultnamingcontext", []) if entries else []
            if not values:
                raise LdapError("the server names no domain; write bases")
            self._bases = (values[0].decode("utf-8", "replace"),)
        return self._bases

    def _search(self, base: str, wanted: Filter) -> Search:
        return Search(base, Scope.SUBTREE, wanted, self._reader.attributes, self.settings.page_size)

    async def _people_of(self, entries: Sequence[Entry]) -> list[Person]:
        found: list[FoundEntry] = []
        for entry in entries:
            if (read := self._reader.read(entry)) is not None:
                found.append(read)
                self._managers.remember(entry.dn, read.person.address)
        managers = await self._managers.get({each.manager_dn for each in found if each.manager_dn})
        return [await self._completed(each, managers.get(each.manager_dn, "")) for each in found]

    async def _completed(self, found: FoundEntry, manager: str) -> Person:
        sid = found.primary_group_sid
        groups = await self._groups.all_of([*found.group_dns, *((f"<SID={sid}>",) if sid else ())])
        person = found.person
        if person.group_name:
            groups -= {person.group_name}
        return replace(person, groups=groups, manager=manager or None)

    def _address(self, _: str, entry: Entry | None) -> str:
        return self._reader.address(entry) if entry is not None else ""


def _rank(person: Person) -> _Rank:
    """Whose an address is that two have: who is active before who is disabled, people before contacts and groups."""
    return person.disabled, bool(person.group_name), person.is_contact, person.address


def endpoints_of(settings: schema.LdapDirectory) -> tuple[Endpoint, ...]:
    """The servers, in their order."""
    tls = settings.tls
    context = None
    if tls.mode != "none":
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    return tuple(
        Endpoint(
            server.host,
            server.port or (636 if tls.mode == "ldaps" else 389),
            tls.mode,
            context,
            tls.verify_name or server.host,
            settings.connect_timeout.total_seconds(),
            settings.answer_timeout.total_seconds(),
        )
        for server in settings.servers
    )
