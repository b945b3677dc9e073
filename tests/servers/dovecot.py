"""A Dovecot of our own (IMAP and POP3 on free ports, Maildirs), everything in one temporary folder.

Mailboxes have the password PASSWORD; the account MASTER with MASTER_PASSWORD may open all of them but those that are
denied (SASL PLAIN with an authorisation identity, or as `mailbox*account`); so may who shows a token (XOAUTH2), where
`oauth` says whose tokens count.
"""

from __future__ import annotations

import imaplib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from tests.servers.processes import is_alive
from tests.servers.wait import accepts, free_port, wait_until

MASTER = "stampline"
MASTER_PASSWORD = "master password"
PASSWORD = "a user's own"
_PEOPLE = 65534
"""Whose mail it is; nobody's uid and gid."""

_CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
auth_verbose = yes
listen = 127.0.0.1
protocols = imap pop3
first_valid_uid = 1
mail_home = {folder}/mail/%u
mail_location = maildir:~/Maildir
mail_plugins = quota acl
ssl = yes
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2
auth_master_user_separator = *
auth_username_format = %Lu
auth_failure_delay = 0
auth_cache_size = 0
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = .
{folders}
}}
passdb {{
  driver = passwd-file
  args = {folder}/denied
  deny = yes
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/masters
  master = yes
  result_success = continue
}}
{oauth}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap {{
  process_min_avail = 2
}}
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
protocol imap {{
  mail_plugins = quota imap_quota acl imap_acl
  mail_max_userip_connections = 100
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
{more}
"""
_FOLDERS = """\
  mailbox Sent {
    special_use = \\Sent
    auto = create
  }
  mailbox Trash {
    special_use = \\Trash
    auto = create
  }
"""
_OAUTH = """\
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""


def missing() -> str:
    """Why no Dovecot can be started here, or ""."""
    if shutil.which("dovecot") is None:
        return "dovecot is not installed"
    return "" if os.geteuid() == 0 else "dovecot starts as root only"


@dataclass(frozen=True, slots=True)
class Dovecot:
    folder: Path
    ca_file: Path
    imap: int
    imaps: int
    pop3: int
    pop3s: int
    _process: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _mailboxes: dict[str, str] = field(default_factory=dict)
    _denied: set[str] = field(default_factory=set)

    def change_mailbox(self, mailbox: str, **extra: str) -> None:
        """`extra` are fields of the user database: `quota_rule="*:storage=10K"`. Takes a second to be seen."""
        self._mailboxes[mailbox] = " ".join(f"userdb_{name}={value}" for name, value in extra.items())
        self._write_mailboxes()
        wait_until(lambda: self._told(mailbox) == extra, 60, "dovecot's sight of the mailbox")

    def deny(self, mailbox: str, *, is_denied: bool = True) -> None:
        """Nobody signs in to it, with whatever password. Takes a second to be seen."""
        (self._denied.add if is_denied else self._denied.remove)(mailbox)
        self._write("denied", [f"{each}:" for each in self._denied])
        wait_until(lambda: self._is_denied(mailbox) == is_denied, 60, "dovecot's sight of who is denied")

    @contextmanager
    def session(self, mailbox: str) -> Iterator[imaplib.IMAP4]:
        """Its user's program, signed in."""
        with imaplib.IMAP4("127.0.0.1", self.imap) as session:
            session.login(f'"{mailbox}"', PASSWORD)
            yield session

    def maildir(self, mailbox: str, name: str = "") -> Path:
        """Where a folder's mail is; `name` as Maildir++ has it: `.Sent`."""
        return self.folder / "mail" / mailbox / "Maildir" / name

    def start(self) -> None:
        process = subprocess.Popen(
            ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")], stderr=subprocess.DEVNULL
        )
        self._process.append(process)
        wait_until(lambda: accepts(self.imaps) or process.poll() is not None, 60, "dovecot's port")
        assert process.poll() is None, self.log()

    def stop(self) -> None:
        """With all connections."""
        process = self._process.pop()
        process.terminate()
        process.wait(60)
        wait_until(lambda: not is_alive(process.pid), 60, "dovecot's end")

    def restart(self) -> None:
        self.stop()
        self.start()

    def log(self) -> str:
        return (self.folder / "dovecot.log").read_text()

    def doveadm(self, *arguments: str) -> str:
        command = ["doveadm", "-c", str(self.folder / "dovecot.conf"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def _told(self, mailbox: str) -> dict[str, str]:
        """What its user database adds to a mailbox."""
        answer = self.doveadm("user", mailbox).splitlines()
        pairs = (line.split("\t", 1) for line in answer)
        return {name: value for name, value in pairs if name not in ("field", "uid", "gid", "home", "mail")}

    def _is_denied(self, mailbox: str) -> bool:
        try:
            with self.session(mailbox):
                return False
        except imaplib.IMAP4.error:
            return True

    def _write_mailboxes(self) -> None:
        lines = (f"{name}:{{PLAIN}}{PASSWORD}:{_PEOPLE}:{_PEOPLE}::::{more}" for name, more in self._mailboxes.items())
        self._write("users", list(lines))

    def _write(self, name: str, lines: list[str]) -> None:
        """Put there at once. Dovecot reads the file again when it is of another second, and looks once a second."""
        path = self.folder / name
        before = int(path.stat().st_mtime) if path.exists() else 1
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for line in lines))
        fresh.chmod(0o644)
        os.utime(fresh, (before + 1, before + 1))
        fresh.rename(path)


@contextmanager
def running_dovecot(
    mailboxes: Iterable[str],
    *,
    prefix: str = "",
    has_folders: bool = True,
    more: str = "",
    oauth: str = "",
    authority: trustme.CA | None = None,
) -> Iterator[Dovecot]:
    """`more` is added to its configuration; `oauth` is what its file for tokens says.

    Each mailbox has a folder Sent and a folder Trash, known as such, unless `has_folders` is false.
    """
    with tempfile.TemporaryDirectory(prefix="dovecot-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        authority = authority or trustme.CA()
        server = Dovecot(folder, folder / "ca.pem", free_port(), free_port(), free_port(), free_port())
        authority.cert_pem.write_to_path(server.ca_file)
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
        (folder / "mail").mkdir()
        os.chown(folder / "mail", _PEOPLE, _PEOPLE)
        (folder / "masters").write_text(f"{MASTER}:{{PLAIN}}{MASTER_PASSWORD}\n")
        (folder / "oauth2.conf").write_text(oauth)
        server._mailboxes.update(dict.fromkeys(mailboxes, ""))
        server._write_mailboxes()
        server._write("denied", [])
        values = {
            "folder": folder, "prefix": prefix, "folders": _FOLDERS if has_folders else "", "more": more,
            "imap": server.imap, "imaps": server.imaps, "pop3": server.pop3, "pop3s": server.pop3s,
            "oauth": _OAUTH.format(folder=folder) if oauth else "",
        }  # fmt: skip
        (folder / "dovecot.conf").write_text(_CONFIGURATION.format(**values))
        try:
            server.start()
            yield server
        finally:
            server.stop()
