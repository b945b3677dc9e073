"""ARC chains: as we seal and as we verify them, against dkimpy and Mail::DKIM."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dkim
import pytest

from mta.authenticate.arc import ArcResult, verify_arc
from mta.authenticate.material import Material
from mta.config.authentication_schema import ArcKey
from mta.config.types import Secret
from mta.message.parse import parse
from mta.relay.sign import DkimKeyError, Sealer
from tests.servers.dns import DnsServer, dns_server
from tests.servers.mail_dkim import mail_dkim_says, sealed_by_mail_dkim
from tests.unit.authenticate.test_dkim import MESSAGE, Key
from tests.unit.authenticate.zones import TIMEOUT, Zones

NOW = datetime(2025, 11, 22, 10, 0, tzinfo=UTC)
RESULTS = b"mx.example.com;\r\n\tspf=pass smtp.mailfrom=example.org;\r\n\tdmarc=pass header.from=example.org"


class Chain:
    """Sealers of several domains, and the DNS that publishes their keys."""

    def __init__(self, folder: Path) -> None:
        self.key = Key.make(1024)
        self.path = folder / "arc.pem"
        self.path.write_bytes(self.key.pem)
        self.zones: dict[str, Any] = {
            f"s1._domainkey.{domain}": [("TXT", self.key.record())]
            for domain in ("example.com", "example.net", "example.org")
        }

    def seal(self, content: bytes, status: str, domain: str = "example.com") -> bytes:
        sealer = Sealer.from_config(ArcKey(domain=domain, selector="s1", key=Secret(file=self.path)))
        made = sealer.seal([content], RESULTS, status, NOW)
        assert made is not None
        return made.fields + content

    async def verdict(self, content: bytes, zones: dict[str, Any] | None = None) -> ArcResult:
        return await verify_arc(Material(parse(content)), Zones(self.zones if zones is None else zones), NOW)

    def dkimpy_says(self, content: bytes) -> str:
        record = self.key.record().encode()
        status, _, _ = dkim.arc_verify(content, dnsfunc=lambda name, timeout=5: record)
        return "ended" if status is None else bytes(status).decode()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return Chain(tmp_path_factory.mktemp("arc"))


async def test_no_chain(chain: Chain) -> None:
    assert await chain.verdict(MESSAGE) == ArcResult("none")


@pytest.mark.parametrize(
    "content",
    [
        MESSAGE,
        MESSAGE.replace(b"\r\nTo:", b"\r\nDKIM-Signature: v=1; a=rsa-sha256; d=x; b=abc\r\nCc: c@example.net\r\nTo:"),
        b"From: a@example.org\r\n\r\n",
        MESSAGE + b"x" * 300_000,
    ],
)
async def test_seals_are_verified_by_us_and_by_dkimpy(chain: Chain, content: bytes) -> None:
    first = chain.seal(content, "none", "example.org")
    assert await chain.verdict(first) == ArcResult("pass", "example.org")
    assert chain.dkimpy_says(first) == "pass"
    second = chain.seal(b"Received: by y; Sun, 22 Nov 2026 10:00:01 +0000\r\n" + first, "pass", "example.net")
    third = chain.seal(b"X-Note: one more\r\n" + second, "pass", "example.com")
    assert await chain.verdict(third) == ArcResult("pass", "example.com")
    assert chain.dkimpy_says(third) == "pass"


@pytest.mark.server
@pytest.mark.usefixtures("needs_mail_dkim")
async def test_seals_are_verified_by_mail_dkim(chain: Chain) -> None:
    with dns_server(chain.zones) as server:
        first = chain.seal(MESSAGE, "none", "example.org")
        second = chain.seal(first.replace(b"Hello", b"[external] Hello"), "fail", "example.com")
        assert mail_dkim_says("arc", first, server.address).startswith("pass")
        assert mail_dkim_says("arc", chain.seal(first, "pass"), server.address).startswith("pass")
        assert not mail_dkim_says("arc", first.replace(b"Hello", b"Hullo"), server.address).startswith("pass")
        assert mail_dkim_says("arc", second, server.address).startswith("fail")


@pytest.mark.server
@pytest.mark.usefixtures("needs_mail_dkim")
async def test_chains_of_mail_dkim(chain: Chain) -> None:
    stated = b"Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=example.org\r\n"
    first = sealed_by_mail_dkim(stated + MESSAGE, "example.org", "s1", chain.path, "none")
    assert await chain.verdict(first) == ArcResult("pass", "example.org")
    second = chain.seal(first, "pass")
    assert await chain.verdict(second) == ArcResult("pass", "example.com")
    assert chain.dkimpy_says(second) == "pass"
    assert (await chain.verdict(second.replace(b"Hello", b"Hullo"))).result == "fail"


Change = Callable[[bytes], bytes]


def _replace(old: bytes, new: bytes, count: int = 1) -> Change:
    return lambda content: content.replace(old, new, count)


@pytest.mark.server
@pytest.mark.timeout(300)  # it takes long to start
def test_seals_are_verified_by_rspamd(
    chain: Chain, rspamd_judge: tuple[Callable[[bytes], set[str]], DnsServer]
) -> None:
    judge, dns = rspamd_judge
    dns.records |= chain.zones
    first = chain.seal(MESSAGE, "none", "example.org")
    changed = first.replace(b"Hello", b"Hullo")
    assert "ARC_ALLOW" in judge(first)
    assert "ARC_ALLOW" in judge(chain.seal(b"X-Note: one more\r\n" + first, "pass"))
    assert "ARC_REJECT" in judge(changed)
    assert "ARC_REJECT" in judge(chain.seal(changed, "fail"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_replace(b"Hello", b"Hullo"), "newest ARC-Message-Signature: body has changed"),
        (_replace(b"Two", b"Ten"), "newest ARC-Message-Signature: signature does not fit the header"),
        (_replace(b"spf=pass", b"spf=fail"), "seal 1 does not fit"),
        (_replace(b"ARC-Seal: i=1", b"ARC-Seal: i=3"), "a set is missing or incomplete"),
        (_replace(b"ARC-Seal: i=1", b"ARC-Seal: i=0"), "a field without a valid instance"),
        (_replace(b"ARC-Seal: i=1", b"ARC-Seal: i=51"), "a field without a valid instance"),
        (_replace(b"ARC-Seal: i=1; ", b"ARC-Seal: "), "a field without a valid instance"),
        (_replace(b"cv=none", b"cv=pass"), "a seal has a wrong cv="),
        (_replace(b"cv=none", b"cv=fail"), "chain had failed before"),
        (_replace(b"cv=none", b"h=from; cv=none"), "a seal is malformed"),
        (_replace(b"h=from:", b"h=from:arc-seal:"), "ARC-Message-Signature signs a seal"),
        (_replace(b"h=from:", b"h="), "From is not signed"),
        (_replace(b"ARC-Seal:", b"ARC-Seal: i=1; cv=none\r\nARC-Seal:"), "two arc-seal of one instance"),
        (_replace(b"ARC-Authentication-Results:", b"X-Results:"), "a set is missing or incomplete"),
        (_replace(b"s=s1", b"s=s2"), "seal 1: no key"),
    ],
)
async def test_what_breaks_a_chain(chain: Chain, change: Change, reason: str) -> None:
    sealed = chain.seal(MESSAGE, "none")
    assert change(sealed) != sealed
    found = await chain.verdict(change(sealed))
    assert (found.result, found.reason) == ("fail", reason)
    if not reason.startswith("a set is missing"):  # dkimpy looks at the sets that it finds
        assert chain.dkimpy_says(change(sealed)) in ("fail", "ended")


async def test_a_set_in_the_middle_counts(chain: Chain) -> None:
    first = chain.seal(MESSAGE, "none", "example.org")
    second = chain.seal(first, "pass", "example.net")
    changed = second.replace(b"i=1; mx.example.com;\r\n\tspf=pass", b"i=1; mx.example.com;\r\n\tspf=fail")
    assert changed != second
    found = await chain.verdict(changed)
    assert (found.result, found.reason) == ("fail", "seal 1 does not fit")


async def test_without_dns_nothing_is_known(chain: Chain) -> None:
    sealed = chain.seal(MESSAGE, "none")
    assert (await chain.verdict(sealed, {"*": TIMEOUT})).result == "temperror"
    broken = sealed.replace(b"cv=none", b"cv=pass")
    assert (await chain.verdict(broken, {"*": TIMEOUT})).result == "fail"


async def test_a_failed_chain_is_marked_once_and_then_left(chain: Chain) -> None:
    """After a failure the seal covers its own set only (RFC 8617 §5.1.2)."""
    broken = chain.seal(MESSAGE, "none", "example.org").replace(b"Hello", b"Hullo")
    marked = chain.seal(broken, "fail")
    assert re.search(rb"ARC-Seal: i=2;[^:]*cv=fail", marked)
    assert (await chain.verdict(marked)).reason == "chain had failed before"
    assert chain.dkimpy_says(marked) == "ended"
    sealer = Sealer.from_config(ArcKey(domain="example.com", selector="s1", key=Secret(file=chain.path)))
    assert sealer.seal([marked], RESULTS, "fail", NOW) is None


async def test_a_list_of_names_tells_no_instance(chain: Chain) -> None:
    first = chain.seal(MESSAGE, "none", "example.org")
    odd = first.replace(b"Signature: i=1;", b"Signature: h=from:i=7; i=1;")
    assert odd != first
    sealed = chain.seal(odd, "fail")
    assert sealed.startswith(b"ARC-Seal: i=2;")


async def test_fifty_sets_are_the_most(chain: Chain) -> None:
    content = chain.seal(MESSAGE, "none")
    for _ in range(49):
        content = chain.seal(content, "pass")
    assert await chain.verdict(content) == ArcResult("pass", "example.com")
    sealer = Sealer.from_config(ArcKey(domain="example.com", selector="s1", key=Secret(file=chain.path)))
    assert sealer.seal([content], RESULTS, "pass", NOW) is None


def test_the_same_copy_gives_the_same_bytes_and_short_lines(chain: Chain) -> None:
    sealed = chain.seal(MESSAGE, "none")
    assert sealed == chain.seal(MESSAGE, "none")
    assert max(map(len, sealed.partition(b"Received")[0].split(b"\r\n"))) <= 90


def test_a_key_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DkimKeyError, match=r"ARC key s1\._domainkey\.example\.com can't be read"):
        Sealer.from_config(ArcKey(domain="example.com", selector="s1", key=Secret(file=tmp_path / "none.pem")))
