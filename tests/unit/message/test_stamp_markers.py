"""What is written into a stamp so that it is known again, and what counts as such."""

from __future__ import annotations

import pytest

from mta.message.html.scan import tokens
from mta.message.place.placement import BodyView
from mta.message.stamp_markers import Owner, elements, key_of, marked, markers

OWNER = Owner("0a0a0a0a", "0b0b0b0b")
NAME = f'name="stampline_{key_of("sales")}_0a0a0a0a0b0b0b0b"'


def inside(html: str) -> str:
    return marked("sales", OWNER, "0c0c0c0c", html).partition(">")[2].removesuffix("</div>")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Jane <b>Doe</b></p>", f"<p><a {NAME}>Jane</a> <b>Doe</b></p>"),
        ("  Jane  ", f"  <a {NAME}>Jane</a>  "),
        ("<p>\n<a href='https://x.y'>Jane</a></p>", f"<p>\n<a {NAME} href='https://x.y'>Jane</a></p>"),
        ('<p><a name="top">Jane</a></p>', '<p><a name="top">Jane</a></p>'),
        ("<a href='x'><img></a>Jane", f"<a href='x'><img></a><a {NAME}>Jane</a>"),
        ("<!--[if mso]><p>Word</p><![endif]--><style>p { x: y }</style><p>Jane", None),
        ("<img src='cid:logo'>", "<img src='cid:logo'>"),
        ("", ""),
    ],
)
def test_the_first_words_are_a_bookmark(html: str, expected: str | None) -> None:
    done = inside(html)
    assert done == expected if expected is not None else done.endswith(f"<p><a {NAME}>Jane</a>")
    assert len(NAME.partition('"')[2].removesuffix('"')) <= 40  # Word's bookmarks have no more


def test_every_attribute_tells() -> None:
    found = list(markers(BodyView(marked("Sales.de", OWNER, "0c0c0c0c", "<p>Jane</p>"))))
    assert [(marker.is_of("sales.DE"), marker.owner, marker.message) for marker in found] == [
        (True, OWNER, ""), (True, OWNER, "0c0c0c0c"), (True, OWNER, ""),
    ]  # fmt: skip
    assert not any(marker.is_of("sales") or marker.is_of("sales.de.at") for marker in found)


@pytest.mark.parametrize(
    "source",
    [
        "class stampline-sales ", '<p title="stampline-sales">', "<!-- stampline-sales -->",
        '&lt;a name="stampline_{d}">', "<p>stampline_{d}</p>", '<a href="https://x.y/#stampline-sales">',
    ],
)  # fmt: skip
def test_words_like_a_marker_are_none(source: str) -> None:
    digest = f"{key_of('sales')}_0a0a0a0a0b0b0b0b"
    assert list(markers(BodyView(source.replace("{d}", digest)))) == []


def test_elements_are_whole_and_outermost() -> None:
    stamp = marked("sales", OWNER, "0c0c0c0c", "<div>in<div>ner</div></div>")
    nested = f"<div id=x_stampline-sales>{stamp}</div>"
    view = BodyView(f"<div>a{stamp}b{nested}c</div><div class=stampline-sales>open")
    assert [view.text[start:end] for start, end in elements(view, lambda marker: True)] == [stamp, nested]


def test_many_markers_take_linear_time() -> None:
    text = '<div class="stampline-a" id=' * 20_000 + "<div class='stampline-b'>" * 20_000
    assert len(list(markers(BodyView(text)))) <= 500
    assert elements(BodyView(text), lambda marker: True) == []
    assert sum(1 for _ in tokens(text)) > 0
