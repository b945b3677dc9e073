"""What follows from a message: for each action that is done once, the message that does it, or why none does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from mta.message.addresses import Mailbox
from mta.message.headers import format_field
from mta.message.letters import CannotWriteError, Letter, WriteLetter, compose
from mta.model.actions import Archive, AutoRespond, Notify, OnError
from mta.model.address import Address, parse_address
from mta.model.decision import Decision, Direction, OnceFor, RecipientDecision, Role
from mta.model.delivery import AcceptedMessage, Body, OnceKey, RecipientEntry, Spawned
from mta.model.envelope import Envelope
from mta.model.next_hop import NextHopOf
from mta.model.queue_id import new_queue_id
from mta.model.reply import MailError
from mta.relay.derive.auto_response import response_fields, why_not
from mta.relay.derive.claims import answer_limit, notice_limit, once, response_limit
from mta.relay.derive.original import Original

ARCHIVE_LOCAL_PART = "archive"


@dataclass(frozen=True, slots=True)
class House:
    """In whose name we write, and where it goes."""

    hostname: str
    """The right side of our Message-IDs."""
    postmaster: Address
    """From of notices; gets the reports about archive copies that can't be delivered."""
    route: NextHopOf
    """The next hop of an address."""
    accepted_domains: Collection[str] = frozenset()
    """Domain keys of the organisation: whether what we write stays inside."""


@dataclass(frozen=True, slots=True)
class Follower:
    """A message that follows, if its claims succeed."""

    spawned: Spawned
    kind: str
    rule: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is rightly not done."""

    kind: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class NotDerived:
    """Something that can't be done; `error` holds no values of message or directory."""

    kind: str
    rule: str
    error: str
    on_error: OnError


@dataclass(frozen=True, slots=True)
class Derived:
    """All that follows from one message."""

    followers: tuple[Follower, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    failed: tuple[NotDerived, ...] = ()

    @property
    def spawned(self) -> tuple[Spawned, ...]:
        return tuple(follower.spawned for follower in self.followers)


NOTHING = Derived()


def derive(original: Original, house: House, write: WriteLetter, *, is_refused: bool = False) -> Derived:
    """Make what follows from a message. `is_refused`: it is not accepted, and only notices follow."""
    wanted = original.message.decision.once
    if not wanted:
        return NOTHING
    maker = _Maker(original, house, write)
    for each in wanted:
        if not is_refused or isinstance(each.action, Notify):
            maker.make(each)
    return Derived(tuple(maker.followers), tuple(maker.left_out), tuple(maker.failed))


class _Maker:
    def __init__(self, original: Original, house: House, write: WriteLetter) -> None:
        self._original = original
        self._house = house
        self._write = write
        self.followers: list[Follower] = []
        self.left_out: list[LeftOut] = []
        self.failed: list[NotDerived] = []

    def make(self, wanted: OnceFor) -> None:
        """One action's message."""
        action = wanted.action
        if isinstance(action, Archive):
            self._archive(action)
        elif isinstance(action, Notify):
            self._notify(action)
        elif isinstance(action, AutoRespond):
            self._respond(action, wanted.recipients)

    def _add(self, kind: str, rule: str, message: AcceptedMessage, *claims: OnceKey) -> None:
        self.followers.append(Follower(Spawned(message, claims), kind, rule))

    def _archive(self, action: Archive) -> None:
        """The bytes as they were received, with the same trace: our mark keeps it from the rules when it returns."""
        house, original = self._house, self._original.message
        address = parse_address(action.address) if action.address else Address(ARCHIVE_LOCAL_PART, house.hostname)
        decided = self._decided(address, action.next_hop, original.body.size_octets, is_ours=original.decision.is_ours)
        message = replace(
            original,
            queue_id=new_queue_id(),
            envelope=replace(
                original.envelope, reverse_path=house.postmaster, recipients=(address,), envid="", ret="", dsn={}
            ),
            decision=replace(original.decision, recipients=(decided,), once=()),
            recipients=(RecipientEntry(0, address, 0, decided.next_hop),),
            due_at=original.accepted_at,
            claims=(),
            spawned=(),
        )
        self._add("archive", action.rule, message, once(self._original, "archive", action.rule, str(address)))

    def _notify(self, action: Notify) -> None:
        to = tuple(map(parse_address, action.to))
        sender = parse_address(action.sender) if action.sender else self._house.postmaster
        letter = self._letter(action)
        if letter is None:
            return
        fields = [
            format_field("Subject", letter.subject or f"Notice of rule {action.rule}"),
            b"Auto-Submitted: auto-generated\r\n",
            b"X-Auto-Response-Suppress: All\r\n",
        ]
        message = self._composed(action, letter, Mailbox("", sender), to, fields)
        if message is not None:
            done_once = once(self._original, "notify", action.rule, action.recipient, *action.to)
            limit = notice_limit(self._original, action.rule, action.to)
            self._add("notify", action.rule, message, done_once, limit)

    def _respond(self, action: AutoRespond, recipients: Sequence[int]) -> None:
        decided = self._original.message.decision.recipients
        responders = [decided[index].recipient for index in recipients if not decided[index].is_rejected]
        keys = [address.key for address in responders]
        reason = why_not(self._original, keys, self._house.postmaster) if keys else "the message is rejected"
        if reason:
            self.left_out.append(LeftOut("auto-respond", action.rule, reason))
            return
        sender = self._original.message.envelope.reverse_path
        named = next(address for address in responders if self._original.names(address.key))
        letter = self._letter(action)
        if letter is None or sender is None:
            return
        author = self._responder(parse_address(action.sender) if action.sender else named)
        fields = response_fields(self._original.parsed, letter.subject)
        message = self._composed(action, letter, author, (sender,), fields)
        if message is not None:
            who = action.recipient or action.sender
            done_once = once(self._original, "auto-respond", action.rule, who)
            limits = (limit(self._original, action, sender.key) for limit in (response_limit, answer_limit))
            self._add("auto-respond", action.rule, message, done_once, *limits)

    def _responder(self, address: Address) -> Mailbox:
        person = self._original.people.get(address.key)
        try:
            return Mailbox(person.attributes.get("displayName", "") if person is not None else "", address)
        except MailError:  # the directory does not answer: the address alone does
            return Mailbox("", address)

    def _letter(self, action: Notify | AutoRespond) -> Letter | None:
        try:
            return self._write(action.template, action.rule, action.recipient)
        except CannotWriteError as exc:
            self.failed.append(NotDerived(action.kind, action.rule, str(exc), action.on_error))
            return None

    def _composed(
        self,
        action: Notify | AutoRespond,
        letter: Letter,
        sender: Mailbox,
        to: Sequence[Address],
        fields: Sequence[bytes],
    ) -> AcceptedMessage | None:
        """A message of our own, with the null reverse-path: nobody answers it, and its failure is nobody's bounce."""
        queue_id, now = new_queue_id(), self._original.message.accepted_at
        message_id = f"<{queue_id}@{self._house.hostname}>"
        try:
            data = compose(
                letter, sender=sender, to=[Mailbox("", address) for address in to], date=now, message_id=message_id,
                fields=fields,
            )  # fmt: skip
        except CannotWriteError as exc:
            self.failed.append(NotDerived(action.kind, action.rule, str(exc), action.on_error))
            return None
        decided = tuple(self._decided(address) for address in to)
        return AcceptedMessage(
            queue_id=queue_id,
            accepted_at=now,
            envelope=Envelope(None, tuple(to)),
            client=None,
            body=Body.of(data),
            decision=Decision(decided, self._original.message.decision.organisation),
            recipients=tuple(RecipientEntry(n, e.recipient, 0, e.next_hop) for n, e in enumerate(decided)),
            message_id=message_id,
            snapshot=self._original.message.snapshot,
            due_at=now,
        )

    def _decided(
        self, address: Address, next_hop: str = "", size_octets: int = 0, *, is_ours: bool = True
    ) -> RecipientDecision:
        inside = address.domain_key in self._house.accepted_domains
        direction = (
            (Direction.INTERNAL if inside else Direction.OUTBOUND)
            if is_ours
            else (Direction.INBOUND if inside else Direction.FORWARDED)
        )
        return RecipientDecision(
            address, direction, Role.HIDDEN, (), 0, self._house.route(address, size_octets, next_hop)
        )
