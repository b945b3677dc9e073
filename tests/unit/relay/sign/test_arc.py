"""Seals on chains to which something happened, and what the seal of a failed chain covers."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable

import pytest

from mta.authenticate.arc import verify_arc
from mta.authenticate.keys import PublicKey, read_key
from mta.authenticate.material import Material
from mta.authenticate.tags import read_tags, without_signature, without_white
from mta.config.authentication_schema import ArcKey
from mta.config.signing_keys import DkimKeyError, private_key
from mta.config.types import Secret
from mta.message.canonical import relaxed_field
from mta.message.parse import parse
from mta.relay.sign import Sealer
from mta.relay.sign.record import key_record
from tests.unit.authenticate.zones import Zones
from tests.unit.relay.sign.signing import ED25519, HARD, NOW, RSA, Keys

RESULTS = b"mx.example.com;\r\n\tspf=pass smtp.mailfrom=example.org"
MESSAGE = HARD["folded"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def sealer(keys: Keys) -> Sealer:
    return Sealer.from_config(ArcKey(domain="example.com", selector=RSA, key=Secret(file=keys.path(RSA))))


def _seal(sealer: Sealer, content: bytes, status: str) -> bytes:
    made = sealer.seal([content], RESULTS, status, NOW)
    assert made is not None
    return made.fields + content


async def _verdict(keys: Keys, content: bytes) -> str:
    zones = Zones({name: [("TXT", record)] for name, record in keys.records.items()})
    return (await verify_arc(Material(parse(content)), zones, NOW)).result


def _without(content: bytes, name: bytes) -> bytes:
    return re.sub(rb"(?m)^%b:[^\n]*\n(?:[ \t][^\n]*\n)*" % name, b"", content)


async def test_without_the_sets_that_a_rule_took_out_the_chain_begins_anew(keys: Keys, sealer: Sealer) -> None:
    content = _seal(sealer, MESSAGE, "none")
    for name in (b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"):
        content = _without(content, name)
    assert content == MESSAGE
    sealed = _seal(sealer, content, "pass")
    assert re.match(rb"ARC-Seal: i=1;[^:]*cv=none", sealed)
    assert await _verdict(keys, sealed) == "pass"


@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
async def test_a_set_that_lost_a_field_makes_a_failed_chain(keys: Keys, sealer: Sealer, name: bytes) -> None:
    sealed = _seal(sealer, _without(_seal(sealer, MESSAGE, "none"), name), "pass")
    assert re.match(rb"ARC-Seal: i=2;[^:]*cv=fail", sealed)
    assert await _verdict(keys, sealed) == "fail"


def _again(name: bytes) -> Callable[[bytes], bytes]:
    """With a second field of that name, and the same instance."""
    return lambda content: name + b": i=1; d=example.org; s=x; cv=none; b=AA==\r\n" + content


@pytest.mark.parametrize(
    "change",
    [
        _again(b"ARC-Seal"),
        _again(b"ARC-Message-Signature"),
        lambda content: content.replace(b": i=1;", b": i=3;"),
    ],
    ids=["two-seals", "two-signatures", "gap"],
)
async def test_a_chain_that_does_not_count_up_is_failed(
    keys: Keys, sealer: Sealer, change: Callable[[bytes], bytes]
) -> None:
    broken = change(_seal(sealer, MESSAGE, "none"))
    assert await _verdict(keys, broken) == "fail"
    sealed = _seal(sealer, broken, "fail")
    assert re.match(rb"ARC-Seal: i=[24];[^:]*cv=fail", sealed)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"ARC-Seal: i=100; cv=none; b=AA==\r\n" + MESSAGE, "fail"),
        (b"ARC-Seal: cv=none; b=AA==\r\n" + MESSAGE, "fail"),
        (b"ARC-Seal: i=50; cv=pass; b=AA==\r\n" + MESSAGE, "fail"),
        (b"ARC-Seal: i=1; cv=none; b=AA==\r\n" + MESSAGE, "none"),
    ],
    ids=["above-99", "none", "fifty", "a-gateway-overlooked-it"],
)
def test_no_seal_where_none_would_make_sense(sealer: Sealer, content: bytes, status: str) -> None:
    assert sealer.seal([content], RESULTS, status, NOW) is None


async def test_the_seal_of_a_failed_chain_covers_its_own_set_and_no_other(keys: Keys, sealer: Sealer) -> None:
    """RFC 8617 §5.1.2: as if it were the only set present."""
    broken = _seal(sealer, MESSAGE, "none").replace(b"text", b"test")
    made = sealer.seal([broken], RESULTS, "fail", NOW)
    assert made is not None
    seal, signature, results = re.findall(rb"(?m)^\S[^\n]*\n(?:[ \t][^\n]*\n)*", made.fields)
    data = b"\r\n".join(map(relaxed_field, (results, signature, without_signature(seal))))
    public = read_key(key_record(private_key(keys.path(RSA).read_bytes())).encode())
    assert isinstance(public, PublicKey)
    assert public.verifies(_octets(seal), data)
    assert not public.verifies(_octets(seal), data.replace(b"spf=pass", b"spf=fail"))


def _octets(field: bytes) -> bytes:
    return b64decode(without_white(read_tags(field.partition(b":")[2])[b"b"]))


def test_an_ed25519_key_does_not_seal(keys: Keys) -> None:
    with pytest.raises(DkimKeyError, match=r"ARC key a\._domainkey\.example\.com is an Ed25519 key; ARC seals"):
        Sealer.from_config(ArcKey(domain="example.com", selector="a", key=Secret(file=keys.path(ED25519))))
