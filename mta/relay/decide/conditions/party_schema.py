"""What may be asked of the sender and of recipients: the shapes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mta.config.rule_shapes import Tests
from mta.config.texts import OrOne, Text, Texts
from mta.config.types import Strict

RoleName = Literal["to", "cc", "hidden"]
Roles = Annotated[tuple[RoleName, ...], Field(min_length=1), OrOne()]
RelationName = Literal["manager-of-sender", "report-of-sender", "peer-of-sender", "sender"]
Relations = Annotated[tuple[RelationName, ...], Field(min_length=1), OrOne()]
SenderBy = Literal["envelope", "header", "delegate"]


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


class PartyTests(Tests):
    address: Texts | None = None
    """Address, with `*` and `?`."""
    domain: Texts | None = None
    """Domain, or `*.example.com` for all below it."""
    person: Texts | None = None
    """Any address of a directory person: also matches their other addresses."""
    group: Texts | None = None
    """Directory group, nested ones included."""
    group_address: Texts | None = None
    """The address is that of a directory group; its name, with `*` and `?`."""
    unit: Texts | None = None
    """Organisational unit, outermost first, and all below it; with `*` and `?`."""
    ldap: Text | None = None
    """LDAP filter (RFC 4515) over the directory entry."""
    scope: Literal["internal", "external"] | None = None
    attribute: AttributeTest | None = None
    disabled: bool | None = None
    """Whether the directory account is disabled."""


class SenderTests(PartyTests):
    by: SenderBy | None = None
    """Who counts as the sender: the reverse-path, From, or who sent it on behalf of From (Sender)."""
    on_behalf_of: bool | None = None
    """Whether Sender names somebody else than From."""
    claims: Literal["internal"] | None = None
    """The header shows one of our addresses as the sender's, and nobody vouches for it."""

    @classmethod
    def ways(cls) -> frozenset[str]:
        return frozenset({"by"})


class GroupToGroup(Strict):
    """From one group to the other."""

    from_: Annotated[Texts, Field(alias="from")]
    to: Texts


def _between(value: Any) -> Any:
    if isinstance(value, str) or (isinstance(value, list) and len(value) != 2):
        raise ValueError("needs two groups | write [Sales, Support], or {from: Sales, to: Support}")
    return value


class OneRecipientTests(PartyTests):
    role: Roles | None = None
    is_: Annotated[Relations | None, Field(alias="is")] = None
    """What the recipient is to the sender."""
    same: Texts | None = None
    """Attributes that sender and recipient both have, with the same value."""
    different: Texts | None = None
    """Attributes that sender and recipient both have, with different values."""
    between: Annotated[tuple[Text, Text] | GroupToGroup | None, BeforeValidator(_between)] = None
    """One of the two is in the first group and the other in the second; or from one to the other."""
    first_contact: bool | None = None
    """Whether the sender has never written to this recipient through here before."""


class RecipientTests(OneRecipientTests):
    any: OneRecipientTests | None = None
    """At least one of the recipients that this recipient may know of."""
    every: OneRecipientTests | None = None
    this: OneRecipientTests | None = None
    """The recipient judged: the same as writing the tests without `this`."""
