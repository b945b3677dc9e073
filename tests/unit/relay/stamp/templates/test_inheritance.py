# ruff: noqa: E501 - samples stand on one line
"""Templates that extend others, mails written from templates, and the organisation's region."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.cli.preview_report import warnings
from mta.config.problems import ConfigurationError
from mta.message.html.scan import attributes, tokens
from mta.message.parse import parse
from mta.model.person import Person, UnansweredPerson
from mta.ports.directory import DirectoryDownError
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.mail import SUBJECT_MAX, RenderedMail, render_mail
from mta.relay.stamp.templates.template_set import RenderError, load_templates
from tests.unit.relay.stamp.samples import JANE, NOW, SAMPLES, STAMPS, write_templates
from tests.unit.relay.stamp.templates.render_samples import PNG, render

BASE: dict[str, str | bytes] = {
    "base/template.yaml": (
        "pictures: [{file: logo.png}]\ndefaults: {sender.l: London, sender.fax: none}\nrequired: [sender.displayName]\n"
        "campaign: {source: email, name: base}\nlocale: de\nsubject: 'From {{ sender.displayName }}'\n"
    ),
    "base/logo.png": PNG,
    "base/signature.html.j2": '<img src="logo.png" alt=""><p>{% block legal %}Ltd{% endblock %} {{ sender.l }} {{ "x.example"|link }} {{ now|date }}</p>',
    "base/signature.txt.j2": "{{ sender.displayName }} {{ sender.l }}",
}


class TestExtends:
    def test_what_it_has_not_is_the_other_s(self, tmp_path: Path) -> None:
        templates = load_templates(write_templates(tmp_path, {**BASE, "sales/template.yaml": "extends: base\n"}))
        assert render(templates, "sales").text == render(templates, "base").text == "Jane Döe London"
        assert render(templates, "sales").html == render(templates, "base").html
        assert templates.variables("sales") == {"sender.displayName", "sender.l"}

    def test_pictures_settings_and_blocks_of_its_own(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            **BASE,
            "sales/template.yaml": "extends: base\npictures: [{file: logo.png}]\ndefaults: {sender.l: Leeds}\ncampaign: {name: sales}\nlocale: fr\n",
            "sales/logo.png": PNG + b"sales",
            "sales/signature.html.j2": '{% extends "base/signature.html.j2" %}{% block legal %}Sales Ltd{% endblock %}',
        }
        done = render(load_templates(write_templates(tmp_path, files)), "sales")
        assert [picture.data for picture in done.pictures] == [PNG + b"sales"]
        assert (
            "<p>Sales Ltd Leeds https://x.example?utm_source=email&amp;utm_campaign=sales 22 novembre 2026</p>"
            in done.html
        )
        assert done.text == "Jane Döe Leeds"

    def test_over_several_generations(self, tmp_path: Path) -> None:
        files = {
            **BASE,
            "a/template.yaml": "extends: base\nlocale: fr",
            "b/template.yaml": "extends: a\ndefaults: {sender.l: York}",
        }
        done = render(load_templates(write_templates(tmp_path, files)), "b")
        assert "York https://x.example?utm_source=email&amp;utm_campaign=base 22 novembre 2026" in done.html

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"a/template.yaml": "description: x\nextends: bas"}, "a/template.yaml:2:10: no template 'bas' (did you mean 'base'?)"),
            ({"a/template.yaml": "extends: b", "b/template.yaml": "extends: a"}, "templates extend each other in a circle"),
            ({"a/template.yaml": "extends: a"}, "templates extend each other in a circle"),
        ],
    )  # fmt: skip
    def test_problems_have_their_place(self, tmp_path: Path, files: dict[str, str | bytes], expected: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            load_templates(write_templates(tmp_path, {**BASE, **files}))
        assert any(expected in str(problem) for problem in caught.value.problems), caught.value.problems

    def test_files_that_extend_each_other_in_a_circle_fail(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "a/signature.txt.j2": "{% extends 'b/signature.txt.j2' %}", "b/signature.txt.j2": "{% extends 'a/signature.txt.j2' %}",
        }  # fmt: skip
        templates = load_templates(write_templates(tmp_path, files))
        with pytest.raises(RenderError, match="RecursionError"):
            render(templates, "a")


def mail(folder: Path, files: dict[str, str | bytes], subject: str = "Help", recipient: str = "") -> RenderedMail:
    header = f"From: Bo <bo@example.net>\r\nSubject: {subject}\r\nMessage-ID: <1@x>\r\n\r\nHi\r\n"
    context = StampContext({JANE.address: JANE}, "bo@example.net", NOW, {"name": "Example"})
    templates = load_templates(write_templates(folder, files))
    return render_mail(templates.template("t"), parse(header.encode()), context, recipient=recipient)


class TestMail:
    def test_subject_bodies_and_pictures(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "t/template.yaml": "subject: 'Re: {{ message.subject }} ({{ recipient.displayName }})'\npictures: [{file: a.png}]\nlocale: en_GB",
            "t/a.png": PNG,
            "t/signature.html.j2": '<p>{{ sender.address }}<img src="a.png" alt=""></p>',
        }
        done = mail(tmp_path, files, recipient=JANE.address)
        assert done.subject == "Re: Help (Jane Döe)"
        assert done.text == "bo@example.net"
        assert done.html.startswith('<!DOCTYPE html>\n<html lang="en-GB">')
        assert f'<p>bo@example.net<img src="cid:{done.pictures[0].cid}" alt=""></p>' in done.html

    def test_a_subject_is_one_line_of_bounded_length_and_not_escaped(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "t/template.yaml": "subject: |\n  A & B\n   {{ message.subject }}\n",
            "t/signature.txt.j2": "x",
        }
        assert mail(tmp_path, files).subject == "A & B Help"
        assert len(mail(tmp_path, files, subject="y" * 900).subject) == SUBJECT_MAX

    def test_without_subject_or_words(self, tmp_path: Path) -> None:
        assert mail(tmp_path, {"t/signature.txt.j2": "{% line %}{{ recipient.title }}{% endline %}"}) == (
            "",
            "",
            "",
            (),
        )

    @pytest.mark.parametrize("subject", ["{{ sendr.x }}", "{{ sender.x|safe }}", "{% if %}"])
    def test_a_bad_subject_is_told_at_load(self, tmp_path: Path, subject: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            mail(tmp_path, {"t/template.yaml": f"description: x\nsubject: '{subject}'", "t/signature.txt.j2": "x"})
        assert [str(problem).startswith(f"{tmp_path}/t/template.yaml:2:") for problem in caught.value.problems] == [
            True
        ]

    def test_who_knows_recipients_and_subjects(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "a/template.yaml": "subject: '{{ recipient.mail }}'", "a/signature.txt.j2": "x", "b/signature.txt.j2": "x",
        }  # fmt: skip
        templates = load_templates(write_templates(tmp_path, files))
        assert [templates.uses_recipient(name) for name in "ab"] == [True, False]
        assert [templates.has_subject(name) for name in "ab"] == [True, False]


class TestRegion:
    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ("locale: klingon", "t/template.yaml:1:9: no locale 'klingon' (write it as en_GB)"),
            ("timezone: London", "t/template.yaml:1:11: no time zone 'London' (did you mean 'Europe/London'?)"),
            (
                "country: Germany",
                "t/template.yaml:1:10: 'Germany' is no country (write two capital letters, such as GB)",
            ),
        ],
    )
    def test_a_template_s_is_checked(self, tmp_path: Path, settings: str, expected: str) -> None:
        files: dict[str, str | bytes] = {"t/template.yaml": settings, "t/signature.txt.j2": "x"}
        with pytest.raises(ConfigurationError) as caught:
            load_templates(write_templates(tmp_path, files))
        assert [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == [expected]

    def test_the_organisation_s_is_checked(self, tmp_path: Path) -> None:
        organisation = {"name": "x", "locale": "xx", "timezone": "", "country": "uk"}
        with pytest.raises(ConfigurationError) as caught:
            load_templates(write_templates(tmp_path, {"t/signature.txt.j2": "x"}), None, organisation)
        assert [problem.what for problem in caught.value.problems] == [
            "attribute country: 'uk' is no country", "attribute locale: no locale 'xx'",
        ]  # fmt: skip


class TestDirectoryDown:
    """Of somebody about whom the directory gives no answer, only the address is known."""

    def _context(self) -> StampContext:
        return StampContext(
            {JANE.address: UnansweredPerson(JANE.address, DirectoryDownError())}, JANE.address, NOW, {"name": "Example"}
        )

    @pytest.mark.parametrize(
        "source",
        ["{{ sender.title }}", "{{ manager.mail }}", "{{ sender|vcard }}", "x{% if sender.title %}{% endif %}"],
    )
    def test_what_needs_more_fails(self, tmp_path: Path, source: str) -> None:
        templates = load_templates(write_templates(tmp_path, {"t/signature.txt.j2": source}))
        with pytest.raises(RenderError, match="the directory gives no answer"):
            render_mail(templates.template("t"), parse(b"\r\n"), self._context())

    @pytest.mark.parametrize(
        "source", ["{{ organisation.name }}", "{{ now|date }} Example", "{{ message.subject }}Example"]
    )
    def test_what_does_not_is_rendered(self, tmp_path: Path, source: str) -> None:
        templates = load_templates(write_templates(tmp_path, {"t/signature.txt.j2": source}))
        assert "Example" in render_mail(templates.template("t"), parse(b"\r\n"), self._context()).text


@pytest.mark.parametrize("name", STAMPS)
class TestSamples:
    def test_they_are_short_and_readable_without_styles_and_pictures(self, name: str) -> None:
        done = render(load_templates(SAMPLES), name, sender=Person(JANE.address, attributes=JANE.attributes, photo=PNG))
        assert 20 < len(done.text) < 1_000
        assert len(done.html) < 5_000
        assert sum(len(picture.data) for picture in done.pictures) < 30_000

    def test_every_picture_has_an_alt_and_a_width_and_every_table_is_for_looks(self, name: str) -> None:
        done = render(load_templates(SAMPLES), name, sender=Person(JANE.address, attributes=JANE.attributes, photo=PNG))
        found = [(token.name, attributes(token.attributes)) for token in tokens(done.html) if token.kind == "open"]
        for element, given in found:
            if element == "img":
                assert given["alt"]
                assert given["width"].isdecimal()
            assert element != "table" or given["role"] == "presentation"
        assert found[0][1]["lang"] == "en"
        assert not list(warnings(done.html, done.text, done.pictures))
