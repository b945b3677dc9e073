"""Signatures as others verify them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa, x25519
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mta.config.schema import DkimKey
from mta.config.types import Secret
from mta.message import canonical
from mta.relay.sign import DkimKeyError, Signer
from tests.servers.opendkim import opendkim_says

NOW = datetime(2025, 11, 22, 10, 0, tzinfo=UTC)
MESSAGE = (
    b"Received: from x by y; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    b"From: Jane Doe <jane@example.com>\r\nTo: a@example.net,\r\n\tb@example.net\r\nSubject:  Two   words \r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative;\r\n boundary="b"\r\n'
    b"\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello  \r\n\tthere \t all\r\n\r\n--b--\r\n\r\n\r\n"
)

Verify = Callable[[bytes], bool]


class Keys:
    """A 2048-bit key on disk, and a DNS that publishes its public half under every name."""

    def __init__(self, folder: Path) -> None:
        self.private = rsa.generate_private_key(65537, 2048)
        self.path = folder / "key.pem"
        self.path.write_bytes(_pem(self.private))
        public = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    def key(self, domain: str = "example.com", selector: str = "s1") -> DkimKey:
        return DkimKey(domain=domain, selector=selector, key=Secret(file=self.path))

    def verifies(self, content: bytes) -> bool:
        return bool(dkim.verify(content, dnsfunc=lambda name, timeout=5: self.record))


def _pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def signer(keys: Keys) -> Signer:
    return Signer.from_config([keys.key()])


def _signed(signer: Signer, content: bytes) -> bytes:
    (signature,) = signer.sign("example.com", [content], NOW)
    return signature.field + content


def _tag(field: bytes, name: bytes) -> bytes:
    match = re.search(rb"[;\s]" + name + rb"=([^;]*)", field)
    assert match is not None
    return re.sub(rb"\s", b"", match[1])


def test_dkimpy_verifies(signer: Signer, keys: Keys) -> None:
    assert keys.verifies(_signed(signer, MESSAGE))


@pytest.mark.server
@pytest.mark.usefixtures("needs_opendkim")
def test_opendkim_verifies_and_sees_a_changed_body(signer: Signer, keys: Keys, tmp_path: Path) -> None:
    dns = {b"s1._domainkey.example.com.": keys.record}
    signed = _signed(signer, MESSAGE)
    assert "succeeded" in opendkim_says(tmp_path, signed, dns)
    assert "succeeded" not in opendkim_says(tmp_path, signed.replace(b"Hello", b"Hullo"), dns)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Hello", b"Hallo"),
        (b"Two   words", b"Three words"),
        (b"\r\nFrom: Jane", b"\r\nFrom: Eve <eve@example.org>\r\nFrom: Jane"),
        (b"\r\nSubject:", b"\r\nSubject: Another\r\nSubject:"),
        (b"Content-Type: multipart/alternative", b"Content-Type: text/html\r\nContent-Type: multipart/alternative"),
    ],
)
def test_a_change_or_a_second_field_breaks_it(signer: Signer, keys: Keys, old: bytes, new: bytes) -> None:
    signed = _signed(signer, MESSAGE)
    assert signed.replace(old, new, 1) != signed
    assert not keys.verifies(signed.replace(old, new, 1))


def test_what_the_way_changes_does_not_break_it(signer: Signer, keys: Keys) -> None:
    """Relaxed: white space at line ends, folding, and trace fields on top."""
    signed = (
        _signed(signer, MESSAGE)
        .replace(b"there \t all", b"there all  ")
        .replace(b"a@example.net,\r\n\tb", b"a@example.net, b")
    )
    assert keys.verifies(b"Received: by z; Sun, 22 Nov 2026 10:00:01 +0000\r\n" + signed)


def test_repeated_fields_are_signed_from_the_lowest_up(signer: Signer, keys: Keys) -> None:
    content = MESSAGE.replace(b"\r\nSubject:", b"\r\nCc: c@example.net\r\nCc: d@example.net\r\nSubject:")
    assert keys.verifies(_signed(signer, content))
    assert not keys.verifies(_signed(signer, content).replace(b"Cc: c", b"Cc: e"))
    assert not keys.verifies(_signed(signer, content).replace(b"Cc: d", b"Cc: e"))


def test_h_names_what_is_there_once_more_and_from_always(signer: Signer) -> None:
    (signature,) = signer.sign("example.com", [b"Subject: x\r\n\r\nbody\r\n"], NOW)
    assert _tag(signature.field, b"h") == b"from:reply-to:to:cc:subject:subject"


def test_the_same_copy_gives_the_same_bytes(signer: Signer) -> None:
    assert _signed(signer, MESSAGE) == _signed(signer, MESSAGE)
    assert _tag(_signed(signer, MESSAGE), b"t") == str(int(NOW.timestamp())).encode()


def test_the_field_is_folded_and_ends_with_crlf(signer: Signer) -> None:
    (signature,) = signer.sign("example.com", [MESSAGE], NOW)
    assert signature.field.endswith(b"\r\n")
    lines = signature.field[:-2].split(b"\r\n")
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert max(map(len, lines)) <= 78


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_segments_may_be_cut_anywhere(signer: Signer, monkeypatch: pytest.MonkeyPatch, data: st.DataObject) -> None:
    monkeypatch.setattr(canonical, "CHUNK_OCTETS", data.draw(st.integers(1, 200)))
    marks = sorted({0, len(MESSAGE), *data.draw(st.lists(st.integers(0, len(MESSAGE)), max_size=6))})
    cut = [MESSAGE[a:b] if a % 2 else memoryview(MESSAGE)[a:b] for a, b in pairwise(marks)]
    (signature,) = signer.sign("example.com", cut, NOW)
    assert signature.field + MESSAGE == _signed(signer, MESSAGE)


@pytest.mark.parametrize(
    "content",
    [
        b"From: jane@example.com\r\n\r\n",
        b"From: jane@example.com\r\n",
        b"From: jane@example.com\r\n\r\n\r\n\r\n",
        b"From: jane@example.com\r\nSubject: \xe9\xff\r\n\r\n\xff\x00 8-bit\r\n",
        b"From: jane@example.com\r\nSubject: no line end\r\n\r\nx",
    ],
)
def test_odd_messages_verify(signer: Signer, keys: Keys, content: bytes) -> None:
    assert keys.verifies(_signed(signer, content))


def test_the_key_is_chosen_by_the_domain_itself_then_its_parents(keys: Keys) -> None:
    signer = Signer.from_config(
        [keys.key("example.com", "old"), keys.key("Sales.Example.com", "s"), keys.key("example.com", "next")]
    )
    chosen = {}
    for domain in ("EXAMPLE.com", "sales.example.com", "a.b.sales.example.com", "hr.example.com"):
        (signature,) = signer.sign(domain, [MESSAGE], NOW)
        chosen[domain] = (signature.domain, signature.selector)
        assert _tag(signature.field, b"d").decode() == signature.domain
        assert _tag(signature.field, b"s").decode() == signature.selector
    assert chosen == {
        "EXAMPLE.com": ("example.com", "old"),
        "sales.example.com": ("sales.example.com", "s"),
        "a.b.sales.example.com": ("sales.example.com", "s"),
        "hr.example.com": ("example.com", "old"),
    }


@pytest.mark.parametrize("domain", ["example.net", "com", "notexample.com", "example.com.example.net", "", "."])
def test_a_domain_without_a_key_is_not_signed(signer: Signer, domain: str) -> None:
    assert signer.sign(domain, [MESSAGE], NOW) == ()


def test_an_endless_header_is_not_signed(signer: Signer) -> None:
    with pytest.raises(ValueError, match="end of the header"):
        signer.sign("example.com", [b"x: y\r\n" * 400_000], NOW)


def test_configured_headers_are_signed_and_no_others(keys: Keys) -> None:
    key = keys.key().model_copy(update={"headers": ("Subject", "X-Mine"), "oversign": ()})
    (signature,) = Signer.from_config([key]).sign("example.com", [b"X-Mine: 1\r\n" + MESSAGE], NOW)
    assert _tag(signature.field, b"h") == b"from:from:subject:subject:x-mine:x-mine"


def _without_a_file(folder: Path) -> Secret:
    return Secret(file=folder / "missing.pem")


def _without_a_variable(folder: Path) -> Secret:
    return Secret(env="STAMPLINE_NO_SUCH_KEY")


def _no_key(folder: Path) -> Secret:
    (folder / "key.pem").write_bytes(b"not a key")
    return Secret(file=folder / "key.pem")


def _wrong_kind(folder: Path) -> Secret:
    (folder / "key.pem").write_bytes(_pem(x25519.X25519PrivateKey.generate()))
    return Secret(file=folder / "key.pem")


@pytest.mark.parametrize(
    ("secret", "what"),
    [
        (_without_a_file, "can't be read: No such file"),
        (_without_a_variable, "no variable STAMPLINE_NO_SUCH_KEY"),
        (_no_key, "PEM"),
        (_wrong_kind, "is neither an RSA nor an Ed25519 key"),
    ],
)
def test_a_bad_key_is_refused_by_name(tmp_path: Path, secret: Callable[[Path], Secret], what: str) -> None:
    with pytest.raises(DkimKeyError, match=what) as refused:
        Signer.from_config([DkimKey(domain="example.com", selector="s1", key=secret(tmp_path))])
    assert "s1._domainkey.example.com" in str(refused.value)


@pytest.mark.parametrize(
    ("domain", "selector", "expected"),
    [
        ("example.com", "", ("example.com", "s1")),
        ("example.com", "s2", ("example.com", "s2")),
        ("mail.example.com", "s2", ("example.com", "s2")),
        ("shop.example.com", "s2", ("example.com", "s2")),
        ("shop.example.com", "", ("shop.example.com", "shop")),
        ("example.com", "gone", ("example.com", "s1")),
        ("EXAMPLE.com", "s2", ("example.com", "s2")),
    ],
)
def test_a_rule_chooses_the_key(keys: Keys, domain: str, selector: str, expected: tuple[str, str]) -> None:
    several = [keys.key(), keys.key(selector="s2"), keys.key("shop.example.com", "shop")]
    (signature,) = Signer.from_config(several).sign(domain, [MESSAGE], NOW, selector=selector)
    assert (signature.domain, signature.selector) == expected
    assert keys.verifies(signature.field + MESSAGE)
