"""Accounts by which notices and test mails go out: SMTP, and Microsoft 365 by Graph's sendMail."""

from __future__ import annotations

from mta.config.tracking_schema import OutgoingAccount, SmtpAccount
from mta.ports.outgoing import MailAccount


def open_account(settings: OutgoingAccount, *, hostname: str) -> MailAccount:
    """The account; asks nobody yet. `hostname` is ours, for EHLO.

    Raises OSError or KeyError where a secret or a file can't be read.
    """
    if isinstance(settings, SmtpAccount):
        from mta.adapters.outgoing.smtp import SmtpSender

        return SmtpSender(settings, hostname=hostname)
    from mta.adapters.outgoing.graph import GraphSender

    return GraphSender(settings)
