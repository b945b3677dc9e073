"""Templates that speak of records: for notices of tracking, and for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mta.config.problems import ConfigurationError
from mta.message.parse import parse
from mta.relay.decide.rules import load_rules
from mta.relay.decide.surroundings import Surroundings
from mta.relay.stamp.mail import RenderedMail, render_mail
from mta.relay.stamp.templates.template_set import RenderError, TemplateSet
from tests.unit.relay.stamp.samples import context, templates

RECORD: dict[str, Any] = {
    "record": {"title": "<b>Printer</b>", "fields": {"room": "12\r\nBcc: x"}},
    "note": {"text": "a b", "lines": ["a", "<i>b\u202e"], "attachments": []},
    "digest": {"total": "2", "records": [{"title": "One"}, {"title": "Two"}]},
}


def rendered(made: TemplateSet, **more: Any) -> RenderedMail:
    return render_mail(made.template("note"), parse(b"\r\n"), context(), more=more)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ record.title }}", "<b>Printer</b>"),
        ("{{ record.fields.room }}|{{ record.fields.other }}|{{ record.owner }}", "12, Bcc: x||"),
        ("{% for line in note.lines %}{{ line }};{% endfor %}", "a;<i>b;"),
        ("{% for row in digest.records %}{{ loop.index }}{{ row.title }} {% endfor %}", "1One 2Two"),
        ("{% if note.attachments %}files{% else %}none{% endif %}", "none"),
    ],
)
def test_values_are_lines_and_lists_of_them(tmp_path: Path, source: str, text: str) -> None:
    mail = rendered(templates(tmp_path, note=source), **RECORD)
    assert mail.text == text
    assert "<b>Printer" not in mail.html
    assert "<i>" not in mail.html


def test_a_note_that_is_not_there_is_false(tmp_path: Path) -> None:
    made = templates(tmp_path, note="{% if note %}{{ note.text }}{% else %}nothing{% endif %}")
    assert rendered(made, note={}).text == "nothing"


def test_a_mail_of_the_relay_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="'record' is undefined"):
        rendered(templates(tmp_path, note="{{ record.title }}"))


def test_unknown_values_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown value record\.titel"):
        templates(tmp_path, note="{{ record.titel }}")


@pytest.mark.parametrize("action", ["stamp: {template: note}", "notify: {template: note, to: [a@example.com]}"])
def test_a_rule_of_the_relay_cannot_use_it(tmp_path: Path, action: str) -> None:
    made = templates(tmp_path / "templates", note="{{ record.title }}")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "1.yaml").write_text(f"rules: [{{name: a, actions: [{{{action}}}]}}]")
    with pytest.raises(
        ConfigurationError, match="template 'note' speaks of records, of which only business rules know"
    ):
        load_rules(tmp_path / "rules", Surroundings(templates=made))
