"""`stampline sentitems grant --script`: print the PowerShell that gives Stampline its rights at the mailbox servers."""

from __future__ import annotations

import argparse
from typing import Any

from mta.cli.command import CommandFailedError, ExitCode, add_config, add_word
from mta.cli.grant_script import Grant, script
from mta.cli.powershell import comment
from mta.cli.queue_spool import read_configuration
from mta.cli.sentitems_servers import require_mailbox_server
from mta.config.mailbox_schema import EwsMailboxes, GraphMailboxes, MailboxServer
from mta.config.schema import Configuration, Organisation
from mta.config.sentitems_schema import Scope, Senders

_LONGEST_NAME = 64
"""Of a management scope."""
_NOTHING_TO_DO = {
    "maildir": "this machine's own files: nothing is to be granted",
    "imap": "its rights are those of the account there (authorisation identity or master user): see its manual",
}


def add_parser(words: Any) -> None:
    word = add_word(
        words,
        "grant",
        "print PowerShell that gives Stampline its rights; nothing is carried out",
    )
    word.epilog = "exit codes: 0 printed · 1 a value can't stand in a script · 2 bad configuration or usage"
    add_config(word)
    word.add_argument("--script", action="store_true", required=True, help="print the script, to be read and then run "
        "by an administrator of Exchange")  # fmt: skip
    word.add_argument("--server", default="", metavar="NAME", help="for this mailbox server; needed where there are "
        "several that take a script")  # fmt: skip
    word.add_argument(
        "--account", default="", metavar="NAME", help="the account at Exchange, where the configuration says no user"
    )
    word.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    organisation, server = _chosen(read_configuration(arguments), arguments.server)
    if not isinstance(server, EwsMailboxes | GraphMailboxes):
        raise CommandFailedError(f"{server.name}: {_NOTHING_TO_DO[server.kind]}")
    name = f"Stampline Sent Items {server.name}"[:_LONGEST_NAME].strip()
    try:
        text = script(_grant(server, _whose(organisation), name, arguments.account))
    except ValueError as error:
        raise CommandFailedError(f"{server.name}: {error}") from error
    print(text, end="")
    return ExitCode.OK


def _whose(organisation: Organisation) -> Scope:
    """The senders, and the audience of marks where they are named one by one; else what is left out stays so."""
    sent_items, write_back = organisation.sent_items, organisation.write_back
    if write_back is None:
        assert sent_items is not None, "or it would have no server"
        return sent_items.senders
    only = Senders() if sent_items is None else sent_items.senders.only
    if sent_items is not None and only is None:
        return sent_items.senders
    assert only is not None
    audience = write_back.audience
    addresses, groups = (*only.addresses, *audience.addresses), (*only.groups, *audience.groups)
    return Scope(only=Senders(addresses=tuple(dict.fromkeys(addresses)), groups=tuple(dict.fromkeys(groups))))


def _grant(server: EwsMailboxes | GraphMailboxes, senders: Scope, name: str, account: str) -> Grant:
    then = (
        "# Then try it, with somebody inside and somebody outside:\n"
        f"#   stampline sentitems check --server {comment(server.name)} --mailbox ann@example.com"
        " --outside bob@example.com"
    )
    return Grant(server, senders, name, f"Sent Items at the mailbox server {server.name!r}", then, account)


def _chosen(configuration: Configuration, name: str) -> tuple[Organisation, MailboxServer]:
    require_mailbox_server(configuration, name)
    fitting = [
        (each, server) for each, server in configuration.mailbox_servers
        if server.name == name or (not name and isinstance(server, EwsMailboxes | GraphMailboxes))
    ]  # fmt: skip
    if not fitting:
        return configuration.mailbox_servers[0]
    if len(fitting) > 1:
        several = ", ".join(sorted({server.name for _, server in fitting}))
        raise CommandFailedError(f"name one of {several} with --server", ExitCode.BAD_CONFIGURATION)
    return fitting[0]
