"""The file of accounts: what stands in it, and what is refused, with line and mend."""

from __future__ import annotations

import os
from pathlib import Path

import bcrypt
import pytest
from argon2 import PasswordHasher, Type

from mta.config.accounts_file import account_key, read_accounts
from mta.config.problems import ConfigurationError

ARGON2 = PasswordHasher(2, 19_456, 1).hash("x")
BCRYPT = bcrypt.hashpw(b"x", bcrypt.gensalt(10)).decode()


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "accounts"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_accounts_by_name_with_comments_and_any_line_ends(tmp_path: Path) -> None:
    text = f"\ufeff# all of them\r\n\r\nPrinter:{ARGON2}\r\n  jane@example.com:{BCRYPT}\n# done"
    accounts = read_accounts(written(tmp_path, text))
    assert {key: (each.name, each.line) for key, each in accounts.items()} == {
        "printer": ("Printer", 3), "jane@example.com": ("jane@example.com", 4),
    }  # fmt: skip


def test_an_empty_file_has_no_accounts(tmp_path: Path) -> None:
    assert read_accounts(written(tmp_path, "")) == {}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("printer", "a line is name:hash"),
        (f":{ARGON2}", "the account's name is empty"),
        ("printer:secret", "no hash of argon2id or bcrypt, but a password"),
        ("printer:", "no hash of argon2id or bcrypt"),
        ("printer:$6$salt$crypt", "no hash of argon2id or bcrypt"),
        ("printer:$apr1$salt$md5", "no hash of argon2id or bcrypt"),
        (f"printer:{ARGON2}:more", "no hash of argon2id or bcrypt"),
        (f"printer:{PasswordHasher(1, 19_456, 1).hash('x')}", "made too quickly"),
        (f"printer:{PasswordHasher(2, 1024, 1).hash('x')}", "out of bounds"),
        (f"printer:{ARGON2.replace('m=19456', 'm=99999999')}", "out of bounds"),
        (f"printer:{ARGON2.replace('t=2', 't=100000')}", "out of bounds"),
        (f"printer:{PasswordHasher(2, 19_456, 1, type=Type.I).hash('x')}", "argon2i: only argon2id"),
        (f"printer:{BCRYPT.replace('$10$', '$04$')}", "cost 4"),
        (f"printer:{BCRYPT.replace('$10$', '$31$')}", "cost 31"),
        (f"pr\u200e\x07inter:{ARGON2}", "no place in names"),
        (f"{'x' * 300}:{ARGON2}", "longer than 255"),
    ],
    ids=["no-colon", "no-name", "plain", "no-hash", "sha512", "apr1", "trailing", "quick", "little-memory",
         "much-memory", "many-passes", "argon2i", "bcrypt-4", "bcrypt-31", "control", "long-name"],
)  # fmt: skip
def test_what_is_refused_has_its_line_and_a_mend(tmp_path: Path, line: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_accounts(written(tmp_path, f"# first\n{line}\n"))
    (problem,) = caught.value.problems
    assert what in problem.what
    assert problem.line == 2
    assert problem.mend


def test_the_same_name_twice_is_refused_whatever_its_case(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="stands in line 1 already"):
        read_accounts(written(tmp_path, f"jane:{ARGON2}\nJANE:{BCRYPT}\n"))


def test_all_problems_are_told_at_once_and_no_hash_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_accounts(written(tmp_path, "a:topsecret\nb:topsecret2\nc\n"))
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3]
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 5_000_000], ids=["not-utf8", "huge"])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigurationError):
        read_accounts(written(tmp_path, content))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "accounts")
    with pytest.raises(OSError, match="not a regular file"):
        read_accounts(tmp_path / "accounts")
    with pytest.raises(OSError, match="not a regular file"):
        read_accounts(Path("/dev/zero"))


def test_names_are_compared_by_what_they_look_like() -> None:
    assert account_key("Jose\u0301") == account_key("JOS\u00c9") == "jos\u00e9"
    assert account_key("\uff4aane") == "jane"  # full width
    for bad in ("", " jane", "a:b", "#a", "a\u0000b", "\u0627a"):
        with pytest.raises(ValueError, match=r"\w"):
            account_key(bad)
