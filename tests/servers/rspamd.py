"""rspamd as a verifier of what we sealed and signed, asking a DNS server of ours."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.wait import free_port, wait_until

_CONFIGURATION = """\
options {{
  dns {{ nameserver = ["{dns}"]; timeout = 20s; retransmits = 2; }}
  url_tld = "{folder}/tlds";
  filters = "dkim,spf";
  pidfile = "{folder}/rspamd.pid"; control_socket = "{folder}/control.sock"; tempdir = "{folder}";
  hs_cache_dir = "{folder}"; rrd = ""; history_file = ""; local_addrs = ["192.0.2.0/32"];
}}
logging {{ type = "console"; level = "error"; }}
metric {{ name = "default"; actions {{ reject = 1000; }} }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; task_timeout = 50s; }}
modules {{ path = "/usr/share/rspamd/plugins/arc.lua"; }}
dkim {{ check_local = true; check_authed = true; }}
spf {{ check_local = true; check_authed = true; }}
arc {{ check_local = true; check_authed = true; }}
"""


def missing() -> str:
    """Why rspamd can't be run here, or ""."""
    return "" if shutil.which("rspamd") else "rspamd is not installed"


def _takes_connections(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def rspamd(folder: Path, dns_address: str) -> Iterator[Callable[[bytes], set[str]]]:
    """Runs it for as long as the block does; called with a message, it gives the names of the symbols that it set.

    `folder` has to be short, for sockets stand in it.
    """
    port = free_port()
    path = folder / "rspamd.conf"
    (folder / "tlds").write_text("com\nnet\norg\nexample\n")  # to compile its own list takes most of a minute
    path.write_text(_CONFIGURATION.format(folder=folder, dns=dns_address, port=port))
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(["rspamd", "-i", "-f", "-c", str(path)], stdout=output, stderr=output)

    def judge(content: bytes) -> set[str]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/checkv2", data=content, headers={"IP": "127.0.0.1"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return set(json.load(reply)["symbols"])

    try:
        wait_until(lambda: _takes_connections(port), 60, lambda: (folder / "output").read_text())
        yield judge
    finally:
        process.terminate()
        process.wait(60)
