"""The relay itself as a process: a configuration in a folder, `python -m mta serve` on it, its logs, its end."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mta.cli import main
from mta.control.client import NotRunningError, ask
from tests.servers.processes import children, command_line, is_alive, session, state
from tests.servers.wait import accepts, free_port, greets, wait_until

Settings = dict[str, Any]
READY_S = 60.0
_QUEUED = {
    "accepted": ("queue_id", "recipients"), "recipient-added": ("queue_id", "recipient"), "dsn-queued": ("dsn", "to"),
    "tracking-copy": ("copy", "to"), "followed": ("spawned", "recipients"),
}  # fmt: skip
"""Events that tell of recipients in the queue: which of their fields are queue id and addresses."""

PEOPLE = """\
people:
  - address: jane@example.com
    attributes: {displayName: Jane Doe, title: Account Manager, telephoneNumber: +44 20 7946 0001, department: Sales}
  - address: john@example.com
    attributes: {displayName: John Roe, title: Counsel, department: Legal}
groups:
  - {name: Sales, members: [jane@example.com]}
  - {name: Legal, members: [john@example.com]}
"""


def make_rsa_key(path: Path, bits: int = 2048) -> str:
    """Write a DKIM private key (PEM) and return its public key record as DNS would hold it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path.chmod(0o600)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "v=DKIM1; k=rsa; p=" + "".join(public.decode().splitlines()[1:-1])


def merged(base: Settings, changes: Mapping[str, Any]) -> Settings:
    """`base` with `changes` laid over it, mappings merged at every depth, everything else replaced."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


def _default_settings(folder: Path, next_hop_port: int) -> Settings:
    local = {"address": "127.0.0.1", "limits": {"connections_per_client": 500}}
    return {
        "hostname": "relay.example.com",
        "listeners": [
            {
                "name": "exchange",
                "port": free_port(),
                "role": "trusted",
                "allowed_networks": ["127.0.0.1/32"],
                **local,
            },
            {"name": "internet", "port": free_port(), "role": "inbound", **local},
        ],
        "organisation": {
            "accepted_domains": ["example.com"],
            "rules": "rules",
            "templates": "templates",
            "directory": {"kind": "yaml", "file": "people.yaml"},
            "attributes": {"name": "Example Ltd"},
            "mark": {"keys": [{"file": "mark.key"}]},
        },
        "next_hops": [
            {
                "name": "out",
                "kind": "smtp",
                "hosts": [{"host": "127.0.0.1", "port": next_hop_port}],
                "tls": {"mode": "none"},
            }
        ],
        "routing": {"default": "out"},
        "spool": {"folder": "spool", "reserve": "10MB"},
        "logs": {"folder": "log", "format": "json"},
        "control": {"socket": "control.sock"},
        "workers": 1,
        "drain": "3s",
    }


def _serves(listener: Settings) -> bool:
    """Whether it greets, where it does so unasked."""
    waits_for_us = listener.get("proxy_networks") or listener.get("tls", {}).get("mode") == "implicit"
    return accepts(int(listener["port"])) if waits_for_us else greets(int(listener["port"]))


class Relay:
    """A relay that serves one folder's configuration. Write rules and templates first, then `start`."""

    def __init__(self, folder: Path, next_hop_port: int, **overrides: Any) -> None:
        self.folder = folder
        self.settings = merged(_default_settings(folder, next_hop_port), overrides)
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._read_up_to: dict[Path, int] = {}
        self._events: list[dict[str, Any]] = []
        # The path of a Unix socket holds 107 octets at most, which a test's own folder may exceed.
        self._short_folder = Path(tempfile.mkdtemp(prefix="stampline-"))
        self.settings["control"] = {"socket": str(self._short_folder / "control.sock")}
        self._lay_out()

    def _lay_out(self) -> None:
        (self.folder / "rules").mkdir(parents=True)
        (self.folder / "templates").mkdir()
        (self.folder / "people.yaml").write_text(PEOPLE)
        (self.folder / "mark.key").write_text("a mark key that is only for tests\n")
        (self.folder / "mark.key").chmod(0o600)
        self.write_settings()

    @property
    def configuration(self) -> Path:
        return self.folder / "stampline.yaml"

    def write_settings(self) -> None:
        self.configuration.write_text(yaml.safe_dump(self.settings, sort_keys=False))

    def write_rules(self, text: str, name: str = "10-test.yaml") -> None:
        (self.folder / "rules" / name).write_text(text)

    def write_template(self, name: str, html: str, plain: str) -> None:
        folder = self.folder / "templates" / name
        folder.mkdir(exist_ok=True)
        (folder / "signature.html.j2").write_text(html)
        (folder / "signature.txt.j2").write_text(plain)

    def add_organisation(self, name: str, domain: str, rules: str) -> None:
        """One more organisation, with a folder of its own for rules, templates and people."""
        folder = self.folder / name
        (folder / "rules").mkdir(parents=True)
        (folder / "templates").mkdir()
        (folder / "rules" / "10-test.yaml").write_text(rules)
        (folder / "people.yaml").write_text(PEOPLE.replace("example.com", domain).replace("Doe", name.title()))
        (folder / "mark.key").write_text(f"a mark key of {name} that is only for tests\n")
        (folder / "mark.key").chmod(0o600)
        first = self.settings.pop("organisation", None)
        organisations = self.settings.setdefault("organisations", [first])
        organisations.append(
            {
                "name": name,
                "accepted_domains": [domain],
                "rules": f"{name}/rules",
                "templates": f"{name}/templates",
                "directory": {"kind": "yaml", "file": f"{name}/people.yaml"},
                "attributes": {"name": name.title()},
                "mark": {"keys": [{"file": f"{name}/mark.key"}]},
            }
        )
        self.write_settings()

    def add_dkim_key(self, domain: str = "example.com", selector: str = "s1") -> dict[bytes, bytes]:
        """Sign that domain's mail; returns the DNS record by its name, e.g. for `signature_is_valid`."""
        record = make_rsa_key(self.folder / f"dkim-{domain}.pem")
        key = {"domain": domain, "selector": selector, "key": {"file": f"dkim-{domain}.pem"}}
        self.settings["organisation"].setdefault("dkim", []).append(key)
        self.write_settings()
        return {f"{selector}._domainkey.{domain}.".encode(): record.encode()}

    # --- its life ---

    @property
    def port(self) -> int:
        """The port of the first listener, which trusts this machine."""
        return int(self.settings["listeners"][0]["port"])

    @property
    def inbound_port(self) -> int:
        return int(self.settings["listeners"][1]["port"])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, **environment: str) -> None:
        """Start it and wait until every listener greets. Raises RuntimeError with its output when it ends instead."""
        command = [sys.executable, "-m", "mta", "serve", "--config", str(self.configuration)]
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=os.environ | self.environment | environment, start_new_session=True,
            )  # fmt: skip
        wait_until(self._is_ready, READY_S, lambda: f"the relay's greeting; it said:\n{self.output()}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the relay ended with {self._process.returncode}:\n{self.output()}")
        return all(_serves(listener) for listener in self.settings["listeners"]) and self._is_up()

    def _is_up(self) -> bool:
        """Whether the supervisor knows it, too, and what runs beside the workers has been started."""
        try:
            status = ask(Path(self.settings["control"]["socket"]), {"do": "status"}, timeout_s=20)
        except (NotRunningError, OSError):
            return False
        # Who watches is begun long after mail flows.
        beside = [each["state"] for name, each in status["companions"].items() if name != "watch"]
        return status["is_up"] and "waiting" not in beside

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def worker_pids(self) -> list[int]:
        """Of the relay's workers; what runs beside them is left out."""
        return [pid for pid in children(self.pid) if "_worker" in command_line(pid)]

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def stop(self, timeout_s: float = 60) -> int:
        """End it by SIGTERM, by SIGKILL if that doesn't help; returns its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return int(self._process.returncode)

    def kill(self) -> None:
        """SIGKILL to the supervisor and all its workers at once, as when the machine dies."""
        assert self._process is not None
        leader = self._process.pid
        if self._process.poll() is None:
            os.kill(leader, signal.SIGSTOP)  # it may be about to start another worker
            wait_until(lambda: state(leader) in ("T", "Z"), 60, "a stopped supervisor")
        victims = session(leader)
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(60)
        wait_until(lambda: not any(is_alive(pid) for pid in victims), 60, "the end of killed processes")

    def kill_worker(self, pid: int) -> None:
        """SIGKILL to one worker; the supervisor starts another."""
        os.kill(pid, signal.SIGKILL)

    def kill_supervisor(self) -> list[int]:
        """SIGKILL to the supervisor alone; returns the workers that it leaves behind."""
        assert self._process is not None
        workers = self.worker_pids()
        self._process.kill()
        self._process.wait(60)
        return workers

    def clean_up(self) -> None:
        """Stop it, and take away its socket's folder."""
        self.stop()
        shutil.rmtree(self._short_folder, ignore_errors=True)

    # --- what it says ---

    def events(self, *actions: str) -> list[dict[str, Any]]:
        """Log events so far, in each file's order; all of them, or those with one of these actions."""
        for path in sorted((self.folder / "log").glob("*.log")):
            with path.open("rb") as file:
                file.seek(self._read_up_to.get(path, 0))
                whole_lines = file.read().rpartition(b"\n")[0]
            if whole_lines:
                self._read_up_to[path] = self._read_up_to.get(path, 0) + len(whole_lines) + 1
                self._events += [json.loads(line) for line in whole_lines.splitlines() if line.startswith(b"{")]
        return [event for event in self._events if not actions or event["action"] in actions]

    def unsettled(self) -> set[tuple[str, str]]:
        """Recipients of accepted messages, and of our own, of which the log tells no final state yet.

        As (queue id, address).
        """
        queued, settled = set[tuple[str, str]](), set[tuple[str, str]]()
        for event in self.events(*_QUEUED, "delivered", "failed", "dropped"):
            queue_id, addresses = _QUEUED.get(event["action"], ("queue_id", "recipients"))
            pairs = {(event[queue_id], address) for address in event[addresses].split(",")}
            (queued if event["action"] in _QUEUED else settled).update(pairs)
        return queued - settled

    def wait_until_settled(self, queue_id: str = "", timeout_s: float = 60) -> None:
        """Until every recipient of that message, or of all messages, is delivered, bounced or dropped."""

        def settled() -> bool:
            if queue_id and not any(event["queue_id"] == queue_id for event in self.events("accepted")):
                return False
            return not any(queue_id in ("", waiting) for waiting, _ in self.unsettled())

        wait_until(settled, timeout_s, lambda: f"final states of {self.unsettled()}")

    def wait_for_event(self, action: str, timeout_s: float = 60, **fields: object) -> dict[str, Any]:
        """The first event with that action and these field values."""

        def found() -> dict[str, Any] | None:
            for event in self.events(action):
                if all(event.get(name) == value for name, value in fields.items()):
                    return event
            return None

        event = wait_until(found, timeout_s, lambda: f"{action} {fields} in the log; output: {self.output()[-2000:]}")
        assert event is not None
        return event

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `stampline ARGUMENTS --config …`."""
        command = [sys.executable, "-m", "mta", *arguments, "--config", str(self.configuration)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def cli_here(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """As `cli`, in this process: for what is asked often, where a process of its own would show nothing more."""
        written, complained = io.BytesIO(), io.BytesIO()
        # As a terminal's, which tells commands what it can show.
        output, errors = (io.TextIOWrapper(raw, encoding="utf-8", write_through=True) for raw in (written, complained))
        with redirect_stdout(output), redirect_stderr(errors):
            try:
                code = main([*arguments, "--config", str(self.configuration)])
            except SystemExit as exc:  # so argparse ends
                code = int(exc.code or 0)
        said, lamented = written.getvalue().decode(), complained.getvalue().decode()
        if check and code != 0:
            raise AssertionError(f"{arguments} ended with {code}: {said}{lamented}")
        return subprocess.CompletedProcess(arguments, code, said, lamented)


@contextmanager
def running_relay(
    folder: Path,
    next_hop_port: int,
    *,
    rules: str = "rules: []\n",
    templates: Mapping[str, tuple[str, str]] | None = None,
    environment: Mapping[str, str] | None = None,
    **overrides: Any,
) -> Iterator[Relay]:
    """A relay with these rules and templates (name → HTML, plain), started, and ended afterwards."""
    relay = Relay(folder, next_hop_port, **overrides)
    try:
        relay.write_rules(rules)
        for name, (html, plain) in (templates or {}).items():
            relay.write_template(name, html, plain)
        relay.start(**(environment or {}))
        yield relay
    finally:
        relay.clean_up()
