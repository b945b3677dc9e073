"""The IMAP adapter with Dovecots that are set up in other ways: names, folders, ways to sign in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mta.adapters.mailbox.imap import ImapSentItems
from mta.model.mailbox_item import Removal
from mta.ports.mailbox import AccessDeniedError, MailboxUnavailableError, SignInError
from tests.contract.mailboxes.samples import changed, in_place_of, new_id, plain, unread
from tests.peers.https import Authority
from tests.peers.oauth import App, OAuthServer, oauth_server
from tests.servers.dovecot import MASTER_PASSWORD, Dovecot, running_dovecot
from tests.unit.adapters.mailbox.imap.servers import JANE, NO_JOB, imap_server

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def bare(needs_dovecot: None) -> Iterator[Dovecot]:
    """Mailboxes by local part, folders below INBOX, none that the server itself makes or knows a use of."""
    with running_dovecot(["jane", "joe", "jill"], prefix="INBOX.", has_folders=False) as server:
        yield server


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(MASTER_PASSWORD)
    return file


def _adapter(server: Dovecot, folder: Path, **more: Any) -> ImapSentItems:
    return imap_server(server.imaps, folder, **{"tls": {"ca_file": str(server.ca_file)}, **more})


async def _replace(adapter: ImapSentItems, mailbox: str, message_id: str) -> None:
    (found,) = await adapter.find(mailbox, message_id, NO_JOB)
    original = await adapter.read(mailbox, found.ref)
    made = await adapter.read(mailbox, await adapter.create(mailbox, changed(original, "more")))
    assert made.text == "Hello\r\nmore\r\n"
    await adapter.remove(mailbox, original.ref, Removal.DELETED_ITEMS)
    assert [item.ref.id for item in await adapter.find(mailbox, message_id, NO_JOB)] == [made.ref.id]


@pytest.mark.usefixtures("password")
async def test_folders_are_known_by_usual_names_below_the_namespace(bare: Dovecot, tmp_path: Path) -> None:
    message_id = new_id()
    with bare.session("jane") as session:
        session.create('"INBOX.Sent Items"')
        session.append('"INBOX.Sent Items"', "\\Seen", None, plain(message_id).mime)
    adapter = _adapter(bare, tmp_path, mailbox_name="local-part", sign_in="master-user")
    assert "INBOX.Sent Items" in await adapter.sign_in(JANE)
    await _replace(adapter, JANE, message_id)  # there is no folder for deleted items: it is gone for good
    with bare.session("jane") as session:
        assert session.select('"INBOX.Sent Items"')[1] == [b"1"]
    await adapter.close()


@pytest.mark.usefixtures("password")
async def test_a_mailbox_without_a_folder_for_sent_items_gets_one(bare: Dovecot, tmp_path: Path) -> None:
    adapter = _adapter(bare, tmp_path, mailbox_name="local-part")
    mailbox = "joe@example.com"
    assert "without a folder" in await adapter.sign_in(mailbox)
    assert await adapter.find(mailbox, "<a@example.com>", NO_JOB) == []
    original = plain(new_id())
    ref = await adapter.create(mailbox, in_place_of(unread("<a@example.com>", original.mime), original.mime))
    assert (await adapter.read(mailbox, ref)).text == "Hello\r\n"
    with bare.session("joe") as session:
        assert session.select("INBOX.Sent")[1] == [b"1"]
        assert [line for line in session.lsub()[1] if isinstance(line, bytes) and b"INBOX.Sent" in line]
    await adapter.close()


@pytest.mark.usefixtures("password")
async def test_a_folder_of_any_name(bare: Dovecot, tmp_path: Path) -> None:
    message_id = new_id()
    with bare.session("jill") as session:
        session.create('"INBOX.Gesendete Objekte &- mehr \\"\\\\&AOQ-"')
        session.append('"INBOX.Gesendete Objekte &- mehr \\"\\\\&AOQ-"', "", None, plain(message_id).mime)
    name = 'INBOX.Gesendete Objekte & mehr "\\ä'
    adapter = _adapter(bare, tmp_path, mailbox_name="local-part", sent_folder=name)
    await _replace(adapter, "jill@example.com", message_id)
    await adapter.close()


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def oauth(authority: Authority) -> Iterator[OAuthServer]:
    with oauth_server(authority) as server:
        yield server


@pytest.fixture(scope="module")
def app(oauth: OAuthServer) -> App:
    return oauth.add_app(roles={"https://outlook.office365.com": ("IMAP.AccessAsApp",)})


@pytest.fixture(scope="module")
def by_token(needs_dovecot: None, oauth: OAuthServer, app: App, authority: Authority) -> Iterator[Dovecot]:
    """Its tokens are checked by Dovecot itself, with the authority's key."""
    with TemporaryDirectory(prefix="keys-") as folder:  # Dovecot's user may not look below pytest's own folder
        keys = oauth.key.write_for_dovecot(Path(folder))
        for path in (Path(folder), keys, *keys.rglob("*")):
            path.chmod(0o755)
        settings = (
            f"introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={keys}/\n"
            f"username_attribute = appid\nusername_format = {app.client_id}\n"
            f"active_attribute = appid\nactive_value = {app.client_id}\n"
        )
        with running_dovecot([JANE], oauth=settings, authority=authority.ca) as server:
            yield server


def _with_token(server: Dovecot, folder: Path, oauth: OAuthServer, client_id: str, secret: str) -> ImapSentItems:
    (folder / "secret").write_text(secret)
    settings = {
        "tenant": oauth.tenant, "client_id": client_id, "client_secret": {"file": str(folder / "secret")},
        "authority": oauth.authority_url,
    }  # fmt: skip
    return _adapter(server, folder, sign_in="xoauth2", oauth=settings)


async def test_a_token_opens_mailboxes(by_token: Dovecot, oauth: OAuthServer, app: App, tmp_path: Path) -> None:
    message_id = new_id()
    with by_token.session(JANE) as session:
        session.append("Sent", "\\Seen", None, plain(message_id).mime)
    asked = len(oauth.requests)
    adapter = _with_token(by_token, tmp_path, oauth, app.client_id, app.secret)
    await _replace(adapter, JANE, message_id)
    with pytest.raises((AccessDeniedError, MailboxUnavailableError)):
        await adapter.sign_in("nobody@example.com")
    await adapter.close()
    assert {request.scope for request in oauth.requests[asked:]} == {"https://outlook.office365.com/.default"}


async def test_another_apps_token_opens_none(by_token: Dovecot, oauth: OAuthServer, tmp_path: Path) -> None:
    stranger = oauth.add_app(roles={"https://outlook.office365.com": ("IMAP.AccessAsApp",)})
    adapter = _with_token(by_token, tmp_path, oauth, stranger.client_id, stranger.secret)
    with pytest.raises(SignInError):
        await adapter.sign_in(JANE)
    await adapter.close()
