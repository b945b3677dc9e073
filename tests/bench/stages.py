"""Where a message's time goes inside the relay: `python -m tests.bench.stages [KIND] [RULES]`.

Runs the pipeline's stages in this process, one message after the other, without sockets, store and next hop. The
figures are the fastest of several rounds, in µs of wall clock; run it on a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mta import events
from mta.app.relay import read_snapshot, rulebook
from mta.log_sinks import sinks_from
from mta.message.edit import apply
from mta.model.address import parse_address
from mta.model.delivery import AcceptedMessage, Body
from mta.model.envelope import Client, Envelope, ListenerRole
from mta.model.queue_id import new_queue_id
from mta.ports.clock import SystemClock
from mta.ports.spool import Spool
from mta.relay import departure
from mta.relay.arrival import Arrival
from mta.relay.deliver.next_hops import NextHops
from mta.relay.departure import Departure
from mta.relay.equipment import Equipment, InHand, Rulebook
from mta.relay.pipeline import BEFORE_THE_REPLY
from tests.bench.rule_sets import RULE_SETS
from tests.bench.shared_tools import load_tool
from tests.bench.sides import lay_out_relay

AFTER_THE_REPLY = (departure.open_message, departure.split, departure.stamp, departure.sign)
ROUNDS = 5
MESSAGES = 300


class _NoSpool:
    """Takes every message and keeps none; the other verbs of the port are not called here."""

    async def accept(self, _message: AcceptedMessage) -> frozenset[str]:
        return frozenset()


def _equipment(rules: Rulebook) -> Equipment:
    def no_transport(_hop: object) -> Any:
        raise LookupError("nothing is delivered here")

    return Equipment(
        hostname="relay.example.com",
        rulebook=rules,
        spool=cast("Spool", _NoSpool()),
        next_hops=NextHops(no_transport),
        clock=SystemClock(),
        in_hand=InHand(64_000_000),
    )


class _Stopwatch:
    def __init__(self) -> None:
        self.ns: dict[str, int] = {}

    async def time(self, name: str, work: Awaitable[Any]) -> Any:
        began = time.perf_counter_ns()
        result = await work
        self.ns[name] = self.ns.get(name, 0) + time.perf_counter_ns() - began
        return result


async def _one_round(equipment: Equipment, messages: Sequence[bytes]) -> dict[str, int]:
    watch = _Stopwatch()
    client = Client("127.0.0.1", 1, "load.example.com", "exchange", ListenerRole.TRUSTED)
    envelope = Envelope(parse_address("sender@example.com"), (parse_address("rcpt@example.net"),))
    for number in range(MESSAGES):
        content, rules = messages[number % len(messages)], equipment.rulebook
        arrived = Arrival(
            client, envelope, Body.of(content), rules, new_queue_id(), equipment.clock.now(), content,
            rules.snapshot.books[0],
        )  # fmt: skip
        for before in BEFORE_THE_REPLY:
            reply = await watch.time(before.__name__, before(equipment, arrived))
            assert reply is None, reply
        out = Departure(
            arrived.deliveries, rules, arrived.data, arrived.parsed, arrived.classification, arrived.people
        )  # fmt: skip
        for after in AFTER_THE_REPLY:
            await watch.time(after.__name__, after(equipment, out))
        began = time.perf_counter_ns()
        b"".join(apply(out.data, out.edits[0]))
        watch.ns["join"] = watch.ns.get("join", 0) + time.perf_counter_ns() - began
    return watch.ns


def stage_times(kind: str, rules: str) -> dict[str, float]:
    """The fastest round's µs a message, by stage."""
    build = load_tool("smtp_load").build_message
    parts = [build(kind, 10240, 50_000, 2, 15_000, "sender@example.com", ["rcpt@example.net"], n) for n in range(16)]
    messages = [
        head + b"Message-ID: <%d@load.example.com>\r\n" % n + tail for n, (head, tail) in enumerate(parts)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="stampline-stages-") as name:
        relay, _ = lay_out_relay(Path(name) / "relay", 25, workers=1, rules=rules)
        snapshot = read_snapshot(relay.configuration)
        events.configure(sinks_from(snapshot.configuration.logs, "relay"))
        equipment = _equipment(rulebook(snapshot))
        rounds = [asyncio.run(_one_round(equipment, messages)) for _ in range(ROUNDS)]
        relay.clean_up()
    return {stage: min(each[stage] for each in rounds) / MESSAGES / 1000 for stage in rounds[0]}


def deciding_share(times: Mapping[str, float]) -> float:
    """What part of the stages' time goes into deciding; of the whole way, with sockets and store, it is less."""
    return times["decide"] / sum(times.values())


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "alternative"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    times = stage_times(kind, RULE_SETS[count])
    for stage, us in times.items():
        print(f"{stage:<14} {us:7.0f} µs")
    print(f"{'all':<14} {sum(times.values()):7.0f} µs; deciding by {count} rules is {deciding_share(times):.1%} of it")


if __name__ == "__main__":
    main()
