"""What we sign, as opendkim, rspamd, Mail::DKIM and dkimpy verify it: messages that are hard to sign, and real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.dns import DnsServer, dns_server
from tests.servers.mail_dkim import mail_dkim_says
from tests.servers.opendkim import opendkim_says
from tests.shared import as_smtp, corpus
from tests.unit.relay.sign.signing import ED25519, HARD, RSA, Keys, signed


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def dns(keys: Keys) -> Iterator[DnsServer]:
    with dns_server({name: [("TXT", record)] for name, record in keys.records.items()}) as server:
        yield server


@pytest.mark.parametrize("content", HARD.values(), ids=HARD)
async def test_dkimpy_and_we_verify(keys: Keys, content: bytes) -> None:
    assert keys.dkimpy_verifies(signed(keys.signer(), content))
    verdicts = await keys.our_verdicts(signed(keys.both(), content))
    assert (verdicts[RSA], verdicts[ED25519]) == ("pass", "pass")


@pytest.mark.server
@pytest.mark.usefixtures("needs_opendkim")
@pytest.mark.parametrize("kind", [RSA, ED25519])
def test_opendkim_verifies(keys: Keys, tmp_path: Path, kind: str) -> None:
    # It reads files as SMTP would carry them: with a line end at their end.
    contents = {name: as_smtp(signed(keys.signer(kind), content)) for name, content in HARD.items()}
    contents["changed"] = contents["folded"].replace(b"three", b"there")
    verdicts = {name: opendkim_says(tmp_path, content, _zone(keys)) for name, content in contents.items()}
    failed = {name for name, verdict in verdicts.items() if "succeeded" not in verdict}
    assert failed == {"changed"}, verdicts


@pytest.mark.server
@pytest.mark.timeout(300)  # it takes long to start
def test_rspamd_verifies(keys: Keys, rspamd_judge: tuple[Callable[[bytes], set[str]], DnsServer]) -> None:
    # It takes a body of nothing but white lines for one empty line, though by RFC 6376 §3.4.4 nothing is left of it;
    # and of fields that a message may have but once, such as Cc, it sees one only.
    names = HARD.keys() - {"white-lines-only", "repeated"}
    judge, dns = rspamd_judge
    dns.records |= {name: [("TXT", record)] for name, record in keys.records.items()}
    for kind in (RSA, ED25519):
        for name in sorted(names):
            assert "R_DKIM_ALLOW" in judge(signed(keys.signer(kind), HARD[name])), (kind, name)
        changed = signed(keys.signer(kind), HARD["folded"]).replace(b"three", b"there")
        assert "R_DKIM_REJECT" in judge(changed)


@pytest.mark.server
@pytest.mark.usefixtures("needs_mail_dkim")
@pytest.mark.parametrize("name", ["no-body", "white-lines-only", "folded", "eight-bit", "repeated", "long-line"])
def test_mail_dkim_verifies(keys: Keys, dns: DnsServer, name: str) -> None:
    assert mail_dkim_says("dkim", signed(keys.signer(), HARD[name]), dns.address) == "pass"


@pytest.mark.server
@pytest.mark.corpus
@pytest.mark.usefixtures("needs_opendkim")
def test_opendkim_verifies_real_messages(keys: Keys, tmp_path: Path) -> None:
    signer, verdicts = keys.signer(), {}
    for each in corpus()[::12]:
        verdict = opendkim_says(tmp_path, signed(signer, each.data), _zone(keys))
        # Without a plain From, or with lines in the header that are none, it does not look at signatures.
        if verdict.strip() and "not signed" not in verdict and "malformed" not in verdict:
            verdicts[each.path] = verdict
    assert len(verdicts) > 100
    assert {path: verdict for path, verdict in verdicts.items() if "succeeded" not in verdict} == {}


def _zone(keys: Keys) -> dict[bytes, bytes]:
    return {f"{name}.".encode(): record.encode() for name, record in keys.records.items()}
