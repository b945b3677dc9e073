"""IMAP servers (RFC 3501), one account for everybody's mailbox; IMAPClient speaks the protocol.

`wire` bounds what a server may cost in time and memory, `client` signs in and finds folders, `connections` keeps a few
of them open, `failures` says what refusals mean. The port's own part is `sent_items`.
"""

from mta.adapters.mailbox.imap.sent_items import ImapSentItems

__all__ = ["ImapSentItems"]
