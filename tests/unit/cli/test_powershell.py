"""Values in PowerShell scripts, by a small reader of our own: PowerShell itself isn't here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.cli.powershell import UnquotableError, address_filter, comment, listed, quoted
from tests.unit.cli.powershell_reader import tokens, value_of

PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


@settings(deadline=None, max_examples=200)
@given(PRINTABLE)
def test_a_quoted_text_is_itself_and_ascii(text: str) -> None:
    written = quoted(text)
    assert written.isascii()
    assert value_of(written) == text


@pytest.mark.parametrize(
    "text",
    [
        "O'Brien",
        "'; Remove-Mailbox *; '",
        "’; Remove-Mailbox *; ’",
        "‘a‚b‛c",
        "$(Remove-Mailbox)",
        "`n",
        "Ñ and 𝔘",
        "",
        "“quoted”",
    ],
)
@pytest.mark.parametrize("read_as", ["utf-8", "cp1252", "cp437", "cp850"])
def test_no_text_is_code_whatever_the_file_is_read_as(text: str, read_as: str) -> None:
    script = f"Get-Group -Identity {quoted(text)}\n".encode().decode(read_as)
    kinds = [kind for kind, _ in tokens(script)]
    assert kinds[:2] == ["word", "word"]
    assert value_of(script.removeprefix("Get-Group -Identity ").rstrip()) == text


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "a\x1bb", "a\x85b"])
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(UnquotableError, match="control character"):
        quoted(text)


def test_lists() -> None:
    assert listed(("Sales", "R&D's")) == "@('Sales', 'R&D''s')"
    assert listed(()) == "@()"


def test_a_comment_stays_one() -> None:
    assert comment("a\nRemove-Mailbox ’") == "a?Remove-Mailbox ?"


@pytest.mark.parametrize(
    ("pattern", "is_cloud", "wanted"),
    [
        ("ann@example.com", True, "EmailAddresses -eq 'smtp:ann@example.com'"),
        ("o'brien@example.com", False, "EmailAddresses -eq 'smtp:o''brien@example.com'"),
        ("*@sales.example.com", False, "EmailAddresses -like '*@sales.example.com'"),
        ("sales-*", True, "EmailAddresses -like 'smtp:sales-*'"),
    ],
)
def test_filters_of_addresses(pattern: str, is_cloud: bool, wanted: str) -> None:
    assert address_filter(pattern, is_cloud=is_cloud) == wanted


@pytest.mark.parametrize(
    ("pattern", "is_cloud", "why"),
    [
        ("*@sales.example.com", True, "begins with"),
        ("a*b@example.com", False, "in the middle"),
        ("$(x)@example.com", False, "can't"),
        ('a"b@example.com', False, "can't"),
        ("a`b@example.com", False, "can't"),
        ("a’b@example.com", False, "can't"),
        ("a b@example.com", False, "can't"),
        ("ü@example.com", False, "can't"),
    ],
)
def test_addresses_that_no_filter_can_hold(pattern: str, is_cloud: bool, why: str) -> None:
    with pytest.raises(UnquotableError, match=why):
        address_filter(pattern, is_cloud=is_cloud)
