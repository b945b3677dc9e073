"""A walk through one mailbox: what each failure says, and that nothing of ours stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.directory.file_directory import YamlDirectory
from mta.config.mailbox_schema import EwsMailboxes, GraphMailboxes, MailboxServer, MaildirMailboxes
from mta.config.types import Secret
from mta.probe.mailbox_walk import SUBJECT
from mta.probe.probe import Line, Status
from mta.probe.sent_items import Branch, MailboxProbe, OutsiderProbe
from tests.peers.ews import EwsServer, ews_server
from tests.peers.graph import AUDIENCE, GraphServer, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import OAuthServer, oauth_server
from tests.servers.wait import free_port, wait_until
from tests.unit.probe.organisations import organisation_with

NOW = datetime.now(UTC)
JANE = "jane@example.com"
BOSS = "boss@example.com"


@pytest.fixture(scope="module")
def exchange() -> Iterator[EwsServer]:
    with ews_server() as server:
        for address in (JANE, BOSS):
            server.add_mailbox(address, keeps_deleted=False)
        server.add_account("EXAMPLE\\svc", "right", impersonates=["j*@example.com"])
        yield server


@pytest.fixture
def ews(exchange: EwsServer, tmp_path: Path) -> Callable[..., EwsMailboxes]:
    """Settings of the server, as they should be but for what is given."""

    def made(password: str = "right", **changes: Any) -> EwsMailboxes:
        (tmp_path / "password").write_text(password)
        settings = {
            "name": "exchange", "kind": "ews", "url": exchange.url, "user": "EXAMPLE\\svc", "sign_in": "basic",
            "password": {"file": tmp_path / "password"}, "tls": {"ca_file": exchange.ca_file}, "timeout": "10s",
        }  # fmt: skip
        return EwsMailboxes.model_validate(settings | changes)

    exchange.heal()
    return made


def probe(folder: Path, server: MailboxServer, mailbox: str = JANE) -> MailboxProbe:
    (folder / "people.yaml").write_text(f"people: [{{address: {JANE}}}]\n")
    branch = Branch(organisation_with(server), YamlDirectory.load(folder / "people.yaml"))
    return MailboxProbe(branch, mailbox, NOW)


async def failure(folder: Path, server: MailboxServer, mailbox: str = JANE) -> Line:
    """The one line that fails, the last one."""
    lines: list[Line] = []
    await probe(folder, server, mailbox).run(lines.append)
    assert [line.status for line in lines if line.status is Status.FAILED] == [lines[-1].status], lines
    return lines[-1]


# --- Exchange Web Services --------------------------------------------------------------------------------------------


async def test_all_is_well_and_nothing_stays(
    ews: Callable[..., EwsMailboxes], exchange: EwsServer, tmp_path: Path
) -> None:
    lines: list[Line] = []
    await probe(tmp_path, ews()).run(lines.append)
    assert {line.status for line in lines} == {Status.OK}
    assert exchange.items(JANE) == []


@pytest.mark.parametrize(
    ("changes", "mailbox", "what", "mend"),
    [
        pytest.param({"password": "wrong"}, JANE, "401", "correct user, password or sign_in", id="password"),
        pytest.param({}, BOSS, "ErrorImpersonateUserDenied", "grant --script --server exchange", id="impersonation"),
        pytest.param(
            {"impersonate": False}, JANE, "ErrorFolderNotFound", "grant --script --server exchange", id="access"
        ),
        pytest.param({}, "list@example.com", "ErrorNonExistentMailbox", "the address is right", id="mailbox"),
        pytest.param({"tls": {}}, JANE, "unable to get local issuer", "as tls: ca_file", id="authority"),
        pytest.param({"tls": {"ca_file": "/nowhere.pem"}}, JANE, "/nowhere.pem", "correct its path", id="ca-file"),
        pytest.param({"password_env": "NOT_SET"}, JANE, "no variable NOT_SET", "{file: …}", id="environment"),
        pytest.param({"path": "/owa/"}, JANE, "404", "correct `url`: https://HOST/EWS/Exchange.asmx", id="path"),
        pytest.param({"port": "closed"}, JANE, "can't be reached", "host and port", id="port"),
        pytest.param({"url": "https://mail.nowhere.invalid/EWS/Exchange.asmx"}, JANE, "no address", "DNS", id="dns"),
        pytest.param(
            {"url": "", "autodiscover": "https://mail.nowhere.invalid/autodiscover/autodiscover.svc"}, JANE, "invalid",
            "as `url`", id="autodiscover",
        ),
    ],
)  # fmt: skip
async def test_what_fails_says_how_to_mend_it(
    ews: Callable[..., EwsMailboxes], exchange: EwsServer, tmp_path: Path, changes: dict[str, Any], mailbox: str,
    what: str, mend: str,
) -> None:  # fmt: skip
    given = dict(changes)
    if name := given.pop("password_env", ""):
        settings = ews().model_copy(update={"password": Secret(env=name)})
    else:
        if path := given.pop("path", ""):
            given["url"] = exchange.url.replace("/EWS/Exchange.asmx", path)
        if given.pop("port", ""):
            given["url"] = f"https://localhost:{free_port()}/EWS/Exchange.asmx"
        settings = ews(**given)
    line = await failure(tmp_path, settings, mailbox)
    assert what in line.what
    assert mend in line.mend
    assert "fingerprint" not in line.mend


@pytest.mark.parametrize("step", ["GetItem", "UpdateItem", "FindItem"])
async def test_a_step_that_fails_leaves_nothing_behind(
    ews: Callable[..., EwsMailboxes], exchange: EwsServer, tmp_path: Path, step: str
) -> None:
    exchange.fail(
        "code", code="ErrorInternalServerTransientError", operation=step, after=1 if step == "FindItem" else 0
    )
    lines: list[Line] = []
    await probe(tmp_path, ews()).run(lines.append)
    assert Status.FAILED in {line.status for line in lines}
    assert "it was removed" in [line.what for line in lines]
    assert exchange.items(JANE) == []


async def test_an_item_whose_making_got_no_answer_is_looked_for_and_removed(
    ews: Callable[..., EwsMailboxes], exchange: EwsServer, tmp_path: Path
) -> None:
    exchange.fail("drop", operation="CreateItem")
    lines: list[Line] = []
    await probe(tmp_path, ews()).run(lines.append)
    assert "making a test item failed" in lines[-2].what
    assert "`timeout`" in lines[-2].mend
    assert lines[-1].what == "it was removed"
    assert exchange.items(JANE) == []


async def test_an_item_that_may_show_up_late_is_told_of(
    ews: Callable[..., EwsMailboxes], exchange: EwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta.probe.mailbox_walk.VISIBLE_S", 0.0)
    exchange.fail("reset", operation="CreateItem")
    lines: list[Line] = []
    await probe(tmp_path, ews()).run(lines.append)
    assert [line.status for line in lines[-2:]] == [Status.FAILED, Status.WARNING]
    assert SUBJECT in lines[-1].what
    assert "delete it" in lines[-1].mend


@pytest.mark.parametrize("step", ["CreateItem", "GetItem"])
async def test_a_walk_that_is_broken_off_takes_its_item_along(
    ews: Callable[..., EwsMailboxes], exchange: EwsServer, tmp_path: Path, step: str
) -> None:
    exchange.forget()
    exchange.fail("slow", operation=step, delay_s=0.3)
    lines: list[Line] = []
    walk = asyncio.ensure_future(probe(tmp_path, ews()).run(lines.append))
    await asyncio.to_thread(wait_until, lambda: bool(exchange.items(JANE)), 20, "the test item")
    walk.cancel()
    with suppress(asyncio.CancelledError):
        await walk
    assert any("was broken off" in line.what for line in lines)
    assert exchange.items(JANE) == []


async def test_an_account_that_opens_whom_it_must_not(ews: Callable[..., EwsMailboxes], tmp_path: Path) -> None:
    lines: list[Line] = []
    for mailbox in (JANE, BOSS):
        await OutsiderProbe(probe(tmp_path, ews()).branch, mailbox).run(lines.append)
    assert [line.status for line in lines] == [Status.FAILED, Status.OK]
    assert "grant --script --server exchange" in lines[0].mend


# --- Graph ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OAuthServer, GraphServer, str]]:
    """With an app's client id; its secret is `right`."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with oauth_server(authority) as oauth, graph_server(oauth, authority) as graph:
        app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)}, secret="right")
        for address in (JANE, BOSS):
            graph.add_mailbox(address)
        graph.restrict(app, [JANE])
        yield oauth, graph, app.client_id


@pytest.mark.parametrize(
    ("changes", "mailbox", "what", "mend"),
    [
        pytest.param({"secret": "wrong"}, JANE, "AADSTS7000215", "correct oauth: tenant, client_id", id="secret"),
        pytest.param({"client_id": "other"}, JANE, "AADSTS700016", "correct oauth: tenant, client_id", id="app"),
        pytest.param({"tenant": "/elsewhere"}, JANE, "no authority", "correct oauth: tenant", id="tenant"),
        pytest.param({}, BOSS, "ErrorAccessDenied", "grant --script --server online", id="rights"),
        pytest.param({}, "list@example.com", "ErrorInvalidUser", "the address is right", id="mailbox"),
        pytest.param({"tls": {}}, JANE, "unable to get local issuer", "as tls: ca_file", id="authority"),
    ],
)
async def test_what_graph_refuses_says_how_to_mend_it(
    online: tuple[OAuthServer, GraphServer, str], tmp_path: Path, changes: dict[str, Any], mailbox: str, what: str,
    mend: str,
) -> None:  # fmt: skip
    oauth, graph, client_id = online
    (tmp_path / "secret").write_text(changes.get("secret", "right"))
    server = GraphMailboxes.model_validate({
        "name": "online", "kind": "graph", "url": graph.url, "timeout": "10s",
        "tls": changes.get("tls", {"ca_file": graph.ca_file}),
        "oauth": {
            "tenant": oauth.tenant, "client_id": changes.get("client_id", client_id),
            "authority": oauth.authority_url.rpartition("/")[0] + changes["tenant"]
            if "tenant" in changes else oauth.authority_url,
            "scope": f"{AUDIENCE}/.default", "client_secret": {"file": tmp_path / "secret"},
        },
    })  # fmt: skip
    line = await failure(tmp_path, server, mailbox)
    assert what in line.what
    assert mend in line.mend
    assert not [item for item in graph.items(JANE, "sentitems") if item.subject == SUBJECT]


# --- Maildirs ---------------------------------------------------------------------------------------------------------


async def test_no_folder_is_made_for_a_test_item(tmp_path: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / "jane" / part).mkdir(parents=True)
    server = MaildirMailboxes(name="local", kind="maildir", folder=tmp_path / "{local}", sent_folder=".Gesendet")
    lines: list[Line] = []
    await probe(tmp_path, server).run(lines.append)
    assert lines[-1].status is Status.WARNING
    assert "`sent_folder`" in lines[-1].mend
    assert not (tmp_path / "jane" / ".Gesendet").exists()
