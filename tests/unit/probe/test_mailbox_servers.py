"""Mailbox servers as `check --online` tries them: nothing in them changes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mta.adapters.directory.file_directory import YamlDirectory
from mta.config.mailbox_schema import EwsMailboxes, MailboxServer, MaildirMailboxes
from mta.config.types import Secret
from mta.probe.mailbox_servers import MailboxServerProbe
from mta.probe.probe import Line, Status
from mta.probe.sent_items import Branch
from tests.servers.wait import free_port
from tests.unit.probe.organisations import organisation_that_marks, organisation_with

NOW = datetime.now(UTC)


async def lines_of(
    server: MailboxServer, folder: Path, people: str = "people: [{address: jane@example.com}]\n"
) -> list[Line]:
    (folder / "people.yaml").write_text(people)
    branch = Branch(organisation_with(server), YamlDirectory.load(folder / "people.yaml"))
    lines: list[Line] = []
    await MailboxServerProbe(branch, server, NOW).run(lines.append)
    return lines


def maildir(folder: Path) -> MaildirMailboxes:
    return MaildirMailboxes(name="local", kind="maildir", folder=folder / "{local}")


async def test_somebodys_mailbox_is_opened_and_nothing_is_written(tmp_path: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / "jane" / ".Sent" / part).mkdir(parents=True)
        (tmp_path / "jane" / part).mkdir()
    before = sorted(tmp_path.rglob("*"))
    lines = await lines_of(maildir(tmp_path), tmp_path)
    assert {line.status for line in lines} == {Status.OK}
    assert any("opened jane@example.com" in line.what for line in lines)
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != "people.yaml"] == before


async def test_a_mailbox_that_is_not_there_fails(tmp_path: Path) -> None:
    lines = await lines_of(maildir(tmp_path), tmp_path)
    assert lines[-1].status is Status.FAILED
    assert lines[-1].mend


async def test_where_nobody_is_known_it_is_said_what_tries_it(tmp_path: Path) -> None:
    [line] = await lines_of(maildir(tmp_path), tmp_path, "people: []\n")
    assert line.status is Status.WARNING
    assert "sentitems check --server local --mailbox" in line.mend


async def test_a_server_that_is_not_reached_fails_before_anybody_signs_in(tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{free_port()}/EWS/Exchange.asmx"
    (tmp_path / "password").write_text("secret\n")
    server = EwsMailboxes(name="ews", kind="ews", url=url, user="x", password=Secret(file=tmp_path / "password"))
    lines = await lines_of(server, tmp_path)
    assert lines[-1].status is Status.FAILED
    assert "can't be reached" in lines[-1].what


async def test_a_secret_that_cant_be_read_is_told_with_its_file(tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{free_port()}/EWS/Exchange.asmx"
    server = EwsMailboxes(name="ews", kind="ews", url=url, user="x", password=Secret(file=tmp_path / "password"))
    lines = await lines_of(server, tmp_path)
    assert lines[-1].status is Status.FAILED
    assert str(tmp_path / "password") in lines[-1].what


def test_which_servers_are_exchange_online() -> None:
    url = "https://outlook.office365.invalid/EWS/Exchange.asmx"
    server = EwsMailboxes(name="ews", kind="ews", url=url)
    assert not server.is_exchange_online
    online = server.model_copy(update={"url": "https://outlook.office365.com/EWS/Exchange.asmx"})
    assert online.is_exchange_online
    assert EwsMailboxes(name="ews", kind="ews", sign_in="oauth").is_exchange_online
    assert not EwsMailboxes(name="ews", kind="ews").is_exchange_online


async def test_where_filed_messages_are_marked_somebody_of_the_audience_is_looked_into(tmp_path: Path) -> None:
    for name in ("ann", "jane"):
        for part in ("cur", "new", "tmp"):
            (tmp_path / name / part).mkdir(parents=True)
    server = maildir(tmp_path)
    (tmp_path / "people.yaml").write_text("people: [{address: ann@example.com}, {address: jane@example.com}]\n")
    directory = YamlDirectory.load(tmp_path / "people.yaml")
    branch = Branch(organisation_that_marks(server, "j*@example.com"), directory)
    lines: list[Line] = []
    await MailboxServerProbe(branch, server, NOW).run(lines.append)
    assert not [line for line in lines if line.status is Status.FAILED]
    assert str(tmp_path / "jane") in " ".join(line.what for line in lines)
    reasons = [branch.reason_to_skip(each.address, each) async for each in directory.everybody()]
    assert reasons == ["out-of-scope", ""]
