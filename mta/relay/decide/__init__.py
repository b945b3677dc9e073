"""Rules: message, sender and recipients in; a Decision (equal action lists grouped) out.

The way: rule files (`rule_schema`) become typed `rules`, with their `conditions/`, the `patterns/` that these look for,
and their `actions/`; a message's `participants` are looked up in the directory and become `facts`; `walk.decide` takes
all recipients through the rules at once; what concerns more than one copy is set `aside`; `groups` gives equal
decisions one copy (one for all with `splitting: off`).
"""

from mta.relay.decide.explanation import Step, Trace, Verdict
from mta.relay.decide.facts import Facts, Readers
from mta.relay.decide.outcome import Audited, Outcome, Policy, RuleFailure, Withheld
from mta.relay.decide.participants import OrganisationFacts, Participants, Parties
from mta.relay.decide.rules import RuleSet, load_rules
from mta.relay.decide.surroundings import Surroundings
from mta.relay.decide.walk import decide, undecided

__all__ = [
    "Audited", "Facts", "OrganisationFacts", "Outcome", "Participants", "Parties", "Policy", "Readers", "RuleFailure",
    "RuleSet", "Step", "Surroundings", "Trace", "Verdict", "Withheld", "decide", "load_rules", "undecided",
]  # fmt: skip
