"""`stampline dkim`: keys and records."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mta.authenticate.keys import PublicKey, read_key
from mta.cli import main
from mta.config.schema import DkimKey
from mta.config.signing_keys import private_key
from mta.relay.sign import Signer
from mta.relay.sign.record import key_record
from tests.unit.cli.installation import demonstration

NEW = ["dkim", "new", "--domain", "Example.com", "--selector", "s2026"]


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_new_key_works_with_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    file = tmp_path / "dkim.pem"
    assert main([*NEW, "--kind", kind, str(file)]) == 0
    printed = capsys.readouterr().out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (line,) = [line for line in printed.splitlines() if " IN TXT " in line]
    assert line.startswith("s2026._domainkey.example.com. IN TXT ")
    published = read_key("".join(re.findall('"([^"]*)"', line)).encode())
    assert isinstance(published, PublicKey)
    assert published.key == private_key(file.read_bytes()).public_key()
    (written,) = yaml.safe_load(re.findall(r"(?m)^    - domain.*\n(?:      .*\n)+", printed)[0])
    assert Signer.from_config([DkimKey.model_validate(written)]).domains == {"example.com"}
    assert ("signs" in written) is (kind == "ed25519")
    assert "PRIVATE" not in printed


def test_kinds_and_sizes(tmp_path: Path) -> None:
    assert main([*NEW, "--bits", "3072", "--json", str(tmp_path / "r.pem")]) == 0
    assert main([*NEW, "--kind", "ed25519", "--json", str(tmp_path / "e.pem")]) == 0
    key = private_key((tmp_path / "r.pem").read_bytes())
    assert isinstance(key, RSAPrivateKey)
    assert key.key_size == 3072
    assert isinstance(private_key((tmp_path / "e.pem").read_bytes()), Ed25519PrivateKey)


def test_a_key_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "dkim.pem"
    file.write_text("the key of yesterday's mail")
    assert main([*NEW, str(file)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert file.read_text() == "the key of yesterday's mail"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--domain", "example..com", "--selector", "s", "x.pem"], 2),
        (["--domain", "example.com", "--selector", "a b", "x.pem"], 2),
        (["--domain", "example.com", "--selector", "", "x.pem"], 2),
        (["--domain", "example.com", "--selector", "s", "no/such/folder/x.pem"], 1),
    ],
    ids=["domain", "selector", "no-selector", "folder"],
)
def test_what_no_key_is_made_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["dkim", "new", *arguments]) == code
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return demonstration(tmp_path)


def test_the_records_of_a_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dkim", "record", "--config", str(config), "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)["records"]
    pem = (config.parent.parent / "var" / "secrets" / "dkim-example.com.pem").read_bytes()
    assert record["record"] == key_record(private_key(pem))
    assert record["kind"] == "RSA, 2048 bits"
    assert main(["dkim", "record", "--config", str(config), "--domain", "EXAMPLE.com"]) == 0
    assert f"{record['name']}. IN TXT" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--domain", "example.org"], ["--selector", "other"]], ids=["domain", "selector"]
)
def test_keys_that_are_not_there(config: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dkim", "record", "--config", str(config), *arguments]) == 1
    assert "no such DKIM or ARC key" in capsys.readouterr().err


def test_a_key_file_that_is_gone_or_none(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pem = config.parent.parent / "var" / "secrets" / "dkim-example.com.pem"
    pem.write_text("no key")
    assert main(["dkim", "record", "--config", str(config)]) == 1
    assert "is not an unencrypted private key" in capsys.readouterr().err
    pem.unlink()
    assert main(["dkim", "record", "--config", str(config)]) == 1
    assert "can't be read: No such file" in capsys.readouterr().err
