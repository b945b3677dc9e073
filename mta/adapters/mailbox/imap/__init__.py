"""IMAP servers (RFC 3501), for everybody's Sent Items by one account, and for monitored mailboxes; by IMAPClient.

`wire` bounds what a server may cost in time and memory, `client` signs in and finds folders, `connections` keeps a few
of them open, `failures` says what refusals mean. The ports' own parts are `sent_items` and `reader`.
"""

from mta.adapters.mailbox.imap.sent_items import ImapSentItems

__all__ = ["ImapSentItems"]
