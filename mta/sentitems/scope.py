"""Whose Sent Items are written to."""

from __future__ import annotations

from collections.abc import Iterable

from mta.config.sentitems_schema import Scope, Senders
from mta.message.wildcards import Glob
from mta.model.person import Person
from mta.sentitems import reasons


class People:
    """Some people of an organisation: by addresses, in which `*` stands for anything, and by groups."""

    def __init__(self, addresses: Iterable[str], groups: Iterable[str]) -> None:
        written = tuple(addresses)
        self._addresses = Glob(written) if written else None
        self._groups = frozenset(group.lower() for group in groups)

    def __bool__(self) -> bool:
        return self._addresses is not None or bool(self._groups)

    def holds(self, mailbox: str, person: Person | None) -> bool:
        """Whether it is one of them; by all addresses of the person, and all groups, nested ones included.

        Raises DirectoryDownError where groups count, and nobody can say which the person is in.
        """
        keys = {mailbox} if person is None else {mailbox, person.address, *person.aliases}
        if self._addresses is not None and any(map(self._addresses.search, keys)):
            return True
        return bool(self._groups) and person is not None and not self._groups.isdisjoint(person.groups)


class SenderScope:
    """The senders of one organisation who take part."""

    def __init__(self, scope: Scope) -> None:
        self._only = None if scope.only is None else _people(scope.only)
        self._all_but = None if scope.all_but is None else _people(scope.all_but)

    def reason_to_skip(self, mailbox: str, person: Person | None) -> str:
        """Why nothing is to be done for this mailbox, "" where it takes part; who is unknown may have a mailbox.

        A disabled account is no reason: those of shared mailboxes are. Raises DirectoryDownError as `People.holds`.
        """
        if person is not None and person.group_name:
            return reasons.GROUP
        if person is not None and person.is_contact:
            return reasons.NO_MAILBOX
        if self._only is not None and not self._only.holds(mailbox, person):
            return reasons.OUT_OF_SCOPE
        if self._all_but is not None and self._all_but.holds(mailbox, person):
            return reasons.OUT_OF_SCOPE
        return ""


def _people(senders: Senders) -> People:
    return People(senders.addresses, senders.groups)
