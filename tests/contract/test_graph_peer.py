"""The tests' Microsoft Graph answers as Microsoft documents it; on the wire, without our adapter."""

from __future__ import annotations

import base64
import email
import email.policy
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import pytest

from tests.peers.graph import AUDIENCE, GraphServer, graph_server
from tests.peers.graph.faults import FaultKind
from tests.peers.https import Authority
from tests.peers.oauth import OAuthServer, oauth_server
from tests.servers.wait import wait_until

MIME = (
    b"From: Ann <ann@example.com>\r\nTo: Bob <bob@example.net>\r\nBcc: cy@example.net\r\nSubject: Offer\r\n"
    b"Message-ID: <1@example.com>\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n\r\nGood morning\r\n"
)
STAMP = "String {7b8f0d4a-52a6-4c0e-9a53-0f6c3e1d9b27} Name StamplineSentItem"
SENT: dict[str, Any] = {"singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": "1"}]}
MESSAGE: dict[str, Any] = {
    "subject": "Offer",
    "body": {"contentType": "html", "content": "<p>Good morning</p>"},
    "toRecipients": [{"emailAddress": {"name": "Bob", "address": "bob@example.net"}}],
    "bccRecipients": [{"emailAddress": {"address": "cy@example.net"}}],
}
FILE = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGk="}
_numbers = count(1)


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthServer]:
    with oauth_server(Authority(tmp_path_factory.mktemp("oauth"))) as server:
        yield server


@pytest.fixture(scope="module")
def graph(oauth: OAuthServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    with graph_server(oauth, Authority(tmp_path_factory.mktemp("graph"))) as server:
        yield server


class Client:
    """One app at one mailbox."""

    def __init__(self, graph: GraphServer, oauth: OAuthServer, *, roles: tuple[str, ...] = ("Mail.ReadWrite",)) -> None:
        self.graph = graph
        self.address = f"user{next(_numbers)}@example.com"
        self.app = oauth.add_app(roles={AUDIENCE: roles})
        self.token = oauth.token_for(self.app, AUDIENCE)
        graph.add_mailbox(self.address)
        self._context = ssl.create_default_context(cafile=str(graph.ca_file))
        base = f"{graph.url}/v1.0/users/{self.address}"
        headers = {"Authorization": f"Bearer {self.token}"}
        self.http = httpx.Client(verify=self._context, base_url=base, headers=headers, trust_env=False, timeout=20)

    def bare(self) -> httpx.Client:
        """Without a token."""
        return httpx.Client(verify=self._context, trust_env=False, timeout=20)

    def add(self, mime: bytes = MIME, **options: Any) -> str:
        return self.graph.add_item(self.address, mime, **options)

    def create(self, message: dict[str, Any], folder: str = "sentitems") -> httpx.Response:
        return self.http.post(f"/mailFolders/{folder}/messages", json=message)

    def created(self, message: dict[str, Any]) -> str:
        answer = self.create(message)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def found(self, clause: str, **options: str) -> httpx.Response:
        return self.http.get("/mailFolders/sentitems/messages", params={"$filter": clause, **options})


@pytest.fixture
def client(graph: GraphServer, oauth: OAuthServer) -> Iterator[Client]:
    client = Client(graph, oauth)
    with client.http:
        yield client
    graph.heal()


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --- drafts and sent items --------------------------------------------------------------------------------------------


def test_json_makes_a_draft_unless_the_flags_say_otherwise_at_creation(client: Client) -> None:
    assert client.create(MESSAGE).json()["isDraft"] is True
    assert client.create({**MESSAGE, "isDraft": False}).json()["isDraft"] is True
    assert client.create({**MESSAGE, **SENT}).json()["isDraft"] is False


def test_the_flags_do_not_change_later(client: Client) -> None:
    item = client.created(MESSAGE)
    assert client.http.patch(f"/messages/{item}", json=SENT).json()["isDraft"] is True


def test_mime_makes_drafts_always(client: Client) -> None:
    headers = {"Content-Type": "text/plain"}
    answer = client.http.post("/mailFolders/sentitems/messages", content=base64.b64encode(MIME), headers=headers)
    assert (answer.status_code, answer.json()["isDraft"], answer.json()["subject"]) == (201, True, "Offer")
    answer = client.http.post("/mailFolders/sentitems/messages", content=b"no base64!", headers=headers)
    assert _code(answer) == (400, "ErrorMimeContentInvalidBase64String")


@pytest.mark.parametrize(
    "change",
    [
        {"body": {"contentType": "text", "content": "other"}},
        {"subject": "other"},
        {"internetMessageId": "<other@example.com>"},
        {"toRecipients": []},
        {"from": {"emailAddress": {"address": "x@example.com"}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_content_of_a_sent_item_does_not_change(client: Client, change: dict[str, Any]) -> None:
    item = client.created({**MESSAGE, **SENT})
    answer = client.http.patch(f"/messages/{item}", json={"isRead": False, **change})
    assert _code(answer) == (400, "ErrorInvalidPropertyUpdateSentMessage")
    assert client.http.get(f"/messages/{item}").json()["isRead"] is True
    assert client.http.patch(f"/messages/{client.created(MESSAGE)}", json=change).status_code == 200


def test_marks_change_on_sent_items(client: Client) -> None:
    item = client.created({**MESSAGE, **SENT})
    due = {"dateTime": "2026-12-01T00:00:00.0000000", "timeZone": "UTC"}
    flag = {"flagStatus": "flagged", "startDateTime": due, "dueDateTime": due}
    marks = {"isRead": False, "categories": ["Red"], "importance": "high", "flag": flag}
    shown = client.http.patch(f"/messages/{item}", json=marks).json()
    assert {name: shown[name] for name in marks} == marks
    answer = client.http.patch(f"/messages/{item}", json={"flag": {"flagStatus": "flagged", "dueDateTime": due}})
    assert answer.status_code == 400


# --- strictness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param({"Subject": "x"}, "RequestBodyRead", id="unknown-property"),
        pytest.param({"subject": 1}, "RequestBodyRead", id="number-for-string"),
        pytest.param({"isRead": "true"}, "RequestBodyRead", id="string-for-boolean"),
        pytest.param({"importance": "urgent"}, "RequestBodyRead", id="enum"),
        pytest.param({"body": {"contentType": "rtf", "content": ""}}, "RequestBodyRead", id="body-type"),
        pytest.param({"toRecipients": [{"address": "x@example.com"}]}, "RequestBodyRead", id="recipient"),
        pytest.param({"attachments": [{"name": "a", "contentBytes": ""}]}, "RequestBodyRead", id="abstract"),
        pytest.param({"attachments": [{**FILE, "contentBytes": "??"}]}, "RequestBodyRead", id="no-base64"),
        pytest.param({"internetMessageHeaders": [{"name": "From", "value": "x"}]}, "InvalidInternetMessageHeader",
                     id="header"),
        pytest.param({"singleValueExtendedProperties": [{"id": "0x0E07", "value": "1"}]},
                     "ErrorInvalidExtendedProperty", id="property-without-type"),
        pytest.param({"singleValueExtendedProperties": [{"id": "String 0x0E07", "value": "1"}]},
                     "ErrorInvalidExtendedProperty", id="property-of-another-type"),
        pytest.param({"singleValueExtendedProperties": [{"id": "Integer 0x8520", "value": "1"}]},
                     "ErrorInvalidExtendedProperty", id="named-property-as-tag"),
        pytest.param({"singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": "one"}]},
                     "ErrorInvalidExtendedPropertyValue", id="property-value"),
        pytest.param({"singleValueExtendedProperties": [{"id": "SystemTime 0x0039", "value": "2026-11-02T10:00:00"}]},
                     "ErrorInvalidExtendedPropertyValue", id="time-without-offset"),
        pytest.param({"singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": 1}]}, "RequestBodyRead",
                     id="property-value-is-a-number"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(client: Client, message: dict[str, Any], code: str) -> None:
    assert _code(client.create(message)) == (400, code)
    assert client.graph.items(client.address) == []


@pytest.mark.parametrize(
    "clause",
    [
        "internetMessageId eq <1@example.com>",
        "internetMessageId eq '<1@example.com>",
        "internetMessageId like '<1@example.com>'",
        "body/content eq 'x'",
        "toRecipients/any(r:r/emailAddress/address eq 'x')",
        "startswith(internetMessageId,'<1')",
        "sentDateTime ge '2026-11-02T10:00:00Z'",
        "isRead eq 'true'",
        "singleValueExtendedProperties/Any(ep: ep/value eq 'x')",
        "singleValueExtendedProperties/Any(ep: ep/id eq 'Name x' and ep/value eq 'x')",
        f"singleValueExtendedProperties/Any(ep: ep/id eq '{STAMP}' and ep/value gt 'x')",
        "singleValueExtendedProperties/Any(ep: ep/id eq 'Integer 0x0E07' and ep/value eq '1')",
        "subject eq 'x') or (1 eq 1",
    ],
)
def test_filters_that_graph_does_not_take(client: Client, clause: str) -> None:
    assert client.found(clause).status_code == 400


@pytest.mark.parametrize(
    "options",
    [
        {"$select": "subjekt"},
        {"$select": "singleValueExtendedProperties"},
        {"$expand": "singleValueExtendedProperties"},
        {"$expand": "singleValueExtendedProperties($filter=value eq 'x')"},
        {"$expand": "bodies"},
        {"$top": "0"},
        {"$top": "1001"},
        {"$oops": "1"},
        {"$orderby": "body"},
    ],
    ids=str,
)
def test_options_that_graph_does_not_take(client: Client, options: dict[str, str]) -> None:
    assert client.http.get("/messages", params=options).status_code == 400


def test_sorting_goes_by_what_the_filter_begins_with(client: Client) -> None:
    clause = "isRead eq true and sentDateTime ge 2026-01-01T00:00:00Z"
    assert _code(client.found(clause, **{"$orderby": "sentDateTime"})) == (400, "InefficientFilter")
    assert client.found("sentDateTime ge 2026-01-01T00:00:00Z", **{"$orderby": "sentDateTime"}).status_code == 200


# --- reading ----------------------------------------------------------------------------------------------------------


def test_filters_find(client: Client) -> None:
    stamped = client.add(properties={STAMP: "job copy"})
    client.add(MIME.replace(b"<1@", b"<2@").replace(b"Offer", b"It's"))
    for clause, number in (
        ("internetMessageId eq '<1@example.com>'", 1),
        ("internetMessageId eq '<1@example.com>' or internetMessageId eq '<2@example.com>'", 2),
        (f"singleValueExtendedProperties/Any(ep: ep/id eq '{STAMP}' and ep/value eq 'job copy')", 1),
        (f"singleValueExtendedProperties/any(p:p/id eq '{STAMP}' and startswith(p/value,'job '))", 1),
        ("subject eq 'It''s'", 1),
        ("sentDateTime ge 2026-11-02T09:58:00Z and sentDateTime le 2026-11-02T10:02:00Z and subject eq 'Offer'", 1),
        ("not (subject eq 'Offer') and isDraft eq false", 1),
    ):
        assert len(client.found(clause).json()["value"]) == number, clause
    shown = client.found("subject eq 'Offer'", **{"$select": "id"}).json()["value"][0]
    assert set(shown) == {"@odata.etag", "id"}
    one = client.http.get(f"/messages/{shown['id']}", headers={"Prefer": 'IdType="ImmutableId"'})
    assert (one.json()["id"], one.headers["preference-applied"]) == (stamped, 'IdType="ImmutableId"')


def test_expanded_properties_go_by_their_normal_names_and_missing_ones_are_left_out(client: Client) -> None:
    client.add(properties={STAMP: "job copy"})
    wanted = " or ".join(f"id eq '{name}'" for name in ("Integer 0x0E07", "SystemTime 0x0039", "String 0x1042", STAMP))
    options = {"$expand": f"singleValueExtendedProperties($filter={wanted})", "$select": "subject"}
    shown = client.found("subject eq 'Offer'", **options).json()["value"][0]
    values = {entry["id"]: entry["value"] for entry in shown["singleValueExtendedProperties"]}
    assert values == {"Integer 0xe07": "1", "SystemTime 0x39": "2026-11-02T10:00:00Z", STAMP: "job copy"}


def test_pages(client: Client) -> None:
    for number in range(23):
        client.add(MIME.replace(b"<1@", f"<{number}@".encode()))
    url, seen = f"{client.http.base_url}mailFolders/sentitems/messages?$select=internetMessageId&$count=true", []
    while url:
        page = client.http.get(url).json()
        assert page["@odata.count"] == 23
        assert len(page["value"]) <= 10
        seen += [entry["internetMessageId"] for entry in page["value"]]
        url = page.get("@odata.nextLink", "")
    assert sorted(seen) == sorted(f"<{number}@example.com>" for number in range(23))


def test_mime_is_made_anew_at_each_read_and_says_the_same(client: Client) -> None:
    item = client.created({**MESSAGE, **SENT, "attachments": [FILE, {**FILE, "isInline": True, "contentId": "c1"}]})
    first, second = (client.http.get(f"/messages/{item}/$value").content for _ in range(2))
    assert first != second
    message = email.message_from_bytes(first, policy=email.policy.default)
    assert (message["Subject"], message["Bcc"], message["To"]) == ("Offer", '"cy@example.net" <cy@example.net>',
                                                                    "Bob <bob@example.net>")  # fmt: skip
    body = message.get_body(("html",))
    assert body is not None
    assert "Good morning" in body.get_content()
    assert [part.get_filename() for part in message.walk() if part.get_filename()] == ["a.txt", "a.txt"]


def test_bodies_are_html_unless_asked_otherwise(client: Client) -> None:
    item = client.add()
    assert client.http.get(f"/messages/{item}").json()["body"]["contentType"] == "html"
    text = client.http.get(f"/messages/{item}", headers={"Prefer": 'outlook.body-content-type="text"'}).json()["body"]
    assert (text["contentType"], text["content"].strip()) == ("text", "Good morning")


def test_scripts_are_taken_out_of_html_unless_asked_otherwise(client: Client) -> None:
    item = client.created({**MESSAGE, "body": {"contentType": "html", "content": "<script>x()</script><p>y</p>"}})
    assert "<script" not in client.http.get(f"/messages/{item}").json()["body"]["content"]
    raw = client.http.get(f"/messages/{item}", headers={"Prefer": "outlook.allow-unsafe-html"}).json()
    assert "<script>x()</script>" in raw["body"]["content"]


# --- versions, moving, deleting ---------------------------------------------------------------------------------------


def test_a_stale_version_is_refused(client: Client) -> None:
    item = client.add()
    stale = client.http.get(f"/messages/{item}").json()["@odata.etag"]
    client.graph.change_item(item, is_read=False)
    for method, body in (("PATCH", {"isRead": True}), ("DELETE", None)):
        answer = client.http.request(method, f"/messages/{item}", json=body, headers={"If-Match": stale})
        assert _code(answer) == (412, "ErrorIrresolvableConflict")
    fresh = client.http.get(f"/messages/{item}").json()["@odata.etag"]
    assert client.http.patch(f"/messages/{item}", json={"isRead": True}, headers={"If-Match": fresh}).is_success


def test_moving_gives_another_id_and_keeps_the_immutable_one(client: Client) -> None:
    lasting = client.add()
    item = client.http.get(f"/messages/{lasting}").json()["id"]
    moved = client.http.post(f"/messages/{item}/move", json={"destinationId": "deleteditems"})
    assert moved.status_code == 201
    assert moved.json()["id"] != item
    assert _code(client.http.get(f"/messages/{item}")) == (404, "ErrorItemNotFound")
    assert client.http.get(f"/messages/{lasting}").status_code == 200
    assert client.http.get(f"/mailFolders/sentitems/messages/{lasting}").status_code == 404


def test_copying(client: Client) -> None:
    item = client.add()
    copied = client.http.post(f"/messages/{item}/copy", json={"destinationId": "inbox"})
    assert copied.status_code == 201
    assert [one.folder for one in client.graph.items(client.address)] == ["sentitems", "inbox"]


@pytest.mark.parametrize("goes_to", ["recoverableitemsdeletions", "deleteditems"])
def test_deleting(client: Client, goes_to: str) -> None:
    client.graph.limit(delete_goes_to=goes_to)
    item = client.add()
    assert client.http.delete(f"/messages/{item}").status_code == 204
    assert [one.folder for one in client.graph.items(client.address)] == [goes_to]
    client.graph.limit(delete_goes_to="recoverableitemsdeletions")
    item = client.add()
    assert client.http.post(f"/messages/{item}/permanentDelete").status_code == 204
    assert client.graph.items(client.address)[-1].folder == "recoverableitemspurges"
    assert _code(client.http.get(f"/messages/{item}")) == (404, "ErrorItemNotFound")
    assert _code(client.http.get("/messages/nonsense")) == (400, "ErrorInvalidIdMalformed")


# --- attachments ------------------------------------------------------------------------------------------------------


def test_small_attachments_are_posted(client: Client) -> None:
    item = client.created({**MESSAGE, **SENT})
    assert client.http.post(f"/messages/{item}/attachments", json=FILE).status_code == 201
    inner = {**MESSAGE, "@odata.type": "#microsoft.graph.message", "subject": "Inner"}
    attached = {"@odata.type": "#microsoft.graph.itemAttachment", "name": "Inner", "item": inner}
    assert client.http.post(f"/messages/{item}/attachments", json=attached).status_code == 201
    listed = client.http.get(f"/messages/{item}/attachments").json()["value"]
    assert [(one["name"], one.get("contentBytes")) for one in listed] == [("a.txt", "aGk="), ("Inner", None)]
    assert client.http.get(f"/messages/{item}/attachments/{listed[0]['id']}/$value").content == b"hi"
    assert b"Inner" in client.http.get(f"/messages/{item}/attachments/{listed[1]['id']}/$value").content
    derived = {"$select": "name,microsoft.graph.fileAttachment/contentId"}
    assert client.http.get(f"/messages/{item}/attachments", params=derived).is_success
    assert client.http.get(f"/messages/{item}/attachments", params={"$select": "contentId"}).status_code == 400
    assert client.http.delete(f"/messages/{item}/attachments/{listed[0]['id']}").status_code == 204
    assert len(client.graph.items(client.address)[0].attachments) == 1


def test_large_attachments_need_a_session(client: Client) -> None:
    item = client.created({**MESSAGE, **SENT})
    large = {**FILE, "contentBytes": base64.b64encode(b"x" * 3 * 1024 * 1024).decode()}
    answer = client.http.post(f"/messages/{item}/attachments", json=large)
    assert _code(answer)[0] == 413
    small = {"AttachmentItem": {"attachmentType": "file", "name": "a", "size": 1000}}
    answer = client.http.post(f"/messages/{item}/attachments/createUploadSession", json=small)
    assert _code(answer) == (400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")


def _session(client: Client, item: str, size: int) -> str:
    wanted = {"AttachmentItem": {"attachmentType": "file", "name": "big.bin", "size": size, "contentType": "x/y"}}
    answer = client.http.post(f"/messages/{item}/attachments/createUploadSession", json=wanted)
    assert (answer.status_code, answer.json()["nextExpectedRanges"]) == (201, ["0-"])
    return str(answer.json()["uploadUrl"])


def _put(http: httpx.Client, url: str, data: bytes, start: int, end: int, **headers: str) -> httpx.Response:
    range_ = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}", "Content-Type": "application/octet-stream"}
    return http.put(url, content=data[start:end], headers={**range_, **headers})


def test_an_upload_session(client: Client) -> None:
    item, data = client.created({**MESSAGE, **SENT}), bytes(range(256)) * 16_000
    url, half = _session(client, item, len(data)), 2_000_000
    with client.bare() as http:
        assert _put(http, url, data, 0, half, Authorization=f"Bearer {client.token}").status_code == 401
        assert _put(http, url, data, half, len(data)).status_code == 416
        assert _put(http, url, data, 0, half).json()["nextExpectedRanges"] == [str(half)]
        assert _put(http, url, data[:-1], half, len(data) - 1).status_code == 400
        assert http.get(url).json()["nextExpectedRanges"] == [str(half)]
        last = _put(http, url, data, half, len(data))
        assert (last.status_code, last.content) == (201, b"")
        assert http.get(url).status_code == 404
    stored = client.graph.items(client.address)[0].attachments[0]
    assert (stored.name, stored.data, stored.content_type) == ("big.bin", data, "x/y")
    assert f"Attachments('{stored.id}')" in last.headers["location"]


def test_upload_sessions_end(client: Client) -> None:
    item, data = client.created({**MESSAGE, **SENT}), b"x" * 3_200_000
    url = _session(client, item, len(data))
    assert client.graph.counters().open_uploads == 1
    client.graph.expire_uploads()
    with client.bare() as http:
        assert _put(http, url, data, 0, len(data)).status_code == 401
    other = _session(client, item, len(data))
    with client.bare() as http:
        assert http.delete(other).status_code == 204
        assert _put(http, other, data, 0, len(data)).status_code == 404
    assert client.graph.items(client.address)[0].attachments == []


def test_sizes_are_bounded(client: Client) -> None:
    answer = client.create({**MESSAGE, "body": {"contentType": "text", "content": "x" * 4_200_000}})
    assert _code(answer)[0] == 413
    client.graph.change_mailbox(client.address, quota_octets=5000)
    answer = client.create({**MESSAGE, "body": {"contentType": "text", "content": "x" * 10_000}})
    assert _code(answer) == (507, "ErrorQuotaExceeded")


# --- who may ----------------------------------------------------------------------------------------------------------


def test_tokens_are_verified(client: Client, oauth: OAuthServer) -> None:
    for token in (
        "x",
        client.token[:-6] + "AAAAAA",
        oauth.token_for(client.app, "https://outlook.office365.com"),
        oauth.token_for(client.app, AUDIENCE, lifetime_s=-60),
    ):
        answer = client.http.get("/messages", headers={"Authorization": f"Bearer {token}"})
        assert _code(answer) == (401, "InvalidAuthenticationToken")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_rights_of_exchange_hold_within_their_scope(graph: GraphServer, oauth: OAuthServer) -> None:
    inside, outside = Client(graph, oauth, roles=()), Client(graph, oauth, roles=())
    graph.grant(inside.app, [inside.address])
    with inside.http, outside.http:
        assert inside.http.get("/messages").status_code == 200
        other = inside.http.get(f"{graph.url}/v1.0/users/{outside.address}/messages")
        assert _code(other) == (403, "ErrorAccessDenied")
        assert _code(outside.http.get("/messages")) == (403, "ErrorAccessDenied")
        assert _code(inside.http.get("")) == (403, "Authorization_RequestDenied")


def test_a_right_to_read_is_none_to_write(graph: GraphServer, oauth: OAuthServer) -> None:
    client = Client(graph, oauth, roles=("Mail.Read",))
    with client.http:
        assert client.http.get("/messages").status_code == 200
        assert _code(client.create(MESSAGE)) == (403, "ErrorAccessDenied")


@pytest.mark.parametrize(
    ("unavailable", "status"), [("MailboxNotEnabledForRESTAPI", 404), ("ErrorMailboxMoveInProgress", 503)]
)
def test_mailboxes_that_are_not_there(client: Client, unavailable: str, status: int) -> None:
    client.graph.change_mailbox(client.address, unavailable=unavailable)
    assert _code(client.http.get("/messages")) == (status, unavailable)
    answer = client.http.get(f"{client.graph.url}/v1.0/users/nobody@example.com/messages")
    assert _code(answer) == (404, "ErrorInvalidUser")


# --- limits and faults ------------------------------------------------------------------------------------------------


def test_four_requests_at_a_time_for_an_app_and_a_mailbox(client: Client) -> None:
    graph = client.graph
    graph.forget()
    graph.limit(is_held=True)
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(client.http.get("/messages"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: graph.counters().most_at_once_by_mailbox.get(client.address) == 4, 20, "four requests")
    fifth = client.http.get("/messages")
    graph.limit(is_held=False)
    for thread in threads:
        thread.join()
    assert _code(fifth) == (429, "ApplicationThrottled")
    assert fifth.headers["retry-after"] == "1"
    assert [answer.status_code for answer in answers] == [200] * 4
    assert graph.counters().most_at_once_by_mailbox[client.address] == 4


def test_requests_and_octets_within_a_time(client: Client) -> None:
    client.graph.limit(requests=3)
    answers = [client.http.get("/messages") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    client.graph.limit(requests=10_000, octets=5_000)
    answers = [client.create({**MESSAGE, "subject": "x" * 3_000}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 429]
    client.graph.limit(octets=150 * 1024 * 1024)


def test_late_items_are_read_but_not_listed(client: Client) -> None:
    client.graph.change_mailbox(client.address, find_delay_s=float("inf"))
    item = client.created({**MESSAGE, **SENT})
    assert client.http.get(f"/messages/{item}").status_code == 200
    assert client.found("subject eq 'Offer'").json()["value"] == []
    client.graph.release(client.address)
    assert len(client.found("subject eq 'Offer'").json()["value"]) == 1


def test_faults(client: Client) -> None:
    graph = client.graph
    graph.fail("reset", operation="create")
    with pytest.raises(httpx.HTTPError):
        client.create(MESSAGE)
    assert graph.items(client.address) == []
    kinds: tuple[FaultKind, ...] = ("drop", "truncated")
    for kind in kinds:
        graph.fail(kind, operation="create")
        with pytest.raises(httpx.HTTPError):
            client.create(MESSAGE)
    assert len(graph.items(client.address)) == 2
    graph.fail("busy", after=1, mailbox=client.address, retry_after="7")
    first, second, third = (client.http.get("/messages") for _ in range(3))
    assert (first.status_code, second.status_code, second.headers["retry-after"], third.status_code) == (
        200, 429, "7", 200,
    )  # fmt: skip
    graph.fail("code", status=504, code="UnknownError")
    assert _code(client.http.get("/messages")) == (504, "UnknownError")
    graph.fail("html")
    assert client.http.get("/messages").headers["content-type"] == "text/html"
    graph.fail("garbage")
    with pytest.raises(UnicodeDecodeError):
        client.http.get("/messages").json()
    assert [entry.operation for entry in graph.log()][-6:] == ["list"] * 6


def test_a_hanging_answer_is_never_sent(client: Client) -> None:
    client.graph.fail("hang", operation="create")
    with pytest.raises(httpx.ReadTimeout):
        client.http.post("/mailFolders/sentitems/messages", json=MESSAGE, timeout=0.5)
    assert len(client.graph.items(client.address)) == 1


def test_items_are_seen_as_they_are(client: Client) -> None:
    moment = datetime(2026, 11, 2, 9, tzinfo=UTC)
    properties = [
        *SENT["singleValueExtendedProperties"],
        {"id": "SystemTime 0x0039", "value": "2026-11-02T10:00:00+01:00"},
        {"id": "SystemTime 0x0E06", "value": "2026-11-02T09:00:00Z"},
        {"id": "Binary 0x0071", "value": base64.b64encode(b"\x01index").decode()},
        {"id": STAMP, "value": "job copy"},
    ]
    client.created({**MESSAGE, "internetMessageId": "<9@example.com>", "singleValueExtendedProperties": properties})
    item = client.graph.items(client.address, "sentitems")[0]
    assert (item.message_id, item.sent_at, item.received_at, item.bcc) == (
        "<9@example.com>", moment, moment, ["cy@example.net"],
    )  # fmt: skip
    assert item.properties["0x0071"] == b"\x01index"
    assert item.properties["7b8f0d4a-52a6-4c0e-9a53-0f6c3e1d9b27/StamplineSentItem"] == "job copy"
