"""Who may do what: bearer tokens, application permissions, and RBAC for Applications.

learn.microsoft.com/exchange/permissions-exo/application-rbac: rights from Entra (roles in the token) hold for all
mailboxes; those of Exchange (management role assignments) within their scope; an app has the union of both.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.peers.graph.answers import GraphError
from tests.peers.oauth import InvalidTokenError, verified

AUDIENCE = "https://graph.microsoft.com"
_AUDIENCES = (AUDIENCE, f"{AUDIENCE}/", "00000003-0000-0000-c000-000000000000")


@dataclass(frozen=True, slots=True)
class Caller:
    app: str
    """Its client id."""
    roles: frozenset[str]


@dataclass(slots=True)
class Access:
    keys: dict[str, rsa.RSAPublicKey]
    tenant: str
    grants: dict[str, list[tuple[str, tuple[str, ...]]]] = field(default_factory=dict)
    """Of Exchange: permission and scope (addresses, `*` for anything) by app."""
    policies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Application access policies: to which mailboxes an app is restricted."""
    refuses_tokens: bool = False

    def caller(self, authorization: str) -> Caller:
        """Raises GraphError."""
        kind, _, token = authorization.partition(" ")
        headers = {"WWW-Authenticate": 'Bearer realm="", authorization_uri="https://localhost/common/oauth2/authorize"'}
        if kind.lower() != "bearer" or not token:
            raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.", headers)
        try:
            claims = verified(token, self.keys, _AUDIENCES)
        except InvalidTokenError as error:
            raise GraphError(401, "InvalidAuthenticationToken", str(error), headers) from error
        if self.refuses_tokens or claims.get("tid") != self.tenant:
            raise GraphError(401, "InvalidAuthenticationToken", "The token has been revoked.", headers)
        return Caller(str(claims.get("appid", "")), frozenset(claims.get("roles", ())))

    def check_mail(self, caller: Caller, address: str, enough: Collection[str]) -> None:
        """Raises GraphError where the app has none of these permissions for this mailbox."""
        policy = self.policies.get(caller.app)
        by_entra = not caller.roles.isdisjoint(enough) and (policy is None or _matches(address, policy))
        by_exchange = any(
            permission in enough and _matches(address, scope) for permission, scope in self.grants.get(caller.app, [])
        )
        if not by_entra and not by_exchange:
            raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")

    @staticmethod
    def check_directory(caller: Caller) -> None:
        """Users themselves need a right of the directory (graph/api/user-get). Raises GraphError."""
        enough = {"User.Read.All", "User.ReadBasic.All", "User.ReadWrite.All", "Directory.Read.All"}
        if not enough & caller.roles:
            text = "Insufficient privileges to complete the operation."
            raise GraphError(403, "Authorization_RequestDenied", text)


def _matches(address: str, scope: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(address.lower(), pattern.lower()) for pattern in scope)
