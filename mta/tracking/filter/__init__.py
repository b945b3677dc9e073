"""Which messages are left out, and why; whom we never write to; which attachments are not kept.

`presets` are the usual senders and subjects of bounces, `rules` the administrator's own, `judge` asks them in order.
"""

from mta.tracking.filter.attachments import restricted_because
from mta.tracking.filter.judge import judge, may_write_to

__all__ = ["judge", "may_write_to", "restricted_because"]
