"""Real messages before the sample rules: every one is judged, none makes a rule fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.message.classify import classify
from mta.message.parse import LimitExceededError, parse
from mta.model.actions import RemoveHeader, SetHeader, Stamp, TagSubject
from mta.model.address import parse_address
from mta.model.envelope import Client, Envelope, ListenerRole
from mta.relay.decide import Facts, OrganisationFacts, Participants, Policy, Surroundings, decide, load_rules
from tests.shared import corpus
from tests.unit.relay.decide.situation import NOW, next_hop

ROOT = Path(__file__).parents[4]
CONTENT = (Stamp, TagSubject, SetHeader, RemoveHeader)


@pytest.mark.corpus
@pytest.mark.parametrize("role", ListenerRole)
def test_every_message_can_be_judged(role: ListenerRole) -> None:
    ruleset = load_rules(ROOT / "rules", Surroundings())
    organisation = OrganisationFacts.of("default", ["example.com"], {})
    recipients = (parse_address("jane@example.com"), parse_address("buyer@customer.example"))
    envelope = Envelope(parse_address("sender@example.com"), recipients)
    client = Client("192.0.2.1", 25, "mail.example.com", "test", role)
    judged = 0
    for entry in corpus():
        try:
            message = parse(entry.data)
        except LimitExceededError:
            continue
        classification = classify(message, reverse_path_is_null=False)
        participants = Participants.of(message, envelope, client)
        facts = Facts(message, classification, participants, {}, NOW, organisation)
        outcome = decide(ruleset, facts, Policy(next_hop))
        assert outcome.failures == (), entry.path
        if classification.untouchable:
            actions = [action for decided in outcome.decision.recipients for action in decided.actions]
            assert not any(isinstance(action, CONTENT) for action in actions), entry.path
        judged += 1
    assert judged > 100
