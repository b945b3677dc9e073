"""From an attempt's results to what the spool commits: who is done, who is tried again and when, who is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

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
from mta.model.envelope import NOTHING_ASKED
from mta.model.reply import Reply
from mta.relay.deliver.reports import Action, Cause, Report, is_told
from mta.relay.deliver.routing import RetryTable

EXPIRED_STATUS = "4.4.7"
"""RFC 3463: delivery time expired."""
ATTEMPTS_AT_LEAST = 3
"""Before mail expires: what was held, or lay here while we did not run, is not given up at the first obstacle."""
HELD_TOO_LONG = Reply(554, "5.7.1", "The message was held back for review and was not released in time")
DELETED = Reply(554, "5.0.0", "The message was taken out of the queue by an administrator")

NextAttempt = Callable[[int, datetime, Sequence[timedelta]], datetime]
"""(attempts made with the one just ended, now, the waits between attempts) → when to try again."""
WriteDsn = Callable[[AcceptedMessage, Sequence[Report], datetime], AcceptedMessage]
"""(the message, what is told of whom, now) → the DSN, ready to be queued."""


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


@dataclass(frozen=True, slots=True)
class Settler:
    """The settings that turn results into settlements; one per configuration snapshot."""

    retries: RetryTable
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
        by_age: bool = True,
    ) -> Settlement:
        """2yz is delivered, 5yz failed; 4yz stays until the message has expired, then it has failed too.

        Recipients with neither a result nor a place in `dropped` stay queued. A permanent result of those in
        `by_policy` is our own rules' doing. `variants` are committed with the settlement if anybody stays. All that is
        told of one settlement is one DSN. Without `by_age`, the clock being in doubt, the message's age gives nobody up
        and warns nobody.
        """
        message, retry = delivery.message, self.retries.of(delivery.next_hop)
        attempts, age = delivery.attempts + 1, now - delivery.message.accepted_at
        is_expired = by_age and age >= retry.expire_after and attempts >= min(ATTEMPTS_AT_LEAST, len(retry.schedule))
        is_late = by_age and not delivery.is_warned and retry.warn_after > timedelta(0) and age >= retry.warn_after
        final = dict.fromkeys(dropped, State.DROPPED)
        reports: list[Report] = []
        for result in results:
            if result.reply.is_success:
                final[result.index] = State.DELIVERED
                if message.envelope.dsn and not (result.takes_dsn and _is_reported_behind_us(message, result)):
                    reports.append(_success(message, result))
            elif result.reply.is_permanent or is_expired:
                final[result.index] = State.FAILED
                reports.append(_failure(message, result, by_policy))
            elif is_late:
                reports.append(_delay(message, result, message.accepted_at + retry.expire_after))
        stays = any(entry.index not in final for entry in delivery.recipients)
        return Settlement(
            queue_id=message.queue_id,
            next_hop=delivery.next_hop,
            results=tuple(results),
            final=final,
            due_at=self.next_attempt(attempts, now, retry.schedule) if stays else None,
            variants=variants if stays else (),
            spawned=self._dsns(message, reports, now) if reports else (),
            warned=is_late and stays,
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

    def deleted(
        self, message: AcceptedMessage, recipients: Sequence[RecipientEntry], now: datetime
    ) -> tuple[AcceptedMessage, ...]:
        """The DSNs to queue when an administrator takes these recipients out of the queue and lets it be known."""
        results = [RecipientResult(entry.index, entry.address, DELETED) for entry in recipients]
        return self._dsns(message, [_failure(message, result, (), Cause.DELETED) for result in results], now)

    def _dsns(self, message: AcceptedMessage, reports: Sequence[Report], now: datetime) -> tuple[AcceptedMessage, ...]:
        """To the sender, and to the postmaster about the failures of those whom the sender did not write to."""
        dsns = []
        told = list(dict.fromkeys(report for report in reports if self._is_told(message, report)))
        if told:
            dsns.append(self.write_dsn(message, told, now))
        added = [report for report in reports if report.for_postmaster and report.action is Action.FAILED]
        if added and self.postmaster is not None:
            envelope = replace(message.envelope, reverse_path=self.postmaster, ret="", envid="")
            dsns.append(self.write_dsn(replace(message, envelope=envelope), added, now))
        return tuple(dsns)

    def _is_told(self, message: AcceptedMessage, report: Report) -> bool:
        if report.for_postmaster:
            return False
        if self.postmaster is not None and message.envelope.reverse_path == self.postmaster:
            # Archive copies go out in the postmaster's name, whoever wrote the message, and whatever SPF says of them.
            return report.action is Action.FAILED
        return is_told(message, report, self.accepted_domains)


def _report(message: AcceptedMessage, result: RecipientResult, action: Action, status: str) -> Report:
    """What became of a recipient, as the one who is told may know it.

    Who stands for a redirected recipient is reported in their name: where a rule sends somebody's mail is not the
    sender's business, nor is what the other server says about that address.
    """
    decided, dsn = message.decision.recipients[result.index], message.envelope.dsn
    if decided.in_place_of:
        address = parse_address(decided.in_place_of)
        words = "Delivered" if result.reply.is_success else "Not delivered"
        reply = Reply(result.reply.code, result.reply.status, words) if result.remote_reply else result.reply
        return Report(address, action, status, reply, asked=dsn.get(address.key, NOTHING_ASKED))
    return Report(
        result.address, action, status, result.reply, remote=result.remote, remote_reply=result.remote_reply,
        asked=dsn.get(result.address.key, NOTHING_ASKED), for_postmaster=decided.is_added,
    )  # fmt: skip


def _success(message: AcceptedMessage, result: RecipientResult) -> Report:
    # A mailbox that a rule has put in another's place is not theirs.
    is_theirs = result.in_mailbox and not message.decision.recipients[result.index].in_place_of
    action = Action.DELIVERED if is_theirs else Action.RELAYED
    return _report(message, result, action, result.reply.status or "2.0.0")


def _is_reported_behind_us(message: AcceptedMessage, result: RecipientResult) -> bool:
    """Whether the next hop was asked for reports of success; of redirected copies it is not (`relay/envelopes`)."""
    return not message.decision.recipients[result.index].in_place_of


def _delay(message: AcceptedMessage, result: RecipientResult, until: datetime) -> Report:
    report = _report(message, result, Action.DELAYED, result.reply.status or "4.0.0")
    return replace(report, retry_until=until)


def _failure(
    message: AcceptedMessage, result: RecipientResult, by_policy: Collection[int], known: Cause | None = None
) -> Report:
    cause, status = _cause(message, result, by_policy)
    return replace(_report(message, result, Action.FAILED, status), cause=known or cause)


def _cause(message: AcceptedMessage, result: RecipientResult, by_policy: Collection[int]) -> tuple[Cause, str]:
    if not result.reply.is_permanent:
        return Cause.EXPIRED, EXPIRED_STATUS
    actions = message.decision.recipients[result.index].actions
    is_policy = result.index in by_policy or any(isinstance(action, Reject) for action in actions)
    return Cause.POLICY if is_policy else Cause.REFUSED, result.reply.status or "5.0.0"
