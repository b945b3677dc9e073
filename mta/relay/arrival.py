"""Before the reply: from scan to decide. What these stages say is said to the client.

Each stage returns None to go on, or the reply that ends the way here. Nothing is durable before `acceptance.commit`,
and 250 is said only after it.
"""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial, wraps

from mta import events
from mta.authenticate import Received
from mta.authenticate import authenticate as authenticate_received
from mta.message.authentication_results import write_field
from mta.message.classify import Classification, classify
from mta.message.mark import HEADER as MARK_HEADER
from mta.message.mark import MarkState, check_mark
from mta.message.parse import Buffer, LimitExceededError, Message, parse
from mta.model.address import Address
from mta.model.authentication import AuthenticationResults
from mta.model.decision import Decision
from mta.model.delivery import Body, LeasedDelivery
from mta.model.envelope import Client, Envelope
from mta.model.person import Person
from mta.model.queue_id import new_queue_id
from mta.model.reply import INTERNAL_ERROR, Reply
from mta.off_the_loop import off_the_loop
from mta.relay.admission import judge_header
from mta.relay.book import Book, people_of
from mta.relay.contacts import known_contacts
from mta.relay.decide import Facts, Outcome, Participants, Parties, undecided
from mta.relay.decide import decide as decide_by_rules
from mta.relay.derive import NOTHING, Derived
from mta.relay.equipment import Equipment, Rulebook
from mta.relay.organisations import divide, participants_of
from mta.relay.outcome_log import log_outcome
from mta.relay.plugin_threads import WITHIN_S, in_time
from mta.relay.receive.trace import TOO_MANY_HOPS, added_fields, is_going_round, judge_hops, received_field

NOTHING_KNOWN = AuthenticationResults(spf="temperror", dkim="temperror", dmarc="temperror")
HEADER_LOOKED_AT = 200_000
"""Octets in which hops are counted where the message is over our limits."""
_RECEIVED = re.compile(rb"(?mi)^received:")
_MARK = MARK_HEADER.decode("ascii").lower()


@dataclass(slots=True)
class Arrival:
    """A message between its last dot and our reply; each stage adds what it finds."""

    client: Client
    envelope: Envelope
    body: Body
    rulebook: Rulebook
    queue_id: str
    now: datetime
    data: Buffer
    book: Book
    """Of the organisation whose mail it is; the first one's until it is identified."""
    parsed: Message | None = None
    """None where the message is over our limits and passes unstamped."""
    classification: Classification | None = None
    is_processed: bool = False
    """It carries our own valid mark."""
    authentication: AuthenticationResults | None = None
    """None where the listener does not authenticate."""
    results_field: bytes = b""
    """Our Authentication-Results."""
    trace: bytes = b""
    message_id: str = ""
    participants: Participants | None = None
    people: Mapping[str, Person] = field(default_factory=dict)
    known_contacts: frozenset[str] | None = None
    """Recipients to whom the sender has written before; None unless a rule asks."""
    decision: Decision | None = None
    decide_s: float = 0.0
    refused_by: str = ""
    """The rule that refuses it."""
    deliveries: tuple[LeasedDelivery, ...] = ()
    """What the departure begins with; empty where the message waits in the queue."""
    derived: Derived = NOTHING
    """Messages that follow from this one."""
    siblings: tuple[Arrival, ...] = ()
    """The same message for the recipients of other organisations."""


Stage = Callable[[Equipment, Arrival], Awaitable[Reply | None]]


def per_organisation(stage: Stage) -> Stage:
    """A stage that each organisation goes through by itself; all refuse, or one defers, and so is the message."""

    @wraps(stage)
    async def each(equipment: Equipment, arrival: Arrival) -> Reply | None:
        reply = await stage(equipment, arrival)
        if not arrival.siblings:
            return reply
        replies = [reply, *[await stage(equipment, sibling) for sibling in arrival.siblings]]
        said = [each for each in replies if each is not None]
        deferring = [each for each in said if each.code < 500]
        if not deferring and len(said) < len(replies):
            return None
        return (deferring or said)[0]

    return each


async def scan(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Find header fields and MIME tree; over our limits, refuse or pass unstamped as configured."""
    try:
        arrival.parsed = await off_the_loop(len(arrival.data), parse, arrival.data, arrival.rulebook.limits)
    except LimitExceededError as exc:
        outcome = arrival.rulebook.snapshot.configuration.message_limits.above
        events.over_limits(arrival.queue_id, what=exc.what, limit=exc.limit, outcome=outcome)
        if outcome == "refuse":
            return Reply(554, "5.6.0", f"Message refused: more than {exc.limit} {exc.what}")
    return None


async def admit(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Refuse what a listener's `senders` and `exchange_online` keep out."""
    return judge_header(arrival.rulebook.snapshot.configuration, arrival.client, arrival.parsed, arrival.queue_id)


async def guard(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Stop loops."""
    snapshot, message = arrival.rulebook.snapshot, arrival.parsed
    if message is None:
        hops = len(_RECEIVED.findall(arrival.data[:HEADER_LOOKED_AT]))
        limit = snapshot.configuration.message_limits.received
        return TOO_MANY_HOPS if hops > limit else None
    received, limits = message.fields_named("received"), snapshot.configuration.message_limits
    if len(received) > limits.own_received and is_going_round(
        map(message.raw, received), equipment.hostname, limits.own_received
    ):
        return TOO_MANY_HOPS
    return judge_hops(received, limits.received)


async def authenticate(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Ask SPF, DKIM, DMARC and ARC, or believe a gateway, where the listener is set up for it."""
    configuration = arrival.rulebook.snapshot.configuration
    settings = configuration.authenticating.get(arrival.client.listener)
    if settings is None or equipment.resolver is None or equipment.bypass.is_on(arrival.now):
        return None
    began = time.perf_counter()
    received = Received(arrival.parsed, arrival.envelope, arrival.client)
    try:
        results = await authenticate_received(
            received, settings, equipment.resolver, timeout_s=configuration.dns.timeout.total_seconds(),
            now=arrival.now, has_seal=any(book.sealer is not None for book in arrival.rulebook.snapshot.books),
        )  # fmt: skip
    except Exception as exc:  # noqa: BLE001 - a fault of ours keeps no mail out; rules hear that nothing is known
        trace = "".join(traceback.format_exception(exc))
        events.internal_error("authenticate", error=repr(exc), queue_id=arrival.queue_id, traceback=trace)
        results = NOTHING_KNOWN
    arrival.authentication = results
    if results != AuthenticationResults():
        arrival.results_field = write_field(results, (settings.authserv_id or configuration.hostname).lower())
    events.authenticated(
        arrival.queue_id, spf=results.spf, spf_domain=results.spf_domain, dkim=results.dkim,
        dkim_domains=results.dkim_domains, dmarc=results.dmarc, dmarc_domain=results.dmarc_domain,
        dmarc_policy=results.dmarc_policy, arc=results.arc, arc_domain=results.arc_domain,
        took_ms=(time.perf_counter() - began) * 1000,
    )  # fmt: skip
    return None


async def identify(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Whose mail it is: the verified sender's organisation's, else each recipient's own."""
    snapshot = arrival.rulebook.snapshot
    participants, outside = participants_of(snapshot, arrival.parsed, arrival.envelope, arrival.client)
    if outside:
        events.from_outside(arrival.queue_id, reason=outside)
    arrival.participants = participants
    if len(snapshot.books) > 1:
        parts = divide(snapshot, participants)
        _take(arrival, participants, *parts[0])
        siblings = [replace(arrival, queue_id=new_queue_id()) for _ in parts[1:]]
        for sibling, part in zip(siblings, parts[1:], strict=True):
            _take(sibling, participants, *part)
        arrival.siblings = tuple(siblings)
    return None


def _take(arrival: Arrival, participants: Participants, book: Book, recipients: tuple[Address, ...]) -> None:
    """Leave an organisation its own recipients."""
    arrival.book = book
    arrival.envelope = replace(arrival.envelope, recipients=recipients)
    arrival.participants = replace(participants, recipients=recipients)


@per_organisation
async def recognise(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Recognise our own mark; it counts from trusted clients only."""
    message, book = arrival.parsed, arrival.book
    if message is None:
        return None
    marks = message.fields_named(_MARK)
    if marks:
        state = check_mark(
            book.mark_keys, message.raw(marks[0]), book.name, message.message_id, message.header("date"), arrival.now
        )  # fmt: skip
        # A mark on a message without Message-ID would fit every other such message too.
        is_ours = len(marks) == 1 and state is MarkState.VALID and bool(message.message_id)
        arrival.is_processed = arrival.client.is_trusted and is_ours
        if arrival.is_processed:
            events.already_processed(arrival.queue_id)
        else:
            doubtful = "ambiguous" if state is MarkState.VALID else state.value
            reason = doubtful if arrival.client.is_trusted else "untrusted-listener"
            events.mark_removed(arrival.queue_id, reason=reason)
    return None


@per_organisation
async def complete(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Make the trace header lines, and the Message-ID and Date that a trusted submission may lack (RFC 6409 §8)."""
    message = arrival.parsed
    arrival.message_id = message.message_id if message is not None else ""
    added = b""
    if message is not None and arrival.client.is_trusted:
        has_message_id = message.has("message-id")
        added = added_fields(
            has_message_id=has_message_id, has_date=message.has("date"), hostname=equipment.hostname,
            queue_id=arrival.queue_id, received_at=arrival.now,
        )  # fmt: skip
        if not has_message_id:
            arrival.message_id = f"<{arrival.queue_id}@{equipment.hostname}>"
    received = received_field(
        arrival.client, hostname=equipment.hostname, queue_id=arrival.queue_id, received_at=arrival.now,
        smtputf8=arrival.envelope.smtputf8,
    )  # fmt: skip
    arrival.trace = arrival.results_field + received + added
    return None


@per_organisation
async def look_up(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Classify, and ask the directory for the people concerned."""
    assert arrival.participants is not None
    if arrival.parsed is not None and arrival.classification is None:
        is_null, is_trusted = arrival.envelope.reverse_path is None, arrival.client.is_trusted
        arrival.classification = await off_the_loop(
            len(arrival.data), classify, arrival.parsed, is_null, is_trusted=is_trusted
        )
    arrival.people = await people_of(arrival.book.directory, arrival.participants.directory_keys)
    return None


@per_organisation
async def decide(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """What happens to each recipient's copy; reject or defer for all of them is said at once."""
    began = time.perf_counter()
    book, participants = arrival.book, arrival.participants
    assert participants is not None
    message, classification = arrival.parsed, arrival.classification
    is_bypassed = equipment.bypass.is_on(arrival.now)
    if message is None or classification is None or arrival.is_processed or is_bypassed:
        parties = Parties(participants, arrival.people, book.organisation)
        arrival.decision = undecided(parties, book.policy, len(arrival.data), already_processed=arrival.is_processed)
        return None
    if book.rules.asks_first_contact and participants.sender is not None:
        arrival.known_contacts = await known_contacts(
            equipment.spool, book.name, participants.sender.key, [address.key for address in participants.recipients]
        )
    facts = Facts(
        message, classification, participants, arrival.people, arrival.now, book.organisation,
        client=arrival.client, authentication=arrival.authentication, known_contacts=arrival.known_contacts,
        readers=book.readers,
    )  # fmt: skip
    try:
        outcome = await _decided(book, facts)
    except TimeoutError:
        events.plugin_slow(arrival.queue_id, limit_s=WITHIN_S)
        return INTERNAL_ERROR
    arrival.decision = outcome.decision
    arrival.decide_s = time.perf_counter() - began
    log_outcome(arrival.queue_id, outcome)
    if outcome.reply is not None:
        arrival.refused_by = ",".join(dict.fromkeys(names[-1] for names in outcome.rules if names))
    return outcome.reply


async def _decided(book: Book, facts: Facts) -> Outcome:
    """Raises TimeoutError where plug-ins take too long."""
    decide_it = partial(decide_by_rules, book.rules, facts, book.policy)
    # Rules may look into the text, which in a large message takes a while.
    return await (in_time(decide_it) if book.rules.has_plugins else off_the_loop(facts.size_octets, decide_it))
