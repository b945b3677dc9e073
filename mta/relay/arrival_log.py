"""The log lines of one arrival: what was accepted and decided, what follows from it, or why it was refused."""

from __future__ import annotations

from mta import events
from mta.model.actions import Stamp
from mta.model.decision import RecipientDecision
from mta.model.delivery import Accepted, AcceptedMessage, State
from mta.model.reply import Reply
from mta.relay.arrival import Arrival


def log_acceptance(arrival: Arrival, message: AcceptedMessage, *, spool_s: float) -> None:
    """What was accepted, the decision for each group, who was added, who is held."""
    kind = arrival.classification.kind.value if arrival.classification is not None else ""
    events.message_accepted(
        message.queue_id, listener=arrival.client.listener, client=arrival.client.ip,
        sender=str(arrival.envelope.reverse_path or "<>"), recipients=arrival.envelope.recipients,
        size=message.body.size_octets, message_id=message.message_id, kind=kind, snapshot=message.snapshot,
        tls=arrival.client.tls, decide_ms=arrival.decide_s * 1000, spool_ms=spool_s * 1000, helo=arrival.client.helo,
        account=arrival.client.authenticated_as, certificate=arrival.client.certificate,
    )  # fmt: skip
    groups: dict[int, list[RecipientDecision]] = {}
    for entry in message.decision.recipients:
        groups.setdefault(entry.group, []).append(entry)
    for group, entries in groups.items():
        actions = entries[0].actions
        directions = dict.fromkeys(entry.direction.value for entry in entries)
        events.decided(
            message.queue_id, group=group, recipients=[entry.recipient for entry in entries],
            rules=dict.fromkeys(action.rule for action in actions), direction=",".join(directions),
            actions=[f"stamp:{a.template}" if isinstance(a, Stamp) else a.kind for a in actions],
        )  # fmt: skip
    for entry in message.decision.recipients:
        if entry.is_added:
            events.recipient_added(
                message.queue_id, recipient=entry.recipient, rule=entry.added_by, in_place_of=entry.in_place_of
            )
    held = [entry for entry in message.recipients if entry.state is State.HELD]
    if held:
        events.held(message.queue_id, recipients=[entry.address for entry in held], reason="rule")


def log_followers(arrival: Arrival, accepted: Accepted) -> None:
    """What follows, and what a sibling of the message, or an earlier one, has brought already."""
    for follower in arrival.derived.followers:
        message = follower.spawned.message
        if message.queue_id in accepted.spawned:
            events.followed(
                arrival.queue_id, kind=follower.kind, rule=follower.rule, spawned=message.queue_id,
                recipients=message.envelope.recipients,
            )  # fmt: skip
        else:
            events.not_followed(arrival.queue_id, kind=follower.kind, rule=follower.rule, reason="done already")


def log_refusal(arrival: Arrival, reply: Reply) -> None:
    """One line on why the client was refused."""
    events.message_refused(
        arrival.client.listener, client=arrival.client.ip, sender=str(arrival.envelope.reverse_path or "<>"),
        recipients=len(arrival.envelope.recipients), reply=str(reply), rule=arrival.refused_by,
        message_id=arrival.message_id, queue_id=arrival.queue_id,
    )  # fmt: skip
