"""The command line's side of the control socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMEOUT_S = 120.0
"""A reload of large templates in many workers takes its time."""


class NotRunningError(Exception):
    """Nobody serves the control socket; the text says which."""


def ask(path: Path, request: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Send one request and return the answer.

    Raises NotRunningError where no supervisor serves `path`, OSError where it may not be used or goes silent.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(timeout_s)
        try:
            end.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as exc:
            raise NotRunningError(f"nothing runs on the control socket {path}") from exc
        except PermissionError as exc:
            why = "this user may not use it: run this as root, or as the service's user with sudo -u"
            raise PermissionError(why) from exc
        end.sendall(json.dumps(request).encode() + b"\n")
        with end.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        raise ConnectionResetError(f"the supervisor on {path} ended without an answer")
    answer: dict[str, Any] = json.loads(line)
    return answer
