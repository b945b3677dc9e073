# ruff: noqa: E501 - samples stand on one line
"""No directory value, however strange, does more in a template than stand where it is printed."""

from __future__ import annotations

import html as entities
import re
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.html.scan import attributes, tokens
from mta.message.parse import parse
from mta.model.person import Person
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.mail import RenderedMail, render_mail
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from tests.unit.relay.stamp.samples import JANE, NOW, write_templates

PIECES = [
    "<", ">", '"', "'", "&", "`", "--", "-->", "{{ 7*7 }}", "{% raw %}", "#}", "\r\n", "\n\n", "\x00", "\u2028", "\u202e", "\ud800", "\ufeff",
    "javascript:", "JaVa\tScript:alert(1)", "data:text/html,", "vbscript:", "https://x.example/", "//", "\\", "url(", ")", ";", ":", "}", "{",
    "expression(", "/*", "*/", "behavior", "?bcc=", "&body=", "%0d%0a", "END:VCARD", "Bcc: x", "&#106;avascript:", "x" * 50, " ",
]  # fmt: skip
VALUES = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
SOURCE = """
<style>.a { color: {{ sender.v }} } @media (max-width: 1px) { .a { color: {{ sender.v }} } }</style>
<!-- {{ sender.v }} --><!--[if mso]><a href="{{ sender.v }}" style="color: {{ sender.v }}">x</a><![endif]-->
<p class="a" title="{{ sender.v }}" style="width: 1px; color: {{ sender.v }}; height: 2px">{{ sender.v }}</p>
<a href="{{ sender.v }}">1</a><a href="{% if sender.v %}{{ sender.v }}{% endif %}">2</a><a href='{{ sender.v }}{{ sender.v }}'>3</a>
<a href="{{ sender.v|link(content=sender.v) }}">4</a><a href="https://e.example/{{ sender.v }}">5</a><a href="mailto:{{ sender.v }}?subject=x">6</a>
<a href="{{ sender.v|phone('rfc3966') }}">7</a><a href=" {{ sender.v|default('') }}/x">8</a><a href="{{ sender.v|upper }}">9</a>
<img src="{{ sender.v }}" alt="{{ sender.v }}"><img src="{{ sender.v|qr }}" alt=""><img src="{{ sender|qr }}" alt="">
<b>{{ sender.v|date }}{{ sender.v|days_until }}{{ sender.v|phone }}{{ sender.v|striptags }}{{ sender.v|title|truncate(9) }}</b>
{% set x %}{{ sender.v }}{% endset %}<i lang="{{ x }}">{{ x }}{{ x|replace("<", "&lt;") }}</i>
"""
TAGS = ["style", "", "", "p", "p", *["a"] * 18, "img", "img", "img", "b", "b", "i", "i"]
SCRIPT = re.compile(r"[\x00-\x20]*(?:javascript|vbscript|data)[\x00-\x20]*:", re.IGNORECASE)


@cache
def chosen() -> TemplateSet:
    files: dict[str, str | bytes] = {
        "t/signature.html.j2": SOURCE,
        "t/signature.txt.j2": "[{{ sender.v }}]\na{{ sender.v|link }}\nb{{ sender.v|date }}\n|",
        "t/template.yaml": "subject: 'Re: {{ sender.v }}'\ncampaign: {source: mail}\n",
    }
    return load_templates(write_templates(Path(mkdtemp()), files))


def rendered(value: str) -> RenderedMail:
    jane = Person(JANE.address, attributes={"v": value, "displayName": value, "title": value, "telephoneNumber": value})
    message = parse(b"From: jane.doe@example.com\r\nMessage-ID: <1@x>\r\n\r\nHi\r\n")
    return render_mail(chosen().template("t"), message, StampContext({JANE.address: jane}, JANE.address, NOW))


@given(VALUES)
@settings(max_examples=400, deadline=None)
def test_whatever_is_printed_all_else_stays_as_it_is(value: str) -> None:
    mail = rendered(value)
    html_keeps_its_shape(mail.html)
    conditional_comments_too(mail.html)
    text_keeps_its_lines_and_the_subject_is_one(mail)


def html_keeps_its_shape(html: str) -> None:
    body = html.partition("<body>\n")[2].partition("\n</body>")[0]
    found = list(tokens(body))
    assert [token.name for token in found if (token.name, token.kind) != ("style", "close")] == TAGS
    for token in found:
        given_attributes = attributes(token.attributes)
        assert set(given_attributes) <= {"class", "title", "style", "href", "src", "alt", "lang"}
        for name in ("href", "src"):
            assert not SCRIPT.match(entities.unescape(given_attributes.get(name, "")))
        style = entities.unescape(given_attributes.get("style", ""))
        assert len([part for part in style.split(";") if part.strip()]) in (0, 2, 3)
        assert "url(" not in style.lower()
    sheet = body[found[0].start : found[1].start]
    assert (sheet.count("{"), sheet.count("}")) == (2, 2)
    mailto = next(
        a["href"] for a in (attributes(t.attributes) for t in found) if a.get("href", "").startswith("mailto:")
    )
    assert mailto.count("?") == 1
    assert "&" not in mailto


def conditional_comments_too(html: str) -> None:
    comment = re.search(r"<!--\[if mso\]>(.*?)<!\[endif\]-->", html, re.DOTALL)
    assert comment is not None
    (link, _) = tokens(comment[1])
    found = attributes(link.attributes)
    assert set(found) == {"href", "style"}
    assert not SCRIPT.match(entities.unescape(found["href"]))
    assert ";" not in entities.unescape(found["style"])


def text_keeps_its_lines_and_the_subject_is_one(mail: RenderedMail) -> None:
    assert len(mail.text.splitlines()) == 4
    assert len(mail.subject.splitlines()) == 1
    assert mail.subject.startswith("Re:")
    mail.subject.encode()
    mail.html.encode()


@given(st.text(min_size=1000, max_size=5000))
@settings(max_examples=10, deadline=None)
def test_long_values_are_cut(value: str) -> None:
    mail = rendered(value * 20)
    assert len(mail.html) < 400_000
    assert len(mail.subject) <= 500
