"""Every row of the table of errors, caused for real: a whole relay, and Exchange in trouble."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import pytest

from tests.e2e.sentitems.faulty import PASSWORD, Exchanges, account_of, exchanges
from tests.e2e.sentitems.mailboxes import counts, kill_process, process
from tests.servers.wait import wait_until

pytestmark = pytest.mark.timeout(240)
_DAY = 86_400.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchanges]:
    names = ("well", "storm", "gateway", "crowded", "moving", "changing", "refusing", "locked", "status", "fault")
    with exchanges(tmp_path_factory.mktemp("faults"), names) as running:
        yield running


@pytest.fixture(autouse=True)
def healed(site: Exchanges) -> Iterator[None]:
    site.exchange.forget()
    yield
    site.exchange.heal()


# --- servers that want less of us ---


@pytest.mark.parametrize("how_many", [40, pytest.param(200, marks=pytest.mark.long)])
def test_a_storm_of_busy_answers_is_met_with_few_requests_and_then_all_is_done(site: Exchanges, how_many: int) -> None:
    mailboxes = site.mailboxes("storm", 10)
    site.exchange.fail("busy", times=-1, back_off_ms=1000)
    names = [site.send(mailbox) for _ in range(how_many // 10) for mailbox in mailboxes]
    wait_until(lambda: len(site.requests()) >= 3, 60, "a third request")
    asked = site.requests()
    for (_, _, answered_at), (_, again_at, _) in pairwise(asked):
        assert again_at - answered_at >= 1.0
    site.exchange.heal()
    site.clock.forward(61)  # what troubled the server waits for longer than the server itself
    site.until_stamped(*names)
    assert max(site.exchange.counters().most_at_once_by_mailbox.values()) == 1
    assert site.exchange.counters().most_at_once <= 8


@pytest.mark.parametrize("status", [503, pytest.param(429, marks=pytest.mark.long)])
def test_a_gateway_that_has_no_room_is_left_alone_for_as_long_as_it_says(site: Exchanges, status: int) -> None:
    site.exchange.fail("status", status=status, retry_after="2")
    site.until_stamped(site.send(site.mailbox("gateway")))
    first, second, *_ = site.requests()
    assert second[1] - first[2] >= 2.0
    told = [event for event in site.relay.events("mailbox-server-left-alone") if event["server"] == "gateway"]
    assert (told[-1]["reason"], told[-1]["for_s"]) == ("server-busy", 2.0)
    assert told[-1]["detail"].startswith(str(status))


@pytest.mark.long
def test_where_connections_are_too_many_there_are_fewer_and_more_again_later(site: Exchanges) -> None:
    code = "ErrorExceededConnectionCount"
    site.exchange.limit(in_all=4, over_code=code, latency_s=0.1)
    names = [site.send(mailbox) for mailbox in site.mailboxes("crowded", 10)]
    told = site.relay.wait_for_event("mailbox-server-left-alone", server="crowded", reason="server-overloaded")
    assert (told["connections"], told["detail"].partition(":")[0]) == (4, code)
    site.clock.forward(6)
    site.until_stamped(*names)
    site.exchange.forget()
    site.until_stamped(*[site.send(mailbox) for mailbox in site.mailboxes("crowded", 8)])
    assert site.exchange.counters().most_at_once <= 4
    site.exchange.limit(in_all=0)
    for _ in range(4):  # one more after each minute
        site.clock.forward(61)
        site.until_stamped(site.send(site.mailbox("crowded")))
    site.exchange.forget()
    site.until_stamped(*[site.send(mailbox) for mailbox in site.mailboxes("crowded", 12)])
    site.exchange.limit(latency_s=0)
    assert 4 < site.exchange.counters().most_at_once <= 8


# --- mailboxes and items ---


def test_mailboxes_that_are_away_keep_no_others_waiting(site: Exchanges) -> None:
    codes = ("ErrorMailboxMoveInProgress", "ErrorMailboxStoreUnavailable", "ErrorMailboxFailover")
    away = dict(zip(codes, site.mailboxes("moving", 3), strict=True))
    for code, mailbox in away.items():
        site.exchange.change_mailbox(mailbox, unavailable=code)
    waiting = {code: site.send(mailbox) for code, mailbox in away.items()}
    site.until_stamped(site.send(site.mailbox("moving")))
    for code, name in waiting.items():
        told = site.until_told(name, "waiting", "mailbox-unavailable")
        assert told["detail"].startswith(code)
    asked = len(site.requests(*away.values()))
    again = [site.send(mailbox) for mailbox in away.values()]
    site.until_stamped(site.send(site.mailbox("moving")))
    assert len(site.requests(*away.values())) == asked
    for mailbox in away.values():
        site.exchange.change_mailbox(mailbox, unavailable="")
    site.clock.forward(61)
    site.until_stamped(*waiting.values(), *again)


@pytest.mark.parametrize(
    "code", ["ErrorStaleObject", pytest.param("ErrorIrresolvableConflict", marks=pytest.mark.long)]
)
def test_what_was_changed_meanwhile_is_read_again(site: Exchanges, code: str) -> None:
    mailbox = site.mailbox("changing")
    site.exchange.fail("code", operation="DeleteItem", code=code, mailbox=mailbox, times=2)
    site.until_stamped(site.send(mailbox))
    assert [operation for operation, _, _ in site.requests(mailbox)].count("CreateItem") == 1


@pytest.mark.long
def test_what_changes_again_and_again_is_left_for_later(site: Exchanges) -> None:
    mailbox = site.mailbox("changing")
    site.exchange.fail("code", operation="DeleteItem", code="ErrorStaleObject", mailbox=mailbox, times=4)
    name = site.send(mailbox)
    site.until_told(name, "waiting", "conflict")
    site.clock.forward(6)
    site.until_stamped(name)


@pytest.mark.parametrize(
    "code",
    [
        "ErrorMessageSizeExceeded",
        *(
            pytest.param(code, marks=pytest.mark.long)
            for code in ("ErrorMimeContentInvalid", "ErrorInvalidPropertyUpdateSentMessage", "ErrorVirusDetected")
        ),
    ],
)
def test_what_the_server_will_never_take_is_given_up_and_the_original_stays(site: Exchanges, code: str) -> None:
    mailbox = site.mailbox("refusing")
    site.exchange.fail("code", operation="CreateItem", code=code, mailbox=mailbox)
    name = site.send(mailbox)
    told = site.until_told(name, "given-up", "refused")
    assert told["detail"].startswith(code)
    assert site.is_as_it_was(name)


@pytest.mark.long
def test_a_full_mailbox_is_tried_once_a_day_and_three_times(site: Exchanges) -> None:
    mailbox = site.mailbox("refusing")
    site.exchange.fail("code", operation="CreateItem", code="ErrorQuotaExceeded", mailbox=mailbox, times=3)
    name = site.send(mailbox)
    site.until_told(name, "waiting", "quota")
    for tries in (1, 2):
        wait_until(lambda tries=tries: _attempts(site, name) == tries, 60, f"try {tries}")  # type: ignore[misc]
        site.clock.forward(_DAY + 1)
    site.until_told(name, "given-up", "quota")
    assert site.is_as_it_was(name)
    site.relay.cli_here("sentitems", "retry", "--message-id", name)
    site.until_stamped(name)


def _attempts(site: Exchanges, name: str) -> int:
    (job,) = json.loads(site.relay.cli_here("sentitems", "list", "--message-id", name, "--json").stdout)
    return int(job["attempts"])


# --- who may not sign in ---


@pytest.mark.parametrize("how_many", [20, pytest.param(200, marks=pytest.mark.long)])
def test_a_password_that_was_changed_is_tried_three_times_and_the_account_is_not_locked(
    site: Exchanges, how_many: int
) -> None:
    account = account_of("locked")
    site.exchange.change_account(account, password="another")
    names = [site.send(mailbox) for mailbox in site.mailboxes("locked", how_many)]
    for number, wait_s in ((1, 60.0), (2, 300.0)):
        told = wait_until(lambda number=number: _refusals(site)[number - 1 :], 60, f"refusal {number}")  # type: ignore[misc]
        assert told[0]["for_s"] == wait_s
        site.clock.forward(wait_s + 60)  # jobs wait a little longer than the server
    site.relay.wait_for_event("mailbox-server-stopped", server="locked", reason="sign-in")
    site.relay.wait_for_event("alert", key="sent-items-server:locked")
    former = kill_process(site.relay)
    wait_until(lambda: process(site.relay) not in (0, former), 60, "another process")
    site.clock.forward(3600)
    site.until_stamped(site.send(site.mailbox("well")))
    assert site.exchange.counters().wrong_sign_ins[account] == 3
    assert not site.exchange.is_locked(account)
    assert all(site.is_as_it_was(name) for name in names)
    site.exchange.change_account(account, password=PASSWORD)
    site.relay.cli_here("sentitems", "resume", "--server", "locked")
    site.until_stamped(*names)
    site.relay.wait_for_event("alert-over", key="sent-items-server:locked")


def _refusals(site: Exchanges) -> list[dict[str, Any]]:
    events = site.relay.events("mailbox-server-left-alone")
    return [event for event in events if event["server"] == "locked" and event["reason"] == "sign-in"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["status", "fault"])
def test_an_account_without_rights_stops_its_server_alone(site: Exchanges, kind: Literal["status", "fault"]) -> None:
    """403, as a client access rule gives it; and an impersonation that fails altogether."""
    mailbox = site.mailbox(kind)
    site.exchange.fail(kind, times=-1, status=403, code="ErrorImpersonationFailed", mailbox=mailbox)
    name = site.send(mailbox)
    for wait_s in (60, 300):
        site.relay.wait_for_event("mailbox-server-left-alone", server=kind, reason="sign-in", for_s=float(wait_s))
        site.clock.forward(wait_s + 60)  # jobs wait a little longer than the server
    site.relay.wait_for_event("mailbox-server-stopped", server=kind, reason="sign-in")
    site.until_stamped(site.send(site.mailbox("well")))
    assert len(site.requests(mailbox)) == 3
    site.exchange.heal()
    site.relay.cli_here("sentitems", "resume", "--server", kind)
    site.until_stamped(name)


def test_all_is_told_and_nothing_failed(site: Exchanges) -> None:
    ends = {"done", "given-up/refused", "given-up/quota"}  # what is told a moment after it is seen
    wait_until(lambda: {*counts(site.relay)} <= ends, 60, lambda: f"the end of all: {counts(site.relay)}")
