"""`stampline dkim`: keys that sign, and the records by which others verify them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mta.cli.command import (
    CommandFailedError,
    ExitCode,
    add_config,
    add_word,
    bad_configuration,
    new_parser,
    print_json,
    printable,
)
from mta.config.authentication_schema import ArcKey
from mta.config.load import examine_configuration
from mta.config.problems import ConfigurationError
from mta.config.schema import Configuration, DkimKey
from mta.config.signing_checks import is_selector
from mta.config.signing_keys import DkimKeyError, PrivateKey, private_key
from mta.model.address import AddressError, domain_key, parse_address
from mta.relay.sign.record import key_record, zone_line


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "dkim", "make keys that sign mail, and print what DNS has to hold for them",
        "Make keys that sign mail, and print what DNS has to hold for them.\n"
        "Whether it holds it, says `stampline check --online --only key`.", with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="words", metavar="WORD", required=True)
    record = add_word(words, "record", "print the DNS records for the keys of the configuration")
    add_config(record)
    record.add_argument("--domain", metavar="DOMAIN", help="of this domain's keys only")
    record.add_argument("--selector", metavar="NAME", help="of this key only")
    record.set_defaults(run=run_record)
    new = add_word(words, "new", "make a key, and print its DNS record and what goes into the configuration")
    new.add_argument("--domain", metavar="DOMAIN", required=True, help="the domain that signs, such as example.com")
    new.add_argument("--selector", metavar="NAME", required=True, help="a name for the key in DNS, such as s2026")
    new.add_argument("--kind", choices=("rsa", "ed25519"), default="rsa", help="the kind of key (default: %(default)s)")
    new.add_argument("--bits", type=int, choices=(2048, 3072, 4096), default=2048, help="of an RSA key (default: 2048)")
    new.add_argument("file", type=Path, metavar="FILE", help="where the private key goes; it must not be there yet")
    new.set_defaults(run=run_new)
    for word in (record, new):
        word.add_argument("--json", action="store_true", help="print the result as JSON")


# --- record -----------------------------------------------------------------------------------------------------------


def run_record(arguments: argparse.Namespace) -> int:
    try:
        located, _ = examine_configuration(arguments.config)
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    domain = domain_key(arguments.domain) if arguments.domain else None
    wanted = {
        f"{key.selector}._domainkey.{domain_key(key.domain)}": key
        for key in _keys(located.value)
        if domain in (None, domain_key(key.domain)) and arguments.selector in (None, key.selector)
    }
    if not wanted:
        raise CommandFailedError("the configuration has no such DKIM or ARC key")
    records = [(name, _described(private := _read(name, key)), key_record(private)) for name, key in wanted.items()]
    if arguments.json:
        print_json({"records": [{"name": name, "kind": kind, "record": record} for name, kind, record in records]})
        return ExitCode.OK
    for name, kind, record in records:
        print(printable(f"; {name}: {kind}\n{zone_line(name, record)}\n"))
    return ExitCode.OK


def _keys(configuration: Configuration) -> Iterator[DkimKey | ArcKey]:
    for organisation in configuration.every_organisation:
        yield from organisation.dkim
        if organisation.arc is not None:
            yield organisation.arc


def _read(name: str, key: DkimKey | ArcKey) -> PrivateKey:
    try:
        return private_key(key.key.read())
    except OSError as exc:
        raise CommandFailedError(f"the key of {name} can't be read: {exc.strerror or exc}") from exc
    except KeyError as exc:
        raise CommandFailedError(f"the key of {name}: the environment has no variable {exc.args[0]}") from exc
    except DkimKeyError as exc:
        raise CommandFailedError(f"the key of {name} {exc}") from exc


def _described(key: PrivateKey) -> str:
    return f"RSA, {key.key_size} bits" if isinstance(key, RSAPrivateKey) else "Ed25519"


# --- new --------------------------------------------------------------------------------------------------------------


def run_new(arguments: argparse.Namespace) -> int:
    _examine(arguments)
    domain, file = domain_key(arguments.domain), arguments.file.absolute()
    private: PrivateKey = (
        Ed25519PrivateKey.generate() if arguments.kind == "ed25519" else generate_private_key(65537, arguments.bits)
    )
    _write(file, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    name, record = f"{arguments.selector}._domainkey.{domain}", key_record(private)
    if arguments.json:
        print_json({"file": str(file), "name": name, "kind": _described(private), "record": record})
        return ExitCode.OK
    print(f"{file} holds the private key ({_described(private)}); let the service's user read it, and nobody else.\n")
    print("For DNS, as a line of a zone file; where a form asks for the value, it is the texts in quotes, joined:\n")
    print(f"{zone_line(name, record)}\n")
    print("For the configuration, under `dkim` of the organisation:\n")
    print(f"    - domain: {domain}\n      selector: {arguments.selector}\n      key: {{file: {file}}}")
    if arguments.kind == "ed25519":
        print("      signs: always    # behind the domain's RSA key, for many servers don't know Ed25519 yet")
    print("\nPublish first; `stampline check --online --only key` says when DNS has it.")
    return ExitCode.OK


def _examine(arguments: argparse.Namespace) -> None:
    try:
        parse_address(f"x@{arguments.domain}")
    except AddressError as exc:
        raise CommandFailedError(f"{arguments.domain!r} is no domain: {exc}", ExitCode.BAD_CONFIGURATION) from exc
    if not is_selector(arguments.selector):
        text = f"{arguments.selector!r} is no selector; write a name for DNS, such as s2026"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)


def _write(file: Path, pem: bytes) -> None:
    """A new file that only its owner reads, from its first moment on."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(pem)
            opened.flush()
            os.fsync(opened.fileno())
    except FileExistsError as exc:
        raise CommandFailedError(f"{file} is there already; a key that mail is signed with is not overwritten") from exc
    except OSError as exc:
        raise CommandFailedError(f"{file} can't be written: {exc.strerror}") from exc
