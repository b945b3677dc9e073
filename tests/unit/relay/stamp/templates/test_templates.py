# ruff: noqa: E501 - samples stand on one line
from __future__ import annotations

from pathlib import Path

import pytest

from mta.config.problems import ConfigurationError
from mta.model.person import Person
from mta.relay.stamp.templates.template_set import load_templates
from tests.unit.relay.stamp.samples import (
    JANE,
    SAMPLES,
    alternative,
    context,
    html,
    outcome,
    plain,
    stamp,
    stamped,
    without_bookmark,
    write_templates,
)  # fmt: skip

ATTRIBUTES = frozenset(
    ["displayName", "givenName", "sn", "title", "department", "company", "telephoneNumber", "mobile", "streetAddress", "l", "postalCode", "wWWHomePage"]
)  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def rendered(folder: Path, files: dict[str, str | bytes], person: Person = JANE, name: str = "t") -> tuple[str, str]:
    """What the template adds to HTML and to plain text."""
    chosen = load_templates(write_templates(folder, files))
    in_html = stamped(html("<p>Hi</p>\n"), [stamp(name)], chosen, context(person)).decode()
    in_text = stamped(plain("Hi\n"), [stamp(name)], chosen, context(person)).decode()
    added = without_bookmark(in_html).partition("<p>Hi</p>")[2].strip().partition(">")[2].removesuffix("</div>")
    return added.replace("\r\n", "\n").strip(), in_text.partition("\r\n\r\nHi")[2].replace("\r\n", "\n").strip()


def problems(folder: Path, files: dict[str, str | bytes], **known: frozenset[str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_templates(write_templates(folder, files), **known)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def without(*names: str) -> Person:
    return Person(JANE.address, attributes={k: v for k, v in JANE.attributes.items() if k not in names})


class TestSamples:
    def test_they_load_and_use_only_what_a_directory_has(self) -> None:
        chosen = load_templates(SAMPLES, ATTRIBUTES, frozenset(("name",)))
        assert {"corporate", "compact"} <= chosen.names()
        assert not chosen.uses_recipient("corporate")
        assert {"sender.displayName", "sender.telephoneNumber"} <= chosen.variables("compact")

    @pytest.mark.parametrize("name", ["corporate", "compact", "banner"])
    def test_lines_without_a_value_vanish(self, name: str) -> None:
        chosen = load_templates(SAMPLES)
        source = alternative("Hi\n", "<p>Hi</p>\n")
        full = stamped(source, [stamp(name)], chosen).decode()
        bare = stamped(source, [stamp(name)], chosen, context(without("telephoneNumber", "title"))).decode()
        assert full.count("+44 20 7946 0101") == 2
        assert "tel:" in full
        assert "tel:" not in bare
        assert "Account Manager" not in bare
        assert bare.count("Jane D") == 2

    def test_the_logo_goes_with_it(self) -> None:
        done = stamped(html("<p>Hi</p>\n"), [stamp("corporate")], load_templates(SAMPLES))
        assert done.count(b"Content-ID: <logo-") == 1
        assert done.count(b'src="cid:logo-') == 1

    def test_a_sender_without_a_name_gets_none(self) -> None:
        done = outcome(plain("Hi\n"), [stamp("corporate")], load_templates(SAMPLES), context(without("displayName")))
        assert done.edits == ()
        assert done.failed[0].error == "corporate/signature.html.j2:16: sender.displayName has no value"


class TestLines:
    TEXT = (
        "{{ sender.displayName }}\n{% line %}T {{ sender.telephoneNumber }}{% endline %}\n"
        "{% line %}\nM {{ sender.mobile }}\n{% endline %}\nend{% line %}, {{ sender.fax }}{% endline %}\nlast"
    )

    def test_in_text_no_empty_lines_stay(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {"t/signature.txt.j2": self.TEXT}
        assert rendered(tmp_path, files)[1] == "Jane Döe\nT +44 20 7946 0101\nend\nlast"

    def test_in_text_lines_with_values_stay_whole(self, tmp_path: Path) -> None:
        person = Person(JANE.address, attributes={**JANE.attributes, "mobile": "1", "fax": "2"})
        files: dict[str, str | bytes] = {"t/signature.txt.j2": self.TEXT}
        assert rendered(tmp_path, files, person)[1] == "Jane Döe\nT +44 20 7946 0101\nM 1\nend, 2\nlast"

    def test_a_blank_line_behind_a_line_stays(self, tmp_path: Path) -> None:
        source = "a\n{% line %}{{ sender.title }}{% endline %}\n\nb"
        assert rendered(tmp_path, {"t/signature.txt.j2": source})[1] == "a\nAccount Manager\n\nb"

    def test_any_of_several_values_and_filters_count(self, tmp_path: Path) -> None:
        source = (
            "{% line %}{{ sender.title }}, {{ sender.mobile }}{% endline %}\n"
            "{% line %}{{ sender.mobile|default('')|upper }}{% endline %}\n"
            "{% line %}{{ sender.mobile or sender.title }}{% endline %}\n"
        )
        assert rendered(tmp_path, {"t/signature.txt.j2": source})[1] == "Account Manager"

    def test_what_a_branch_does_not_print_does_not_count(self, tmp_path: Path) -> None:
        source = (
            "{% line %}{% if sender.mobile %}{{ sender.mobile }}{% else %}{{ sender.title }}{% endif %}{% endline %}"
        )
        assert rendered(tmp_path, {"t/signature.txt.j2": source})[1] == "Account Manager"

    def test_a_line_in_a_line_looks_after_itself(self, tmp_path: Path) -> None:
        source = "{% line %}{{ sender.title }}{% line %}, {{ sender.mobile }}{% endline %}{% endline %}"
        assert rendered(tmp_path, {"t/signature.txt.j2": source})[1] == "Account Manager"

    def test_an_element_with_data_line(self, tmp_path: Path) -> None:
        source = (
            "<table><tr data-line><td>T</td><td>{{ sender.telephoneNumber }}</td></tr>"
            "<tr class='x' data-line=''><td><table><tr><td>{{ sender.mobile }}</td></tr></table></td></tr></table>"
            '<img data-line src="https://example.com/{{ sender.mobile }}.png">'
        )
        added, _ = rendered(tmp_path, {"t/signature.html.j2": source})
        assert added == "<table><tr><td>T</td><td>+44 20 7946 0101</td></tr></table>"

    def test_an_element_that_never_ends(self, tmp_path: Path) -> None:
        found = problems(tmp_path, {"t/signature.html.j2": "<p>\n<b data-line>{{ sender.title }}\n</p>"})
        assert found == ["t/signature.html.j2:2:0: <b data-line> has no </b> (close the element)"]


class TestMissingValues:
    def test_defaults_stand_for_missing_and_empty_values(self, tmp_path: Path) -> None:
        person = Person(JANE.address, attributes={"title": "  "})
        files: dict[str, str | bytes] = {
            "t/signature.txt.j2": "{{ sender.title }} {{ sender.l }}",
            "t/template.yaml": "defaults: {sender.title: Staff, sender.l: Vienna}\n",
        }
        assert rendered(tmp_path, files, person)[1] == "Staff Vienna"

    @pytest.mark.parametrize("settings", ["required: [sender.mobile]", "on_missing: error"])
    def test_a_value_that_has_to_be(self, tmp_path: Path, settings: str) -> None:
        files = {"t/signature.txt.j2": "{{ sender.mobile }}", "t/template.yaml": settings}
        done = outcome(plain("Hi\n"), [stamp("t")], load_templates(write_templates(tmp_path, files)))
        assert [failed.error for failed in done.failed] == ["t/signature.txt.j2:1: sender.mobile has no value"]
        assert done.edits == ()

    def test_default_wants_one_for_each_value(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "t/signature.txt.j2": "{{ sender.title }}\n{{ sender.mobile }}",
            "t/template.yaml": "on_missing: default\ndefaults: {sender.title: Staff}",
        }
        assert problems(tmp_path, files) == [
            "t/signature.txt.j2:2:0: sender.mobile has no default in template t "
            "(add it to defaults in template.yaml, or choose on_missing: empty)"
        ]


class TestContext:
    def test_everything_that_a_template_can_see(self, tmp_path: Path) -> None:
        source = (
            "{{ manager.displayName }}|{{ organisation.colour }}|{{ message.subject }}|{{ message.message_id }}|"
            "{{ rule.name }}|{{ now.strftime('%Y-%m-%d') }}|{{ sender.mail }}|{{ sender['title'] }}|{{ recipient.mail }}|"
        )
        chosen = load_templates(write_templates(tmp_path, {"t/signature.txt.j2": source}))
        result = stamped(plain("Hi\n"), [stamp("t", rule="r1")], chosen, context(colour="teal")).decode()
        expected = "Maria Gruber|teal|Offer|<1@example.com>|r1|2026-11-22|jane.doe@example.com|Account Manager||"
        assert expected in result

    def test_renderings_that_are_kept_follow_the_directory(self, tmp_path: Path) -> None:
        chosen = load_templates(write_templates(tmp_path, {"t/signature.txt.j2": "{{ sender.title }}{{ rule.name }}"}))
        for title in ("Clerk", "Director"):
            person = Person(JANE.address, attributes={"title": title})
            for rule in ("a", "b"):
                result = stamped(plain("Hi\n"), [stamp("t", rule=rule)], chosen, context(person))
                assert f"{title}{rule}".encode() in result


class TestFiles:
    def test_includes_and_inheritance_within_the_folder(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "_parts/base.html.j2": "<div>{% block name %}{% endblock %}{% include '_parts/to.html.j2' %}</div>",
            "_parts/to.html.j2": "<i>{{ recipient.mail }}{{ sender.l }}</i>",
            "t/signature.html.j2": "{% extends '_parts/base.html.j2' %}{% block name %}<b>{{ sender.title }}</b>{% endblock %}",
        }
        chosen = load_templates(write_templates(tmp_path, files))
        assert chosen.names() == {"t"}
        assert chosen.uses_recipient("t")
        assert chosen.variables("t") == {"recipient.mail", "sender.l", "sender.title"}
        first = chosen.uses("t")[0]
        assert (first.value, first.file, first.line) == ("recipient.mail", "_parts/to.html.j2", 1)
        assert rendered(tmp_path, files)[0] == "<div><b>Account Manager</b><i></i></div>"

    @pytest.mark.parametrize("name", ["../secret.html.j2", "/etc/passwd.html.j2", "nope.html.j2"])
    def test_no_file_outside_of_it(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "secret.html.j2").write_text("secret")
        found = problems(tmp_path / "in", {"t/signature.html.j2": f"\n{{% include '{name}' %}}"})
        mend = "write its path from the templates folder"
        assert found == [f"t/signature.html.j2:2:0: no file {name!r} ({mend})"]

    def test_no_link_out_of_it(self, tmp_path: Path) -> None:
        (tmp_path / "secret.html.j2").write_text("secret")
        write_templates(tmp_path / "in", {"t/signature.txt.j2": "x"})
        (tmp_path / "in" / "t" / "signature.html.j2").symlink_to(tmp_path / "secret.html.j2")
        found = problems(tmp_path / "in", {})
        assert found == ["t/signature.html.j2:0:0: leads out of the templates folder (copy the file)"]

    def test_text_can_not_bring_unescaped_values_into_html(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "_p/a.txt.j2": "{{ sender.title }}", "t/signature.html.j2": "{% include '_p/a.txt.j2' %}",
        }  # fmt: skip
        assert "not of the same kind" in problems(tmp_path, files)[0]

    def test_text_is_made_from_html(self, tmp_path: Path) -> None:
        source = (
            "<p>{{ sender.displayName }}<br>{{ sender.title }}</p><table><tr><td>T</td><td>1&nbsp;2</td></tr></table>"
            '<p><a href="https://example.com/x">Our <b>site</b></a> &amp; more</p>'
        )
        expected = "Jane Döe\nAccount Manager\n\nT 1 2\n\nOur site <https://example.com/x> & more"
        assert rendered(tmp_path, {"t/signature.html.j2": source})[1] == expected

    def test_html_is_made_from_text(self, tmp_path: Path) -> None:
        source = "{{ sender.displayName }}\n<{{ sender.title }}>"
        expected = "Jane Döe<br>\n&lt;Account Manager&gt;"
        assert rendered(tmp_path, {"t/signature.txt.j2": source})[0] == expected


class TestStyles:
    def test_css_is_inlined_around_jinja(self, tmp_path: Path) -> None:
        source = (
            "<style>.n { color: {{ organisation.colour }} } td { padding: 0 }\n"
            "@media (prefers-color-scheme: dark) { .n { color: #fff !important } }</style>\n"
            '<table>{% for x in [1, 2] %}<tr><td class="n">{{ x }}{{ "}}" if x > 1 }}</td></tr>{% endfor %}</table>'
        )
        chosen = load_templates(write_templates(tmp_path, {"t/signature.html.j2": source}))
        done = stamped(html("<p>Hi</p>\n"), [stamp("t")], chosen, context(colour="#123456")).decode()
        cell = '<td class="n" style="padding: 0;color: #123456;">'
        assert f"<table><tr>{cell}1</td></tr><tr>{cell}2}}}}</td></tr></table>" in without_bookmark(done)
        assert "<style>@media (prefers-color-scheme: dark) { .n { color: #fff !important } }</style>" in done

    def test_html_that_the_inliner_would_change_is_refused(self, tmp_path: Path) -> None:
        source = "<style>td { color: red }</style>\n<p><div>{{ sender.title }}</p></div>"
        found = problems(tmp_path, {"t/signature.html.j2": source})
        assert found[0].startswith("t/signature.html.j2:1:0: CSS can't be inlined into HTML that isn't well-formed")

    def test_line_numbers_survive(self, tmp_path: Path) -> None:
        source = "<style>\np { color: red }\n</style>\n<p {% if sender.title %}class='a'{% endif %}>x</p>"
        found = problems(tmp_path, {"t/signature.html.j2": source})
        assert found == [
            "t/signature.html.j2:4:0: {% … %} between attributes (put it inside the value of an attribute)"
        ]


class TestProblems:
    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"t/signature.txt.j2": "a\n{{ sendr.title }}"}, "t/signature.txt.j2:2:0: unknown name 'sendr'"),
            ({"t/signature.txt.j2": "a\n\n{{ sender.titel }}"}, "t/signature.txt.j2:3:0: unknown value sender.titel"),
            ({"t/signature.txt.j2": "{{ sender.Title }}"}, "unknown value sender.Title (write sender.title)"),
            ({"t/signature.txt.j2": "{{ message.body }}"}, "unknown value message.body"),
            ({"t/signature.txt.j2": "{{ organisation.vat }}"}, "unknown value organisation.vat"),
            ({"t/signature.txt.j2": "a\n{% if %}"}, "t/signature.txt.j2:2:0: Expected an expression"),
            ({"t/signature.txt.j2": "{% import 'x' as y %}"}, "import is not available (use include or extends)"),
            ({"t/signature.txt.j2": "{% include rule.name %}"}, "a file name that isn't written out"),
            ({"t/signature.html.j2": "{% autoescape false %}{% endautoescape %}"}, "autoescape can't be changed"),
            ({"t/signature.html.j2": "{{ sender.title|safe }}"}, "No filter named 'safe'. (values are always escaped)"),
            ({"t/signature.html.j2": "<p>\n<a href={{ sender.title }}>"}, "t/signature.html.j2:2:0: a value in a tag but not in quotes"),
            ({"t/signature.html.j2": "<script>x</script>"}, "<script> in a signature (no mail program runs scripts)"),
            ({"t/signature.html.j2": "<html><body>x</body></html>"}, "<body> in a signature"),
            ({"t/signature.html.j2": "<p title='x"}, "<p has no end (close it)"),
            ({"t/signature.html.j2": "\n<img src='logo.png'>"}, "t/signature.html.j2:2:0: no picture 'logo.png'"),
            ({"t/signature.html.j2": "<img src='cid:logo'>"}, "no picture cid:logo in template t"),
            ({"t/readme.txt": "x"}, "t:0:0: no template in this folder"),
            ({"a b/signature.txt.j2": "x"}, "'a b' can't name a template"),
            ({"a--b/signature.txt.j2": "x"}, "'a--b' can't name a template"),
            ({"t/signature.txt.j2": b"a\n\xff"}, "t/signature.txt.j2:2:0: not UTF-8"),
            ({"t/part.j2": "x", "t/signature.txt.j2": "x"}, "neither HTML nor text by its name"),
            ({"t/signature.txt.j2": "x", "t/template.yaml": "pictures: []\nonce: x\n"}, "t/template.yaml:2:1: "),
            (
                {"t/signature.txt.j2": "x", "t/template.yaml": "pictures:\n  - file: ../x.png\n"},
                "t/template.yaml:2:11: no picture '../x.png' here",
            ),
            (
                {"t/signature.txt.j2": "x", "t/x.png": b"MZ", "t/template.yaml": "pictures:\n  - file: x.png\n"},
                "'x.png' is no picture for mail",
            ),
            (
                {"t/signature.txt.j2": "x", "t/template.yaml": "defaults:\n  title: x\n"},
                "t/template.yaml:2:3: 'title' names no value",
            ),
            (
                {"t/signature.txt.j2": "x", "t/template.yaml": "required: [sender.nose]\n"},
                "t/template.yaml:1:12: unknown value sender.nose",
            ),
        ],
    )  # fmt: skip
    def test_each_is_told_with_its_place(self, tmp_path: Path, files: dict[str, str | bytes], expected: str) -> None:
        found = problems(tmp_path, files, attributes=ATTRIBUTES, organisation=frozenset(("colour",)))
        assert any(expected in problem for problem in found), found

    def test_all_are_told_at_once(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {"a/signature.txt.j2": "{{ x }}", "b/signature.html.j2": "<p>{{ y }}\n{{ z }}"}
        assert len(problems(tmp_path, files)) == 3

    def test_no_folder(self, tmp_path: Path) -> None:
        assert "the templates folder can't be read" in problems(tmp_path / "none" / "x", {})[0]

    def test_nothing_is_checked_that_is_not_known(self, tmp_path: Path) -> None:
        files = {"t/signature.txt.j2": "{{ sender.extensionAttribute1 }}{{ organisation.anything }}"}
        assert load_templates(write_templates(tmp_path, files)).names() == {"t"}


def test_pictures_are_called_by_file_or_cid(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "t/signature.html.j2": "<img src='a.png'>{% if sender.mobile %}<img src=\"cid:b\">{% endif %}",
        "t/template.yaml": "pictures: [{file: a.png}, {file: b.png, cid: b}]",
        "t/a.png": PNG,
        "t/b.png": PNG + b"b",
    }
    done = stamped(html("<p>Hi</p>\n"), [stamp("t")], load_templates(write_templates(tmp_path, files)))
    assert done.count(b'src="cid:a-') == 1
    assert done.count(b"Content-ID: <a-") == 1
    assert b"Content-ID: <b-" not in done  # not shown, not sent
