"""App registrations, and what they prove themselves by."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass(slots=True)
class Secret:
    value: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A self-signed certificate and its key as PEM files."""

    certificate: Path
    key: Path
    parsed: x509.Certificate

    @property
    def x5t(self) -> str:
        """SHA-1 of the DER, base64url: what the JWT's header names the certificate by (RFC 7515 §4.1.7)."""
        return thumbprint(self.parsed, "x5t")


@dataclass(slots=True)
class App:
    """An app registration with its service principal in one tenant."""

    client_id: str
    object_id: str
    name: str
    secrets: list[Secret] = field(default_factory=list)
    certificates: list[x509.Certificate] = field(default_factory=list)
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Application permissions by resource; a resource without any still gives tokens, without the claim `roles`."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Further ones in each token."""
    is_disabled: bool = False

    @property
    def secret(self) -> str:
        """The newest one."""
        return self.secrets[-1].value


def thumbprint(certificate: x509.Certificate, kind: str) -> str:
    """As the header parameters `x5t` and `x5t#S256` have it."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    digest = sha256(der).digest() if kind == "x5t#S256" else sha1(der).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def client_certificate(
    folder: Path, name: str = "stampline", *, valid_for: timedelta = timedelta(days=1)
) -> ClientCertificate:
    """Make one, and write NAME.pem and NAME.key there; a negative `valid_for` makes one that has expired."""
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + valid_for)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].touch(0o600)
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ClientCertificate(*paths, certificate)
