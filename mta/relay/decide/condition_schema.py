"""What may stand in `when` and `unless`: the shapes; `compile_conditions.py` makes conditions of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mta.config.types import Size, Strict
from mta.message.classify import Kind
from mta.relay.decide.texts import Text, Texts, as_list

NULL_REVERSE_PATH = "null-reverse-path"
"""Beside the message kinds: mail whose reverse-path is `<>`."""
KIND_NAMES = (*(kind.value for kind in Kind), NULL_REVERSE_PATH)
DirectionName = Literal["outbound", "inbound", "internal", "forwarded"]
Directions = Annotated[tuple[DirectionName, ...], BeforeValidator(as_list), Field(min_length=1)]
RoleName = Literal["to", "cc", "hidden"]
Roles = Annotated[tuple[RoleName, ...], BeforeValidator(as_list), Field(min_length=1)]


def _kind(value: Any) -> Any:
    if isinstance(value, str) and value not in KIND_NAMES:
        raise ValueError(f"{value!r} is no kind of message | choose from {', '.join(KIND_NAMES)}")
    return value


KindName = Annotated[str, BeforeValidator(_kind)]
Kinds = Annotated[tuple[KindName, ...], BeforeValidator(as_list), Field(min_length=1)]


class Tests(Strict):
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


class SenderTests(Tests):
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


class SubjectTests(Tests):
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


class SizeTests(Tests):
    over: Size | None = None
    under: Size | None = None


class CountTests(Tests):
    over: Annotated[int, Field(ge=0)] | None = None
    under: Annotated[int, Field(ge=1)] | None = None


class AttachmentTests(Tests):
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


class Conditions(Tests):
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
