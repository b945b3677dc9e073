"""YAML as we read it: values, places, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.config.problems import ConfigurationError
from mta.config.yaml_values import FILE_OCTETS_MAX, parse_document, read_document

FILE = Path("x.yaml")


def value(text: str) -> object:
    return parse_document(FILE, text.encode()).value


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("NO", "NO"), ("yes", "yes"), ("off", "off"), ("08:00", "08:00"), ("22:30", "22:30"), ("01234", "01234"),
        ("+4930", "+4930"), ("1_000", "1_000"), ("1.10", "1.10"), ("2026-12-01", "2026-12-01"), ("0x10", "0x10"),
        ("1e3", "1e3"), ("=", "="), ("<<", "<<"), ("123", 123), ("-5", -5), ("0", 0), ("true", True), ("False", False),
        ("null", None), ("~", None), ("", None), ("'123'", "123"), ('"true"', "true"), ("''", ""),
        ("|\n  a\n  b", "a\nb"),
    ],
)  # fmt: skip
def test_scalars(written: str, expected: object) -> None:
    assert value(f"key: {written}") == {"key": expected}


def test_keys_are_text_whatever_they_look_like() -> None:
    assert value("404: a\nno: b\nnull: c") == {"404": "a", "no": "b", "null": "c"}


def test_collections_and_aliases() -> None:
    assert value("a: &x [1, {b: 2}]\nc: *x\nd: *x") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": [1, {"b": 2}]}


def test_places_count_from_one_and_fall_back_to_what_is_around() -> None:
    document = parse_document(FILE, b"top:\n  - name: a\n    port: 25\n")
    assert document.place(("top", 0, "port")) == (3, 11)
    assert document.place(("top", 0, "port"), key=True) == (3, 5)
    assert document.place(("top", 0, "smtp", "name")) == (2, 11)
    assert document.place(("top", 0, "missing")) == (2, 5)
    assert document.place(("top", 0, "missing"), key=True) == (2, 5)
    assert document.place(()) == (1, 1)


def test_an_aliased_value_has_the_place_of_the_alias() -> None:
    document = parse_document(FILE, b"a: &x {b: 1}\nc: *x\n")
    assert document.place(("c", "b")) == (2, 4)


def test_an_empty_file_has_no_value() -> None:
    assert value("") is None
    assert value("# only a comment\n") is None


def test_a_byte_order_mark_is_taken() -> None:
    assert parse_document(FILE, b"\xef\xbb\xbfa: 1").value == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "line", "what"),
    [
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"? [a]\n: 1\n", 1, "a key must be text"),
        (b"a: *nobody\n", 1, "has no anchor above it"),
        (b"a: 'x\n", 2, "not YAML"),
        (b"a: 1\nb: \x00\n", 2, "a control character"),
        (b"a: " + b"[" * 5000, 1, "nested deeper"),
        (b"a: &a " + b"[" * 30 + b"]" * 30 + b"\nb: " + b"[" * 30 + b"*a" + b"]" * 30, 2, "nested deeper"),
        (b"a: " + b"x" * FILE_OCTETS_MAX, 0, "larger than"),
    ],
)
def test_refused(raw: bytes, line: int, what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_document(FILE, raw)
    (problem,) = caught.value.problems
    assert what in str(problem)
    assert problem.line == line


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml:0:0: cannot read: No such file or directory \(create"):
        read_document(tmp_path / "absent.yaml")
