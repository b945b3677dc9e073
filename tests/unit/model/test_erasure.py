"""Whose addresses and names are found in texts, in whichever form, and whose are not."""

from __future__ import annotations

import io

import pytest

from mta.model.address import parse_address
from mta.model.erasure import ErasedPerson, full_name

ANN = ErasedPerson.of([parse_address("Ann@Bücher.example"), parse_address("ann.lee+home@example.net")])


@pytest.mark.parametrize(
    "text",
    [
        "ann@bücher.example",
        "ANN@xn--bcher-kva.EXAMPLE",
        "ann+shop@bücher.example",
        '"ann"@bücher.example',
        "<ann.lee@example.net>",
        "mailto:ann%40bücher.example?subject=x",
        "'ann@bücher.example'",
        "write to ann@bücher.example.",
        '{"requester":"ann.lee+x@example.net"}',
    ],
)
def test_an_address_is_found_in_all_its_forms(text: str) -> None:
    assert ANN.is_in(text)
    assert not ANN.is_in(ANN.struck(text, "erased-00000000"))


@pytest.mark.parametrize(
    "text",
    [
        "mary-ann@bücher.example",
        "o'ann@bücher.example",
        "x.ann@bücher.example",
        "ann@bücher.example.org",
        "ann@bücher.examples",
        "ann@example.net",
        "annlee@example.net",
        "lee@example.net",
        "",
    ],
)
def test_others_are_left_alone(text: str) -> None:
    assert not ANN.is_in(text)
    assert ANN.struck(text, "erased-00000000") == text


@pytest.mark.parametrize(
    ("key", "is_named"),
    [
        ("ann@xn--bcher-kva.example", True),
        ("ann+shop@xn--bcher-kva.example", True),
        ("ann.lee@example.net", True),
        ("ann@example.net", False),
        ("", False),
    ],
)
def test_an_address_key_is_known_with_any_tag(key: str, is_named: bool) -> None:
    assert ANN.is_named(key) is is_named


def test_what_stands_around_an_address_stays() -> None:
    assert ANN.struck('To: "Ann" <ann@bücher.example>, bob@x', "gone") == 'To: "Ann" <gone>, bob@x'
    assert ANN.struck('"ann.lee@example.net"', "gone") == '"gone"'


def test_names_go_as_whole_words_however_they_are_spaced() -> None:
    ann = ErasedPerson.of([parse_address("ann@example.net")], ["Ann"])
    assert ann.struck("Ann and Joanna, ANN LEE, Ann\n Lee", "gone", ["Ann Lee"]) == "gone and Joanna, gone, gone"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Ann Lee", "Ann Lee"),
        ("Ann  Lee <ann@example.net>", "Ann Lee"),
        ("Ann", ""),
        ("ann@example.net", ""),
        ("A B", ""),
        ("erased-0a1b2c3d and more", ""),
    ],
)
def test_only_full_names_are_looked_for(said: str, name: str) -> None:
    assert full_name(said) == name


def test_a_digest_tells_the_same_person_whatever_the_order_and_the_tag() -> None:
    other = ErasedPerson.of([parse_address("ann.lee@EXAMPLE.net"), parse_address("ann+x@bücher.example")])
    assert ANN.digest == other.digest
    assert ANN.digest != ErasedPerson.of([parse_address("ann.lee@example.net")]).digest


@pytest.mark.parametrize("before", [0, (1 << 20) - 3, (1 << 20) - 20, 3 << 20])
def test_a_large_file_is_searched_across_its_chunks(before: int) -> None:
    assert ANN.is_in_octets(io.BytesIO(b" " * before + b"ann@xn--bcher-kva.example\n" + b"\xff" * 5000))
    assert not ANN.is_in_octets(io.BytesIO(b" " * before + b"anne@xn--bcher-kva.example\n"))
