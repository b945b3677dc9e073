"""Access tokens of apps (RFC 6750): JWTs of an authority whose keys are given as a JSON Web Key Set.

"Authenticate an EWS application by using OAuth": app-only tokens carry the role `full_access_as_app`, and may
impersonate whoever the account's scope has in it, everybody if that is empty. Without the role it is the scope alone
that counts ("RBAC for Applications in Exchange Online"), and an app with neither is not let in.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt

from tests.peers.ews.access import Account, Accounts


class Tokens:
    def __init__(self, keys: Path, audience: str) -> None:
        self._keys = {key["kid"]: jwt.PyJWK(key).key for key in json.loads(keys.read_text())["keys"]}
        self._audience = audience

    def account(self, token: str, accounts: Accounts) -> Account | None:
        """The app's account, by its client id; None for a token that isn't good, or good for nothing."""
        claims = self._claims(token)
        account = accounts.named(str(claims.get("appid") or claims.get("azp") or "")) if claims else None
        if claims is None or account is None:
            return None
        has_role = "full_access_as_app" in claims.get("roles", ())
        if not account.impersonates and not has_role:
            return None
        return replace(account, impersonates=account.impersonates or ("*",), is_app=True)

    def _claims(self, token: str) -> dict[str, Any] | None:
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            return dict(jwt.decode(token, key, algorithms=["RS256"], audience=self._audience))
        except (jwt.InvalidTokenError, KeyError):
            return None
