"""The record to publish is the key that signs."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from mta.authenticate.keys import PublicKey, read_key
from mta.config.signing_keys import PrivateKey
from mta.relay.sign.record import key_record, zone_line
from tests.unit.relay.sign.signing import ED25519, RSA


@pytest.fixture(scope="module")
def private() -> dict[str, PrivateKey]:
    return {RSA: generate_private_key(65537, 4096), ED25519: Ed25519PrivateKey.generate()}


@pytest.mark.parametrize("kind", [RSA, ED25519])
def test_a_verifier_reads_the_same_key(private: dict[str, PrivateKey], kind: str) -> None:
    read = read_key(key_record(private[kind]).encode())
    assert isinstance(read, PublicKey)
    assert read.key == private[kind].public_key()


def test_a_zone_file_takes_strings_of_255_octets(private: dict[str, PrivateKey]) -> None:
    record = key_record(private[RSA])
    line = zone_line("s1._domainkey.example.com", record)
    strings = re.findall('"([^"]*)"', line)
    assert line.startswith("s1._domainkey.example.com. IN TXT ( ")
    assert "".join(strings) == record
    assert [len(string) for string in strings[:-1]] == [255] * (len(strings) - 1)
    assert len(strings) > 2


def test_a_short_record_is_one_string(private: dict[str, PrivateKey]) -> None:
    record = key_record(private[ED25519])
    assert zone_line("e._domainkey.example.com", record) == f'e._domainkey.example.com. IN TXT "{record}"'
