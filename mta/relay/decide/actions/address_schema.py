"""Shapes of the actions that name somebody: who gets the mail, who it is from, whom we write to.

Wherever an address stands, it may be a value of the directory as well: see `address_values.py`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mta.config.texts import Text, Texts
from mta.config.types import Duration, Strict

ADDRESSES_MAX = 20
"""That one action names."""
LIMIT_MAX = 1000
DAY = timedelta(days=1)

Who = Annotated[Texts, Field(max_length=ADDRESSES_MAX)]


class AddRecipientsAction(Strict):
    to: Who | None = None
    cc: Who | None = None
    bcc: Who | None = None

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.to is None and self.cc is None and self.bcc is None:
            raise ValueError("names nobody | write one or more of to, cc, bcc")
        return self


class ForwardCopyAction(Strict):
    to: Who


class RedirectAction(Strict):
    to: Who


class ArchiveAction(Strict):
    to: Text | None = None
    next_hop: str | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.to is None and self.next_hop is None:
            raise ValueError("says not where | write to, next_hop, or both")
        return self


class SetReplyToAction(Strict):
    address: Text
    name: Text | None = None


class RewriteSenderAction(Strict):
    address: Text | None = None
    name: Text | None = None
    where: Literal["from", "envelope", "both"] = "from"
    keep_as_reply_to: bool = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.address is None and (self.name is None or self.where != "from"):
            raise ValueError("says not who | write the address, for From alone a name may do")
        if self.where == "envelope" and (self.name is not None or self.keep_as_reply_to):
            raise ValueError("the envelope holds an address alone | remove name and keep_as_reply_to, or change where")
        return self


class NotifyAction(Strict):
    template: str
    to: Who
    from_: Annotated[Text | None, Field(alias="from")] = None


class AutoRespondAction(Strict):
    template: str
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 1
    period: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(days=366))] = DAY
    from_: Annotated[Text | None, Field(alias="from")] = None
