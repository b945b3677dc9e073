"""STARTTLS without a way back to clear text."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from mta.ports.mailbox import EndpointDownError, TlsFailedError
from tests.servers.scripted_imap import scripted_imap
from tests.unit.adapters.mailbox.imap.servers import JANE, NO_JOB, imap_server

_OFFERED = {
    b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS\r\n$ OK done\r\n",
    b"STARTTLS": b"$ OK begin\r\n",
}


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("imap.example.com").configure_cert(made)
    return made


def _tls(tmp_path: Path, name: str | None = "imap.example.com") -> dict[str, object]:
    return {"mode": "starttls", "ca_file": str(tmp_path / "ca.pem"), "verify_name": name}


async def test_starttls_with_the_name_that_is_configured(tmp_path: Path, context: ssl.SSLContext) -> None:
    with scripted_imap(_OFFERED, context=context) as server:
        adapter = imap_server(server.port, tmp_path, tls=_tls(tmp_path))
        assert await adapter.find(JANE, "<a@example>", NO_JOB) == []
        await adapter.close()
    words = [command.split(b" ")[1].strip() for command in server.commands if b" " in command]
    assert words.index(b"STARTTLS") < words.index(b"AUTHENTICATE")


@pytest.mark.parametrize(
    ("answers", "greeting"),
    [
        ({b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n$ OK done\r\n"}, b"* OK ready\r\n"),
        (_OFFERED, b"* PREAUTH welcome back\r\n"),
        ({**_OFFERED, b"STARTTLS": b"$ OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"}, b"* OK ready\r\n"),
    ],
    ids=["not-offered", "signed-in-already", "injected"],
)  # fmt: skip
async def test_nobody_between_talks_us_out_of_it(
    tmp_path: Path, context: ssl.SSLContext, answers: dict[bytes, bytes | None], greeting: bytes
) -> None:
    with scripted_imap(answers, greeting=greeting, context=context) as server:
        adapter = imap_server(server.port, tmp_path, tls=_tls(tmp_path))
        with pytest.raises(TlsFailedError):
            await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()
    assert not [command for command in server.commands if b"AUTHENTICATE" in command]


async def test_a_refused_starttls_is_the_end(tmp_path: Path, context: ssl.SSLContext) -> None:
    with scripted_imap({**_OFFERED, b"STARTTLS": b"$ NO not now\r\n"}, context=context) as server:
        adapter = imap_server(server.port, tmp_path, tls=_tls(tmp_path))
        with pytest.raises(EndpointDownError):
            await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()
    assert not [command for command in server.commands if b"AUTHENTICATE" in command]


async def test_another_name_is_another_server(tmp_path: Path, context: ssl.SSLContext) -> None:
    with scripted_imap(_OFFERED, context=context) as server:
        adapter = imap_server(server.port, tmp_path, tls=_tls(tmp_path, None))
        with pytest.raises(TlsFailedError):
            await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()


@pytest.mark.usefixtures("authority")
async def test_a_name_without_a_file_of_authorities_asks_the_systems(tmp_path: Path, context: ssl.SSLContext) -> None:
    with scripted_imap(_OFFERED, context=context) as server:
        tls = {"mode": "starttls", "verify_name": "imap.example.com"}
        adapter = imap_server(server.port, tmp_path, tls=tls)
        with pytest.raises(TlsFailedError):
            await adapter.find(JANE, "<a@example>", NO_JOB)
        await adapter.close()
