"""Finding out whether a message is of the domain in its From."""

from __future__ import annotations

from typing import Protocol

from mta.message.parse import Message
from mta.model.authentication import AuthorProof


class AuthorProver(Protocol):
    """By what stands on the message itself, whoever handed it over."""

    async def prove(self, message: Message) -> AuthorProof:
        """In bounded time, for whatever the message holds; never raises. `message` is as it was received."""
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...
