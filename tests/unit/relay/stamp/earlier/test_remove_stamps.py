"""Earlier stamps of ours are taken out; nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from mta.message.body_text import displayed
from mta.message.parse import parse
from mta.model.actions import Action, Once, Place, RemoveStamps
from mta.model.person import Person
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from tests.unit.relay.stamp.earlier.clients import (
    HTML_CLIENTS,
    KEEP_A_MARKER,
    PLAIN_CLIENTS,
    Client,
    as_text,
    bare_webmail,
    gmail,
    outlook_web,
    outlook_windows,
    quoting_by_lines,
)
from tests.unit.relay.stamp.samples import (
    HEADER,
    JANE,
    MARIA,
    alternative,
    context,
    html,
    outcome,
    plain,
    stamp,
    stamped,
    templates,
    write_templates,
)

REPLY = HEADER.replace(b"Subject: Offer", b"Subject: Re: Offer\r\nIn-Reply-To: <0@example.com>").replace(b"<1@", b"<2@")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
QUOTE = "\n\nOn 2 May 2024, A wrote:\n> Old\n>\n> Text\n"
HTML_QUOTE = "<div>On 2 May 2024, A wrote:</div><blockquote type=cite>Old</blockquote>"
ALL = RemoveStamps(rule="clean")


def texts(data: bytes) -> list[str]:
    return [body.text.replace("\r\n", "\n") for body in displayed(parse(data))]


@pytest.fixture
def notes(tmp_path: Path) -> TemplateSet:
    return templates(
        tmp_path, one="First stamp text", two="Second stamp text", sign="{{ sender.displayName }}, Example Ltd"
    )


@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize("kind", ["plain", "html", "alternative"])
@pytest.mark.parametrize("text", ["Hi\n", "Hi" + QUOTE, "Hi\n\nBye\n\n\nPS\n"])
def test_what_was_put_on_is_taken_out_and_the_message_is_as_before(
    notes: TemplateSet, place: Place, kind: str, text: str
) -> None:
    source = f"<body><p>{text}</p>{HTML_QUOTE}</body>\n"
    data = {"plain": plain(text), "html": html(source), "alternative": alternative(text, source)}[kind]
    for actions in ([stamp("one", place)], [stamp("one", place), stamp("sign", place)]):
        result = stamped(stamped(data, actions, notes), [ALL], notes)
        if place is Place.REPLY or len(actions) == 1 or kind == "plain":
            assert texts(result) == texts(data)
        assert "stampline" not in result.decode()
        assert "stamp text" not in result.decode()


def test_only_the_named_templates(notes: TemplateSet) -> None:
    data = stamped(alternative("Hi\n", "<p>Hi</p>\n"), [stamp("one"), stamp("two")], notes)
    text, source = texts(stamped(data, [RemoveStamps(templates=("two", "unknown"))], notes))
    assert text == "Hi\n\nFirst stamp text\n"
    assert "First stamp text" in source
    assert "Second" not in source


def test_where_there_is_none_nothing_changes(notes: TemplateSet) -> None:
    assert outcome(alternative("Hi\n", "<p>Hi</p>\n"), [ALL], notes).edits == ()


@pytest.mark.parametrize("client", HTML_CLIENTS, ids=lambda client: client.__name__)
def test_in_what_html_quotes(notes: TemplateSet, client: Client) -> None:
    first = texts(stamped(html("<body><p>Our offer</p></body>\n"), [stamp("sign"), stamp("one")], notes))[0]
    answer = client(client(first, "Thanks &amp; regards", "en"), "And again", "de")
    (left,) = texts(stamped(html(answer, header=REPLY), [ALL], notes))
    assert "Jane" not in left.replace("jane.doe@", "")
    assert "First stamp" not in left
    for kept in ("And again", "Thanks &amp; regards", "Our offer", "bob@example.net"):
        assert kept in left
    opened, closed = left.count("<div"), left.count("</div")
    assert opened - closed == answer.count("<div") - answer.count("</div")


@pytest.mark.parametrize("quoting", PLAIN_CLIENTS, ids=lambda client: client.__name__)
def test_in_what_plain_text_quotes(notes: TemplateSet, quoting: Client) -> None:
    unstamped = "Our offer\n\nis this.\n"
    (first,) = texts(stamped(plain(unstamped), [stamp("sign"), stamp("one")], notes))
    thread, expected = (quoting(quoting(text, "Thanks", "en"), "Again", "de") for text in (first, unstamped))
    assert texts(stamped(plain(thread, header=REPLY), [ALL], notes)) == [expected]


def test_lines_of_signs_go_with_the_words(tmp_path: Path) -> None:
    files = {"t/signature.txt.j2": "-- \n====\n{{ sender.displayName }}\nExample Ltd\n====\n"}
    chosen = load_templates(write_templates(tmp_path, files))
    before = quoting_by_lines("Hello\n\n-- \nBob\n", "Hi", "en")
    (first,) = texts(stamped(plain("Hello\n\n-- \nBob\n"), [stamp("t")], chosen))
    thread = quoting_by_lines(first, "Hi", "en")
    assert texts(stamped(plain(thread, header=REPLY), [ALL], chosen)) == [before]


def test_a_colleagues_stamp(notes: TemplateSet) -> None:
    (first,) = texts(stamped(plain("Our offer\n"), [stamp("sign")], notes, context(MARIA)))
    thread = quoting_by_lines(first, "Hi", "en")
    (left,) = texts(stamped(plain(thread, header=REPLY), [ALL], notes, context(JANE)))
    assert "Maria" not in left


def test_words_that_share_a_line_or_an_element_with_others(notes: TemplateSet) -> None:
    assert texts(stamped(plain("See: First stamp text, or not\n"), [ALL], notes)) == ["See: , or not\n"]
    assert texts(stamped(html("<p>See <b>First</b> stamp <i>text or</i> not</p>\n"), [ALL], notes)) == [
        "<p>See <b></b><i> or</i> not</p>\n"
    ]


def test_other_text_in_the_element_of_a_bare_stamp_stays(notes: TemplateSet) -> None:
    source = "<table><tr><td>First stamp</td><td>text</td></tr></table><div><p>Second stamp text</p><p>Mine</p></div>\n"
    assert texts(stamped(html(source), [ALL], notes)) == ["<div><p>Mine</p></div>\n"]


def test_pictures_of_the_author_stay(notes: TemplateSet) -> None:
    source = '<div><img src="cid:mine@example.com"><p>First stamp text</p></div>\n'
    assert texts(stamped(html(source), [ALL], notes)) == ['<div><img src="cid:mine@example.com"></div>\n']


def test_others_stamps_stay(notes: TemplateSet, tmp_path: Path) -> None:
    theirs = templates(tmp_path / "theirs", one="The other company, a stamp of the same name")
    first = stamped(html("<p>Hi</p>\n"), [stamp("one")], theirs, replace(context(), origin="example.net"))
    assert outcome(first, [ALL], notes).edits == ()


def test_what_has_no_end_stays(notes: TemplateSet) -> None:
    marker = texts(stamped(html("<p>Hi</p>\n"), [stamp("one")], notes))[0].partition("<div")[2].partition(">")[0]
    broken = f"<p>Hi</p><div{marker}><p>Changed by somebody<table><tr><td>and never closed\n"
    assert outcome(html(broken), [ALL], notes).edits == ()


class TestTogetherWithStamps:
    @pytest.mark.parametrize("client", KEEP_A_MARKER, ids=lambda client: client.__name__)
    def test_a_removed_stamp_keeps_no_new_one_out(self, notes: TemplateSet, client: Client) -> None:
        first = texts(stamped(html("<body><p>Our offer</p></body>\n"), [stamp("sign")], notes))[0]
        answer = html(client(first, "Thanks", "en"), header=REPLY)
        actions: list[Action] = [ALL, stamp("sign", Place.REPLY, Once.CONVERSATION)]
        done = outcome(answer, actions, notes)
        assert done.stamped == ("sign",)
        (left,) = texts(stamped(answer, actions, notes))
        assert left.count("Example Ltd") == 1
        assert left.index("Thanks") < left.index("Example Ltd") < left.index("bob@example.net")

    def test_in_plain_text(self, notes: TemplateSet) -> None:
        (first,) = texts(stamped(plain("Our offer\n"), [stamp("sign")], notes))
        answer = plain(quoting_by_lines(first, "Thanks", "en"), header=REPLY)
        (left,) = texts(stamped(answer, [ALL, stamp("sign", Place.REPLY, Once.CONVERSATION)], notes))
        assert left == quoting_by_lines("Our offer\n", "Thanks\n\nJane Döe, Example Ltd", "en")


class TestPictures:
    FILES: ClassVar[dict[str, str | bytes]] = {
        "p/signature.html.j2": '<p><img src="logo.png">Example Ltd, London</p>',
        "p/logo.png": PNG,
    }

    @pytest.fixture
    def chosen(self, tmp_path: Path) -> TemplateSet:
        files: dict[str, str | bytes] = {
            **self.FILES,
            "p/template.yaml": "pictures:\n  - {cid: logo, file: logo.png}\n",
        }
        return load_templates(write_templates(tmp_path, files))

    def test_they_go_with_the_stamp_that_showed_them(self, chosen: TemplateSet) -> None:
        with_picture = stamped(alternative("Hi\n", "<p>Hi</p>\n"), [stamp("p")], chosen)
        assert b"image/png" in with_picture
        result = stamped(with_picture, [ALL], chosen)
        assert b"image/png" not in result
        types = [part.content_type for part in parse(result).root.walk()]
        assert types == ["multipart/alternative", "text/plain", "multipart/related", "text/html"]
        assert not parse(result).defects

    def test_a_picture_that_is_shown_elsewhere_stays(self, chosen: TemplateSet) -> None:
        with_picture = stamped(html("<p>Hi</p>\n"), [stamp("p")], chosen)
        cid = with_picture.partition(b'"cid:')[2].partition(b'"')[0]
        shown_again = with_picture.replace(b"<p>Hi</p>", b'<p>Hi<img src="cid:%b"></p>' % cid)
        assert b"image/png" in stamped(shown_again, [ALL], chosen)

    def test_the_same_stamp_put_on_anew_has_its_picture(self, chosen: TemplateSet) -> None:
        data = html("<p>Hi</p>\n")
        with_picture = stamped(data, [stamp("p")], chosen)
        again = stamped(with_picture, [ALL, stamp("p")], chosen)
        assert again.count(b"image/png") == 1
        assert texts(again)[0].split() == texts(with_picture)[0].split()


@pytest.mark.parametrize("client", [gmail, outlook_web, outlook_windows, bare_webmail], ids=lambda c: c.__name__)
def test_a_signature_in_a_table(tmp_path: Path, client: Client) -> None:
    source = (
        '<table><tr><td><img src="https://example.com/logo.png" alt=""></td><td><b>{{ sender.displayName }}</b><br>'
        '<a href="https://example.com/?a=1&amp;b=2">example.com</a></td></tr></table>'
    )
    chosen = load_templates(write_templates(tmp_path, {"t/signature.html.j2": source}))
    first = texts(stamped(html("<body><p>Our offer</p></body>\n"), [stamp("t")], chosen))[0]
    (left,) = texts(stamped(html(client(first, "Thanks", "en"), header=REPLY), [ALL], chosen))
    assert "<table" not in left
    assert "logo.png" not in left
    assert "Our offer" in left
    assert "Thanks" in left


def test_people_of_whom_nothing_is_known(notes: TemplateSet) -> None:
    nobody = context(Person("nobody@example.com"))
    assert texts(stamped(plain("Hi\n\n> First stamp text\n"), [ALL], notes, nobody)) == ["Hi\n"]
    assert as_text("<p>a</p>") == "a\n"


def test_an_empty_quoted_line_beside_a_stamp_stays(notes: TemplateSet) -> None:
    body = "First stamp text\n\n> \n\nFirst stamp text\n"
    assert texts(stamped(plain(body), [ALL], notes)) == ["> \n"]
