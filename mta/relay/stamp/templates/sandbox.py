"""The jinja2 environment that templates live in: what they may reach, and how much they may use.

Templates are written by people whom the organisation trusts with its letterhead, not with its mail server. So names,
attributes, filters and operators are lists of what is allowed, and loops, calls and text are counted per rendering:
the worst template costs a fraction of a second and some megabytes. Nothing in here depends on chance or on the clock,
because a second attempt has to give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, cast

from jinja2 import BaseLoader, StrictUndefined, nodes, pass_context, pass_eval_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from mta.relay.stamp.templates.filters.registry import OWN_FILTERS
from mta.relay.stamp.templates.lines import LineExtension
from mta.relay.stamp.templates.rendering import CALLS_MAX, ITERATIONS_MAX, TEXT_MAX, LimitError, rendering_of
from mta.relay.stamp.templates.scheduled import ScheduledExtension
from mta.relay.stamp.templates.values import Values

_NUMBER_MAX = 10**15

_FILTERS = (
    "abs capitalize count d default e escape first float forceescape int join last length list lower max min reject "
    "reverse round select sort string striptags sum title trim truncate unique upper urlencode wordcount"
)
_STR = frozenset(
    ["capitalize", "endswith", "lower", "lstrip", "rsplit", "rstrip", "split", "startswith", "strip", "title", "upper"]
)
_DATETIME = frozenset(
    ["year", "month", "day", "hour", "minute", "second", "date", "strftime", "isoformat", "weekday", "isoweekday"]
)
_DATE = frozenset(["year", "month", "day", "strftime", "isoformat", "weekday", "isoweekday"])
_LOOP = frozenset(
    ["index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem", "changed", "cycle"]
)
_ATTRIBUTES: Mapping[type, frozenset[str]] = {
    str: _STR, Markup: _STR, datetime: _DATETIME, date: _DATE, LoopContext: _LOOP
}  # fmt: skip
_LISTS = (list, tuple, dict)
_COUNTED = "stampline_counted"


@pass_context
def _counted(context: Context, iterable: Iterable[Any]) -> Iterator[Any]:
    budget = rendering_of(context)
    for item in iterable:
        budget.iterations -= 1
        if budget.iterations < 0:
            raise LimitError(f"more than {ITERATIONS_MAX} turns of loops")
        yield item


def _range(*args: int) -> range:
    numbers = range(*args)
    if numbers[ITERATIONS_MAX:]:
        raise LimitError(f"range of more than {ITERATIONS_MAX} numbers")
    return numbers


def bounded_text(parts: Iterable[str]) -> str:
    """Join what a template printed. Raises LimitError above TEXT_MAX characters."""
    kept: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > TEXT_MAX:
            raise LimitError(f"more than {TEXT_MAX} characters")
        kept.append(part)
    return "".join(kept)


def _replace(value: Any, old: str, new: str) -> str:
    text = value if isinstance(value, Markup) else str(value)
    if len(text) + text.count(old) * len(new) * 5 > TEXT_MAX:
        raise LimitError(f"more than {TEXT_MAX} characters")
    return text.replace(old, new)


@pass_eval_context
def _join(context: nodes.EvalContext, value: Iterable[Any], d: str = "") -> str:
    parts = list(value)
    if sum(len(str(part)) for part in parts) + len(d) * len(parts) > TEXT_MAX:
        raise LimitError(f"more than {TEXT_MAX} characters")
    return cast("str", FILTERS["join"](context, parts, d))


def _sum(value: Iterable[Any], start: float = 0) -> float:
    """Of numbers: lists that are added up would double with each line of a template."""
    numbers = [*value, start]
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise SecurityError("sum works on numbers in a template")
    total: float = sum(numbers)
    return total


def _is_deep(value: Any) -> bool:
    """Whether it is a list of lists; in one more, each line of a template could double what is printed of it."""
    return isinstance(value, _LISTS) and any(isinstance(item, _LISTS) for item in _items(value))


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


class _Code(CodeGenerator):
    """Compiles `~` and lists so that their results are checked."""

    def _checked(self, visit: Callable[[Any, Frame], None], node: nodes.Expr, frame: Frame) -> None:
        self.write("environment.flat(")
        visit(node, frame)
        self.write(")")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self._checked(super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._checked(super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx == "load":
            self._checked(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.checked(")
        super().visit_Concat(node, frame)
        self.write(")")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """See the module. Names that end in `.html.j2` are escaped."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))
    code_generator_class = _Code
    concat = staticmethod(bounded_text)

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader,
            autoescape=lambda name: name is not None and name.endswith(".html.j2"),
            undefined=StrictUndefined,
            extensions=[LineExtension, ScheduledExtension],
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            cache_size=-1,
            auto_reload=False,
        )
        own = {**OWN_FILTERS, _COUNTED: _counted, "replace": _replace, "join": _join, "sum": _sum}
        lines = {name: self.filters[name] for name in self.filters if name.startswith("stampline_")}
        self.filters = {name: FILTERS[name] for name in _FILTERS.split()} | lines | own
        self.globals = {"range": _range}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse, and make every loop count its turns."""
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            counted = nodes.Filter(loop.iter, _COUNTED, [], [], None, None)
            counted.set_lineno(loop.lineno)
            loop.iter = counted
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute from the lists above; anything else fails when it is used."""
        if type(obj) is Values:
            return obj.inner[attribute] if attribute in obj.inner else obj.get_value(attribute)
        allowed = _ATTRIBUTES.get(type(obj))
        if allowed is not None and attribute in allowed:
            return getattr(obj, attribute)
        if isinstance(obj, Undefined):
            return getattr(obj, attribute)
        return self.unsafe_undefined(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`sender["title"]`, or an element of a list or a text."""
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on numbers of a sane size, and `+` on texts."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return self.checked(left + right)
        if operator == "**" or not all(isinstance(side, (int, float)) for side in (left, right)):
            raise SecurityError(f"operator {operator} does not work on these values in a template")
        result = self.binop_table[operator](left, right)
        if abs(result) > _NUMBER_MAX:
            raise LimitError("number too large")
        return result

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Count calls, so that macros and recursion end."""
        budget = rendering_of(__context)
        budget.calls -= 1
        if budget.calls < 0:
            raise LimitError(f"more than {CALLS_MAX} calls")
        __self.flat((*args, *kwargs.values()))
        return __self.checked(super().call(__context, __obj, *args, **kwargs))

    def flat(self, value: Any) -> Any:
        """The list, unless there are lists in lists in it. Raises LimitError."""
        if any(map(_is_deep, _items(value))):
            raise LimitError("lists of lists in a list")
        return value

    def checked(self, value: Any) -> Any:
        """The value, unless it is a text too long for a signature. Raises LimitError."""
        if isinstance(value, str) and len(value) > TEXT_MAX:
            raise LimitError(f"more than {TEXT_MAX} characters")
        return value
