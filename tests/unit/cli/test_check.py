"""`stampline check`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from mta.cli import main
from mta.cli.serve import validate
from tests.unit.cli.installation import demonstration
from tests.unit.relay.sign.signing import pem_of


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return demonstration(tmp_path)


def place(file: Path, text: str) -> str:
    """Line and column of the first `: TEXT` in a file."""
    before = file.read_text().partition(f": {text}")[0] + ": "
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def test_a_sound_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(config)]) == 0
    assert capsys.readouterr().out.startswith("ok: 16 rules, 9 templates, snapshot ")


def test_every_problem_at_its_place(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = config.parent.parent
    rules = root / "rules" / "20-signatures.yaml"
    rules.write_text(
        rules.read_text().replace("template: corporate", "template: corporat").replace("group: Everyone", "group: All")
    )
    config.write_text(config.read_text().replace("default: maildirs", "default: nowhere"))
    monkeypatch.chdir(root)
    assert main(["check", "--config", "conf/demo.yaml"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"conf/demo.yaml:{place(config, 'nowhere')}: no next hop is called 'nowhere' (known here: maildirs)",
        f"rules/20-signatures.yaml:{place(rules, 'corporat,')}: there is no template 'corporat' "
        "(did you mean 'corporate'?)",
        f"rules/20-signatures.yaml:{place(rules, 'All')}: the directory has no group 'All' "
        "(known here: everyone, management, partners, sales, sales engineers, support)",
        "3 problems",
    ]


def test_as_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    config.write_text("hostname: [\n")
    assert main(["check", "--config", str(config), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert [(problem["file"], problem["line"]) for problem in answer["problems"]] == [(str(config), 2)]


def test_a_configuration_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(tmp_path / "absent.yaml")]) == 2
    assert "cannot read: No such file or directory" in capsys.readouterr().out


def test_a_key_that_could_be_better(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pem = config.parent.parent / "var" / "secrets" / "dkim-example.com.pem"
    pem.write_bytes(pem_of(generate_private_key(65537, 1024)))
    assert main(["check", "--config", str(config)]) == 0
    assert "the key has 1024 bits, 2048 are usual now" in capsys.readouterr().out
    pem.write_bytes(pem_of(Ed25519PrivateKey.generate()))
    assert main(["check", "--config", str(config), "--json"]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert "has no RSA key; many servers can't verify Ed25519 yet" in warning["what"]


def test_a_notice_whose_template_is_gone_stops_no_mail(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = config.parent.parent / "rules" / "tracking" / "10-desk.yaml"
    shutil.rmtree(config.parent.parent / "templates" / "ticket-opened")
    assert main(["check", "--config", str(config)]) == 0
    said = capsys.readouterr().out
    assert f"10-desk.yaml:{place(rules, 'ticket-opened')}: there is no template" in said
    assert validate(config).rules  # what `serve` and `reload` go by


def test_listeners_that_let_more_in_than_is_usual(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = config.read_text()
    wide = "    allowed_networks: [8.0.0.0/14, 10.0.0.0/8]\n    proxy_networks: [10.0.0.0/16]\n"
    config.write_text(text.replace("    allowed_networks: [127.0.0.0/8]\n", wide, 1))
    assert main(["check", "--config", str(config)]) == 0
    said = capsys.readouterr().out
    assert "warning: " in said
    assert "8.0.0.0/14 are 262144 addresses of the internet, and each of them may relay" in said
    assert "everybody in 10.0.0.0/16 can say to be any client" in said
    assert "10.0.0.0/8 are" not in said


@pytest.mark.parametrize(("mode", "may"), [(0o640, ""), (0o644, "read"), (0o666, "write")])
def test_files_that_are_everybodys(config: Path, mode: int, may: str, capsys: pytest.CaptureFixture[str]) -> None:
    leaf = trustme.CA().issue_cert("mx.example.com")
    leaf.private_key_and_cert_chain_pem.write_to_path(config.parent / "all.pem")
    (config.parent / "all.pem").chmod(mode)
    tls = "    tls: {mode: required, certificate: all.pem, key: all.pem}\n"
    networks = "    allowed_networks: [127.0.0.0/8]\n"
    config.write_text(config.read_text().replace(networks, networks + tls, 1))
    assert main(["check", "--config", str(config)]) == 0
    said = capsys.readouterr().out
    assert (f"everybody on this machine may {may} " in said) is bool(may)
