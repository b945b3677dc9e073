"""A relay whose people are in Active Directory, and what becomes of its mail while no server answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.contract.directories import LDIF, PHOTO
from tests.servers.client import Answer, send
from tests.servers.load import simple_message
from tests.servers.relay import Relay
from tests.servers.samba import ACCOUNT, ACCOUNT_PASSWORD, BASE, Samba, running_samba
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]  # the first one makes a domain
RULES = """\
rules:
  - name: needs-an-answer
    when: {all: [{subject: {phrase: important}}, {sender: {group: Company}}]}
    on_error: defer
    actions: [{stamp: {template: signature}}]
  - name: signature
    direction: outbound
    actions: [{stamp: {template: signature}}]
  - name: needs-nobody
    actions: [{set-header: {name: X-Seen, value: 'yes'}}]
"""
BUYER = "buyer@customer.example"
TEMPLATES = {"signature": ("<p>{{ sender.displayName }}</p>\n", "Regards from {{ sender.displayName }}\n")}


@pytest.fixture(scope="module")
def samba(samba_domain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    with running_samba(samba_domain, tmp_path_factory.mktemp("dc") / "dc") as server:
        server.add(LDIF)
        yield server


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@pytest.fixture
def relay(samba: Samba, sink: Sink, tmp_path: Path) -> Iterator[Relay]:
    """Not started yet, as the server isn't."""
    made = Relay(tmp_path / "relay", sink.port)
    made.settings["organisation"]["directory"] = ldap(samba, made.folder)
    made.write_settings()
    made.write_rules(RULES)
    for name, (html, plain) in TEMPLATES.items():
        made.write_template(name, html, plain)
    yield made
    made.clean_up()


def ldap(samba: Samba, folder: Path) -> dict[str, Any]:
    (folder / "password").write_text(ACCOUNT_PASSWORD)
    return {
        "kind": "ldap",
        "servers": [{"host": samba.address}],
        "tls": {"ca_file": str(samba.ca_file)},
        "bind_dn": ACCOUNT,
        "password": {"file": "password"},
        "retry_after": "1s",
        "cache": {"ttl": "1s", "unknown_ttl": "1s", "wait": "20s"},
    }


def mail(relay: Relay, name: str, sender: str, subject: str = "Hello") -> Answer:
    content = simple_message(name, sender=sender, to=BUYER, subject=subject)
    return send(relay.port, sender, [BUYER], content)


def delivered(relay: Relay, sink: Sink, name: str, sender: str) -> str:
    """Sends a message, and returns it as it arrived."""
    assert mail(relay, name, sender).code == 250
    return sink.wait_for_message(f"<{name}@mail.example.com>".encode()).data.decode()


def test_mail_flows_with_and_without_the_directory(relay: Relay, samba: Samba, sink: Sink) -> None:
    samba.start()
    relay.start()
    assert "Regards from Jane Döe" in delivered(relay, sink, "fresh", "jane@example.com")

    samba.stop()
    # What is known is used past its time.
    numbers = count()
    while not relay.events("directory-stale"):
        assert "Regards from Jane Döe" in delivered(relay, sink, f"stale{next(numbers)}", "jane@example.com")
    assert len(relay.events("directory-down")) == 1
    # Of the chief nothing is known: the signature fails open, the rule that needs nobody holds.
    unstamped = delivered(relay, sink, "unknown", "chief@example.com")
    assert "Regards from" not in unstamped
    assert "X-Seen: yes" in unstamped
    # One rule asks for the sender's group, and says that mail had better wait.
    answer = mail(relay, "waiting", "chief@example.com", subject="Important")
    assert (answer.code, answer.text[:5]) == (451, "4.3.0")
    failed = relay.wait_for_event("rule-failed", rule="needs-an-answer")
    assert failed["outcome"] == "defer"

    samba.start()
    while not relay.events("directory-up"):
        assert "Regards from Jane Döe" in delivered(relay, sink, f"back{next(numbers)}", "jane@example.com")
    assert "Regards from Chief" in delivered(relay, sink, "known", "chief@example.com")


def test_the_relay_starts_without_its_directory_and_finds_it_later(relay: Relay, samba: Samba, sink: Sink) -> None:
    samba.stop()
    relay.start()
    assert "Regards from" not in delivered(relay, sink, "early", "jane@example.com")
    samba.start()
    numbers = count()
    wait_until(
        lambda: "Regards from Jane" in delivered(relay, sink, f"later{next(numbers)}", "jane@example.com"),
        60, "a stamped message",
    )  # fmt: skip


def test_a_reload_keeps_what_is_known(relay: Relay, samba: Samba, sink: Sink) -> None:
    samba.start()
    relay.start()
    assert "Regards from Jane Döe" in delivered(relay, sink, "before", "jane@example.com")
    samba.stop()
    relay.write_rules(RULES + "  - name: more\n    actions: [{set-header: {name: X-More, value: 'yes'}}]\n")
    relay.reload()
    relay.wait_for_event("reloaded")
    after = delivered(relay, sink, "after", "jane@example.com")
    assert "Regards from Jane Döe" in after
    assert "X-More: yes" in after


def test_check_asks_the_servers_and_knows_their_groups(relay: Relay, samba: Samba) -> None:
    samba.start()
    relay.write_rules(RULES.replace("group: Company", "group: Compny"))
    done = relay.cli("check", "--json")
    answer = json.loads(done.stdout)
    (warning,) = answer["warnings"]
    assert (Path(warning["file"]).name, warning["line"]) == ("10-test.yaml", 3)
    assert "Compny" in warning["what"]
    assert "company" in warning["mend"]
    relay.write_rules(RULES)
    assert json.loads(relay.cli_here("check", "--json").stdout)["warnings"] == []


def test_check_warns_of_servers_that_do_not_answer_and_of_passwords(relay: Relay, samba: Samba) -> None:
    samba.stop()
    done = relay.cli_here("check")
    assert f"warning: {relay.configuration}:" in done.stdout
    assert f"{samba.address}:636: cannot connect: " in done.stdout
    assert "\nok: 3 rules, 1 templates" in done.stdout
    samba.start()
    (relay.folder / "password").write_text("wrong")
    assert f"{samba.address}:636: bind refused: wrong" in relay.cli_here("check").stdout
    (relay.folder / "password").write_text(ACCOUNT_PASSWORD)
    relay.settings["organisation"]["directory"]["bases"] = [f"OU=Nowhere,{BASE}"]
    relay.write_settings()
    assert f"there is no OU=Nowhere,{BASE}, or the account may not read it" in relay.cli_here("check").stdout


def test_show_and_report(relay: Relay, samba: Samba) -> None:
    samba.start()
    shown = json.loads(relay.cli_here("directory", "show", "jane@example.com", "--json").stdout)
    assert (shown["address"], shown["kind"], shown["manager"]) == ("jane.doe@example.com", "person", "boss@example.com")
    assert {"company", "ring", "sales"} <= set(shown["groups"])
    assert shown["photo_octets"] == len(PHOTO)
    assert shown["source"] == f"ldap {samba.address}"
    relay.write_template(
        "signature", "<p>{{ sender.title }} {{ manager.displayName }}</p>\n", "{{ sender.department }}\n"
    )
    done = relay.cli_here("directory", "report", "--json", check=False)
    assert done.returncode == 1, done.stderr
    (report,) = json.loads(done.stdout)["organisations"]
    assert report["lacking"] == {
        "boss@example.com": ["sender.department", "sender.title"],
        "chief@example.com": ["manager.displayName", "sender.department", "sender.title"],
        "jane.doe@example.com": ["sender.title"],
    }
    assert (report["people"], report["left_out"]) == (3, 3)
    assert report["fields"][0] == {
        "name": "sender.title", "lacked_by": 3, "templates": ["signature"], "rules": ["needs-an-answer", "signature"],
    }  # fmt: skip
    samba.stop()
    for command in (("show", "jane@example.com"), ("report",)):
        done = relay.cli_here("directory", *command, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert "the directory does not answer; `stampline check` says why" in done.stderr


def test_check_online_tries_the_directory(relay: Relay, samba: Samba) -> None:
    def check() -> tuple[int, list[str]]:
        done = relay.cli_here("check", "--online", "--only", "directory", "--json", check=False)
        (probe,) = json.loads(done.stdout)["online"]
        return done.returncode, [f"{line['status']}: {line['what']}" for line in probe["lines"]]

    samba.start()
    code, lines = check()
    assert code == 0, lines
    assert lines[0] == f"ok: {samba.address}:636 lets {ACCOUNT} in, and has what we look in"
    assert lines[1].endswith("groups can be read")
    assert lines[2].startswith("ok: it has people, and finds them by address")
    (relay.folder / "password").write_text("not the password")
    code, lines = check()
    assert code == 1
    assert len(lines) == 1, "another bind would bring the account nearer to being locked"
    assert lines[0].startswith(f"failed: {samba.address}:636: ")
    samba.stop()
    code, lines = check()
    assert code == 1
    assert len(lines) == 1
