"""Whatever strangers write into signatures, chains, records and results: a word comes of it, never an error."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from ipaddress import IPv6Address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mta.authenticate import Received, authenticate
from mta.authenticate.author import DkimProver
from mta.authenticate.keys import read_key
from mta.authenticate.spf import check_spf
from mta.authenticate.spf_macros import MacroValues, check_domain_spec, expand
from mta.config.authentication_schema import ArcKey, Authentication
from mta.config.types import Secret
from mta.message.authentication_results import WORDS, fields_of, read_field, stated_results
from mta.message.canonical import RelaxedBodyHash, simple_body_end
from mta.message.parse import parse
from mta.model.address import parse_address
from mta.model.authentication import Proof
from mta.model.envelope import Client, Envelope, ListenerRole
from mta.relay.sign import Sealer
from tests.unit.authenticate.test_dkim import MESSAGE, Key
from tests.unit.authenticate.zones import Zones

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CLIENT = Client("192.0.2.7", 25, "mx.example.com", "internet", ListenerRole.INBOUND)
MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
SPF_WORDS = ["v=spf1", "all", "-all", "include:", "a", "mx", "ptr", "exists:", "redirect=", "exp=", "ip4:192.0.2.0/24",
             "ip6:2001:db8::/32", "example.com", "%{i}", "%{l1r-}", "%{p}", "%%", "%{", "/24", "//64", ":", "=", " ",
             "é"]  # fmt: skip


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Zones]:
    """A message with a signature and a chain of two, and the keys."""
    key = Key.make()
    path = tmp_path_factory.mktemp("keys") / "arc.pem"
    path.write_bytes(key.pem)
    sealer = Sealer.from_config(ArcKey(domain="example.com", selector="s1", key=Secret(file=path)))
    content = key.sign(MESSAGE)
    for status in ("none", "pass"):
        made = sealer.seal([content], b"mx.example.com; spf=pass", status, NOW)
        assert made is not None
        content = made.fields + content
    records = {
        "example.com": [("TXT", "v=spf1 ip4:192.0.2.0/24 -all")],
        "_dmarc.example.com": [("TXT", "v=DMARC1; p=reject")],
        "s1._domainkey.example.com": [("TXT", key.record())],
    }
    return content, Zones(records)


class Clock:
    def now(self) -> datetime:
        return NOW


def judged(content: bytes, zones: Zones) -> tuple[str, ...]:
    envelope = Envelope(parse_address("jane@example.com"), (parse_address("a@example.net"),))
    received = Received(parse(content), envelope, CLIENT)
    mode = Authentication(mode="verify")
    found = asyncio.run(authenticate(received, mode, zones, timeout_s=5, now=NOW, has_seal=True))
    return found.spf, found.dkim, found.dmarc, found.arc


def test_it_holds_as_it_is(sealed: tuple[bytes, Zones]) -> None:
    assert judged(*sealed) == ("pass", "pass", "pass", "pass")


@MANY
@given(st.data())
def test_a_changed_message(sealed: tuple[bytes, Zones], data: st.DataObject) -> None:
    content, zones = sealed
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 40))
        new = data.draw(
            st.one_of(st.binary(max_size=20), st.sampled_from([b";", b"=", b"i=1;", b"\r\n", b"b=", b"cv="]))
        )
        content = content[:at] + new.replace(b"\n", b"").replace(b"\r", b"") + content[at + length :]
    words = judged(content, zones)
    assert set(words) <= WORDS
    found = asyncio.run(DkimProver(zones, Clock(), timeout_s=5).prove(parse(content)))
    assert found.proof is not Proof.PROVEN or words[1] == "pass"


@MANY
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode())))
def test_results_of_others(value: bytes) -> None:
    value = value.replace(b"\r", b" ").replace(b"\n", b" ")
    message = parse(b"Authentication-Results: " + value + b"\r\nFrom: a@example.com\r\n\r\n")
    stated = stated_results(message, frozenset({"exchange-online", "a"}))
    assert {stated.spf, stated.dkim, stated.dmarc, stated.arc} <= WORDS | {""}
    assert read_field(value) is not None
    fields_of(message, frozenset({"a"}))


@MANY
@given(st.lists(st.sampled_from(SPF_WORDS), max_size=14).map("".join))
def test_spf_records(text: str) -> None:
    zones = Zones({"example.com": [("TXT", text.encode())], "*": [("A", "192.0.2.1")]})
    checked = asyncio.run(check_spf(zones, "192.0.2.7", ("jane", "example.com"), "mx.example.com"))
    assert checked.result in WORDS
    assert sum(zones.asked.values()) < 150


@MANY
@given(
    st.lists(st.sampled_from(["%{s}", "%{O2r.-}", "%{i}", "%{h}", "%_", "%%", "a", ".", "x.example"]), max_size=10),
    st.text(max_size=60),
)
def test_macros(pieces: list[str], local_part: str) -> None:
    spec = "".join(pieces) + ".example.com"
    if check_domain_spec(spec):
        values = MacroValues(IPv6Address("2001:db8::1"), local_part, "example.com", "mx.example.com")
        assert len(expand(spec, values, "example.com")) <= 253


@MANY
@given(st.binary(max_size=200))
def test_key_records(record: bytes) -> None:
    read_key(record)
    read_key(b"v=DKIM1; p=" + record)


@MANY
@given(st.lists(st.sampled_from([b"\r\n", b"x", b" ", b"\r", b"\n", b"\t"]), max_size=30).map(b"".join))
def test_bodies_in_simple_form(body: bytes) -> None:
    """The definition of RFC 6376 §3.4.3, and one count for the relaxed form however it is fed."""
    canonical = body
    while canonical.endswith(b"\r\n"):
        canonical = canonical[:-2]
    assert body[: simple_body_end(body)] == canonical
    whole, split = RelaxedBodyHash(), RelaxedBodyHash()
    whole.update(body)
    for index in range(len(body)):
        split.update(body[index : index + 1])
    assert whole.digest() == split.digest()
    assert whole.octets == split.octets


def test_a_long_end_of_empty_lines_is_found_at_once() -> None:
    assert simple_body_end(b"x" + b"\r\n" * 2_000_000) == 1
    assert simple_body_end(b"\n" + b"\r\n" * 20_000) == 1
    assert simple_body_end(b"\r\n" * 5000) == 0
