"""`{% scheduled from='2026-12-01', until='2026-12-31' %}…{% else %}…{% endscheduled %}`: a block with its time."""

from __future__ import annotations

from jinja2 import Environment, nodes, pass_context
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context

from mta.config.clock_words import ScheduleError
from mta.relay.stamp.templates.rendering import rendering_of
from mta.relay.stamp.templates.schedules import schedule_of

_NAME = "stampline_scheduled"


@pass_context
def _is_running(context: Context, written: tuple[tuple[str, str], ...]) -> bool:
    rendering = rendering_of(context)
    answer, period = schedule_of(written).runs(rendering.now, rendering.region.zone)
    rendering.hold_for(period)
    return answer


class ScheduledExtension(Extension):
    """The tag. Its arguments are texts, so that they are checked at load."""

    tags = {"scheduled"}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters[_NAME] = _is_running

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        written = self._arguments(parser)
        try:
            schedule_of(written)
        except ScheduleError as exc:
            parser.fail(f"{exc} ({exc.mend})", lineno)
        body = parser.parse_statements(("name:endscheduled", "name:else"))
        otherwise: list[nodes.Node] = []
        if next(parser.stream).value == "else":
            otherwise = parser.parse_statements(("name:endscheduled",), drop_needle=True)
        running = nodes.Filter(nodes.Const(written), _NAME, [], [], None, None).set_lineno(lineno)
        return nodes.If(running, body, [], otherwise).set_lineno(lineno)

    @staticmethod
    def _arguments(parser: Parser) -> tuple[tuple[str, str], ...]:
        given: dict[str, str] = {}
        while parser.stream.current.type != "block_end":
            if given:
                parser.stream.skip_if("comma")
            key = parser.stream.expect("name")
            parser.stream.expect("assign")
            if key.value in given:
                parser.fail(f"{key.value} is written twice", key.lineno)
            given[key.value] = str(parser.stream.expect("string").value)
        if not given:
            parser.fail("scheduled needs from, until, weekdays or hours", parser.stream.current.lineno)
        return tuple(given.items())
