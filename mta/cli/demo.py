"""`stampline demo`: the relay on its embedded defaults, a handful of real messages, and who got what."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosmtplib
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mta.adapters.directory import open_directory
from mta.cli.command import CommandFailedError, ExitCode, bad_configuration, new_parser, print_table
from mta.cli.demo_checks import Copy, faults, find_copies, read_events, treatments
from mta.cli.demo_messages import DemoMessage, demo_messages
from mta.cli.demo_sent_items import SentFolder, is_stamped, item_faults, settled
from mta.cli.demo_tracking import Desk, converse, make_mailbox
from mta.config.delivery_schema import MaildirHop
from mta.config.listener_schema import Listener
from mta.config.load import examine_configuration
from mta.config.problems import ConfigurationError
from mta.config.schema import Configuration
from mta.config.tracking_schema import MaildirMailbox

SENDER = "jane.doe@example.com"
COLLEAGUE = "john.roe@example.com"
CUSTOMERS = ("buyer@customer.example", "office@partner.example", "archive@auditor.example")
READY_S = 60.0
ARRIVAL_S = 60.0
SENT_ITEMS_S = 60.0
_POLL_S = 0.05


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "demo", "show the relay at work on sample mail",
        "Start the relay on a demonstration's configuration, send it a handful of messages, wait until all have\n"
        "arrived in its Maildirs, and show who got which copy by which rule. Begins with a fresh var/ folder.",
    )  # fmt: skip
    parser.add_argument("--serve", action="store_true", help="only serve that configuration, until Ctrl-C")
    parser.set_defaults(run=run, config=Path("conf/demo.yaml"))


def run(arguments: argparse.Namespace) -> int:
    path: Path = arguments.config.absolute()
    configuration = _read(path)
    var = _own_folder(path, configuration)
    for listener in configuration.listeners:
        if _greets(listener):
            raise CommandFailedError(f"{listener.address} port {listener.port} is served already; stop that first")
    if arguments.serve:
        _make_secrets(configuration)
        for listener in configuration.listeners:
            print(f"{listener.role} mail: {listener.address} port {listener.port}")
        print(f"It arrives under {var}. Ctrl-C ends.", flush=True)
        os.execv(sys.executable, _command(path))  # noqa: S606 - no shell, our own program
    shutil.rmtree(var, ignore_errors=True)
    _make_secrets(configuration)
    make_mailbox(configuration)
    with _relay(path, var, configuration.listeners):
        return asyncio.run(_show(configuration, path, var))


def _read(path: Path) -> Configuration:
    try:
        # Secrets that aren't there yet are problems to `load_configuration`; here they are about to be made.
        return examine_configuration(path)[0].value
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc


def _own_folder(path: Path, configuration: Configuration) -> Path:
    """The folder `var` beside the configuration's, which the demonstration empties: everything must lie in it."""
    var = path.parent.parent / "var"
    hops = [hop.folder for hop in configuration.next_hops if isinstance(hop, MaildirHop)]
    sent = SentFolder.of(configuration)
    mailboxes = [Path(sent.mailboxes)] if sent is not None else []
    for organisation in configuration.every_organisation:
        tracked = organisation.tracking.mailboxes if organisation.tracking is not None else ()
        mailboxes += [mailbox.path for mailbox in tracked if isinstance(mailbox, MaildirMailbox)]
    for folder in (configuration.spool.folder, configuration.logs.folder, configuration.control.socket, *hops,
                   *mailboxes):  # fmt: skip
        if not folder.is_relative_to(var):
            raise CommandFailedError(f"{folder} is not in {var}: this is no configuration for demonstrations")
    return var


def _make_secrets(configuration: Configuration) -> None:
    """Keys of mark, tracking and DKIM where there are none yet."""
    (organisation,) = configuration.every_organisation
    wanted = [(key.file, secrets.token_hex(32).encode()) for key in organisation.mark.keys]
    tracking = organisation.tracking.keys if organisation.tracking is not None else ()
    wanted += [(key.file, secrets.token_hex(32).encode()) for key in tracking]
    wanted += [(entry.key.file, b"") for entry in organisation.dkim]
    for path, content in wanted:
        if path is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(0o600)
            path.write_bytes(content or _rsa_key())


def _rsa_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, kind, serialization.NoEncryption())


def _greets(listener: Listener) -> bool:
    try:
        with socket.create_connection((listener.address, listener.port), timeout=2) as connection:
            return connection.recv(512).startswith(b"220")
    except OSError:
        return False


def _command(path: Path) -> list[str]:
    return [sys.executable, "-m", "mta", "serve", "--config", str(path)]


@contextmanager
def _relay(path: Path, var: Path, listeners: Sequence[Listener]) -> Iterator[None]:
    """The relay as a process of its own, ready to receive; ended afterwards."""
    output = var / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(_command(path), stdout=file, stderr=file, stdin=subprocess.DEVNULL)  # noqa: S603
    try:
        deadline = time.monotonic() + READY_S
        while not all(_greets(listener) for listener in listeners):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailedError(f"the relay did not start:\n{output.read_text(errors='replace')}")
            time.sleep(_POLL_S)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(READY_S)
        except subprocess.TimeoutExpired:
            process.kill()


@dataclass(frozen=True, slots=True)
class _Sent:
    message: DemoMessage
    queue_id: str


async def _show(configuration: Configuration, path: Path, var: Path) -> int:
    person = (await open_directory(configuration.every_organisation[0].directory).people([SENDER]))[SENDER]
    name, signature = person.attributes["displayName"], person.attributes["telephoneNumber"]
    messages = demo_messages(SENDER, name, colleague=COLLEAGUE, customers=CUSTOMERS)
    sent_folder = SentFolder.of(configuration)
    for message in messages:
        if sent_folder is not None and not message.from_outside:
            sent_folder.keep(message)
    sent = await _send(messages, configuration.listeners)
    print(
        f"{len(sent)} messages sent, for {sum(len(m.envelope_recipients) for m in messages)} recipients\n", flush=True
    )
    folder = next(hop.folder for hop in configuration.next_hops if isinstance(hop, MaildirHop))
    copies = await _arrivals(messages, folder)
    trouble = _report(sent, copies, configuration, signature)
    if sent_folder is not None:
        trouble += await _report_sent_items(sent, sent_folder, configuration, signature)
    desk = Desk.of(configuration, path, Path(str(folder).partition("{")[0]))
    if desk is not None:
        rows, faults_of_it = await converse(desk)
        trouble += faults_of_it
        print()
        print_table(["conversation", "became", "by", "record"], rows)
    if not trouble:
        print(f"\nAll as it should be. The messages lie in {var}; the log in {configuration.logs.folder}.")
        return ExitCode.OK
    print("\nNot as it should be:", *trouble, "", *_tail(configuration.logs.folder), sep="\n", file=sys.stderr)
    return ExitCode.FAILED


async def _send(messages: Sequence[DemoMessage], listeners: Sequence[Listener]) -> list[_Sent]:
    """Each by the listener that it belongs to: our own mail by the trusted one, strangers' by the inbound one."""
    sent = []
    try:
        for message in messages:
            role = "inbound" if message.from_outside else "trusted"
            listener = next(listener for listener in listeners if listener.role == role)
            async with aiosmtplib.SMTP(hostname=listener.address, port=listener.port, start_tls=False) as client:
                _, reply = await client.sendmail(message.sender, list(message.envelope_recipients), message.content)
            sent.append(_Sent(message, reply.split()[-1]))
    except aiosmtplib.SMTPException as exc:
        raise CommandFailedError(f"the relay refused a message: {exc}") from exc
    return sent


async def _arrivals(messages: Sequence[DemoMessage], folder: Path) -> dict[str, dict[str, list[Copy]]]:
    """Copies by Message-ID and recipient, once every recipient has one, or what there is when time is up."""
    deadline = time.monotonic() + ARRIVAL_S
    while True:
        found = {message.message_id: find_copies(folder, message) for message in messages}
        complete = all(len(found[m.message_id]) == len(m.envelope_recipients) for m in messages)
        if complete or time.monotonic() > deadline:
            return found
        await asyncio.sleep(_POLL_S)


def _report(
    sent: Sequence[_Sent], copies: dict[str, dict[str, list[Copy]]], configuration: Configuration, signature: str
) -> list[str]:
    """Print the table; return everything that is wrong."""
    events = read_events(configuration.logs.folder)
    domain = SENDER.partition("@")[2]
    rows, trouble = [], []
    for each in sent:
        message = each.message
        decided = treatments(events, each.queue_id)
        for recipient in message.envelope_recipients:
            arrived = copies[message.message_id].get(recipient, [])
            treatment = decided.get(recipient)
            where = f"{message.what}, {recipient}"
            if len(arrived) != 1 or treatment is None:
                trouble.append(
                    f"{where}: {len(arrived)} copies, {'no ' if treatment is None else ''}decision in the log"
                )
                continue
            wrong = faults(arrived[0], treatment, signature=signature, signed_by=domain)
            trouble += [f"{where}: {fault}" for fault in wrong]
            shown = recipient + (" (hidden)" if recipient in message.hidden else "")
            actions = ", ".join(treatment.actions) or f"as it was: {treatment.withheld or 'no rule'}"
            rules = ", ".join(treatment.rules) or "none"
            rows.append([message.what, shown, f"{treatment.group + 1}", actions, rules, _short(arrived[0].path)])
        if len({treatment.group for treatment in decided.values()}) < 2 and message.hidden:
            trouble.append(f"{message.what}: all recipients got the same copy")
    print_table(["message", "recipient", "copy", "treatment", "rules", "file"], rows)
    return trouble


async def _report_sent_items(
    sent: Sequence[_Sent], folder: SentFolder, configuration: Configuration, signature: str
) -> list[str]:
    """Print what the sender finds in Sent Items; return everything that is wrong."""
    events = read_events(configuration.logs.folder)
    ours = [each for each in sent if not each.message.from_outside]
    stamped = {each.queue_id for each in ours if is_stamped(treatments(events, each.queue_id))}
    await settled(folder, [each.message for each in ours if each.queue_id in stamped], within_s=SENT_ITEMS_S)
    rows, trouble = [], []
    for each in ours:
        wrong = list(item_faults(folder, each.message, signature, stamped=each.queue_id in stamped))
        trouble += [f"{each.message.what}: {fault}" for fault in wrong]
        found = ", ".join(map(_short, folder.items(each.message)))
        what = (
            "what the customer received" if each.queue_id in stamped else "what the sender wrote: nothing was changed"
        )
        rows.append([each.message.what, each.message.sender, "WRONG" if wrong else what, found])
    print()
    print_table(["message", "sender", "in Sent Items", "file"], rows)
    return trouble


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _tail(folder: Path) -> list[str]:
    lines = [line for path in sorted(folder.glob("*.log")) for line in path.read_text(errors="replace").splitlines()]
    return ["the log's last lines:", *lines[-25:]]
