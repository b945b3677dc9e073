"""The contract of outgoing accounts, for every kind of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest

from mta.ports.outgoing import MailAccount, OutgoingMail, Sent
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError
from tests.contract.accounts.graph import Graph
from tests.contract.accounts.harness import LARGEST, SENDER, Fault, Harness
from tests.contract.accounts.smtp import Smtp

KINDS: Mapping[str, Callable[[], Harness]] = {"smtp": Smtp, "graph": Graph}
BOB, CAROL = "bob@example.net", "carol@example.net"


@pytest.fixture(scope="module", params=list(KINDS))
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    made = KINDS[request.param]()
    yield made
    made.close()


@pytest.fixture
async def account(harness: Harness) -> AsyncIterator[MailAccount]:
    opened = harness.open()
    yield opened
    await opened.close()


def mail(body: str = "Done.\r\n", *recipients: str, header: str = "") -> OutgoingMail:
    fields = f"From: Desk <{SENDER}>\r\nTo: {BOB}\r\n{header}Subject: Ticket 7\r\nMessage-ID: <7@example.com>\r\n"
    return OutgoingMail(SENDER, recipients or (BOB,), f"{fields}\r\n{body}".encode())


async def test_a_mail_arrives_as_it_is(harness: Harness, account: MailAccount) -> None:
    sent = mail(".\r\n..\r\n.hidden\r\n\r\nFrom here\r\n")
    assert await account.send(sent) == Sent()
    assert harness.arrived()[-1].message == sent.message
    assert harness.arrived()[-1].recipients == (BOB,)


async def test_eight_bit_mail_arrives_as_it_is(harness: Harness, account: MailAccount) -> None:
    sent = mail("na\u00efve \u20ac\r\n", header="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: 8bit\r\n")  # fmt: skip
    await account.send(sent)
    assert harness.arrived()[-1].message == sent.message


async def test_who_is_in_no_header_gets_it_and_stays_hidden(harness: Harness, account: MailAccount) -> None:
    sent = mail("Done.\r\n", BOB, CAROL)
    await account.send(sent)
    assert sorted(harness.arrived()[-1].recipients) == [BOB, CAROL]
    assert harness.arrived()[-1].message == sent.message


async def test_several_at_a_time(harness: Harness, account: MailAccount) -> None:
    before = len(harness.arrived())
    await asyncio.gather(*(account.send(mail(f"{n}\r\n")) for n in range(8)))
    bodies = {each.message.partition(b"\r\n\r\n")[2] for each in harness.arrived()[before:]}
    assert bodies == {f"{n}\r\n".encode() for n in range(8)}


async def test_large_mail_is_taken_or_refused_for_good(harness: Harness, account: MailAccount) -> None:
    line = "x" * 76 + "\r\n"
    await account.send(mail(line * (LARGEST // len(line))))
    before = len(harness.arrived())
    with pytest.raises(RefusedTaskError) as caught:
        await account.send(mail(line * (4 * LARGEST // len(line))))
    assert caught.value.reason == "too-large"
    assert len(harness.arrived()) == before


async def test_signing_in_sends_nothing(harness: Harness, account: MailAccount) -> None:
    before = len(harness.arrived())
    assert "localhost" in await account.sign_in()
    assert len(harness.arrived()) == before


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (Fault.SECRET, TargetDownError, "sign-in"),
        (Fault.UNTRUSTED, TargetDownError, "tls-failed"),
        (Fault.DOWN, TargetDownError, "unreachable"),
        (Fault.BUSY, TargetDownError, "busy"),
        (Fault.REFUSES, RefusedTaskError, "refused"),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
async def test_what_goes_wrong_is_said_in_its_kind(
    harness: Harness, fault: Fault, kind: type[TaskError], reason: str
) -> None:
    before = len(harness.arrived())
    with harness.fault(fault) as troubled:
        with pytest.raises(TaskError) as caught:
            await troubled.send(mail())
        await troubled.close()
    assert (type(caught.value), caught.value.reason) == (kind, reason)
    assert caught.value.detail
    assert "\n" not in caught.value.detail
    assert "ssword" not in caught.value.detail
    assert len(harness.arrived()) == before


@pytest.mark.parametrize("fault", [Fault.SECRET, Fault.UNTRUSTED, Fault.DOWN], ids=lambda fault: fault.name)
async def test_signing_in_says_the_same(harness: Harness, fault: Fault) -> None:
    with harness.fault(fault) as troubled:
        with pytest.raises(TargetDownError):
            await troubled.sign_in()
        await troubled.close()
