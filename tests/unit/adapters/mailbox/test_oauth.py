"""Tokens of an app registration, from an authority as Microsoft Entra ID's."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from mta.adapters.mailbox import tokens
from mta.adapters.mailbox.clouds import CLOUDS, authority
from mta.adapters.mailbox.oauth import TokenSource
from mta.config.mailbox_schema import OAuth, Trust
from mta.ports.mailbox import EndpointDownError, MailboxError, SignInError, TlsFailedError
from tests.peers.https import Authority, HttpsServer, Request, Response
from tests.peers.oauth import App, OAuthServer, client_certificate, oauth_server, verified

RESOURCE = "https://graph.example.com"
SCOPE = f"{RESOURCE}/.default"
SECRET = "correct horse battery staple"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def oauth(ca: Authority) -> Iterator[OAuthServer]:
    with oauth_server(ca) as server:
        yield server


@pytest.fixture
def app(oauth: OAuthServer) -> App:
    return oauth.add_app(roles={RESOURCE: ("Mail.ReadWrite",)}, secret=SECRET)


@pytest.fixture
def source(oauth: OAuthServer, app: App, ca: Authority, tmp_path: Path) -> Iterator[Callable[..., TokenSource]]:
    """Makes sources of the app; what is given is another than its own."""
    made: list[TokenSource] = []

    def make(*, scope: str = SCOPE, trust: Trust | None = None, secret: str = SECRET, **settings: Any) -> TokenSource:
        (tmp_path / "secret").write_text(f"{secret}\n")
        own: dict[str, Any] = {"tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url}
        if "certificate" not in settings:
            own["client_secret"] = {"file": str(tmp_path / "secret")}
        made.append(
            TokenSource(OAuth.model_validate(own | settings), scope=scope, trust=trust or Trust(ca_file=ca.file))
        )
        return made[-1]

    yield make
    for one in made:
        one.close()


async def test_a_secret_gives_a_token_for_what_is_needed(
    oauth: OAuthServer, app: App, source: Callable[..., TokenSource]
) -> None:
    token = await source().token()
    claims = verified(token, oauth.public_keys, (RESOURCE,))
    assert claims["appid"] == app.client_id
    assert [(request.by, request.scope) for request in oauth.requests] == [("secret", SCOPE)]


async def test_a_certificate_does_as_well(
    oauth: OAuthServer, source: Callable[..., TokenSource], tmp_path: Path
) -> None:
    certificate = client_certificate(tmp_path)
    app = oauth.add_app(roles={RESOURCE: ()}, certificate=certificate)
    source_of_it = source(client_id=app.client_id, certificate=str(certificate.certificate), key=str(certificate.key))
    assert await source_of_it.token()
    assert [request.by for request in oauth.requests] == ["certificate"]


async def test_the_configured_scope_wins(
    oauth: OAuthServer, app: App, ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPH_SECRET", SECRET)
    settings = OAuth.model_validate({
        "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url, "scope": SCOPE,
        "client_secret": {"env": "GRAPH_SECRET"},
    })  # fmt: skip
    source = TokenSource(settings, scope="https://elsewhere.example.com/.default", trust=Trust(ca_file=ca.file))
    await source.token()
    source.close()
    assert [request.scope for request in oauth.requests] == [SCOPE]


async def test_all_who_ask_share_one_token(oauth: OAuthServer, source: Callable[..., TokenSource]) -> None:
    shared = source()
    with ThreadPoolExecutor(8) as threads:
        in_threads = [threads.submit(shared.token_now) for _ in range(20)]
        in_tasks = await asyncio.gather(*(shared.token() for _ in range(20)))
    assert len({*in_tasks, *(one.result() for one in in_threads)}) == 1
    assert oauth.token_requests == 1


async def test_a_token_is_renewed_before_it_ends(oauth: OAuthServer, source: Callable[..., TokenSource]) -> None:
    oauth.lifetime_s = 0
    short = source()
    await short.token()
    oauth.lifetime_s = 3600
    await short.token()
    await short.token()
    assert oauth.token_requests == 2


async def test_a_token_serves_on_while_the_authority_is_away(
    oauth: OAuthServer, source: Callable[..., TokenSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    oauth.lifetime_s = 3600
    held = source()
    first = await held.token()
    shortly_before_its_end = SimpleNamespace(monotonic=lambda: time.monotonic() + 3500)
    monkeypatch.setattr(tokens, "time", shortly_before_its_end)
    oauth.throttle(1, retry_after_s=1)
    assert await held.token() == first
    assert oauth.token_requests == 2
    assert await held.token() == first


async def test_a_token_that_was_refused_is_not_given_again(
    oauth: OAuthServer, source: Callable[..., TokenSource]
) -> None:
    shared = source()
    first = await shared.token()
    shared.forget(first)
    second = await shared.token()
    shared.forget(first)  # somebody else was told later
    assert second != first
    assert await shared.token() == second
    assert oauth.token_requests == 2


def _wrong_secret(oauth: OAuthServer, app: App) -> dict[str, Any]:
    return {"secret": "not-that-one"}


def _expired_secret(oauth: OAuthServer, app: App) -> dict[str, Any]:
    oauth.expire_secrets(app)
    return {}


def _unknown_app(oauth: OAuthServer, app: App) -> dict[str, Any]:
    return {"client_id": "2f0a7bde-0000-4000-8000-000000000000"}


def _disabled_app(oauth: OAuthServer, app: App) -> dict[str, Any]:
    app.is_disabled = True
    return {}


def _no_default_scope(oauth: OAuthServer, app: App) -> dict[str, Any]:
    return {"scope": f"{RESOURCE}/Mail.ReadWrite"}


def _other_resource(oauth: OAuthServer, app: App) -> dict[str, Any]:
    return {"scope": "https://graph.microsoft.us/.default"}


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (_wrong_secret, "AADSTS7000215", "the client secret is wrong"),
        (_expired_secret, "AADSTS7000222", "has expired"),
        (_unknown_app, "AADSTS700016", "no such application"),
        (_disabled_app, "AADSTS7000112", "is disabled"),
        (_no_default_scope, "AADSTS1002012", "ends in /.default"),
        (_other_resource, "AADSTS500011", "check scope and cloud"),
    ],
    ids=lambda value: value.__name__.lstrip("_") if callable(value) else "",
)
async def test_a_refusal_says_what_to_do(
    oauth: OAuthServer,
    app: App,
    source: Callable[..., TokenSource],
    fault: Callable[[OAuthServer, App], dict[str, Any]],
    code: str,
    says: str,
) -> None:
    refused = source(**fault(oauth, app))
    with pytest.raises(SignInError) as raised:
        await refused.token()
    assert raised.value.code == code
    assert says in raised.value.detail
    assert SECRET not in str(raised.value)


async def test_a_certificate_that_the_app_does_not_have(source: Callable[..., TokenSource], tmp_path: Path) -> None:
    other = client_certificate(tmp_path, "other")
    with pytest.raises(SignInError, match=r"AADSTS700027: the certificate isn't that of the app registration"):
        await source(certificate=str(other.certificate), key=str(other.key)).token()


async def test_a_tenant_that_is_not_there(oauth: OAuthServer, source: Callable[..., TokenSource]) -> None:
    with pytest.raises(SignInError, match="bad-authority"):
        await source(authority=f"{oauth.url}/nowhere.example.com").token()


async def test_a_key_that_is_no_pem(source: Callable[..., TokenSource], tmp_path: Path) -> None:
    for name in ("app.pem", "app.key"):
        (tmp_path / name).write_bytes(b"\xffno PEM")
    with pytest.raises(SignInError, match="no pair in PEM"):
        await source(certificate=str(tmp_path / "app.pem"), key=str(tmp_path / "app.key")).token()


def test_what_can_not_be_read_is_told_at_once(source: Callable[..., TokenSource], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        source(certificate=str(tmp_path / "none.pem"), key=str(tmp_path / "none.key"))
    with pytest.raises(KeyError):
        source(client_secret={"env": "STAMPLINE_NO_SUCH_VARIABLE"})
    with pytest.raises(FileNotFoundError):
        source(trust=Trust(ca_file=tmp_path / "none.pem"))


async def test_an_authority_that_is_busy_or_fails_is_no_wrong_secret(
    oauth: OAuthServer, source: Callable[..., TokenSource]
) -> None:
    oauth.throttle(retry_after_s=1)
    with pytest.raises(EndpointDownError, match="temporarily_unavailable"):
        await source().token()
    oauth.fail()
    with pytest.raises(EndpointDownError, match="503"):
        await source().token()


async def test_certificates_are_checked_unless_told_otherwise(
    source: Callable[..., TokenSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with pytest.raises(TlsFailedError, match="localhost"):
        await source(trust=Trust(ca_file=tmp_path / "other.pem")).token()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # not asked: proxies are not from the environment
    assert await source(trust=Trust(verify=False)).token()


async def test_nobody_listens(source: Callable[..., TokenSource]) -> None:
    with pytest.raises(EndpointDownError, match="authority-unreachable"):
        await source(authority="https://localhost:9/tenant").token()


def _json(value: object, status: int = 200, **headers: str) -> Response:
    return Response(status, json.dumps(value).encode(), headers=headers)


class _Hostile:
    """An authority that answers the metadata as it should, and a request for a token as it likes."""

    def __init__(self, ca: Authority, answer: Response, token_endpoint: str = "") -> None:
        self._token = answer
        self._endpoint = token_endpoint
        self.posts = 0
        self.https = HttpsServer(self._answer, ca.ca)

    async def _answer(self, request: Request) -> Response:
        if request.method == "POST":
            self.posts += 1
            return self._token
        base = f"{self.https.url}/tenant"
        endpoint = self._endpoint or f"{base}/token"
        return _json({"issuer": base, "authorization_endpoint": f"{base}/authorize", "token_endpoint": endpoint})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(Response(200, b"<html>sign in</html>", "text/html"), EndpointDownError, id="html"),
        pytest.param(_json([]), EndpointDownError, id="list"),
        pytest.param(Response(200, b"[" * 100_000), EndpointDownError, id="deep"),
        pytest.param(Response(200, b'{"a":"' + b"x" * 300_000 + b'"}'), EndpointDownError, id="huge"),
        pytest.param(_json({"access_token": 7}), SignInError, id="number"),
        pytest.param(_json({"access_token": "a\r\nX-Evil: 1", "expires_in": 3600}), SignInError, id="two-lines"),
        pytest.param(_json({"access_token": "good", "expires_in": "soon"}), MailboxError, id="lifetime"),
        pytest.param(_json({"error": "x" * 500, "error_description": SECRET}, 400), SignInError, id="echo"),
        pytest.param(Response(is_dropped=True), EndpointDownError, id="dropped"),
    ],
)
async def test_an_answer_that_is_none(
    source: Callable[..., TokenSource], ca: Authority, answer: Response, kind: type[MailboxError]
) -> None:
    hostile = _Hostile(ca, answer)
    with hostile.https, pytest.raises(kind) as raised:
        await source(authority=f"{hostile.https.url}/tenant").token()
    assert SECRET not in str(raised.value)
    assert len(str(raised.value)) < 400


async def test_the_secret_does_not_follow_a_redirection(
    source: Callable[..., TokenSource], oauth: OAuthServer, ca: Authority
) -> None:
    hostile = _Hostile(ca, _json({"hello": "there"}, 307, Location=oauth.token_url))
    with hostile.https, pytest.raises(EndpointDownError, match="307"):
        await source(authority=f"{hostile.https.url}/tenant").token()
    assert hostile.posts == 1
    assert oauth.token_requests == 0


async def test_the_secret_goes_nowhere_without_tls(source: Callable[..., TokenSource], ca: Authority) -> None:
    hostile = _Hostile(ca, _json({}), "http://localhost:9/token")
    with hostile.https, pytest.raises(SignInError, match="bad-authority"):
        await source(authority=f"{hostile.https.url}/tenant").token()


async def test_after_its_end_nobody_is_asked(oauth: OAuthServer, source: Callable[..., TokenSource]) -> None:
    ended = source()
    ended.close()
    with pytest.raises(EndpointDownError, match="given up"):
        await asyncio.to_thread(ended.token_now)
    assert oauth.requests == []


async def test_a_connection_that_is_being_opened_at_the_end_is_closed(
    source: Callable[..., TokenSource], ca: Authority
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.ca.issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        ending = source(authority=f"https://localhost:{listener.getsockname()[1]}/tenant")
        token = asyncio.create_task(asyncio.to_thread(ending.token_now))
        plain, _ = await asyncio.to_thread(listener.accept)
        ending.close()  # before TLS
        plain.settimeout(60)
        with await asyncio.to_thread(context.wrap_socket, plain, server_side=True) as connection:
            await asyncio.to_thread(connection.recv, 65_536)
            connection.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}")
            with pytest.raises(SignInError):
                await token
            assert await asyncio.to_thread(connection.recv, 65_536) == b""


def test_each_cloud_has_its_own_authority() -> None:
    settings = {"tenant": "example.com", "client_id": "1", "client_secret": {"env": "X"}}
    places = {cloud: authority(OAuth.model_validate({**settings, "cloud": cloud})) for cloud in CLOUDS}
    assert places == {
        "global": "https://login.microsoftonline.com/example.com",
        "us-government": "https://login.microsoftonline.us/example.com",
        "us-government-dod": "https://login.microsoftonline.us/example.com",
        "china": "https://login.partner.microsoftonline.cn/example.com",
    }
