"""On which of several mailbox servers a mailbox is: a hybrid organisation has some here and some in the cloud."""

from __future__ import annotations

from collections.abc import Sequence

from mta.config.mailbox_schema import MailboxServer
from mta.config.some_people import SomePeople
from mta.model.address import domain_key
from mta.model.person import Person

TARGET_ADDRESS = "targetaddress"
"""In lower case: the directory's attribute that says where Exchange sends a mailbox's mail."""


class Residence:
    """The servers of one organisation."""

    def __init__(self, servers: Sequence[MailboxServer]) -> None:
        self._names = tuple(server.name for server in servers)
        self._served = tuple(_Served(server) for server in servers)

    def candidates(self, mailbox: str, person: Person | None, remembered: str = "") -> tuple[str, ...]:
        """Names of all servers, the likeliest first: the remembered one, then what the configuration says, then others.

        Where several fit, the file's order counts. Raises DirectoryDownError where the directory would have to say.
        """
        if len(self._names) == 1:
            return self._names
        if remembered in self._names:
            return (remembered, *(name for name in self._names if name != remembered))
        fitting = [each.name for each in self._served if each.is_particular and each.holds(mailbox, person)]
        general = [each.name for each in self._served if not each.is_particular]
        return tuple(dict.fromkeys((*fitting, *general, *self._names)))


class _Served:
    """Which mailboxes are on one server, as `serves` says."""

    def __init__(self, server: MailboxServer) -> None:
        serves = server.serves
        self.name = server.name
        self._domains = frozenset(domain_key(domain) for domain in serves.target_domains)
        self._people = SomePeople(serves.addresses, serves.groups)
        self.is_particular = bool(self._domains or self._people)
        """It serves some; one that isn't has all that no other has."""

    def holds(self, mailbox: str, person: Person | None) -> bool:
        if self._people.holds(mailbox, person):
            return True
        return bool(self._domains) and person is not None and _target_domain(person) in self._domains


def _target_domain(person: Person) -> str:
    """Of `SMTP:jane@tenant.mail.onmicrosoft.com`; "" where there is none."""
    for name, value in person.attributes.items():
        if name.lower() == TARGET_ADDRESS:
            return domain_key(value.rpartition("@")[2].strip())
    return ""
