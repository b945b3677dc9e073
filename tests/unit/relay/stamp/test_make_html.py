"""HTML made of plain text, where a stamp asks for it."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mta.message.body_text import displayed
from mta.message.edit import joined
from mta.message.html.plain import Flow, document
from mta.message.parse import parse
from mta.model.actions import Action, Once, Place, RemoveStamps, ReplaceText, Stamp
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from tests.unit.relay.stamp.samples import (
    HEADER,
    alternative,
    html,
    multipart,
    outcome,
    plain,
    stamp,
    stamped,
    templates,
    write_templates,
)

QUOTE = "\n\nOn 2 May 2024, A wrote:\n> Old\n"
PDF = b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n%PDF\r\n"


def making(template: str, place: Place = Place.BOTTOM, **more: object) -> Stamp:
    return replace(stamp(template, place), make_html=True, **more)  # type: ignore[arg-type]


def texts(data: bytes) -> list[str]:
    return [body.text.replace("\r\n", "\n") for body in displayed(parse(data))]


def types(data: bytes) -> list[str]:
    return [part.content_type for part in parse(data).root.walk()]


FIXED = Flow()


def made(text: str, flow: Flow = FIXED) -> str:
    """What is between the body's own block and its end."""
    return document([(text, "")], flow).partition('pt">\n')[2].partition("</div>\n</body>")[0].replace("<br>", "")


@pytest.fixture
def notes(tmp_path: Path) -> TemplateSet:
    return templates(tmp_path, one="First stamp <b>text</b>", two="Second stamp text")


class TestStructure:
    def test_a_message_of_one_text_becomes_an_alternative(self, notes: TemplateSet) -> None:
        result = stamped(plain("Hi\n"), [making("one")], notes)
        text, source = texts(result)
        assert types(result) == ["multipart/alternative", "text/plain", "text/html"]
        assert text == "Hi\n\nFirst stamp <b>text</b>\n"
        assert source.index("Hi<br>") < source.index("First stamp") < source.index("</body>")
        assert result.startswith(HEADER)
        assert not parse(result).defects
        message = message_from_bytes(result, policy=policy.default)
        assert (message["MIME-Version"], message.get_body(("html",)) is not None) == ("1.0", True)
        assert message["Content-Transfer-Encoding"] is None

    def test_a_message_without_content_fields(self, notes: TemplateSet) -> None:
        result = stamped(HEADER + b"\r\nHi\r\n", [making("one")], notes)
        assert types(result) == ["multipart/alternative", "text/plain", "text/html"]
        assert result.count(b"MIME-Version") == 1

    def test_beside_an_attachment(self, notes: TemplateSet) -> None:
        data = multipart("mixed", plain("Hi\n", header=b""), PDF)
        result = stamped(data, [making("one")], notes)
        assert types(result) == [
            "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf",
        ]  # fmt: skip
        assert PDF in result

    def test_with_pictures(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "p/signature.html.j2": "<img src='logo.png'>Us",
            "p/logo.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 20,
            "p/template.yaml": "pictures: [{file: logo.png}]",
        }
        result = stamped(plain("Hi\n"), [making("p")], load_templates(write_templates(tmp_path, files)))
        assert types(result) == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
        assert not parse(result).defects

    @pytest.mark.parametrize("place", list(Place))
    def test_places(self, notes: TemplateSet, place: Place) -> None:
        for text in texts(stamped(plain("Hi" + QUOTE), [making("one", place), stamp("two", place)], notes)):
            first, second, hi, old = (text.index(word) for word in ("First", "Second", "Hi", "Old"))
            assert first < second
            assert {Place.TOP: second < hi, Place.REPLY: hi < first < old, Place.BOTTOM: old < first}[place]

    def test_in_the_formats_that_are_wanted(self, notes: TemplateSet) -> None:
        text, source = texts(stamped(plain("Hi\n"), [making("one", formats=("html",))], notes))
        assert ("First" in text, "First" in source) == (False, True)
        text, source = texts(stamped(plain("Hi\n"), [replace(stamp("two"), formats=("html",)), making("one")], notes))
        assert ("Second" in text, "Second" in source) == (False, True)
        assert types(stamped(plain("Hi\n"), [making("one", formats=("plain",))], notes)) == ["text/plain"]

    def test_a_stamp_for_html_alone_waits_for_one_that_makes_it(self, notes: TemplateSet) -> None:
        of_html = replace(stamp("two"), formats=("html",))
        done = outcome(plain("Hi\n"), [of_html, making("gone")], notes)
        assert (done.edits, done.stamped, done.skipped[0].reason) == ((), (), "no html text")

    @pytest.mark.parametrize("data", [html("<p>Hi</p>\n"), alternative("Hi\n", "<p>Hi</p>\n")])
    def test_where_html_is_there_nothing_is_made(self, notes: TemplateSet, data: bytes) -> None:
        result = stamped(data, [making("one")], notes)
        assert types(result) == types(data)
        assert result == stamped(data, [stamp("one")], notes)

    def test_a_meetings_text_stays_what_its_calendar_is_an_alternative_to(self, notes: TemplateSet) -> None:
        calendar = b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
        data = multipart("alternative", plain("Hi\n", header=b""), calendar)
        assert types(stamped(data, [making("one")], notes)) == types(data)

    def test_a_text_that_can_not_be_read_for_sure_stays_plain(self, notes: TemplateSet) -> None:
        data = HEADER + b"Content-Type: text/plain; charset=no-such\r\n\r\nGr\xfc\xdfe\r\n"
        result = stamped(data, [making("one")], notes)
        assert types(result) == ["text/plain"]
        assert b"First stamp" in result

    def test_a_second_server_does_nothing(self, notes: TemplateSet) -> None:
        for once in Once:
            action = making("one", once=once)
            done = outcome(stamped(plain("Hi" + QUOTE), [action], notes), [action], notes)
            assert (done.edits, done.stamped) == ((), ())

    def test_other_changes_are_in_both(self, notes: TemplateSet) -> None:
        once = stamped(plain("Hi Secret\n"), [stamp("two")], notes)
        actions: list[Action] = [ReplaceText(find="secret", replacement="***"), RemoveStamps(), making("one")]
        for text in texts(stamped(once, actions, notes)):
            assert "***" in text
            assert "Secret" not in text
            assert "Second" not in text

    def test_the_text_keeps_its_octets(self, notes: TemplateSet) -> None:
        field = b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        data = HEADER + field + b"Gr=FC=\r\n=DFe =3d 1\r\n"
        result = stamped(data, [making("one")], notes)
        assert field + b"Gr=FC=\r\n=DFe =3d 1\r\n\r\nFirst stamp" in result
        assert "Grüße = 1<br>" in texts(result)[1]

    def test_what_tells_of_the_body_goes(self, notes: TemplateSet) -> None:
        data = HEADER + b"Content-MD5: abc==\r\nContent-Length: 4\r\nContent-Language: en\r\n\r\nHi\r\n"
        result = stamped(data, [making("one")], notes)
        assert b"Content-MD5" not in result
        assert b"Content-Length" not in result
        assert parse(result).root.children[0].value(b"content-language") == b" en"

    def test_no_line_of_the_text_becomes_a_delimiter(self, notes: TemplateSet) -> None:
        data = multipart("mixed", plain("Hi\n--=_b\nthere\n", header=b""), header=HEADER, boundary=b"=_x")
        result = stamped(data, [making("one")], notes)
        assert types(result) == ["multipart/mixed", "multipart/alternative", "text/plain", "text/html"]
        assert joined(result, []) == result


class TestHtml:
    def test_markup_is_text(self) -> None:
        assert made("<script>1 & 2</script>") == "&lt;script&gt;1 &amp; 2&lt;/script&gt;\n"

    def test_gaps_and_lines_are_kept(self) -> None:
        assert made("  two  gaps\n\n\nend\n") == "&nbsp; two&nbsp; gaps\n\n\nend\n"

    def test_columns_stay_under_each_other(self) -> None:
        assert "monospace" in document([("Item      Price\nBook      10\n", "")], Flow())
        assert "monospace" not in document([("Only words.  Really.\n", "")], Flow())

    @pytest.mark.parametrize(
        ("text", "links"),
        [
            ("See https://example.com/a?b=1&c=2.", ["https://example.com/a?b=1&amp;c=2"]),
            ("(http://example.com/x_(y))", ["http://example.com/x_(y)"]),
            ("<https://example.com/>", ["https://example.com/"]),
            ("www.example.com, or jane.doe@example.com!", ["http://www.example.com", "mailto:jane.doe@example.com"]),
            ("javascript:alert(1) data:text/html,x file:///etc", []),
            ('https://example.com/"onclick="x', ["https://example.com/"]),
        ],
    )
    def test_links(self, text: str, links: list[str]) -> None:
        source = made(text)
        assert [part.partition('"')[0] for part in source.split('<a href="')[1:]] == links

    def test_quotes_of_fixed_lines_stay_as_they_are(self) -> None:
        assert made("> Old\n>> Older\nNew\n") == "&gt; Old\n&gt;&gt; Older\nNew\n"

    def test_flowed_paragraphs_and_quotes(self) -> None:
        source = made("A long \nparagraph.\n>> Old \n>> text\n> less\n  >stuffed\n-- \nJane\n", Flow(flowed=True))
        assert "A long paragraph.\n" in source
        assert source.count("<blockquote") == source.count("</blockquote") == 2
        assert "Old text\n</blockquote>\nless\n</blockquote>\n&nbsp;&gt;stuffed\n-- \nJane\n" in source

    def test_delsp(self) -> None:
        assert made("日本 \n語\n", Flow(flowed=True, delsp=True)) == "日本語\n"

    def test_time_is_linear(self) -> None:
        for text in ("a@" * 50_000, "www." * 50_000, "https://" + "(" * 100_000, "  " * 100_000 + ".", "> " * 50_000):
            assert len(made(text)) >= len(text)
