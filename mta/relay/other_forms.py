"""Other forms of a copy, for next hops that can't take it as it is: unstamped, in 7 bits, with an ASCII header.

A form is made anew at each attempt, from the committed decision and the stored copy: the same comes out each time. It
is not stored, for another next hop of the same copy may take it as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mta.message.edit import CannotEditError, Edit, apply, composed, joined
from mta.message.parse import Buffer, LimitExceededError, Limits, Message, parse
from mta.message.seven_bit import in_seven_bit, with_ascii_header, with_short_lines
from mta.model.actions import Action, AddAttachment, OnError, Stamp
from mta.model.delivery import Misfit
from mta.model.envelope import Envelope
from mta.model.reply import Reply
from mta.off_the_loop import off_the_loop
from mta.relay.copies import Original, finished, signed_anew, stamped, unsigned
from mta.relay.deliver.attempt import Copy, NoForm
from mta.relay.kept_files import keep_file
from mta.relay.split.variants import Variant
from mta.relay.stamp.content.changes import on_error_of

RECODED_UP_TO = 60_000_000
"""Octets of a message that is encoded otherwise: it stands in memory as a whole."""
_CHUNK = 1_000_000
_RECODINGS: tuple[tuple[Misfit, Callable[[Message], tuple[Edit, ...]]], ...] = (
    (Misfit.UTF8_HEADER, with_ascii_header),
    (Misfit.EIGHT_BIT, in_seven_bit),
    (Misfit.LONG_LINE, with_short_lines),
)


class _NoFormError(Exception):
    def __init__(self, why: str, reply: Reply | None = None) -> None:
        super().__init__(why)
        self.no_form = NoForm(why, reply)


@dataclass(frozen=True, slots=True)
class OtherForms:
    """Of one message's copies; `make` fits `attempt.AnotherForm`."""

    original: Original
    limits: Limits
    edits: Mapping[int, tuple[Edit, ...]]
    """Group → its finished copy."""
    variants: Mapping[int, Variant]

    async def make(self, copy: Copy, misfits: frozenset[Misfit]) -> Copy | NoForm:
        """The same copy without what is wrong with its first form."""
        # Actions are carried out again without what was too much, and keeping files syncs them.
        octets = sys.maxsize if Misfit.SIZE in misfits else len(self.original.data)
        return await off_the_loop(octets, self._make, copy, misfits)

    def _make(self, copy: Copy, misfits: frozenset[Misfit]) -> Copy | NoForm:
        variant, before = self.variants[copy.group], self.edits[copy.group]
        try:
            edits = self._lighter(variant, before) if Misfit.SIZE in misfits else before
            for misfit, change in _RECODINGS:
                if misfit in misfits:
                    edits = self._recoded(variant, edits, misfit, change)
        except _NoFormError as exc:
            return exc.no_form
        data = self.original.data
        is_recoded = edits is not before and misfits - {Misfit.SIZE}
        return replace(
            copy,
            content=apply(data, edits),
            envelope=_envelope(copy.envelope or self.original.message.envelope, misfits),
            fits=misfits,
            breaks=self._signatures_of_others() if is_recoded else 0,
        )

    def _lighter(self, variant: Variant, before: tuple[Edit, ...]) -> tuple[Edit, ...]:
        """Without what rules only add. What they take out or change stays as they want it."""
        added = [action for action in variant.actions if isinstance(action, Stamp | AddAttachment)]
        # Under a bypass nothing was done to it at all, and nothing is to be.
        if not added or _growth(before) == _growth(finished(self.original, variant, ())):
            raise _NoFormError("nothing was added to it")
        for action in added:
            _insist(action)
        rest = tuple(action for action in variant.actions if action not in added)
        made = stamped(self.original, replace(variant, actions=rest), {}, keep_file) if rest else None
        if made is not None and made.refused is not None:
            raise _NoFormError("a rule can't be carried out", made.refused)
        edits = finished(self.original, variant, made.edits if made is not None else ())
        if _growth(edits) >= _growth(before):
            raise _NoFormError("it is not smaller unstamped")
        return edits

    def _recoded(
        self, variant: Variant, edits: tuple[Edit, ...], misfit: Misfit, change: Callable[[Message], tuple[Edit, ...]]
    ) -> tuple[Edit, ...]:
        data = self.original.data
        if misfit is Misfit.EIGHT_BIT and _is_ascii(data, edits):
            return edits  # declared as 8-bit, and it is none
        if len(data) > RECODED_UP_TO:
            raise _NoFormError(f"it has more than {RECODED_UP_TO} octets")
        former = unsigned(edits)
        try:
            further = change(parse(joined(data, former), self.limits))
        except (CannotEditError, LimitExceededError) as exc:
            raise _NoFormError(str(exc)) from exc
        if not further and misfit is Misfit.LONG_LINE:
            raise _NoFormError("no line of its body is longer than 998 octets")
        return signed_anew(self.original, variant, former, composed(former, further)) if further else edits

    def _signatures_of_others(self) -> int:
        parsed = self.original.parsed
        return len(parsed.fields_named("dkim-signature")) if parsed is not None else 0


def _insist(action: Action) -> None:
    """A rule whose `on_error` is not to deliver unstamped has the last word. Raises _NoFormError."""
    outcome, rule = on_error_of(action), action.rule
    if outcome is OnError.REJECT:
        raise _NoFormError(
            f"rule {rule} insists on it", Reply(552, "5.3.4", f"Too large with what rule {rule} adds to it")
        )
    if outcome is OnError.DEFER:
        raise _NoFormError(
            f"rule {rule} insists on it", Reply(452, "4.3.4", f"Too large with what rule {rule} adds to it")
        )


def _growth(edits: tuple[Edit, ...]) -> int:
    return sum(len(edit.replacement) - (edit.end - edit.start) for edit in edits)


def _envelope(envelope: Envelope, misfits: frozenset[Misfit]) -> Envelope:
    """Without declaring what is no longer so."""
    return replace(
        envelope,
        body_8bit=envelope.body_8bit and Misfit.EIGHT_BIT not in misfits,
        smtputf8=envelope.smtputf8 and not misfits & {Misfit.UTF8_HEADER, Misfit.EIGHT_BIT},
    )


def _is_ascii(data: Buffer, edits: tuple[Edit, ...]) -> bool:
    """Looked at in pieces, so that a large message does not stand in memory for it."""
    return all(
        bytes(segment[start : start + _CHUNK]).isascii()
        for segment in apply(data, edits)
        for start in range(0, len(segment), _CHUNK)
    )
