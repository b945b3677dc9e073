"""Mailbox servers: Maildir (embedded default), IMAP, POP3, Exchange Web Services, Microsoft Graph."""

from __future__ import annotations

from pathlib import Path

from mta.config import mailbox_schema as schema
from mta.config import tracking_schema as tracking
from mta.ports.mailbox import SentItems
from mta.ports.mailbox_reader import MailboxReader


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


def open_reader(settings: tracking.MonitoredMailbox, *, set_aside_folder: Path) -> MailboxReader:
    """The monitored mailbox. As `open_server`; `set_aside_folder` is a Maildir for servers that have no folders."""
    if isinstance(settings, tracking.MaildirMailbox):
        from mta.adapters.mailbox.maildir.reader import MaildirReader

        return MaildirReader(settings)
    if isinstance(settings, tracking.ImapMailbox):
        from mta.adapters.mailbox.imap.reader import ImapReader

        return ImapReader(settings)
    if isinstance(settings, tracking.Pop3Mailbox):
        from mta.adapters.mailbox.pop3 import Pop3Reader

        return Pop3Reader(settings, set_aside_folder=set_aside_folder)
    if isinstance(settings, tracking.EwsMailbox):
        from mta.adapters.mailbox.ews.reader import EwsReader

        return EwsReader(settings)
    from mta.adapters.mailbox.graph.reader import GraphReader

    return GraphReader(settings)
