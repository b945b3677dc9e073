"""What may be written in a rule file; conditions and actions have their own modules beside this one."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from mta.config.texts import ShortFor, Text, Texts
from mta.config.types import Strict
from mta.relay.decide.actions.schema import ActionEntry, BareAction, with_bare_actions
from mta.relay.decide.conditions.schema import Conditions, Directions
from mta.relay.decide.shapes import ActiveTimes

RULE_NAME_MAX = 100


def _rule_name(value: str) -> str:
    if not re.match(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{RULE_NAME_MAX - 1}}}\Z", value):
        raise ValueError(f"{value!r} is no rule name | use letters, digits, dots, dashes and underscores")
    return value


def _something_done(value: tuple[ActionEntry, ...], info: ValidationInfo) -> tuple[ActionEntry, ...]:
    if not value and info.data.get("on_match") != "stop":
        raise PydanticCustomError("too_short", "no actions", {"min_length": 1})
    return value


WrittenAction = Annotated[
    ActionEntry, BeforeValidator(with_bare_actions, json_schema_input_type=ActionEntry | BareAction)
]


def _without_actions_only_to_stop(schema: dict[str, Any]) -> None:
    schema["required"].remove("actions")
    schema["if"] = {"properties": {"on_match": {"const": "stop"}}, "required": ["on_match"]}
    schema["else"] = {"properties": {"actions": {"minItems": 1}}, "required": ["actions"]}


class RuleEntry(Strict):
    """One rule as written. A rule that stops the walk for whom it matches may do so without any action."""

    model_config = ConfigDict(json_schema_extra=_without_actions_only_to_stop)

    name: Annotated[Text, AfterValidator(_rule_name)]
    enabled: bool = True
    direction: Directions | None = None
    when: Annotated[Conditions | None, ShortFor("all", (list,))] = None
    unless: Annotated[Conditions | None, ShortFor("any", (list,))] = None
    on_match: Literal["stop", "next"] = "next"
    actions: Annotated[
        tuple[WrittenAction, ...],
        AfterValidator(_something_done),  # which knows the fields above
    ]
    on_no_match: Literal["stop", "next"] = "next"
    mode: Literal["enforce", "audit"] = "enforce"
    pilot: Texts | None = None
    """Groups for whose members the rule is in force; for everybody else it is audited."""
    splitting: Literal["on", "off"] = "on"
    """off: what this rule changes in the content, it changes for everybody or for nobody."""
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
