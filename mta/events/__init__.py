"""Every event that we log, one function each. A line has a time, `action`, and fields that grep finds.

The functions stand in the modules below by what they tell of, and are called as `events.NAME(…)`.
"""

from mta.events.access import *
from mta.events.decide import *
from mta.events.deliver import *
from mta.events.directory import *
from mta.events.log import Level as Level
from mta.events.log import Sink as Sink
from mta.events.log import Value as Value
from mta.events.log import configure as configure
from mta.events.log import format_event as format_event
from mta.events.log import format_json as format_json
from mta.events.log import format_logfmt as format_logfmt
from mta.events.log import logged_to as logged_to
from mta.events.processes import *
from mta.events.receive import *
from mta.events.reports import *
from mta.events.sentitems import *
from mta.events.spool import *
from mta.events.tasks import *
from mta.events.tracking import *
from mta.events.watch import *
