"""`stampline outgoing`: the accounts by which notices go out, and a test mail by each."""

from __future__ import annotations

import argparse
from typing import Any

from mta.cli.command import CommandFailedError, ExitCode, add_config, add_word, new_parser, print_json, print_table
from mta.cli.queue_spool import read_configuration
from mta.config.explain_errors import closest
from mta.config.schema import Configuration
from mta.config.tracking_schema import OutgoingAccount, SmtpAccount
from mta.model.address import AddressError, parse_address

EXIT_CODES = "exit codes: 0 all well · 1 something failed · 2 bad configuration or usage"


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "outgoing", "show the outgoing accounts of tracking, and try them",
        "Notices, digests and test mails of tracking go out by accounts of their own, past the relay's queue.",
        with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = add_word(words, "list", "list the accounts, and whom they send for")
    listing.set_defaults(run=run_list)
    test = add_word(words, "test", "connect, sign in, and send a test mail from each of the account's senders")
    test.add_argument("name", metavar="NAME", help="the account's name")
    test.add_argument("--to", default="", metavar="ADDRESS", help="who gets the test mail; without it none is sent")
    test.add_argument("--organisation", default="", metavar="NAME", help="of this organisation")
    test.set_defaults(run=_test)
    for word in (listing, test):
        word.epilog = EXIT_CODES
        add_config(word)
        word.add_argument("--json", action="store_true", help="print JSON")


def run_list(arguments: argparse.Namespace) -> int:
    accounts = accounts_of(read_configuration(arguments))
    if arguments.json:
        print_json([_as_json(organisation, account) for organisation, account in accounts])
        return ExitCode.OK
    rows = [
        [account.name, organisation, account.kind, _server(account), _security(account), ", ".join(account.senders)]
        for organisation, account in accounts
    ]
    if rows:
        print_table(("ACCOUNT", "ORGANISATION", "KIND", "SERVER", "BY", "SENDERS"), rows)
    else:
        print("no outgoing accounts: `tracking.accounts` names them")
    return ExitCode.OK


def accounts_of(configuration: Configuration) -> list[tuple[str, OutgoingAccount]]:
    """All of them, with the names of their organisations."""
    return [
        (organisation.name, account)
        for organisation in configuration.every_organisation
        if organisation.tracking is not None
        for account in organisation.tracking.accounts
    ]


def account_named(configuration: Configuration, name: str, organisation: str = "") -> OutgoingAccount:
    """Raises CommandFailedError."""
    accounts = accounts_of(configuration)
    found = [account for owner, account in accounts if account.name == name and organisation in ("", owner)]
    if len(found) == 1:
        return found[0]
    if found:
        text = f"several organisations have an account {name!r}: add --organisation NAME"
    else:
        names = [account.name for _, account in accounts]
        text = f"no outgoing account is called {name!r}; {closest(name, names) if names else 'there are none'}"
    raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)


def _test(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    account = account_named(configuration, arguments.name, arguments.organisation)
    if arguments.to:
        try:
            parse_address(arguments.to)
        except AddressError as exc:
            raise CommandFailedError(f"{arguments.to!r} is no address: {exc}", ExitCode.BAD_CONFIGURATION) from exc
    from mta.cli import outgoing_trial  # brings SMTP and HTTP clients, which lists don't need

    return outgoing_trial.run(account, arguments.to, configuration.hostname, as_json=arguments.json)


def _server(account: OutgoingAccount) -> str:
    if isinstance(account, SmtpAccount):
        return account.host if account.port is None else f"{account.host}:{account.port}"
    return account.url or f"Microsoft 365 ({account.oauth.cloud})"


def _security(account: OutgoingAccount) -> str:
    if not isinstance(account, SmtpAccount):
        return "oauth"
    sign_in = "oauth" if account.oauth is not None else "password" if account.user else "no AUTH"
    unverified = "" if account.tls.verify or account.tls.mode == "none" else ", UNVERIFIED"
    return f"{sign_in}, tls {account.tls.mode}{unverified}"


def _as_json(organisation: str, account: OutgoingAccount) -> dict[str, Any]:
    return {
        "account": account.name,
        "organisation": organisation,
        "kind": account.kind,
        "server": _server(account),
        "by": _security(account),
        "senders": list(account.senders),
    }
