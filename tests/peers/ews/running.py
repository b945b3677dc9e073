"""Starting a server as a process, and ending it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from tests.peers.ews.control import EwsServer
from tests.shared import shared_folder

_CHECKOUT = Path(__file__).resolve().parents[3]


@contextmanager
def ews_server(
    *,
    flavour: Literal["exchange", "other"] = "exchange",
    offers: Sequence[Literal["basic", "ntlm", "bearer"]] = ("basic", "ntlm"),
    latency_s: float = 0,
    port: int = 0,
    certificate: Literal["good", "expired", "other-authority", "other-name"] = "good",
    oauth_keys: Sequence[Mapping[str, Any]] = (),
    oauth_audience: str = "https://outlook.office365.com",
) -> Iterator[EwsServer]:
    """A running server, with no mailbox and no account yet.

    `oauth_keys` are JSON Web Keys of who issues bearer tokens; an app's account is named by its client id.

    Afterwards fails if an answer of its own wasn't valid by the schema.
    """
    shared_folder()  # without the schema it can't run: the test is skipped, or fails in CI
    with TemporaryDirectory(prefix="ews-") as folder:
        command = [sys.executable, "-m", "tests.peers.ews", "--folder", folder, "--flavour", flavour]
        command += ["--latency", f"{latency_s}s", "--port", str(port), "--certificate", certificate, "--announce"]
        command += [f"--offer={kind}" for kind in offers]
        if oauth_keys:
            jwks = Path(folder) / "jwks.json"
            jwks.write_text(json.dumps({"keys": [dict(key) for key in oauth_keys]}))
            command += ["--oauth-keys", str(jwks), "--oauth-audience", oauth_audience]
        process = subprocess.Popen(
            command, cwd=_CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}
        )
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            announced = process.stdout.readline()
            if not announced:
                raise RuntimeError(f"the EWS server did not start: exit status {process.wait(60)}")
            facts = json.loads(announced)
            server = EwsServer(facts["url"], facts["control"], Path(facts["ca_file"]))
            yield server
            invalid = server.counters().invalid_responses
            assert not invalid, f"the test server answered what the schema forbids: {invalid[:3]}"
        finally:
            process.stdin.close()  # it ends with us, however we end
            process.stdout.close()
            process.wait(60)
