"""The authority's endpoints, and the handle by which tests arrange it and read what happened."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import parse_qs, parse_qsl
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.peers.https import Authority, HttpsServer, Request, Response
from tests.peers.oauth.apps import App, ClientCertificate, Secret, thumbprint
from tests.peers.oauth.tokens import SigningKey

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class _RefusedError(Exception):
    """An answer as entra/identity-platform/reference-error-codes describes it."""

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.error, self.code, self.text = status, error, code, text


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What was asked at the token endpoint."""

    tenant: str
    client_id: str
    scope: str
    by: str
    """"secret", "certificate" or "" """
    error: int
    """Number of the AADSTS… error, 0 for a token."""


class OAuthServer:
    """Arranged by its methods at any time, from any thread."""

    def __init__(self, authority: Authority, *, port: int = 0) -> None:
        self.ca_file: Path = authority.file
        self.key = SigningKey()
        self.tenant = str(uuid4())
        self.tenant_domain = "example.onmicrosoft.com"
        self.lifetime_s = 3599
        """Of the tokens to come."""
        self.requests: list[TokenRequest] = []
        self.resources: set[str] = set()
        """Resources besides those that an app has roles for."""
        self._apps: dict[str, App] = {}
        self.rotates = False
        """Whether each refresh token is good for one time, and comes with the next one (RFC 6749 §6)."""
        self._grants: dict[str, tuple[App, str]] = {}
        self._faults: list[Response] = []
        self._lock = threading.Lock()
        self._https = HttpsServer(self._answer, authority.ca, port=port, largest_body=100_000)

    # --- for tests ---

    @property
    def url(self) -> str:
        return self._https.url

    @property
    def authority_url(self) -> str:
        """What `oauth.authority` of our configuration takes."""
        return f"{self.url}/{self.tenant}"

    @property
    def token_url(self) -> str:
        return f"{self.authority_url}/oauth2/v2.0/token"

    @property
    def issuer(self) -> str:
        return f"{self.url}/{self.tenant}/v2.0"

    @property
    def public_keys(self) -> dict[str, rsa.RSAPublicKey]:
        """By key id, as the peers verify with."""
        return self.key.public_keys

    @property
    def token_requests(self) -> int:
        return len(self.requests)

    def add_app(
        self,
        *,
        roles: dict[str, tuple[str, ...]] | None = None,
        certificate: ClientCertificate | None = None,
        name: str = "Stampline",
        client_id: str = "",
        secret: str = "",
    ) -> App:
        """Register an app with a secret that is good for a year; what isn't given is made up."""
        app = App(client_id or str(uuid4()), str(uuid4()), name, roles=roles or {})
        app.secrets.append(Secret(secret or token_urlsafe(30), datetime.now(UTC) + timedelta(days=365)))
        if certificate is not None:
            app.certificates.append(certificate.parsed)
        with self._lock:
            self._apps[app.client_id] = app
        return app

    def expire_secrets(self, app: App) -> None:
        for secret in app.secrets:
            secret.expires_at = datetime.now(UTC) - timedelta(days=1)

    def token_for(self, app: App, audience: str, *, lifetime_s: int | None = None) -> str:
        """A token without asking over the wire; a negative lifetime makes one that has expired."""
        lifetime = self.lifetime_s if lifetime_s is None else lifetime_s
        return self.key.access_token(app, self.tenant, self._token_issuer, audience, lifetime)

    @property
    def plain_token_url(self) -> str:
        """Of an authority that isn't Microsoft's: errors as RFC 6749 §5.2 has them, and refresh tokens."""
        return f"{self.url}/token"

    def grant(self, app: App, user: str) -> str:
        """A refresh token: the user has let the app have his mail. Tokens say who he is in `email`."""
        token = token_urlsafe(30)
        with self._lock:
            self._grants[token] = (app, user)
        return token

    def revoke(self, refresh_token: str) -> None:
        with self._lock:
            del self._grants[refresh_token]

    def throttle(self, times: int = 1, *, retry_after_s: int = 5) -> None:
        """The next requests for a token are answered with 429."""
        body = json.dumps({"error": "temporarily_unavailable", "error_description": "Too many requests"}).encode()
        answer = Response(429, body, headers={"Retry-After": str(retry_after_s)})
        with self._lock:
            self._faults += [answer] * times

    def fail(self, times: int = 1, response: Response | None = None) -> None:
        """The next requests for a token get this; else a 503 that is no JSON."""
        with self._lock:
            self._faults += [response or Response(503, b"<html>Service Unavailable</html>", "text/html")] * times

    # --- endpoints ---

    @property
    def _token_issuer(self) -> str:
        return f"{self.url}/{self.tenant}/"

    async def _answer(self, request: Request) -> Response:
        parts = request.segments
        with self._lock:
            if parts[1:] == ("oauth2", "v2.0", "token"):
                return self._token_endpoint(request, parts[0])
            if parts == ("token",):
                return self._plain_token_endpoint(request)
            if request.method != "GET":
                return Response(405)
            if parts[1:] in ((".well-known", "openid-configuration"), ("v2.0", ".well-known", "openid-configuration")):
                return self._metadata(parts[0])
            if parts[1:] == ("discovery", "v2.0", "keys"):
                return _json(200, {"keys": [self.key.jwk()]})
        return Response(404, b"<html>404</html>", "text/html")

    def _metadata(self, tenant: str) -> Response:
        """entra/identity-platform/v2-protocols-oidc: sign-in, find your app's OpenID configuration document URI."""
        try:
            self._check_tenant(tenant)
        except _RefusedError as refusal:
            return _refused(refusal)
        base = f"{self.url}/{self.tenant}"
        return _json(
            200,
            {
                "token_endpoint": f"{self.url}/{tenant}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "jwks_uri": f"{self.url}/{tenant}/discovery/v2.0/keys",
                "response_types_supported": ["code", "id_token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{self.url}/{tenant}/oauth2/v2.0/authorize",
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
            },
        )

    def _token_endpoint(self, request: Request, tenant: str) -> Response:
        if request.method != "POST":
            return Response(405)
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if self._faults:
            self._note(tenant, form, 1)
            return self._faults.pop(0)
        try:
            if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
                raise _RefusedError(400, "invalid_request", 900144, _missing("grant_type"))
            if any(len(values) > 1 for values in parse_qs(request.body.decode("utf-8", "replace")).values()):
                raise _RefusedError(400, "invalid_request", 900144, "A parameter is there twice.")
            token = self._issue(tenant, form)
        except _RefusedError as refusal:
            self._note(tenant, form, refusal.code)
            return _refused(refusal)
        self._note(tenant, form, 0)
        answer = {"token_type": "Bearer", "expires_in": self.lifetime_s, "ext_expires_in": self.lifetime_s}
        return _json(200, {**answer, "access_token": token}, {"Cache-Control": "no-store, no-cache"})

    def _plain_token_endpoint(self, request: Request) -> Response:
        """RFC 6749 §4.4 and §6."""
        if request.method != "POST":
            return Response(405)
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        self._note("", form, 0)
        if self._faults:
            return self._faults.pop(0)
        app = self._apps.get(form.get("client_id", ""))
        if app is None or form.get("client_secret") != app.secret:
            return _json(401, {"error": "invalid_client", "error_description": "Unauthorized"})
        answer: dict[str, object] = {"token_type": "Bearer", "expires_in": self.lifetime_s}
        if form.get("grant_type") == "client_credentials":
            user = ""
        elif form.get("grant_type") == "refresh_token":
            owner, user = self._grants.get(form.get("refresh_token", ""), (None, ""))
            if owner is not app:
                return _json(400, {"error": "invalid_grant", "error_description": "Token has been revoked."})
            if self.rotates:
                del self._grants[form["refresh_token"]]
                answer["refresh_token"] = token_urlsafe(30)
                self._grants[str(answer["refresh_token"])] = (app, user)
        else:
            return _json(400, {"error": "unsupported_grant_type"})
        shown = replace(app, claims={**app.claims, "email": user}) if user else app
        token = self.key.access_token(shown, "", f"{self.url}/", form.get("scope", "mail"), self.lifetime_s)
        return _json(200, {**answer, "access_token": token}, {"Cache-Control": "no-store"})

    def _note(self, tenant: str, form: dict[str, str], error: int) -> None:
        by = "certificate" if "client_assertion" in form else "secret" if "client_secret" in form else ""
        self.requests.append(TokenRequest(tenant, form.get("client_id", ""), form.get("scope", ""), by, error))

    def _check_tenant(self, tenant: str) -> None:
        if tenant not in (self.tenant, self.tenant_domain):
            text = f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing "
            text += "into the correct cloud. Check with your subscription administrator, this may happen if there are "
            raise _RefusedError(400, "invalid_request", 90002, text + "no active subscriptions for the tenant.")

    def _issue(self, tenant: str, form: dict[str, str]) -> str:
        """entra/identity-platform/v2-oauth2-client-creds-grant-flow: get a token."""
        self._check_tenant(tenant)
        for name in ("grant_type", "scope"):
            if not form.get(name):
                raise _RefusedError(400, "invalid_request", 900144, _missing(name))
        if form["grant_type"] != "client_credentials":
            text = f"The app requested an unsupported grant type '{form['grant_type']}'."
            raise _RefusedError(400, "unsupported_grant_type", 70003, text)
        app = self._app_of(tenant, form)
        self._authenticate(app, tenant, form)
        if app.is_disabled:
            text = f"Application '{app.client_id}'({app.name}) is disabled."
            raise _RefusedError(401, "unauthorized_client", 7000112, text)
        audience = self._audience_of(form["scope"], app)
        return self.key.access_token(app, self.tenant, self._token_issuer, audience, self.lifetime_s)

    def _app_of(self, tenant: str, form: dict[str, str]) -> App:
        client_id = form.get("client_id", "")
        if not client_id and "client_assertion" in form:
            client_id = str(_unverified(form["client_assertion"]).get("iss", ""))
        if not client_id:
            raise _RefusedError(400, "invalid_request", 900144, _missing("client_id"))
        app = self._apps.get(client_id)
        if app is None:
            text = f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can "
            text += "happen if the application has not been installed by the administrator of the tenant or consented "
            text += "to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
            raise _RefusedError(400, "unauthorized_client", 700016, text)
        return app

    def _audience_of(self, scope: str, app: App) -> str:
        if not scope.endswith("/.default") or " " in scope:
            text = f"The provided value for scope {scope} is not valid. Client credential flows must have a scope "
            text += "value with /.default suffixed to the resource identifier (application ID URI)."
            raise _RefusedError(400, "invalid_scope", 1002012, text)
        audience = scope.removesuffix("/.default")
        if audience not in app.roles and audience not in self.resources:
            text = f"The resource principal named {audience} was not found in the tenant named {self.tenant_domain}. "
            text += "This can happen if the application has not been installed by the administrator of the tenant."
            raise _RefusedError(400, "invalid_resource", 500011, text)
        return audience

    def _authenticate(self, app: App, tenant: str, form: dict[str, str]) -> None:
        if "client_assertion" in form:
            return self._check_assertion(app, tenant, form)
        if "client_secret" not in form:
            text = (
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."
            )
            raise _RefusedError(401, "invalid_client", 7000216, text)
        fitting = [
            one for one in app.secrets if hmac.compare_digest(one.value.encode(), form["client_secret"].encode())
        ]
        if not fitting:
            text = "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
            text += f"value, not the client secret ID, for a secret added to app '{app.client_id}'."
            raise _RefusedError(401, "invalid_client", 7000215, text)
        if all(one.expires_at <= datetime.now(UTC) for one in fitting):
            text = f"The provided client secret keys for app '{app.client_id}' are expired. Visit the Azure portal to "
            raise _RefusedError(401, "invalid_client", 7000222, text + "create new keys for your app.")
        return None

    def _check_assertion(self, app: App, tenant: str, form: dict[str, str]) -> None:
        """entra/identity-platform/certificate-credentials: header, claims; RFC 7523 §3."""
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise _RefusedError(400, "invalid_request", 900144, _missing("client_assertion_type"))
        assertion = form["client_assertion"]
        header = _header(assertion)
        kind = "x5t#S256" if "x5t#S256" in header else "x5t"
        wanted = str(header.get(kind, "")).rstrip("=")  # msal pads, and is understood
        certificate = next((one for one in app.certificates if thumbprint(one, kind) == wanted), None)
        if certificate is None or header.get("alg") not in ("RS256", "PS256"):
            text = "The certificate with identifier used to sign the client assertion is not registered on application."
            raise _RefusedError(
                401, "invalid_client", 700027, f"{text} [Reason - The key was not found., key: '{wanted}']"
            )
        if certificate.not_valid_after_utc <= datetime.now(UTC):
            text = "The certificate with identifier used to sign the client assertion is expired on application."
            raise _RefusedError(
                401, "invalid_client", 700027, f"{text} [Reason - The key used is expired., key: '{wanted}']"
            )
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        audiences = [f"{self.url}/{tenant}/oauth2/v2.0/token", f"{self.url}/{tenant}/v2.0"]
        try:
            claims = jwt.decode(
                assertion,
                key,
                algorithms=[str(header["alg"])],
                audience=audiences,
                options={"require": ["aud", "exp", "iss", "jti", "sub"]},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            text = "Client assertion is not within its valid time range."
            raise _RefusedError(401, "invalid_client", 700024, text) from error
        except jwt.InvalidAudienceError as error:
            text = "Client assertion audience claim does not match Realm issuer."
            raise _RefusedError(401, "invalid_client", 700023, text) from error
        except jwt.PyJWTError as error:
            raise _RefusedError(
                401, "invalid_client", 700027, "Client assertion contains an invalid signature."
            ) from error
        if claims["iss"] != app.client_id or claims["sub"] != app.client_id:
            text = "Client assertion application identifier doesn't match 'client_id' parameter."
            raise _RefusedError(401, "invalid_client", 700021, text)


def _header(token: str) -> dict[str, object]:
    try:
        return dict(jwt.get_unverified_header(token))
    except jwt.PyJWTError as error:
        raise _RefusedError(400, "invalid_request", 50027, "Invalid JWT token. Token format is not valid.") from error


def _unverified(token: str) -> dict[str, object]:
    try:
        return dict(jwt.decode(token, options={"verify_signature": False}))
    except jwt.PyJWTError as error:
        raise _RefusedError(400, "invalid_request", 50027, "Invalid JWT token. Token format is not valid.") from error


def _missing(parameter: str) -> str:
    return f"The request body must contain the following parameter: '{parameter}'."


def _json(status: int, value: object, headers: dict[str, str] | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), "application/json; charset=utf-8", headers or {})


def _refused(refusal: _RefusedError) -> Response:
    trace, correlation = str(uuid4()), str(uuid4())
    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    description = f"AADSTS{refusal.code}: {refusal.text}"
    description += f"\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {moment}"
    body = {
        "error": refusal.error,
        "error_description": description,
        "error_codes": [refusal.code],
        "timestamp": moment,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.example.com/error?code={refusal.code}",
    }
    return _json(refusal.status, body)


@contextmanager
def oauth_server(authority: Authority, *, port: int = 0) -> Iterator[OAuthServer]:
    """Run one; `authority` issues its certificate."""
    server = OAuthServer(authority, port=port)
    with server._https:
        yield server
