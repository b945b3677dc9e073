"""All methods on one message, together and within bounds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from mta.authenticate import Received, authenticate
from mta.authenticate.bounded import QUESTIONS_MAX, BoundedResolver
from mta.config.authentication_schema import Authentication
from mta.message.parse import parse
from mta.model.address import parse_address
from mta.model.authentication import AuthenticationResults
from mta.model.envelope import Client, Envelope, ListenerRole
from mta.ports.resolver import Answer, Resolver
from tests.unit.authenticate.test_dkim import MESSAGE, Key
from tests.unit.authenticate.zones import TIMEOUT, Zones

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CLIENT = Client("192.0.2.7", 25, "mx.example.com", "internet", ListenerRole.INBOUND)


class Darkness(Zones):
    """A DNS server that never answers."""

    async def txt(self, name: str) -> Answer[bytes]:
        await asyncio.Event().wait()
        raise AssertionError

    async def a(self, name: str) -> Answer[str]:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture(scope="module")
def key() -> Key:
    return Key.make()


def zones(key: Key, **changes: Any) -> Zones:
    records = {
        "example.com": [("TXT", "v=spf1 ip4:192.0.2.0/24 -all")],
        "mx.example.com": [("TXT", "v=spf1 ip4:192.0.2.7 -all")],
        "s1._domainkey.example.com": [("TXT", key.record())],
        "_dmarc.example.com": [("TXT", "v=DMARC1; p=quarantine")],
    }
    return Zones({**records, **changes})


async def results(
    content: bytes | None, resolver: Resolver, sender: str = "jane@example.com", client: Client = CLIENT,
    settings: Authentication | None = None, timeout_s: float = 5.0, *, has_seal: bool = False,
) -> AuthenticationResults:  # fmt: skip
    envelope = Envelope(parse_address(sender) if sender else None, (parse_address("a@example.net"),))
    received = Received(parse(content) if content is not None else None, envelope, client)
    chosen = settings or Authentication(mode="verify")
    return await authenticate(received, chosen, resolver, timeout_s=timeout_s, now=NOW, has_seal=has_seal)


def words(found: AuthenticationResults) -> tuple[str, str, str, str]:
    return found.spf, found.dkim, found.dmarc, found.arc


async def test_all_is_well(key: Key) -> None:
    found = await results(key.sign(), zones(key))
    assert words(found) == ("pass", "pass", "pass", "none")
    assert (found.spf_domain, found.dkim_domains, found.dmarc_domain) == (
        "example.com",
        ("example.com",),
        "example.com",
    )
    assert found.dmarc_policy == "quarantine"


async def test_a_stranger_in_our_name(key: Key) -> None:
    stranger = Client("203.0.113.9", 25, "evil.example", "internet", ListenerRole.INBOUND)
    found = await results(MESSAGE, zones(key), client=stranger)
    assert words(found) == ("fail", "none", "fail", "none")
    found = await results(MESSAGE, zones(key), "x@evil.example", stranger)
    assert words(found) == ("none", "none", "fail", "none")


async def test_the_null_reverse_path_is_judged_by_helo(key: Key) -> None:
    found = await results(MESSAGE, zones(key), "")
    assert (found.spf, found.spf_domain, found.spf_of_helo) == ("pass", "mx.example.com", True)
    literal = Client("192.0.2.7", 25, "[192.0.2.7]", "internet", ListenerRole.INBOUND)
    assert (await results(MESSAGE, zones(key), "", literal)).spf == "none"


async def test_two_from_fields_are_never_a_pass(key: Key) -> None:
    doubled = b"From: ceo@example.net\r\n" + key.sign(include_headers=[b"from"])
    found = await results(doubled, zones(key))
    assert (found.dmarc, found.reasons) == ("permerror", (("dmarc", "several From fields"),))


async def test_a_message_over_our_limits_has_its_client_judged(key: Key) -> None:
    assert words(await results(None, zones(key))) == ("pass", "none", "permerror", "")


async def test_dead_dns_is_a_temporary_error_within_the_time(key: Key) -> None:
    async with asyncio.timeout(60):
        found = await results(key.sign(), Darkness({}), timeout_s=0.2)
    assert words(found) == ("temperror", "temperror", "temperror", "none")


async def test_failing_dns_is_a_temporary_error(key: Key) -> None:
    assert words(await results(key.sign(), Zones({"*": TIMEOUT}))) == ("temperror", "temperror", "temperror", "none")


async def test_a_message_asks_for_so_much_and_no_more() -> None:
    source = Zones({})
    bounded = BoundedResolver(source, 5)
    for number in range(QUESTIONS_MAX + 50):
        await bounded.txt(f"n{number}.example.com")
    assert sum(source.asked.values()) == QUESTIONS_MAX


async def test_a_gateway_is_believed(key: Key) -> None:
    settings = Authentication(mode="trust", authserv_ids=("GW.example.net",))
    stated = b"Authentication-Results: gw.example.net; spf=pass smtp.mailfrom=example.com; dmarc=fail\r\n" + MESSAGE
    source = zones(key)
    found = await results(stated, source, settings=settings)
    assert words(found) == ("pass", "", "fail", "")
    assert not source.asked
    assert await results(MESSAGE, source, settings=settings) == AuthenticationResults()
    assert await results(None, source, settings=settings) == AuthenticationResults()


async def test_behind_a_gateway_the_chain_is_our_own_business_where_we_seal(key: Key) -> None:
    settings = Authentication(mode="trust", authserv_ids=("gw.example.net",))
    stated = b"Authentication-Results: gw.example.net; dmarc=pass; arc=pass\r\n" + MESSAGE
    assert (await results(stated, zones(key), settings=settings, has_seal=True)).arc == "none"
