"""What DNS may hold under a key's name, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mta.config.signing_keys import private_key
from mta.config.types import Secret
from mta.probe.probe import Line, Status
from mta.probe.published_keys import PublishedKeyProbe
from mta.relay.sign.record import key_record, zone_line
from tests.unit.authenticate.zones import TIMEOUT, Zones
from tests.unit.relay.sign.signing import ED25519, RSA, Keys

NAME = "rsa._domainkey.example.com"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def record(keys: Keys) -> str:
    return key_record(private_key(keys.path(RSA).read_bytes()))


async def lines_of(keys: Keys, zone: Any, kind: str = RSA) -> list[Line]:
    lines: list[Line] = []
    zones = Zones({f"{kind}._domainkey.example.com": zone} if zone is not None else {})
    await PublishedKeyProbe(("DKIM", "ARC"), keys.settings(kind), zones).run(lines.append)
    return lines


@pytest.mark.parametrize("kind", [RSA, ED25519])
async def test_the_key_that_signs(keys: Keys, kind: str) -> None:
    published = keys.records[f"{kind}._domainkey.example.com"]
    lines = await lines_of(keys, [("TXT", published)], kind)
    assert lines == [Line(Status.OK, "the published key is the one that signs (DKIM, ARC)")]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.replace("k=rsa; ", ""),
        lambda record: record.replace("v=DKIM1; ", ""),
        lambda record: record + "; h=sha1:sha256; s=email; t=s; n=a note",
        lambda record: record.replace("p=", "p= ").replace("A", " A"),
    ],
    ids=["no-kind", "no-version", "flags", "white-space"],
)
async def test_other_ways_to_write_it(keys: Keys, record: str, change: Any) -> None:
    assert [line.status for line in await lines_of(keys, [("TXT", change(record))])] == [Status.OK]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda record: record.partition("p=")[0] + "p=", "p= is empty, which revokes the key"),
        (lambda record: record + "; h=sha1", "h= leaves out sha256"),
        (lambda record: record + "; s=other", "s= leaves out email"),
        (lambda record: record.replace("k=rsa", "k=ed25519"), "key can't be read (k=ed25519)"),
        (lambda record: record.replace("k=rsa", "k=dsa"), "key is of an unknown kind (k=dsa)"),
        (lambda record: record[:-100], "key can't be read (k=rsa)"),
        (lambda record: "some text", "it is no list of tag=value;"),
        (lambda record: record.replace("DKIM1", "DKIM2"), "key record is of another version"),
        (lambda record: "v=DKIM1; k=rsa", "key record has no key"),
    ],
    ids=["revoked", "sha1", "not-email", "kind", "unknown-kind", "cut", "text", "version", "empty"],
)
async def test_records_of_no_use(keys: Keys, record: str, change: Any, what: str) -> None:
    (line,) = await lines_of(keys, [("TXT", change(record))])
    assert (line.status, line.what) == (Status.FAILED, f"the record is of no use: {what}")
    assert line.mend == f"publish: {zone_line(NAME, record)}"


async def test_another_key(keys: Keys, record: str, tmp_path: Path) -> None:
    other = Keys(tmp_path).records[NAME]
    (line,) = await lines_of(keys, [("TXT", other)])
    assert line.status is Status.FAILED
    assert line.what.startswith("another key is published")
    assert line.mend == f"publish: {zone_line(NAME, record)}"


@pytest.mark.parametrize(
    ("zone", "what"),
    [
        (None, "there is no such name in DNS"),
        ([("A", "192.0.2.1")], "there is no TXT record"),
        (TIMEOUT, "DNS does not answer"),
    ],
    ids=["no-name", "no-record", "silence"],
)
async def test_nothing_there(keys: Keys, zone: Any, what: str) -> None:
    (line,) = await lines_of(keys, zone)
    assert line.status is Status.FAILED
    assert line.what.startswith(what)


async def test_a_domain_that_tests_only(keys: Keys, record: str) -> None:
    lines = await lines_of(keys, [("TXT", record + "; t=y:s")])
    assert [line.status for line in lines] == [Status.OK, Status.WARNING]


async def test_several_records(keys: Keys, record: str) -> None:
    lines = await lines_of(keys, [("TXT", "v=spf1 -all"), ("TXT", record)])
    assert [line.status for line in lines] == [Status.WARNING, Status.OK]
    assert "there are 2 TXT records" in lines[0].what


async def test_a_private_key_that_is_gone(keys: Keys, record: str, tmp_path: Path) -> None:
    lines: list[Line] = []
    settings = keys.settings(key=Secret(file=tmp_path / "gone.pem"))
    await PublishedKeyProbe(("DKIM",), settings, Zones({NAME: [("TXT", record)]})).run(lines.append)
    assert [line.status for line in lines] == [Status.FAILED]
