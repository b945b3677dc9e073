"""Outgoing accounts at a real Postfix that asks a real Dovecot for passwords: TLS, AUTH, refusals, sizes, sessions."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from mta.adapters.outgoing import open_account
from mta.config.tracking_schema import SmtpAccount
from mta.ports.outgoing import MailAccount, OutgoingMail, Sent
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError
from tests.servers.dovecot import PASSWORD, missing, running_dovecot
from tests.servers.postfix import Postfix, running_postfix
from tests.servers.postfix import missing as postfix_missing
from tests.servers.sink import Sink
from tests.servers.wait import free_port, wait_until

DESK, BOB, GREY, GONE = "desk@example.com", "bob@example.net", "grey@example.net", "gone@example.net"
LARGEST = 50_000
_WHY_NOT = missing() or postfix_missing()

if _WHY_NOT and "CI" not in os.environ:
    pytest.skip(_WHY_NOT, allow_module_level=True)


@dataclass(frozen=True)
class Place:
    postfix: Postfix
    implicit: int
    """The port with TLS from the first octet."""
    expired: int
    """The same, with a certificate whose time is over."""
    sink: Sink
    folder: Path

    def open(self, port: int = 0, **more: Any) -> MailAccount:
        tls = {"mode": "implicit" if port in (self.implicit, self.expired) else "starttls", **more.pop("tls", {})}
        said = {
            "kind": "smtp", "name": "post", "host": "localhost", "port": port or self.postfix.port, "senders": [DESK],
            "user": DESK, "password": {"file": str(self.folder / "password")}, "timeout": "30s",
            "tls": {"ca_file": str(self.folder / "ca.pem"), **tls},
        }  # fmt: skip
        return open_account(SmtpAccount.model_validate({**said, **more}), hostname="relay.example.com")


def _certificate(authority: trustme.CA, folder: Path, name: str, **more: Any) -> dict[str, str]:
    made = authority.issue_cert("localhost", **more)
    made.private_key_pem.write_to_path(folder / f"{name}.key")
    made.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    return {"smtpd_tls_cert_file": f"{folder}/{name}.pem", "smtpd_tls_key_file": f"{folder}/{name}.key"}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    authority, auth_port, implicit, expired = trustme.CA(), free_port(), free_port(), free_port()
    auth = f"service auth {{\n  inet_listener {{\n    address = 127.0.0.1\n    port = {auth_port}\n  }}\n}}\n"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postfix-accounts-")))
        stack.enter_context(running_dovecot([DESK], more=auth))
        sink = stack.enter_context(Sink())
        authority.cert_pem.write_to_path(folder / "ca.pem")
        (folder / "password").write_text(PASSWORD)
        over = _certificate(authority, folder, "over", not_after=datetime.now(UTC) - timedelta(days=1))
        wrapped = "-o smtpd_tls_wrappermode=yes"
        services = (
            f"127.0.0.1:{implicit} inet n - n - - smtpd {wrapped}\n"
            f"127.0.0.1:{expired} inet n - n - - smtpd {wrapped} "
            + " ".join(f"-o {name}={value}" for name, value in over.items())
            + "\n"
        )
        settings = {
            **_certificate(authority, folder, "good"),
            "smtpd_tls_security_level": "may", "smtpd_tls_auth_only": "yes", "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": f"inet:127.0.0.1:{auth_port}",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject", "mynetworks": "",
            "smtpd_recipient_restrictions": "check_recipient_access inline:{"
            f"{{ {GREY} = 450 4.2.0 Greylisted }}, {{ {GONE} = 550 5.1.1 No such person }}}}",
            "message_size_limit": str(LARGEST), "smtpd_delay_reject": "yes",
        }  # fmt: skip
        postfix = stack.enter_context(running_postfix(sink.port, settings, services=services))
        yield Place(postfix, implicit, expired, sink, folder)


def mail(name: str, *recipients: str, body: str = "Done.\r\n") -> OutgoingMail:
    header = f"From: {DESK}\r\nTo: {BOB}\r\nMessage-ID: <{name}@example.com>\r\nSubject: Ticket 7\r\n"
    return OutgoingMail(DESK, recipients or (BOB,), f"{header}\r\n{body}".encode())


def arrived(place: Place, name: str) -> list[bytes]:
    return [each.data for each in list(place.sink.arrived) if f"<{name}@example.com>".encode() in each.data]


async def sent(account: MailAccount, *mails: OutgoingMail) -> list[Sent]:
    try:
        return [await account.send(each) for each in mails]
    finally:
        await account.close()


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_a_mail_arrives_by_each_kind_of_tls_signed_in(place: Place, mode: str) -> None:
    assert await sent(place.open(place.implicit if mode == "implicit" else 0), mail(mode)) == [Sent()]
    wait_until(lambda: arrived(place, mode), 30, "the mail")
    assert f"sasl_username={DESK}" in place.postfix.log()


async def test_without_auth_or_with_a_wrong_password_nothing_goes_out_and_one_attempt_is_made(place: Place) -> None:
    (place.folder / "wrong").write_text("another")
    before = place.postfix.log().count("authentication failed")
    with pytest.raises(TargetDownError) as caught:
        await sent(place.open(password={"file": str(place.folder / "wrong")}), mail("wrong"))
    assert caught.value.reason == "sign-in"
    wait_until(lambda: place.postfix.log().count("authentication failed") == before + 1, 30, "postfix's line")
    with pytest.raises(TaskError) as refused:
        await sent(place.open(user="", password=None), mail("nobody"))
    assert refused.value.reason == "refused"  # 554 5.7.1 Relay access denied
    assert not arrived(place, "wrong") + arrived(place, "nobody")


@pytest.mark.parametrize(
    ("recipient", "kind", "reason"), [(GREY, TryAgainError, "deferred"), (GONE, RefusedTaskError, "refused")]
)
async def test_greylisted_is_tried_again_and_unknown_is_not(
    place: Place, recipient: str, kind: type[TaskError], reason: str
) -> None:
    with pytest.raises(kind) as caught:
        await sent(place.open(), mail("alone", recipient))
    assert caught.value.reason == reason
    (done,) = await sent(place.open(), mail(f"with-{reason}", BOB, recipient))
    assert list({**done.deferred, **done.refused}) == [recipient]
    wait_until(lambda: arrived(place, f"with-{reason}"), 30, "what goes to the others")


async def test_what_is_too_large_is_refused_before_it_is_sent(place: Place) -> None:
    with pytest.raises(RefusedTaskError) as caught:
        await sent(place.open(), mail("large", body="x" * 70 + "\r\n" * LARGEST))
    assert caught.value.reason == "too-large"


async def test_mails_that_follow_soon_go_over_one_connection(place: Place) -> None:
    names = [f"follows-{number}" for number in range(5)]
    assert await sent(place.open(), *map(mail, names)) == [Sent()] * 5
    wait_until(lambda: all(arrived(place, name) for name in names), 30, "all of them")
    wait_until(lambda: "starttls=1 auth=1 mail=5 rcpt=5 data=5 quit=1" in place.postfix.log(), 30, "what it counted")


async def test_a_connection_that_the_server_has_ended_meanwhile_is_replaced(place: Place) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(Sink())
        plain = {"user": "", "password": None, "tls": {"mode": "none", "ca_file": None}}
        account = place.open(first.port, **plain)
        await account.send(mail("before"))
        stack.close()
        with Sink(port=first.port) as second:
            assert await account.send(mail("after")) == Sent()
            await account.close()
            assert [b"<after@" in each.data for each in second.arrived] == [True]


@pytest.mark.parametrize("fault", ["expired", "another-name", "unknown-authority"])
async def test_a_bad_certificate_ends_it_before_anything_is_shown(place: Place, fault: str) -> None:
    other = place.folder / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    tls = {"another-name": {"verify_name": "mail.example.com"}, "unknown-authority": {"ca_file": str(other)}}
    account = place.open(place.expired if fault == "expired" else 0, tls=tls.get(fault, {}))
    with pytest.raises(TargetDownError) as caught:
        await sent(account, mail("seen"))
    assert caught.value.reason == "tls-failed"
    assert not arrived(place, "seen")
