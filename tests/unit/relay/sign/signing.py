"""Keys of both kinds, what DNS says of them, and messages that are hard to sign."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mta.authenticate.dkim import verify_dkim
from mta.authenticate.material import Material
from mta.config.schema import DkimKey
from mta.config.signing_keys import PrivateKey
from mta.config.types import Secret
from mta.message.parse import parse
from mta.relay.sign import Signer
from mta.relay.sign.record import key_record
from tests.unit.authenticate.zones import Zones

NOW = datetime(2025, 11, 22, 10, 0, tzinfo=UTC)
RSA, ED25519 = "rsa", "ed25519"

_HEAD = b"From: Jane <jane@example.com>\r\nTo: a@example.net\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
HARD = {
    "no-body": _HEAD + b"Subject: x\r\n\r\n",
    "no-end-of-header": _HEAD + b"Subject: x\r\n",
    "blank-lines-only": _HEAD + b"\r\n\r\n\r\n\r\n",
    "white-lines-only": _HEAD + b"\r\n \r\n\t\r\n \t \r\n",
    "blank-lines-between": _HEAD + b"\r\n\r\n\r\ntext\r\n\r\n\r\nmore\r\n \r\n\r\n",
    "no-last-line-end": _HEAD + b"Subject: x\r\n\r\ntext",
    "white-at-the-end": _HEAD + b"Subject: x\r\n\r\ntext \t \r\n\t\r\n",
    "long-line": _HEAD + b"Subject: x\r\n\r\n" + b"0123456789 " * 9000 + b"\r\n",
    "long-field": _HEAD + b"Subject: " + b"word " * 1000 + b"\r\n\r\ntext\r\n",
    "folded": _HEAD + b"Subject: one\r\n\ttwo\r\n   three \t \r\n four\r\n\r\ntext\r\n",
    "empty-field": _HEAD + b"Subject:\r\nReply-To: \t\r\n\r\ntext\r\n",
    "white-before-the-text": _HEAD + b"Subject:   \t x\r\n\r\ntext\r\n",
    "eight-bit": _HEAD + b"Subject: \xe9\xff caf\xc3\xa9\r\n\r\n\xff\xfe 8-bit\r\n",
    "any-case": _HEAD + b"SUBJECT: x\r\nmessage-ID: <1@example.com>\r\n\r\ntext\r\n",
    "repeated": _HEAD + b"Cc: a@example.net\r\nCc: b@example.net\r\nSubject: x\r\nCc: c@example.net\r\n\r\ntext\r\n",
    "two-lists": _HEAD + b"List-Id: <a>\r\nSubject: x\r\nList-Id: <b>\r\n\r\ntext\r\n",
    "from-alone": b"From: jane@example.com\r\n\r\ntext\r\n",
    "lists-and-resent": _HEAD
    + b"List-Id: <l.example.com>\r\nList-Unsubscribe: <https://example.com/u>\r\n"
    + b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nResent-From: b@example.com\r\n\r\ntext\r\n",
    "signed-before": b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=AA==; b=AA==\r\n"
    + _HEAD
    + b"\r\ntext\r\n",
}


def pem_of(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Keys:
    """A key of each kind on disk; selectors are the kinds' names."""

    def __init__(self, folder: Path) -> None:
        self._private: dict[str, PrivateKey] = {
            RSA: generate_private_key(65537, 2048), ED25519: Ed25519PrivateKey.generate(),
        }  # fmt: skip
        self._folder = folder
        for kind, key in self._private.items():
            self.path(kind).write_bytes(pem_of(key))

    def path(self, kind: str) -> Path:
        return self._folder / f"{kind}.pem"

    def settings(self, kind: str = RSA, **changes: Any) -> DkimKey:
        values: dict[str, Any] = {"domain": "example.com", "selector": kind, "key": Secret(file=self.path(kind))}
        return DkimKey(**(values | changes))

    def signer(self, kind: str = RSA, **changes: Any) -> Signer:
        return Signer.from_config([self.settings(kind, **changes)])

    def both(self) -> Signer:
        return Signer.from_config([self.settings(), self.settings(ED25519, signs="always")])

    @property
    def records(self) -> dict[str, str]:
        """Name in DNS → record."""
        return {f"{kind}._domainkey.example.com": key_record(key) for kind, key in self._private.items()}

    def dkimpy_verifies(self, content: bytes) -> bool:
        """Of an RSA signature; dkimpy needs another library for the other kind."""
        record = self.records["rsa._domainkey.example.com"].encode()
        return bool(dkim.verify(content, dnsfunc=lambda name, timeout=5: record))

    async def our_verdicts(self, content: bytes, now: datetime = NOW) -> dict[str, str]:
        """Selector → result, by the verifier that checks mail from outside."""
        zones = Zones({name: [("TXT", record)] for name, record in self.records.items()})
        results = await verify_dkim(Material(parse(content)), zones, now)
        return {result.selector: result.result for result in results}


def signed(signer: Signer, content: bytes, now: datetime = NOW) -> bytes:
    return b"".join(made.field for made in signer.sign("example.com", [content], now)) + content
