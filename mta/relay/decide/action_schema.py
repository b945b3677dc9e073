"""What may stand in `actions`: the shapes; `compile_actions.py` makes actions of them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mta.config.types import Strict
from mta.relay.decide.address_action_schema import (
    AddRecipientsAction,
    ArchiveAction,
    AutoRespondAction,
    ForwardCopyAction,
    NotifyAction,
    RedirectAction,
    RewriteSenderAction,
    SetReplyToAction,
    short_for,
)
from mta.relay.decide.texts import Text, as_list

REPLY_TEXT_MAX = 200


class StampAction(Strict):
    template: str
    place: Literal["top", "bottom", "reply"] = "bottom"
    once: Literal["message", "conversation"] = "message"
    formats: Annotated[
        tuple[Literal["html", "plain"], ...],
        BeforeValidator(lambda value: ["html", "plain"] if value == "both" else as_list(value)),
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


class RequireTlsAction(Strict):
    pass


class DkimKeyAction(Strict):
    selector: str


class SetImportanceAction(Strict):
    value: Literal["high", "normal", "low"]


class SetSensitivityAction(Strict):
    value: Literal["normal", "personal", "private", "company-confidential"]


def _guid(value: str) -> str:
    if not re.match(r"\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?\Z", value):
        raise ValueError(f"{value!r} is no GUID | copy it from Get-MessageClassification, ClassificationID")
    return value.strip("{}").lower()


class SetClassificationAction(Strict):
    name: Annotated[Text, Field(min_length=1, max_length=200)]
    description: Annotated[Text, Field(max_length=800)] = ""
    id: Annotated[str, AfterValidator(_guid)] | None = None
    keep: bool = True
    """Replies and forwards keep the classification."""


class PluginAction(Strict):
    name: str
    options: dict[str, Any] = {}


_BARE = ("reject", "defer", "drop", "hold", "require-tls")


def with_bare_actions(value: Any) -> Any:
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
    require_tls: Annotated[RequireTlsAction | None, Field(alias="require-tls")] = None
    dkim_key: Annotated[DkimKeyAction | None, short_for("selector"), Field(alias="dkim-key")] = None
    set_importance: Annotated[SetImportanceAction | None, short_for("value"), Field(alias="set-importance")] = None
    set_sensitivity: Annotated[SetSensitivityAction | None, short_for("value"), Field(alias="set-sensitivity")] = None
    set_classification: Annotated[
        SetClassificationAction | None, short_for("name"), Field(alias="set-classification")
    ] = None
    set_reply_to: Annotated[SetReplyToAction | None, short_for("address"), Field(alias="set-reply-to")] = None
    rewrite_sender: Annotated[RewriteSenderAction | None, short_for("address"), Field(alias="rewrite-sender")] = None
    add_recipients: Annotated[AddRecipientsAction | None, Field(alias="add-recipients")] = None
    forward_copy: Annotated[ForwardCopyAction | None, short_for("to"), Field(alias="forward-copy")] = None
    redirect: Annotated[RedirectAction | None, short_for("to")] = None
    archive: Annotated[ArchiveAction | None, short_for("to")] = None
    notify: NotifyAction | None = None
    auto_respond: Annotated[AutoRespondAction | None, short_for("template"), Field(alias="auto-respond")] = None
    plugin: Annotated[PluginAction | None, short_for("name")] = None

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError("an item needs exactly one action | write each action behind its own '- '")
        return self
