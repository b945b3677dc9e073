"""A person who was struck from a text stands in it no more, whatever stands around the addresses."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.model.address import parse_address
from mta.model.erasure import ErasedPerson

ANN = ErasedPerson.of([parse_address("ann.lee@bücher.example"), parse_address("ann@example.net")], ["Ann Lee"])
PIECES = (
    "ann.lee", "ann", "ANN", "@", "%40", "+", "+shop", '"', "'", ".", "-", "bücher.example", "xn--bcher-kva.example",
    "Example.NET", " ", "\n", "<", ">", "ß", "Ann  Lee", "lee", "\\", "x",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@settings(deadline=None, max_examples=100)
@given(TEXTS)
def test_nothing_is_left_and_once_is_enough(text: str) -> None:
    struck = ANN.struck(text, "erased-00000000")
    assert not ANN.is_in(struck)
    assert ANN.struck(struck, "erased-00000000") == struck
    if not ANN.is_in(text) and "lee" not in text.lower():
        assert struck == text


@settings(deadline=None, max_examples=100)
@given(TEXTS, st.sampled_from(["ann.lee@bücher.example", "Ann+x@EXAMPLE.net", "ann.lee@xn--bcher-kva.example"]), TEXTS)
def test_an_address_between_spaces_is_found_anywhere(before: str, address: str, after: str) -> None:
    text = f"{before} {address} {after}"
    assert ANN.is_in(text)
    assert address not in ANN.struck(text, "erased-00000000").split()
