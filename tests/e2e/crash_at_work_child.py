"""The process that test_crash_at_work kills: one piece of an administrator's work on a spool.

Arguments: the spool's folder, what to do.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mta.adapters.store.damage import set_aside, set_aside_folders
from mta.adapters.store.database import migrations, prepare
from mta.adapters.store.recover import recover
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.queue import QueueFilter


async def change(folder: Path, what: str) -> None:
    spool = await SqliteSpool.open(folder)
    if what == "hold":
        await spool.hold(QueueFilter())
    elif what == "release":
        await spool.release(QueueFilter())
    elif what == "reroute":
        await spool.reroute(QueueFilter(next_hop="a"), lambda _: "c")
    else:
        await spool.delete(QueueFilter(recipient="r0@*"))
    await spool.close()


def main() -> None:
    folder, what = Path(sys.argv[1]), sys.argv[2]
    if what == "set-aside":
        set_aside(folder)
    elif what == "recover":
        recover(folder, set_aside_folders(folder)[0], 0)
    elif what == "migrate":
        last = migrations()[-1][0]
        prepare(folder, [*migrations(), (last + 1, "CREATE TABLE a (x);"), (last + 2, "CREATE TABLE b (x);")])
    else:
        asyncio.run(change(folder, what))


if __name__ == "__main__":
    main()
