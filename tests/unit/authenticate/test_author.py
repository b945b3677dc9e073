"""Who wrote a message that nobody handed to us: signatures and policies, and what DNS doesn't tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import dkim
import pytest

from mta.authenticate.author import DkimProver
from mta.message.parse import parse
from mta.model.authentication import AuthorProof, Proof
from mta.ports.resolver import Answer
from tests.unit.authenticate.test_dkim import MESSAGE, Key
from tests.unit.authenticate.zones import TIMEOUT, Zones

POLICY = [("TXT", "v=DMARC1; p=none")]


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def key() -> Key:
    return Key.make()


def zones(key: Key, *, policy: Any = None, **more: Any) -> Zones:
    """The key of example.com, its policy, and what else there is."""
    known = {"s1._domainkey.example.com": [("TXT", key.record())], **more}
    return Zones(known if policy is None else {"_dmarc.example.com": policy, **known})


@asynccontextmanager
async def prover(dns: Zones) -> AsyncIterator[DkimProver]:
    opened = DkimProver(dns, Clock(), timeout_s=5)
    yield opened
    await opened.close()


async def proof(content: bytes, dns: Zones) -> AuthorProof:
    async with prover(dns) as asked:
        return await asked.prove(parse(content))


async def test_a_signature_of_the_author_s_domain_takes_one_question(key: Key) -> None:
    dns = zones(key, policy=POLICY)
    assert await proof(key.sign(), dns) == AuthorProof(Proof.PROVEN, "DKIM signature of example.com")
    assert list(dns.asked) == [("s1._domainkey.example.com", "TXT")]


async def test_what_speaks_against_it_is_told(key: Key) -> None:
    changed = key.sign().replace(b"Hello", b"Money")
    found = await proof(changed, zones(key, policy=POLICY))
    assert found.proof is Proof.UNPROVEN
    assert "example.com has a DMARC policy" in found.by
    assert "example.com: body has changed" in found.by
    unsigned = await proof(MESSAGE, zones(key, policy=POLICY))
    assert unsigned.by == "example.com has a DMARC policy, and the message has no DKIM signature"


async def test_who_says_nothing_can_t_be_proven(key: Key) -> None:
    assert (await proof(MESSAGE, zones(key))).proof is Proof.UNKNOWN
    assert (await proof(MESSAGE.replace(b"jane@example.com", b"jane@other.example"), zones(key))).proof is Proof.UNKNOWN


async def test_a_sister_proves_nothing_unless_a_policy_says_that_they_are_one(key: Key) -> None:
    signed = key.sign(MESSAGE.replace(b"jane@example.com", b"jane@shop.example.net"))
    alone = zones(key)
    assert (await proof(signed, alone)).proof is Proof.UNKNOWN
    below = key.sign(MESSAGE.replace(b"jane@example.com", b"jane@shop.example.com"))
    assert (await proof(below, alone)).proof is Proof.PROVEN
    strict = [("TXT", "v=DMARC1; p=reject; adkim=s")]
    assert (await proof(below, zones(key, policy=POLICY))).proof is Proof.PROVEN
    assert (await proof(below, zones(key, policy=strict))).proof is Proof.UNPROVEN


async def test_no_answer_is_no_proof_and_is_not_asked_for_again_at_once(key: Key) -> None:
    dns = zones(key, policy=TIMEOUT)
    content = key.sign().replace(b"Hello", b"Money")
    async with prover(dns) as asked:
        found = await asked.prove(parse(content))
        assert found == AuthorProof(Proof.NO_ANSWER, "DNS gave no answer about example.com")
        before = dns.asked.total()
        assert (await asked.prove(parse(content))).proof is Proof.NO_ANSWER
        assert dns.asked.total() == before
        other = await asked.prove(parse(MESSAGE.replace(b"jane@example.com", b"jane@other.example")))
        assert other.proof is Proof.UNKNOWN


async def test_a_forgery_with_a_dead_key_keeps_nobody_from_being_proven(key: Key) -> None:
    forged = bytes(dkim.sign(MESSAGE, b"s2", b"dead.example.com", key.pem)) + MESSAGE
    dns = zones(key, policy=POLICY, **{"s2._domainkey.dead.example.com": TIMEOUT})
    async with prover(dns) as asked:
        assert (await asked.prove(parse(forged))).proof is Proof.NO_ANSWER
        assert (await asked.prove(parse(key.sign()))).proof is Proof.PROVEN


async def test_strangers_signatures_are_not_asked_about(key: Key) -> None:
    """One that holds, of a domain whose own policy can't be had."""
    dns = zones(key, policy=TIMEOUT, **{"_dmarc.example.net": POLICY})
    found = await proof(key.sign(MESSAGE.replace(b"jane@example.com", b"jane@example.net")), dns)
    assert found.proof is Proof.UNPROVEN
    assert "example.com: another's signature" in found.by
    assert not [name for name, _ in dns.asked if name.endswith("example.com")]


@pytest.mark.parametrize("line", [b"Subject: [Ticket - 12]", b"Cc: eve@example.net", b"References: <1@example.com>"])
async def test_what_was_put_onto_a_signed_message_proves_nothing(key: Key, line: bytes) -> None:
    content = MESSAGE.replace(b"\r\nTo:", b"\r\nCc: c@example.net\r\nReferences: <0@example.net>\r\nTo:")
    dns = zones(key, policy=POLICY)
    assert (await proof(key.sign(content), dns)).proof is Proof.PROVEN
    found = await proof(line + b"\r\n" + key.sign(content), dns)
    assert found.proof is Proof.UNPROVEN
    assert "stands twice" in found.by


class DeadKeys(Zones):
    """Who asks for a key waits in vain."""

    async def txt(self, name: str) -> Answer[bytes]:
        if "_domainkey" in name:
            await asyncio.Event().wait()
        return await super().txt(name)


async def test_signatures_of_dead_domains_don_t_hide_what_the_author_s_own_says(key: Key) -> None:
    content = MESSAGE.replace(b"jane@example.com", b"jane@shop.example.com")
    forged = bytes(dkim.sign(content, b"s1", b"dead.example.com", key.pem)) + content
    found = await DkimProver(DeadKeys({}), Clock(), timeout_s=0.5).prove(parse(forged))
    assert found.proof is Proof.UNKNOWN


@pytest.mark.parametrize("line", [b"", b"From: a@example.com, b@example.net\r\n", b"From: nobody\r\n"])
async def test_who_isn_t_one_author_proves_nothing(key: Key, line: bytes) -> None:
    content = MESSAGE.replace(b"From: Jane Doe <jane@example.com>\r\n", line)
    dns = zones(key)
    assert (await proof(content, dns)).proof is Proof.UNPROVEN
    assert not dns.asked
