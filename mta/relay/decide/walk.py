"""The walk through the rules: all recipients at once, rule by rule, until nobody walks any further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mta.model.actions import Action, Defer, Drop, OnError, Reject
from mta.model.address import Address
from mta.model.decision import Decision, OnceFor, RecipientDecision
from mta.model.delivery import VERIFIED_TLS
from mta.model.reply import INTERNAL_ERROR, Reply
from mta.relay.decide.actions.header_values import ActionError
from mta.relay.decide.actions.makers import ASIDE, FINAL, STEERING, ActionMaker
from mta.relay.decide.aside import NOBODY_ELSE, Aside, Sent, role_of, send
from mta.relay.decide.explanation import Trace, Verdict
from mta.relay.decide.facts import Facts
from mta.relay.decide.groups import ActionList, group, numbers
from mta.relay.decide.outcome import Audited, Outcome, Policy, RuleFailure, Withheld
from mta.relay.decide.participants import Parties, indexes
from mta.relay.decide.rules import Rule, RuleSet
from mta.relay.decide.splitting import may_be_named, shared, spokesman, uniform

_FAILED_REJECT = Reply(550, "5.3.0", "Local error in processing")


def decide(rules: RuleSet, facts: Facts, policy: Policy, trace: Trace | None = None) -> Outcome:
    """Decide for every recipient of a message. Pure: the same rules and facts give the same outcome."""
    walk = _Walk(facts, trace)
    for rule in rules.enabled:
        if not walk.walking:
            break
        walk.judge(rule)
    lists = walk.lists if policy.is_splitting else uniform(facts, walk.lists)
    finals, too_many = group(lists, facts.visible, policy.max_variants)
    sent = send(facts, walk.aside.sendings, finals)
    once = tuple(OnceFor(action, tuple(indexes)) for (_, action), indexes in walk.aside.once.items())
    return Outcome(
        _decision(facts, finals, walk.aside, policy, facts.size_octets, sent, once),
        _reply(finals, walk.failures),
        tuple(tuple(names) for names in walk.applied),
        tuple(walk.audited),
        (*walk.failures, *sent.failures),
        tuple(walk.withheld),
        too_many,
        tuple(facts.plugin_runs),
    )


def undecided(parties: Parties, policy: Policy, size_octets: int = 0, *, already_processed: bool = False) -> Decision:
    """The decision that relays everything as it is: bypass, our own valid mark, messages that are not looked into."""
    count = len(parties.recipients)
    decision = _decision(parties, [()] * count, Aside(), policy, size_octets)
    return replace(decision, already_processed=already_processed)


def _decision(
    parties: Parties,
    finals: Sequence[tuple[Action, ...]],
    aside: Aside,
    policy: Policy,
    size_octets: int,
    sent: Sent = NOBODY_ELSE,
    once: Sequence[OnceFor] = (),
) -> Decision:
    recipients = [
        RecipientDecision(
            party.address,
            parties.direction(party),
            party.role,
            actions,
            number,
            policy.next_hop(party.address, size_octets),
        )
        for party, actions, number in zip(parties.recipients, finals, numbers(finals), strict=True)
    ]
    for index in {*aside.routes, *aside.over_tls, *sent.redirected}:
        entry = recipients[index]
        named = aside.routes.get(index)
        hop = policy.next_hop(entry.recipient, size_octets, named) if named else entry.next_hop
        recipients[index] = replace(
            entry, next_hop=_hop(hop, index in aside.over_tls), redirected_by=sent.redirected.get(index, "")
        )
    for added in sent.added:
        leader = recipients[added.index]
        recipients.append(
            replace(
                leader,
                recipient=added.address,
                direction=parties.direction(parties.party(added.address)),
                role=role_of(added, leader),
                next_hop=_hop(policy.next_hop(added.address, size_octets), added.index in aside.over_tls),
                added_by=added.rule,
                in_place_of=added.in_place_of,
                redirected_by="",
            )
        )
    sender = parties.sender
    return Decision(
        tuple(recipients),
        parties.organisation.name,
        sender.key if sender is not None else "",
        once=tuple(once),
    )


def _hop(name: str, over_tls: bool) -> str:
    return name + VERIFIED_TLS if over_tls else name


def _reply(finals: Sequence[tuple[Action, ...]], failures: Sequence[RuleFailure]) -> Reply | None:
    """The answer for the whole message, where there is one."""
    if any(failure.on_error is OnError.DEFER for failure in failures):
        # For everybody, not only for those whom the rule concerns: what is accepted is never decided again, so this
        # rule would never get its second chance.
        return INTERNAL_ERROR
    last = [actions[-1] if actions else None for actions in finals]
    for action in last:
        if isinstance(action, Defer):
            # For everybody likewise: deferred recipients of an accepted message would wait for nothing.
            return Reply(451, "4.7.1", action.text)
    first = last[0] if last else None
    if not isinstance(first, Reject) or not all(isinstance(action, Reject) for action in last):
        return None
    return Reply(first.code, first.status, first.text)


class _Walk:
    def __init__(self, facts: Facts, trace: Trace | None) -> None:
        count = len(facts.participants.recipients)
        self.facts = facts
        self.trace = trace
        self.walking = facts.everyone
        self.lists = [ActionList([], set()) for _ in range(count)]
        self.aside = Aside()
        self.applied: list[list[str]] = [[] for _ in range(count)]
        self.audited: list[Audited] = []
        self.failures: list[RuleFailure] = []
        self.withheld: list[Withheld] = []

    def judge(self, rule: Rule) -> None:
        """Judge one rule for all who still walk."""
        live = self.walking
        try:
            live = rule.live(self.facts)
            matched = self._matched(rule, live)
        except Exception as exc:  # noqa: BLE001 - a fault in judging one rule is that rule's failure: on_error decides
            walking, error = self.walking, f"conditions: {type(exc).__name__}"
            if walking & live:
                self._fail(rule, walking & live, error)
            if walking & ~live:
                self._fail(rule, walking & ~live, error, is_audited=True)
            return
        self._audit(rule, matched & ~live)
        matched &= live
        if matched:
            self._apply(rule, matched)
            if rule.stop_on_match:
                self.walking &= ~matched
        if rule.stop_on_no_match:
            self.walking &= matched | ~live

    def _matched(self, rule: Rule, live: int) -> int:
        """Those who walk and for whom the rule is in force now, and its conditions hold."""
        facts, walking = self.facts, self.walking
        if rule.schedule is not None and not rule.schedule.is_active(facts.now):
            if self.trace is not None:
                self.trace.record(
                    rule, walking, Verdict.NOT_ACTIVE, rule.schedule.source, rule.schedule.value(facts.now)
                )
            return 0
        matched = rule.condition.mask(facts) & walking
        if self.trace is not None:
            self.trace.judged(rule, facts, walking, matched, live)
        return matched

    def _apply(self, rule: Rule, matched: int) -> None:
        makers, may_change = self._permitted(rule, matched)
        if not rule.is_splitting:
            makers = self._apply_unsplit(rule, makers, matched)
            if not makers:
                return
        if any(maker.personal for maker in makers):
            for index in indexes(matched):
                self._apply_to(rule, makers, 1 << index, index, may_change=may_change)
        else:
            self._apply_to(rule, makers, matched, (matched & -matched).bit_length() - 1, may_change=may_change)

    def _apply_unsplit(self, rule: Rule, makers: Sequence[ActionMaker], matched: int) -> Sequence[ActionMaker]:
        """Change the content for all who still walk, or for nobody; gives what is left for those who match.

        Nothing is left of a rule that fails.
        """
        content = [maker for maker in makers if maker.changes_content]
        chosen = spokesman(self.facts, self.walking)
        if content and matched >> chosen & 1:
            is_named = may_be_named(self.facts, chosen, self.walking)
            if not self._apply_to(rule, content, self.walking, chosen, is_shared=True, is_named=is_named):
                return ()
        if self.trace is not None:
            self.trace.note(rule, self.walking, f"splitting off: content as for {self.facts.recipients[chosen].key}")
        return [maker for maker in makers if not maker.changes_content]

    def _apply_to(
        self,
        rule: Rule,
        makers: Sequence[ActionMaker],
        mask: int,
        index: int,
        *,
        is_shared: bool = False,
        is_named: bool = True,
        may_change: bool = True,
    ) -> bool:
        """Make the actions for one recipient, and give them to all of the mask, for whom they are the same.

        False where the rule fails. Shared ones may speak of that recipient only where `is_named`.
        """
        made: list[tuple[Action, bool]] = []
        try:
            for maker in makers:
                action = maker.make(self.facts, index)
                if isinstance(action, tuple):
                    made += [(each, maker.personal) for each in action if may_change or not each.changes_content]
                elif action is not None:
                    made.append((action, maker.personal))
        except ActionError as exc:
            self._fail(rule, mask, str(exc))
            return False
        except Exception as exc:  # noqa: BLE001 - as above: for example, a directory that does not answer
            self._fail(rule, mask, f"actions: {type(exc).__name__}")
            return False
        if is_shared:
            made = [(action, False) for action in shared(made, is_named=is_named)]
        actions = [action for action, _ in made]
        is_plain = not any(personal or isinstance(action, STEERING) for action, personal in made)
        for number in indexes(mask):
            self.applied[number].append(rule.name)
            if is_plain:
                self.lists[number].actions.extend(actions)
            else:
                for action, personal in made:
                    self._add(number, action, personal=personal)
        return True

    def _permitted(self, rule: Rule, matched: int) -> tuple[Sequence[ActionMaker], bool]:
        """The rule's actions that this message may get, and whether its content may be changed."""
        facts = self.facts
        reason = facts.classification.untouchable
        if not reason and facts.asked_by_name and facts.asked_by_name.isdisjoint(rule.kinds):
            reason = f"{' '.join(sorted(facts.asked_by_name))}, not named by the rule"
        if not reason or not any(maker.changes_content for maker in rule.actions):
            return rule.actions, not reason
        self.withheld.append(Withheld(rule.name, reason, self._addresses(matched)))
        if self.trace is not None:
            self.trace.note(rule, matched, f"content not changed: {reason}")
        return [maker for maker in rule.actions if not maker.changes_content], False

    def _add(self, index: int, action: Action, *, personal: bool) -> None:
        if isinstance(action, ASIDE):
            self.aside.take(index, action)
            return
        if not self.walking >> index & 1:
            return
        entry = self.lists[index]
        if isinstance(action, Reject | Drop):
            # Nobody will see the rest.
            entry.actions.clear()
            entry.personal.clear()
        if isinstance(action, FINAL):
            self.walking &= ~(1 << index)
        if personal:
            entry.personal.add(len(entry.actions))
        entry.actions.append(action)

    def _audit(self, rule: Rule, matched: int) -> None:
        if matched:
            words = tuple(maker.source for maker in rule.actions)
            self.audited.append(Audited(rule.name, self._addresses(matched), words))

    def _fail(self, rule: Rule, mask: int, error: str, *, is_audited: bool = False) -> None:
        if self.trace is not None:
            self.trace.record(rule, mask, Verdict.FAILED, error, rule.on_error.value)
        on_error = OnError.DELIVER_UNSTAMPED if is_audited else rule.on_error
        self.failures.append(RuleFailure(rule.name, error, on_error, self._addresses(mask)))
        if on_error is OnError.REJECT:
            reply = _FAILED_REJECT
            for index in indexes(mask):
                entry = self.lists[index]
                entry.personal.clear()
                entry.actions[:] = [Reject(rule=rule.name, code=reply.code, status=reply.status, text=reply.text)]
            self.walking &= ~mask

    def _addresses(self, mask: int) -> tuple[Address, ...]:
        recipients = self.facts.participants.recipients
        return tuple(recipients[index] for index in indexes(mask))
