"""`stampline _worker`: one relay worker; started by the supervisor, never by people (see mta/supervise)."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
import traceback
from collections.abc import Callable
from typing import Any

from mta import events
from mta.cli.command import CommandFailedError, bad_configuration
from mta.cli.companion import add_process_parser, begin_process
from mta.config.problems import ConfigurationError
from mta.supervise.channel import WorkerOrder

SWITCH_INTERVAL_S = 0.0005
"""How long a busy event loop may keep the interpreter from the spool's writer, who needs it a few times in each commit;
with Python's 5 ms, a commit waits for the loop longer than for the disk."""


def add_parser(subparsers: Any) -> None:
    parser = add_process_parser(subparsers, "worker", "One relay worker")
    parser.add_argument("--listen", action="append", default=[], type=_listen, metavar="FD:NAME")
    parser.add_argument("--counts", type=int, default=-1, metavar="FD")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `mta.app.run_worker` on the fastest event loop there is; what keeps it from starting is on standard error."""
    from mta.adapters.store.errors import StoreError
    from mta.app.relay import run_worker

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    begin_process()
    order = WorkerOrder(arguments.slot, dict(arguments.listen), arguments.channel, arguments.config, arguments.counts)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(run_worker(order))
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    except (StoreError, OSError) as exc:
        events.internal_error("worker", error=str(exc), traceback=traceback.format_exc())
        raise CommandFailedError(f"worker {order.slot}: {exc}") from exc
    except Exception as exc:
        events.internal_error("worker", error=repr(exc), traceback=traceback.format_exc())
        raise


def _listen(text: str) -> tuple[str, int]:
    fd, _, name = text.partition(":")
    return name, int(fd)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
