"""Access tokens of apps (RFC 6750): JWTs of an authority whose keys are given as a JSON Web Key Set.

"Authenticate an EWS application by using OAuth": app-only tokens carry the role `full_access_as_app` and impersonate
whom they like; with RBAC for Applications there is no role, and the management scope counts alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt

from tests.peers.ews.access import Account, Accounts


class Tokens:
    def __init__(self, keys: Path, audience: str) -> None:
        self._keys = {key["kid"]: jwt.PyJWK(key).key for key in json.loads(keys.read_text())["keys"]}
        self._audience = audience

    def account(self, token: str, accounts: Accounts) -> Account | None:
        """The app's account, by its client id; None for a token that isn't good. Scopes are the account's."""
        claims = self._claims(token)
        if claims is None:
            return None
        return accounts.named(str(claims.get("appid") or claims.get("azp") or ""))

    def _claims(self, token: str) -> dict[str, Any] | None:
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            return dict(jwt.decode(token, key, algorithms=["RS256"], audience=self._audience))
        except (jwt.InvalidTokenError, KeyError):
            return None
