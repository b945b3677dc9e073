from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from mta.config.delivery_schema import Retry, SmtpHop
from mta.model.actions import Drop, Reject, Route
from mta.model.address import parse_address
from mta.model.delivery import AcceptedMessage, LeasedDelivery, RecipientResult, State, StoredVariant
from mta.model.envelope import DsnRequest, ListenerRole, Notify
from mta.model.reply import Reply
from mta.relay.deliver.reports import Action, Cause, Report, is_told
from mta.relay.deliver.routing import RetryTable
from mta.relay.deliver.settle import Settler, set_aside
from tests.unit.relay.deliver.samples import NOON, RETRY, in_ten_minutes, leased, message

POSTMASTER = parse_address("postmaster@relay.example.com")
OK = Reply(250, "2.0.0", "taken")
LATER = Reply(451, "4.4.1", "Can't connect: refused")
UNKNOWN = Reply(550, "5.1.1", "no such user")
UNKNOWN_TO = parse_address("joe@example.org")
THREE = ("a@example.org", "b@example.org", "c@example.org")


class Dsns:
    """Stands for the writer of DSNs: keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[Report]] = []
        self.of: list[AcceptedMessage] = []
        self.written = message(("jane@example.com",), sender="")

    def __call__(self, of: AcceptedMessage, reports: Sequence[Report], now: datetime) -> AcceptedMessage:
        self.asked.append(list(reports))
        self.of.append(of)
        return self.written


def settler(dsns: Dsns) -> Settler:
    return Settler(RetryTable(RETRY), in_ten_minutes, dsns, frozenset({"example.com"}))


def results(delivery: LeasedDelivery, *replies: Reply) -> list[RecipientResult]:
    return [
        RecipientResult(entry.index, entry.address, reply)
        for entry, reply in zip(delivery.recipients, replies, strict=True)
    ]


def test_each_recipient_goes_their_own_way() -> None:
    dsns, delivery = Dsns(), leased(message(THREE), attempts=1)
    settlement = settler(dsns).settlement(delivery, results(delivery, OK, UNKNOWN, LATER), NOON)
    assert settlement.final == {0: State.DELIVERED, 1: State.FAILED}
    assert settlement.due_at == NOON + timedelta(minutes=20)
    assert settlement.spawned == (dsns.written,)
    assert [(f.address.local, f.cause, f.status) for f in dsns.asked[0]] == [("b", Cause.REFUSED, "5.1.1")]


def test_all_failures_of_a_settlement_share_one_dsn() -> None:
    dsns, delivery = Dsns(), leased(message(THREE))
    settlement = settler(dsns).settlement(delivery, results(delivery, UNKNOWN, UNKNOWN, UNKNOWN), NOON)
    assert len(settlement.spawned) == 1
    assert [f.address.local for f in dsns.asked[0]] == ["a", "b", "c"]
    assert settlement.due_at is None


def test_variants_are_kept_only_while_somebody_waits() -> None:
    delivery, variants = leased(message(THREE)), (StoredVariant(0, ((0, 0, b"X: y\r\n"),)),)
    stays = settler(Dsns()).settlement(delivery, results(delivery, OK, OK, LATER), NOON, variants=variants)
    gone = settler(Dsns()).settlement(delivery, results(delivery, OK, OK, OK), NOON, variants=variants)
    assert (stays.variants, gone.variants) == (variants, ())


def test_recipients_without_a_result_stay_queued() -> None:
    delivery = leased(message(THREE))
    settlement = settler(Dsns()).settlement(delivery, results(delivery, OK, OK, OK)[:1], NOON)
    assert settlement.final == {0: State.DELIVERED}
    assert settlement.due_at == NOON + timedelta(minutes=10)


def test_expired_mail_fails_with_4_4_7_and_tells_the_last_reply() -> None:
    dsns, delivery = Dsns(), leased(message(), attempts=30)
    settlement = settler(dsns).settlement(delivery, results(delivery, LATER), NOON + timedelta(days=2))
    assert settlement.final == {0: State.FAILED}
    assert settlement.due_at is None
    [[failure]] = dsns.asked
    assert (failure.cause, failure.status, failure.reply) == (Cause.EXPIRED, "4.4.7", LATER)


def test_mail_just_before_its_expiry_stays() -> None:
    delivery = leased(message(), attempts=30)
    almost = NOON + timedelta(days=2) - timedelta(seconds=1)
    assert settler(Dsns()).settlement(delivery, results(delivery, LATER), almost).final == {}


def test_old_mail_is_not_given_up_at_its_first_obstacle() -> None:
    """Held for days and released, or queued while the relay did not run."""
    final = [
        settler(Dsns()).settlement(d, results(d, LATER), NOON + timedelta(days=3)).final
        for d in (leased(message(), attempts=n) for n in range(3))
    ]
    assert final == [{}, {}, {0: State.FAILED}]


def test_a_late_delivery_counts_as_delivered() -> None:
    delivery = leased(message(), attempts=30)
    assert settler(Dsns()).settlement(delivery, results(delivery, OK), NOON + timedelta(days=9)).final == {
        0: State.DELIVERED
    }


def test_dropped_recipients_are_final_and_nobody_is_told() -> None:
    dsns, delivery = Dsns(), leased(message(THREE))
    settlement = settler(dsns).settlement(delivery, results(delivery, OK, OK, OK)[:2], NOON, dropped={2})
    assert settlement.final[2] is State.DROPPED
    assert (settlement.spawned, dsns.asked, settlement.due_at) == ((), [], None)


def test_a_hold_that_ran_out_tells_the_sender() -> None:
    dsns = Dsns()
    settlement = settler(dsns).hold_expired(leased(message(THREE, state=State.HELD)), NOON)
    assert set(settlement.final.values()) == {State.FAILED}
    assert [f.cause for f in dsns.asked[0]] == [Cause.HELD] * 3
    assert settlement.due_at is None


@pytest.mark.parametrize(
    ("sender", "role", "cause", "told"),
    [
        ("jane@example.com", ListenerRole.TRUSTED, Cause.REFUSED, True),
        ("jane@example.com", ListenerRole.TRUSTED, Cause.POLICY, True),
        ("jane@Example.COM", ListenerRole.TRUSTED, Cause.POLICY, True),
        ("stranger@example.net", ListenerRole.TRUSTED, Cause.POLICY, False),
        ("jane@example.com", ListenerRole.INBOUND, Cause.POLICY, False),
        ("stranger@example.net", ListenerRole.INBOUND, Cause.REFUSED, True),
        ("stranger@example.net", ListenerRole.INBOUND, Cause.HELD, False),
        ("stranger@example.net", ListenerRole.TRUSTED, Cause.HELD, True),
        ("stranger@example.net", ListenerRole.INBOUND, Cause.EXPIRED, True),
        ("", ListenerRole.TRUSTED, Cause.REFUSED, False),
        ("", ListenerRole.INBOUND, Cause.EXPIRED, False),
        ("", ListenerRole.TRUSTED, Cause.POLICY, False),
    ],
)
def test_who_is_told(sender: str, role: ListenerRole, cause: Cause, told: bool) -> None:
    report = Report(UNKNOWN_TO, Action.FAILED, "5.0.0", UNKNOWN, cause)
    assert is_told(message(sender=sender, role=role), report, {"example.com"}) is told


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ("spf=fail smtp.mailfrom=example.net;\r\n\tdmarc=none", False),
        ("spf=pass smtp.mailfrom=example.net;\r\n\tdmarc=fail polrec.p=none header.from=example.net", False),
        ("spf=fail smtp.mailfrom=example.net;\r\n\tdmarc=pass header.from=example.net", True),
        ("spf=fail smtp.mailfrom=example.net;\r\n\tdmarc=pass header.from=attacker.example", False),
        ("spf=fail smtp.mailfrom=example.net;\r\n\tdmarc=pass header.from=le.net", False),
        ("spf=fail smtp.mailfrom=example.net;\r\n\tdmarc=pass", False),
        ("spf=softfail smtp.mailfrom=example.net;\r\n\tdmarc=temperror", True),
        ("spf=pass smtp.mailfrom=example.net", True),
        ("none", True),
    ],
)
def test_nobody_is_told_in_whose_name_somebody_else_has_sent(results: str, told: bool) -> None:
    trace = f"Authentication-Results: relay.example.com;\r\n\t{results}\r\nReceived: from x by y\r\n".encode()
    stranger = message(sender="stranger@example.net", role=ListenerRole.INBOUND)
    report = Report(UNKNOWN_TO, Action.FAILED, "4.4.7", LATER, Cause.EXPIRED)
    assert is_told(replace(stranger, trace=trace), report, {"example.com"}) is told
    assert is_told(replace(message(), trace=trace), report, {"example.com"})


def test_a_reject_for_some_is_told_as_policy() -> None:
    dsns = Dsns()
    delivery = leased(message(THREE, actions={1: (Reject(text="No invoices to this address"),)}))
    aside = set_aside(delivery)
    assert [entry.index for entry in aside.deliver] == [0, 2]
    [rejected] = aside.results
    assert str(rejected.reply) == "550 5.7.1 No invoices to this address"
    settlement = settler(dsns).settlement(delivery, aside.results, NOON)
    assert settlement.final == {1: State.FAILED}
    assert dsns.asked[0][0].cause is Cause.POLICY


def test_set_aside_drops() -> None:
    aside = set_aside(leased(message(THREE, actions={0: (Drop(),), 2: (Route(next_hop="internet"),)})))
    assert aside.dropped == {0}
    assert aside.results == ()
    assert [entry.index for entry in aside.deliver] == [1, 2]


def test_a_stranger_is_not_told_that_a_rule_of_ours_failed() -> None:
    dsns = Dsns()
    delivery = leased(message(role=ListenerRole.INBOUND))
    refusal = RecipientResult(0, delivery.recipients[0].address, Reply(554, "5.3.0", "Rule r could not be carried out"))
    settlement = settler(dsns).settlement(delivery, [refusal], NOON, by_policy={0})
    assert settlement.final == {0: State.FAILED}
    assert dsns.asked == []


def by_rules() -> AcceptedMessage:
    """To a, whom the envelope names, b, whom a rule added, and c, who stands for d."""
    of = message(THREE)
    a, b, c = of.decision.recipients
    decided = (a, replace(b, added_by="copy"), replace(c, added_by="away", in_place_of="d@example.org"))
    return replace(of, decision=replace(of.decision, recipients=decided))


def test_the_sender_learns_nothing_of_copies_that_rules_made() -> None:
    dsns, delivery = Dsns(), leased(by_rules())
    remote = "mx.secret.example[192.0.2.9]:25"
    given = [
        RecipientResult(entry.index, entry.address, UNKNOWN, remote, f"550 5.1.1 <{entry.address}> unknown")
        for entry in delivery.recipients
    ]
    told = replace(settler(dsns), postmaster=POSTMASTER).settlement(delivery, given, NOON)
    assert len(told.spawned) == 2
    to_sender, to_postmaster = dsns.asked
    assert [str(failure.address) for failure in to_sender] == ["a@example.org", "d@example.org"]
    assert (to_sender[1].remote, to_sender[1].remote_reply) == ("", "")
    assert "c@example.org" not in str(to_sender)
    assert [(str(f.address), f.for_postmaster) for f in to_postmaster] == [("b@example.org", True)]
    assert [str(of.envelope.reverse_path) for of in dsns.of] == ["jane@example.com", str(POSTMASTER)]


def test_copies_of_mail_that_nobody_sent_are_the_postmasters_business() -> None:
    dsns = Dsns()
    bounce = by_rules()
    bounce = replace(bounce, envelope=replace(bounce.envelope, reverse_path=None))
    delivery = leased(bounce)
    refused = results(delivery, UNKNOWN, UNKNOWN, UNKNOWN)
    replace(settler(dsns), postmaster=POSTMASTER).settlement(delivery, refused, NOON)
    assert [[str(failure.address) for failure in asked] for asked in dsns.asked] == [["b@example.org"]]


def test_the_postmaster_learns_of_an_archive_copy_whoever_wrote_the_message() -> None:
    trace = b"Authentication-Results: relay.example.com;\r\n\tspf=fail smtp.mailfrom=example.net\r\n"
    copy = replace(message(sender=str(POSTMASTER), role=ListenerRole.INBOUND), trace=trace)
    dsns, delivery = Dsns(), leased(copy)
    refused = results(delivery, *(UNKNOWN for _ in delivery.recipients))
    replace(settler(dsns), postmaster=POSTMASTER).settlement(delivery, refused, NOON)
    assert len(dsns.asked) == 1


def test_a_hold_that_ran_out_is_told_likewise() -> None:
    dsns = Dsns()
    held = by_rules()
    held = replace(held, recipients=tuple(replace(entry, state=State.HELD) for entry in held.recipients))
    replace(settler(dsns), postmaster=POSTMASTER).hold_expired(leased(held), NOON)
    assert [[(str(f.address), f.cause) for f in asked] for asked in dsns.asked] == [
        [("a@example.org", Cause.HELD), ("d@example.org", Cause.HELD)],
        [("b@example.org", Cause.HELD)],
    ]


# --- delays and successes --------------------------------------------------------------------------------------------

FOUR_HOURS = timedelta(hours=4)
JOE = "joe@example.org"


def reports_of(
    *replies: Reply,
    of: AcceptedMessage | None = None,
    age: timedelta = FOUR_HOURS,
    is_warned: bool = False,
    **result: object,
) -> list[tuple[str, Action]]:
    """Who is told what in the one DSN that comes of it; [] where none is written."""
    dsns = Dsns()
    delivery = replace(leased(of or message()), is_warned=is_warned)
    given = [replace(each, **result) for each in results(delivery, *replies)]  # type: ignore[arg-type]
    settler(dsns).settlement(delivery, given, NOON + age)
    assert len(dsns.asked) <= 1
    return [(str(report.address), report.action) for asked in dsns.asked for report in asked]


def asking(notify: Notify | None, *, sender: str = "jane@example.com", **settings: object) -> AcceptedMessage:
    """To joe, of whom the sender wants to know this."""
    return message(sender=sender, dsn={JOE: DsnRequest(notify)}, **settings)  # type: ignore[arg-type]


def test_a_late_message_is_told_of_once() -> None:
    delivery = leased(message())
    late = settler(Dsns()).settlement(delivery, results(delivery, LATER), NOON + FOUR_HOURS)
    assert (late.warned, len(late.spawned)) == (True, 1)
    again = settler(Dsns()).settlement(replace(delivery, is_warned=True), results(delivery, LATER), NOON + FOUR_HOURS)
    assert (again.warned, again.spawned) == (False, ())


def test_a_warning_says_how_long_we_try() -> None:
    dsns, delivery = Dsns(), leased(message())
    settler(dsns).settlement(delivery, results(delivery, LATER), NOON + FOUR_HOURS)
    assert dsns.asked[0][0].retry_until == NOON + timedelta(days=2)
    assert (dsns.asked[0][0].status, dsns.asked[0][0].reply) == ("4.4.1", LATER)


@pytest.mark.parametrize(
    ("warn_after", "age", "warned"),
    [("4h", timedelta(hours=3, minutes=59), False), ("0s", timedelta(days=1), False), ("10m", FOUR_HOURS, True)],
)
def test_when_a_message_counts_as_late(warn_after: str, age: timedelta, warned: bool) -> None:
    retry = Retry(schedule=("1m",), warn_after=warn_after)  # type: ignore[arg-type]
    delivery = leased(message())
    made = replace(settler(Dsns()), retries=RetryTable(retry))
    assert made.settlement(delivery, results(delivery, LATER), NOON + age).warned is warned


def test_a_next_hop_s_own_times_count_for_it() -> None:
    own = Retry(schedule=("1m",), expire_after="1h", warn_after="10m")  # type: ignore[arg-type]
    hosts = ({"host": "mx.example.org"},)
    hop = SmtpHop(name="internet", hosts=hosts, retry=own)  # type: ignore[arg-type]
    table = RetryTable(RETRY, [hop])
    made = replace(settler(Dsns()), retries=table)
    delivery = leased(message(), attempts=5)
    assert made.settlement(delivery, results(delivery, LATER), NOON + timedelta(minutes=10)).warned
    assert made.settlement(delivery, results(delivery, LATER), NOON + timedelta(hours=1)).final == {0: State.FAILED}
    other = replace(delivery, next_hop="other")
    assert made.settlement(other, results(other, LATER), NOON + timedelta(hours=1)).final == {}


STRANGER = {"sender": "stranger@example.net", "role": ListenerRole.INBOUND}


@pytest.mark.parametrize(
    ("of", "told"),
    [
        (message(), True),
        (asking(None), True),
        (asking(Notify.DELAY), True),
        (asking(Notify.FAILURE), False),
        (asking(Notify.NEVER), False),
        (message(sender="stranger@example.net"), False),
        (asking(Notify.DELAY, sender="stranger@example.net"), True),
        (message(**STRANGER), False),  # type: ignore[arg-type]
        (asking(Notify.DELAY, **STRANGER), False),  # type: ignore[arg-type]
        (message(sender=""), False),
    ],
    ids=[
        "ours", "asked for something else", "asked", "asked for failures", "asked for nothing", "passed on by ours",
        "passed on by ours and asked", "stranger", "stranger and asked", "null",
    ],
)  # fmt: skip
def test_who_is_told_of_a_delay(of: AcceptedMessage, told: bool) -> None:
    assert reports_of(LATER, of=of) == ([(JOE, Action.DELAYED)] if told else [])


@pytest.mark.parametrize(
    ("spf", "told"),
    [
        ("spf=pass smtp.mailfrom=example.net", True),
        ("spf=pass smtp.mailfrom=other.example", False),
        ("spf=pass smtp.helo=example.net", False),
        ("spf=softfail smtp.mailfrom=example.net", False),
        ("none", False),
    ],
)
def test_strangers_who_prove_their_name_get_what_they_ask_for(spf: str, told: bool) -> None:
    trace = f"Authentication-Results: relay.example.com;\r\n\t{spf}\r\nReceived: from x by y\r\n".encode()
    of = replace(asking(Notify.SUCCESS | Notify.DELAY, **STRANGER), trace=trace)  # type: ignore[arg-type]
    assert reports_of(OK, of=of) == ([(JOE, Action.RELAYED)] if told else [])
    assert reports_of(LATER, of=of) == ([(JOE, Action.DELAYED)] if told else [])


def test_who_signed_in_is_known() -> None:
    of = message(sender="jane@example.com", role=ListenerRole.INBOUND)
    assert of.client is not None
    assert reports_of(LATER, of=replace(of, client=replace(of.client, authenticated_as="jane"))) != []


@pytest.mark.parametrize(
    ("notify", "takes_dsn", "in_mailbox", "told"),
    [
        (Notify.SUCCESS, False, False, Action.RELAYED),
        (Notify.SUCCESS | Notify.FAILURE, False, True, Action.DELIVERED),
        (Notify.SUCCESS, True, False, None),
        (Notify.FAILURE, False, True, None),
        (Notify.NEVER, False, True, None),
        (None, False, True, None),
    ],
)
def test_success_is_told_where_asked_for_and_nobody_else_tells_it(
    notify: Notify | None, takes_dsn: bool, in_mailbox: bool, told: Action | None
) -> None:
    got = reports_of(OK, of=asking(notify), takes_dsn=takes_dsn, in_mailbox=in_mailbox)
    assert got == ([(JOE, told)] if told else [])


@pytest.mark.parametrize(
    ("notify", "told"), [(Notify.NEVER, False), (Notify.SUCCESS | Notify.DELAY, False), (Notify.FAILURE, True)]
)
def test_failures_are_told_unless_the_sender_wants_none(notify: Notify, told: bool) -> None:
    assert bool(reports_of(UNKNOWN, of=asking(notify))) is told


def test_all_that_is_told_of_an_attempt_is_one_dsn() -> None:
    asked = {address: DsnRequest(Notify.SUCCESS | Notify.FAILURE | Notify.DELAY) for address in THREE}
    got = reports_of(OK, UNKNOWN, LATER, of=message(THREE, dsn=asked))
    assert [action for _, action in got] == [Action.RELAYED, Action.FAILED, Action.DELAYED]


def test_the_success_of_a_redirected_copy_is_told_in_the_recipients_name_and_names_nobody_else() -> None:
    asked = {address: DsnRequest(Notify.SUCCESS, f"rfc822;{address}") for address in (*THREE, "d@example.org")}
    of = by_rules()
    of = replace(of, envelope=replace(of.envelope, dsn=asked))
    dsns, delivery = Dsns(), leased(of)
    remote = "mx.secret.example[192.0.2.9]:25"
    given = [
        RecipientResult(
            entry.index,
            entry.address,
            OK,
            remote,
            "250 2.0.0 for c@example.org",
            in_mailbox=True,
            takes_dsn=entry.index == 2,
        )
        for entry in delivery.recipients
    ]
    replace(settler(dsns), postmaster=POSTMASTER).settlement(delivery, given, NOON)
    [[first, second]] = dsns.asked
    assert [(str(report.address), report.action) for report in (first, second)] == [
        ("a@example.org", Action.DELIVERED),
        ("d@example.org", Action.RELAYED),
    ]
    assert "secret" not in str(second)
    assert "c@example.org" not in str(second)


def test_several_in_ones_place_are_told_of_once() -> None:
    of = message(THREE, dsn={"d@example.org": DsnRequest(Notify.SUCCESS)})
    decided = [replace(each, added_by="away", in_place_of="d@example.org") for each in of.decision.recipients]
    of = replace(of, decision=replace(of.decision, recipients=tuple(decided)))
    assert reports_of(OK, OK, OK, of=of) == [("d@example.org", Action.RELAYED)]


def test_what_an_administrator_deletes_is_told() -> None:
    dsns = Dsns()
    of = message(THREE, dsn={"a@example.org": DsnRequest(Notify.NEVER)})
    assert settler(dsns).deleted(of, of.recipients, NOON) == (dsns.written,)
    assert [(str(report.address), report.cause) for report in dsns.asked[0]] == [
        ("b@example.org", Cause.DELETED),
        ("c@example.org", Cause.DELETED),
    ]
