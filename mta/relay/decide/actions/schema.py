"""What may stand in `actions`: the shapes; `compile.py` makes actions of them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from mta.config.texts import ShortFor, Text
from mta.config.types import Strict
from mta.relay.decide.actions.address_schema import (
    AddRecipientsAction,
    ArchiveAction,
    AutoRespondAction,
    ForwardCopyAction,
    NotifyAction,
    RedirectAction,
    RewriteSenderAction,
    SetReplyToAction,
)
from mta.relay.decide.actions.content_schema import (
    AddAttachmentAction,
    MaskAction,
    RemoveKeywordsAction,
    RemoveStampsAction,
    RemoveTextAction,
    ReplaceTextAction,
    StripAttachmentsAction,
)

REPLY_TEXT_MAX = 200


FormatName = Literal["html", "plain"]


def _both(value: Any) -> Any:
    return ["html", "plain"] if value == "both" else [value] if isinstance(value, str) else value


class StampAction(Strict):
    template: str
    place: Literal["top", "bottom", "reply"] = "bottom"
    once: Literal["message", "conversation"] = "message"
    formats: Annotated[
        tuple[FormatName, ...],
        Field(min_length=1),
        BeforeValidator(_both, json_schema_input_type=FormatName | Literal["both"] | tuple[FormatName, ...]),
    ] = ("html", "plain")
    make_html: bool = False
    """A message of plain text alone gets an HTML, for the stamp as it was designed."""


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
    value: Literal["normal", "personal", "private", "confidential"]


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


class TrackAction(Strict):
    module: str = ""
    """Kind of the record; empty: the first of the organisation's modules."""
    open: bool = True
    """false: only what belongs to a conversation already is tracked; the processing mailbox gets the rest, too."""
    copy_: Annotated[bool, Field(alias="copy")] = True
    """The processing mailbox gets a copy."""


class PluginAction(Strict):
    name: str
    options: dict[str, Any] = {}


BareAction = Literal["reject", "defer", "drop", "hold", "require-tls", "strip-attachments", "track"]
_BARE = get_args(BareAction)


def with_bare_actions(value: Any) -> Any:
    """`- drop` is short for `- drop: {}`."""
    if isinstance(value, str) and value in _BARE:
        return {value: {}}
    if isinstance(value, dict):
        return {key: {} if inner is None and key in _BARE else inner for key, inner in value.items()}
    return value


class ActionEntry(Strict):
    """One action: exactly one key."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    stamp: StampAction | None = None
    tag_subject: Annotated[TagSubjectAction | None, Field(alias="tag-subject")] = None
    remove_stamps: Annotated[RemoveStampsAction | None, ShortFor("templates"), Field(alias="remove-stamps")] = None
    set_header: Annotated[SetHeaderAction | None, Field(alias="set-header")] = None
    remove_header: Annotated[RemoveHeaderAction | None, Field(alias="remove-header")] = None
    replace_text: Annotated[ReplaceTextAction | None, Field(alias="replace-text")] = None
    remove_text: Annotated[RemoveTextAction | None, ShortFor("find", (str,)), Field(alias="remove-text")] = None
    remove_keywords: Annotated[RemoveKeywordsAction | None, ShortFor("keywords"), Field(alias="remove-keywords")] = None
    mask: MaskAction | None = None
    strip_attachments: Annotated[StripAttachmentsAction | None, Field(alias="strip-attachments")] = None
    add_attachment: Annotated[AddAttachmentAction | None, ShortFor("file", (str,)), Field(alias="add-attachment")] = (
        None
    )
    reject: RejectAction | None = None
    defer: DeferAction | None = None
    drop: DropAction | None = None
    hold: HoldAction | None = None
    route: RouteAction | None = None
    require_tls: Annotated[RequireTlsAction | None, Field(alias="require-tls")] = None
    dkim_key: Annotated[DkimKeyAction | None, ShortFor("selector"), Field(alias="dkim-key")] = None
    set_importance: Annotated[SetImportanceAction | None, ShortFor("value"), Field(alias="set-importance")] = None
    set_sensitivity: Annotated[SetSensitivityAction | None, ShortFor("value"), Field(alias="set-sensitivity")] = None
    set_classification: Annotated[
        SetClassificationAction | None, ShortFor("name"), Field(alias="set-classification")
    ] = None
    set_reply_to: Annotated[SetReplyToAction | None, ShortFor("address"), Field(alias="set-reply-to")] = None
    rewrite_sender: Annotated[RewriteSenderAction | None, ShortFor("address"), Field(alias="rewrite-sender")] = None
    add_recipients: Annotated[AddRecipientsAction | None, Field(alias="add-recipients")] = None
    forward_copy: Annotated[ForwardCopyAction | None, ShortFor("to"), Field(alias="forward-copy")] = None
    redirect: Annotated[RedirectAction | None, ShortFor("to")] = None
    archive: Annotated[ArchiveAction | None, ShortFor("to")] = None
    notify: NotifyAction | None = None
    auto_respond: Annotated[AutoRespondAction | None, ShortFor("template"), Field(alias="auto-respond")] = None
    track: Annotated[TrackAction | None, ShortFor("module")] = None
    plugin: Annotated[PluginAction | None, ShortFor("name")] = None

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError("an item needs exactly one action | write each action behind its own '- '")
        return self
