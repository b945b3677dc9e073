"""Tokens of any authority, by the address of its token endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from mta.adapters.mailbox.token_url import TokenUrlSource
from mta.config.mailbox_schema import Trust
from mta.config.tracking_schema import TokenUrl
from mta.ports.mailbox import EndpointDownError, MailboxError, SignInError, TlsFailedError
from tests.peers.https import Authority, Response
from tests.peers.oauth import App, OAuthServer, oauth_server

JANE = "jane@example.com"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def oauth(ca: Authority) -> Iterator[OAuthServer]:
    with oauth_server(ca) as server:
        yield server


@pytest.fixture
def app(oauth: OAuthServer) -> App:
    return oauth.add_app()


@pytest.fixture
def source(oauth: OAuthServer, app: App, ca: Authority, tmp_path: Path) -> Iterator[Callable[..., TokenUrlSource]]:
    """Makes sources; secrets are in files of their names."""
    made: list[TokenUrlSource] = []

    def make(refresh_token: str = "", *, trust: Trust | None = None, **settings: Any) -> TokenUrlSource:
        (tmp_path / "secret").write_text(f"{app.secret}\n")
        (tmp_path / "refresh").write_text(f"{refresh_token}\n")
        own: dict[str, Any] = {
            "token_url": oauth.plain_token_url, "client_id": app.client_id,
            "client_secret": {"file": str(tmp_path / "secret")},
        }  # fmt: skip
        if refresh_token:
            own["refresh_token"] = {"file": str(tmp_path / "refresh")}
        values = TokenUrl.model_validate(own | settings)
        made.append(TokenUrlSource(values, trust=trust or Trust(ca_file=ca.file)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _user(token: str) -> object:
    return jwt.decode(token, options={"verify_signature": False}).get("email")


async def test_a_refresh_token_gives_its_users_token(
    oauth: OAuthServer, app: App, source: Callable[..., TokenUrlSource]
) -> None:
    tokens = source(oauth.grant(app, JANE), scope="https://mail.example.com/")
    token = await tokens.token()
    assert _user(token) == JANE
    assert await tokens.token() == token
    assert [request.scope for request in oauth.requests] == ["https://mail.example.com/"]


async def test_without_one_the_client_itself_signs_in(source: Callable[..., TokenUrlSource], app: App) -> None:
    token = await source().token()
    assert _user(token) is None
    assert jwt.decode(token, options={"verify_signature": False})["appid"] == app.client_id


async def test_a_token_that_was_refused_is_asked_for_anew(
    oauth: OAuthServer, app: App, source: Callable[..., TokenUrlSource]
) -> None:
    tokens = source(oauth.grant(app, JANE))
    first = await tokens.token()
    tokens.forget(first)
    assert await tokens.token() != first


async def test_an_authority_that_changes_refresh_tokens_is_followed(
    oauth: OAuthServer, app: App, source: Callable[..., TokenUrlSource]
) -> None:
    oauth.rotates = True
    tokens = source(oauth.grant(app, JANE))
    for _ in range(3):
        tokens.forget(await tokens.token())
    assert _user(await tokens.token()) == JANE


async def test_a_new_refresh_token_serves_without_a_restart(
    oauth: OAuthServer, app: App, source: Callable[..., TokenUrlSource], tmp_path: Path
) -> None:
    old = oauth.grant(app, JANE)
    tokens = source(old)
    oauth.revoke(old)
    with pytest.raises(SignInError, match=r"invalid_grant: .*consent"):
        await tokens.token()
    (tmp_path / "refresh").write_text(oauth.grant(app, JANE))
    assert _user(await tokens.token()) == JANE


async def test_a_configured_token_counts_again_when_the_authoritys_own_is_refused(
    oauth: OAuthServer, app: App, source: Callable[..., TokenUrlSource]
) -> None:
    configured = oauth.grant(app, JANE)
    tokens = source(configured)
    oauth.fail(response=_json({"access_token": "a", "expires_in": 3600, "refresh_token": "gone"}))
    tokens.forget(await tokens.token())
    with pytest.raises(SignInError):
        await tokens.token()
    assert _user(await tokens.token()) == JANE


async def test_a_wrong_secret(oauth: OAuthServer, app: App, source: Callable[..., TokenUrlSource]) -> None:
    tokens = source(oauth.grant(app, JANE), client_id="somebody-else")
    with pytest.raises(SignInError, match="client_id"):
        await tokens.token()


async def test_secrets_that_can_not_be_read_are_told(source: Callable[..., TokenUrlSource], tmp_path: Path) -> None:
    tokens = source()
    (tmp_path / "secret").unlink()
    with pytest.raises(SignInError, match="can't be read"):
        await tokens.token()
    with pytest.raises(OSError, match="absent"):
        source(client_secret={"file": str(tmp_path / "absent")})


def _json(value: object, status: int = 200) -> Response:
    return Response(status, json.dumps(value).encode(), "application/json")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_json({"error": "temporarily_unavailable"}, 503), EndpointDownError),
        (_json({"error": "server_error"}, 400), EndpointDownError),
        (_json({}, 429), EndpointDownError),
        (_json({}, 500), EndpointDownError),
        (Response(502, b"<html>Bad gateway</html>", "text/html"), EndpointDownError),
        (Response(302, b"{}", headers={"Location": "https://evil.example.com/"}), EndpointDownError),
        (_json({"error": "invalid_request"}, 400), SignInError),
        (_json({"error": "x y\r\nz"}, 400), SignInError),
        (_json({}), SignInError),
        (_json({"access_token": ""}), SignInError),
        (_json({"access_token": "tok\r\nen"}), SignInError),
        (_json({"access_token": {"a": 1}}), SignInError),
        (_json({"access_token": "a", "error": "no"}, 400), SignInError),
        (_json([1]), EndpointDownError),
        (Response(200, b"{" * 10_000, "application/json"), EndpointDownError),
        (Response(200, b'{"access_token": "' + b"a" * 300_000 + b'"}', "application/json"), EndpointDownError),
    ],
    ids=[
        "busy", "server-error", "too-many", "500", "no-json", "redirection", "invalid-request", "strange-word", "empty",
        "empty-token", "lines-in-token", "object-as-token", "token-with-error", "list", "deep", "large",
    ],
)  # fmt: skip
async def test_an_answer_that_is_no_token(
    oauth: OAuthServer, source: Callable[..., TokenUrlSource], answer: Response, error: type[MailboxError]
) -> None:
    tokens = source()
    oauth.fail(response=answer)
    with pytest.raises(error) as raised:
        await tokens.token()
    assert f"{raised.value}".isprintable()


async def test_certificates_are_checked(source: Callable[..., TokenUrlSource]) -> None:
    with pytest.raises(TlsFailedError):
        await source(trust=Trust()).token()


async def test_nobody_listens(source: Callable[..., TokenUrlSource]) -> None:
    with pytest.raises(EndpointDownError):
        await source(token_url="https://localhost:9/token").token()
