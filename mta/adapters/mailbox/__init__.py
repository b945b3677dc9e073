"""Mailbox servers: Maildir (embedded default), IMAP, Exchange Web Services, Microsoft Graph."""

from __future__ import annotations

from mta.config import mailbox_schema as schema
from mta.ports.mailbox import SentItems


def open_server(settings: schema.MailboxServer) -> SentItems:
    """The configured mailbox server. Asks no server. Raises OSError or KeyError where a secret or file can't be read.

    Each kind's modules are loaded only where they are needed: exchangelib alone takes two seconds.
    """
    if isinstance(settings, schema.MaildirMailboxes):
        from mta.adapters.mailbox.maildir import MaildirSentItems

        return MaildirSentItems(settings)
    if isinstance(settings, schema.ImapMailboxes):
        from mta.adapters.mailbox.imap import ImapSentItems

        return ImapSentItems(settings)
    if isinstance(settings, schema.EwsMailboxes):
        from mta.adapters.mailbox.ews import EwsSentItems

        return EwsSentItems(settings)
    from mta.adapters.mailbox.graph import GraphSentItems

    return GraphSentItems(settings)
