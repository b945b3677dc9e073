"""Certificates in files, disks, DNS servers, domains, webhooks, and the runner around all probes."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from mta.config.alert_schema import Webhook
from mta.probe.alerts import WebhookProbe
from mta.probe.certificates import CertificateProbe
from mta.probe.dns_servers import DnsServerProbe
from mta.probe.domains import DomainProbe
from mta.probe.machine import DiskProbe
from mta.probe.probe import Line, Probe, Say, Status, ok
from mta.probe.run import LINES_MAX, Result, run_probes
from tests.servers.dns import BLACK_HOLE, dns_server
from tests.servers.wait import free_port
from tests.unit.authenticate.zones import TIMEOUT, Zones

NOW = datetime.now(UTC)


async def lines_of(probe: Probe) -> list[Line]:
    lines: list[Line] = []
    await probe.run(lines.append)
    return lines


def statuses(lines: list[Line]) -> str:
    return " ".join(line.status.value for line in lines)


# --- certificates -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA().create_child_ca()


def _file(folder: Path, *pems: bytes) -> Path:
    path = folder / "chain.pem"
    path.write_bytes(b"".join(pems))
    return path


def _issued(authority: trustme.CA, name: str = "relay.example.com", ends: datetime | None = None) -> list[bytes]:
    made = authority.issue_cert(name, not_after=ends or NOW + timedelta(days=90))
    return [pem.bytes() for pem in made.cert_chain_pems]


async def _of_file(path: Path, hostname: str = "relay.example.com") -> list[Line]:
    return await lines_of(CertificateProbe("listener in", path, hostname, NOW))


async def test_a_chain_in_order(authority: trustme.CA, tmp_path: Path) -> None:
    lines = await _of_file(_file(tmp_path, *_issued(authority)))
    assert {line.status for line in lines} == {Status.OK}
    assert lines[-1].what == "the chain of 2 fits together"


@pytest.mark.parametrize("name", ["*.example.com", "relay.example.com"])
async def test_names_that_cover_us(authority: trustme.CA, tmp_path: Path, name: str) -> None:
    assert "warning" not in statuses(await _of_file(_file(tmp_path, *_issued(authority, name))))


@pytest.mark.parametrize("name", ["mail.example.com", "*.example.org", "example.com", "192.0.2.1"])
async def test_names_that_do_not(authority: trustme.CA, tmp_path: Path, name: str) -> None:
    lines = await _of_file(_file(tmp_path, *_issued(authority, name)))
    assert [line.what for line in lines if line.status is Status.WARNING] == [
        "it is not for relay.example.com, the name that we greet with"
    ]
    assert "warning" not in statuses(await _of_file(_file(tmp_path, *_issued(authority, name)), ""))


async def test_certificates_that_end(authority: trustme.CA, tmp_path: Path) -> None:
    soon = await _of_file(_file(tmp_path, *_issued(authority, ends=NOW + timedelta(days=20, hours=1))))
    assert soon[0] == Line(Status.WARNING, "the certificate expires in 20 days", "get a new one in time")
    over = await _of_file(_file(tmp_path, *_issued(authority, ends=NOW - timedelta(days=1))))
    assert over[0].status is Status.FAILED


async def test_chains_out_of_order(authority: trustme.CA, tmp_path: Path) -> None:
    leaf, upper = _issued(authority)
    assert "place 2 of the file did not issue" in (await _of_file(_file(tmp_path, upper, leaf)))[-1].what
    assert (await _of_file(_file(tmp_path, leaf, trustme.CA().cert_pem.bytes())))[-1].status is Status.FAILED
    assert "stands alone" in (await _of_file(_file(tmp_path, leaf)))[-1].what
    assert "signed by itself" in (await _of_file(_file(tmp_path, trustme.CA().cert_pem.bytes()), ""))[-1].what


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
async def test_files_that_hold_none(tmp_path: Path, content: bytes) -> None:
    assert statuses(await _of_file(_file(tmp_path, content))) == "failed"


async def test_a_file_that_is_gone(tmp_path: Path) -> None:
    assert statuses(await _of_file(tmp_path / "gone.pem")) == "failed"


# --- disks, DNS, domains ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reserve", "alert", "status"), [(0, 0, "ok"), (0, 1 << 60, "warning"), (1 << 60, 1 << 60, "failed")]
)
async def test_room_on_a_disk(tmp_path: Path, reserve: int, alert: int, status: str) -> None:
    assert statuses(await lines_of(DiskProbe("spool", tmp_path / "not" / "yet", reserve, alert))) == status


async def test_a_dns_server() -> None:
    with dns_server({"example.com": [("MX", (10, "mx.example.com"))], "silent.example": BLACK_HOLE}) as server:
        assert statuses(await lines_of(DnsServerProbe(server.address, "example.com", 5))) == "ok"
        assert statuses(await lines_of(DnsServerProbe(server.address, "unknown.example", 5))) == "ok"
        assert statuses(await lines_of(DnsServerProbe(server.address, "silent.example", 0.2))) == "failed"
    assert statuses(await lines_of(DnsServerProbe(f"127.0.0.1:{free_port()}", "example.com", 0.2))) == "failed"


OURS = [("A", "192.0.2.1")]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([("MX", (10, "mx.example.com")), ("TXT", "v=spf1 a:relay.example.com -all")], "ok ok"),
        ([("MX", (10, "mx.example.com"))], "ok warning"),
        ([("TXT", "v=spf1 ip4:192.0.2.1 -all")], "warning ok"),
        ([("MX", (10, "mx.example.com")), ("TXT", "v=spf1 ip4:192.0.2.9 -all")], "ok warning"),
        ([("MX", (10, "mx.example.com")), ("TXT", "v=spf1 nonsense")], "ok warning"),
        (TIMEOUT, "warning warning"),
    ],
    ids=["in-order", "no-spf", "no-mx", "another-address", "broken", "silence"],
)
async def test_what_dns_says_of_a_domain(records: Any, expected: str) -> None:
    zones = Zones({"example.com": records, "relay.example.com": OURS})
    assert statuses(await lines_of(DomainProbe("example.com", "relay.example.com", zones))) == expected


async def test_a_host_that_dns_does_not_know() -> None:
    zones = Zones({"example.com": [("MX", (10, "mx.example.com")), ("TXT", "v=spf1 -all")]})
    lines = await lines_of(DomainProbe("example.com", "relay.example.com", zones))
    assert lines[-1].what == "relay.example.com has no address in DNS, so SPF can't be tried"


# --- webhooks ---------------------------------------------------------------------------------------------------------


async def test_webhooks(authority: trustme.CA) -> None:
    asked = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.extend(await reader.read())
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    plain = await asyncio.start_server(serve, "127.0.0.1", 0)
    tls = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port, tls_port = (server.sockets[0].getsockname()[1] for server in (plain, tls))
    async with plain, tls:
        (line,) = await lines_of(WebhookProbe(Webhook(url=f"http://127.0.0.1:{port}/x"), NOW))
        assert line.status is Status.OK
        assert bytes(asked) == b""
        line = (await lines_of(WebhookProbe(Webhook(url=f"https://localhost:{tls_port}/x"), NOW)))[-1]
        assert line.status is Status.FAILED
        assert "the certificate is refused: unable to get" in line.what
        assert line.mend == "the server needs a certificate that everybody trusts"
    line = (await lines_of(WebhookProbe(Webhook(url=f"https://localhost:{free_port()}/x"), NOW)))[-1]
    assert "can't be reached" in line.what


# --- the runner -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Made:
    name: str
    waits: bool = False
    raises: bool = False
    lines: int = 1

    async def run(self, say: Say) -> None:
        for number in range(self.lines):
            say(ok(str(number)))
        if self.waits:
            await asyncio.Event().wait()
        if self.raises:
            raise RuntimeError("a fault of its own")


async def test_each_has_its_time_and_its_faults_are_its_own() -> None:
    ended: list[int] = []
    probes = [_Made("slow", waits=True), _Made("quick"), _Made("broken", raises=True), _Made("endless", lines=10_000)]
    results = await run_probes([("test", probe) for probe in probes], 0.2, lambda position, _: ended.append(position))
    assert [result.name for result in results] == ["slow", "quick", "broken", "endless"]
    assert [statuses(result.lines) for result in results[:3]] == ["ok failed", "ok", "ok failed"]
    assert results[0].lines[-1].what == "not done within 0.2 seconds"
    assert "a fault of its own" in results[2].lines[-1].what
    assert len(results[3].lines) == LINES_MAX
    assert sorted(ended) == [0, 1, 2, 3]
    assert ended[-1] == 0


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], Status.OK),
        ([Status.OK, Status.WARNING], Status.WARNING),
        ([Status.WARNING, Status.FAILED, Status.OK], Status.FAILED),
    ],
)
def test_the_worst_line_counts(lines: list[Status], status: Status) -> None:
    assert Result("kind", "name", [Line(each, "") for each in lines]).status is status
