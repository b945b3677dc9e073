"""What a message file doesn't tell about its way here: who handed it over, when, and what was found out on the way."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import get_args

from mta.cli.command import CommandFailedError, ExitCode
from mta.config.schema import Configuration
from mta.model.address import Address, AddressError, domain_key, parse_address
from mta.model.authentication import AuthenticationResults
from mta.model.envelope import Client, ListenerRole
from mta.relay.decide.conditions.schema import ResultName

ASK = "ask"
"""As a result: DNS is to be asked."""
_METHODS = ("spf", "dkim", "dmarc", "arc")
_RESULTS = get_args(ResultName)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listener", metavar="NAME", help="where it would come in (default: the first trusted one)")
    parser.add_argument("--at", metavar="TIME", help="when, such as 2026-12-01T09:00+01:00 (default: now)")
    parser.add_argument("--client", metavar="IP", default="127.0.0.1", help="the client's address (default: 127.0.0.1)")
    parser.add_argument("--helo", metavar="NAME", default="explain", help="how the client calls itself")
    parser.add_argument("--tls", action="store_true", help="it came over TLS")
    parser.add_argument("--authenticated-as", metavar="ACCOUNT", default="", help="the account that the client proved")
    parser.add_argument(
        "--auth", action="append", default=[], metavar="METHOD=RESULT",
        help="what authenticating it came to: spf, dkim, dmarc or arc=RESULT, dkim_domain=DOMAIN; may be repeated. "
        "Or ask: ask DNS now, as for a message from --client with --helo",
    )  # fmt: skip
    parser.add_argument(
        "--known-contact", action="append", default=[], metavar="ADDRESS",
        help="a recipient to whom the sender has written before (default: none); may be repeated",
    )  # fmt: skip


def address(text: str) -> Address:
    """An address as given on the command line, in angle brackets or not. Raises CommandFailedError."""
    try:
        return parse_address(text.removeprefix("<").removesuffix(">"))
    except AddressError as exc:
        raise CommandFailedError(f"{text!r} is no address: {exc}", ExitCode.BAD_CONFIGURATION) from exc


def time(arguments: argparse.Namespace) -> datetime:
    """Raises CommandFailedError."""
    text: str | None = arguments.at
    if text is None:
        return datetime.now(UTC)
    try:
        # Without a zone it is the time of this machine.
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as exc:
        raise CommandFailedError(f"{text!r} is no time: write 2026-12-01T09:00", ExitCode.BAD_CONFIGURATION) from exc


def client(configuration: Configuration, arguments: argparse.Namespace) -> Client:
    """Raises CommandFailedError."""
    listeners, name = configuration.listeners, arguments.listener
    if name is None:
        chosen = next((listener for listener in listeners if listener.role == "trusted"), listeners[0])
    else:
        named = [listener for listener in listeners if listener.name == name]
        if not named:
            known = ", ".join(listener.name for listener in listeners)
            raise CommandFailedError(f"no listener is called {name!r}; there are {known}", ExitCode.BAD_CONFIGURATION)
        chosen = named[0]
    try:
        ip_address(arguments.client)
    except ValueError as exc:
        raise CommandFailedError(f"{arguments.client!r} is no IP address", ExitCode.BAD_CONFIGURATION) from exc
    return Client(
        arguments.client, 0, arguments.helo, chosen.name, ListenerRole(chosen.role),
        tls="TLS" if arguments.tls else "", authenticated_as=arguments.authenticated_as,
    )  # fmt: skip


def authentication(arguments: argparse.Namespace) -> AuthenticationResults | None:
    """None where nothing is said of it. Raises CommandFailedError."""
    results: dict[str, str] = {}
    domains: list[str] = []
    for text in arguments.auth:
        if text == ASK:
            continue
        method, _, value = text.lower().partition("=")
        if method == "dkim_domain" and value:
            domains.append(domain_key(value))
        elif method in _METHODS and value in _RESULTS:
            results[method] = value
        else:
            hint = f"write {', '.join(_METHODS)} with one of {', '.join(_RESULTS)}, or dkim_domain=example.com"
            raise CommandFailedError(f"{text!r} is no result: {hint}", ExitCode.BAD_CONFIGURATION)
    if not results and not domains:
        return None
    spf, dkim, dmarc, arc = (results.get(method, "") for method in _METHODS)
    return AuthenticationResults(spf=spf, dkim=dkim, dmarc=dmarc, arc=arc, dkim_domains=tuple(domains))


def known_contacts(arguments: argparse.Namespace) -> frozenset[str]:
    """Address keys. Raises CommandFailedError."""
    return frozenset(address(text).key for text in arguments.known_contact)
