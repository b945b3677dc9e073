"""What stands in an address is somebody's mailbox, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.ports.mailbox import NoMailboxError
from tests.servers.scripted_imap import scripted_imap
from tests.unit.adapters.mailbox.imap.servers import NO_JOB, imap_server


@pytest.mark.parametrize(
    ("mailbox", "more"),
    [
        ("jane*root@example.com", {}),
        ("*@example.com", {"mailbox_name": "local-part"}),
        ("jane%root@example.com", {"separator": "%"}),
    ],
)
async def test_no_address_names_another_master_user(tmp_path: Path, mailbox: str, more: dict[str, str]) -> None:
    with scripted_imap() as server:
        adapter = imap_server(server.port, tmp_path, sign_in="master-user", **more)
        for _ in range(3):
            with pytest.raises(NoMailboxError):
                await adapter.find(mailbox, "<a@example>", NO_JOB)
        await adapter.close()
        assert not server.commands


async def test_where_nothing_parts_names_any_address_is_asked_for(tmp_path: Path) -> None:
    with scripted_imap() as server:
        adapter = imap_server(server.port, tmp_path)
        assert await adapter.find("jane*root@example.com", "<a@example>", NO_JOB) == []
        await adapter.close()
