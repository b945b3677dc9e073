"""The file of accounts for SMTP AUTH: one `name:hash` a line; empty lines and those that begin with # don't count."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mta.config.plain_files import require_plain
from mta.config.problems import ConfigurationError, Problem
from mta.model.saslprep import saslprep

FILE_MAX_OCTETS = 4_000_000
NAME_MAX_OCTETS = 255
MAKE_ONE = "make it with: stampline account add --file FILE NAME"

_ARGON2 = re.compile(
    r"\$argon2(id|i|d)\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$[A-Za-z0-9+/]{11,88}\$[A-Za-z0-9+/]{16,172}\Z"
)
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}\Z")
# OWASP's password storage cheat sheet: 7 MiB with five passes at least, or as much work with more memory.
_ARGON2_MEMORY_KIB = range(7168, 1_048_577)
_ARGON2_WORK_KIB = 35_840
_ARGON2_PASSES = range(1, 65)
_ARGON2_LANES = range(1, 17)
_BCRYPT_ROUNDS = range(10, 16)


@dataclass(frozen=True, slots=True)
class Account:
    """One line of the file; `key` is the name as it is compared."""

    name: str
    key: str
    hash: str
    line: int


def account_key(name: str) -> str:
    """A name for comparing: case doesn't count. Raises ValueError for what is no name."""
    prepared = saslprep(name)
    if len(prepared.encode()) > NAME_MAX_OCTETS:
        raise ValueError(f"longer than {NAME_MAX_OCTETS} octets")
    if ":" in prepared or prepared.startswith("#") or prepared != prepared.strip():
        raise ValueError("with a colon, a # at its beginning, or white space around it")
    return prepared.casefold()


def read_accounts(path: Path) -> Mapping[str, Account]:
    """Accounts by key. Raises OSError, or ConfigurationError with every problem of the file."""
    require_plain(path)
    with path.open("rb") as file:
        content = file.read(FILE_MAX_OCTETS + 1)
    accounts: dict[str, Account] = {}
    problems = list(_problems(path, content, accounts))
    if problems:
        raise ConfigurationError(problems)
    return accounts


def _problems(path: Path, content: bytes, accounts: dict[str, Account]) -> Iterator[Problem]:
    """What is wrong with it; what is right is put into `accounts`."""
    if len(content) > FILE_MAX_OCTETS:
        yield Problem(path, 1, 1, f"the file has more than {FILE_MAX_OCTETS} octets", "is this the right file?")
        return
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        yield Problem(path, line, 1, "this is not UTF-8", "save the file as UTF-8")
        return
    for number, text in enumerate(lines, 1):
        line_text = text.strip()
        if not line_text or line_text.startswith("#"):
            continue
        name, colon, written = line_text.partition(":")
        if not colon:
            yield Problem(path, number, 1, "a line is name:hash", MAKE_ONE)
            continue
        try:
            account = Account(name, account_key(name), written, number)
        except ValueError as exc:
            yield Problem(path, number, 1, f"the account's name is {exc}", "write a name as clients send it")
            continue
        if account.key in accounts:
            first = accounts[account.key].line
            yield Problem(path, number, 1, f"account {name!r} stands in line {first} already", "keep one of them")
            continue
        weakness = weakness_of(written)
        if weakness:
            yield Problem(path, number, len(name) + 2, f"account {name!r} {weakness}", MAKE_ONE)
            continue
        accounts[account.key] = account


def weakness_of(written: str) -> str:
    """Why a hash is not good enough, as the end of a sentence; "" where it is."""
    if match := _BCRYPT.match(written):
        rounds = int(match[1])
        if rounds in _BCRYPT_ROUNDS:
            return ""
        return f"has a bcrypt hash with cost {rounds}: 10 to 15 are taken"
    match = _ARGON2.match(written)
    if match is None:
        return "has no hash of argon2id or bcrypt, but a password for everybody to read, or a hash that is weak by now"
    memory, passes, lanes = int(match[2]), int(match[3]), int(match[4])
    if match[1] != "id":
        return f"has a hash of argon2{match[1]}: only argon2id is taken"
    if memory not in _ARGON2_MEMORY_KIB or passes not in _ARGON2_PASSES or lanes not in _ARGON2_LANES:
        return "has an argon2id hash out of bounds: 7 MiB to 1 GiB, up to 64 passes and 16 lanes are taken"
    if memory * passes < _ARGON2_WORK_KIB:
        return "has an argon2id hash that is made too quickly: 19 MiB with 2 passes, say, are enough"
    return ""
