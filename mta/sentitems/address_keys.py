"""Comparing the addresses of items, which needn't be SMTP addresses: Exchange has names of its own for its people."""

from __future__ import annotations

from collections.abc import Iterable

from mta.model.address import AddressError, parse_address
from mta.model.mailbox_item import Participant


def key_of(address: str) -> str:
    """The same for all ways to write an address."""
    try:
        return parse_address(address).key
    except AddressError:
        return address.casefold()


def keys_of(people: Iterable[Participant]) -> set[str]:
    return {key_of(person.address) for person in people}
