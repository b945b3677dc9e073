"""kill -9 under load: nothing that got a 250 is lost, and every duplicate is of a kind that can be explained.

A message is delivered twice where the process died between the next hop's 250 and the commit of that result (the copy
has the same queue id), or where it died between our commit and our 250, so that the client sent it again (the copies
have different queue ids, RFC 1047). Both are bounded by what was in hand when it died.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import mta
from tests.e2e.test_store_crash import POINTS
from tests.servers.load import Load, simple_message
from tests.servers.processes import is_alive
from tests.servers.relay import Relay
from tests.servers.sink import Arrived, Sink
from tests.servers.wait import wait_until

pytestmark = pytest.mark.timeout(240)
CONNECTIONS = 8
WORKERS = 2
RULES = "rules:\n  - name: all\n    actions: [{stamp: {template: t, place: bottom}}]\n"
ADMINISTRATORS = {
    "before-change", "after-change", "migrated", "setting-aside", "set-aside-one", "recovering", "recovered",
    "erased-some",
}  # fmt: skip
"""Points that mail doesn't pass; test_crash_at_work has them."""
OF_SENT_ITEMS = {"before-job-settle", "after-job-settle", "recovering-jobs"}
"""So are these and all that begin with `sentitem-`; tests/e2e/sentitems has them."""
OF_TRACKING = {
    "before-open-transaction", "after-open-transaction", "before-merge", "after-merge", "before-take", "after-take",
    "before-task-settle", "after-task-settle", "task-done", "message-fetched", "message-taken", "message-moved",
    "recovering-tracking", "answer-begun",
}  # fmt: skip
"""And these, with all that begin with `tracking-`."""
CRASH_POINTS = sorted(
    {
        name
        for path in Path(mta.__file__).parent.rglob("*.py")
        for name in re.findall(
            r'(?:crash_point\(|crash_(?:before|after): ClassVar\[str\] = )"([a-z-]+)"', path.read_text()
        )
        if not name.startswith(("sentitem-", "tracking-"))
    }
    - ADMINISTRATORS
    - OF_SENT_ITEMS
    - OF_TRACKING
)


@dataclass(frozen=True, slots=True)
class Figures:
    acknowledged: int
    lost: int
    redelivered: int
    """Copies beyond the first with one queue id."""
    sent_again: int
    """Messages accepted more than once because the client never saw the first 250."""
    deaths: int

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {self.deaths} deaths: {self.lost} lost, "
            f"{self.redelivered} delivered again, {self.sent_again} sent again by the client"
        )


def _number(arrived: Arrived) -> int:
    match = re.search(rb"^Message-ID: <(\d+)@", arrived.data, re.MULTILINE)
    assert match is not None
    return int(match[1])


def _queue_id(arrived: Arrived) -> str:
    match = re.search(rb"Received: from.*?\bid (\w+)", arrived.data, re.DOTALL)
    assert match is not None
    return match[1].decode()


def _figures(acknowledged: set[int], sink: Sink, deaths: int) -> Figures:
    copies = Counter((_number(a), _queue_id(a)) for a in sink.arrived)
    accepted = Counter(number for number, _ in copies)
    return Figures(
        acknowledged=len(acknowledged),
        lost=len(acknowledged - set(accepted)),
        redelivered=sum(copies.values()) - len(copies),
        sent_again=sum(accepted.values()) - len(accepted),
        deaths=deaths,
    )


@contextmanager
def _relay(folder: Path) -> Iterator[tuple[Relay, Sink]]:
    with Sink() as sink:
        relay = Relay(folder, sink.port, workers=WORKERS)
        relay.write_rules(RULES)
        relay.write_template("t", "<p>STAMPED</p>", "STAMPED\n")
        try:
            yield relay, sink
        finally:
            relay.clean_up()


def _wait_for_all(acknowledged: set[int], sink: Sink) -> None:
    """Until every acknowledged message has come; a loss shows in the figures, not as a time-out."""

    def all_came() -> bool:
        return acknowledged <= {_number(a) for a in list(sink.arrived)}

    try:
        wait_until(all_came, 60, "all acknowledged messages")
    except TimeoutError:
        return


def _message(number: int) -> bytes:
    """Every third is so large that its body stands in a file of its own."""
    return simple_message(number, text=("x" * 70 + "\r\n") * (1200 if number % 3 == 0 else 40))


def _load_while(relay: Relay, numbers: int, disturb: Callable[[Load], None]) -> Load:
    load = Load(relay.port, _message)
    thread = threading.Thread(target=load.run, args=(range(numbers),), kwargs={"connections": CONNECTIONS})
    thread.start()
    try:
        disturb(load)
        thread.join(90)
    finally:
        load.stop()
        thread.join(30)
    return load


def _assert_explained(figures: Figures) -> None:
    assert figures.lost == 0, figures
    assert figures.redelivered <= figures.deaths * 100, figures
    assert figures.sent_again <= figures.deaths * CONNECTIONS, figures


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=pytest.mark.long if point in POINTS else ()) for point in CRASH_POINTS]
)
def test_death_at_a_named_point_loses_nothing(tmp_path: Path, point: str) -> None:
    """Every worker dies at its 15th passage of the point, again and again; then a life without deaths clears up.

    test_store_crash has the store's own points, so that the whole relay need not die at each of them every time.
    """
    with _relay(tmp_path / "relay") as (relay, sink):
        relay.start(STAMPLINE_CRASH_AT=f"{point}:15")

        def until_two_died(load: Load) -> None:
            wait_until(lambda: len(relay.events("worker-died")) >= 2, 60, f"two deaths at {point}")
            load.stop()

        load = _load_while(relay, 500, until_two_died)
        deaths = len(relay.events("worker-died"))
        relay.kill()
        relay.start()
        _wait_for_all(load.acknowledged, sink)
        assert load.acknowledged
        _assert_explained(_figures(load.acknowledged, sink, deaths + WORKERS))


def _kill_at_random(relay: Relay, rng: random.Random, kills: int) -> Callable[[Load], None]:
    """Workers, the supervisor, or everything at once, at random moments."""

    def disturb(load: Load) -> None:
        for number in range(kills):
            goal = len(load.acknowledged) + rng.randint(1, 40)
            wait_until(lambda goal=goal: len(load.acknowledged) >= goal, 60, "progress")  # type: ignore[misc]
            time.sleep(rng.random() / 50)  # not a wait for anything: it spreads the moments of death
            if number % 3 == 2:
                relay.kill()
                relay.start()
            elif number % 3 == 1:
                _replace_supervisor(relay)
            else:
                workers = relay.worker_pids()
                if workers:
                    os.kill(rng.choice(workers), 9)

    return disturb


def _replace_supervisor(relay: Relay) -> None:
    left = relay.kill_supervisor()
    relay.start()
    wait_until(lambda: not any(is_alive(pid) for pid in left), 60, "the end of workers whose supervisor died")


def _random_round(folder: Path, seed: int, kills: int) -> Figures:
    with _relay(folder) as (relay, sink):
        relay.start()
        load = _load_while(relay, kills * 60 + 60, _kill_at_random(relay, random.Random(seed), kills))
        _wait_for_all(load.acknowledged, sink)
        return _figures(load.acknowledged, sink, kills * WORKERS)


def test_deaths_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    figures = _random_round(tmp_path / "relay", 1, 6)
    print(figures)
    assert figures.acknowledged == 6 * 60 + 60
    _assert_explained(figures)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_many_deaths_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    total = Counter[str]()
    for seed in range(10):
        figures = _random_round(tmp_path / str(seed), seed + 100, 9)
        print(f"round {seed + 1}/10: {figures}", flush=True)
        _assert_explained(figures)
        total.update({name: getattr(figures, name) for name in ("acknowledged", "lost", "redelivered", "sent_again")})
    print(f"kill -9, 90 times under load: {dict(total)}", flush=True)
