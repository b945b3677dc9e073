"""Whose Sent Items are written to."""

from __future__ import annotations

from mta.config.sentitems_schema import Scope, Senders
from mta.config.some_people import SomePeople
from mta.model.person import Person
from mta.sentitems import reasons


class SenderScope:
    """The senders of one organisation who take part."""

    def __init__(self, scope: Scope) -> None:
        self._only = None if scope.only is None else _people(scope.only)
        self._all_but = None if scope.all_but is None else _people(scope.all_but)

    def reason_to_skip(self, mailbox: str, person: Person | None) -> str:
        """Why nothing is to be done for this mailbox, "" where it takes part; who is unknown may have a mailbox.

        A disabled account is no reason: those of shared mailboxes are. Raises DirectoryDownError as `SomePeople.holds`.
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


def _people(senders: Senders) -> SomePeople:
    return SomePeople(senders.addresses, senders.groups)
