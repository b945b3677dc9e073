"""One row of the table: what stands in the store, what comes, and where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mta.authenticate.author import DkimProver
from mta.model.person import Person
from mta.tracking.correlate import Correlation, Outcome
from tests.unit.authenticate.zones import Zones
from tests.unit.tracking.correlate.signed_mail import FixedClock, signed
from tests.unit.tracking.scene import Conversation, CopyOf, Scene


@dataclass(frozen=True)
class Case:
    name: str
    message: bytes
    outcome: Outcome
    reason: str
    conversation: str = ""
    """Name of the conversation that it belongs to, or is held for."""
    before: Mapping[str, Conversation] = field(default_factory=dict)
    copy: CopyOf | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    people: tuple[Person, ...] = ()
    dns: Mapping[str, Any] | None = None
    """By which signatures are verified, as no server in front of the mailbox says anything; None: they aren't."""
    signed_by: str = ""
    """Domain of its DKIM signature."""
    damage: tuple[bytes, bytes] = (b"", b"")
    """What is replaced in it after it was signed."""
    in_exchange: bool = False
    """It lies in a mailbox of Exchange's."""
    stranger: bool = False
    """Nobody who takes part, or may, wrote it: whatever it carries, it must not join."""
    merges: tuple[str, ...] = ()
    about: str = ""
    status: str = ""
    source: str = "made"


@dataclass(frozen=True)
class Answer:
    """What correlation said, in the words of a case."""

    outcome: Outcome
    reason: str
    conversation: str
    merges: tuple[str, ...]
    about: str
    status: str
    correlation: Correlation

    def fits(self, case: Case) -> bool:
        return (self.outcome, self.reason, self.conversation, self.merges, self.about, self.status) == (
            case.outcome, case.reason, case.conversation, case.merges, case.about, case.status,
        )  # fmt: skip


async def answer(case: Case, scene: Scene) -> Answer:
    for name, conversation in case.before.items():
        await scene.begin(name, conversation)
    message = case.message
    if case.signed_by:
        message = signed(scene.filled(message), case.signed_by).replace(*case.damage)
    if case.dns is not None:
        scene.authserv_ids, scene.prover = (), DkimProver(Zones(case.dns), FixedClock(), timeout_s=5)
    said = await scene.correlate(scene.read(message, case.copy, is_of_exchange=case.in_exchange))
    return Answer(
        said.outcome, said.reason, scene.name_of(said.transaction),
        tuple(map(scene.name_of, said.merges)), said.about, said.status, said,
    )  # fmt: skip
