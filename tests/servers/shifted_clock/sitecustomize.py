"""Found by Python at its start where this folder is on PYTHONPATH: the wall clock runs ahead by the seconds in a file.

libfaketime would move the monotonic clock, too, or break timed waits in threads; a clock that is really set does
neither.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from mta.ports.clock import SystemClock

_FILE = Path(os.environ["SHIFTED_CLOCK"])
_time = time.time


def _shifted() -> float:
    return _time() + float(_FILE.read_text() or 0)


time.time = _shifted
SystemClock.now = lambda self: datetime.fromtimestamp(_shifted(), UTC)  # type: ignore[method-assign]
