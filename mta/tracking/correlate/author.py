"""Whether a message's author is to be believed; DNS is asked once, and only where that decides something."""

from __future__ import annotations

from dataclasses import replace

from mta.config.tracking_schema import CorrelationSettings
from mta.model.authentication import AuthorProof, Proof
from mta.ports.author_prover import AuthorProver
from mta.tracking.correlate import reasons
from mta.tracking.correlate.correlation import Correlation
from mta.tracking.correlate.proof import key_of_forger
from mta.tracking.incoming import Incoming

_PROVEN = frozenset({Proof.PROVEN})
_NOT_DISPROVEN = frozenset({Proof.PROVEN, Proof.UNKNOWN})


class AuthorUnknownError(Exception):
    """DNS gives no answer now: the message is to be tried again. The text says about whom, without content."""


class Author:
    """Of one message."""

    def __init__(
        self,
        incoming: Incoming,
        settings: CorrelationSettings,
        prover: AuthorProver | None = None,
        *,
        may_wait: bool = True,
    ) -> None:
        """`prover` is None where nobody is asked: servers in front of the mailbox say it, or it can't be found out.

        `may_wait`: the message can be tried again where DNS gives no answer.
        """
        self._incoming = incoming
        self._unproven = settings.unproven
        self._prover = prover
        self._may_wait = may_wait
        self.proof: AuthorProof | None = None
        """What was found out; None where nobody was asked."""

    async def is_believed(self) -> bool:
        """Whether he may join by his address. Raises AuthorUnknownError."""
        if self._incoming.is_authenticated is not None:
            return self._incoming.is_authenticated
        if self._unproven == "join":
            return True
        proof = await self._looked_up()
        if proof is None:
            return self._unproven != "hold"
        return proof.proof in (_PROVEN if self._unproven == "hold" else _NOT_DISPROVEN)

    async def is_proven(self) -> bool:
        """Whether something proves that he sent it. Raises AuthorUnknownError."""
        if self._incoming.is_authenticated is not None:
            return self._incoming.is_authenticated
        proof = await self._looked_up()
        return proof is not None and proof.proof is Proof.PROVEN

    async def look_up(self) -> AuthorProof | None:
        """What can be found out, whether it decides anything or not; None where nobody is asked."""
        if self.proof is None and self._prover is not None and self._incoming.is_authenticated is None:
            self.proof = await self._prover.prove(self._incoming.parsed)
        return self.proof

    async def _looked_up(self) -> AuthorProof | None:
        proof = await self.look_up()
        if proof is not None and proof.proof is Proof.NO_ANSWER and self._may_wait:
            raise AuthorUnknownError(proof.by)
        return proof

    @property
    def doubt(self) -> str:
        """Why he isn't believed, in a word."""
        is_unknown = self.proof is not None and self.proof.proof is Proof.NO_ANSWER
        return reasons.NO_ANSWER if is_unknown else reasons.UNPROVEN_SENDER

    def judged(self, correlation: Correlation) -> Incoming:
        """The message as all that follows is to take it."""
        said_by = self.proof.by if self.proof is not None else self._incoming.said_by
        if correlation.reason in (reasons.UNPROVEN_SENDER, reasons.NO_ANSWER):
            key = key_of_forger(self._incoming.key)
            return replace(self._incoming, key=key, is_authenticated=False, said_by=said_by)
        if self.proof is not None and self.proof.proof is Proof.PROVEN:
            return replace(self._incoming, is_authenticated=True, said_by=said_by)
        return self._incoming
