"""What may stand in `when` and `unless`: the shapes; `compile.py` makes conditions of them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from mta.config.rule_shapes import CountTests, Tests
from mta.config.texts import OrOne, ShortFor, Text, Texts
from mta.config.types import Size, Strict
from mta.message.classify import Kind
from mta.relay.decide.conditions.party_schema import RecipientTests, SenderTests
from mta.relay.decide.shapes import ActiveTimes

NULL_REVERSE_PATH = "null-reverse-path"
"""Beside the message kinds: mail whose reverse-path is `<>`."""
MEETING_KINDS = {
    "request": "meeting-request", "reply": "meeting-response", "counter": "meeting-response",
    "declinecounter": "meeting-response", "cancel": "meeting-cancellation",
}  # fmt: skip
"""What a meeting is called besides, by its iTIP method (RFC 5546 §1.4)."""
OTHER_CALENDAR = "calendar"
"""A calendar object that neither invites, answers nor calls off: published events, or no method at all."""
KIND_NAMES = (
    *(kind.value for kind in Kind), *dict.fromkeys(MEETING_KINDS.values()), OTHER_CALENDAR, NULL_REVERSE_PATH,
)  # fmt: skip
DirectionName = Literal["outbound", "inbound", "internal", "forwarded"]
Directions = Annotated[tuple[DirectionName, ...], Field(min_length=1), OrOne()]
ImportanceName = Literal["low", "normal", "high"]
Importances = Annotated[tuple[ImportanceName, ...], Field(min_length=1), OrOne()]
SensitivityName = Literal["normal", "personal", "private", "confidential"]
Sensitivities = Annotated[tuple[SensitivityName, ...], Field(min_length=1), OrOne()]
ProtectionName = Literal["signed", "encrypted", "smime", "pgp", "rights-protected"]
Protections = Annotated[tuple[ProtectionName, ...], Field(min_length=1), OrOne()]
ResultName = Literal["pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror"]
Results = Annotated[tuple[ResultName, ...], Field(min_length=1), OrOne()]


def _kind(value: Any) -> Any:
    if isinstance(value, str) and value not in KIND_NAMES:
        raise ValueError(f"{value!r} is no kind of message | choose from {', '.join(KIND_NAMES)}")
    return value


KindName = Annotated[str, BeforeValidator(_kind), WithJsonSchema({"enum": list(KIND_NAMES)})]
Kinds = Annotated[tuple[KindName, ...], Field(min_length=1), OrOne()]


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


class DictionaryTests(Strict):
    """Words with weights in a file of their own; holds where the sum is over `over`."""

    file: Text
    """Path below the folder of the rules, in a folder of its own."""
    over: Annotated[int, Field(ge=0)] = 0


class BodyTests(Tests):
    phrase: Texts | None = None
    keywords: Texts | None = None
    regex: Texts | None = None
    dictionary: DictionaryTests | None = None
    empty: bool | None = None
    within: Literal["whole", "newest"] = "whole"
    """The whole text, or what stands above the quoted part."""
    with_subject: bool = False
    """The subject counts as the text's first line."""

    @classmethod
    def ways(cls) -> frozenset[str]:
        return frozenset({"within", "with_subject"})


class LevelTests(Tests):
    over: Annotated[int, Field(ge=-1, le=9)] | None = None
    under: Annotated[int, Field(ge=0, le=10)] | None = None


class RecipientCountTests(CountTests):
    by: Literal["header", "envelope"] = "header"
    """Addresses in To and Cc, or all recipients, the hidden ones too: for rules that leave the content alone."""

    @classmethod
    def ways(cls) -> frozenset[str]:
        return frozenset({"by"})


class StampedTests(Strict):
    template: Texts | None = None
    """Name of the template; any without it."""


class ClientTests(Tests):
    network: Texts | None = None
    """Addresses and networks: `10.0.0.0/8`, `2001:db8::/32`."""
    listener: Texts | None = None
    helo: Texts | None = None
    """The name that it gives itself, with `*` and `?`."""
    tls: bool | None = None
    authenticated: bool | None = None
    authenticated_as: Texts | None = None
    """Account, with `*` and `?`."""


class AuthenticationTests(Tests):
    spf: Results | None = None
    dkim: Results | None = None
    dmarc: Results | None = None
    arc: Results | None = None
    dkim_domain: Texts | None = None
    """Domain of a signature that holds, with `*` and `?`."""


def _media_type(value: str) -> str:
    if not re.match(r"[a-z0-9*?][a-z0-9!#$&^_.+*?-]*/[a-z0-9*?][a-z0-9!#$&^_.+*?-]*\Z", value.lower()):
        raise ValueError(f"{value!r} is no media type | write application/pdf, or image/* for all pictures")
    return value


MediaType = Annotated[str, AfterValidator(_media_type)]


class OneAttachmentTests(Tests):
    """Tests that one and the same attachment has to meet."""

    name: Texts | None = None
    """File name, with `*` and `?`."""
    extension: Texts | None = None
    """`exe`, `tar.gz`."""
    type: Annotated[tuple[MediaType, ...], Field(min_length=1), OrOne()] | None = None
    """Media type by content, `application/pdf` or `image/*`."""
    mismatch: bool | None = None
    """Whether the content is of another kind than the extension says."""
    size: SizeTests | None = None
    """Of the decoded content."""
    encrypted: bool | None = None
    """ZIP, 7z, RAR, PDF and Office files that need a password."""
    executable: bool | None = None
    """What runs something, by content and extension, in ZIP, 7z and RAR files too; Office files with macros."""


class AttachmentTests(OneAttachmentTests):
    count: CountTests | None = None
    total_size: SizeTests | None = None
    every: OneAttachmentTests | None = None
    """Each attachment meets these, and there is one."""


def _attachments(value: Any) -> Any:
    if value == "any":
        return {"count": {"over": 0}}
    if value == "none":
        return {"count": {"under": 1}}
    if isinstance(value, str):
        raise ValueError(f"{value!r} is not known here | write any, none, or tests under it")
    return value


def _stamped(value: Any) -> Any:
    return {} if value == "any" else value


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
    attachments: Annotated[
        AttachmentTests | None,
        BeforeValidator(_attachments, json_schema_input_type=AttachmentTests | Literal["any", "none"]),
    ] = None
    importance: Importances | None = None
    sensitivity: Sensitivities | None = None
    classification: Texts | None = None
    """Name or id of Exchange's classification or of a sensitivity label, with `*` and `?`."""
    scl: LevelTests | None = None
    """Exchange's spam confidence level; of trusted clients only."""
    recipients: RecipientCountTests | None = None
    time: ActiveTimes | None = None
    language: Texts | None = None
    charset: Texts | None = None
    body: BodyTests | None = None
    stamped: Annotated[StampedTests | None, ShortFor("template"), BeforeValidator(_stamped)] = None
    """An earlier stamp of ours stands in the message, or in what it quotes."""
    security: Protections | None = None
    client: ClientTests | None = None
    authentication: AuthenticationTests | None = None
    """What authenticating inbound mail came to."""


def named_kinds(written: Conditions | None) -> frozenset[str]:
    """Kinds of message that conditions ask for; those behind `not` are not asked for."""
    if written is None:
        return frozenset()
    parts = (*(written.all or ()), *(written.any or ()))
    return frozenset(written.kind or ()).union(*map(named_kinds, parts))
