"""The tests' Exchange lets in whom it should, breaks as it is told to, and says what it saw."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from exchangelib import IMPERSONATION, Account, Configuration, Credentials, FailFast, FileAttachment, Message
from exchangelib.extended_properties import ExtendedProperty
from exchangelib.protocol import BaseProtocol
from requests_ntlm import HttpNtlmAuth

from tests.contract.raw_ews import FLAGS, SENT, Raw, envelope, extended, field, raw
from tests.peers.ews import EwsServer, ews_server
from tests.peers.https import Authority
from tests.peers.oauth import oauth_server

_NUMBERS = count(1)
_MIME = b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: hi\r\nMessage-ID: <1@example.com>\r\n\r\nhi\r\n"
_FOLDER = "<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>"
_OWN = f"<m:GetFolder>{_FOLDER}<m:FolderIds>{SENT}</m:FolderIds></m:GetFolder>"
_VERSION = '<t:RequestServerVersion Version="Exchange2016"/>'
_AUDIENCE = "https://outlook.office365.com"


def _folder_of(address: str) -> str:
    mailbox = f"<t:Mailbox><t:EmailAddress>{address}</t:EmailAddress></t:Mailbox>"
    return f'<t:DistinguishedFolderId Id="sentitems">{mailbox}</t:DistinguishedFolderId>'


@pytest.fixture(scope="module")
def running() -> Iterator[EwsServer]:
    with ews_server() as server:
        yield server


@pytest.fixture
def server(running: EwsServer) -> Iterator[EwsServer]:
    running.add_account("svc@example.com", "secret", impersonates=["*@example.com"])
    running.forget()
    yield running
    running.heal()
    running.limit(offers=["basic", "ntlm"], per_budget=0, in_all=0, latency_s=0, redirects={})


@pytest.fixture
def mailbox(server: EwsServer) -> str:
    address = f"person{next(_NUMBERS)}@example.com"
    server.add_mailbox(address, name="Ann Example", aliases=[f"alias.{address}"])
    return address


@pytest.fixture
def ann(server: EwsServer, mailbox: str) -> Iterator[Raw]:
    with raw(server, mailbox) as client:
        yield client


# --- signing in -------------------------------------------------------------------------------------------------------


def test_without_a_password_it_says_what_it_takes(server: EwsServer, mailbox: str) -> None:
    with raw(server, mailbox, auth=None) as client:
        answered = client.ask(_OWN)
    assert answered.status == 401
    assert answered.headers.get_list("WWW-Authenticate") == ['Basic realm="localhost"', "NTLM"]


def test_wrong_passwords_lock_an_account(server: EwsServer, mailbox: str) -> None:
    server.change_account("svc@example.com", locks_after=3)
    for password, status in (("wrong", 401), ("secret", 200), ("wrong", 401), ("wrong", 401), ("wrong", 401)):
        with raw(server, mailbox, auth=("svc@example.com", password)) as client:
            assert client.ask(_OWN).status == status
    assert server.is_locked("svc@example.com")
    with raw(server, mailbox) as client:
        assert client.ask(_OWN).status == 401
    assert server.counters().wrong_sign_ins["svc@example.com"] == 5


def _ntlm(server: EwsServer, mailbox: str, password: str, *, bindings: bool = True) -> list[int]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(server.ca_file)
        session.auth = HttpNtlmAuth("EXAMPLE\\svc", password, send_cbt=bindings)
        headers = {"Content-Type": "text/xml"}
        body = envelope(f"<m:GetFolder>{_FOLDER}<m:FolderIds>{_folder_of(mailbox)}</m:FolderIds></m:GetFolder>", "")
        return [session.post(server.url, data=body, headers=headers).status_code for _ in range(2)]


def test_ntlm_signs_in_connections(server: EwsServer, mailbox: str) -> None:
    server.add_account("EXAMPLE\\svc", "secret", full_access=["*"])
    server.limit(offers=["ntlm"])
    assert _ntlm(server, mailbox, "secret") == [200, 200]
    assert [entry.status for entry in server.log()] == [401, 401, 200, 200]
    assert _ntlm(server, mailbox, "wrong") == [401, 401]
    assert _ntlm(server, mailbox, "secret", bindings=False) == [401, 401]
    assert server.counters().wrong_sign_ins["EXAMPLE\\svc"] == 4


def test_tokens(tmp_path: Path) -> None:
    with (
        oauth_server(Authority(tmp_path)) as oauth,
        ews_server(offers=["bearer"], oauth_keys=[oauth.key.jwk()]) as server,
    ):
        full, scoped, none = (oauth.add_app(roles={_AUDIENCE: roles}) for roles in (("full_access_as_app",), (), ()))
        for app, scope in ((full, []), (scoped, ["ann@example.com"]), (none, [])):
            server.add_account(app.client_id, impersonates=scope)
        for address in ("ann@example.com", "bob@example.com"):
            server.add_mailbox(address)

        def ask(token: str, address: str) -> str:
            with raw(server, address, auth=None, headers={"Authorization": f"Bearer {token}"}) as client:
                answered = client.ask(_OWN)
                return answered.code if answered.body else str(answered.status)

        assert ask(oauth.token_for(full, _AUDIENCE), "bob@example.com") == "NoError"
        assert ask(oauth.token_for(full, _AUDIENCE), "") == "ErrorImpersonationRequired"
        assert ask(oauth.token_for(scoped, _AUDIENCE), "ann@example.com") == "NoError"
        assert ask(oauth.token_for(scoped, _AUDIENCE), "bob@example.com") == "ErrorImpersonateUserDenied"
        assert ask(oauth.token_for(none, _AUDIENCE), "ann@example.com") == "401"
        assert ask(oauth.token_for(full, "https://graph.microsoft.com"), "ann@example.com") == "401"
        assert ask(oauth.token_for(full, _AUDIENCE, lifetime_s=-60), "ann@example.com") == "401"
        assert ask("nonsense", "ann@example.com") == "401"


@pytest.mark.parametrize("certificate", ["expired", "other-authority", "other-name"])
def test_certificates_that_are_not_trusted(certificate: str) -> None:
    with ews_server(certificate=certificate) as server, raw(server) as client, pytest.raises(httpx.ConnectError):  # type: ignore[arg-type]
        client.ask(_OWN)


# --- for whom ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("<t:PrimarySmtpAddress>{0}</t:PrimarySmtpAddress>", "NoError"),
        ("<t:PrimarySmtpAddress>alias.{0}</t:PrimarySmtpAddress>", "ErrorNonPrimarySmtpAddress"),
        ("<t:SmtpAddress>alias.{0}</t:SmtpAddress>", "NoError"),
        ("<t:PrincipalName>{0}</t:PrincipalName>", "NoError"),
        ("<t:PrimarySmtpAddress>nobody@example.com</t:PrimarySmtpAddress>", "ErrorNonExistentMailbox"),
        ("<t:PrimarySmtpAddress>team@example.com</t:PrimarySmtpAddress>", "ErrorNonExistentMailbox"),
        ("<t:PrimarySmtpAddress>out@example.net</t:PrimarySmtpAddress>", "ErrorImpersonateUserDenied"),
        ("<t:SID>S-1-5-21-1-2-3-4</t:SID>", "ErrorInvalidUserSid"),
    ],
)
def test_impersonation(server: EwsServer, mailbox: str, who: str, code: str) -> None:
    server.add_mailbox("out@example.net")
    server.add_group("team@example.com")
    with raw(server, who.format(mailbox)) as client:
        answered = client.ask(_OWN)
    assert (answered.status, answered.code) == (200 if code == "NoError" else 500, code)


def test_who_may_impersonate_nobody(server: EwsServer, ann: Raw) -> None:
    server.change_account("svc@example.com", may_impersonate_at_all=False)
    assert ann.ask(_OWN).code == "ErrorImpersonationDenied"


def test_delegates(server: EwsServer, mailbox: str) -> None:
    item = server.add_item(mailbox, _MIME)
    server.add_account("few@example.com", "secret", mailbox=mailbox, full_access=[])
    flags = extended(FLAGS, "1")
    folder = _folder_of(mailbox)
    with raw(server, auth=("boss@example.com", "secret")) as boss:
        server.add_account("boss@example.com", "secret")
        assert boss.find().code == "ErrorMissingEmailAddress"
        assert boss.find(folder=folder).code == "ErrorFolderNotFound"
        assert boss.get(item).code == "ErrorItemNotFound"
        server.change_account("boss@example.com", read_access=[mailbox])
        assert boss.find(folder=folder).ids[0][0] == item
        assert boss.create(_MIME, flags, folder=folder).code == "ErrorCreateItemAccessDenied"
        assert boss.delete(item, "SoftDelete").code == "ErrorAccessDenied"
        server.change_account("boss@example.com", full_access=["*@example.com"])
        assert boss.create(_MIME, flags, folder=folder).code == "NoError"
        assert boss.find(folder=_folder_of("nobody@example.com")).code == "ErrorNonExistentMailbox"
    with raw(server, auth=("few@example.com", "secret")) as owner:
        assert len(owner.find().ids) == 2


def test_the_impersonated_see_no_others(server: EwsServer, ann: Raw) -> None:
    server.add_mailbox("other@example.com")
    item = server.add_item("other@example.com", _MIME)
    assert ann.get(item).code == "ErrorItemNotFound"
    assert ann.find(folder=_folder_of("other@example.com")).code == "ErrorFolderNotFound"


def test_a_mailbox_may_be_away(server: EwsServer, ann: Raw, mailbox: str) -> None:
    server.change_mailbox(mailbox, unavailable="ErrorMailboxMoveInProgress")
    assert {ann.find().code, ann.create(_MIME).code, ann.get("AAMk").code} == {"ErrorMailboxMoveInProgress"}
    server.change_mailbox(mailbox, unavailable="")
    assert ann.find().code == "NoError"
    server.remove_mailbox(mailbox)
    assert ann.find().code == "ErrorNonExistentMailbox"


@pytest.mark.parametrize("entry", ["smtp:{0}", "{0}", "smtp:alias.{0}"])
def test_names_are_resolved(ann: Raw, mailbox: str, entry: str) -> None:
    answered = ann.ask(
        '<m:ResolveNames ReturnFullContactData="false">'
        f"<m:UnresolvedEntry>{entry.format(mailbox)}</m:UnresolvedEntry></m:ResolveNames>"
    )
    assert answered.one("//t:EmailAddress") == mailbox
    assert answered.one("//t:MailboxType") == "Mailbox"


def test_names_that_are_nobodys(server: EwsServer, ann: Raw) -> None:
    server.add_group("team@example.com")
    ask = '<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>{}</m:UnresolvedEntry></m:ResolveNames>'
    assert ann.ask(ask.format("smtp:nobody@example.com")).code == "ErrorNameResolutionNoResults"
    assert ann.ask(ask.format("smtp:team@example.com")).one("//t:MailboxType") == "PublicDL"


# --- validity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "violation"),
    [
        ("<m:GetItem/>", "Missing child element"),
        ('<m:DeleteItem DeleteType="Shred"><m:ItemIds><t:ItemId Id="x"/></m:ItemIds></m:DeleteItem>', "Shred"),
        (_OWN.replace("IdOnly", "All"), "All"),
        (_OWN.replace("<m:FolderIds>", "<m:FolderIds><t:ItemId Id='x'/>"), "ItemId"),
        ("<m:Unheard/>", "Unheard"),
    ],
    ids=["missing", "attribute", "text", "child", "unknown"],
)
def test_requests_have_to_be_valid(server: EwsServer, ann: Raw, operation: str, violation: str) -> None:
    answered = ann.ask(operation)
    assert (answered.status, answered.code) == (500, "ErrorSchemaValidation")
    assert answered.one("//t:LineNumber") == "3"
    assert violation in answered.one("//t:Violation")
    assert not server.log()[-1].valid


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"nothing", "ErrorSchemaValidation"),
        (b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>', "ErrorSchemaValidation"),
        (b"<x/>", "ErrorInvalidRequest"),
        (envelope(_OWN + _OWN, "").encode(), "ErrorInvalidRequest"),
        (envelope(_OWN, "", "Exchange2099").encode(), "ErrorInvalidServerVersion"),
        (envelope(_OWN, "<t:Somebody/>").encode(), "ErrorSchemaValidation"),
        (envelope(_OWN, "<t:SmtpAddress> </t:SmtpAddress>").encode(), "ErrorInvalidExchangeImpersonationHeaderData"),
        (envelope(_OWN, "").replace(_VERSION, _VERSION * 2).encode(), "ErrorDuplicateSOAPHeader"),
        (envelope("<m:GetRoomLists/>", "").encode(), "ErrorInvalidOperation"),
    ],
    ids=["no-xml", "dtd", "no-envelope", "two", "version", "impersonation", "nobody", "twice", "unsupported"],
)
def test_what_is_no_request(ann: Raw, body: bytes, code: str) -> None:
    answered = ann.send(body)
    assert (answered.status, answered.code) == (500, code)


def test_versions_have_their_own_fields(server: EwsServer, mailbox: str) -> None:
    item = server.add_item(mailbox, _MIME)
    with raw(server, mailbox, version="Exchange2010_SP2") as old:
        assert old.get(item, field("item:Flag")).code == "ErrorIncorrectSchemaVersion"
        assert old.get(item, shape="AllProperties").all("//t:Flag") == []
        assert old.get(item, field("item:ConversationId")).code == "NoError"


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_it_is_busy_as_long_as_it_is_told_to(server: EwsServer, ann: Raw) -> None:
    server.fail("busy", times=2, back_off_ms=7000)
    server.fail("fault", operation="FindItem", code="ErrorInsufficientResources")
    first = ann.ask(_OWN)
    assert (first.status, first.code) == (500, "ErrorServerBusy")
    assert first.one("//t:Value[@Name='BackOffMilliseconds']") == "7000"
    assert [ann.ask(_OWN).code, ann.ask(_OWN).code] == ["ErrorServerBusy", "NoError"]
    assert [ann.find().code, ann.find().code] == ["ErrorInsufficientResources", "NoError"]


def test_faults_of_http(server: EwsServer, ann: Raw) -> None:
    server.fail("status", status=429, retry_after="17", after=1)
    server.fail("status", status=503)
    server.fail("html")
    server.fail("garbage")
    server.fail("truncated")
    answers = [ann.ask(_OWN) for _ in range(6)]
    assert [answered.status for answered in answers] == [200, 429, 503, 200, 200, 200]
    assert answers[1].headers["Retry-After"] == "17"
    assert [answered.body[:6] for answered in answers[3:5]] == [b"<html>", b"<?xml "]
    assert b"</s:Envelope>" not in answers[5].body


@pytest.mark.parametrize(("kind", "made"), [("reset", 0), ("drop", 1)])
def test_connections_break_before_or_after(server: EwsServer, ann: Raw, mailbox: str, kind: str, made: int) -> None:
    server.fail(kind, operation="CreateItem", mailbox=mailbox)  # type: ignore[arg-type]
    with pytest.raises(httpx.HTTPError):
        ann.create(_MIME)
    assert len(server.items(mailbox)) == made
    assert server.log()[-1].status == 0
    assert ann.find().code == "NoError"


def test_an_answer_may_take_its_time(server: EwsServer, ann: Raw) -> None:
    server.fail("slow", delay_s=0.3)
    assert ann.ask(_OWN).code == "NoError"
    told = server.log()[-1]
    assert told.ended_at - told.at >= 0.3


def test_answers_come_in_chunks_and_compressed(server: EwsServer, ann: Raw, mailbox: str) -> None:
    answered = ann.get(server.add_item(mailbox, _MIME), shape="AllProperties", mime=True)
    assert (answered.headers["Transfer-Encoding"], answered.headers["Content-Encoding"]) == ("chunked", "gzip")
    assert answered.one("//t:Subject") == "hi"


def test_one_code_for_every_entry(server: EwsServer, ann: Raw) -> None:
    server.fail("code", code="ErrorTooManyObjectsOpened")
    ids = '<m:ItemIds><t:ItemId Id="a"/><t:ItemId Id="b"/></m:ItemIds>'
    answered = ann.ask(f'<m:DeleteItem DeleteType="SoftDelete">{ids}</m:DeleteItem>')
    assert (answered.status, answered.all("//m:ResponseCode")) == (200, ["ErrorTooManyObjectsOpened"] * 2)


def test_one_request_too_many_at_a_time(server: EwsServer, mailbox: str) -> None:
    server.limit(per_budget=2, latency_s=0.2)

    def ask(_: int) -> str:
        with raw(server, mailbox) as client:
            return client.ask(_OWN).code

    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(ask, range(6)))
    counters = server.counters()
    assert set(codes) == {"NoError", "ErrorExceededConnectionCount"}
    assert counters.most_at_once_by_mailbox[mailbox] > 2
    assert counters.most_at_once == counters.most_at_once_by_mailbox[mailbox]


def test_requests_that_are_too_large(server: EwsServer, ann: Raw) -> None:
    server.limit(largest_request=3000)
    assert ann.create(_MIME + b"x" * 3000).status == 404
    server.limit(largest_request=65_536_000)


def test_the_log_tells_what_was_asked(server: EwsServer, ann: Raw, mailbox: str) -> None:
    ann.get(server.add_item(mailbox, _MIME))
    ann.get("AAMk")
    told = [(entry.operation, entry.account, entry.mailbox, entry.status, entry.codes) for entry in server.log()]
    assert told == [
        ("GetItem", "svc@example.com", mailbox, 200, ["NoError"]),
        ("GetItem", "svc@example.com", mailbox, 200, ["ErrorInvalidIdMalformed"]),
    ]
    assert server.counters().by_operation == {"GetItem": 2}
    server.forget()
    counters = server.counters()
    assert (counters.requests, counters.by_operation, set(counters.wrong_sign_ins.values())) == (0, {}, {0})


# --- where it is ------------------------------------------------------------------------------------------------------

_A = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
_POX_REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"


def _user_settings(address: str) -> bytes:
    return f"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:a="{_A}"><s:Body>
    <a:GetUserSettingsRequestMessage><a:Request><a:Users><a:User><a:Mailbox>{address}</a:Mailbox></a:User></a:Users>
    <a:RequestedSettings><a:Setting>ExternalEwsUrl</a:Setting><a:Setting>GroupingInformation</a:Setting>
    </a:RequestedSettings></a:Request></a:GetUserSettingsRequestMessage></s:Body></s:Envelope>""".encode()


def test_autodiscover_by_soap(server: EwsServer, ann: Raw, mailbox: str) -> None:
    server.limit(redirects={"moved@example.com": "moved@cloud.example", "cloud.example": "https://cloud.example/x.svc"})

    def told(address: str, name: str) -> str:
        answered = ann.send(_user_settings(address), server.autodiscover_url)
        return answered.one(f"//*[local-name()='UserResponse']//*[local-name()='{name}']")

    assert told(mailbox, "Value") == server.url
    assert told(mailbox, "ErrorCode") == "NoError"
    assert told("nobody@example.com", "ErrorCode") == "InvalidUser"
    assert told("moved@example.com", "RedirectTarget") == "moved@cloud.example"
    assert told("moved@cloud.example", "ErrorCode") == "RedirectUrl"


def test_autodiscover_by_pox(server: EwsServer, ann: Raw, mailbox: str) -> None:
    url = server.autodiscover_url.replace(".svc", ".xml")

    def ask(address: str) -> bytes:
        inner = f"<Request><EMailAddress>{address}</EMailAddress></Request>"
        return ann.send(f'<Autodiscover xmlns="{_POX_REQUEST}">{inner}</Autodiscover>'.encode(), url).body

    assert f"<EwsUrl>{server.url}</EwsUrl>".encode() in ask(mailbox)
    assert b"<ErrorCode>500</ErrorCode>" in ask("nobody@example.com")
    server.limit(redirects={"moved@example.com": "moved@cloud.example"})
    assert b"<RedirectAddr>moved@cloud.example</RedirectAddr>" in ask("moved@example.com")


# --- exchangelib ------------------------------------------------------------------------------------------------------


class _Flags(ExtendedProperty):  # type: ignore[misc]
    property_tag = 0x0E07
    property_type = "Integer"


def test_exchangelib_gets_along(server: EwsServer, mailbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, ssl_context=context, **more)

        def cert_verify(self, *args: object, **more: object) -> None:
            pass

    monkeypatch.setattr(BaseProtocol, "HTTP_ADAPTER_CLS", Adapter)
    Message.register("peer_flags", _Flags)
    try:
        credentials = Credentials("svc@example.com", "secret")
        settings = {"credentials": credentials, "retry_policy": FailFast(), "auth_type": "basic"}
        account = Account(
            mailbox, config=Configuration(service_endpoint=server.url, **settings), access_type=IMPERSONATION
        )
        made = Message(account=account, folder=account.sent, mime_content=_MIME, peer_flags=1, categories=["Blue"])
        made.save()
        found = account.sent.get(message_id="<1@example.com>")
        found.attach(FileAttachment(name="a.txt", content=b"hello"))
        found.refresh()
        assert (found.is_draft, found.categories, found.attachments[0].content) == (False, ["Blue"], b"hello")
        found.soft_delete()
        account.protocol.close()
    finally:
        Message.deregister("peer_flags")
    assert [item.folder for item in server.items(mailbox)] == ["recoverableitemsdeletions", "recoverableitemsversions"]
    assert all(entry.valid for entry in server.log())
