"""The same people and groups in every kind of directory, for the contract's tests."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

from mta.adapters.directory import open_directory
from mta.adapters.directory.ldap.directory import LdapDirectory
from mta.config import directory_schema as schema
from mta.ports.directory import Directory
from tests.servers.samba import ACCOUNT, ACCOUNT_PASSWORD, BASE, Samba

PHOTO = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
BUILT_IN = frozenset(("users", "domain users"))
"""Groups that Active Directory puts everybody in."""

_YAML = """
people:
  - address: Jane.Doe@Example.com
    aliases: [jane@example.com]
    manager: boss@example.com
    unit: Corp.Example/Staff/Sales Team
    photo: photos/jane.png
    attributes: {displayName: Jane Döe, department: Sales, postalCode: 01234}
  - address: boss@example.com
    manager: chief@example.com
    unit: corp.example/staff
    attributes: {displayName: Boss}
  - address: chief@example.com
    unit: corp.example/staff
    attributes: {displayName: Chief}
  - {address: gone@example.com, disabled: true, unit: corp.example/staff}
contacts:
  - address: buyer@customer.example
    unit: corp.example/staff
    attributes: {displayName: Buyer}
groups:
  - {name: Sales, address: sales@example.com, aliases: [verkauf@example.com], members: [jane@example.com],
     groups: [Ring]}
  - {name: Company, groups: [Sales]}
  - {name: Ring, members: [boss@example.com], groups: [Company]}
  - {name: Customers, members: [buyer@customer.example]}
"""

_CSV = """\
Address;aliases;manager;disabled;contact;unit;photo;Name;department;postalCode;groups
Jane.Doe@Example.com;jane@example.com;boss@example.com;;;Corp.Example/Staff/Sales Team;photos/jane.png;\
Jane Döe;Sales;01234;Sales
boss@example.com;;chief@example.com;;no;corp.example/staff;;Boss;;;Ring
chief@example.com;;;;;corp.example/staff;;Chief;;;""

gone@example.com;;;yes;;corp.example/staff;;;;;
buyer@customer.example;;;;x;corp.example/staff;;Buyer;;;Customers
"""
_CSV_GROUPS = """\
name,address,aliases,groups
Sales,sales@example.com,verkauf@example.com,Ring
Company,,,Sales
Ring,,,"Company"
"""

LDIF = f"""\
dn: OU=Sales Team,OU=Staff,{BASE}
objectClass: organizationalUnit

dn: CN=Chief,OU=Staff,{BASE}
objectClass: user
sAMAccountName: chief
displayName: Chief
mail: chief@example.com
userAccountControl: 544

dn: CN=Boss,OU=Staff,{BASE}
objectClass: user
sAMAccountName: boss
displayName: Boss
mail: boss@example.com
manager: CN=Chief,OU=Staff,{BASE}
userAccountControl: 544

dn: CN=Doe\\, Jane,OU=Sales Team,OU=Staff,{BASE}
objectClass: user
sAMAccountName: jane
displayName: Jane Döe
department: Sales
postalCode: 01234
mail: jane.doe@example.com
proxyAddresses: SMTP:Jane.Doe@Example.com
proxyAddresses: smtp:jane@example.com
proxyAddresses: X400:C=DE;S=Doe
thumbnailPhoto:: {b64encode(PHOTO).decode()}
manager: CN=Boss,OU=Staff,{BASE}
userAccountControl: 544

dn: CN=Gone,OU=Staff,{BASE}
objectClass: user
sAMAccountName: gone
mail: gone@example.com
userAccountControl: 546

dn: CN=Buyer,OU=Staff,{BASE}
objectClass: contact
displayName: Buyer
mail: buyer@customer.example
proxyAddresses: SMTP:buyer@customer.example

dn: CN=Printer,OU=Staff,{BASE}
objectClass: computer
sAMAccountName: printer$
mail: printer@example.com
userAccountControl: 4096

dn: CN=Sales,OU=Staff,{BASE}
objectClass: group
sAMAccountName: Sales
mail: sales@example.com
proxyAddresses: SMTP:sales@example.com
proxyAddresses: smtp:verkauf@example.com
member: CN=Doe\\, Jane,OU=Sales Team,OU=Staff,{BASE}

dn: CN=Company,OU=Staff,{BASE}
objectClass: group
sAMAccountName: Company
member: CN=Sales,OU=Staff,{BASE}

dn: CN=Ring,OU=Staff,{BASE}
objectClass: group
sAMAccountName: Ring
member: CN=Boss,OU=Staff,{BASE}
member: CN=Company,OU=Staff,{BASE}

dn: CN=Customers,OU=Staff,{BASE}
objectClass: group
sAMAccountName: Customers
member: CN=Buyer,OU=Staff,{BASE}

dn: CN=Sales,OU=Staff,{BASE}
changetype: modify
add: member
member: CN=Ring,OU=Staff,{BASE}
"""


def yaml_directory(folder: Path) -> Directory:
    _photo(folder)
    path = folder / "people.yaml"
    path.write_text(_YAML, encoding="utf-8")
    return open_directory(schema.YamlDirectory(file=path))


def csv_directory(folder: Path) -> Directory:
    _photo(folder)
    people, groups = folder / "people.csv", folder / "groups.csv"
    people.write_text(_CSV, encoding="utf-8-sig", newline="\r\n")
    groups.write_text(_CSV_GROUPS, encoding="utf-8")
    columns = {"Name": "displayName"}
    return open_directory(schema.CsvDirectory(kind="csv", file=people, groups_file=groups, columns=columns))


def _photo(folder: Path) -> None:
    (folder / "photos").mkdir()
    (folder / "photos" / "jane.png").write_bytes(PHOTO)


def ldap_settings(samba: Samba, **changes: Any) -> schema.LdapDirectory:
    """What asks that server, with keys replaced or added; the password is in a file beside it."""
    password = samba.folder / "password"
    if not password.exists():
        password.write_text(ACCOUNT_PASSWORD + "\n")
    settings = {
        "kind": "ldap",
        "servers": [{"host": samba.address}],
        "tls": {"mode": "ldaps", "ca_file": samba.ca_file},
        "bind_dn": ACCOUNT,
        "password": {"file": password},
        **changes,
    }
    return schema.LdapDirectory.model_validate(settings)


def ldap_directory(samba: Samba, **changes: Any) -> LdapDirectory:
    directory = open_directory(ldap_settings(samba, **changes))
    assert isinstance(directory, LdapDirectory)
    return directory
