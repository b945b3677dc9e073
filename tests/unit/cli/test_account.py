"""`stampline account`: the file of accounts."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from mta.cli import main
from mta.config.accounts_file import read_accounts
from mta.relay.receive.sign_in import is_password


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    return tmp_path / "accounts"


def run(monkeypatch: pytest.MonkeyPatch, word: str, path: Path, *arguments: str, says: str = "") -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(says))
    return main(["account", word, "--file", str(path), *arguments])


def test_added_changed_verified_listed_and_removed(
    accounts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "add", accounts, "Printer", says="correct horse\n") == 0
    accounts.write_text("# second floor\n" + accounts.read_text())
    assert run(monkeypatch, "add", accounts, "jos\u00e9", says="p\u00e4ssword\n") == 0
    assert run(monkeypatch, "add", accounts, "pRINTER", says="another horse") == 0
    assert accounts.stat().st_mode & 0o777 == 0o600
    assert accounts.read_text().startswith("# second floor\nPrinter:$argon2id$")
    stored = read_accounts(accounts)
    assert is_password(stored["printer"].hash, "another horse")
    assert not is_password(stored["printer"].hash, "correct horse")
    assert run(monkeypatch, "verify", accounts, "printer", says="another horse\n") == 0
    assert run(monkeypatch, "verify", accounts, "printer", says="correct horse\n") == 1
    assert run(monkeypatch, "verify", accounts, "jose\u0301", says="pa\u0308ssword\n") == 0
    capsys.readouterr()
    assert run(monkeypatch, "list", accounts, "--json") == 0
    said = capsys.readouterr().out
    assert [each["name"] for each in json.loads(said)] == ["Printer", "jos\u00e9"]
    assert "$" not in said
    assert run(monkeypatch, "remove", accounts, "Printer") == 0
    assert run(monkeypatch, "list", accounts) == 0
    assert "Printer" not in capsys.readouterr().out.replace("Printer: removed", "")
    assert accounts.read_text().startswith("# second floor\njos")
    assert list(accounts.parent.iterdir()) == [accounts]


@pytest.mark.parametrize(
    ("word", "name", "says", "code"),
    [
        ("add", "new", "short", 2), ("add", "new", "", 2), ("add", "a:b", "correct horse", 2),
        ("add", "new", "bell\u0007 horse", 2), ("remove", "nobody", "", 1), ("verify", "nobody", "x", 1),
    ],
)  # fmt: skip
def test_what_cannot_be_done_changes_nothing(
    accounts: Path, monkeypatch: pytest.MonkeyPatch, word: str, name: str, says: str, code: int
) -> None:
    run(monkeypatch, "add", accounts, "printer", says="correct horse")
    before = accounts.read_bytes()
    assert run(monkeypatch, word, accounts, name, says=says) == code
    assert accounts.read_bytes() == before


def test_a_broken_file_is_told_with_its_lines_and_not_written(
    accounts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts.write_text("printer:topsecret\n")
    assert run(monkeypatch, "add", accounts, "new", says="correct horse") == 2
    said = capsys.readouterr().err
    assert f"{accounts}:1:9: account 'printer' has no hash" in said
    assert "topsecret" not in said
    assert accounts.read_text() == "printer:topsecret\n"
    assert run(monkeypatch, "list", accounts.parent / "none") == 1
