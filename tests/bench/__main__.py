"""`python -m tests.bench`: the relay against a Postfix on this machine, in turns. The last line is one JSON object."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench.check import check_samples
from tests.bench.measure import Round, Side, Workload, lone_latencies_ms, run_round
from tests.bench.rule_sets import EIGHT, TWENTY
from tests.bench.sides import postfix_side, relay_side
from tests.bench.stages import deciding_share, stage_times
from tests.servers.processes import peak_rss_mb

# Arguments of the shared load generator; sizes as in the published figures: 10 kB, 10 kB, 121 kB.
WORKLOADS = (
    Workload("alt10k", ("--size", "10240"), "alternative", 2000),
    Workload("source10k", ("--size", "10240", "--reconnect"), "plain", 2000),
    Workload("full", ("--size", "10240", "--images", "2", "--image-bytes", "15000"), "full", 800),
)
CONNECTIONS = 20
LONE = 100


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each workload and side")
    parser.add_argument("--messages", type=int, default=0, help="messages a round, in place of each workload's own")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="numbers of workers to measure")
    parser.add_argument("--only", nargs="+", default=[w.name for w in WORKLOADS], help="names of workloads")
    parser.add_argument("--no-postfix", action="store_true", help="the relay alone, for profiling")
    return parser.parse_args()


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _summary(rounds: Sequence[Round]) -> dict[str, float]:
    """Medians."""
    return {
        name: round(statistics.median(getattr(each, name) for each in rounds), 2)
        for name in ("per_s", "cpu_ms", "p50_ms", "p99_ms")
    }


def _measure(sides: Sequence[tuple[Side, Any]], workload: Workload, rounds: int) -> dict[str, dict[str, float]]:
    results: dict[str, list[Round]] = {side.name: [] for side, _ in sides}
    for number in range(rounds + 1):
        for side, dns in sides:
            short = replace(workload, messages=max(200, workload.messages // 10))
            figures = run_round(side, workload if number else short, CONNECTIONS)  # the first one only warms up
            checked = check_samples(workload, side.sink.samples, dns)
            if number:
                results[side.name].append(figures)
                _log(f"  {workload.name} {number}/{rounds} {side.name}: {figures.per_s:.0f}/s, {checked} checked")
    return {name: _summary(figures) for name, figures in results.items()}


def _add_lone(sides: Sequence[tuple[Side, Any]], workload: Workload, result: dict[str, dict[str, float]]) -> None:
    for side, dns in sides:
        latencies = lone_latencies_ms(side, workload, LONE)
        check_samples(workload, side.sink.samples, dns)
        result[side.name]["lone_p50_ms"] = round(statistics.median(latencies), 2)
        result[side.name]["lone_p99_ms"] = round(latencies[int(len(latencies) * 0.99)], 2)


def _with_ratios(result: dict[str, dict[str, float]]) -> dict[str, Any]:
    """`stampline` is the best number of workers by messages/s; `ratio` compares it with Postfix."""
    relays = {name: figures for name, figures in result.items() if name != "postfix"}
    if not relays:
        return dict(result)
    best = max(relays, key=lambda name: relays[name]["per_s"])
    whole: dict[str, Any] = {"stampline": {"workers": int(best.rpartition("-")[2]), **relays[best]}, **result}
    if "postfix" in result:
        whole["ratio"] = round(relays[best]["per_s"] / result["postfix"]["per_s"], 2)
        whole["ratios"] = {
            name: round(figures["per_s"] / result["postfix"]["per_s"], 2) for name, figures in relays.items()
        }
    return whole


def _print_table(results: dict[str, dict[str, dict[str, float]]]) -> None:
    columns = ("per_s", "cpu_ms", "p50_ms", "p99_ms", "lone_p50_ms", "lone_p99_ms", "peak_rss_mb")
    heads = ("to sink/s", "CPU ms", "p50 ms", "p99 ms", "lone p50", "lone p99", "RSS MB")
    print(f"{'workload':<10} {'side':<12} " + " ".join(f"{head:>9}" for head in heads) + f" {'x Postfix':>10}")
    for workload, sides in results.items():
        for name, figures in sides.items():
            cells = " ".join(f"{figures[c]:>9.1f}" if c in figures else f"{'':>9}" for c in columns)
            plain = sides.get("postfix")
            ratio = f"{figures['per_s'] / plain['per_s']:>10.2f}" if plain and name != "postfix" else ""
            print(f"{workload:<10} {name:<12} {cells} {ratio}".rstrip())


def _rules_cost(results: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """What deciding by twenty rules takes of a 10 kB message: of the stages alone, and of the relay's CPU.

    The relay was measured with eight rules; the difference is put in.
    """
    twenty = stage_times("alternative", TWENTY)
    cost = {"decide_us": twenty["decide"], "stages_us": sum(twenty.values()), "share_of_stages": deciding_share(twenty)}
    relays = [figures["cpu_ms"] for name, figures in results.get("alt10k", {}).items() if name != "postfix"]
    if relays:
        cost["relay_us"] = min(relays) * 1000 - stage_times("alternative", EIGHT)["decide"] + twenty["decide"]
        cost["share"] = twenty["decide"] / cost["relay_us"]
    return cost


def _run(arguments: argparse.Namespace, sides: Sequence[tuple[Side, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    results: dict[str, dict[str, dict[str, float]]] = {}
    for standard in WORKLOADS:
        if standard.name in arguments.only:
            workload = replace(standard, messages=arguments.messages or standard.messages)
            result = results[workload.name] = _measure(sides, workload, arguments.rounds)
            _add_lone(sides, workload, result)
            for side, _ in sides:
                if side.workers():
                    result[side.name]["peak_rss_mb"] = round(max(map(peak_rss_mb, side.workers())), 1)
    return results


def main() -> None:
    arguments = _arguments()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stampline-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        sides: list[tuple[Side, Any]] = []
        if not arguments.no_postfix:
            sides.append((stack.enter_context(postfix_side(folder)), None))
        sides += [stack.enter_context(relay_side(folder, workers)) for workers in arguments.workers]
        results = _run(arguments, sides)
    _print_table(results)
    rules = _rules_cost(results)
    print("twenty rules: " + ", ".join(f"{name} {value:.3g}" for name, value in rules.items()))
    _log(f"{time.monotonic() - began:.0f} s in all")
    whole: dict[str, Any] = {name: _with_ratios(result) for name, result in results.items()}
    print(json.dumps({**whole, "twenty_rules": {name: round(value, 3) for name, value in rules.items()}}))


if __name__ == "__main__":
    main()
