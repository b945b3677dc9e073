"""The process above the workers: it holds the listening sockets, keeps workers running, and passes orders on.

Supervisor and worker share one socket pair per worker, JSON lines both ways; `channel` describes it and has the
worker's end. `supervisor` is the loop, `worker_process` one slot, `sockets` the listening sockets, `bypass` the
switch that survives restarts, `notify` the word to systemd.

What a worker is started with: `python -m mta _worker --config FILE --slot K --channel FD --counts FD --listen FD:NAME
…`. `--counts` is the table of `mta.shared_counts`; what a worker counted there is forgotten when it dies. For each
listener of the configuration there is one FD: a bound TCP socket with SO_REUSEPORT that is this slot's own. The worker
calls `listen()` on it (asyncio's `start_server(sock=…)` does) and may close its copy when it drains; the supervisor
keeps another copy, so that connections that wait in the backlog of a dead worker survive until its successor is there.
"""

from mta.supervise.channel import Worker, WorkerChannel, WorkerOrder

__all__ = ["Worker", "WorkerChannel", "WorkerOrder"]
