"""`stampline mailbox grant NAME --script`: print the PowerShell that lets Stampline read a monitored mailbox."""

from __future__ import annotations

import argparse

from mta.cli.command import CommandFailedError, ExitCode
from mta.cli.grant_script import Grant, script
from mta.cli.mailbox_names import mailboxes_of, require
from mta.cli.powershell import comment
from mta.cli.queue_spool import read_configuration
from mta.config.sentitems_schema import Scope, Senders
from mta.config.tracking_schema import EwsMailbox, GraphAccount, GraphMailbox, MonitoredMailbox, TrackingSettings

_LONGEST_NAME = 64 - len(" send")
_NOTHING_TO_DO = {
    "maildir": "this machine's own files: nothing is to be granted",
    "imap": "its rights are those of the account there: see the server's manual",
    "pop3": "its rights are those of the account there: see the server's manual",
}


def run(arguments: argparse.Namespace) -> int:
    mailboxes = mailboxes_of(read_configuration(arguments))
    require(arguments.name, mailboxes)
    organisation, mailbox = mailboxes[arguments.name]
    assert organisation.tracking is not None
    try:
        print(script(_grant(mailbox, organisation.tracking, arguments.account)), end="")
    except ValueError as error:
        raise CommandFailedError(f"{mailbox.name}: {error}") from error
    return ExitCode.OK


def _grant(mailbox: MonitoredMailbox, tracking: TrackingSettings, account: str) -> Grant:
    """Raises CommandFailedError where there is nothing to grant."""
    if not isinstance(mailbox, EwsMailbox | GraphMailbox):
        raise CommandFailedError(f"{mailbox.name}: {_NOTHING_TO_DO[mailbox.kind]}")
    if isinstance(mailbox, EwsMailbox) and not (
        mailbox.shared_mailbox or mailbox.impersonate or mailbox.sign_in == "oauth"
    ):
        raise CommandFailedError(f"{mailbox.name}: it is the account's own mailbox: nothing is to be granted")
    address = mailbox.shared_mailbox or mailbox.address
    return Grant(
        mailbox,
        Scope(only=Senders(addresses=(address,))),
        f"Stampline mailbox {mailbox.name}"[:_LONGEST_NAME],
        f"the monitored mailbox {mailbox.name!r}, {address}",
        f"# Then try it:\n#   stampline mailbox test {comment(mailbox.name)}",
        account,
        sends=isinstance(mailbox, GraphMailbox) and _sends(mailbox, address, tracking),
    )


def _sends(mailbox: GraphMailbox, address: str, tracking: TrackingSettings) -> bool:
    """Whether notices go out from it by the same application."""
    return any(
        isinstance(account, GraphAccount)
        and account.oauth.client_id == mailbox.oauth.client_id
        and address.lower() in (sender.lower() for sender in account.senders)
        for account in tracking.accounts
    )
