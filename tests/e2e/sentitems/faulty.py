"""A relay whose mailbox servers get into trouble, and a clock that tests set ahead instead of waiting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.e2e.sentitems.mailboxes import RULES, STAMP, TEMPLATES, counts, message, sent_items, submit
from tests.peers.ews import EwsServer, PeerItem, ews_server
from tests.servers import shifted_clock
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

PASSWORD = "the account's secret"
_numbers = count(1)


@dataclass
class Clock:
    """The wall clock of a relay that was started with `environment`."""

    file: Path
    ahead_s: float = 0

    def __post_init__(self) -> None:
        self.file.write_text("0")

    @property
    def environment(self) -> dict[str, str]:
        return {"SHIFTED_CLOCK": str(self.file), "PYTHONPATH": str(Path(shifted_clock.__path__[0]))}

    def forward(self, seconds: float) -> None:
        self.ahead_s += seconds
        fresh = self.file.with_suffix(".new")
        fresh.write_text(str(self.ahead_s))
        fresh.replace(self.file)


@dataclass
class Exchanges:
    """One Exchange that the relay takes for several: the mailboxes of server `x` are `x-1@example.com` and so on."""

    relay: Relay
    exchange: EwsServer
    clock: Clock
    folder: Path
    sent: dict[str, str] = field(default_factory=dict)
    """Mailbox by Message-ID."""

    def mailbox(self, server: str) -> str:
        address = f"{server}-{next(_numbers)}@example.com"
        self.exchange.add_mailbox(address)
        return address

    def mailboxes(self, server: str, how_many: int) -> list[str]:
        return [self.mailbox(server) for _ in range(how_many)]

    def send(self, mailbox: str, *, is_kept: bool = True) -> str:
        """A message through the relay, and the sender's own item; gives the Message-ID."""
        name = f"<{next(_numbers)}.faults@example.com>"
        content = message(name, mailbox)
        if is_kept:
            self.exchange.add_item(mailbox, content)
        self.sent[name] = mailbox
        submit(self.relay, content, sender=mailbox)
        return name

    def items(self, name: str) -> list[PeerItem]:
        return [item for item in self.exchange.items(self.sent[name], "sentitems") if item.message_id == name]

    def is_stamped(self, name: str) -> bool:
        items = self.items(name)
        return len(items) == 1 and is_stamped(items[0])

    def is_as_it_was(self, name: str) -> bool:
        items = self.items(name)
        return len(items) == 1 and not is_stamped(items[0])

    def until_stamped(self, *names: str) -> None:
        wait_until(
            lambda: all(self.is_stamped(name) for name in names), 60, lambda: f"stamped items: {counts(self.relay)}"
        )

    def until_told(self, name: str, state: str, reason: str) -> dict[str, Any]:
        return self.relay.wait_for_event("sent-item", message_id=name, state=state, reason=reason)

    def requests(self, *mailboxes: str) -> list[tuple[str, float, float]]:
        """Those for these mailboxes so far: operation, when it came, when it was answered."""
        return [
            (entry.operation, entry.at, entry.ended_at)
            for entry in self.exchange.log()
            if not mailboxes or entry.mailbox in mailboxes
        ]


def is_stamped(item: PeerItem) -> bool:
    return STAMP in f"{item.html}{item.text}"


def account_of(server: str) -> str:
    return f"EXAMPLE\\{server}"


@contextmanager
def exchanges(folder: Path, servers: Sequence[str], **more: Any) -> Iterator[Exchanges]:
    """Each of the servers with an account of its own, which is locked after four wrong passwords."""
    clock = Clock(folder / "shift")
    with ews_server() as exchange, Sink() as sink:
        settings = []
        for name in servers:
            exchange.add_account(account_of(name), PASSWORD, impersonates=["*@example.com"], locks_after=4)
            (folder / name).write_text(PASSWORD)
            settings.append({
                "name": name, "kind": "ews", "url": exchange.url, "sign_in": "basic", "user": account_of(name),
                "password": {"file": str(folder / name)}, "tls": {"ca_file": str(exchange.ca_file)},
                "serves": {"addresses": [f"{name}-*@example.com"]}, "timeout": "10s",
            })  # fmt: skip
        with running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, environment=clock.environment,
            organisation=sent_items(*settings), alerts={"look_every": "1s"}, **more,
        ) as relay:  # fmt: skip
            site = Exchanges(relay, exchange, clock, folder)
            yield site
            assert not relay.events("internal-error")
            logs = (relay.folder / "log").glob("*.log")
            assert all(PASSWORD not in path.read_text() for path in logs)
