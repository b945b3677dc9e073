"""DKIM signatures as others make them, and what is done to break or to burden the verifier."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mta.authenticate.dkim import SIGNATURES_MAX, in_one_word, verify_dkim
from mta.authenticate.material import Material
from mta.message.parse import parse
from mta.model.authentication import SignatureResult
from tests.unit.authenticate.zones import TIMEOUT, Zones

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
MESSAGE = (
    b"Received: from x by y; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    b"From: Jane Doe <jane@example.com>\r\nTo: a@example.net,\r\n\tb@example.net\r\nSubject:  Two   words \r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n"
    b"\r\n"
    b"Hello  \r\n\tthere \t all\r\n\r\nend\r\n\r\n\r\n"
)
RFC_8463 = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    b" d=football.example.com; i=@football.example.com;\r\n"
    b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    b" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n"
    b" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n date : message-id : from : subject : date;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    b" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
    b" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
    b"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n"
    b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
)
RFC_8463_KEYS = {
    "brisbane._domainkey.football.example.com": [
        ("TXT", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    ],
    "test._domainkey.football.example.com": [
        ("TXT", "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2"
         "jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2"
         "kryOTIKT+l/K4w3QIDAQAB")
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Key:
    pem: bytes
    p: str

    @classmethod
    def make(cls, bits: int = 1024) -> Key:
        private = rsa.generate_private_key(65537, bits)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(pem, base64.b64encode(public).decode())

    def record(self, extra: str = "") -> str:
        return f"v=DKIM1; k=rsa; {extra}p={self.p}"

    def sign(self, content: bytes = MESSAGE, **options: Any) -> bytes:
        options.setdefault("canonicalize", (b"relaxed", b"relaxed"))
        return bytes(dkim.sign(content, b"s1", b"example.com", self.pem, **options)) + content


@pytest.fixture(scope="module")
def key() -> Key:
    return Key.make()


async def results(content: bytes, records: dict[str, Any], now: datetime = NOW) -> tuple[SignatureResult, ...]:
    return await verify_dkim(Material(parse(content)), Zones(records), now)


async def verdict(content: bytes, record: Any, now: datetime = NOW) -> tuple[str, str]:
    """Of the first signature: the word, and the reason."""
    entry = record if isinstance(record, list) or record == TIMEOUT else [("TXT", record)]
    first = (await results(content, {"s1._domainkey.example.com": entry}, now))[0]
    return first.result, first.reason


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize(
    "content",
    [
        MESSAGE,
        MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
        MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n\r\n\r\n",
        MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n \r\n\t\r\n",
        MESSAGE.removesuffix(b"\r\n\r\n\r\n"),
        MESSAGE + b"x" * 300_000 + b"\r\n" * 9000,
    ],
)
async def test_signatures_of_dkimpy(key: Key, header: bytes, body: bytes, content: bytes) -> None:
    signed = key.sign(content, canonicalize=(header, body))
    assert await verdict(signed, key.record()) == ("pass", "")
    assert (await verdict(signed.replace(b"From: Jane", b"From: John"), key.record()))[0] == "fail"
    longer = signed + b"more\r\n"
    assert await verdict(longer, key.record()) == ("fail", "body has changed")


async def test_the_examples_of_rfc_8463() -> None:
    found = await results(RFC_8463, RFC_8463_KEYS)
    assert [(each.result, each.algorithm, each.domain) for each in found] == [
        ("pass", "ed25519-sha256", "football.example.com"),
        ("pass", "rsa-sha256", "football.example.com"),
    ]
    changed = await results(RFC_8463.replace(b"hungry", b"thirsty"), RFC_8463_KEYS)
    assert [each.result for each in changed] == ["fail", "fail"]


async def test_what_a_relaxed_signature_survives(key: Key) -> None:
    signed = key.sign()
    changed = signed.replace(b"a@example.net,\r\n\tb", b"a@example.net,   b").replace(b"there \t all", b"there all \t")
    assert await verdict(changed, key.record()) == ("pass", "")
    simple = key.sign(canonicalize=(b"simple", b"simple"))
    changed = simple.replace(b"a@example.net,\r\n\tb", b"a@example.net,   b")
    assert await verdict(changed, key.record()) == ("fail", "signature does not fit the header")


async def test_a_second_from_is_not_covered(key: Key) -> None:
    """Signed once more than it occurs, as dkimpy does; one put on top breaks it."""
    signed = key.sign(include_headers=[b"from", b"from", b"subject"])
    forged = signed.replace(b"\r\nFrom: Jane", b"\r\nFrom: Eve <eve@example.org>\r\nFrom: Jane")
    assert (await verdict(forged, key.record()))[0] == "fail"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ([], ("permerror", "no key")),
        (TIMEOUT, ("temperror", "no answer from DNS for the key")),
        ("v=DKIM1; p=", ("permerror", "key is revoked")),
        ("v=DKIM1; k=rsa", ("permerror", "key record has no key")),
        ("v=DKIM1; p=!!!", ("permerror", "key can't be read")),
        ("v=DKIM1; p=AAAA", ("permerror", "key can't be read")),
        ("v=DKIM2; p={p}", ("permerror", "key record is of another version")),
        ("k=rsa; v=DKIM1; p={p}", ("permerror", "key record is of another version")),
        ("v=DKIM1; h=sha1; p={p}", ("permerror", "key is not for SHA-256")),
        ("v=DKIM1; s=tlsrpt; p={p}", ("permerror", "key is not for mail")),
        ("v=DKIM1; k=dsa; p={p}", ("permerror", "key is of an unknown kind")),
        ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
         ("permerror", "key is of another kind than the signature")),
        ("v=DKIM1; p={p}; p={p}", ("permerror", "key record is malformed")),
        ("v=DKIM1; n=" + "x" * 9000 + "; p={p}", ("permerror", "key record is too long")),
        ("p={p}", ("pass", "")),
        ("v=DKIM1; h=sha1:sha256; s=email; t=y:s; p={p};", ("pass", "")),
        ([("TXT", "google-site-verification=x"), ("TXT", "v=DKIM1; p={p}")], ("pass", "")),
        ([("TXT", ["v=DKIM1; ", "p={p}"])], ("pass", "")),
    ],
)  # fmt: skip
async def test_key_records(key: Key, record: Any, expected: tuple[str, str]) -> None:
    def filled(written: Any) -> Any:
        if isinstance(written, list):
            return [filled(each) for each in written]
        return (written[0], filled(written[1])) if isinstance(written, tuple) else written.replace("{p}", key.p)

    assert await verdict(key.sign(), filled(record)) == expected


async def test_weak_keys_say_nothing(key: Key) -> None:
    """RFC 8301 §3.2, whatever the signature is."""
    weak = (
        "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAOAcAgaKu3njDnru263Qb1pHXFnxssZ5xOvxE+9Sbhd7iVmQ+HLOSWtaei3JCMJSXioR"
        "6NZNSr5JE4/KKd3aL5Pmph2H5eWfbgPenkaGOLUM/3dGeZz77eZJzu0Vv+f/tQIDAQAB"
    )
    assert await verdict(key.sign(), f"v=DKIM1; p={weak}") == ("policy", "key has 768 bits")


@pytest.mark.parametrize("bits", [33, 64, 1023])
async def test_keys_that_keep_a_verifier_busy_say_nothing(key: Key, bits: int) -> None:
    """The time of a verification grows with the exponent: 18 ms with 3072 bits of it."""
    modulus = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n
    public = rsa.RSAPublicNumbers((1 << (bits - 1)) + 1, modulus).public_key()
    octets = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = f"v=DKIM1; p={base64.b64encode(octets).decode()}"
    assert await verdict(key.sign(), record) == ("policy", "key has an unusual exponent")


Change = Callable[[bytes], bytes]


def _set(tag: bytes, value: bytes) -> Change:
    return lambda signed: re.sub(rb"(?<=[ ;])" + tag + rb"=[^;]*;", tag + b"=" + value + b";", signed, count=1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_set(b"v", b"2"), ("neutral", "signature of another version")),
        (_set(b"v", b"1; y=1"), ("fail", "signature does not fit the header")),
        (lambda signed: signed.replace(b"v=1; ", b""), ("neutral", "signature of another version")),
        (_set(b"a", b"rsa-sha1"), ("permerror", "rsa-sha1 is no longer valid")),
        (_set(b"a", b"rsa-sha512"), ("permerror", "unknown algorithm")),
        (_set(b"c", b"strict/strict"), ("neutral", "unknown canonicalisation, or too many fields")),
        (_set(b"h", b"subject : to"), ("permerror", "From is not signed")),
        (_set(b"h", b"from:" * 600), ("neutral", "unknown canonicalisation, or too many fields")),
        (_set(b"bh", b"?"), ("neutral", "signature or body hash is missing or not base64")),
        (_set(b"s", b"../x"), ("neutral", "signature names no domain and selector")),
        (_set(b"d", b"exa mple.com"), ("neutral", "signature names no domain and selector")),
        (_set(b"d", b"example.com; d=example.net"), ("neutral", "a tag stands twice")),
        (_set(b"q", b"dns/txt; x=1"), ("fail", "signature is expired")),
        (_set(b"q", b"dns/txt; x=soon"), ("neutral", "x= is no number")),
        (_set(b"q", b"http"), ("permerror", "key is not in DNS")),
        (_set(b"i", b"@example.net"), ("permerror", "i= is not within d=")),
        (_set(b"i", b"@ample.com"), ("permerror", "i= is not within d=")),
        (_set(b"q", b"dns/txt; =x"), ("neutral", "a tag is malformed")),
        (_set(b"q", b"dns/txt; l=3"), ("policy", "l= leaves a part of the body unsigned")),
        (_set(b"q", b"dns/txt; l=" + b"9" * 30), ("neutral", "l= is no number")),
        (_set(b"q", b"a=b;" * 100), ("neutral", "no tags, or too many")),
    ],
)
async def test_signatures_that_are_not_as_they_should_be(key: Key, change: Change, expected: tuple[str, str]) -> None:
    signed = key.sign()
    assert change(signed) != signed
    assert await verdict(change(signed), key.record()) == expected


async def test_a_length_that_covers_all_is_as_good_as_none(key: Key) -> None:
    signed = key.sign(length=True)
    assert b"l=" in signed.partition(b"\r\nReceived")[0]
    assert await verdict(signed, key.record()) == ("pass", "")
    assert (await verdict(signed + b"<b>Send money</b>\r\n", key.record()))[0] == "policy"


async def test_an_identity_below_needs_a_key_that_allows_it(key: Key) -> None:
    signed = key.sign(identity=b"jane@sales.example.com")
    assert await verdict(signed, key.record()) == ("pass", "")
    assert await verdict(signed, key.record("t=s; ")) == ("permerror", "key is not for domains below")


async def test_few_of_many_signatures_are_tried(key: Key) -> None:
    bogus = b"".join(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=d%d.example.net; s=s; h=from; bh=AAAA; b=AAAA\r\n" % number
        for number in range(800)
    )
    zones = Zones({"*": TIMEOUT})
    found = await verify_dkim(Material(parse(bogus + key.sign())), zones, NOW)
    assert len(found) == SIGNATURES_MAX
    assert sum(zones.asked.values()) == SIGNATURES_MAX


async def test_white_space_takes_no_long_time(key: Key) -> None:
    """Where the canonicalisation went back and forth, this would take minutes."""
    content = key.sign(MESSAGE) + b" " * 3_000_000 + b"x" + b"\t \r\n" * 300_000 + b"\r\n" * 300_000
    for form in (b"simple/simple", b"relaxed/relaxed"):
        changed = content.replace(b"c=relaxed/relaxed", b"c=" + form, 1)
        assert await verdict(changed, key.record()) == ("fail", "body has changed")


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ([], "none"),
        (["fail", "pass", "temperror"], "pass"),
        (["fail", "temperror"], "temperror"),
        (["neutral", "permerror"], "permerror"),
        (["policy", "neutral"], "policy"),
    ],
)
def test_in_one_word(words: list[str], word: str) -> None:
    assert in_one_word([SignatureResult(each) for each in words]) == word
