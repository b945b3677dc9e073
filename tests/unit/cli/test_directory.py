"""`stampline directory`: people as templates see them, and who lacks what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mta.cli import main
from tests.unit.cli.installation import demonstration


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The demonstration with two templates of which all is known."""
    path = demonstration(tmp_path)
    templates = tmp_path / "templates"
    for name, text in (
        ("one", "{{ sender.mobile }} {{ sender.mail }} {{ organisation.name }} {{ recipient.title }}\n"),
        ("two", "{{ manager.title }} {{ sender.title }}\n"),
    ):
        (templates / name).mkdir()
        (templates / name / "signature.txt.j2").write_text(text)
    (templates / "two" / "template.yaml").write_text("defaults: {sender.title: Staff}\n")
    rule = "rules:\n  - name: signs\n    actions: [{stamp: {template: one}}]\n"
    (tmp_path / "rules" / "90-more.yaml").write_text(rule)
    return path


def run(config: Path, *arguments: str) -> int:
    return main(["directory", *arguments, "--config", str(config)])


def test_show(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "show", "<J.DOE@example.com>") == 0
    out = capsys.readouterr().out
    for line in (
        "address:  jane.doe@example.com",
        "aliases:  j.doe@example.com, jane@example.com",
        "kind:     person",
        "manager:  maria.gruber@example.com (Maria Gruber)",
        "groups:   everyone, sales",
        f"source:   yaml {config.parent}/people.yaml, organisation example",
        "  displayName                 Jane Doe",
    ):
        assert f"{line}\n" in out
    assert run(config, "show", "ole.nordmann@example.com") == 0
    assert "\n  two                         manager.title\n" in capsys.readouterr().out
    assert run(config, "show", "buyer@customer.example") == 0
    assert "kind:     contact\n" in capsys.readouterr().out
    assert run(config, "show", "former.colleague@example.com") == 0
    assert "kind:     person, disabled\n" in capsys.readouterr().out
    assert run(config, "show", "sales@example.com") == 0
    assert "kind:     group\n" in capsys.readouterr().out


def test_show_as_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "show", "sam.sample@example.com", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["attributes"]["title"] == "Support Specialist"
    assert shown["missing"]["one"] == ["sender.mobile"]
    assert "two" not in shown["missing"]
    assert (shown["organisation"], shown["disabled"], shown["photo_octets"]) == ("example", False, 0)


def test_nobody_and_no_address(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "show", "nobody@example.com") == 1
    assert "nobody in the directory has the address nobody@example.com" in capsys.readouterr().err
    assert run(config, "show", "nobody") == 2
    assert "'nobody' is no address" in capsys.readouterr().err
    assert run(config, "show", "a@example.com", "--organisation", "exampel") == 2
    assert "did you mean 'example'?" in capsys.readouterr().err


def test_report(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "report", "--template", "one", "--template", "two") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 of 7 people lack something (4 contacts, groups and disabled accounts left out)"
    assert "sender.mobile  4          one        signs" in lines
    assert "manager.title  2          two        -" in lines
    assert "ole.nordmann@example.com  manager.title" in lines
    assert not any("customer.example" in line or "former.colleague" in line for line in lines)


def test_report_as_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "report", "--template", "one", "--json") == 1
    (report,) = json.loads(capsys.readouterr().out)["organisations"]
    assert (report["organisation"], report["people"], report["left_out"]) == ("example", 7, 4)
    assert report["fields"] == [
        {"name": "sender.mobile", "lacked_by": 4, "templates": ["one"], "rules": ["signs"]}
    ]  # fmt: skip
    assert set(report["lacking"]) == {
        "maria.gruber@example.com", "sam.sample@example.com", "support@example.com", "zoe.muller@example.com",
    }  # fmt: skip


def test_nobody_lacks_anything(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent.parent / "templates" / "one" / "signature.txt.j2").write_text("{{ sender.displayName }}\n")
    assert run(config, "report", "--template", "one") == 0
    assert capsys.readouterr().out.startswith("0 of 7 people lack something")


def test_a_template_that_is_not_there(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "report", "--template", "oen") == 2
    assert "there is no template 'oen'; did you mean 'one'?" in capsys.readouterr().err


def test_a_broken_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("hostname: x\n")
    assert run(config, "report") == 2
    assert "the configuration has" in capsys.readouterr().err
