"""Paths of folders in Exchange: what is written is read as the same names, and no text costs more than a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.adapters.mailbox.folder_path import WELL_KNOWN, parts_of, path_of, well_known
from mta.ports.mailbox import RefusedError

_NAMES = st.text(min_size=1, max_size=40).filter(lambda name: name == name.strip() and name.isprintable())


@given(st.lists(_NAMES, min_size=1, max_size=20))
@settings(deadline=None)
def test_names_are_read_as_they_were_written(names: list[str]) -> None:
    assert parts_of(path_of(names)) == tuple(names)


@given(st.text(max_size=3000))
@settings(deadline=None)
def test_any_text_is_a_path_or_is_refused(text: str) -> None:
    try:
        parts = parts_of(text)
    except RefusedError:
        return
    assert 0 < len(parts) <= 20
    assert all(0 < len(part) <= 255 for part in parts)
    assert parts_of(path_of(parts)) == parts


@pytest.mark.parametrize("path", ["", "/", " / ", "a" * 256, "a/" * 21, "\\", "a\0b", "a\nb"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(RefusedError, match="no-name"):
        parts_of(path)


@pytest.mark.parametrize(
    ("part", "name"), [("Inbox", "inbox"), ("SENT ITEMS", "sentitems"), ("Tickets", ""), ("msgfolderroot", "")]
)
def test_well_known_names(part: str, name: str) -> None:
    assert well_known(part) == name
    assert name == "" or name in WELL_KNOWN
