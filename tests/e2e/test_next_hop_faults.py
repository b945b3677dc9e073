"""What a next hop can do wrong, each once: who is tried again, who is told, and what the log says of it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.servers.client import send
from tests.servers.faulty_hop import Behaviour, Conversation, faulty_hop
from tests.servers.load import simple_message
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port

TLS_FAULTS = ("tls-missing", "tls-reset", "tls-wrong-name", "tls-expired", "tls-stranger")


def _silent(hop: Conversation) -> None:
    hop.wait()


def _bare_close(hop: Conversation) -> None:
    hop.close()


def _refusing_greeting(hop: Conversation) -> None:
    hop.say("554 5.7.1 no service for you")


def _busy_greeting(hop: Conversation) -> None:
    hop.say("421 4.3.2 shutting down")


def _nonsense(hop: Conversation) -> None:
    hop.greet("PIPELINING")
    hop.hear()
    hop.raw(b"\x00\xff\xfe what is this\r\n" * 3)
    hop.wait()


def _endless_line(hop: Conversation) -> None:
    hop.say("220 faulty.example")
    hop.hear()
    for _ in range(200):
        hop.raw(b"250-" + b"x" * 100_000)


def _endless_reply(hop: Conversation) -> None:
    hop.say("220 faulty.example")
    hop.hear()
    for _ in range(100_000):
        hop.raw(b"250-again\r\n" * 100)


def _busy_at_mail(hop: Conversation) -> None:
    hop.greet()
    hop.take(MAIL="421 4.3.2 going down")


def _no_354(hop: Conversation) -> None:
    hop.greet()
    hop.take(DATA="250 2.0.0 what data")


def _reset_in_data(hop: Conversation) -> None:
    hop.greet()
    for reply in ("250 ok", "250 ok", "354 go on"):
        hop.hear()
        hop.say(reply)
    hop.hear()
    hop.reset()


def _dropping_after_the_dot(hop: Conversation) -> None:
    hop.greet()
    for reply in ("250 ok", "250 ok", "354 go on"):
        hop.hear()
        hop.say(reply)
    while hop.hear() != ".":
        pass
    hop.close()


def _busy_after_the_dot(hop: Conversation) -> None:
    hop.greet()
    hop.take(dot="452 4.3.1 disk full")


def _refusing_after_the_dot(hop: Conversation) -> None:
    hop.greet()
    hop.take(dot="554 5.7.1 looks like spam")


def _no_starttls(hop: Conversation) -> None:
    hop.greet("PIPELINING")
    hop.wait()


def _reset_in_handshake(hop: Conversation) -> None:
    hop.greet("STARTTLS")
    hop.hear()
    hop.say("220 go on")
    hop.reset()


def _tls(context: ssl.SSLContext) -> Behaviour:
    def behave(hop: Conversation) -> None:
        hop.greet("STARTTLS")
        hop.start_tls(context)
        hop.hear()
        hop.say("250 faulty.example")
        hop.take()

    return behave


def _refuse_one(verb: str, argument: str) -> str | None:
    return "550 5.1.1 nobody here" if verb == "RCPT" and argument.startswith("r7@") else None


@dataclass(frozen=True, slots=True)
class Case:
    """One fault: how the next hop behaves (None: nobody listens), and what the log has to say of it."""

    name: str
    behave: Behaviour | None
    says: str
    action: str = "deferred"


CASES = (
    Case("not-there", None, "Connection refused"),
    Case("silent", _silent, "Timed out waiting for the greeting"),
    Case("bare-close", _bare_close, "lost while waiting for the greeting"),
    Case("greeting-554", _refusing_greeting, "no service for you"),
    Case("greeting-421", _busy_greeting, "shutting down"),
    Case("nonsense", _nonsense, "without a reply code"),
    Case("endless-line", _endless_line, "line is too long"),
    Case("endless-reply", _endless_reply, "too many lines"),
    Case("mail-421", _busy_at_mail, "going down"),
    Case("no-354", _no_354, "250 to DATA"),
    Case("data-reset", _reset_in_data, "lost while waiting for the reply to the end of the message"),
    Case("dropped-after-dot", _dropping_after_the_dot, "lost while waiting for the reply to the end"),
    Case("dot-452", _busy_after_the_dot, "disk full"),
    Case("dot-554", _refusing_after_the_dot, "looks like spam", "failed"),
)


@dataclass(frozen=True, slots=True)
class Site:
    relay: Relay
    sink: Sink


def _contexts(folder: Path) -> dict[str, ssl.SSLContext]:
    """By fault; the relay trusts the authority in `folder`/ca.pem."""
    ours, strangers = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(folder / "ca.pem")
    long_ago = datetime.now(UTC) - timedelta(days=2)
    certificates = {
        "tls-wrong-name": ours.issue_cert("elsewhere.example"),
        "tls-expired": ours.issue_cert("hop.example", not_after=long_ago, not_before=long_ago - timedelta(days=9)),
        "tls-stranger": strangers.issue_cert("hop.example"),
    }
    contexts = {}
    for name, certificate in certificates.items():
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(contexts[name])
    return contexts


def _hop(name: str, port: int, **settings: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "smtp",
        "hosts": [{"host": "127.0.0.1", "port": port}],
        "tls": {"mode": "none"},
        **settings,
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One relay beside one good next hop and all the faulty ones; what is deferred is not tried again here."""
    folder = tmp_path_factory.mktemp("hops")
    contexts = _contexts(folder)
    tls: dict[str, Behaviour] = {"tls-missing": _no_starttls, "tls-reset": _reset_in_handshake}
    tls |= {name: _tls(context) for name, context in contexts.items()}
    verified = {"mode": "required", "ca_file": str(folder / "ca.pem"), "verify_name": "hop.example"}
    with ExitStack() as stack:
        sink = stack.enter_context(Sink(_refuse_one))
        hops = [_hop("out", sink.port)]
        for case in CASES:
            port = free_port() if case.behave is None else stack.enter_context(faulty_hop(case.behave))
            hops.append(_hop(case.name, port, **({"reply_timeout": "2s"} if case.behave is _silent else {})))
        for name, behave in tls.items():
            hops.append(_hop(name, stack.enter_context(faulty_hop(behave)), tls=verified))
        domains = {f"{hop['name']}.example": hop["name"] for hop in hops[1:]}
        relay = stack.enter_context(
            running_relay(
                folder / "relay", sink.port, next_hops=hops, routing={"default": "out", "domains": domains},
                retry={"schedule": ["1h"], "expire_after": "2d"},
            )
        )  # fmt: skip
        for name in (*(case.name for case in CASES), *TLS_FAULTS):
            send(relay.port, "jane@example.com", [f"r@{name}.example"], simple_message(name))
        yield Site(relay, sink)


def _event(site: Site, case: Case) -> dict[str, Any]:
    return site.relay.wait_for_event(case.action, 60, recipients=f"r@{case.name}.example")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_fault_has_its_outcome_and_its_line(site: Site, case: Case) -> None:
    event = _event(site, case)
    assert case.says in event["reply"], event
    assert event["next_hop"] == case.name
    if case.action == "deferred":
        assert event["reply"][0] == "4" or case.name == "greeting-554", event
        assert event["due_at"] > event["time"][:19]
    else:
        report = site.sink.wait_for_message(case.says.encode())
        assert report.rcpt_to == ("jane@example.com",)
        assert b"report-type=delivery-status" in report.data


def test_the_queue_keeps_what_was_deferred_and_why(site: Site) -> None:
    deferred = [case for case in CASES if case.action == "deferred"]
    replies = {_event(site, case)["queue_id"]: case.says for case in deferred}
    entries = {entry["queue_id"]: entry for entry in json.loads(site.relay.cli_here("queue", "list", "--json").stdout)}
    for queue_id, says in replies.items():
        (recipient,) = entries[queue_id]["recipients"]
        assert says in recipient["last_reply"]


@pytest.mark.parametrize("name", TLS_FAULTS)
def test_what_must_be_sent_by_tls_waits_where_that_is_broken(site: Site, name: str) -> None:
    event = _event(site, Case(name, None, ""))
    assert event["reply"][0] == "4", event
    words = {
        "tls-missing": "TLS", "tls-reset": "TLS", "tls-wrong-name": "ertificate", "tls-expired": "expired",
        "tls-stranger": "ertificate",
    }  # fmt: skip
    assert words[name] in event["reply"], event


def test_nobody_else_is_held_up(site: Site) -> None:
    answer = send(site.relay.port, "jane@example.com", ["r@customer.example"], simple_message("unharmed"))
    site.sink.wait_for_message(b"<unharmed@", 60)
    site.relay.wait_until_settled(answer.queue_id)
    assert site.relay.events("internal-error") == []


def test_one_of_many_is_refused_and_only_that_one_is_told(site: Site) -> None:
    everybody = [f"r{number}@customer.example" for number in range(20)]
    answer = send(site.relay.port, "jane@example.com", everybody, simple_message("many"))
    site.relay.wait_until_settled(answer.queue_id)
    report = site.sink.wait_for_message(b"r7@customer.example")
    (copy,) = [a for a in site.sink.arrived if b"<many@" in a.data and a.mail_from]
    assert set(copy.rcpt_to) == set(everybody) - {"r7@customer.example"}
    assert report.data.count(b"Final-Recipient") == 1
