# ruff: noqa: E501 - samples stand on one line
"""What a template may not reach, and what it may not use up."""

from __future__ import annotations

from pathlib import Path

import pytest
from markupsafe import escape

from mta.config.problems import ConfigurationError
from mta.message.html.scan import attributes, tokens
from mta.model.person import Person
from mta.relay.stamp.templates.filters.links import url
from mta.relay.stamp.templates.filters.phones import tel
from mta.relay.stamp.templates.rendering import TEXT_MAX
from mta.relay.stamp.templates.template_set import load_templates
from tests.unit.relay.stamp.samples import (
    JANE,
    context,
    outcome,
    plain,
    stamp,
    stamped,
    templates,
    without_bookmark,
    write_templates,
)

ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ sender.__class__.__mro__ }}",
    "{{ sender.look_up.__globals__ }}",
    "{{ now.__reduce__() }}",
    "{{ ('%s' % sender) }}",
    "{{ '{0.__class__}'.format(sender) }}",
    "{{ now.strftime.__self__ }}",
    "{{ range.__call__ }}",
    "{{ stampline_budget }}",
    "{{ self.__init__.__globals__ }}",
    "{{ ['a']|map(attribute='__class__')|list }}",
    "{{ 'a'.join(['b']) }}",
    "{{ sender }}",
    "{% for x in [1] recursive %}{{ loop.__init__ }}{% endfor %}",
]
BOMBS = [
    "{% for a in range(10**9) %}x{% endfor %}",
    "{{ range(1000000000)|list|length }}",
    "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
    "{{ 'a' * 1000000000 }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.center(1000000000) }}",
    "{{ 9 ** 99999999 }}",
    "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40 + "{{ a }}",
    "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a|replace('x', 'xxxxxxxx') %}" * 40 + "{{ a }}",
    "{% set a = 99999 %}" + "{% set a = a * a %}" * 40 + "{{ a }}",
    "{% for a in range(2000) %}{{ a|qr }}{% endfor %}",
    "{{ now|date('" + "y" * 90 + "') }}",
    "{{ ['a']|choose(by=sender.info) }}",
    "{{ 'x' * 1000 }}{% for a in range(2000) %}{{ 'y' }}{% endfor %}",
    "{% set s = 'x' %}" + "{% set s = s ~ s %}" * 16 + "{{ range(2000)|join(s)|length }}",
    "{% set l = [1] %}" + "{% set l = [l, l]|sum(start=[]) %}" * 24 + "{{ l|length }}",
    "{% set l = ['x'] %}" + "{% set l = [l, l] %}" * 24 + "{{ l }}",
    "{% set l = 'x', 'y' %}" + "{% set l = l, l %}" * 24 + "{{ l }}",
    "{% set l = {'a': 1} %}" + "{% set l = {'a': l, 'b': l} %}" * 24 + "{{ l }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1, varargs, varargs) }}{% else %}{{ varargs }}{% endif %}{% endmacro %}{{ m(24) }}",
]


def refused(folder: Path, source: str) -> str:
    """Why the template does nothing: at load or when it is rendered."""
    try:
        chosen = templates(folder, evil=source)
    except ConfigurationError as exc:
        return str(exc)
    done = outcome(plain("Hello\n"), [stamp("evil")], chosen)
    assert done.edits == ()
    return done.failed[0].error


@pytest.mark.parametrize("source", ESCAPES)
def test_no_way_out(tmp_path: Path, source: str) -> None:
    assert refused(tmp_path, source)


@pytest.mark.parametrize("source", BOMBS)
def test_bombs_are_stopped(tmp_path: Path, source: str) -> None:
    assert refused(tmp_path, source)


@pytest.mark.parametrize("name", ["safe", "random", "attr", "center", "tojson", "format", "xmlattr"])
def test_filters_that_are_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"No filter named '{name}'"):
        templates(tmp_path, evil="{{ sender.title|" + name + " }}")


def test_lists_of_pairs_are_allowed(tmp_path: Path) -> None:
    source = "{% for name, n in [('T', 1), ('M', 2)] %}{{ name }}{{ n }}{% endfor %} {{ [1, 2]|sum }}{{ ['a', 'b']|join('-') }}"
    assert b"T1M2 3a-b" in stamped(plain("Hello\n"), [stamp("pairs")], templates(tmp_path, pairs=source))


def test_as_much_as_a_signature_needs_is_allowed(tmp_path: Path) -> None:
    source = "{% for n in range(500) %}{{ loop.index }} {% endfor %}{{ sender.displayName|upper }} {{ now.year + 1 }}"
    done = outcome(plain("Hello\n"), [stamp("long")], templates(tmp_path, long=source))
    assert done.failed == ()
    assert TEXT_MAX > 50_000


@pytest.mark.parametrize(
    "value",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='x",
        "{{ 7*7 }}",
        "</div></body>",
        "-->",
    ],
)
def test_directory_values_never_add_markup(tmp_path: Path, value: str) -> None:
    files = {
        "t/signature.html.j2": (
            "<p title=\"{{ sender.title }}\" lang='{{ sender.title }}'>{{ sender.title }}</p><!-- {{ sender.title }} -->"
        ),
        "t/signature.txt.j2": "{{ sender.title }}",
    }
    chosen = load_templates(write_templates(tmp_path, files))
    person = Person(JANE.address, attributes={"title": value})
    source = b"Content-Type: text/html\r\n\r\n<body><p>Hello</p></body>\r\n"
    result = stamped(source, [stamp("t")], chosen, context(person)).decode()
    assert result.count(str(escape(value))) == 4
    assert (result.count("<p"), result.count("</body>"), result.count("<!--"), result.count("-->")) == (2, 1, 1, 1)
    assert [token.name for token in tokens(result)] == ["body", "p", "p", "div", "p", "a", "a", "p", "", "div", "body"]
    assert set(attributes(next(t for t in tokens(result) if "title" in t.attributes).attributes)) == {"title", "lang"}


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_directory_values_never_break_lines_in_text(tmp_path: Path, end: str) -> None:
    chosen = templates(tmp_path, t="[{{ sender.streetAddress }}]")
    person = Person(JANE.address, attributes={"streetAddress": f" 1 Sample Street {end} Floor 2{end}"})
    result = stamped(plain("Hello\n"), [stamp("t")], chosen, context(person)).decode()
    assert "[1 Sample Street, Floor 2]" in result


def test_direction_and_control_characters_vanish(tmp_path: Path) -> None:
    chosen = templates(tmp_path, t="[{{ sender.title }}]")
    person = Person(JANE.address, attributes={"title": "CE\u202eO\x00 \x1b[1m\ud800"})
    assert "[CEO [1m]" in stamped(plain("Hello\n"), [stamp("t")], chosen, context(person)).decode()


def test_a_value_can_not_become_a_script_in_a_link(tmp_path: Path) -> None:
    write_templates(tmp_path, {"t/signature.html.j2": '<a href="{{ sender.wWWHomePage }}">x</a>'})
    person = Person(JANE.address, attributes={"wWWHomePage": "javascript:alert(1)"})
    source = b"Content-Type: text/html\r\n\r\n<p>Hello</p>\r\n"
    done = stamped(source, [stamp("t")], load_templates(tmp_path), context(person)).decode()
    assert '<a href="">x</a>' in without_bookmark(done)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("www.example.com", "https://www.example.com"),
        ("HTTP://example.com/a?b", "HTTP://example.com/a?b"),
        ("example.com:8443/x", "https://example.com:8443/x"),
        ("mailto:a@example.com", "mailto:a@example.com"),
        ("JaVaScript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("vbscript:x", ""),
        ("//evil.example", ""),
        ("", ""),
    ],
)
def test_url(value: str, expected: str) -> None:
    assert url(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("+44 (0)20 7946-0101", "+442079460101"), ("020 7946 0101 ext. 12", "02079460101"), ("", "")],
)
def test_tel(value: str, expected: str) -> None:
    assert tel(value) == expected
