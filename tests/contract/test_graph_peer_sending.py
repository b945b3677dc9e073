"""The tests' Microsoft Graph sends mail, and keeps folders, as Microsoft documents it; on the wire."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from tests.peers.graph import AUDIENCE, GraphServer, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import OAuthServer, oauth_server

_numbers = count(1)
MESSAGE: dict[str, Any] = {
    "subject": "Ticket 7", "body": {"contentType": "text", "content": "Done."},
    "toRecipients": [{"emailAddress": {"address": "bob@example.net"}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthServer]:
    with oauth_server(Authority(tmp_path_factory.mktemp("oauth"))) as server:
        yield server


@pytest.fixture(scope="module")
def graph(oauth: OAuthServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    with graph_server(oauth, Authority(tmp_path_factory.mktemp("graph"))) as server:
        yield server
        server.limit(keeps_message_ids=True)


class Client:
    """One app at one mailbox."""

    def __init__(self, graph: GraphServer, oauth: OAuthServer, roles: tuple[str, ...]) -> None:
        self.address = f"desk{next(_numbers)}@example.com"
        self.app = oauth.add_app(roles={AUDIENCE: roles})
        graph.add_mailbox(self.address, folder_names={"inbox": "Posteingang"})
        context = ssl.create_default_context(cafile=str(graph.ca_file))
        headers = {"Authorization": f"Bearer {oauth.token_for(self.app, AUDIENCE)}"}
        base = f"{graph.url}/v1.0/users/{self.address}"
        self.http = httpx.Client(verify=context, base_url=base, headers=headers, trust_env=False, timeout=20)

    def send(self, message: dict[str, Any] = MESSAGE, **more: Any) -> httpx.Response:
        return self.http.post("/sendMail", json={"message": message, **more})

    def send_mime(self, mime: bytes, *, encoded: bool = True) -> httpx.Response:
        content = base64.b64encode(mime) if encoded else mime
        return self.http.post("/sendMail", content=content, headers={"Content-Type": "text/plain"})

    def mime(self, *, sender: str = "", more: str = "") -> bytes:
        fields = f"From: Desk <{sender or self.address}>\r\nTo: bob@example.net\r\n{more}Subject: Ticket 7\r\n"
        return f"{fields}Message-ID: <7@example.com>\r\n\r\nDone.\r\n".encode()


@pytest.fixture
def client(graph: GraphServer, oauth: OAuthServer) -> Iterator[Client]:
    client = Client(graph, oauth, ("Mail.Send", "Mail.ReadWrite"))
    with client.http:
        yield client
    graph.heal()


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("is_saved", [True, False])
def test_json_is_sent_and_saved_as_asked(graph: GraphServer, client: Client, is_saved: bool) -> None:
    answer = client.send() if is_saved else client.send(saveToSentItems=False)
    assert (answer.status_code, answer.content) == (202, b"")
    mail = graph.sent()[-1]
    assert (mail.mailbox, mail.sender, mail.recipients) == (client.address, client.address, ("bob@example.net",))
    assert len(graph.items(client.address, "sentitems")) == is_saved == mail.is_saved


def test_mime_is_sent_as_it_is_and_saved(graph: GraphServer, client: Client) -> None:
    mime = client.mime(more="Bcc: cy@example.net\r\n")
    assert client.send_mime(mime).status_code == 202
    mail = graph.sent()[-1]
    assert (mail.mime, mail.recipients) == (mime, ("bob@example.net", "cy@example.net"))
    (item,) = graph.items(client.address, "sentitems")
    assert (item.message_id, item.is_draft) == ("<7@example.com>", False)


def test_exchange_may_write_a_message_id_of_its_own(graph: GraphServer, client: Client) -> None:
    graph.limit(keeps_message_ids=False)
    client.send_mime(client.mime())
    graph.limit(keeps_message_ids=True)
    (item,) = graph.items(client.address, "sentitems")
    assert item.message_id != "<7@example.com>"
    assert b"X-Microsoft-Original-Message-ID: <7@example.com>" in item.mime


def test_mailboxes_here_get_it_unread_and_without_blind_copies(graph: GraphServer, client: Client) -> None:
    graph.add_mailbox("bob@example.net")
    client.send_mime(client.mime(more="Bcc: cy@example.net\r\n"))
    (item,) = graph.items("bob@example.net", "inbox")
    assert (item.is_read, item.bcc, item.subject) == (False, [], "Ticket 7")
    graph.remove_mailbox("bob@example.net")


def test_from_is_the_mailbox_or_whom_it_may_send_as(graph: GraphServer, client: Client) -> None:
    other = client.mime(sender="boss@example.com")
    assert _code(client.send_mime(other)) == (403, "ErrorSendAsDenied")
    assert graph.items(client.address, "sentitems") == []
    graph.allow_send_as(client.address, ["Boss@example.com"])
    assert client.send_mime(other).status_code == 202


def test_what_is_no_mail_is_refused(client: Client) -> None:
    assert _code(client.send_mime(b"no base64!", encoded=False)) == (400, "ErrorMimeContentInvalidBase64String")
    assert _code(client.send_mime(b"\r\n\r\n")) == (400, "ErrorMimeContentInvalid")
    assert _code(client.http.post("/sendMail", json={})) == (400, "ErrorInvalidParameter")
    assert _code(client.send({**MESSAGE, "toRecipients": []})) == (400, "ErrorInvalidRecipients")
    assert _code(client.send(saveToSentItems="no")) == (400, "RequestBodyRead")
    assert _code(client.send_mime(client.mime() + b"x" * 4_000_000)) == (413, "RequestEntityTooLarge")


def test_sending_needs_mail_send(graph: GraphServer, oauth: OAuthServer) -> None:
    with (reader := Client(graph, oauth, ("Mail.ReadWrite",))).http:
        assert _code(reader.send()) == (403, "ErrorAccessDenied")
        graph.grant(reader.app, [reader.address], permission="Mail.Send")
        assert reader.send().status_code == 202
    with (sender := Client(graph, oauth, ("Mail.Send",))).http:
        assert _code(sender.http.get("/messages")) == (403, "ErrorAccessDenied")


def test_folders_come_ten_on_a_page_under_the_names_of_their_language(graph: GraphServer, client: Client) -> None:
    for number in range(12):
        graph.add_folder(client.address, f"inbox/Queue {number:02}")
    graph.add_folder(client.address, "inbox/Queue 00/Old")
    assert "Posteingang" in [one["displayName"] for one in client.http.get("/mailFolders").json()["value"]]
    first = client.http.get("/mailFolders/inbox/childFolders").json()
    second = client.http.get(first["@odata.nextLink"]).json()
    assert [one["displayName"] for one in (*first["value"], *second["value"])] == [f"Queue {n:02}" for n in range(12)]
    assert "@odata.nextLink" not in second
    assert first["value"][0]["childFolderCount"] == 1
    clause = {"$filter": "displayName eq 'queue 11'"}
    (found,) = client.http.get("/mailFolders/inbox/childFolders", params=clause).json()["value"]
    assert found["parentFolderId"] == client.http.get("/mailFolders/inbox").json()["id"]


def test_folders_are_made_once(client: Client) -> None:
    made = client.http.post("/mailFolders", json={"displayName": "Processed"})
    assert made.status_code == 201
    below = f"/mailFolders/{made.json()['id']}/childFolders"
    assert client.http.post(below, json={"displayName": "Processed"}).status_code == 201
    assert _code(client.http.post("/mailFolders", json={"displayName": "PROCESSED"})) == (409, "ErrorFolderExists")
    assert _code(client.http.post("/mailFolders", json={"displayName": ""})) == (400, "ErrorInvalidArgument")


@pytest.mark.parametrize("how", ["read", "permanentDelete", "delete", "move"])
def test_receipts_go_out_when_a_message_is_read_or_deleted_unread(graph: GraphServer, client: Client, how: str) -> None:
    wanted = b"Disposition-Notification-To: ann@example.net\r\nMessage-ID: <r@example.net>\r\nSubject: Hm\r\n\r\nHm\r\n"
    item = graph.add_item(client.address, wanted, folder="inbox", is_read=False)
    path = f"/messages/{item}"
    if how == "read":
        client.http.patch(path, json={"isRead": True, "isReadReceiptRequested": False})
        client.http.patch(path, json={"isRead": False, "isReadReceiptRequested": True})
        client.http.patch(path, json={"isRead": True})
    elif how == "delete":
        client.http.delete(path)
    elif how == "move":
        client.http.post(f"{path}/move", json={"destinationId": "recoverableitemsdeletions"})
    else:
        client.http.post(f"{path}/permanentDelete")
    assert graph.receipts(client.address) == [("<r@example.net>", "read" if how == "read" else "not-read")]


def test_no_receipt_goes_out_when_none_is_requested_any_more(graph: GraphServer, client: Client) -> None:
    wanted = b"Disposition-Notification-To: ann@example.net\r\nMessage-ID: <r@example.net>\r\nSubject: Hm\r\n\r\nHm\r\n"
    path = f"/messages/{graph.add_item(client.address, wanted, folder='inbox', is_read=False)}"
    client.http.patch(path, json={"isReadReceiptRequested": False})
    client.http.patch(path, json={"isRead": True})
    client.http.delete(path)
    assert graph.receipts(client.address) == []


def test_reports_are_given_out_as_they_came(graph: GraphServer, client: Client) -> None:
    report = (
        b"From: Postmaster <postmaster@example.net>\r\nTo: desk@example.com\r\nSubject: Undeliverable\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\n\r\nno\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;mx\r\n--b--\r\n"
    )
    item = graph.add_item(client.address, report, folder="inbox", item_class="REPORT.IPM.Note.NDR")
    assert client.http.get(f"/messages/{item}/$value").content == report
