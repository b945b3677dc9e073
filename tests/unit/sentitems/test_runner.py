"""What is due is tried: which of it, how much at a time, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from mta.adapters.directory.open import open_directory
from mta.config.mailbox_schema import MailboxServer
from mta.config.schema import Configuration
from mta.model.reply import STORAGE_FULL, TemporaryError
from mta.model.sentitem import EndpointNotes, JobFilter, JobKind, JobState, SentItemJob, Switch
from mta.model.writeback import FiledMark, NewMark
from mta.ports import mailbox as port
from mta.ports.mailbox import SentItems
from mta.ports.sentitem_jobs import SentItemJobs
from mta.sentitems.branch import branches_of
from mta.sentitems.runner import Runner
from tests.contract.sentitem_jobs import WAIT, Mail, jobs, mail, open_jobs
from tests.contract.spools import SettableClock, clock, open_spool, spool
from tests.unit.sentitems.scripted_server import ScriptedServer, look_only

__all__ = ["clock", "jobs", "mail", "open_jobs", "open_spool", "spool"]


@dataclass
class QuietWatch:
    """A clock watch; the clock leaps as tests say."""

    leap: timedelta = timedelta(0)
    is_in_doubt: bool = False

    def look(self) -> timedelta:
        leap, self.leap = self.leap, timedelta(0)
        return leap


def _tracking(audience: str) -> dict[str, Any]:
    return {
        "keys": [{"env": "KEY"}], "modules": [{"name": "ticket"}], "rules": "rules",
        "write_back": {"audience": {"addresses": [audience]}},
    }  # fmt: skip


@dataclass
class Bench:
    jobs: SentItemJobs
    mail: Mail
    clock: SettableClock
    folder: Path
    servers: dict[str, ScriptedServer] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    people: str = "people: []"
    watch: QuietWatch = field(default_factory=QuietWatch)

    def __post_init__(self) -> None:
        self.runner = Runner(self.jobs, look_only, self.clock, self.watch)

    @property
    def server(self) -> ScriptedServer:
        return self.servers["local"]

    def equip(self, *servers: dict[str, Any], audience: str = "", **settings: Any) -> None:
        """Servers by name; those that tests haven't made are made. `audience`: whose filed messages are marked."""
        (self.folder / "people.yaml").write_text(self.people)
        written = [
            {"kind": "maildir", "folder": "/mail/{local}", **server} for server in servers or ({"name": "local"},)
        ]
        for server in written:
            self.servers.setdefault(server["name"], ScriptedServer(server["name"]))
        configuration = Configuration.model_validate(
            {
                "hostname": "relay.example.com",
                "listeners": [{"name": "in", "port": 25, "role": "inbound"}],
                "organisation": {
                    "accepted_domains": ["example.com"], "rules": "rules", "templates": "templates",
                    "directory": {"file": str(self.folder / "people.yaml")}, "mark": {"keys": [{"file": "mark.key"}]},
                    "sent_items": {"servers": written, **settings},
                    **({"tracking": _tracking(audience)} if audience else {}),
                },
                "next_hops": [{"name": "out", "kind": "smtp", "hosts": [{"host": "mail.example.com"}]}],
                "routing": {"default": "out"}, "spool": {"folder": "spool"}, "logs": {"folder": "log"},
                "control": {"socket": "control.sock"},
            }
        )  # fmt: skip
        self.runner.equip(
            branches_of(
                configuration, self.runner.branches, open_directory=open_directory, open_server=self._open,
                clock=self.clock,
            )
        )  # fmt: skip

    def _open(self, settings: MailboxServer) -> SentItems:
        self.opened.append(settings.name)
        return cast("SentItems", self.servers[settings.name])

    async def send(self, *mailboxes: str) -> None:
        for number, mailbox in enumerate(mailboxes):
            await self.mail.send(f"<{mailbox}.{number}@example.com>", mailbox=mailbox)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.001)

    async def turn(self, after: timedelta = WAIT) -> None:
        """Look once, so much later, and wait for what that began."""
        self.clock.pass_(after)
        await self.runner.look()
        await self.until(lambda: not self.runner.report()["in_hand"])

    async def turns(self, number: int) -> None:
        for _ in range(number):
            await self.turn(timedelta(seconds=1))

    async def one(self) -> SentItemJob:
        (job,) = await self.jobs.entries(JobFilter())
        return job

    async def how(self) -> dict[str, str]:
        """By mailbox: state and reason."""
        found = await self.jobs.entries(JobFilter())
        return {job.mailbox: f"{job.state.value} {job.reason}".strip() for job in found}


@pytest.fixture
def bench(jobs: SentItemJobs, mail: Mail, clock: SettableClock, tmp_path: Path) -> Bench:
    return Bench(jobs, mail, clock, tmp_path)


async def test_a_due_job_is_done_and_where_its_mailbox_is_is_remembered(bench: Bench) -> None:
    bench.equip()
    await bench.send("jane@example.com")
    await bench.runner.look()
    assert bench.server.asked == []  # siblings still gather
    await bench.turn()
    assert await bench.how() == {"jane@example.com": "done"}
    assert (await bench.one()).endpoint == "local"
    notes = (await bench.jobs.mailbox_notes({"jane@example.com"}))["jane@example.com"]
    assert (notes.endpoint, notes.primary) == ("local", "jane@example.com")
    await bench.mail.send("<second@example.com>")
    await bench.turn()
    assert [what for what, _ in bench.server.asked] == ["primary", "find", "find"]


async def test_as_many_at_a_time_as_there_are_connections_and_one_of_each_mailbox(bench: Bench) -> None:
    bench.equip({"name": "local", "connections": 3})
    await bench.send(*(f"m{n % 6}@example.com" for n in range(18)))
    bench.clock.pass_(WAIT)
    bench.server.gate.clear()
    running = asyncio.create_task(bench.runner.run())
    await bench.until(lambda: bench.server.now.total() == 3)
    bench.server.gate.set()
    await bench.until(lambda: len(bench.server.asked) == 24)  # 18 jobs, 6 mailboxes
    await bench.runner.drain(10)
    await running
    assert bench.server.most == 3
    assert bench.server.most_of_one == 1


async def test_two_addresses_of_one_mailbox_are_not_worked_on_at_a_time(bench: Bench) -> None:
    bench.equip()
    bench.server.primaries = {"j.doe@example.com": "jane@example.com"}
    await bench.send("john@example.com")
    await bench.turn()
    await bench.send("jane@example.com", "j.doe@example.com")
    bench.server.gate.clear()
    bench.clock.pass_(WAIT)
    await bench.runner.look()
    await bench.until(lambda: len(bench.server.asked) == 5)
    assert bench.server.now.total() == 1
    bench.server.gate.set()
    await bench.until(lambda: not bench.runner.report()["in_hand"])
    assert bench.server.most_of_one == 1
    assert set((await bench.how()).values()) == {"done"}


async def test_a_busy_server_is_not_asked_until_its_time_and_no_job_is_lost(bench: Bench) -> None:
    bench.equip()
    await bench.send("a@example.com", "b@example.com", "c@example.com")
    bench.server.trouble = port.EndpointBusyError("ErrorServerBusy", retry_after=timedelta(seconds=100))
    await bench.turn()
    asked = len(bench.server.asked)
    await bench.turns(20)
    assert len(bench.server.asked) == asked == 1
    assert (await bench.jobs.endpoint_notes())["local"].reason == "server-busy"
    bench.server.trouble = None
    await bench.turn(timedelta(seconds=100))
    await bench.turns(20)
    assert set((await bench.how()).values()) == {"done"}
    assert (await bench.jobs.endpoint_notes())["local"] == EndpointNotes("local", settings=_digest(bench))


def _digest(bench: Bench) -> str:
    return bench.runner.branches["default"].endpoints["local"].digest


async def test_what_is_in_hand_when_a_server_becomes_busy_counts_once_and_asks_no_more(bench: Bench) -> None:
    bench.equip({"name": "local", "connections": 4})
    await bench.send("first@example.com")
    await bench.turn()
    await bench.send(*(f"m{n}@example.com" for n in range(6)))
    bench.server.gate.clear()
    bench.clock.pass_(WAIT)
    await bench.runner.look()
    await bench.until(lambda: bench.server.now.total() == 4)
    bench.server.trouble = port.EndpointBusyError("ErrorServerBusy")
    asked = len(bench.server.asked)
    bench.server.gate.set()
    await bench.until(lambda: not bench.runner.report()["in_hand"])
    notes = (await bench.jobs.endpoint_notes())["local"]
    assert notes.failures == 1
    assert notes.resume_at == bench.clock.now() + timedelta(seconds=60)
    assert len(bench.server.asked) == asked


async def test_three_sign_ins_and_no_more_until_somebody_has_it_resume(bench: Bench) -> None:
    bench.equip()
    await bench.send(*(f"m{n}@example.com" for n in range(8)))
    bench.server.trouble = port.SignInError("401", "Unauthorized")
    for _ in range(30):
        await bench.turn(timedelta(minutes=10))
    assert len(bench.server.asked) == 3
    assert bench.runner.report()["stopped_servers"] == {"local": {"reason": "sign-in", "detail": "401: Unauthorized"}}
    assert (await bench.jobs.endpoint_notes())["local"].is_stopped
    bench.server.trouble = None
    await bench.jobs.note_endpoint(EndpointNotes("local"))
    await bench.turn(timedelta(days=1))
    await bench.turns(12)
    assert set((await bench.how()).values()) == {"done"}
    assert len(bench.opened) == 4  # each time with the password as it is then
    assert bench.server.is_closed


async def test_resumed_means_at_once_for_who_was_refused_again_and_again_too(bench: Bench) -> None:
    bench.equip()
    await bench.send("jane@example.com")
    bench.server.trouble = port.SignInError("401", "Unauthorized")
    for _ in range(3):
        await bench.turn(timedelta(minutes=10))
    assert (await bench.jobs.endpoint_notes())["local"].is_stopped
    bench.server.trouble = None
    await bench.jobs.note_endpoint(EndpointNotes("local"))
    await bench.turns(2)
    assert await bench.how() == {"jane@example.com": "done"}


async def test_what_is_leased_while_the_process_ends_is_given_back(bench: Bench) -> None:
    bench.equip()
    await bench.send("jane@example.com")
    bench.clock.pass_(WAIT)
    looking = asyncio.create_task(bench.runner.look())
    await asyncio.sleep(0)  # it asks the store now
    assert await bench.runner.drain(10) == 0
    assert await looking == 0
    assert not (await bench.one()).is_leased
    assert bench.server.asked == []


async def test_a_server_whose_turn_comes_after_a_reload_is_closed_all_the_same(bench: Bench) -> None:
    bench.equip()
    (branch,) = bench.runner.branches.values()
    endpoint = branch.endpoints["local"]
    await endpoint.close()
    async with endpoint.turn() as turn:
        await turn.server.find("jane@example.com", "<1@example.com>", "job")
        assert not bench.server.is_closed
    assert bench.server.is_closed


async def test_what_has_ended_is_remembered_for_as_long_as_configured(bench: Bench) -> None:
    bench.equip(keep="1h")
    await bench.send("jane@example.com")
    await bench.turn()
    for after, left in ((timedelta(minutes=59), 1), (timedelta(minutes=2), 0)):
        bench.runner = Runner(bench.jobs, look_only, bench.clock, bench.watch)
        bench.equip(keep="1h")
        await bench.turn(after)
        assert len(await bench.jobs.entries(JobFilter())) == left


async def test_one_mailbox_that_is_refused_as_if_it_were_the_account_stops_no_server(bench: Bench) -> None:
    """As IMAP servers do it; also where nobody else's mailbox was opened since the start."""
    bench.equip()
    await bench.send("jane@example.com")
    await bench.turn()
    bench.runner = Runner(bench.jobs, look_only, bench.clock, bench.watch)
    bench.equip()
    strangers = ("scanner@example.com", "printer@example.com", "lift@example.com")
    bench.server.troubles = dict.fromkeys(strangers, port.SignInError("NO", "Authentication failed"))
    await bench.send(*strangers)
    for _ in range(8):
        await bench.turn(timedelta(minutes=10))
    assert bench.runner.report()["stopped_servers"] == {}
    assert await bench.how() == {"jane@example.com": "done", **dict.fromkeys(strangers, "skipped access-denied")}


async def test_a_wrong_password_is_told_from_a_mailbox_in_three_tries_too(bench: Bench) -> None:
    bench.equip()
    await bench.send("jane@example.com")
    await bench.turn()
    bench.runner = Runner(bench.jobs, look_only, bench.clock, bench.watch)
    bench.equip()
    before = len(bench.server.asked)
    bench.server.trouble = port.SignInError("NO", "Authentication failed")
    await bench.send("scanner@example.com", "printer@example.com")
    for _ in range(8):
        await bench.turn(timedelta(minutes=10))
    assert len(bench.server.asked) - before == 3
    assert list(bench.runner.report()["stopped_servers"]) == ["local"]


async def test_another_configuration_has_a_stopped_server_tried_again_and_a_restart_does_not(bench: Bench) -> None:
    bench.equip()
    await bench.send("jane@example.com")
    bench.server.trouble = port.TlsFailedError("certificate", "self-signed")
    await bench.turn()
    bench.server.trouble = None
    bench.runner = Runner(bench.jobs, look_only, bench.clock, bench.watch)
    bench.equip()
    await bench.turns(3)
    assert await bench.how() == {"jane@example.com": "waiting tls-failed"}
    bench.equip({"name": "local", "connections": 2})
    await bench.turns(3)
    assert await bench.how() == {"jane@example.com": "done"}


async def test_an_overloaded_server_gets_fewer_at_a_time_and_slowly_more(bench: Bench) -> None:
    bench.equip({"name": "local", "connections": 8})
    await bench.send("a@example.com")
    await bench.turn()
    bench.server.trouble = port.EndpointOverloadedError("ErrorExceededConnectionCount")
    await bench.send("b@example.com")
    await bench.turn()
    endpoint = bench.runner.branches["default"].endpoints["local"]
    assert endpoint.notes.connections == 4
    bench.server.trouble = None
    await bench.turn(timedelta(minutes=2))
    assert endpoint.limit == 5
    await bench.send("c@example.com")
    await bench.turn(timedelta(minutes=2))
    assert endpoint.limit == 6


async def test_one_servers_trouble_keeps_no_other_from_its_jobs(bench: Bench) -> None:
    bench.equip({"name": "local"}, {"name": "other", "serves": {"addresses": ["o*@example.com"]}})
    bench.servers["other"].trouble = port.EndpointDownError("refused")
    await bench.send("one@example.com", "other@example.com", "jane@example.com", "john@example.com")
    await bench.turn()
    await bench.turns(4)
    how = await bench.how()
    assert (how["jane@example.com"], how["john@example.com"]) == ("done", "done")
    assert how["one@example.com"] == "waiting server-down"


async def test_a_mailbox_that_moved_is_found_on_the_other_server(bench: Bench) -> None:
    bench.equip({"name": "local"}, {"name": "other", "serves": {"groups": ["cloud"]}})
    bench.servers["other"].residents = frozenset()
    await bench.send("jane@example.com")
    await bench.turn()
    bench.server.residents, bench.servers["other"].residents = frozenset(), None
    await bench.mail.send("<second@example.com>")
    await bench.turn()
    assert {job.endpoint for job in await bench.jobs.entries(JobFilter())} == {"local", "other"}
    assert set((await bench.how()).values()) == {"done"}
    notes = (await bench.jobs.mailbox_notes({"jane@example.com"}))["jane@example.com"]
    assert notes.endpoint == "other"


async def test_a_mailbox_that_is_nowhere_is_asked_for_once_an_hour(bench: Bench) -> None:
    bench.equip({"name": "local"}, {"name": "other", "serves": {"groups": ["cloud"]}})
    for server in bench.servers.values():
        server.residents = frozenset()
    for number in range(3):
        await bench.mail.send(f"<{number}@example.com>", mailbox="printer@example.com")
        await bench.turn()
    assert await bench.how() == {"printer@example.com": "skipped no-mailbox"}
    assert [len(server.asked) for server in bench.servers.values()] == [1, 1]
    await bench.mail.send("<later@example.com>", mailbox="printer@example.com")
    await bench.turn(timedelta(hours=2))
    assert [len(server.asked) for server in bench.servers.values()] == [2, 2]


async def test_a_server_that_can_not_be_asked_may_have_the_mailbox(bench: Bench) -> None:
    bench.equip({"name": "local"}, {"name": "other", "serves": {"groups": ["cloud"]}})
    bench.server.residents = frozenset()
    bench.servers["other"].trouble = port.EndpointDownError("refused")
    await bench.send("jane@example.com")
    await bench.turn()
    assert await bench.how() == {"jane@example.com": "waiting server-down"}
    bench.servers["other"].trouble = None
    await bench.turn()
    assert (await bench.one()).endpoint == "other"


async def test_a_denied_mailbox_is_asked_for_once_an_hour_and_others_are_worked_on(bench: Bench) -> None:
    bench.equip()
    bench.server.troubles = {"boss@example.com": port.AccessDeniedError("ErrorImpersonateUserDenied")}
    for number in range(3):
        await bench.mail.send(f"<{number}@example.com>", mailbox="boss@example.com")
        await bench.mail.send(f"<j{number}@example.com>")
        await bench.turn()
        await bench.turn()
    assert await bench.how() == {"boss@example.com": "skipped access-denied", "jane@example.com": "done"}
    assert [mailbox for _, mailbox in bench.server.asked].count("boss@example.com") == 1


async def test_who_is_out_of_scope_and_what_is_no_mailbox_asks_no_server(bench: Bench) -> None:
    bench.people = """
people: [{address: jane@example.com}]
groups: [{name: Sales, address: sales@example.com}]
"""
    bench.equip(senders={"all_but": {"addresses": ["jane@*"]}})
    await bench.send("jane@example.com", "sales@example.com")
    await bench.turn()
    assert await bench.how() == {"jane@example.com": "skipped out-of-scope", "sales@example.com": "skipped group"}
    assert bench.server.asked == []


async def test_a_fault_of_ours_is_that_jobs_alone(bench: Bench) -> None:
    bench.equip()
    await bench.send("a@example.com", "b@example.com")
    bench.server.troubles = {"a@example.com": cast("port.MailboxError", ValueError("private text"))}
    await bench.turn()
    await bench.turns(2)
    assert await bench.how() == {"a@example.com": "waiting internal-error", "b@example.com": "done"}
    assert "private" not in (await bench.jobs.entries(JobFilter(mailbox="a@*")))[0].detail


async def test_a_server_that_can_not_even_be_opened_is_as_one_that_is_down(bench: Bench) -> None:
    bench.equip()
    opened, bench.servers = bench.servers, {}
    await bench.send("jane@example.com")
    await bench.turn()
    assert await bench.how() == {"jane@example.com": "waiting server-down"}
    assert (await bench.jobs.endpoint_notes())["local"].detail == "not-opened: 'local'"
    bench.servers = opened
    await bench.turn()
    assert await bench.how() == {"jane@example.com": "done"}


async def test_nothing_is_taken_while_it_is_paused(bench: Bench) -> None:
    bench.equip()
    await bench.send("jane@example.com")
    await bench.jobs.set_switch(Switch.PAUSED, by_whom="test", at=bench.clock.now())
    await bench.turn()
    assert bench.runner.report()["sent_items_switch"] == "paused"
    await bench.jobs.set_switch(Switch.ON, by_whom="test", at=bench.clock.now())
    assert bench.server.asked == []
    await bench.turn()
    assert await bench.how() == {"jane@example.com": "done"}


async def test_what_is_in_hand_when_it_has_to_end_is_finished_or_left_to_the_next_process(bench: Bench) -> None:
    bench.equip()
    await bench.send("jane@example.com")
    bench.server.gate.clear()
    running = asyncio.create_task(bench.runner.run())
    bench.clock.pass_(WAIT)
    bench.runner.wake()
    await bench.until(lambda: bench.server.now.total())
    assert await bench.runner.drain(0) == 1
    await running
    job = await bench.one()
    assert (job.state, job.reason, job.is_leased) == (JobState.WAITING, "interrupted", False)


async def test_a_result_is_kept_until_the_store_takes_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta.sentitems.runner.STORE_AGAIN_S", (0.0, 0.0))
    bench.runner = Runner(cast("SentItemJobs", _FullStore(bench.jobs, 3)), look_only, bench.clock, bench.watch)
    bench.equip()
    await bench.send("jane@example.com")
    await bench.turn()
    assert await bench.how() == {"jane@example.com": "done"}
    assert [what for what, _ in bench.server.asked] == ["primary", "find"]


class _FullStore:
    """A store whose disk is full for a while."""

    def __init__(self, jobs: SentItemJobs, times: int) -> None:
        self._jobs = jobs
        self._times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def settle(self, outcome: Any) -> JobState:
        self._times -= 1
        if self._times >= 0:
            raise TemporaryError(STORAGE_FULL)
        return await self._jobs.settle(outcome)


async def test_after_a_clock_set_back_what_waits_is_tried_at_once(bench: Bench) -> None:
    bench.equip()
    bench.server.trouble = port.EndpointBusyError("429", retry_after=timedelta(minutes=30))
    await bench.send("jane@example.com")
    await bench.turn()
    bench.server.trouble = None
    bench.watch.leap = -timedelta(days=30)
    await bench.turn(-timedelta(days=30))
    await bench.turn(timedelta(seconds=1))
    assert await bench.how() == {"jane@example.com": "done"}


async def test_jobs_of_an_organisation_that_takes_no_part_any_more_are_ended(bench: Bench) -> None:
    bench.equip()
    branch = bench.runner.branches["default"]
    bench.runner.equip({"another": replace(branch)})
    await bench.send("jane@example.com")
    await bench.turn()
    assert await bench.how() == {"jane@example.com": "skipped not-configured"}


async def test_a_server_that_is_configured_no_more_is_closed(bench: Bench) -> None:
    bench.equip()
    await bench.send("jane@example.com")
    await bench.turn()
    bench.equip({"name": "other"})
    await bench.turn()
    assert bench.server.is_closed
    assert not bench.servers["other"].is_closed


async def test_what_ended_long_ago_is_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta.sentitems.runner.FORGET_EVERY_S", 0.0)
    bench.equip()
    await bench.send("jane@example.com")
    await bench.turn()
    assert await bench.how() == {"jane@example.com": "done"}
    await bench.turn(timedelta(days=8))
    assert await bench.how() == {}


# --- marks ------------------------------------------------------------------------------------------------------------

MARK = FiledMark("Filed", "https://desk.example.com/7", "", {}, "ticket-7")


async def _add_mark(bench: Bench, message_id: str, mailbox: str = "jane@example.com") -> None:
    now = bench.clock.now()
    await bench.jobs.add_marks([NewMark(mailbox, "default", message_id, MARK, now, now)])


async def _marks(bench: Bench) -> dict[str, str]:
    found = await bench.jobs.entries(JobFilter(kind=JobKind.MARK))
    return {job.mailbox: f"{job.state.value} {job.reason}".strip() for job in found}


async def test_a_mark_waits_for_its_mailboxs_own_copy_whatever_address_that_went_by(bench: Bench) -> None:
    """Or it would be lost with the item that is replaced, or have it look edited."""
    bench.people = "people: [{address: jane@example.com, aliases: [j.doe@example.com]}]"
    bench.equip(audience="*@example.com")
    await bench.mail.send("<a1@example.com>", mailbox="j.doe@example.com")
    for mailbox in ("jane@example.com", "bob@example.com"):
        await _add_mark(bench, "<a1@example.com>", mailbox)
    await bench.turn(timedelta(0))
    assert await _marks(bench) == {"jane@example.com": "waiting after-copy", "bob@example.com": "done"}
    await bench.turn()
    await bench.turns(60)
    assert await _marks(bench) == {"jane@example.com": "done", "bob@example.com": "done"}
    asked = [what for what, mailbox in bench.server.asked if mailbox in ("jane@example.com", "j.doe@example.com")]
    assert asked.index("find") < asked.index("find_filed")


async def test_who_left_the_audience_gets_no_mark(bench: Bench) -> None:
    bench.equip(audience="ann@example.com")
    await _add_mark(bench, "<a1@example.com>")
    await bench.turn()
    bench.equip()
    await _add_mark(bench, "<a1@example.com>", "ann@example.com")
    await bench.turn()
    assert await _marks(bench) == {
        "jane@example.com": "skipped out-of-scope", "ann@example.com": "skipped not-configured"
    }  # fmt: skip
    assert bench.server.asked == []


@pytest.mark.parametrize(
    ("trouble", "how"),
    [
        (port.AccessDeniedError("ErrorAccessDenied"), "skipped access-denied"),
        (port.NoMailboxError("ErrorNonExistentMailbox"), "skipped no-mailbox"),
        (port.EndpointBusyError("429"), "waiting server-busy"),
        (port.MailboxUnavailableError("ErrorMailboxMoveInProgress"), "waiting mailbox-unavailable"),
    ],
)
async def test_what_is_wrong_with_server_or_mailbox_holds_marks_too(
    bench: Bench, trouble: port.MailboxError, how: str
) -> None:
    bench.servers["local"] = ScriptedServer("local", trouble=trouble)
    bench.equip(audience="*")
    await _add_mark(bench, "<a1@example.com>")
    await bench.turn()
    assert await _marks(bench) == {"jane@example.com": how}
