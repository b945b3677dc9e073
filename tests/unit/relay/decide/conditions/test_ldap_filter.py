"""LDAP filters over directory entries."""

from __future__ import annotations

import pytest

from mta.model.person import Person
from mta.relay.decide.conditions.ldap_filter import DEPTH_MAX, FILTER_MAX, ITEMS_MAX, FilterError, compile_filter

JANE = Person(
    "jane@example.com",
    frozenset({"j.doe@example.com"}),
    {
        "displayName": "Jane  Doe", "department": "Sales", "title": "Head of (all) Sales*", "employeeNumber": "107",
        "extensionAttribute1": "12", "company": "Müller \\ Söhne", "mobile": "",
    },
    frozenset({"sales", "everyone", "r&d, berlin"}),
    "boss@example.com",
    unit="corp.example/berlin/sales",
)  # fmt: skip
GONE = Person("gone@example.com", disabled=True)
GROUP = Person("sales@example.com", group_name="sales")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(department=sales)", True),
        ("(DEPARTMENT=SALES)", True),
        ("(department= sales )", True),
        ("(department=Sale)", False),
        ("(displayname=jane doe)", True),
        ("(department~=sales)", True),
        ("(department:=sales)", True),
        ("(department=*)", True),
        ("(mobile=*)", False),
        ("(mobile=)", False),
        ("(pager=*)", False),
        ("(!(pager=*))", True),
        ("(!(pager=1))", True),
        ("(department=S*s)", True),
        ("(department=*al*)", True),
        ("(department=s*l*e*s)", True),
        ("(department=sa*als)", False),
        ("(department=sales*sales)", False),
        (r"(title=head of \28all\29 sales\2a)", True),
        (r"(title=*\2a)", True),
        (r"(title=*\2A*x)", False),
        (r"(company=M\c3\bcller \5c S*)", True),
        ("(company=müller*)", True),
        ("(&(department=sales)(employeeNumber>=100))", True),
        ("(employeeNumber>=20)", True),
        ("(employeeNumber<=20)", False),
        ("(displayName>=100)", False),
        ("(department>=r)", True),
        ("(department<=r)", False),
        ("( & (department=sales) (| ( title=x) (title=head*) ) )", True),
        ("(& (department=sales) (| (title=x) (title=head*) ) )", True),
        ("(&(department=sales)(!(title=head*)))", False),
        ("(! (department=support) )", True),
        ("(extensionAttribute1:1.2.840.113556.1.4.803:=12)", True),
        ("(extensionAttribute1:1.2.840.113556.1.4.803:=6)", False),
        ("(extensionAttribute1:1.2.840.113556.1.4.804:=6)", True),
        ("(extensionAttribute1:1.2.840.113556.1.4.804:=3)", False),
        ("(department:1.2.840.113556.1.4.804:=1)", False),
        ("(memberOf=Sales)", True),
        ("(memberOf=CN=Sales,OU=Groups,DC=corp,DC=example)", True),
        ("(memberOf:1.2.840.113556.1.4.1941:=cn=everyone,dc=x)", True),
        (r"(memberOf=CN=R&D\5c, Berlin,OU=Groups)", True),
        ("(memberOf=CN=Support,OU=Sales)", False),
        ("(memberOf=*)", True),
        ("(memberOf=sal*)", True),
        ("(mail=jane@example.com)", True),
        ("(proxyAddresses=smtp:J.Doe@example.com)", True),
        ("(proxyAddresses=SMTP:*@example.com)", True),
        ("(ou=berlin)", True),
        ("(ou=corp.example)", False),
        ("(manager=boss@example.com)", True),
        ("(objectClass=user)", True),
        ("(objectCategory=group)", False),
        ("(!(userAccountControl:1.2.840.113556.1.4.803:=2))", True),
    ],
)
def test_filter(text: str, expected: bool) -> None:
    assert compile_filter(text)(JANE) is expected


def test_what_the_entry_knows_by_itself() -> None:
    assert compile_filter("(userAccountControl:1.2.840.113556.1.4.803:=2)")(GONE)
    assert compile_filter("(objectClass=group)")(GROUP)
    assert not compile_filter("(memberOf=*)")(GROUP)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "a filter begins with ( at character 1"),
        ("department=sales", "a filter begins with ( at character 1"),
        ("(department=sales", "a ) is missing at character 18"),
        ("(department=sales))", "there is more behind the filter's end at character 19"),
        ("(a=1)(b=2)", "there is more behind the filter's end at character 6"),
        ("(&)", "nothing stands under & or | at character 3"),
        ("(!)", "a filter begins with ( at character 3"),
        ("(department)", "no comparison at character 2"),
        ("(=x)", "no comparison at character 2"),
        ("(1a=x)", "no comparison at character 2"),
        ("(a=b(c)", "a ( in a value at character 5"),
        (r"(a=b\zz)", r"a \ that is no escape at character 4"),
        (r"(a=\ff)", "escaped octets that are no UTF-8 at character 4"),
        ("(ou:dn:=x)", "this kind of comparison is not known here at character 2"),
        ("(a:1.2.3:=x)", "matching rule 1.2.3 is not known here at character 11"),
        ("(a:1.2.840.113556.1.4.803:=two)", "a bit rule takes a whole number at character 28"),
        ("(!" * (DEPTH_MAX + 1) + "(a=b)" + ")" * (DEPTH_MAX + 1), "nested deeper than 20 levels at character 41"),
        ("(|" + "(a=b)" * (ITEMS_MAX + 1) + ")", "more than 200 comparisons at character 1004"),
        ("(a=" + "x" * FILTER_MAX + ")", "the filter is longer than 4000 characters at character 4001"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, what: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    assert str(caught.value) == what
    assert caught.value.mend


def test_many_wildcards() -> None:
    test = compile_filter("(title=" + "*a" * 1000 + "*b)")
    person = Person("x@example.com", attributes={"title": "a" * 20_000})
    assert not test(person)
