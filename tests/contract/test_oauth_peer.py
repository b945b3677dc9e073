"""The tests' OAuth authority answers as Microsoft Entra ID documents it, to msal and on the wire."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msal
import pytest
import requests

from tests.peers.https import Authority
from tests.peers.oauth import App, InvalidTokenError, OAuthServer, client_certificate, oauth_server, verified

AUDIENCE = "https://graph.example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def oauth(authority: Authority) -> Iterator[OAuthServer]:
    with oauth_server(authority) as server:
        yield server


@pytest.fixture(scope="module")
def app(oauth: OAuthServer) -> App:
    return oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})


def _ask(oauth: OAuthServer, form: dict[str, str], *, tenant: str = "") -> httpx.Response:
    with httpx.Client(verify=_context(oauth), trust_env=False) as client:
        return client.post(f"{oauth.url}/{tenant or oauth.tenant}/oauth2/v2.0/token", data=form)


def _context(oauth: OAuthServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(oauth.ca_file))


def _form(app: App, **changes: str) -> dict[str, str]:
    form = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": app.secret}
    return {name: value for name, value in {**form, "scope": f"{AUDIENCE}/.default", **changes}.items() if value}


def _by_msal(oauth: OAuthServer, client_id: str, credential: Any) -> dict[str, Any]:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(oauth.ca_file)
    with session:
        client = msal.ConfidentialClientApplication(
            client_id,
            client_credential=credential,
            authority=oauth.authority_url,
            instance_discovery=False,
            http_client=session,
        )
        return dict(client.acquire_token_for_client([f"{AUDIENCE}/.default"]))


def test_msal_gets_a_token_by_a_secret(oauth: OAuthServer, app: App) -> None:
    answer = _by_msal(oauth, app.client_id, app.secret)
    claims = verified(answer["access_token"], oauth.public_keys, (AUDIENCE,))
    assert (claims["appid"], claims["tid"], claims["roles"]) == (app.client_id, oauth.tenant, ["Mail.ReadWrite"])


def test_msal_gets_a_token_by_a_certificate(oauth: OAuthServer, tmp_path: Path) -> None:
    certificate = client_certificate(tmp_path)
    app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)}, certificate=certificate)
    credential = {"private_key": certificate.key.read_text(), "public_certificate": certificate.certificate.read_text()}
    answer = _by_msal(oauth, app.client_id, credential)
    assert "access_token" in answer, answer
    assert verified(answer["access_token"], oauth.public_keys, (AUDIENCE,))["appid"] == app.client_id
    assert oauth.requests[-1].by == "certificate"


def test_a_certificate_that_has_expired(oauth: OAuthServer, tmp_path: Path) -> None:
    certificate = client_certificate(tmp_path, valid_for=timedelta(hours=-1))
    app = oauth.add_app(roles={AUDIENCE: ()}, certificate=certificate)
    credential = {"private_key": certificate.key.read_text(), "public_certificate": certificate.certificate.read_text()}
    assert _by_msal(oauth, app.client_id, credential)["error_codes"] == [700027]


def test_a_certificate_of_somebody_else(oauth: OAuthServer, app: App, tmp_path: Path) -> None:
    certificate = client_certificate(tmp_path)
    credential = {"private_key": certificate.key.read_text(), "public_certificate": certificate.certificate.read_text()}
    assert _by_msal(oauth, app.client_id, credential)["error_codes"] == [700027]


@pytest.mark.parametrize(
    ("changes", "status", "error", "code"),
    [
        pytest.param({"client_secret": "wrong"}, 401, "invalid_client", 7000215, id="wrong-secret"),
        pytest.param({"client_secret": ""}, 401, "invalid_client", 7000216, id="no-secret"),
        pytest.param({"client_id": "nobody"}, 400, "unauthorized_client", 700016, id="unknown-app"),
        pytest.param({"client_id": ""}, 400, "invalid_request", 900144, id="no-app"),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", 70003, id="grant"),
        pytest.param({"scope": AUDIENCE}, 400, "invalid_scope", 1002012, id="scope-without-default"),
        pytest.param({"scope": "https://else.example/.default"}, 400, "invalid_resource", 500011, id="resource"),
        pytest.param({"client_assertion": "x.y.z"}, 400, "invalid_request", 900144, id="assertion-without-type"),
        pytest.param(
            {
                "client_assertion": "x.y.z",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            },
            400,
            "invalid_request",
            50027,
            id="assertion-is-no-jwt",
        ),
    ],
)
def test_refusals(oauth: OAuthServer, app: App, changes: dict[str, str], status: int, error: str, code: int) -> None:
    answer = _ask(oauth, _form(app, **changes))
    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (status, error, [code])
    assert answer.json()["error_description"].startswith(f"AADSTS{code}: ")


def test_an_unknown_tenant(oauth: OAuthServer, app: App) -> None:
    assert _ask(oauth, _form(app), tenant="else.example").json()["error_codes"] == [90002]


def test_a_disabled_app_and_expired_secrets(oauth: OAuthServer) -> None:
    app = oauth.add_app(roles={AUDIENCE: ()})
    app.is_disabled = True
    assert _ask(oauth, _form(app)).json()["error_codes"] == [7000112]
    oauth.expire_secrets(app)
    assert _ask(oauth, _form(app)).json()["error_codes"] == [7000222]


def test_faults_strike_as_often_as_ordered_and_are_counted(oauth: OAuthServer, app: App) -> None:
    before = oauth.token_requests
    oauth.throttle(1, retry_after_s=7)
    oauth.fail(1)
    first, second, third = (_ask(oauth, _form(app)) for _ in range(3))
    assert (first.status_code, first.headers["retry-after"], second.status_code, third.status_code) == (
        429,
        "7",
        503,
        200,
    )
    assert oauth.token_requests == before + 3


def test_tokens_are_for_one_audience_and_end(oauth: OAuthServer, app: App) -> None:
    good = oauth.token_for(app, AUDIENCE)
    with pytest.raises(InvalidTokenError, match="audience"):
        verified(good, oauth.public_keys, ("https://else.example",))
    with pytest.raises(InvalidTokenError, match="expired"):
        verified(oauth.token_for(app, AUDIENCE, lifetime_s=-60), oauth.public_keys, (AUDIENCE,))
    with pytest.raises(InvalidTokenError):
        verified(good[:-8] + "AAAAAAAA", oauth.public_keys, (AUDIENCE,))


def test_the_key_set_is_published_and_exported_for_dovecot(oauth: OAuthServer, tmp_path: Path) -> None:
    with httpx.Client(verify=_context(oauth), trust_env=False) as client:
        metadata = client.get(f"{oauth.authority_url}/v2.0/.well-known/openid-configuration").json()
        keys = client.get(metadata["jwks_uri"]).json()["keys"]
    assert metadata["issuer"] == oauth.issuer
    assert [key["kid"] for key in keys] == [oauth.key.id]
    folder = oauth.key.write_for_dovecot(tmp_path)
    assert (folder / "default" / "RS256" / oauth.key.id).read_bytes() == oauth.key.public_pem()
