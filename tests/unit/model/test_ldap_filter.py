"""LDAP filters as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.model.ldap_filter import And, Compare, Extensible, FilterError, Not, Or, Present, Substrings, parse_filter


def test_a_filter_is_read_as_it_is_meant() -> None:
    found = parse_filter(" (&(objectClass=person)(|(title=*chief*)(l=Ber*n))(!(userAccountControl:1.2.3:=2))(cn=*)) ")
    assert found == And((
        Compare("objectClass", "=", b"person"),
        Or((Substrings("title", b"", (b"chief",), b""), Substrings("l", b"Ber", (), b"n"))),
        Not(Extensible("userAccountControl", "1.2.3", b"2", False)),
        Present("cn"),
    ))  # fmt: skip


def test_escapes_are_octets() -> None:
    assert parse_filter(r"(cn=\2a\28\c3\bc)") == Compare("cn", "=", "*(ü".encode())
    assert parse_filter(r"(cn=a\2ab*)") == Substrings("cn", b"a*b", (), b"")


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("", "'(' is missing at character 1"),
        ("cn=a", "'(' is missing at character 1"),
        ("(cn=a", "')' is missing at character 6"),
        ("(cn=a))", "something follows the filter at character 7"),
        ("(cn=a)(cn=b)", "something follows"),
        ("(&)", "nothing to combine"),
        ("(cn)", "'=' is missing"),
        ("(=a)", "'' is no name of an attribute"),
        ("(c n=a)", "'c n' is no name of an attribute"),
        (r"(cn=\zz)", "two hexadecimal digits"),
        ("(cn=a(b)", "must be written \\28"),
        ("(cn=a\0)", "must be written \\00"),
        ("(:=a)", "no matching rule"),
        ("(!" * 30 + "(a=b)" + ")" * 30, "nested deeper than 20"),
        ("(a=" + "x" * 5000 + ")", "too long"),
    ],
)
def test_what_is_no_filter(written: str, what: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(written)
    assert what in str(caught.value)


@given(st.text("()&|!=*:<>~\\\0a1.", max_size=30))
def test_anything_is_read_or_refused(written: str) -> None:
    try:
        parse_filter(written)
    except FilterError:
        return
    assert written.strip().startswith("(")
