"""Pictures of HTML by a headless Chromium, spoken to over its debugging pipe (Chrome DevTools Protocol).

The HTML is not trusted: it gets no scripts, no network and no files. It is put into an empty page, which may not load
`file:`, and every request that is not a `data:` address is refused.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HEIGHT_MAX = 4_000
"""Pixels of the page; what is below is cut off."""
TIMEOUT_S = 60.0
"""For everything that one browser does."""
START_S = 20.0
"""For its first answer; a browser that hangs at its start is started once more."""
_ANSWER_MAX = 100_000_000
_OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--disable-extensions", "--disable-sync", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-dev-shm-usage", "--disable-client-side-phishing-detection",
    "--metrics-recording-only", "--hide-scrollbars", "--mute-audio", "--disable-remote-fonts",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--js-flags=--max-old-space-size=256",
)  # fmt: skip
_ON_PIPES = (
    "import fcntl, os, sys\n"
    "pipes = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]\n"
    "os.dup2(pipes[0], 3); os.dup2(pipes[1], 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)
"""Chromium reads commands from descriptor 3 and answers on descriptor 4."""


class ChromiumError(Exception):
    """There is no browser, or it did not do its work; the text is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class View:
    """How a page is looked at."""

    width: int
    scale: int = 1
    is_phone: bool = False
    prefers_dark: bool = False
    forces_dark: bool = False
    """As programs do that turn colours round by themselves."""


@dataclass(frozen=True, slots=True)
class Shot:
    png: bytes
    width: int
    """CSS pixels that the content needs; more than the view's where it runs over."""


def find_chromium() -> str | None:
    """The first browser on PATH."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One browser, for as long as the `with` lasts."""

    def __init__(self, path: str, start_s: float = START_S) -> None:
        self._path = path
        self._start_s = start_s
        self._folder = tempfile.TemporaryDirectory(prefix="stampline-preview-")
        self._begin()

    def _begin(self) -> None:
        self._deadline = time.monotonic() + TIMEOUT_S
        self._asked = 0
        self._waiting = b""
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._start()
        try:
            self._deadline = time.monotonic() + self._start_s
            self._ask("Browser.getVersion", {})
            self._deadline = time.monotonic() + TIMEOUT_S
        except ChromiumError:
            self._end()
            self._begin()
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def _start(self) -> None:
        to_read, self._commands = os.pipe()
        self._answers, to_write = os.pipe()
        options = [*_OPTIONS, f"--user-data-dir={self._folder.name}"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # Chromium's own sandbox refuses to work for root
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a program of the system's, no shell
                [sys.executable, "-S", "-E", "-c", _ON_PIPES, str(to_read), str(to_write), self._path, *options],
                pass_fds=(to_read, to_write),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "HOME": self._folder.name},
            )
        finally:
            os.close(to_read)
            os.close(to_write)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        with suppress(OSError):  # a helper that is just dying may still write
            self._folder.cleanup()

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def shoot(self, html: str, view: View) -> Shot:
        """Show the HTML in a page of its own. Raises ChromiumError."""
        target = self._ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        try:
            self._prepare(session, view)
            frame = self._ask("Page.getFrameTree", {}, session)["frameTree"]["frame"]["id"]
            self._events.clear()
            self._ask("Page.setDocumentContent", {"frameId": frame, "html": html}, session)
            self._await_load(session)
            size = self._ask("Page.getLayoutMetrics", {}, session)["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": view.width, "height": min(size["height"], HEIGHT_MAX), "scale": 1}
            options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
            png = base64.b64decode(self._ask("Page.captureScreenshot", options, session)["data"])
            return Shot(png, int(size["width"]))
        finally:
            self._ask("Target.closeTarget", {"targetId": target})

    def _prepare(self, session: str, view: View) -> None:
        scheme = "dark" if view.prefers_dark else "light"
        metrics = {
            "width": view.width, "height": 400, "deviceScaleFactor": view.scale, "mobile": view.is_phone,
        }  # fmt: skip
        for method, options in (
            ("Page.enable", {}),
            ("Fetch.enable", {"patterns": [{"urlPattern": "*"}]}),
            ("Emulation.setScriptExecutionDisabled", {"value": True}),
            ("Emulation.setDeviceMetricsOverride", metrics),
            ("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
            ("Emulation.setAutoDarkModeOverride", {"enabled": view.forces_dark}),
        ):
            self._ask(method, options, session)

    def _await_load(self, session: str) -> None:
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._take(self._receive(), session)

    def _ask(self, method: str, options: Mapping[str, Any], session: str = "") -> dict[str, Any]:
        number = self._send(method, options, session)
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise ChromiumError(f"{self._path}: {method}: {answer['error'].get('message', 'failed')}")
                result: dict[str, Any] = answer["result"]
                return result
            self._take(answer, session)

    def _take(self, event: dict[str, Any], session: str) -> None:
        """Note an event; whatever the page asks for is refused.

        A page that would go elsewhere stays where it is: refused otherwise, a page about the error takes its place, and
        who asks about the former one in that moment gets no answer.
        """
        if event.get("method") == "Fetch.requestPaused":
            reason = "Aborted" if event["params"].get("resourceType") == "Document" else "BlockedByClient"
            options = {"requestId": event["params"]["requestId"], "errorReason": reason}
            self._send("Fetch.failRequest", options, event.get("sessionId", session))
        elif "method" in event:
            self._events.append(event)

    def _send(self, method: str, options: Mapping[str, Any], session: str) -> int:
        self._asked += 1
        command = {"id": self._asked, "method": method, "params": options}
        if session:
            command["sessionId"] = session
        data = json.dumps(command).encode() + b"\0"
        try:
            while data:
                data = data[os.write(self._commands, data) :]
        except OSError as exc:
            raise ChromiumError(f"{self._path} ended") from exc
        return self._asked

    def _receive(self) -> dict[str, Any]:
        """The next message, which a NUL ends."""
        while b"\0" not in self._waiting:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise ChromiumError(f"{self._path} gave no answer in {TIMEOUT_S:.0f} seconds")
            data = os.read(self._answers, 1 << 20)
            if not data or len(self._waiting) > _ANSWER_MAX:
                raise ChromiumError(f"{self._path} ended")
            self._waiting += data
        message, _, self._waiting = self._waiting.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer
