"""Tokens for an app registration (client credentials, RFC 6749 §4.4), by msal; for Graph, EWS, IMAP and POP3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msal

from mta.adapters.mailbox.clouds import authority
from mta.adapters.mailbox.tokens import PASSING, Held, Tokens, error_word, held_from
from mta.config.mailbox_schema import OAuth, Trust
from mta.ports.mailbox import EndpointDownError, MailboxError, SignInError

_WHAT_TO_DO: Mapping[str, str] = MappingProxyType({
    "7000215": "the client secret is wrong: write the secret's value, not its ID",
    "7000222": "the client secret has expired: create a new one in the app registration",
    "700016": "the tenant has no such application: check client_id and tenant, and that an administrator consented",
    "7000229": "the tenant has no service principal of this application: an administrator has to consent to it",
    "7000112": "the application is disabled in the tenant: enable it there",
    "700027": "the certificate isn't that of the app registration, or has expired: upload it there",
    "700024": "the assertion's time is out of range: check this machine's clock",
    "90002": "there is no such tenant: check tenant and cloud",
    "900023": "this is neither a tenant's ID nor one of its domains: check tenant",
    "900382": "the tenant is in another cloud: check cloud",
    "500011": "the tenant doesn't know what the token is for: check scope and cloud",
    "70011": "the scope is not valid: it ends in /.default",
    "1002012": "the scope is not valid: it ends in /.default",
    "53003": "a Conditional Access policy for workload identities blocks it: exempt the application or this address",
})  # fmt: skip
"""https://learn.microsoft.com/entra/identity-platform/reference-error-codes: what an administrator can do."""
_PASSING = frozenset({*PASSING, "90033", "90020", "50196", "90006", "90024"})
"""Their service, not our sign-in."""


class TokenSource(Tokens):
    """The tokens of one app."""

    def __init__(self, settings: OAuth, *, scope: str, trust: Trust) -> None:
        """`scope` is what the server needs, unless the settings say otherwise.

        Raises OSError or KeyError if a secret or a file can't be read.
        """
        super().__init__(trust)
        self._client_id = settings.client_id
        self._authority = authority(settings)
        self._scope = settings.scope or scope
        self._credential = _credential(settings)
        self._application: Any = None

    def _ask(self) -> Held:
        try:
            if self._application is None:
                self._application = msal.ConfidentialClientApplication(
                    self._client_id, authority=self._authority, client_credential=self._credential,
                    instance_discovery=False, http_client=self._client(),
                )  # fmt: skip
            self._application.remove_tokens_for_client()  # msal's own copy may be the refused one
            answer = self._application.acquire_token_for_client(scopes=[self._scope])
        except MailboxError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            # Of msal; its texts may quote what came from the net, so they are not passed on.
            raise SignInError(
                "bad-authority", f"{self._authority} is no authority, or the certificate and key are no pair in PEM"
            ) from exc
        told = answer if isinstance(answer, dict) else {}
        held = held_from(told)
        if held is None:
            raise _refusal(told)
        return held


def _credential(settings: OAuth) -> str | dict[str, str]:
    if settings.client_secret is not None:
        return settings.client_secret.read().decode("utf-8", "replace")
    assert settings.certificate is not None
    assert settings.key is not None
    files = {"private_key": settings.key, "public_certificate": settings.certificate}
    return {name: path.read_bytes().decode("ascii", "replace") for name, path in files.items()}


def _refusal(answer: Mapping[str, Any]) -> MailboxError:
    """What an error answer means; of its text only the code is passed on."""
    word = error_word(answer)
    match = re.match(r"AADSTS(\d{4,9})\b", str(answer.get("error_description", "")))
    number = match[1] if match else ""
    code = f"AADSTS{number}" if number else word
    if word in _PASSING or number in _PASSING:
        return EndpointDownError(code, "the authority can't give tokens for the moment")
    page = f"see https://login.microsoftonline.com/error?code={number}" if number else "the authority gave no token"
    return SignInError(code, _WHAT_TO_DO.get(number, page))
