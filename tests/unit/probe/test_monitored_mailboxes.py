"""Monitored mailboxes are signed in to; what waits in them stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mta.config.tracking_schema import MonitoredMailbox
from mta.probe.monitored_mailboxes import MonitoredMailboxProbe
from mta.probe.probe import Line, Status
from tests.e2e.tracking.maildirs import Maildirs, message
from tests.servers.scripted_imap import scripted_imap


async def lines(folder: Path, **settings: Any) -> list[Line]:
    said = {"name": "help", "kind": "imap", "address": "help@example.com", **settings}
    found: list[Line] = []
    mailbox: MonitoredMailbox = TypeAdapter(MonitoredMailbox).validate_python(said)
    await MonitoredMailboxProbe(mailbox, folder / "aside").run(found.append)
    return found


async def test_a_mailbox_is_signed_in_to_and_left_as_it_is(tmp_path: Path) -> None:
    boxes = Maildirs(tmp_path, "help")
    path = boxes.put("help", message(1))
    (line,) = await lines(tmp_path, kind="maildir", path=str(tmp_path / "help"))
    assert line.status is Status.OK
    assert path.exists()


async def test_what_is_wrong_is_told_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    password = {"file": str(tmp_path / "password")}
    (line,) = await lines(tmp_path, kind="maildir", path=str(tmp_path / "help"))
    assert (line.status, "no-maildir" in line.what, "folder" in line.mend) == (Status.FAILED, True, True)
    (line,) = await lines(tmp_path, host="127.0.0.1", password={"file": str(tmp_path / "gone")})
    assert (line.status, "gone" in line.what) == (Status.FAILED, True)
    with scripted_imap({b"AUTHENTICATE": b"$ NO [AUTHENTICATIONFAILED] Wrong\r\n"}) as server:
        how = {"host": "127.0.0.1", "port": server.port, "password": password, "tls": {"mode": "none"}}
        (line,) = await lines(tmp_path, **how)
        assert (line.status, "password" in line.mend) == (Status.FAILED, True)
    with scripted_imap({b"AUTHENTICATE": b"$ NO [INUSE] Our own poll has it\r\n"}) as server:
        (line,) = await lines(tmp_path, **{**how, "port": server.port})
        assert line.status is Status.WARNING


async def test_a_certificate_that_nobody_looks_at_is_told(tmp_path: Path) -> None:
    first, _ = await lines(tmp_path, host="127.0.0.1", port=1, password={"env": "HOME"}, tls={"verify": False})
    assert first.status is Status.WARNING
