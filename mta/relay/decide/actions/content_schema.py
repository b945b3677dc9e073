"""Shapes of the actions on texts and attachments."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mta.config.texts import OrOne, Text, Texts
from mta.config.types import Size, Strict
from mta.relay.decide.conditions.schema import MediaType

FIND_MAX = 1000
KEYWORDS_MAX = 100
TEXT_MAX = 10_000
NOTICE_MAX = 2000

Where = Annotated[tuple[Literal["subject", "body"], ...], Field(min_length=1), OrOne()]
EVERYWHERE: tuple[Literal["subject", "body"], ...] = ("subject", "body")


def _says_something(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty | write the text to look for")
    return value


Wanted = Annotated[Text, AfterValidator(_says_something), Field(max_length=FIND_MAX)]


class _Finding(Strict):
    find: Wanted | None = None
    """Text as it is seen; any white space in it matches any other."""
    regex: Text | None = None
    match_case: bool = False
    """Of `find`; in a regex write `(?-i)`."""
    in_: Annotated[Where, Field(alias="in")] = EVERYWHERE

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.find is None) == (self.regex is None):
            raise ValueError("needs exactly one of find and regex | keep one of them")
        return self


class ReplaceTextAction(_Finding):
    with_: Annotated[Annotated[Text, Field(max_length=TEXT_MAX)], Field(alias="with")]
    """What is put in its place; with `regex`, `\\1` is what its first group found."""


class RemoveTextAction(_Finding):
    pass


class RemoveKeywordsAction(Strict):
    keywords: Annotated[tuple[Wanted, ...], Field(min_length=1, max_length=KEYWORDS_MAX), OrOne()]
    in_: Annotated[Where, Field(alias="in")] = EVERYWHERE


def _one_character(value: str) -> str:
    if len(value) != 1 or not value.isprintable() or value.isspace():
        raise ValueError(f"{value!r} is not one character | write one such as *, or leave it out")
    return value


class MaskAction(_Finding):
    with_: Annotated[str, AfterValidator(_one_character), Field(alias="with")] = "*"
    keep_last: Annotated[int, Field(ge=0, le=100)] = 0
    """Letters and digits at the end that stay readable."""


class RemoveStampsAction(Strict):
    templates: Texts
    """Names, or `all`."""


class LargerThan(Strict):
    over: Size


class StripAttachmentsAction(Strict):
    """Attachments that meet all that is written here; all of them where nothing is."""

    name: Texts | None = None
    extension: Texts | None = None
    type: Annotated[tuple[MediaType, ...], Field(min_length=1), OrOne()] | None = None
    """By content."""
    size: LargerThan | None = None
    mismatch: bool | None = None
    encrypted: bool | None = None
    executable: bool | None = None
    inline: bool = False
    """Pictures inside the text, too."""
    folder: str | None = None
    """Absolute path of the folder that keeps them."""
    notice: Annotated[Text, AfterValidator(_says_something), Field(max_length=NOTICE_MAX)] | None = None


class AddAttachmentAction(Strict):
    file: str | None = None
    """Beside the rule file, or in a folder there."""
    vcard: Literal["sender"] | None = None
    name: Annotated[Text, AfterValidator(_says_something), Field(max_length=200)] | None = None
    """What readers see; else the file's own name."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.file is None) == (self.vcard is None):
            raise ValueError("needs exactly one of file and vcard | keep one of them")
        return self
