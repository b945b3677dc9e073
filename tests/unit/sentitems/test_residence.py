"""On which server of a hybrid organisation a mailbox is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.config.mailbox_schema import MaildirMailboxes, Serves
from mta.model.person import Person, UnansweredPerson
from mta.ports.directory import DirectoryDownError
from mta.sentitems.residence import Residence


def server(name: str, **serves: tuple[str, ...]) -> MaildirMailboxes:
    return MaildirMailboxes(name=name, kind="maildir", folder=Path("/mail/{local}"), serves=Serves(**serves))


HYBRID = Residence(
    [
        server("exchange"),
        server("online", target_domains=("Tenant.mail.onmicrosoft.com",)),
        server("stores", groups=("Warehouse",), addresses=("*@stores.example.com",)),
    ]
)


def person(**attributes: str) -> Person:
    return Person("jane@example.com", attributes=attributes)


def test_a_target_address_in_the_tenant_says_that_a_mailbox_is_in_the_cloud() -> None:
    there = person(targetAddress="SMTP:jane@tenant.mail.onmicrosoft.com")
    assert HYBRID.candidates("jane@example.com", there) == ("online", "exchange", "stores")
    elsewhere = person(TargetAddress="smtp:jane@other.example")
    assert HYBRID.candidates("jane@example.com", elsewhere)[0] == "exchange"


def test_the_rest_is_on_the_server_that_serves_nobody_in_particular() -> None:
    assert HYBRID.candidates("jane@example.com", person()) == ("exchange", "online", "stores")
    assert HYBRID.candidates("info@example.com", None)[0] == "exchange"


@pytest.mark.parametrize(
    ("mailbox", "found"),
    [("till1@stores.example.com", None), ("x@example.com", Person("x@example.com", groups=frozenset({"warehouse"})))],
)
def test_groups_and_addresses_say_where_a_mailbox_is(mailbox: str, found: Person | None) -> None:
    assert HYBRID.candidates(mailbox, found)[0] == "stores"


def test_where_it_was_found_lately_comes_first_unless_that_server_is_gone() -> None:
    assert HYBRID.candidates("jane@example.com", person(), "stores") == ("stores", "exchange", "online")
    assert HYBRID.candidates("jane@example.com", person(), "former")[0] == "exchange"


def test_one_server_needs_no_directory_and_several_wait_for_it_where_it_has_to_say() -> None:
    unanswered = UnansweredPerson("jane@example.com", DirectoryDownError())
    assert Residence([server("only", groups=("Sales",))]).candidates("jane@example.com", unanswered) == ("only",)
    assert HYBRID.candidates("jane@example.com", unanswered, "online")[0] == "online"
    with pytest.raises(DirectoryDownError):
        HYBRID.candidates("jane@example.com", unanswered)
