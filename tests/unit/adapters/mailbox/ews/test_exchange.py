"""Exchange, as the test server has it: signing in, finding the endpoint, what is changed in several steps."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.resolver
import pytest

from mta.adapters.mailbox.ews import EwsSentItems
from mta.model.mailbox_item import FollowUp, ItemRef, Marks, NewAttachment, NewItem, Removal, SentItem
from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    EndpointDownError,
    MailboxUnavailableError,
    NoMailboxError,
    OutcomeUnknownError,
    SignInError,
    TlsFailedError,
)
from tests.peers.ews import EwsServer, ews_server
from tests.peers.https import Authority
from tests.peers.oauth import OAuthServer, client_certificate, oauth_server
from tests.servers.dns import dns_server
from tests.unit.adapters.mailbox.ews.conftest import Scripted, response

ANN = "ann@example.com"
AUDIENCE = "https://outlook.office365.com"
MIME = (
    b"From: Ann <ann@example.com>\r\nTo: bob@example.net\r\nSubject: Offer\r\nMessage-ID: <1@example.com>\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<p>Hello</p>\r\n"
)
PICTURE = NewAttachment("logo.png", "image/png", b"\x89PNG", "logo@1", is_inline=True)
Open = Callable[..., EwsSentItems]


@pytest.fixture(scope="module")
def running() -> Iterator[EwsServer]:
    with ews_server() as server:
        yield server


@pytest.fixture
def server(running: EwsServer) -> EwsServer:
    """With one mailbox, and accounts that may impersonate everybody."""
    running.heal()
    running.limit(redirects={})
    running.add_mailbox(ANN, name="Ann", aliases=["a.nn@example.com"])
    for user in ("svc@example.com", "EXAMPLE\\svc"):
        running.add_account(user, "secret", impersonates=["*"], locks_after=3)
    running.forget()
    return running


@pytest.fixture
def at(server: EwsServer, opened: Open) -> Open:
    """Opens adapters of that server."""

    def make(**settings: Any) -> EwsSentItems:
        return opened(**({"url": server.url, "tls": {"ca_file": str(server.ca_file)}} | settings))

    return make


def operations(server: EwsServer) -> list[str]:
    return [entry.operation for entry in server.log()]


# --- signing in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sign_in", "user"),
    [("basic", "svc@example.com"), ("ntlm", "svc@example.com"), ("ntlm", "EXAMPLE\\svc")],
    ids=["basic", "ntlm-upn", "ntlm-domain"],
)
async def test_a_wrong_password_is_tried_once_a_call(
    server: EwsServer, at: Open, tmp_path: Path, sign_in: str, user: str
) -> None:
    assert await at(sign_in=sign_in, user=user).sign_in(ANN) == "Exchange 2016 (15.1.2507.58), Sent Items opened"
    (tmp_path / "wrong").write_text("wrong")
    wrong = at(sign_in=sign_in, user=user, password={"file": str(tmp_path / "wrong")})
    with pytest.raises(SignInError) as caught:
        await wrong.sign_in(ANN)
    assert caught.value.code == "401"
    assert server.counters().wrong_sign_ins[user] == 1


@pytest.mark.parametrize("sign_in", ["basic", "ntlm"])
async def test_a_wrong_password_is_tried_once_whoever_asks_at_the_same_time(
    server: EwsServer, at: Open, tmp_path: Path, sign_in: str
) -> None:
    """Or the account would be locked before anybody knows."""
    (tmp_path / "wrong").write_text("wrong")
    wrong = at(sign_in=sign_in, user="EXAMPLE\\svc", password={"file": str(tmp_path / "wrong")})
    asking = (wrong.find(ANN, "<1@example.com>", "0" * 32) for _ in range(12))
    refused = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in refused] == [SignInError] * 12
    assert server.counters().wrong_sign_ins["EXAMPLE\\svc"] == 1


async def test_ntlm_signs_in_once_a_connection(server: EwsServer, at: Open) -> None:
    ntlm = at(sign_in="ntlm", user="EXAMPLE\\svc", connections=2)
    await asyncio.gather(*(ntlm.find(ANN, "<1@example.com>", "0" * 32) for _ in range(20)))
    counted = server.counters()
    assert counted.connections <= 2
    assert counted.requests <= 20 + 2 * 2


async def test_without_the_right_to_impersonate(server: EwsServer, at: Open) -> None:
    server.add_account("few@example.com", "secret", impersonates=["boss@example.com"])
    with pytest.raises(AccessDeniedError):
        await at(user="few@example.com").sign_in(ANN)


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthServer]:
    with oauth_server(Authority(tmp_path_factory.mktemp("oauth"))) as made:
        yield made


@pytest.fixture(scope="module")
def online(oauth: OAuthServer) -> Iterator[EwsServer]:
    with ews_server(offers=["bearer"], oauth_keys=[oauth.key.jwk()], oauth_audience=AUDIENCE) as made:
        made.add_mailbox(ANN)
        yield made


@pytest.mark.parametrize("by", ["secret", "certificate"])
async def test_an_app_registration(
    oauth: OAuthServer, online: EwsServer, opened: Open, tmp_path: Path, by: str
) -> None:
    certificate = client_certificate(tmp_path)
    app = oauth.add_app(roles={AUDIENCE: ("full_access_as_app",)}, certificate=certificate)
    online.add_account(app.client_id, impersonates=["*"])
    (tmp_path / "secret").write_text(app.secret)
    (tmp_path / "both.pem").write_bytes(oauth.ca_file.read_bytes() + online.ca_file.read_bytes())
    proof = (
        {"client_secret": {"file": str(tmp_path / "secret")}}
        if by == "secret"
        else {"certificate": str(certificate.certificate), "key": str(certificate.key)}
    )
    registration = {"tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url}
    server = opened(
        online.url, sign_in="oauth", user="", oauth=registration | proof, tls={"ca_file": str(tmp_path / "both.pem")}
    )
    asked = len(oauth.requests)
    assert "Sent Items opened" in await server.sign_in(ANN)
    await server.find(ANN, "<1@example.com>", "0" * 32)
    assert [(each.by, each.scope) for each in oauth.requests[asked:]] == [(by, f"{AUDIENCE}/.default")]
    # The token is taken back: asked once more with a new one, and no more than once.
    online.fail("status", status=401)
    await server.find(ANN, "<1@example.com>", "0" * 32)
    assert len(oauth.requests) == asked + 2
    online.fail("status", status=401, times=-1)
    with pytest.raises(SignInError):
        await server.find(ANN, "<1@example.com>", "0" * 32)
    assert len(oauth.requests) == asked + 3
    online.heal()


# --- who is who -------------------------------------------------------------------------------------------------------


async def test_primary_addresses(server: EwsServer, at: Open) -> None:
    server.add_group("all@example.com")
    asking = at()
    assert await asking.primary_address(ANN) == ANN
    assert await asking.primary_address("A.nn@example.com") == ANN
    for nobody in ("all@example.com", "nobody@example.com"):
        with pytest.raises(NoMailboxError):
            await asking.primary_address(nobody)


async def test_primary_addresses_without_impersonation(server: EwsServer, at: Open) -> None:
    server.add_group("all@example.com")
    server.add_account("EXAMPLE\\full", "secret", full_access=["*"])
    asking = at(sign_in="ntlm", user="EXAMPLE\\full", impersonate=False)
    assert await asking.primary_address("a.nn@example.com") == ANN
    for nobody in ("all@example.com", "nobody@example.com"):
        with pytest.raises(NoMailboxError):
            await asking.primary_address(nobody)


@pytest.mark.parametrize("code", ["ErrorNameResolutionNoResults", "ErrorNameResolutionMultipleResults"])
async def test_who_is_hidden_from_address_lists_has_a_mailbox_all_the_same(
    server: EwsServer, at: Open, code: str
) -> None:
    server.fail("code", operation="ResolveNames", code=code)
    assert await at().primary_address("a.nn@example.com") == "a.nn@example.com"
    server.fail("code", operation="ResolveNames", code=code)
    server.fail("code", operation="GetFolder", code="ErrorNonExistentMailbox")
    with pytest.raises(NoMailboxError):
        await at().primary_address("b.nn@example.com")


# --- Autodiscover -----------------------------------------------------------------------------------------------------


async def test_the_endpoint_is_found_once_for_a_domain(server: EwsServer, at: Open) -> None:
    for number in range(5):
        server.add_mailbox(f"user{number}@example.com")
    server.forget()
    asking = at(url="", autodiscover=server.autodiscover_url)
    await asyncio.gather(*(asking.find(f"user{n}@example.com", "<1@example.com>", "0" * 32) for n in range(5)))
    assert operations(server).count("FindItem") == 5
    assert len(operations(server)) == 6


async def test_redirections_are_followed(server: EwsServer, at: Open) -> None:
    server.limit(redirects={"example.com": server.autodiscover_url + "?again"})
    with pytest.raises(EndpointDownError, match="more than 3 redirections"):
        await at(url="", autodiscover=server.autodiscover_url).sign_in(ANN)
    server.limit(redirects={ANN: "ann@example.onmicrosoft.com"})
    with pytest.raises(NoMailboxError, match=r"redirects to ann@example\.onmicrosoft\.com"):
        await at(url="", autodiscover=server.autodiscover_url).sign_in(ANN)
    with pytest.raises(NoMailboxError):
        await at(url="", autodiscover=server.autodiscover_url).sign_in("nobody@example.com")


@pytest.mark.parametrize(
    ("domain", "is_asked"), [("localhost", True), ("example.com", False)], ids=["below-domain", "elsewhere"]
)
async def test_the_srv_record_is_followed_below_the_domain_alone(
    scripted: Scripted, opened: Open, monkeypatch: pytest.MonkeyPatch, domain: str, is_asked: bool
) -> None:
    """A password goes where it says, and DNS may lie."""
    port = scripted.server.port
    srv = {f"_autodiscover._tcp.{domain}": [("SRV", (0, 0, port, "localhost")), ("SRV", (9, 0, port, "localhost"))]}
    with dns_server(srv) as names:
        resolver = dns.resolver.Resolver(configure=False)
        host, _, number = names.address.rpartition(":")
        resolver.nameservers, resolver.port = [host], int(number)
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        scripted.answers = [AUTODISCOVERED % "<ErrorCode>InvalidUser</ErrorCode>"]
        with pytest.raises(NoMailboxError if is_asked else EndpointDownError):
            await opened("").sign_in(f"ann@{domain}")
    assert [request.path for request in scripted.asked] == ["/autodiscover/autodiscover.svc"] * is_asked


@pytest.mark.parametrize("mailbox", ["ann", "ann@", "ann@evil.example/x?", "ann@[127.0.0.1]", "ann@a:443"])
async def test_addresses_without_a_domain_are_not_looked_for(opened: Open, mailbox: str) -> None:
    with pytest.raises(NoMailboxError):
        await opened("").sign_in(mailbox)


AUTODISCOVERED = (
    '<GetUserSettingsResponseMessage xmlns="http://schemas.microsoft.com/exchange/2010/Autodiscover"><Response>'
    "<ErrorCode>NoError</ErrorCode><UserResponses><UserResponse>%s</UserResponse></UserResponses></Response>"
    "</GetUserSettingsResponseMessage>"
)


@pytest.mark.parametrize(
    ("inside", "match"),
    [
        ("<ErrorCode>RedirectUrl</ErrorCode><RedirectTarget>http://localhost/a.svc</RedirectTarget>", "without HTTPS"),
        ("<ErrorCode>RedirectUrl</ErrorCode><RedirectTarget>https:///a.svc</RedirectTarget>", "without HTTPS"),
        (
            "<ErrorCode>NoError</ErrorCode><UserSettings><UserSetting><Name>ExternalEwsUrl</Name>"
            "<Value>http://localhost/EWS</Value></UserSetting></UserSettings>",
            "without HTTPS",
        ),
        ("<ErrorCode>NoError</ErrorCode>", "names no address"),
        ("<ErrorCode>SettingIsNotAvailable</ErrorCode>", "does not tell"),
    ],
    ids=["http", "no-host", "ews-http", "no-url", "other"],
)
async def test_what_is_not_taken_from_autodiscover(scripted: Scripted, opened: Open, inside: str, match: str) -> None:
    scripted.answers = [AUTODISCOVERED % inside, response("FindItem")]
    asking = opened("", autodiscover=scripted.url)
    for _ in range(3):
        with pytest.raises(EndpointDownError, match=match):
            await asking.find(ANN, "<1@example.com>", "0" * 32)
    assert len(scripted.asked) == 1  # failures are remembered for a while


async def test_autodiscover_trusts_as_configured(scripted: Scripted, opened: Open) -> None:
    with pytest.raises(TlsFailedError):
        await opened("", autodiscover=scripted.url, tls={}).sign_in(ANN)
    assert not scripted.asked


# --- changes in several steps -----------------------------------------------------------------------------------------


async def original_of(server: EwsServer, adapter: EwsSentItems) -> SentItem:
    for item in server.items(ANN):
        server.delete_item(item.id)
    return await adapter.read(ANN, ItemRef(server.add_item(ANN, MIME)))


def with_picture(original: SentItem) -> NewItem:
    html = '<p>Hello</p><img src="cid:logo@1">'
    return NewItem(
        f"{'0' * 32} copy", original, MIME, original.message_id, original.subject, html, attachments=(PICTURE,),
        marks=original.marks,
    )  # fmt: skip


async def test_new_pictures_come_with_the_body_that_shows_them(server: EwsServer, at: Open) -> None:
    adapter = at()
    original = await original_of(server, adapter)
    server.forget()
    ref = await adapter.rewrite(ANN, original.ref, with_picture(original))
    assert operations(server) == ["GetItem", "CreateAttachment", "UpdateItem"]
    item = await adapter.read(ANN, ref)
    assert [(each.name, each.content_id, each.is_inline) for each in item.attachments] == [("logo.png", "logo@1", True)]
    again = replace(with_picture(item), stamp="job other")
    server.forget()
    await adapter.rewrite(ANN, item.ref, again)
    assert operations(server) == ["UpdateItem"]


async def test_a_rewrite_that_fails_leaves_no_picture(server: EwsServer, at: Open) -> None:
    adapter = at()
    original = await original_of(server, adapter)
    server.fail("code", operation="UpdateItem", code="ErrorMailboxMoveInProgress")
    with pytest.raises(MailboxUnavailableError):
        await adapter.rewrite(ANN, original.ref, with_picture(original))
    (item,) = server.items(ANN, "sentitems")
    assert (item.attachments, item.html) == ([], "<p>Hello</p>\r\n")


async def test_a_picture_that_may_be_needed_stays(server: EwsServer, at: Open) -> None:
    adapter = at()
    original = await original_of(server, adapter)
    server.fail("drop", operation="UpdateItem")
    with pytest.raises(OutcomeUnknownError):
        await adapter.rewrite(ANN, original.ref, with_picture(original))
    (item,) = server.items(ANN, "sentitems")
    assert len(item.attachments) == 1
    assert [found.stamp for found in await adapter.find(ANN, "<1@example.com>", "0" * 32)] == [f"{'0' * 32} copy"]


async def test_a_change_before_a_rewrite_is_a_conflict(server: EwsServer, at: Open) -> None:
    adapter = at()
    original = await original_of(server, adapter)
    server.change_item(original.ref.id, html="<p>edited</p>")
    for new in (with_picture(original), replace(with_picture(original), attachments=())):
        with pytest.raises(ConflictError):
            await adapter.rewrite(ANN, original.ref, new)
    (item,) = server.items(ANN, "sentitems")
    assert (item.html, item.attachments) == ("<p>edited</p>", [])


async def test_marks_of_every_kind_are_set_and_taken_away(server: EwsServer, at: Open) -> None:
    adapter = at()
    item = await original_of(server, adapter)
    moment = item.sent_at
    for marks in (
        Marks(categories=("Red", "Blue"), follow_up=FollowUp("flagged", moment, moment)),
        Marks(is_read=False, follow_up=FollowUp("complete", completed_at=moment)),
        Marks(follow_up=FollowUp("flagged")),
        Marks(),
    ):
        item = await adapter.read(ANN, await adapter.set_marks(ANN, item.ref, marks))
        assert item.marks == marks


async def test_a_whole_job_takes_six_requests(server: EwsServer, at: Open) -> None:
    adapter = at()
    await original_of(server, adapter)
    server.forget()
    (found,) = await adapter.find(ANN, "<1@example.com>", "0" * 32)
    original = await adapter.read(ANN, found.ref)
    new = NewItem(f"{'0' * 32} copy", original, MIME, original.message_id, original.subject, marks=original.marks)
    await adapter.read(ANN, await adapter.create(ANN, new))
    await adapter.remove(ANN, original.ref, Removal.RECOVERABLE)
    assert operations(server) == ["FindItem", "GetItem", "CreateItem", "GetItem", "GetItem", "DeleteItem"]


# --- many mailboxes ---------------------------------------------------------------------------------------------------


async def test_hundreds_of_mailboxes_take_no_more_memory_than_a_few(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [response("FindItem", "<m:RootFolder><t:Items/></m:RootFolder>")]
    adapter = opened(scripted.url, connections=4)

    async def ask(first: int, count: int) -> int:
        for start in range(first, first + count, 50):
            names = (f"user{number}@example.com" for number in range(start, start + 50))
            await asyncio.gather(*(adapter.find(name, "<1@example.com>", "0" * 32) for name in names))
            scripted.asked.clear()
        gc.collect()
        return len(gc.get_objects())

    few = await ask(0, 100)
    assert await ask(100, 500) - few < 100
