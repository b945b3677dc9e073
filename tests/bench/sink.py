"""The shared sink as a process that can be asked: `python -m tests.bench.sink PORT FOLDER EVERY`.

It writes every EVERYth message to FOLDER. On standard input it takes `reset`, which sets its counters to nought, and
`report`, which it answers with one JSON line: messages, and the monotonic times of the first and the last.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.bench.shared_tools import load_tool


def _sampling_app(tool: Any, folder: Path, every: int) -> Any:
    class SamplingApp(tool.App):  # type: ignore[misc]
        written = 0

        def accept(self, connection: Any, stuffed: bytes) -> bytes:
            reply: bytes = super().accept(connection, stuffed)
            if self.counters.messages % every == 1:
                SamplingApp.written += 1
                content = stuffed.removeprefix(b".").replace(b"\r\n..", b"\r\n.")
                (folder / f"{SamplingApp.written:04d}.eml").write_bytes(content)
            return reply

    return SamplingApp


def main() -> None:
    port, folder, every = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    tool = load_tool("smtp_sink")
    arguments = SimpleNamespace(
        host="127.0.0.1", port=port, dir=None, expect=0, status_file=None, fail_every=0, max_size=200_000_000,
        no_pipelining=False,
    )  # fmt: skip
    app = _sampling_app(tool, folder, every)(arguments)

    def report() -> None:
        counters = app.counters
        print(json.dumps({"messages": counters.messages, "first": counters.first, "last": counters.last}), flush=True)

    def reset() -> None:
        app.counters = tool.Counters()

    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def obey() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(reset if line == "reset\n" else report)

        threading.Thread(target=obey, daemon=True).start()
        await app.run()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
