"""An Exim of our own, which sends by BDAT and passes DSN parameters on, as Exchange does; relaying to one next hop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.wait import free_port, greets, wait_until

_PROGRAM = Path(sys.prefix) / "unpacked" / "usr" / "sbin" / "exim4"
_USERS = "root:x:0:0:root:/root:/bin/sh\nDebian-exim:x:64987:64987::/nonexistent:/bin/false\n"
_GROUPS = "root:x:0:\nDebian-exim:x:64987:\nmail:x:8:\n"
_CONFIGURATION = """\
keep_environment = LD_PRELOAD : ^NSS_
exim_path = {folder}/exim4
deliver_drop_privilege = true
primary_hostname = exim.example.com
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
exim_user = Debian-exim
exim_group = Debian-exim
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
{tls}
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
accept_8bitmime = true
message_size_limit = 100M
host_lookup =
acl_smtp_rcpt = all
acl_smtp_data = all

begin acl
all:
  {accept}

begin routers
out:
  driver = manualroute
  transport = out
  route_list = * 127.0.0.1
  self = send

begin transports
out:
  driver = smtp
  port = {next_hop}
  allow_localhost
  hosts_try_chunking = *
  hosts_avoid_tls = *
  multi_domain = true

begin retry
* * F,1h,1m
{authenticators}
"""
_TLS = """\
tls_advertise_hosts = *
tls_certificate = {folder}/server.pem
tls_privatekey = {folder}/server.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
"""
_AUTHENTICATORS = """\
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{relay}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{relay}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
"""


def missing() -> str:
    """Why no Exim can be started here, or ""."""
    if not _PROGRAM.exists():
        return "exim is not unpacked: make packages"
    return "" if os.geteuid() == 0 else "exim starts as root only"


@dataclass(frozen=True, slots=True)
class Exim:
    folder: Path
    port: int

    def log(self) -> str:
        """Its main log so far."""
        return (self.folder / "log" / "mainlog").read_text()


def _lay_out(folder: Path, port: int, next_hop_port: int, certificate: bytes, password: str) -> None:
    folder.chmod(0o755)  # its processes run as a user of their own
    for name in ("spool", "log"):
        (folder / name).mkdir()
        os.chown(folder / name, 64987, 64987)
    shutil.copy(_PROGRAM, folder / "exim4")  # it starts itself anew as that user, who may not reach our folder
    (folder / "users").write_text(_USERS)
    (folder / "groups").write_text(_GROUPS)
    (folder / "server.pem").write_bytes(certificate)
    (folder / "exim.conf").write_text(
        _CONFIGURATION.format(
            folder=folder,
            port=port,
            next_hop=next_hop_port,
            tls=_TLS.format(folder=folder) if certificate else "tls_advertise_hosts =",
            accept="accept authenticated = *" if password else "accept",
            authenticators=_AUTHENTICATORS.format(password=password) if password else "",
        )
    )


@contextmanager
def running_exim(next_hop_port: int, *, certificate: bytes = b"", password: str = "") -> Iterator[Exim]:
    """An Exim that relays everything to `next_hop_port`. Its user exists for it alone, not in the system.

    With a `certificate` (PEM, key included) it offers TLS; with a `password` it takes mail of the account `relay` only.
    """
    with tempfile.TemporaryDirectory(prefix="exim-") as name:
        folder, port = Path(name), free_port()
        _lay_out(folder, port, next_hop_port, certificate, password)
        environment = {
            "PATH": os.environ["PATH"],
            "LD_PRELOAD": "libnss_wrapper.so",
            "NSS_WRAPPER_PASSWD": f"{folder}/users",
            "NSS_WRAPPER_GROUP": f"{folder}/groups",
        }
        command = [f"{folder}/exim4", "-C", f"{folder}/exim.conf", "-bdf", "-q1m"]
        with (
            (folder / "output").open("wb") as output,
            subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            ) as process,
        ):
            try:
                wait_until(lambda: greets(port), 60, lambda: f"exim's greeting: {(folder / 'output').read_text()}")
                yield Exim(folder, port)
            finally:
                process.terminate()
                process.wait(60)
