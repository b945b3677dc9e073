"""What may be written in a rule file. `rules.py` makes typed rules of it; here are only the shapes."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from mta.config.types import Size, Strict
from mta.message.classify import Kind

REPLY_TEXT_MAX = 200
RULE_NAME_MAX = 100
NULL_REVERSE_PATH = "null-reverse-path"
"""Beside the message kinds: mail whose reverse-path is `<>`."""
KIND_NAMES = (*(kind.value for kind in Kind), NULL_REVERSE_PATH)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _texts(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    return _as_list(_text(value))


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts), Field(min_length=1)]
"""One text, or a list of which any will do."""
DirectionName = Literal["outbound", "inbound", "internal", "forwarded"]
Directions = Annotated[tuple[DirectionName, ...], BeforeValidator(_as_list), Field(min_length=1)]
RoleName = Literal["to", "cc", "hidden"]
Roles = Annotated[tuple[RoleName, ...], BeforeValidator(_as_list), Field(min_length=1)]


def _kind(value: Any) -> Any:
    if isinstance(value, str) and value not in KIND_NAMES:
        raise ValueError(f"{value!r} is no kind of message | choose from {', '.join(KIND_NAMES)}")
    return value


KindName = Annotated[str, BeforeValidator(_kind)]
Kinds = Annotated[tuple[KindName, ...], BeforeValidator(_as_list), Field(min_length=1)]


class _Tests(Strict):
    """A set of tests that must all hold; an empty one would say nothing, so it is refused."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            keys = [field.alias or name for name, field in type(self).model_fields.items()]
            raise ValueError(f"says nothing | write one or more of {', '.join(keys)}")
        return self


class AttributeTest(Strict):
    """A directory attribute: exactly one of the tests."""

    name: str
    equals: Texts | None = None
    matches: Text | None = None
    empty: bool | None = None

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if sum(test is not None for test in (self.equals, self.matches, self.empty)) != 1:
            raise ValueError("needs exactly one of equals, matches and empty | keep one of them")
        return self


class SenderTests(_Tests):
    address: Texts | None = None
    """Address, with `*` and `?`."""
    domain: Texts | None = None
    """Domain, or `*.example.com` for all below it."""
    person: Texts | None = None
    """Any address of a directory person: also matches their other addresses."""
    group: Texts | None = None
    """Directory group, nested ones included."""
    scope: Literal["internal", "external"] | None = None
    attribute: AttributeTest | None = None
    disabled: bool | None = None
    """Whether the directory account is disabled."""


class OneRecipientTests(SenderTests):
    role: Roles | None = None


class RecipientTests(OneRecipientTests):
    any: OneRecipientTests | None = None
    """At least one of the recipients that this recipient may know of."""
    every: OneRecipientTests | None = None
    this: OneRecipientTests | None = None
    """The recipient judged: the same as writing the tests without `this`."""


class SubjectTests(_Tests):
    phrase: Texts | None = None
    keywords: Texts | None = None
    regex: Texts | None = None
    empty: bool | None = None


class HeaderTests(Strict):
    name: str
    present: bool | None = None
    absent: bool | None = None
    equals: Texts | None = None
    contains: Texts | None = None
    matches: Texts | None = None

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        tests = (self.present, self.absent, self.equals, self.contains, self.matches)
        if sum(test is not None for test in tests) != 1:
            raise ValueError("needs exactly one of present, absent, equals, contains and matches | keep one of them")
        return self


class SizeTests(_Tests):
    over: Size | None = None
    under: Size | None = None


class CountTests(_Tests):
    over: Annotated[int, Field(ge=0)] | None = None
    under: Annotated[int, Field(ge=1)] | None = None


class AttachmentTests(_Tests):
    count: CountTests | None = None
    name: Texts | None = None
    """File name, with `*` and `?`; of any attachment."""
    extension: Texts | None = None
    """`exe`, `tar.gz`; of any attachment."""


def _attachments(value: Any) -> Any:
    if value == "any":
        return {"count": {"over": 0}}
    if value == "none":
        return {"count": {"under": 1}}
    if isinstance(value, str):
        raise ValueError(f"{value!r} is not known here | write any, none, or tests under it")
    return value


class Conditions(_Tests):
    """All that is written here must hold."""

    all: Annotated[tuple[Conditions, ...], Field(min_length=1)] | None = None
    any: Annotated[tuple[Conditions, ...], Field(min_length=1)] | None = None
    not_: Annotated[Conditions | None, Field(alias="not")] = None
    direction: Directions | None = None
    kind: Kinds | None = None
    sender: SenderTests | None = None
    recipient: RecipientTests | None = None
    subject: SubjectTests | None = None
    header: HeaderTests | None = None
    size: SizeTests | None = None
    attachments: Annotated[AttachmentTests | None, BeforeValidator(_attachments)] = None


class StampAction(Strict):
    template: str
    place: Literal["top", "bottom", "reply"] = "bottom"
    once: Literal["message", "conversation"] = "message"
    formats: Annotated[
        tuple[Literal["html", "plain"], ...],
        BeforeValidator(lambda value: ["html", "plain"] if value == "both" else _as_list(value)),
        Field(min_length=1),
    ] = ("html", "plain")


class TagSubjectAction(Strict):
    text: Annotated[Text, Field(min_length=1, max_length=100)]
    where: Literal["prefix", "suffix"] = "prefix"


class SetHeaderAction(Strict):
    name: str
    value: Text


class RemoveHeaderAction(Strict):
    name: str


def _reply_text(value: str) -> str:
    if not (value.isascii() and value.isprintable() and 0 < len(value) <= REPLY_TEXT_MAX):
        raise ValueError(
            f"must be one line of 1 to {REPLY_TEXT_MAX} ASCII characters | SMTP replies hold nothing else; shorten it"
        )
    return value


def _status(value: str) -> str:
    if not re.match(r"5\.\d{1,3}\.\d{1,3}\Z", value):
        raise ValueError(f"{value!r} is no enhanced status code of a rejection | write it as 5.7.1")
    return value


ReplyText = Annotated[str, AfterValidator(_reply_text)]


class RejectAction(Strict):
    code: Annotated[int, Field(ge=500, le=599)] = 550
    status: Annotated[str, AfterValidator(_status)] = "5.7.1"
    text: ReplyText = "Rejected by policy"


class DeferAction(Strict):
    text: ReplyText = "Deferred by policy, try again later"


class DropAction(Strict):
    pass


class HoldAction(Strict):
    reason: Annotated[str, Field(max_length=200)] = ""


class RouteAction(Strict):
    next_hop: str


_BARE = ("reject", "defer", "drop", "hold")


def _action(value: Any) -> Any:
    """`- drop` is short for `- drop: {}`."""
    if isinstance(value, str) and value in _BARE:
        return {value: {}}
    if isinstance(value, dict):
        return {key: {} if inner is None and key in _BARE else inner for key, inner in value.items()}
    return value


class ActionEntry(Strict):
    """One action: exactly one key."""

    stamp: StampAction | None = None
    tag_subject: Annotated[TagSubjectAction | None, Field(alias="tag-subject")] = None
    set_header: Annotated[SetHeaderAction | None, Field(alias="set-header")] = None
    remove_header: Annotated[RemoveHeaderAction | None, Field(alias="remove-header")] = None
    reject: RejectAction | None = None
    defer: DeferAction | None = None
    drop: DropAction | None = None
    hold: HoldAction | None = None
    route: RouteAction | None = None

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError("an item needs exactly one action | write each action behind its own '- '")
        return self


class ActiveTimes(_Tests):
    """When a rule is in force; all that is given must hold."""

    from_: Annotated[date | None, Field(alias="from")] = None
    until: date | None = None
    """Last day, included."""
    weekdays: Text | None = None
    """`mon-fri`, or `mon,wed,sat-sun`."""
    hours: Text | None = None
    """`08:00-18:00`; past midnight: `22:00-06:00`."""
    timezone: str = "UTC"


def _condition_list(key: str) -> Any:
    def convert(value: Any) -> Any:
        return {key: value} if isinstance(value, list) else value

    return BeforeValidator(convert)


def _rule_name(value: str) -> str:
    if not re.match(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{RULE_NAME_MAX - 1}}}\Z", value):
        raise ValueError(f"{value!r} is no rule name | use letters, digits, dots, dashes and underscores")
    return value


def _something_done(value: tuple[ActionEntry, ...], info: ValidationInfo) -> tuple[ActionEntry, ...]:
    if not value and info.data.get("on_match") != "stop":
        raise PydanticCustomError("too_short", "no actions", {"min_length": 1})
    return value


class RuleEntry(Strict):
    """One rule as written. A rule that stops the walk for whom it matches may do so without any action."""

    name: Annotated[Text, AfterValidator(_rule_name)]
    enabled: bool = True
    direction: Directions | None = None
    when: Annotated[Conditions | None, _condition_list("all")] = None
    unless: Annotated[Conditions | None, _condition_list("any")] = None
    on_match: Literal["stop", "next"] = "next"
    actions: Annotated[
        tuple[Annotated[ActionEntry, BeforeValidator(_action)], ...],
        AfterValidator(_something_done),  # which knows the fields above
    ]
    on_no_match: Literal["stop", "next"] = "next"
    mode: Literal["enforce", "audit"] = "enforce"
    on_error: Literal["deliver-unstamped", "defer", "reject"] = "deliver-unstamped"
    active: ActiveTimes | None = None

    @model_validator(mode="before")
    @classmethod
    def _stop_only(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("on_match") == "stop":
            return {"actions": [], **value}
        return value


class RuleFile(Strict):
    """One file of rules."""

    rules: tuple[RuleEntry, ...] = ()
