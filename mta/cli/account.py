"""`stampline account`: the file of accounts for SMTP AUTH."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from mta.cli.command import (
    CommandFailedError,
    ExitCode,
    add_word,
    bad_configuration,
    new_parser,
    print_json,
    print_table,
)
from mta.config.accounts_file import Account, account_key, read_accounts
from mta.config.problems import ConfigurationError
from mta.model.saslprep import saslprep

PASSWORD_MIN = 8
# OWASP's password storage cheat sheet: printers sign in for each mail, and a hash costs a thread 20 ms.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "account", "add, remove, list and verify accounts for SMTP AUTH",
        "The accounts file of a listener (accounts_file): one name:hash a line, with argon2id hashes.\n"
        "A running relay takes a changed file up by itself within seconds.",
        with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary, run in (
        ("add", "add an account, or give it another password; asks for it, or reads a line of standard input", _add),
        ("remove", "remove an account", _remove),
        ("list", "list the accounts", _list),
        ("verify", "say whether a password is an account's; asks for it, or reads a line of standard input", _verify),
    ):
        word = add_word(words, name, summary)
        word.add_argument("--file", type=Path, required=True, metavar="FILE", help="the accounts file")
        if name == "list":
            word.add_argument("--json", action="store_true", help="print the accounts as JSON")
        else:
            word.add_argument("name", metavar="NAME")
        word.set_defaults(run=run)


def _add(arguments: argparse.Namespace) -> int:
    from argon2 import PasswordHasher

    key = _key(arguments.name)
    accounts = _accounts(arguments.file) if arguments.file.exists() else {}
    password = _password(again=True)
    if len(password) < PASSWORD_MIN:
        raise CommandFailedError(f"the password has less than {PASSWORD_MIN} characters", ExitCode.BAD_CONFIGURATION)
    written = PasswordHasher(PASSES, MEMORY_KIB, LANES).hash(password)
    known = accounts.get(key)
    lines = _lines(arguments.file) if arguments.file.exists() else []
    if known is None:
        lines.append(f"{arguments.name}:{written}")
    else:
        lines[known.line - 1] = f"{known.name}:{written}"
    _write(arguments.file, lines)
    print(f"{arguments.name}: {'added' if known is None else 'has a new password'}")
    return ExitCode.OK


def _remove(arguments: argparse.Namespace) -> int:
    account = _known(arguments)
    lines = _lines(arguments.file)
    del lines[account.line - 1]
    _write(arguments.file, lines)
    print(f"{account.name}: removed")
    return ExitCode.OK


def _list(arguments: argparse.Namespace) -> int:
    rows = [(account.name, _kind(account)) for account in _accounts(arguments.file).values()]
    if arguments.json:
        print_json([{"name": name, "hash": kind} for name, kind in rows])
    else:
        print_table(("NAME", "HASH"), rows)
    return ExitCode.OK


def _verify(arguments: argparse.Namespace) -> int:
    from mta.relay.receive.sign_in import is_password

    account = _known(arguments)
    if is_password(account.hash, _password()):
        print(f"{account.name}: the password is right")
        return ExitCode.OK
    print(f"{account.name}: the password is wrong")
    return ExitCode.FAILED


def _kind(account: Account) -> str:
    return "argon2id" if account.hash.startswith("$argon2id$") else "bcrypt"


def _key(name: str) -> str:
    try:
        return account_key(name)
    except ValueError as exc:
        raise CommandFailedError(f"the account's name is {exc}", ExitCode.BAD_CONFIGURATION) from exc


def _accounts(path: Path) -> Mapping[str, Account]:
    try:
        return read_accounts(path)
    except OSError as exc:
        raise CommandFailedError(f"cannot read {path}: {exc.strerror}") from exc
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc


def _known(arguments: argparse.Namespace) -> Account:
    account = _accounts(arguments.file).get(_key(arguments.name))
    if account is None:
        raise CommandFailedError(f"there is no account {arguments.name} in {arguments.file}")
    return account


def _password(*, again: bool = False) -> str:
    """From the terminal, unseen, or a line of standard input. Prepared as it will be when a client sends it."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if again and getpass.getpass("Once more: ") != password:
            raise CommandFailedError("the two passwords differ", ExitCode.BAD_CONFIGURATION)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        return saslprep(password)
    except ValueError as exc:
        raise CommandFailedError(f"the password is {exc}", ExitCode.BAD_CONFIGURATION) from exc


def _lines(path: Path) -> list[str]:
    """As `read_accounts` counts them: comments stay where they are."""
    lines = path.read_text("utf-8-sig").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _write(path: Path, lines: list[str]) -> None:
    """Whole or not at all, with the owner that the file had; nobody else may read it."""
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            new = Path(file.name)
            try:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                new.chmod(0o600)
                if path.exists():
                    with suppress(PermissionError):
                        os.chown(new, path.stat().st_uid, path.stat().st_gid)
                os.fsync(file.fileno())
                new.replace(path)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise CommandFailedError(f"cannot write {path}: {exc.strerror}") from exc
