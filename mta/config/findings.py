"""What a check of the configuration finds, and the checks that all kinds of settings share: files, secrets."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from mta.config.plain_files import require_plain
from mta.config.types import Secret
from mta.config.yaml_values import Loc
from mta.model.address import AddressError, parse_address


class Finding(NamedTuple):
    """Something wrong at `loc` in the configuration."""

    loc: Loc
    what: str
    mend: str


def unreadable(loc: Loc, path: Path) -> Iterator[Finding]:
    """Whether the file can be read, and to its end."""
    try:
        require_plain(path)
        with path.open("rb"):
            pass
    except OSError as exc:
        yield Finding(loc, f"cannot read {path}: {exc.strerror}", "correct the path, or let the service read it")


def bad_key_pair(loc: Loc, certificate: Path, key: Path | None) -> Iterator[Finding]:
    """A certificate that we show to servers, and its key; None: in the same file. `loc` is that of both."""
    problems = list(unreadable((*loc, "certificate"), certificate))
    if key is not None:
        problems += unreadable((*loc, "key"), key)
    yield from problems
    if problems:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ValueError) as exc:
        mend = "check that both are PEM and belong together"
        yield Finding((*loc, "certificate"), f"certificate and key can't be used: {exc}", mend)


def _no_passphrase() -> str:
    raise ValueError("the key is protected by a passphrase")


def bad_ca_file(loc: Loc, path: Path) -> Iterator[Finding]:
    """Whether it holds certificates of authorities."""
    problems = list(unreadable(loc, path))
    yield from problems
    if not problems:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except (OSError, ValueError) as exc:
            yield Finding(loc, f"no certificates can be read from {path}: {exc}", "name a PEM file of CA certificates")


def secret_value(loc: Loc, secret: Secret) -> bytes | Finding:
    """The secret, or why it can't be had."""
    try:
        return secret.read()
    except KeyError:
        return Finding(loc, f"environment variable {secret.env} is not set", "set it where the service starts")
    except OSError as exc:
        return Finding(
            (*loc, "file"), f"cannot read {secret.file}: {exc.strerror}", "correct the path, or let the service read it"
        )


def no_domain(loc: Loc, text: str, mend: str) -> Iterator[Finding]:
    """Whether it is a domain name."""
    try:
        parse_address(f"x@{text}")
    except AddressError as exc:
        yield Finding(loc, f"{text!r} is no domain: {exc}", mend)


def no_host(loc: Loc, host: str, example: str) -> Iterator[Finding]:
    """Whether it is a host alone: a name or an address, without port, scheme or path."""
    is_ipv6 = host.count(":") > 1 and "/" not in host and "[" not in host
    if not host.strip() or " " in host or "/" in host or (":" in host and not is_ipv6):
        yield Finding(loc, f"{host!r} is no host", f"write {example}; a port has its own key")


def no_time(loc: Loc, length: timedelta) -> Iterator[Finding]:
    """Whether a server is given any time to answer."""
    if length < timedelta(seconds=1):
        yield Finding(loc, "no server answers in no time", "write 60s")


def is_this_machine(host: str) -> bool:
    """Whether what goes there can't be read on its way."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def may_be_posted_to(url: str) -> bool:
    """Whether a webhook's URL is https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not host or parts.port == 0 or not url.isprintable() or " " in url:
            return False
        return parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(host))
    except ValueError:
        return False


def names_a_user(url: str) -> bool:
    """Whether a URL has a user or a password in it, which would be shown wherever the URL is."""
    return "@" in urlsplit(url).netloc
