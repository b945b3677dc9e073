"""Maildirs of this machine (https://cr.yp.to/proto/maildir.html, Maildir++): Sent Items is a folder beside the inbox.

What is below a mailbox belongs to its user, who may change it at any time and needn't be friendly: nothing is opened
through a symbolic link (`directories`). The ports' own parts are `sent_items` and `reader`.
"""

from mta.adapters.mailbox.maildir.sent_items import MaildirSentItems

__all__ = ["MaildirSentItems"]
