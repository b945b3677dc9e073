"""What may be written in a file of business rules: when a rule holds, and its options."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from mta.config.rule_shapes import CountTests, Tests
from mta.config.texts import OrOne, ShortFor, Text, Texts
from mta.config.types import Duration, Size, Strict
from mta.tracking.record.action_schema import ActionEntry, BareAction, with_bare_actions

RULE_NAME_MAX = 100
FIELD_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
PERSONAL = ("new", "reply", "forward")
"""Kinds of message that people write: all that a rule is for, unless it names others."""
AUTOMATIC = ("automatic-reply", "out-of-office", "bulk", "generated")
"""What `automatic` stands for."""
KINDS = (*PERSONAL, "automatic", *AUTOMATIC, "bounce", "receipt", "meeting")

Kind = Literal[
    "new", "reply", "forward", "automatic", "automatic-reply", "out-of-office", "bulk", "generated", "bounce",
    "receipt", "meeting",
]  # fmt: skip
OutcomeName = Literal["new", "joined", "pending", "report"]


def _field_name(value: str) -> str:
    if not FIELD_NAME.match(value):
        raise ValueError(f"{value!r} is no name of a field | use lower case letters, digits, `_` and `-`")
    return value


FieldName = Annotated[Text, AfterValidator(_field_name)]


class TextTests(Tests):
    """Case doesn't count, but in regexes that say so."""

    phrase: Texts | None = None
    """Anywhere; `*` stands for anything in a line."""
    keywords: Texts | None = None
    """Whole words."""
    regex: Texts | None = None
    """RE2."""
    empty: bool | None = None


class BodyTests(TextTests):
    within: Literal["newest", "whole"] = "newest"
    """newest: what this message's author wrote, without what is quoted."""

    @classmethod
    def ways(cls) -> frozenset[str]:
        return frozenset({"within"})


class SenderTests(Tests):
    """Of From. One whose authentication failed is nobody that we know."""

    address: Texts | None = None
    """`*` and `?` as wildcards."""
    domain: Texts | None = None
    group: Texts | None = None
    """Groups of the directory, nested ones included."""
    role: Literal["requestor", "technician", "both", "unknown"] | None = None
    """both: either of the two."""
    known: bool | None = None
    """Whether directory or settings know the address."""
    takes_part: bool | None = None
    """Whether it takes part in the conversation."""
    authenticated: bool | None = None


class RecipientTests(Tests):
    """One of To and Cc."""

    address: Texts | None = None
    domain: Texts | None = None


class FieldTests(Strict):
    """One of the record's fields."""

    name: FieldName
    equals: Texts | None = None
    phrase: Texts | None = None
    regex: Texts | None = None
    empty: bool | None = None


class AttachmentTests(Tests):
    any: bool | None = None
    name: Texts | None = None
    """`*.pdf`: one is called so."""
    count: CountTests | None = None


class SizeTests(Tests):
    over: Size | None = None
    under: Size | None = None


Fields = Annotated[tuple[FieldTests, ...], Field(min_length=1)]


class Conditions(Tests):
    """Everything that is said has to hold; what a list names holds with any of it."""

    kind: Annotated[tuple[Kind, ...], Field(min_length=1), OrOne()] | None = None
    """What nobody wrote (automatic, bounce, receipt, meeting) is only for rules that name it."""
    outcome: Annotated[tuple[OutcomeName, ...], Field(min_length=1), OrOne()] | None = None
    """What correlation found: `joined` an open conversation, `new`, `report` of a message of ours; `pending`, a
    stranger with a valid reference, is only for rules that name it."""
    direction: Annotated[tuple[Literal["received", "sent"], ...], Field(min_length=1), OrOne()] | None = None
    """`sent`, a copy of what one of us wrote, is only for rules that name it."""
    mailbox: Texts | None = None
    """Names of monitored mailboxes."""
    module: Texts | None = None
    state: Texts | None = None
    """Of the record, as it is when this rule's turn has come."""
    record: Literal["exists", "missing"] | None = None
    """A conversation that the relay tracks may have no record yet."""
    unassigned: bool | None = None
    """Whether the record has no owner."""
    owner: Texts | None = None
    """Addresses, `*` and `?` as wildcards."""
    requester: Texts | None = None
    source: Texts | None = None
    sender: Annotated[SenderTests | None, ShortFor("address")] = None
    recipient: Annotated[RecipientTests | None, ShortFor("address")] = None
    subject: Annotated[TextTests | None, ShortFor("phrase")] = None
    body: Annotated[BodyTests | None, ShortFor("phrase")] = None
    field: FieldTests | None = None
    attachment: AttachmentTests | None = None
    size: SizeTests | None = None
    older_than: Duration | None = None
    """Since the record was made: the rule is carried out by time, not by a message."""
    unchanged_for: Duration | None = None
    """Since it changed last: by time, too."""
    all: tuple[Conditions, ...] | None = None
    any: tuple[Conditions, ...] | None = None
    not_: Annotated[Conditions | None, Field(alias="not")] = None


def _rule_name(value: str) -> str:
    if not re.match(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{RULE_NAME_MAX - 1}}}\Z", value):
        raise ValueError(f"{value!r} is no rule name | use letters, digits, dots, dashes and underscores")
    return value


WrittenAction = Annotated[
    ActionEntry, BeforeValidator(with_bare_actions, json_schema_input_type=ActionEntry | BareAction)
]


def _list(value: Any) -> Any:
    return [] if value is None else value


class RuleEntry(Strict):
    """One rule as written."""

    model_config = ConfigDict(json_schema_extra={"required": ["name"]})

    name: Annotated[Text, AfterValidator(_rule_name)]
    enabled: bool = True
    when: Annotated[Conditions | None, ShortFor("all", (list,))] = None
    """Nothing: every message that a person sent us."""
    unless: Annotated[Conditions | None, ShortFor("any", (list,))] = None
    actions: tuple[WrittenAction, ...] = ()
    """Nothing: with `on_match: stop`, nothing is done for what it matches."""
    on_match: Literal["stop", "next"] = "next"
    mode: Literal["enforce", "audit"] = "enforce"
    """audit: the log says what it would do."""


class RuleFile(Strict):
    """One file of business rules."""

    rules: Annotated[
        tuple[RuleEntry, ...], BeforeValidator(_list), WithJsonSchema({"type": "array"}, mode="serialization")
    ] = ()
