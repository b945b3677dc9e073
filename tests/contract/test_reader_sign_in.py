"""Monitored mailboxes of IMAP and POP3 with a Dovecot: ways to sign in, and kinds of TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from pydantic import TypeAdapter

from mta.adapters.mailbox import open_reader
from mta.config.tracking_schema import MonitoredMailbox
from mta.ports.mailbox import NoMailboxError, SignInError, TlsFailedError
from mta.ports.mailbox_reader import MailboxReader
from tests.contract.readers.harness import message, message_id
from tests.peers.https import Authority
from tests.peers.oauth import App, OAuthServer, oauth_server
from tests.servers.dovecot import PASSWORD, Dovecot, running_dovecot

pytestmark = pytest.mark.server
JANE = "jane@example.com"
_SETTINGS: TypeAdapter[MonitoredMailbox] = TypeAdapter(MonitoredMailbox)
both = pytest.mark.parametrize("kind", ["imap", "pop3"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def oauth(authority: Authority) -> Iterator[OAuthServer]:
    with oauth_server(authority) as server:
        yield server


@pytest.fixture(scope="module")
def app(oauth: OAuthServer) -> App:
    """Microsoft's way: the app itself may read, whosever mailbox it opens."""
    return oauth.add_app(roles={"https://outlook.office365.com": ("IMAP.AccessAsApp",)})


@pytest.fixture(scope="module")
def dovecot(needs_dovecot: None, oauth: OAuthServer, authority: Authority) -> Iterator[Dovecot]:
    """Its tokens are checked by Dovecot itself, with the authority's key; they say in `email` who it is."""
    with TemporaryDirectory(prefix="keys-") as folder:  # Dovecot's user may not look below pytest's own folder
        keys = oauth.key.write_for_dovecot(Path(folder))
        for path in (Path(folder), keys, *keys.rglob("*")):
            path.chmod(0o755)
        settings = (
            f"introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={keys}/\n"
            "username_attribute = email\nusername_format = %Lu\n"
        )
        with running_dovecot([JANE], prefix="INBOX.", oauth=settings, authority=authority.ca) as server:
            with server.session(JANE) as session:
                session.append("INBOX", "", "", message())
                session.create("INBOX.Desk.Open")
                session.append("INBOX.Desk.Open", "", "", message("in a folder"))
            yield server


def _reader(dovecot: Dovecot, kind: str, place: Path, **settings: Any) -> MailboxReader:
    (place / "password").write_text(PASSWORD)
    own = {
        "kind": kind, "name": "desk", "address": JANE, "host": "localhost",
        "port": dovecot.imaps if kind == "imap" else dovecot.pop3s, "tls": {"ca_file": str(dovecot.ca_file)},
        "password": {"file": str(place / "password")},
    }  # fmt: skip
    return open_reader(_SETTINGS.validate_python({**own, **settings}), set_aside_folder=place / "aside")


async def _sees_mail(reader: MailboxReader) -> str:
    try:
        answered = await reader.sign_in()
        (waiting,) = await reader.waiting(10)
        assert message_id(await reader.fetch(waiting.ref, 1_000_000))
        await reader.end_session(purge=True)
    finally:
        await reader.close()
    return answered


# --- tokens -----------------------------------------------------------------------------------------------------------


def _refreshed(oauth: OAuthServer, app: App, user: str, folder: Path) -> dict[str, Any]:
    (folder / "secret").write_text(app.secret)
    (folder / "refresh").write_text(oauth.grant(app, user))
    return {
        "sign_in": "xoauth2",
        "oauth": {
            "token_url": oauth.plain_token_url, "client_id": app.client_id,
            "client_secret": {"file": str(folder / "secret")}, "refresh_token": {"file": str(folder / "refresh")},
        },
    }  # fmt: skip


@both
async def test_the_token_of_a_user_opens_his_mailbox(
    dovecot: Dovecot, oauth: OAuthServer, app: App, tmp_path: Path, kind: str
) -> None:
    assert await _sees_mail(_reader(dovecot, kind, tmp_path, **_refreshed(oauth, app, JANE, tmp_path)))


@both
async def test_somebody_elses_token_opens_none(
    dovecot: Dovecot, oauth: OAuthServer, app: App, tmp_path: Path, kind: str
) -> None:
    reader = _reader(dovecot, kind, tmp_path, **_refreshed(oauth, app, "joe@example.com", tmp_path))
    with pytest.raises(SignInError):
        await _sees_mail(reader)


@both
async def test_a_token_that_has_ended_is_refused_and_the_next_one_is_new(
    dovecot: Dovecot, oauth: OAuthServer, app: App, tmp_path: Path, kind: str
) -> None:
    reader = _reader(dovecot, kind, tmp_path, **_refreshed(oauth, app, JANE, tmp_path))
    oauth.lifetime_s = -1000
    with pytest.raises(SignInError):
        await reader.sign_in()
    oauth.lifetime_s = 3599
    assert await _sees_mail(reader)


@both
async def test_an_app_registration_asks_for_exchanges_scope(
    dovecot: Dovecot, oauth: OAuthServer, tmp_path: Path, kind: str
) -> None:
    app = oauth.add_app(roles={"https://outlook.office365.com": ("IMAP.AccessAsApp",)})
    app.claims["email"] = JANE
    (tmp_path / "secret").write_text(app.secret)
    settings = {
        "tenant": oauth.tenant, "client_id": app.client_id, "client_secret": {"file": str(tmp_path / "secret")},
        "authority": oauth.authority_url,
    }  # fmt: skip
    asked = len(oauth.requests)
    assert await _sees_mail(_reader(dovecot, kind, tmp_path, sign_in="xoauth2", oauth=settings))
    assert {request.scope for request in oauth.requests[asked:]} == {"https://outlook.office365.com/.default"}


# --- passwords and TLS ------------------------------------------------------------------------------------------------


def _clear(dovecot: Dovecot, kind: str) -> int:
    return dovecot.imap if kind == "imap" else dovecot.pop3


@both
async def test_starttls(dovecot: Dovecot, tmp_path: Path, kind: str) -> None:
    tls = {"mode": "starttls", "ca_file": str(dovecot.ca_file)}
    assert await _sees_mail(_reader(dovecot, kind, tmp_path, port=_clear(dovecot, kind), tls=tls))


@both
async def test_without_tls(dovecot: Dovecot, tmp_path: Path, kind: str) -> None:
    assert await _sees_mail(_reader(dovecot, kind, tmp_path, port=_clear(dovecot, kind), tls={"mode": "none"}))


@both
@pytest.mark.parametrize("mode", ["implicit", "starttls"])
async def test_another_name_is_another_server_unless_nothing_is_checked(
    dovecot: Dovecot, tmp_path: Path, kind: str, mode: str
) -> None:
    settings: dict[str, Any] = {"port": _clear(dovecot, kind)} if mode == "starttls" else {}
    tls = {"mode": mode, "ca_file": str(dovecot.ca_file), "verify_name": "mail.example.com"}
    reader = _reader(dovecot, kind, tmp_path, tls=tls, **settings)
    with pytest.raises(TlsFailedError, match=r"mail\.example\.com"):
        await reader.sign_in()
    await reader.close()
    assert await _sees_mail(_reader(dovecot, kind, tmp_path, tls={**tls, "verify": False}, **settings))


@both
async def test_a_password_that_changes_serves_without_a_restart(dovecot: Dovecot, tmp_path: Path, kind: str) -> None:
    reader = _reader(dovecot, kind, tmp_path, user=JANE)
    (tmp_path / "password").write_text("wrong")
    with pytest.raises(SignInError) as raised:
        await reader.sign_in()
    assert "wrong" not in str(raised.value)
    (tmp_path / "password").unlink()
    with pytest.raises(SignInError, match="can't be read"):
        await reader.sign_in()
    (tmp_path / "password").write_text(PASSWORD)
    assert await _sees_mail(reader)


# --- folders below a namespace ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["Desk/Open", "INBOX.Desk.Open", "INBOX/Desk/Open", "Desk.Open"])
async def test_a_folder_below_the_namespace(dovecot: Dovecot, tmp_path: Path, folder: str) -> None:
    assert folder in await _sees_mail(_reader(dovecot, "imap", tmp_path, folder=folder))


async def test_folders_are_told_as_the_configuration_has_them(dovecot: Dovecot, tmp_path: Path) -> None:
    reader = _reader(dovecot, "imap", tmp_path)
    assert {"INBOX", "Sent", "Desk/Open"} <= set(await reader.folders())
    (waiting,) = await reader.waiting(10)
    await reader.move(waiting.ref, "Desk/Gelöscht")
    await reader.close()
    reader = _reader(dovecot, "imap", tmp_path, folder="Desk/Gelöscht")
    (moved,) = await reader.waiting(10)
    await reader.move(moved.ref, "INBOX")
    await reader.end_session(purge=True)
    await reader.close()
    with dovecot.session(JANE) as session:
        subscribed = [line for line in session.lsub()[1] if isinstance(line, bytes)]
    assert any(b"INBOX.Desk.Gel&APY-scht" in line for line in subscribed)


async def test_a_folder_that_is_not_there_is_named(dovecot: Dovecot, tmp_path: Path) -> None:
    reader = _reader(dovecot, "imap", tmp_path, folder="Desk/Absent")
    with pytest.raises(NoMailboxError, match="Desk/Absent"):
        await reader.sign_in()
    await reader.close()
