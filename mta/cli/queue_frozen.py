"""`stampline queue freeze`, `thaw`, `frozen`: leave a next hop alone, in every worker, until it is thawed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mta import events
from mta.cli.command import CommandFailedError, ExitCode, print_json, print_table, printable, short_age
from mta.cli.queue_hops import configured_hop
from mta.cli.queue_spool import log_as_relay, read_configuration, wake, who, with_spool
from mta.model.delivery import VERIFIED_TLS
from mta.model.queue import FrozenHop, QueueFilter
from mta.ports.spool import Spool


def add_words(words: Any, add: Callable[..., argparse.ArgumentParser]) -> None:
    freeze = add(
        words, "freeze", "leave a next hop alone: its mail is accepted and waits, also over a restart", run_freeze
    )
    freeze.add_argument("next_hop", metavar="NEXT-HOP", help="as the configuration names it, or NAME/DOMAIN behind an "
        "MX hop; what a rule sends there over verified TLS waits, too")  # fmt: skip
    freeze.add_argument("--reason", type=printable, default="", metavar="TEXT", help="for those who look at it later")
    thaw = add(words, "thaw", "deliver to a frozen next hop again, at once", run_thaw)
    thaw.add_argument("next_hop", metavar="NEXT-HOP", help="as it was frozen")
    add(words, "frozen", "list the next hops that are frozen", run_frozen)


def run_freeze(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    name = str(replace(configured_hop(configuration, arguments.next_hop), over_tls=False))
    hop = FrozenHop(name, datetime.now(UTC).replace(microsecond=0), who(), arguments.reason)

    async def use(spool: Spool) -> tuple[bool, int]:
        return await spool.freeze(hop), (await spool.count(QueueFilter(next_hop=name))).leased

    is_new, leased = with_spool(configuration, use)
    if is_new:
        log_as_relay(configuration)
        events.next_hop_frozen(name, by=hop.by, reason=hop.reason)
    wake(configuration)
    if arguments.json:
        print_json({"frozen": name, "is_new": is_new, "busy": leased})
    else:
        busy = f"; {leased} deliveries are under way and will end" if leased else ""
        print(f"{name} {'is frozen' if is_new else 'was frozen already'}{busy}")
    return ExitCode.OK


def run_thaw(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    name = arguments.next_hop.removesuffix(VERIFIED_TLS)

    async def use(spool: Spool) -> tuple[bool, int]:
        return await spool.thaw(name), (await spool.count(QueueFilter(next_hop=name))).messages

    was_frozen, waiting = with_spool(configuration, use)
    if not was_frozen:
        raise CommandFailedError(f"{name} is not frozen; `stampline queue frozen` lists what is")
    log_as_relay(configuration)
    events.next_hop_thawed(name, by=who())
    wake(configuration)
    if arguments.json:
        print_json({"thawed": name, "waiting": waiting})
    else:
        print(f"{name} is thawed; {waiting} messages wait for it")
    return ExitCode.OK


def run_frozen(arguments: argparse.Namespace) -> int:
    async def use(spool: Spool) -> list[tuple[FrozenHop, int]]:
        hops = await spool.frozen()
        return [(hop, (await spool.count(QueueFilter(next_hop=hop.next_hop))).messages) for hop in hops]

    found = with_spool(read_configuration(arguments), use)
    if arguments.json:
        print_json([{**frozen_to_json(hop), "waiting": waiting} for hop, waiting in found])
    elif found:
        now = datetime.now(UTC)
        rows = [
            (hop.next_hop, short_age((now - hop.since).total_seconds()), hop.by, str(waiting), hop.reason or "-")
            for hop, waiting in found
        ]
        print_table(("NEXT HOP", "SINCE", "BY", "WAITING", "REASON"), rows)
    else:
        print("no next hop is frozen")
    return ExitCode.OK


def frozen_to_json(hop: FrozenHop) -> dict[str, str]:
    """A frozen next hop as JSON values."""
    return {"next_hop": hop.next_hop, "since": hop.since.isoformat(), "by": hop.by, "reason": hop.reason}


def frozen_text(frozen: Sequence[FrozenHop]) -> str:
    """A line that tells of them, "" where there are none."""
    if not frozen:
        return ""
    names = ", ".join(f"{hop.next_hop} (by {hop.by}{f': {hop.reason}' if hop.reason else ''})" for hop in frozen)
    return f"FROZEN, left alone until `queue thaw`: {names}"
