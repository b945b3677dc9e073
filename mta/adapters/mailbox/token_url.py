"""Tokens of any authority by the address of its token endpoint: a refresh token (RFC 6749 §6), or client credentials
(§4.4). Gmail is one."""

from __future__ import annotations

import json
from typing import Any

from mta.adapters.mailbox.tokens import PASSING, Held, Tokens, error_word, held_from
from mta.config.mailbox_schema import Trust
from mta.config.tracking_schema import TokenUrl
from mta.config.types import Secret
from mta.ports.mailbox import EndpointDownError, SignInError

_WHAT_TO_DO = {
    "invalid_client": "the authority doesn't know client_id, or client_secret is wrong",
    "invalid_grant": "the refresh token was revoked or has expired: give consent anew, and write the new one",
    "unauthorized_client": "the client may not ask for tokens this way: check its type at the authority",
    "unsupported_grant_type": "the authority gives no tokens this way: it needs a refresh_token, or none",
    "invalid_scope": "the authority doesn't know this scope, or didn't grant it: check scope",
    "invalid_request": "the authority misses something: a client_secret, or a scope",
}


class TokenUrlSource(Tokens):
    """The tokens of one client. Its secrets are read anew each time, so a new one serves without a restart."""

    def __init__(self, settings: TokenUrl, *, trust: Trust) -> None:
        """Raises OSError or KeyError if a secret or a file can't be read."""
        super().__init__(trust)
        self._settings = settings
        self._configured = ""
        self._rotated = ""
        """What the authority gave in place of the configured refresh token; it may have ended that one (§6)."""
        self._form()

    def _ask(self) -> Held:
        try:
            form = self._form()
        except (OSError, KeyError) as exc:
            raise SignInError("no-secret", "client_secret or refresh_token can't be read") from exc
        answer = self._client().post(self._settings.token_url, data=form, headers={"Accept": "application/json"})
        told: dict[str, Any] = json.loads(answer.text)
        held = held_from(told) if answer.status_code == 200 else None
        if held is None:
            word = error_word(told)
            self._rotated = ""  # the configured one may be newer
            if word in PASSING or answer.status_code == 429 or answer.status_code >= 500:
                raise EndpointDownError(word, "the authority can't give tokens for the moment")
            raise SignInError(word, _WHAT_TO_DO.get(word, "the authority gave no token"))
        fresh = told.get("refresh_token")
        if self._settings.refresh_token is not None and isinstance(fresh, str) and fresh:
            self._rotated = fresh
        return held

    def _form(self) -> dict[str, str]:
        settings = self._settings
        form = {"grant_type": "client_credentials", "client_id": settings.client_id}
        if settings.refresh_token is not None:
            configured = _text(settings.refresh_token)
            if configured != self._configured:
                self._configured, self._rotated = configured, ""
            form |= {"grant_type": "refresh_token", "refresh_token": self._rotated or configured}
        if settings.client_secret is not None:
            form["client_secret"] = _text(settings.client_secret)
        if settings.scope:
            form["scope"] = settings.scope
        return form


def _text(secret: Secret) -> str:
    return secret.read().decode("utf-8", "replace").strip()
