"""What may stand in `actions` of a business rule."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, get_args
from unicodedata import combining, normalize

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from mta.config.texts import OrOne, ShortFor, Text, Texts
from mta.config.tracking_schema import Name
from mta.config.types import Strict

State = Annotated[Text, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
States = Annotated[tuple[State, ...], Field(min_length=1), OrOne()]
Title = Annotated[Text, Field(max_length=1000)]


def _fields(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not re.match(r"[a-z0-9][a-z0-9_-]{0,63}\Z", name):
            raise ValueError(f"{name!r} is no name of a field | use lower case letters, digits, `_` and `-`")
    return value


Values = Annotated[dict[str, Title], AfterValidator(_fields)]
"""Field → wording."""


class CreateAction(Strict):
    """A record, where the conversation has none."""

    module: Name | None = None
    """Empty: the first one of the configuration. A tracked conversation keeps its own."""
    title: Title = "{subject}"
    requester: Title = ""
    """Whom it is about. Empty: who wrote it; of what one of us sent, the first recipient outside."""
    owner: Title = ""
    """Empty: the module's; of what one of us sent, who sent it."""
    state: State = "open"
    source: Title = "{mailbox}"
    fields: Values = {}


class UpdateAction(Strict):
    state: State | None = None
    title: Title | None = None
    owner: Title | None = None
    requester: Title | None = None
    fields: Values = {}


class CloseAction(Strict):
    state: State = "closed"


class ReopenAction(Strict):
    """Only of a record that is in one of the states `from`."""

    state: State = "open"
    from_: Annotated[States, Field(alias="from")] = ("closed",)


class DeleteAction(Strict):
    pass


class NoteAction(Strict):
    text: Literal["newest", "whole"] | None = None
    """newest: what this message's author wrote. Nothing: newest."""
    wording: Title = ""
    """Instead of the message's text."""
    kind: Annotated[Text, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")] | None = None
    """Nothing: `received`, `sent`, `held`, or what the message is: `out-of-office`, `bounce`, …"""
    public: bool | None = None
    """Whether the requester may see it. Nothing: what people wrote who take part."""
    attach: Literal["all", "files", "none"] = "all"
    """files: without pictures that stand in the text."""


def _lines(value: Any) -> Any:
    """A list of names is short for names that are fields' names, too."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list):
        return {str(name): _field_of(str(name)) for name in value}
    return value


def _field_of(name: str) -> str:
    """`order_number` of `Order number`, `grosse` of `Größe`; "" where nothing of it is left."""
    letters = "".join(each for each in normalize("NFKD", name.casefold()) if not combining(each))
    return re.sub(r"[^a-z0-9_-]+", "_", letters).strip("_-")


class ReadFieldsAction(Strict):
    """Fields from what the message says; only those that are named here."""

    lines: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=100)], Text],
        BeforeValidator(_lines, json_schema_input_type=dict[str, str] | Texts),
        AfterValidator(lambda value: _fields_of(value)),
    ] = {}
    """What stands before the colon of a line `Order number: 42` of the newest text → the field's name."""
    regex: Text | None = None
    """RE2; each group has a name, that of a field: `(?P<order>[0-9]+)`."""
    within: Literal["subject", "newest", "whole"] = "newest"
    """Where the regex looks."""
    length: Annotated[int, Field(ge=1, le=4000)] = 200
    """Longer values are cut."""
    keep: bool = False
    """A field that has a value keeps it."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.lines and self.regex is None:
            raise ValueError("reads nothing | write lines or regex")
        return self


def _fields_of(value: dict[str, str]) -> dict[str, str]:
    _fields(dict.fromkeys(value.values(), ""))
    return value


class NotifyAction(Strict):
    to: Texts
    """`requester`, `owner`, `sender`, `participants`, or addresses."""
    template: str = ""
    """Of the templates folder. Empty, or gone: our own words."""
    subject: Title = ""
    """Where the template has none; empty: our own words."""
    account: Name | None = None
    """Outgoing account; nothing: the one that may send from the mailbox's address, else the first."""
    from_: Annotated[str | None, Field(alias="from")] = None
    """Nothing: the mailbox's address where the account may send from it, else the account's first."""


class CallAction(Strict):
    sink: Name
    event: Annotated[Text, Field(pattern=r"^[a-z][a-z0-9.-]{0,63}$")] | None = None
    """What it is told; nothing: `record.created`, `record.updated`, `record.deleted` or `note.added`."""
    fields: Texts | None = None
    """Of the record; nothing: all."""
    attachments: Literal["none", "described", "whole"] = "described"
    """whole: with their content in base64, 5 MB in all."""


class WriteBackAction(Strict):
    """Marks for the copies in the mailboxes of the audience."""


class JoinAction(Strict):
    """Lets a held message in; its sender takes part from now on."""


BareAction = Literal["create", "close", "reopen", "delete", "note", "write-back", "join"]
_BARE = get_args(BareAction)


def with_bare_actions(value: Any) -> Any:
    """`- note` is short for `- note: {}`."""
    if isinstance(value, str) and value in _BARE:
        return {value: {}}
    if isinstance(value, dict):
        return {key: {} if inner is None and key in _BARE else inner for key, inner in value.items()}
    return value


class ActionEntry(Strict):
    """One action: exactly one key."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    create: Annotated[CreateAction | None, ShortFor("module", (str,))] = None
    update: UpdateAction | None = None
    close: Annotated[CloseAction | None, ShortFor("state", (str,))] = None
    reopen: Annotated[ReopenAction | None, ShortFor("state", (str,))] = None
    delete: DeleteAction | None = None
    note: Annotated[NoteAction | None, ShortFor("text", (str,))] = None
    read_fields: Annotated[ReadFieldsAction | None, ShortFor("lines", (list,)), Field(alias="read-fields")] = None
    notify: Annotated[NotifyAction | None, ShortFor("to")] = None
    call: Annotated[CallAction | None, ShortFor("sink", (str,))] = None
    write_back: Annotated[WriteBackAction | None, Field(alias="write-back")] = None
    join: JoinAction | None = None

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError("an item needs exactly one action | write each action behind its own '- '")
        return self
