# ruff: noqa: E501 - samples stand on one line
"""Whatever the text is: a place is found, nothing is damaged, and inserting there is all that changes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.html.scan import tokens
from mta.message.html.text import html_of, text_of
from mta.message.place.place_html import place_html
from mta.message.place.place_plain import place_plain
from mta.message.place.placement import BodyView, lowered
from mta.model.actions import Place

PIECES = st.sampled_from(
    [
        "<body>", "</body>", "</html>", "<p>", "</p>", "<div style='display:none'>", "</div>", "<table>", "<tr>", "<td>",
        "</td>", "</tr>", "</table>", "<!--", "-->", "<!--[if mso]>", "<![endif]-->", "<style>", "</style>", "<script>",
        "</script>", '<a title="', '">', "<blockquote type=cite>", "</blockquote>", "<hr>", "<br>", "Hi", " ", "\r\n",
        "From: a@b.c", "Sent: Monday", "To: d", "Subject: e", "On 2 May 2024, A wrote:", "-----Original Message-----",
        "&nbsp;", "<b>", "</b>", "<div class=gmail_quote>", "İ", "<", ">", '"', "'", "\ud800", "<img src=x>", "<title>",
    ]
)  # fmt: skip
LINES = st.sampled_from(
    [
        "", "Hi", "> Old", "On 2 May 2024, A wrote:", "<a@b.c> wrote:", "From: a@b.c", "Sent: Monday", "To: d", "-- ",
        "Subject: e", "-----Original Message-----", "________________", "İ:", ">", ">:", "\ufeff", "\ud800 \x85",
    ]
)  # fmt: skip
MARKUP = st.lists(PIECES | st.text(max_size=5), max_size=25).map("".join)
TEXT = st.lists(LINES | st.text(max_size=8), max_size=20).map("\r\n".join)
PLACES = st.sampled_from(list(Place))


@given(MARKUP, PLACES, st.booleans())
@settings(max_examples=400, deadline=None)
def test_html_places_are_between_tokens(text: str, place: Place, is_reply: bool) -> None:
    found = place_html(BodyView(text), place, is_reply)
    assert 0 <= found.position <= len(text)
    for token in tokens(text):
        assert not token.start < found.position < token.end


@given(st.lists(PIECES.filter(lambda piece: '"' not in piece and piece != "<"), max_size=25).map("".join))
@settings(max_examples=300, deadline=None)
def test_html_at_the_bottom_stands_behind_all_that_is_seen(text: str) -> None:
    found = place_html(BodyView(text), Place.BOTTOM, False)
    behind = [token for token in tokens(text) if token.start >= found.position]
    assert all(not token.closed or token.kind == "comment" or token.name in ("body", "html") for token in behind)
    inserted = f"{text[: found.position]}{found.before}<hr id=stamp>"
    assert any(token.attributes.strip() == "id=stamp" for token in tokens(inserted))


@given(TEXT, PLACES, st.booleans())
@settings(max_examples=300, deadline=None)
def test_plain_places_begin_lines(text: str, place: Place, is_reply: bool) -> None:
    found = place_plain(BodyView(text), place, is_reply)
    assert 0 <= found.position <= len(text)
    if place is Place.REPLY and found.position < len(text):
        assert found.position == 0 or text[found.position - 1] == "\n"
    assert not (found.before + found.after).strip("\n")


@given(st.text())
def test_lowered_keeps_every_character_at_its_place(text: str) -> None:
    assert len(lowered(text)) == len(text)


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]) | st.sampled_from("<>&\"'\n")))
def test_text_as_html_as_text(text: str) -> None:
    def words(value: str) -> list[str]:
        return value.split()

    assert words(text_of(html_of(text))) == words(text)
