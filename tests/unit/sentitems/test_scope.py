"""Whose Sent Items are written to."""

from __future__ import annotations

import pytest

from mta.config.sentitems_schema import Scope
from mta.model.person import Person, UnansweredPerson
from mta.ports.directory import DirectoryDownError
from mta.sentitems import reasons
from mta.sentitems.scope import SenderScope

JANE = Person("jane@example.com", frozenset({"j.doe@example.org"}), groups=frozenset({"sales", "everyone"}))


def reason(scope: object, mailbox: str = "jane@example.com", person: Person | None = JANE) -> str:
    return SenderScope(Scope.model_validate(scope)).reason_to_skip(mailbox, person)


@pytest.mark.parametrize(
    ("scope", "is_in"),
    [
        ({}, True),
        ({"only": {"addresses": ["jane@example.com"]}}, True),
        ({"only": {"addresses": ["JANE@example.com"]}}, True),
        ({"only": {"addresses": ["*@example.org"]}}, True),  # an alias
        ({"only": {"addresses": ["john@example.com"]}}, False),
        ({"only": {"addresses": ["j*@example.net"]}}, False),
        ({"only": {"groups": ["Sales"]}}, True),
        ({"only": {"groups": ["Legal"]}}, False),
        ({"only": {"groups": ["Legal"], "addresses": ["*"]}}, True),
        ({"all_but": {"groups": ["SALES"]}}, False),
        ({"all_but": {"groups": ["Legal"], "addresses": ["printer@*"]}}, True),
    ],
)
def test_scope(scope: object, is_in: bool) -> None:
    assert reason(scope) == ("" if is_in else reasons.OUT_OF_SCOPE)


def test_who_is_unknown_to_the_directory_may_have_a_mailbox_but_is_in_no_group() -> None:
    assert reason({}, "printer@example.com", None) == ""
    assert reason({"only": {"groups": ["Sales"]}}, "printer@example.com", None) == reasons.OUT_OF_SCOPE
    assert reason({"all_but": {"addresses": ["printer@*"]}}, "printer@example.com", None) == reasons.OUT_OF_SCOPE


def test_groups_and_contacts_have_no_mailbox_and_disabled_accounts_may_be_shared_ones() -> None:
    group = Person("sales@example.com", group_name="sales")
    contact = Person("bob@example.net", is_contact=True)
    assert reason({}, group.address, group) == reasons.GROUP
    assert reason({}, contact.address, contact) == reasons.NO_MAILBOX
    assert reason({}, "info@example.com", Person("info@example.com", disabled=True)) == ""


def test_while_the_directory_is_down_only_what_needs_groups_waits() -> None:
    unanswered = UnansweredPerson("jane@example.com", DirectoryDownError())
    assert reason({}, person=unanswered) == ""
    assert reason({"only": {"addresses": ["jane@example.com"], "groups": ["Sales"]}}, person=unanswered) == ""
    with pytest.raises(DirectoryDownError):
        reason({"only": {"groups": ["Sales"]}}, person=unanswered)
