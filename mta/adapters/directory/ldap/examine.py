"""Asks every server of a directory once, for `stampline check`: what the relay itself would find out too late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mta.adapters.directory.ldap.connection import Endpoint, LdapConnection, LdapCredentialsError, LdapError
from mta.adapters.directory.ldap.directory import LdapDirectory
from mta.adapters.directory.ldap.protocol import Scope, Search
from mta.model.ldap_filter import Present

LISTING_S = 60.0


@dataclass(frozen=True, slots=True)
class Examination:
    """What is wrong, in words, and the names of all groups, lower case (None where they can't be listed)."""

    troubles: tuple[str, ...]
    groups: frozenset[str] | None


async def examine(directory: LdapDirectory) -> Examination:
    """Bind to each server, look for the bases, list the groups. Bounded; raises nothing."""
    try:
        credentials = directory.credentials()
    except (OSError, KeyError) as exc:
        return Examination((f"the password can't be read: {exc}",), None)
    troubles: list[str] = []
    for endpoint in directory.endpoints:
        try:
            troubles += await _of_server(endpoint, credentials, directory.settings.bases)
        except LdapCredentialsError as exc:
            # Another server would count it as another failure, and lock the account sooner.
            return Examination((*troubles, f"{endpoint}: {exc}"), None)
        except LdapError as exc:
            troubles.append(f"{endpoint}: {exc}")
    if len(troubles) >= len(directory.endpoints):
        return Examination(tuple(troubles), None)
    try:
        async with asyncio.timeout(LISTING_S):
            groups = await directory.all_group_names()
    except (LdapError, TimeoutError) as exc:
        return Examination((*troubles, f"groups can't be listed: {exc}"), None)
    finally:
        await directory.close()
    return Examination(tuple(troubles), groups)


async def _of_server(endpoint: Endpoint, credentials: tuple[str, bytes], bases: Sequence[str]) -> list[str]:
    connection = await LdapConnection.open(endpoint, *credentials)
    try:
        found = [await connection.search(Search(base, Scope.BASE, Present("objectClass"), ("cn",))) for base in bases]
        return list(_missing(endpoint, bases, found))
    finally:
        await connection.close()


def _missing(endpoint: Endpoint, bases: Sequence[str], found: Sequence[Sequence[object]]) -> Iterator[str]:
    for base, entries in zip(bases, found, strict=True):
        if not entries:
            yield f"{endpoint}: there is no {base}, or the account may not read it"
