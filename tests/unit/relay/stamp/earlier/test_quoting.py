"""A stamp that is wanted once in a conversation, over rounds of answers by other mail programs."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from mta.message.body_text import displayed
from mta.message.parse import parse
from mta.model.actions import Once, Place
from mta.model.person import Person
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from tests.unit.relay.stamp.earlier.clients import (
    HTML_CLIENTS,
    KEEP_A_MARKER,
    LABELS,
    PLAIN_CLIENTS,
    Client,
    as_html,
    as_text,
    outlook_web,
    quoting_by_lines,
)
from tests.unit.relay.stamp.samples import (
    HEADER,
    JANE,
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

SIGNATURE = (
    '<table><tr><td><img src="https://www.example.com/logo.png" alt="Example"></td><td><b>{{ sender.displayName }}</b>'
    "<br>{{ sender.title }}<br>Tel. {{ sender.telephoneNumber }}<br>"
    '<a href="https://www.example.com/?utm_source=mail&amp;utm_campaign=spring">www.example.com</a></td></tr></table>'
    "<p>Example Ltd is registered in England &amp; Wales, number 0123456. This sentence makes the line long enough.</p>"
)
NO_LINK = "<p>{{ sender.displayName }} &middot; {{ sender.title }}<br>Example Ltd, Grüße aus London</p>"
SOURCES = {"signature": SIGNATURE, "words": NO_LINK}
ANSWER = HEADER.replace(b"Subject: Offer", b"Subject: Re: Offer\r\nIn-Reply-To: <0@example.com>")
CONVERSATION = [(first, then) for first in HTML_CLIENTS for then in HTML_CLIENTS]


def answered(number: int) -> bytes:
    return ANSWER.replace(b"<1@", b"<%d@" % number)


def texts(data: bytes) -> list[str]:
    return [body.text.replace("\r\n", "\n") for body in displayed(parse(data))]


@pytest.fixture(params=SOURCES)
def chosen(request: pytest.FixtureRequest, tmp_path: Path) -> TemplateSet:
    return load_templates(write_templates(tmp_path, {"sign/signature.html.j2": SOURCES[request.param]}))


ONCE = stamp("sign", Place.REPLY, Once.CONVERSATION)


def first_message(chosen: TemplateSet) -> str:
    data = stamped(html("<body><p>Our offer</p></body>\n"), [ONCE], chosen)
    return texts(data)[0]


class TestHtml:
    @pytest.mark.parametrize("client", HTML_CLIENTS, ids=lambda client: client.__name__)
    @pytest.mark.parametrize("language", LABELS)
    def test_one_answer(self, chosen: TemplateSet, client: Client, language: str) -> None:
        thread = client(first_message(chosen), "Thanks", language)
        assert outcome(html(thread, header=answered(2)), [ONCE], chosen).stamped == ()

    @pytest.mark.parametrize(("first", "then"), CONVERSATION, ids=lambda client: client.__name__)
    def test_rounds_with_two_programs_in_turn(self, chosen: TemplateSet, first: Client, then: Client) -> None:
        thread = first_message(chosen)
        for number, (client, language) in enumerate(zip(cycle([first, then]), ["en", "de", "fr", "ja"], strict=False)):
            thread = client(thread, f"Answer {number}", language)
            data = html(thread, header=answered(number + 2))
            assert outcome(data, [ONCE], chosen).stamped == (), number

    @pytest.mark.parametrize("client", KEEP_A_MARKER, ids=lambda client: client.__name__)
    def test_a_template_that_was_written_anew(self, tmp_path: Path, client: Client) -> None:
        before = templates(tmp_path / "old", sign="{{ sender.displayName }}, our old signature, <a href='x:'>link</a>")
        after = templates(tmp_path / "new", sign="A wholly new design {{ sender.displayName }}")
        thread = client(client(first_message(before), "Thanks", "en"), "Again", "pl")
        assert outcome(html(thread, header=answered(3)), [ONCE], after).stamped == ()

    @pytest.mark.parametrize("client", KEEP_A_MARKER, ids=lambda client: client.__name__)
    def test_a_sender_who_got_another_title(self, chosen: TemplateSet, client: Client) -> None:
        promoted = replace(JANE, attributes={**JANE.attributes, "title": "Director", "displayName": "Jane Smith"})
        thread = client(first_message(chosen), "Thanks", "en")
        assert outcome(html(thread, header=answered(2)), [ONCE], chosen, context(promoted)).stamped == ()

    @pytest.mark.parametrize("client", KEEP_A_MARKER, ids=lambda client: client.__name__)
    def test_a_colleague_signs_with_their_own(self, chosen: TemplateSet, client: Client) -> None:
        john = Person("john@example.com", attributes={**JANE.attributes, "displayName": "John Smith"})
        thread = client(first_message(chosen), "Thanks", "en")
        assert outcome(html(thread, header=answered(2)), [ONCE], chosen, context(john)).stamped == ("sign",)

    def test_a_notice_that_speaks_of_no_sender_is_the_same_whoever_wrote(self, tmp_path: Path) -> None:
        notice = templates(tmp_path, sign="This message is confidential")
        john = Person("john@example.com", attributes={})
        thread = outlook_web(first_message(notice), "Thanks", "en")
        assert outcome(html(thread, header=answered(2)), [ONCE], notice, context(john)).stamped == ()


class TestPlain:
    @pytest.mark.parametrize("client", PLAIN_CLIENTS, ids=lambda client: client.__name__)
    @pytest.mark.parametrize("language", LABELS)
    def test_rounds(self, chosen: TemplateSet, client: Client, language: str) -> None:
        (thread,) = texts(stamped(plain("Our offer\n"), [ONCE], chosen))
        for number in range(3):
            thread = client(thread, f"Answer {number}", language)
            assert outcome(plain(thread, header=answered(number + 2)), [ONCE], chosen).stamped == (), number

    @pytest.mark.parametrize("client", HTML_CLIENTS, ids=lambda client: client.__name__)
    @pytest.mark.parametrize("quoting", PLAIN_CLIENTS, ids=lambda client: client.__name__)
    def test_html_to_plain_to_html(self, chosen: TemplateSet, client: Client, quoting: Client) -> None:
        as_plain = quoting(as_text(client(first_message(chosen), "Thanks", "de")), "In plain text", "en")
        assert outcome(plain(as_plain, header=answered(2)), [ONCE], chosen).stamped == ()
        again = client(as_html(as_plain), "And in HTML again", "fr")
        assert outcome(html(again, header=answered(3)), [ONCE], chosen).stamped == ()

    def test_the_text_of_an_alternative_counts_too(self, chosen: TemplateSet) -> None:
        text, _ = texts(stamped(alternative("Our offer\n", "<p>Our offer</p>\n"), [ONCE], chosen))
        data = alternative(quoting_by_lines(text, "Thanks", "en"), "<p>Thanks</p>\n")
        assert outcome(data.replace(b"<1@", b"<2@"), [ONCE], chosen).stamped == ()


class TestPrecision:
    @pytest.mark.parametrize("kind", ["html", "plain"])
    def test_similar_words_are_not_the_stamp(self, chosen: TemplateSet, kind: str) -> None:
        ours = first_message(chosen).replace("stampline", "other")
        similar = ours.replace("Account Manager", "Account Assistant")
        data = {"html": html(similar), "plain": plain(as_text(similar))}[kind]
        assert outcome(data, [ONCE], chosen).stamped == ("sign",)

    def test_words_about_a_marker_are_none(self, chosen: TemplateSet) -> None:
        marker = first_message(chosen).partition('class="')[2].partition('"')[0]
        for text in (f"class {marker} is", f'&lt;div class="{marker}"&gt;', f"<b>{marker} </b>"):
            assert outcome(html(f"<p>{text}</p>\n"), [ONCE], chosen).stamped == ("sign",)

    def test_another_organisation_with_a_template_of_that_name(self, tmp_path: Path) -> None:
        theirs = templates(tmp_path / "theirs", sign="Confidential, says the other company")
        ours = templates(tmp_path / "ours", sign="Confidential, say we")
        first = stamped(html("<p>Hi</p>\n"), [ONCE], theirs, replace(context(), origin="example.net"))
        thread = outlook_web(texts(first)[0], "Thanks", "en")
        assert outcome(html(thread, header=answered(2)), [ONCE], ours).stamped == ("sign",)

    @pytest.mark.parametrize("once", list(Once))
    @pytest.mark.parametrize("kind", ["html", "plain"])
    def test_what_a_stranger_copied_keeps_no_warning_out(self, tmp_path: Path, once: Once, kind: str) -> None:
        chosen = templates(tmp_path, warn="This message comes from outside")
        warning = stamp("warn", Place.TOP, once)
        known = stamped(html("<p>Hi</p>\n") if kind == "html" else plain("Hi\n"), [warning], chosen)
        stranger = replace(context(), is_trusted=False)
        assert outcome(known, [warning], chosen, stranger).stamped == ("warn",)
