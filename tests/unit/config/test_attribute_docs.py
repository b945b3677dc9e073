"""What editors show for a key: the text below the attribute."""

from __future__ import annotations

from mta.config.attribute_docs import attribute_docs
from mta.config.delivery_schema import HopLimits, MxHop, SmtpHop


def test_what_is_inherited_keeps_its_text() -> None:
    assert attribute_docs(SmtpHop)["connections"] == attribute_docs(HopLimits)["connections"]


def test_what_is_declared_anew_has_its_own_text_or_none() -> None:
    assert "connections" not in attribute_docs(MxHop)


def test_who_is_not_ours_has_none() -> None:
    assert attribute_docs(dict) == {}
