"""One snapshot: everything read together, whole or not at all, with one name for equal content."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mta.adapters.directory import open_directory
from mta.config.problems import ConfigurationError
from mta.relay.snapshot import Snapshot, load_snapshot

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def dkim_key() -> bytes:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def installation(tmp_path: Path, dkim_key: bytes) -> Path:
    """The demonstration's files in a folder of their own; returns the configuration's path."""
    for folder in ("conf", "rules", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    secrets = tmp_path / "var" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "dkim-example.com.pem").write_bytes(dkim_key)
    (secrets / "mark.key").write_text("0123456789abcdef" * 4 + "\n")
    (secrets / "tracking.key").write_text("0123456789abcdef" * 4 + "\n")
    return tmp_path / "conf" / "demo.yaml"


def load(path: Path) -> Snapshot:
    return load_snapshot(path, open_directory)


def test_the_demonstrations_files_make_a_snapshot(installation: Path) -> None:
    snapshot = load(installation)
    (book,) = snapshot.books
    assert {"corporate", "compact"} <= book.templates.names()
    assert [rule.name for rule in book.rules.rules][:2] == ["refuse-programs", "refuse-forgeries"]
    assert book.mark_keys == (b"0123456789abcdef" * 4,)
    assert book.organisation.accepted_domains == {"example.com"}
    assert book.signer.key_domain("mail.example.com") == "example.com"


def test_equal_content_has_one_name_and_a_change_another(installation: Path) -> None:
    name = load(installation).name
    assert load(installation).name == name
    rules = installation.parent.parent / "rules" / "20-signatures.yaml"
    rules.write_text(rules.read_text() + "\n# changed\n")
    os.utime(rules, (2_000_000_000, 2_000_000_000))
    changed = load(installation).name
    assert changed != name
    assert changed.startswith("20330518T033320Z-")


@pytest.mark.parametrize("file", ["people.csv", "groups.csv"])
def test_both_tables_of_a_directory_count(installation: Path, file: str) -> None:
    written = yaml.safe_load(installation.read_text())
    written["organisation"] |= {
        "directory": {"kind": "csv", "file": "people.csv", "groups_file": "groups.csv"}, "rules": "r", "templates": "t",
    }  # fmt: skip
    installation.write_text(yaml.safe_dump(written))
    folder = installation.parent
    for name in ("r", "t"):
        (folder / name).mkdir()
    (folder / "people.csv").write_text("address\njane@example.com\n")
    (folder / "groups.csv").write_text("name,members\nsales,jane@example.com\n")
    name = load(installation).name
    text = (folder / file).read_text()
    (folder / file).write_text(text + "\n")
    assert load(installation).name.rpartition("-")[2] != name.rpartition("-")[2]


def test_problems_of_all_files_come_at_once(installation: Path) -> None:
    root = installation.parent.parent
    content = yaml.safe_load(installation.read_text())
    content["routing"]["default"] = "nowhere"
    installation.write_text(yaml.safe_dump(content))
    people = root / "conf" / "people.yaml"
    people.write_text(
        people.read_text().replace("maria.gruber@example.com]\n    groups:", "mario@example.com]\n    groups:")
    )
    (root / "rules" / "40-more.yaml").write_text(
        "rules:\n  - name: x\n    actions: [{stamp: {template: corporat}}, {route: {next_hop: maildir}}]\n"
    )
    template = root / "templates" / "compact" / "signature.txt.j2"
    template.write_text("{{ sender.displayName }\n")
    with pytest.raises(ConfigurationError) as caught:
        load(installation)
    text = str(caught.value)
    for expected in (
        "demo.yaml:", "no next hop is called 'nowhere'",
        "people.yaml:", "nobody here has the address mario@example.com",
        "40-more.yaml:3:", "no next hop is called 'maildir' (did you mean 'maildirs'?)",
        "signature.txt.j2:1:",
    ):  # fmt: skip
        assert expected in text


def test_template_names_and_attributes_are_checked(installation: Path) -> None:
    root = installation.parent.parent
    (root / "rules" / "40-more.yaml").write_text("rules:\n  - name: x\n    actions: [{stamp: {template: corporat}}]\n")
    with pytest.raises(ConfigurationError) as caught:
        load(installation)
    (problem,) = caught.value.problems
    assert (problem.file.name, problem.line, problem.column) == ("40-more.yaml", 3, 34)
    assert "did you mean 'corporate'?" in str(problem)


def test_rules_are_looked_at_even_if_the_configuration_does_not_fit_the_schema(installation: Path) -> None:
    installation.write_text(installation.read_text() + "\nworkerz: 2\n")
    (installation.parent.parent / "rules" / "40-more.yaml").write_text("rules:\n  - nam: x\n    actions: [drop]\n")
    with pytest.raises(ConfigurationError) as caught:
        load(installation)
    text = str(caught.value)
    assert "unknown key 'workerz' (did you mean 'workers'?)" in text
    assert "unknown key 'nam' (did you mean 'name'?)" in text


def test_a_rule_file_with_the_wrong_ending_is_not_passed_over_silently(installation: Path) -> None:
    (installation.parent.parent / "rules" / "50-late.yml").write_text("rules: []\n")
    with pytest.raises(ConfigurationError, match=r"would not be read \(rename it to 50-late\.yaml\)"):
        load(installation)


def test_no_configuration_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read: No such file"):
        load(tmp_path / "stampline.yaml")


def test_groups_of_sent_items_are_looked_up_in_the_directory(installation: Path) -> None:
    written = yaml.safe_load(installation.read_text())
    written["organisation"]["sent_items"] |= {"senders": {"only": {"groups": ["sales", "Salez"]}}}
    written["organisation"]["sent_items"]["servers"][0]["serves"] = {"groups": ["Nobody At All"]}
    installation.write_text(yaml.safe_dump(written))
    with pytest.raises(ConfigurationError) as caught:
        load(installation)
    first, second = sorted(problem.what for problem in caught.value.problems)
    assert "no group 'Nobody At All'" in first
    assert "no group 'Salez'" in second


def test_groups_of_tracking_are_looked_up_in_the_directory(installation: Path) -> None:
    settings = yaml.safe_load(installation.read_text())
    settings["organisation"]["tracking"]["technicians"] = {"groups": ["Nobody's", "support"]}
    installation.write_text(yaml.safe_dump(settings))
    with pytest.raises(ConfigurationError) as caught:
        load(installation)
    (problem,) = caught.value.problems
    assert 'the directory has no group "Nobody\'s"' in str(problem)
