"""Access tokens as Entra's (v1.0 claims, which Graph and Exchange Online ask for), and how a resource verifies them."""

from __future__ import annotations

import base64
import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.peers.oauth.apps import App


class InvalidTokenError(Exception):
    """The token says nothing; the text is Graph's and EWS's word for why."""


class SigningKey:
    """The authority's key; `public_keys` by key id is what resources verify with."""

    def __init__(self) -> None:
        self._private = rsa.generate_private_key(65537, 2048)
        der = self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.id = base64.urlsafe_b64encode(sha256(der).digest()[:20]).rstrip(b"=").decode()

    @property
    def public_keys(self) -> dict[str, rsa.RSAPublicKey]:
        return {self.id: self._private.public_key()}

    def public_pem(self) -> bytes:
        return self._private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def jwk(self) -> dict[str, Any]:
        """RFC 7517."""
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._private.public_key()))
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id, "n": key["n"], "e": key["e"]}

    def write_for_dovecot(self, folder: Path) -> Path:
        """Put the public key where Dovecot's local validation looks, `FOLDER/default/RS256/KID`; gives the folder."""
        place = folder / "default" / "RS256"
        place.mkdir(parents=True, exist_ok=True)
        (place / self.id).write_bytes(self.public_pem())
        return folder

    def signed(self, claims: dict[str, Any]) -> str:
        """A JWT."""
        header = {"kid": self.id, "x5t": self.id}
        return jwt.encode(claims, self._private, algorithm="RS256", headers=header)

    def access_token(self, app: App, tenant: str, issuer: str, audience: str, lifetime_s: int) -> str:
        """A token for the app itself; entra/identity-platform/access-token-claims-reference."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": issuer,
            "iat": now,
            "nbf": now - 300,
            "exp": now + lifetime_s,
            "app_displayname": app.name,
            "appid": app.client_id,
            "idtyp": "app",
            "oid": app.object_id,
            "sub": app.object_id,
            "tid": tenant,
            "uti": uuid4().hex[:22],
            "ver": "1.0",
        }
        roles = app.roles.get(audience, ())
        if roles:
            claims["roles"] = list(roles)
        return self.signed({**claims, **app.claims})


def verified(token: str, keys: dict[str, rsa.RSAPublicKey], audiences: tuple[str, ...]) -> dict[str, Any]:
    """The claims of an RS256 token for one of the audiences. Raises InvalidTokenError."""
    try:
        key = keys.get(str(jwt.get_unverified_header(token).get("kid", "")))
        if key is None:
            raise InvalidTokenError("Signature validation failed: no such key.")
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256"], audience=list(audiences), options={"require": ["exp", "nbf", "aud"]}
        )
    except jwt.ExpiredSignatureError as error:
        raise InvalidTokenError("Lifetime validation failed, the token is expired.") from error
    except jwt.InvalidAudienceError as error:
        raise InvalidTokenError("Access token validation failure. Invalid audience.") from error
    except jwt.PyJWTError as error:
        raise InvalidTokenError("IDX14100: JWT is not well formed.") from error
    return claims
