"""From an attempt's results to what the spool commits: who is done, who is tried again and when, who is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from mta.config.delivery_schema import Retry
from mta.message.authentication_results import failed_authentication
from mta.model.actions import Drop, Reject
from mta.model.address import Address, parse_address
from mta.model.delivery import (
    AcceptedMessage,
    LeasedDelivery,
    RecipientEntry,
    RecipientResult,
    Settlement,
    State,
    StoredVariant,
)
from mta.model.reply import Reply

EXPIRED_STATUS = "4.4.7"
"""RFC 3463: delivery time expired."""
ATTEMPTS_AT_LEAST = 3
"""Before mail expires: what was held, or lay here while we did not run, is not given up at the first obstacle."""
HELD_TOO_LONG = Reply(554, "5.7.1", "The message was held back for review and was not released in time")


class Cause(Enum):
    """Why a recipient was given up."""

    REFUSED = "refused"
    """The next hop's, or our own, permanent reply."""
    EXPIRED = "expired"
    HELD = "held"
    """Held back for review until the hold ran out."""
    POLICY = "policy"
    """A rule said `reject`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient who is given up; what a DSN says about them."""

    address: Address
    cause: Cause
    status: str
    """Enhanced status code for the DSN's Status field."""
    reply: Reply
    remote: str = ""
    """Remote MTA as name[ip]:port, "" if none was reached."""
    remote_reply: str = ""
    for_postmaster: bool = False
    """The sender must not learn of this recipient: a rule added them."""


NextAttempt = Callable[[int, datetime], datetime]
"""(attempts made with the one just ended, now) → when to try again."""
WriteDsn = Callable[[AcceptedMessage, Sequence[Failure], datetime], AcceptedMessage]
"""(the message, who failed, now) → the DSN, ready to be queued."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """Recipients of a delivery divided: those to hand over now, and those on whom a rule has already decided."""

    deliver: tuple[RecipientEntry, ...]
    results: tuple[RecipientResult, ...]
    """Of those that a rule rejects."""
    dropped: frozenset[int]
    """Indexes of those that a rule drops."""


def set_aside(delivery: LeasedDelivery) -> SetAside:
    """Divide a delivery's recipients by the committed decision."""
    deliver: list[RecipientEntry] = []
    results: list[RecipientResult] = []
    dropped: set[int] = set()
    for entry in delivery.recipients:
        last = delivery.message.decision.recipients[entry.index].actions[-1:]
        if last and isinstance(last[0], Drop):
            dropped.add(entry.index)
        elif last and isinstance(last[0], Reject):
            reply = Reply(last[0].code, last[0].status, last[0].text)
            results.append(RecipientResult(entry.index, entry.address, reply))
        else:
            deliver.append(entry)
    return SetAside(tuple(deliver), tuple(results), frozenset(dropped))


def dsn_due(message: AcceptedMessage, cause: Cause, accepted_domains: Collection[str]) -> bool:
    """Whether the sender is told of a failure: never at `<>`; of a rule's `reject` only if they are verifiably ours.

    Delivery failures are told, as RFC 5321 §6.1 demands of who has answered 250; but nobody is told in whose name
    somebody else has sent, by SPF's or DMARC's word. A `reject` is our own choice;
    telling a stranger's forged reverse-path of it would be backscatter. `accepted_domains` are domain keys.
    """
    reverse_path = message.envelope.reverse_path
    if reverse_path is None:
        return False
    is_trusted = message.client is not None and message.client.is_trusted
    if cause is not Cause.POLICY:
        return is_trusted or not failed_authentication(message.trace)
    return is_trusted and reverse_path.domain_key in accepted_domains


@dataclass(frozen=True, slots=True)
class Settler:
    """The settings that turn results into settlements; one per configuration snapshot."""

    retry: Retry
    next_attempt: NextAttempt
    write_dsn: WriteDsn
    accepted_domains: frozenset[str]
    """Domain keys."""
    postmaster: Address | None = None
    """Who is told of copies that rules have added; None: nobody."""

    def settlement(
        self,
        delivery: LeasedDelivery,
        results: Sequence[RecipientResult],
        now: datetime,
        *,
        dropped: Collection[int] = (),
        by_policy: Collection[int] = (),
        variants: tuple[StoredVariant, ...] = (),
    ) -> Settlement:
        """2yz is delivered, 5yz failed; 4yz stays until the message has expired, then it has failed too.

        Recipients with neither a result nor a place in `dropped` stay queued. A permanent result of those in
        `by_policy` is our own rules' doing. `variants` are committed with the settlement if anybody stays. All failures
        of one settlement share one DSN.
        """
        attempts = delivery.attempts + 1
        is_expired = now - delivery.message.accepted_at >= self.retry.expire_after and attempts >= min(
            ATTEMPTS_AT_LEAST, len(self.retry.schedule)
        )
        final = dict.fromkeys(dropped, State.DROPPED)
        failures: list[Failure] = []
        for result in results:
            if result.reply.is_success:
                final[result.index] = State.DELIVERED
            elif result.reply.is_permanent or is_expired:
                final[result.index] = State.FAILED
                failures.append(_failure(delivery.message, result, by_policy))
        stays = any(entry.index not in final for entry in delivery.recipients)
        return Settlement(
            queue_id=delivery.message.queue_id,
            next_hop=delivery.next_hop,
            results=tuple(results),
            final=final,
            due_at=self.next_attempt(attempts, now) if stays else None,
            variants=variants if stays else (),
            spawned=self._dsns(delivery.message, failures, now),
        )

    def hold_expired(self, delivery: LeasedDelivery, now: datetime) -> Settlement:
        """Give up the held recipients of a delivery; the spool hands those out only when their hold has run out."""
        held = [entry for entry in delivery.recipients if entry.state is State.HELD]
        results = [RecipientResult(entry.index, entry.address, HELD_TOO_LONG) for entry in held]
        failures = [_failure(delivery.message, result, (), Cause.HELD) for result in results]
        return Settlement(
            queue_id=delivery.message.queue_id,
            next_hop=delivery.next_hop,
            results=tuple(results),
            final={entry.index: State.FAILED for entry in held},
            due_at=now if len(held) < len(delivery.recipients) else None,
            spawned=self._dsns(delivery.message, failures, now),
        )

    def _dsns(
        self, message: AcceptedMessage, failures: Sequence[Failure], now: datetime
    ) -> tuple[AcceptedMessage, ...]:
        """To the sender, and to the postmaster about those whom the sender did not write to."""
        dsns = []
        # Archive copies go out in the postmaster's name, whoever wrote the message, and whatever SPF says of them.
        is_ours = self.postmaster is not None and message.envelope.reverse_path == self.postmaster
        told = [
            failure
            for failure in failures
            if not failure.for_postmaster and (is_ours or dsn_due(message, failure.cause, self.accepted_domains))
        ]
        if told:
            dsns.append(self.write_dsn(message, told, now))
        added = [failure for failure in failures if failure.for_postmaster]
        if added and self.postmaster is not None:
            envelope = replace(message.envelope, reverse_path=self.postmaster, ret="", envid="")
            dsns.append(self.write_dsn(replace(message, envelope=envelope), added, now))
        return tuple(dsns)


def _failure(
    message: AcceptedMessage, result: RecipientResult, by_policy: Collection[int], known: Cause | None = None
) -> Failure:
    """What became of a recipient, as the one who is told may know it.

    Who stands for a redirected recipient is reported in their name: where a rule sends somebody's mail is not the
    sender's business, nor is what the other server says about that address.
    """
    decided = message.decision.recipients[result.index]
    cause, status = _cause(message, result, by_policy)
    if decided.in_place_of:
        address = parse_address(decided.in_place_of)
        reply = Reply(result.reply.code, result.reply.status, "Not delivered") if result.remote_reply else result.reply
        return Failure(address, known or cause, status, reply)
    return Failure(
        result.address, known or cause, status, result.reply, result.remote, result.remote_reply, decided.is_added
    )


def _cause(message: AcceptedMessage, result: RecipientResult, by_policy: Collection[int]) -> tuple[Cause, str]:
    if not result.reply.is_permanent:
        return Cause.EXPIRED, EXPIRED_STATUS
    actions = message.decision.recipients[result.index].actions
    is_policy = result.index in by_policy or any(isinstance(action, Reject) for action in actions)
    return Cause.POLICY if is_policy else Cause.REFUSED, result.reply.status or "5.0.0"
