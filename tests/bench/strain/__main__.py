"""`python -m tests.bench.strain`: connections, memory, a dead next hop, large messages, Sent Items, a full mailbox.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.measure import BenchSink, Side, Workload, run_round
from tests.bench.shared_tools import tool_path
from tests.bench.sides import SAMPLE_EVERY, lay_out_relay
from tests.bench.strain import mailbox_servers
from tests.bench.strain import sent_items as sent_item_jobs
from tests.bench.strain import tracking as monitored
from tests.bench.strain.held import held_connections
from tests.servers.postfix import running_postfix
from tests.servers.processes import peak_rss_mb, rss_mb
from tests.servers.relay import Relay
from tests.servers.wait import free_port

OPEN = {"connections": 5000, "connections_per_client": 5000}
DRAIN_S = 900.0


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _relay(folder: Path, sink: BenchSink, arrange: Callable[[Relay], None] = lambda relay: None) -> Iterator[Side]:
    relay, _ = lay_out_relay(folder, sink.port, workers=2)
    relay.settings["listeners"][0]["limits"] = OPEN | {"size": "200MB"}
    arrange(relay)
    relay.write_settings()
    try:
        relay.start()
        yield Side("stampline", relay.port, relay.pid, sink, relay.worker_pids)
    finally:
        relay.clean_up()


@contextmanager
def _sink(folder: Path, port: int | None = None) -> Iterator[BenchSink]:
    sink = BenchSink(folder, SAMPLE_EVERY, port)
    try:
        yield sink
    finally:
        sink.close()


def _load(port: int, messages: int, *arguments: str, timeout_s: float = 1200) -> dict[str, Any]:
    """Send a load; raises RuntimeError where not all was taken."""
    command = [sys.executable, str(tool_path("smtp_load")), "--port", str(port), "-n", str(messages), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout_s)
    result: dict[str, Any] = json.loads(done.stdout)
    if result["accepted"] != messages:
        raise RuntimeError(f"{result['accepted']} of {messages} were taken: {result['first_error']}")
    return result


def _rss(side: Side) -> float:
    """MB of the largest worker."""
    return round(max(rss_mb(pid) for pid in side.workers()), 1)


# --- what is measured ------------------------------------------------------------------------------------------------


def connections(folder: Path, scale: float) -> dict[str, Any]:
    """1,000 open connections with 20 messages a second over them, beside Postfix with as many."""
    count, seconds = int(1000 * scale), 60 * scale
    result: dict[str, Any] = {}
    settings = {"default_process_limit": "1200", "smtpd_client_connection_count_limit": "0"}
    with _sink(folder / "postfix") as sink, running_postfix(sink.port, settings) as postfix:
        result["postfix"] = held_connections(postfix.port, connections=count, per_s=20, seconds=seconds)
    with _sink(folder / "sink") as sink, _relay(folder / "relay", sink) as side:
        before = _rss(side)
        result["stampline"] = held_connections(side.port, connections=count, per_s=20, seconds=seconds)
        result["rss_mb"] = {"before": before, "after": _rss(side)}
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        result[f"ratio_{name}"] = round(result["stampline"][name] / result["postfix"][name], 2)
    return result


def memory(folder: Path, scale: float) -> dict[str, Any]:
    """100,000 messages of 10 kB in ten parts: what a worker holds after each of them."""
    part = int(10_000 * scale)
    with _sink(folder / "sink") as sink, _relay(folder / "relay", sink) as side:
        held, rates = [_rss(side)], []
        for number in range(1, 11):
            workload = Workload("memory", ("--size", "10240"), "alternative", part)
            rates.append(round(run_round(side, workload, 20, timeout_s=600).per_s))
            held.append(_rss(side))
            _log(f"  {number * part} messages: {held[-1]} MB, {rates[-1]}/s")
        peak = round(max(peak_rss_mb(pid) for pid in side.workers()), 1)
    return {"messages": part * 10, "rss_mb": held, "peak_rss_mb": peak, "per_s": rates}


def dead_next_hop(folder: Path, scale: float) -> dict[str, Any]:
    """100,000 messages wait for a dead next hop; what others get through meanwhile, and how long it takes to drain."""
    count, dead_port = int(100_000 * scale), free_port()

    def arrange(relay: Relay) -> None:
        dead = {"name": "dead", "hosts": [{"host": "127.0.0.1", "port": dead_port}], "tls": {"mode": "none"}}
        relay.settings["next_hops"].append(dead)
        relay.settings["routing"]["domains"] = {"dead.example": "dead"}

    live = Workload("live", ("--size", "10240"), "alternative", max(200, int(3000 * scale)))
    with _sink(folder / "sink") as sink, _relay(folder / "relay", sink, arrange) as side:
        run_round(side, live, 20)
        alone = [run_round(side, live, 20).per_s for _ in range(3)]
        began = time.monotonic()
        _load(side.port, count, "-c", "20", "--size", "4096", "--kind", "alternative", "--rcpt", "x@dead.example")
        queued_s = time.monotonic() - began
        beside = [run_round(side, live, 20).per_s for _ in range(3)]
        rss = _rss(side)
        began = time.monotonic()
        with _sink(folder / "revived", dead_port) as revived:
            command = [sys.executable, "-m", "mta", "queue", "retry", "--next-hop", "dead"]
            config = folder / "relay" / "stampline.yaml"
            subprocess.run([*command, "--config", str(config)], check=True, timeout=300, capture_output=True)
            last = revived.wait_for(count, DRAIN_S)
        drained_s = last - began
    return {
        "queued": count, "queued_per_s": round(count / queued_s), "others_alone_per_s": round(sorted(alone)[1]),
        "others_beside_per_s": round(sorted(beside)[1]), "ratio": round(sorted(beside)[1] / sorted(alone)[1], 2),
        "rss_mb": rss, "drained_s": round(drained_s, 1), "drained_per_s": round(count / drained_s),
    }  # fmt: skip


def large(folder: Path, scale: float) -> dict[str, Any]:
    """Messages of 150 MB, four at a time: the most that a worker held."""
    attachment = int(109_500_000 * scale)  # base64 makes 150 MB of it
    with _sink(folder / "sink") as sink, _relay(folder / "relay", sink) as side:
        before = _rss(side)
        began = time.monotonic()
        arguments = ("-c", "4", "--kind", "mixed", "--attachment-bytes", str(attachment), "--pool", "1")
        _load(side.port, 8, *arguments)
        sink.wait_for(8, 300)
        took_s = time.monotonic() - began
        peak = round(max(peak_rss_mb(pid) for pid in side.workers()), 1)
    return {
        "messages": 8, "mb_each": round(attachment * 1.37 / 1e6), "rss_mb_before": before, "peak_rss_mb": peak,
        "took_s": round(took_s, 1), "mb_per_s": round(8 * attachment * 1.37 / 1e6 / took_s),
    }  # fmt: skip


def sent_items(folder: Path, scale: float) -> dict[str, Any]:
    """10,000 Sent Items jobs over 1,000 mailboxes, 8 at a time, at a server that answers after 50 ms."""
    return sent_item_jobs.measure(folder, scale, _log)


def tracking(folder: Path, scale: float) -> dict[str, Any]:
    """10,000 messages that wait in a monitored Maildir, in batches of 500."""
    return monitored.measure(folder, scale, _log)


def mailbox_server(folder: Path, scale: float) -> dict[str, Any]:
    """10,000 messages at a Dovecot by IMAP, 2,000 by POP3, put away in each way."""
    return mailbox_servers.measure(folder, scale, _log)


MEASURES = {
    "connections": connections, "memory": memory, "dead-next-hop": dead_next_hop, "large": large,
    "sent-items": sent_items, "tracking": tracking,
    "mailbox-server": mailbox_server,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.strain", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="what to measure")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of each load, to try it out")
    arguments = parser.parse_args()
    results = {}
    for name in arguments.only:
        _log(f"{name}: {(MEASURES[name].__doc__ or '').splitlines()[0]}")
        with tempfile.TemporaryDirectory(prefix="stampline-bench-") as folder:
            Path(folder).chmod(0o755)
            results[name] = MEASURES[name](Path(folder), arguments.scale)
        _log(f"  {json.dumps(results[name])}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
