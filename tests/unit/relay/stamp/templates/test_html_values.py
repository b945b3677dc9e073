# ruff: noqa: E501 - samples stand on one line
"""Values in links, styles and tags: sent through what keeps them harmless, or refused at load."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.config.problems import ConfigurationError
from mta.relay.stamp.templates.template_set import load_templates
from tests.unit.relay.stamp.samples import write_templates
from tests.unit.relay.stamp.templates.render_samples import html, person

SCRIPT = "javascript:alert(1)"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('<a href="{{ sender.v }}">', '<a href="">'),
        ("<a href='{{ sender.v }}'>", "<a href=''>"),
        ('<a HREF = "{{ sender.v }}">', '<a HREF = "">'),
        ('<a href="{% if sender.v %}{{ sender.v }}{% endif %}">', '<a href="">'),
        ('<a href="{% line %}{{ sender.v }}{% endline %}">', '<a href="">'),
        ('<a href="{{ sender.none }}{{ sender.v }}">', '<a href="">'),
        ('<a href="{% for x in [1] %}{{ sender.v }}{% endfor %}">', '<a href="">'),
        ('<a href="{% set y = sender.v %}{{ y }}">', '<a href="">'),
        ('{% set y = sender.v %}<a href="{{ y }}">', '<a href="">'),
        ('{% macro m(x) %}<a href="{{ x }}">{% endmacro %}{{ m(sender.v) }}', '<a href="">'),
        ('<a href="java{{ sender.tail }}">', '<a href="">'),
        ('<a title="x" class="y"href="{{ sender.v }}">', '<a title="x" class="y"href="">'),
        ('<!--[if mso]><v:rect href="{{ sender.v }}"><![endif]-->', '<!--[if mso]><v:rect href=""><![endif]-->'),
        ('<svg><a xlink:href="{{ sender.v }}"></svg>', '<svg><a xlink:href=""></svg>'),
        ('<a href="{{ sender.page }}">', '<a href="https://www.example.com">'),
        ('<a href="{{ sender.page }}/jobs">', '<a href="https://www.example.com/jobs">'),
        ('<a href="{% if sender.page %}{{ sender.page }}{% endif %}">', '<a href="https://www.example.com">'),
        ('<a href="{% if sender.none %}{{ sender.none }}{% else %}{{ sender.page }}{% endif %}">', '<a href="https://www.example.com">'),
        ('<a href="https://x.example/?q={{ sender.amp }}">', '<a href="https://x.example/?q=a&amp;b">'),
        ('<a href="{% if 1 %}{{ sender.page }}?{{ sender.amp }}{% endif %}">', '<a href="https://www.example.com?a&amp;b">'),
        ('<a href="mailto:{{ sender.two }}">', '<a href="mailto:a@b.example%3Fbcc=c@d.example">'),
        ('<p style="color: {{ sender.css }}">', '<p style="color: ">'),
        ('<p style="{% if 1 %}color: {{ sender.css }}{% endif %}">', '<p style="color: ">'),
        ('<p style="color: {{ sender.colour }}">', '<p style="color: #17707c">'),
        ("<!--[if mso]><p style='color: {{ sender.css }}'><![endif]-->", "<!--[if mso]><p style='color: '><![endif]-->"),
        ("<style>p { color: {{ sender.css }} }</style><b>x</b>", "<b>x</b>"),
        ("<style>p { color: {{ sender.colour }} }</style><p>x</p>", '<p style="color: #17707c;">x</p>'),
        ("<style>@media print { p { color: {{ sender.css }} } }</style><p>x</p>", "<style>@media print { p { color:  } }</style>\n<p>x</p>"),
    ],
)  # fmt: skip
def test_a_value_does_no_more_than_it_may(tmp_path: Path, source: str, expected: str) -> None:
    jane = person(
        v=SCRIPT, tail="script:alert(1)", page="www.example.com", amp="a&b", two="a@b.example?bcc=c@d.example",
        css="red; background: url(https://evil.example/x)", colour="#17707c",
    )  # fmt: skip
    assert html(tmp_path, source, sender=jane).html == expected


def test_a_line_around_a_link_vanishes_all_the_same(tmp_path: Path) -> None:
    source = '<p data-line><a href="{% if sender.v %}{{ sender.v }}{% endif %}{{ sender.none }}">x</a></p>y'
    assert html(tmp_path, source, sender=person(v="www.example.com")).html == "y"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p {{ sender.title }}>", "1:0: a value in a tag but not in quotes"),
        ("<p\nclass={{ sender.title }}>", "1:0: a value in a tag but not in quotes"),
        ("\n<{{ sender.title }}>", "2:0: a value in a tag but not in quotes"),
        ("</{{ sender.title }}>", "a value inside of a tag"),
        ("<!{{ sender.title }}>", "a value inside of a tag"),
        ("<p {% if 1 %}{{ sender.title }}{% endif %}>", "a value in a tag but not in quotes"),
        ("<!--[if mso]><p {{ sender.title }}><![endif]-->", "a value in a tag but not in quotes"),
        ('<a href="{% block x %}{% endblock %}">', "a block or another file inside of a tag"),
        ('<a href="{% include "_p/a.html.j2" %}">', "a block or another file inside of a tag"),
        ('<p onclick="x()">', "onclick: a script"),
        ('<a href="javascript:x()">', "a script in href"),
        ('<a href=" JavaScript:x()">', "a script in href"),
        ('<a href="data:text/html,x">', "a script in href"),
        ("<script src='x.js'></script>", "<script> in a signature"),
        ("<iframe src='https://x.example'></iframe>", "<iframe> in a signature"),
        ("<form action='https://x.example'></form>", "<form> in a signature"),
        ("<base href='https://x.example'>", "<base> in a signature (it would change where the message's own links lead)"),
        ("<p title='{{ sender.title }}", "<p has no end (close it)"),
    ],
)  # fmt: skip
def test_what_can_not_be_made_safe_is_refused(tmp_path: Path, source: str, expected: str) -> None:
    files: dict[str, str | bytes] = {"t/signature.html.j2": source, "_p/a.html.j2": "x"}
    with pytest.raises(ConfigurationError) as caught:
        load_templates(write_templates(tmp_path, files))
    assert any(expected in str(problem) for problem in caught.value.problems), caught.value.problems


class TestStylesOfOtherFiles:
    BASE = (
        "<style>.n { color: red } td { padding: 0 } a:hover { color: blue } [data-ogsc] .n { color: pink }</style>"
        '<table><tbody><tr><td class="n">{% block name %}a{% endblock %}</td></tr>{% block rows %}{% endblock %}</tbody></table>'
    )  # fmt: skip

    def test_blocks_of_a_file_that_extends_another_are_styled_as_its_own(self, tmp_path: Path) -> None:
        child = (
            '{% extends "base/signature.html.j2" %}{% block name %}<b class="n">{{ sender.v }}</b>{% endblock %}'
            '{% block rows %}<tr data-line><td class="n">{{ sender.v }}</td></tr>{% endblock %}'
        )
        files: dict[str, str | bytes] = {"../base/signature.html.j2": self.BASE}
        done = html(tmp_path, child, files, sender=person(v="x"))
        assert '<b class="n" style="color: red;">x</b>' in done.html
        assert done.html.count('<td class="n" style="color: red;padding: 0;">') + done.html.count(
            '<td class="n" style="padding: 0;color: red;">'
        ) == 2  # fmt: skip

    def test_what_means_something_in_a_style_sheet_only_stays_there(self, tmp_path: Path) -> None:
        done = html(tmp_path, self.BASE)
        assert "a:hover { color: blue }" in done.html
        assert "[data-ogsc] .n { color: pink }" in done.html

    def test_a_part_that_holds_the_style_sheet(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {"../_p/style.html.j2": "<style>p { color: red }</style>"}
        assert html(tmp_path, "{% include '_p/style.html.j2' %}<p>x</p>", files).html == '<p style="color: red;">x</p>'
