"""How many messages a second the spool accepts and settles, and at what cost: `python -m tests.bench.spool_bench`.

Producers accept a message, then settle it as delivered, as the relay's fast path does. Prints one line for each run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import shutil
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import Settlement, State
from tests.spool_samples import sample_message


async def _produce(spool: SqliteSpool, size: int, until: float, waits: list[float]) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    while time.perf_counter() < until:
        message = sample_message(body[:size])
        began = time.perf_counter()
        await spool.accept(message)
        waits.append(time.perf_counter() - began)
        await spool.settle(Settlement(message.queue_id, "default", (), {0: State.DELIVERED}))


async def _run(folder: Path, slot: int, args: argparse.Namespace, results: Connection) -> None:
    spool = await SqliteSpool.open(folder, slot=slot, inline_up_to=args.inline_up_to)
    waits: list[float] = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    until = began + args.seconds
    busy = asyncio.create_task(_busy_loop(until, args.busy_us / 1e6)) if args.busy_us else None
    await asyncio.gather(*(_produce(spool, args.size, until, waits) for _ in range(args.producers)))
    if busy is not None:
        await busy
    elapsed = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    await spool.close()
    waits.sort()
    results.send((len(waits) / elapsed, cpu / len(waits), waits[len(waits) // 2], waits[int(len(waits) * 0.99)]))


async def _busy_loop(until: float, burst_s: float) -> None:
    """Keep the event loop's thread busy in Python, as a loaded relay does, in bursts of `burst_s`."""
    while time.perf_counter() < until:
        end = time.perf_counter() + burst_s
        while time.perf_counter() < end:
            sum(range(100))
        await asyncio.sleep(0)


def _process(folder: Path, slot: int, args: argparse.Namespace, results: Connection) -> None:
    sys.setswitchinterval(args.switch_us / 1e6)
    uvloop.run(_run(folder, slot, args, results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="octets of a body")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--producers", type=int, default=20, help="in each process")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--inline-up-to", type=int, default=128_000)
    parser.add_argument("--busy-us", type=float, default=0, help="keep the event loop busy in bursts of this length")
    parser.add_argument("--switch-us", type=float, default=5000, help="how long a thread may keep the interpreter")
    parser.add_argument("--folder", type=Path, default=None, help="where to make the spool (default: a temporary one)")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    context = multiprocessing.get_context("spawn")
    pipes = []
    for slot in range(args.processes):
        ours, theirs = context.Pipe(duplex=False)
        context.Process(target=_process, args=(folder, slot, args, theirs)).start()
        pipes.append(ours)
    runs = [pipe.recv() for pipe in pipes]
    for child in multiprocessing.active_children():
        child.join()
    figures = {
        "per_s": round(sum(run[0] for run in runs)),
        "shares": [round(run[0]) for run in runs],
        "cpu_us": round(statistics.mean(run[1] for run in runs) * 1e6),
        "p50_ms": round(statistics.mean(run[2] for run in runs) * 1e3, 1),
        "p99_ms": round(max(run[3] for run in runs) * 1e3, 1),
        "wal_mb": round(max((f.stat().st_size for f in folder.glob("*-wal")), default=0) / 1e6, 1),
    }
    print(
        json.dumps(
            {"size": args.size, "processes": args.processes, "inline": args.size <= args.inline_up_to, **figures}
        )
    )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
