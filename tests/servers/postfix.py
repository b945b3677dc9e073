"""A Postfix of our own: everything in one temporary folder, listening on a free port, relaying to one next hop."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import is_alive
from tests.servers.wait import free_port, greets, wait_until

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str:
    """Why no Postfix can be started here, or ""."""
    if shutil.which("postfix") is None:
        return "postfix is not installed"
    return "" if os.geteuid() == 0 else "postfix starts as root only"


@dataclass(frozen=True, slots=True)
class Postfix:
    folder: Path
    port: int
    master_pid: int

    def log(self) -> str:
        """Its whole log so far."""
        return (self.folder / "log" / "maillog").read_text()

    def queue(self) -> str:
        """What waits, one JSON object a line."""
        command = ["postqueue", "-c", str(self.folder / "etc"), "-j"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def _settings(folder: Path, next_hop_port: int) -> dict[str, str]:
    next_hop = f"smtp:[127.0.0.1]:{next_hop_port}"
    return {
        "compatibility_level": "3.6",
        "queue_directory": f"{folder}/queue",
        "data_directory": f"{folder}/data",
        "maillog_file": f"{folder}/log/maillog",
        "maillog_file_prefixes": str(folder),
        "myhostname": "postfix.example.com",
        "mydestination": "",
        "mynetworks": "127.0.0.0/8",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "default_transport": next_hop,
        "relay_transport": next_hop,
        "smtp_host_lookup": "native",
        "smtp_dns_support_level": "disabled",
        "alias_maps": "",
        "alias_database": "",
        "local_recipient_maps": "",
        "message_size_limit": "200000000",
    }


def _lay_out(folder: Path, port: int, settings: Mapping[str, str], services: str) -> None:
    folder.chmod(0o755)  # its processes run as the user postfix
    for name in ("etc", "queue", "data", "log"):
        (folder / name).mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    (folder / "etc" / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    (folder / "etc" / "master.cf").write_text(_MASTER.format(port=port) + services)


@contextmanager
def running_postfix(
    next_hop_port: int, settings: Mapping[str, str] | None = None, *, services: str = ""
) -> Iterator[Postfix]:
    """A Postfix that relays everything to `next_hop_port`; `settings` are added to main.cf, `services` to master.cf."""
    with tempfile.TemporaryDirectory(prefix="postfix-") as name:
        folder, port = Path(name), free_port()
        _lay_out(folder, port, _settings(folder, next_hop_port) | dict(settings or {}), services)
        command = ["postfix", "-c", str(folder / "etc")]
        subprocess.run([*command, "start"], check=True, capture_output=True, timeout=60)
        wait_until(lambda: greets(port), 60, "postfix's greeting")
        match = re.search(r"\d+", (folder / "queue" / "pid" / "master.pid").read_text())
        assert match is not None
        postfix = Postfix(folder, port, int(match[0]))
        try:
            yield postfix
        finally:
            subprocess.run([*command, "stop"], check=False, capture_output=True, timeout=60)
            wait_until(lambda: not is_alive(postfix.master_pid), 60, "postfix's end")
