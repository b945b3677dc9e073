"""What Active Directory's entries mean."""

from __future__ import annotations

from typing import Any

import pytest

from mta.adapters.directory.ldap.entries import VALUE_MAX, EntryReader, is_key
from mta.adapters.directory.ldap.names import name_parts, sid_text, unit_of
from mta.adapters.directory.ldap.protocol import Entry
from mta.adapters.directory.photos import PHOTO_OCTETS_MAX
from mta.config.directory_schema import LdapDirectory
from mta.model.person import Person

JPEG = b"\xff\xd8\xff\xe0" + bytes(100)


def reader(**changes: Any) -> EntryReader:
    return EntryReader(LdapDirectory.model_validate({"kind": "ldap", "servers": [{"host": "dc"}], **changes}))


def entry(**attributes: Any) -> Entry:
    lists = {name: value if isinstance(value, list) else [value] for name, value in attributes.items()}
    encoded = {
        name.lower(): [each if isinstance(each, bytes) else str(each).encode() for each in values]
        for name, values in lists.items()
    }
    return Entry("CN=Jane,OU=Sales,DC=corp,DC=example", {"objectclass": [b"top", b"user"], **encoded})


def read(found: Entry, **changes: Any) -> Person:
    result = reader(**changes).read(found)
    assert result is not None
    return result.person


def test_the_primary_address_is_the_one_in_capitals() -> None:
    jane = read(
        entry(proxyAddresses=["smtp:j@Example.com", "SMTP:Jane@Example.com", "sip:x@y.example"], mail="m@example.com")
    )
    assert jane.address == "jane@example.com"
    assert jane.aliases == {"j@example.com", "m@example.com"}


def test_without_proxy_addresses_there_is_mail() -> None:
    assert read(entry(mail="Jane@Example.com")).address == "jane@example.com"


def test_what_has_no_address_is_no_entry() -> None:
    assert reader().read(entry(displayName="Printer", proxyAddresses="X400:c=DE", mail="not an address")) is None
    assert reader().read(entry(userPrincipalName="jane@corp.example")) is None
    assert read(entry(userPrincipalName="jane@corp.example"), user_principal_name=True).address == "jane@corp.example"


def test_a_contacts_address_is_where_its_mail_goes() -> None:
    contact = entry(objectClass=["top", "contact"], mail="buyer@example.com", targetAddress="SMTP:b@customer.example")
    found = read(contact)
    assert found.is_contact
    assert found.address == "b@customer.example"
    assert found.aliases == {"buyer@example.com"}


def test_a_mailbox_in_the_cloud_is_no_contact() -> None:
    found = read(entry(mail="jane@example.com", targetAddress="SMTP:jane@tenant.mail.onmicrosoft.com"))
    assert not found.is_contact
    assert found.address == "jane@example.com"
    assert found.aliases == {"jane@tenant.mail.onmicrosoft.com"}


@pytest.mark.parametrize(
    ("control", "disabled"), [("512", False), ("514", True), ("66050", True), ("", False), ("x", False)]
)
def test_disabled_accounts(control: str, disabled: bool) -> None:
    assert read(entry(mail="a@example.com", userAccountControl=control)).disabled is disabled


def test_several_values_stand_beside_each_other_and_binary_ones_nowhere() -> None:
    jane = read(entry(mail="a@example.com", otherTelephone=["1", "2"], info=b"\xff\xfe", comment="x" * 9000))
    assert jane.attributes["otherTelephone"] == "1, 2"
    assert "info" not in jane.attributes
    assert len(jane.attributes["comment"]) == VALUE_MAX


def test_attributes_have_the_names_that_templates_use_whatever_the_server_writes() -> None:
    found = Entry("CN=x", {"mail": [b"a@example.com"], "telephonenumber": [b"1"], "extensionattribute3": [b"z"]})
    jane = read(found, attributes={"room": "ExtensionAttribute3"})
    assert jane.attributes == {"mail": "a@example.com", "telephoneNumber": "1", "extensionAttribute3": "z", "room": "z"}


@pytest.mark.parametrize(
    ("photo", "taken"),
    [(JPEG, True), (b"\x89PNG\r\n\x1a\n", True), (b"GIF89a", False), (b"<svg>", False), (b"", False),
     (JPEG + bytes(PHOTO_OCTETS_MAX), False)],
)  # fmt: skip
def test_photos(photo: bytes, taken: bool) -> None:
    assert read(entry(mail="a@example.com", thumbnailPhoto=photo)).photo == (photo if taken else b"")
    assert read(entry(mail="a@example.com", thumbnailPhoto=photo), photo="none").photo == b""
    assert read(entry(mail="a@example.com", jpegPhoto=photo), photo="jpegPhoto").photo == (photo if taken else b"")


def test_the_primary_group_is_found_by_its_number() -> None:
    sid = bytes.fromhex("010500000000000515000000") + (1).to_bytes(4, "little") * 3 + (1105).to_bytes(4, "little")
    found = reader().read(entry(mail="a@example.com", objectSid=sid, primaryGroupID="513", memberOf=["CN=A", "CN=B"]))
    assert found is not None
    assert found.primary_group_sid == "S-1-5-21-1-1-1-513"
    assert found.group_dns == ("CN=A", "CN=B")
    assert sid_text(b"") == ""
    assert sid_text(b"\x01\x05" + bytes(6)) == ""


@pytest.mark.parametrize(
    ("dn", "unit"),
    [
        ("CN=Jane,OU=Sales,OU=Berlin,DC=Corp,DC=Example", "corp.example/berlin/sales"),
        ("CN=Jane,CN=Users,DC=corp,DC=example", "corp.example/users"),
        (r"CN=Doe\, Jane,OU=A\, B,DC=corp", "corp/a, b"),
        (r"CN=x,OU=R\2fD\C3\BC,DC=corp", "corp/r\\/dü"),
        (r"CN=x,OU=\#1\+2\ ,DC=corp", "corp/#1+2"),
        ("CN=x", ""),
        ("", ""),
        ("nonsense", ""),
        ("CN=x\\", ""),
    ],
)
def test_units(dn: str, unit: str) -> None:
    assert unit_of(dn) == unit


def test_parts_of_names() -> None:
    assert name_parts(r"CN=Roe\, John,OU=Sales") == (("cn", "Roe, John"), ("ou", "Sales"))


@pytest.mark.parametrize("text", ["jane@example.com", "*@example.com", "jöhn@xn--bcher-kva.example"])
def test_what_can_be_a_key(text: str) -> None:
    assert is_key(text)


@pytest.mark.parametrize("text", ["Jane@example.com", "jane", "", "a@b@c", "jane@bücher.example", "\ud800@example.com"])
def test_what_can_be_no_key(text: str) -> None:
    assert not is_key(text)
