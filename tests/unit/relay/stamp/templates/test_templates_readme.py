"""`templates/README.md` names all that a template may use, and its examples give what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mta.relay.stamp.templates.banners import VALUES as BANNER_VALUES
from mta.relay.stamp.templates.check import MESSAGE_VALUES
from mta.relay.stamp.templates.filters.registry import OWN_FILTERS
from mta.relay.stamp.templates.settings import Banner, Campaign, PictureFile, Settings
from mta.relay.stamp.templates.template_set import load_templates
from mta.relay.stamp.templates.variables import CONTEXT
from tests.unit.relay.stamp.samples import JANE, NOW, SAMPLES, write_templates
from tests.unit.relay.stamp.templates.render_samples import PNG, person, render

README = (SAMPLES / "README.md").read_text()
SETTINGS = README.partition("```yaml\n")[2].partition("```")[0]
ROWS = [
    (write.replace("\\|", "|"), get)
    for write, get in re.findall(r"^\| `((?:\{\{|<img).+?)` \| (.+) \|$", README, re.MULTILINE)
]
REGION = "locale: en_GB\ncountry: GB\ncampaign: {source: email, medium: signature}\n"
MODELS = (Settings, PictureFile, Banner, Campaign)
KEYS = {field.alias or name for model in MODELS for name, field in model.model_fields.items()}
EXAMPLES = re.findall(r"(?m)^(?:    [^ s].*\n(?:    .*\n)*)", README.replace(SETTINGS, ""))
SAMPLE = ("corporate/signature.html.j2", "_parts/style.html.j2", "corporate/logo.png", "corporate/template.yaml")


@pytest.mark.parametrize("word", sorted({*OWN_FILTERS, *CONTEXT, *BANNER_VALUES, *MESSAGE_VALUES, *KEYS}))
def test_everything_is_explained(word: str) -> None:
    assert re.search(rf"(?m)(?:^|[`{{ |]){re.escape(word)}[`:.,( ]", README)


@pytest.mark.parametrize(("write", "get"), [row for row in ROWS if not row[0].startswith("<img")])
def test_examples_give_what_they_say(tmp_path: Path, write: str, get: str) -> None:
    files: dict[str, str | bytes] = {"t/signature.txt.j2": write, "t/template.yaml": REGION}
    assert render(load_templates(write_templates(tmp_path, files)), at=NOW).text == get


@pytest.mark.parametrize("write", [row[0] for row in ROWS if row[0].startswith("<img")])
def test_examples_of_pictures_show_one(tmp_path: Path, write: str) -> None:
    files: dict[str, str | bytes] = {
        "t/signature.html.j2": write, "t/nobody.png": PNG, "t/template.yaml": "pictures: [{file: nobody.png}]",
    }  # fmt: skip
    templates = load_templates(write_templates(tmp_path, files))
    assert len(render(templates, sender=person(PNG, displayName="Jane")).pictures) == 1


def test_there_are_examples() -> None:
    assert len(ROWS) >= 20


@pytest.mark.parametrize(
    ("example", "expected"),
    list(zip(EXAMPLES, ["T +44 20 7946 0101", "Have a good day!", "Example Sales Ltd"], strict=True)),
)
def test_indented_examples_are_templates(tmp_path: Path, example: str, expected: str) -> None:
    kind = "html" if "extends" in example else "txt"
    source = re.sub(r"(?m)^    ", "", example)
    files: dict[str, str | bytes] = {f"t/signature.{kind}.j2": source, "t/template.yaml": "extends: corporate"}
    files |= {file: (SAMPLES / file).read_bytes() for file in SAMPLE}
    done = render(load_templates(write_templates(tmp_path, files)), sender=JANE)
    assert expected in (done.html if kind == "html" else done.text)


def test_the_settings_are_settings(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"t/{name}.png": PNG for name in ("logo", "mark", "mark-dark", "winter")}
    files |= {"t/template.yaml": SETTINGS, "corporate/signature.txt.j2": "{{ sender.displayName }}"}
    templates = load_templates(write_templates(tmp_path, files))
    assert render(templates).text == JANE.attributes["displayName"]
    assert templates.has_subject("t")


def test_it_names_every_sample() -> None:
    for name in load_templates(SAMPLES).names():
        assert f"`{name}`" in README
