"""An Active Directory domain controller of our own (Samba), on a loopback address of its own.

A domain is provisioned once in a session, in some seconds; each server runs on a copy of it. The ports are LDAP's own
(389 and 636), so it needs root, and an address that nobody else uses.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import trustme

from tests.servers.wait import wait_until

REALM = "CORP.EXAMPLE"
BASE = "DC=corp,DC=example"
HOST = "dc1.corp.example"
ADMINISTRATOR_PASSWORD = "Passw0rd!x"
ACCOUNT = f"CN=stampline,OU=Staff,{BASE}"
ACCOUNT_PASSWORD = "Re4d-0nly!account"
_PYTHON = "/usr/bin/python3"
"""The one that Debian's Samba has its modules for."""
_numbers = count(os.getpid())
_SETTINGS = """\
[global]
    realm = {realm}
    workgroup = CORP
    netbios name = DC1
    server role = active directory domain controller
    server services = ldap
    interfaces = {address}/8
    bind interfaces only = yes
    disable netbios = yes
    prefork children = 1
    idmap_ldb:use rfc2307 = yes
    ldap server require strong auth = no
    private dir = {folder}/private
    state directory = {folder}/state
    cache directory = {folder}/cache
    lock directory = {folder}
    binddns dir = {folder}/bind-dns
    pid directory = {folder}
    ncalrpc dir = {folder}/ncalrpc
    log file = {folder}/log
    tls keyfile = {folder}/tls/key.pem
    tls certfile = {folder}/tls/cert.pem
    tls cafile = {folder}/tls/ca.pem
"""
_ADD = """
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
settings = LoadParm()
settings.load(sys.argv[1])
domain = SamDB(session_info=system_session(), lp=settings)
domain.transaction_start()
for record in sys.stdin.read().split("\\n\\n"):
    if "changetype: modify" in record:
        domain.modify_ldif(record)
    elif record.strip():
        domain.add_ldif(record)
domain.transaction_commit()
for line in sys.argv[2:]:
    dn, password = line.split("|")
    domain.setpassword("(distinguishedName=" + dn + ")", password)
"""


def missing() -> str:
    """Why no domain controller can be started here, or ""."""
    if shutil.which("samba") is None or shutil.which("samba-tool") is None:
        return "samba-ad-dc is not installed"
    return "" if os.geteuid() == 0 else "samba starts as root only"


def _claimed_address() -> tuple[str, socket.socket]:
    """A loopback address that no other server of this or another test process has, while the socket is open.

    The socket keeps a port that nobody asks for: a server may be stopped, or not yet be started.
    """
    for number in _numbers:
        address = f"127.{77 + number // 62500 % 100}.{number // 250 % 250}.{number % 250 + 1}"
        claim = socket.socket()
        try:
            claim.bind((address, 1))
        except OSError:
            claim.close()
            continue
        return address, claim
    raise AssertionError("unreachable")


@dataclass(slots=True)
class Samba:
    """A domain controller; `stop` and `start` may be called again and again."""

    folder: Path
    address: str
    ca: trustme.CA
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def settings(self) -> Path:
        return self.folder / "etc" / "smb.conf"

    @property
    def ca_file(self) -> Path:
        return self.folder / "tls" / "ca.pem"

    def start(self) -> None:
        """Returns when it answers; does nothing where it does already."""
        if self._process is not None:
            return
        # It ends when its standard input does: with us, whatever becomes of us.
        with (self.folder / "out").open("wb") as out:
            self._process = subprocess.Popen(
                ["samba", "-i", "-s", str(self.settings), "--debug-stdout"],
                stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        wait_until(self._listens, 60, lambda: f"samba's ports: {(self.folder / 'out').read_text()[-2000:]}")

    def _listens(self) -> bool:
        try:
            for port in (389, 636):
                socket.create_connection((self.address, port), timeout=20).close()
        except OSError:
            return False
        return True

    def freeze(self) -> None:
        """It takes connections, and says nothing more, until `thaw` is called."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """All its processes, at once: as when the machine goes."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)
            wait_until(lambda: not self._listens(), 60, "samba's end")

    def add(self, ldif: str, *passwords: tuple[str, str]) -> None:
        """Write records to its database; `passwords` are of accounts by name. It may run meanwhile."""
        command = [_PYTHON, "-c", _ADD, str(self.settings), *("|".join(each) for each in passwords)]
        done = subprocess.run(command, input=ldif.encode(), capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr.decode()

    def issue_certificate(self, *names: str) -> None:
        """A certificate for these names, by the authority in `ca_file`; it counts from the next start on."""
        certificate = self.ca.issue_cert(*names)
        (self.folder / "tls").mkdir(exist_ok=True)
        self.ca.cert_pem.write_to_path(str(self.ca_file))
        certificate.cert_chain_pems[0].write_to_path(str(self.folder / "tls" / "cert.pem"))
        key = self.folder / "tls" / "key.pem"
        key.unlink(missing_ok=True)
        key.touch(0o600)
        certificate.private_key_pem.write_to_path(str(key))


def provisioned(folder: Path) -> Path:
    """A domain in that folder; who comes first makes it, and others wait for it."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        domain = folder / "domain"
        if not (folder / "done").exists():
            (folder / "empty.conf").touch()
            command = [
                "samba-tool", "domain", "provision", "-s", str(folder / "empty.conf"), f"--targetdir={domain}",
                f"--realm={REALM}", "--domain=CORP", f"--adminpass={ADMINISTRATOR_PASSWORD}", "--server-role=dc",
                "--dns-backend=NONE", "--use-rfc2307", "--host-name=dc1", "--host-ip=127.0.0.1",
                "--option=interfaces=lo", "--option=bind interfaces only=yes", "--option=server services = ldap",
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, check=False, timeout=300)
            assert done.returncode == 0, done.stderr.decode()[-3000:]
            (folder / "done").touch()
        return domain


@contextmanager
def running_samba(domain: Path, folder: Path) -> Iterator[Samba]:
    """A controller on a copy of the provisioned domain, with an account for the relay; not started yet."""
    shutil.copytree(domain, folder, symlinks=True, ignore=lambda _, names: [n for n in names if n == "ldapi"])
    address, claim = _claimed_address()
    samba = Samba(folder, address, trustme.CA())
    samba.settings.write_text(_SETTINGS.format(realm=REALM, folder=folder, address=samba.address))
    samba.issue_certificate(HOST, samba.address)
    samba.add(
        f"dn: OU=Staff,{BASE}\nobjectClass: organizationalUnit\n\n"
        f"dn: {ACCOUNT}\nobjectClass: user\nsAMAccountName: stampline\nuserPrincipalName: stampline@corp.example\n"
        "userAccountControl: 66048\n",
        (ACCOUNT, ACCOUNT_PASSWORD),
    )
    try:
        yield samba
    finally:
        samba.stop()
        claim.close()
