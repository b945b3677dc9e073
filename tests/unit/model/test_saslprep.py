"""SASLprep by the examples of RFC 4013 §3."""

from __future__ import annotations

import pytest

from mta.model.saslprep import saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b")],
)
def test_one_form(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "", "\u00ad", "a\nb", "\ue000", "\u0221"], ids=ascii)
def test_what_is_prohibited(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        saslprep(text)
