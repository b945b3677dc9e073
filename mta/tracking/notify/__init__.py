"""Notices and digests: mails that tell of records.

In: a record as it stands, what happened, who gets to know. Out: whole messages as tasks, for the outgoing accounts.
"""

from mta.tracking.notify.digest import digests_due
from mta.tracking.notify.render import CannotWriteError, Letter, NoticeContext, RenderNotice

__all__ = ["CannotWriteError", "Letter", "NoticeContext", "RenderNotice", "digests_due"]
