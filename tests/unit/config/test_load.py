"""The configuration file: defaults, paths, and the annotated reference that has to keep up with the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import trustme
import yaml
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import BaseModel, TypeAdapter

from mta.config.delivery_schema import MaildirHop, SmtpHop
from mta.config.directory_schema import YamlDirectory
from mta.config.load import examine_configuration, load_configuration, validate
from mta.config.problems import ConfigurationError
from mta.config.schema import Configuration, DirectorySettings
from mta.config.yaml_values import parse_document
from tests.servers.plugins import install_example

CONF = Path(__file__).parents[3] / "conf"
REFERENCE = CONF / "stampline.yaml"


@pytest.fixture(scope="module")
def dkim_key() -> str:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, dkim_key: str, tmp_path: Path) -> None:
    """All that the reference names outside itself: secrets, and the plug-ins of the documentation."""
    install_example(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("STAMPLINE_DKIM_KEY", dkim_key)
    monkeypatch.setenv("STAMPLINE_MARK_KEY", "0123456789abcdef" * 4)
    monkeypatch.setenv("STAMPLINE_MAILBOX_PASSWORD", "a password")
    monkeypatch.setenv("STAMPLINE_GRAPH_SECRET", "a secret")
    monkeypatch.setenv("STAMPLINE_TRACKING_KEY", "fedcba9876543210" * 4)


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and all that it is made of."""
    yield model
    for field in model.model_fields.values():
        yield from inner_models(field.annotation)


def inner_models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        yield from models(annotation)
    for part in get_args(annotation):
        yield from inner_models(part)


def uncommented() -> bytes:
    """The reference with every key that it shows switched on."""
    return re.sub(r"(?m)^( *)#(?=[a-z_]+:)", r"\1", REFERENCE.read_text(encoding="utf-8")).encode()


def other_directories() -> list[str]:
    """The other kinds of `directory` that the reference shows as comments: the YAML of each."""
    text = REFERENCE.read_text(encoding="utf-8")
    blocks = re.findall(r"(?m)^  #   directory:\n((?:  #     .*\n)+)", text)
    return [re.sub(r"(?m)^  #     ", "", block) for block in blocks]


def test_the_other_directories_of_the_reference_fit_the_schema_and_show_the_real_defaults() -> None:
    adapter: TypeAdapter[DirectorySettings] = TypeAdapter(DirectorySettings)
    kinds = []
    for block in other_directories():
        plain = adapter.validate_python(parse_document(REFERENCE, block.encode()).value)
        everything = re.sub(r"(?m)^( *)#(?=[a-z_]+:)", r"\1", block)
        written = adapter.validate_python(parse_document(REFERENCE, everything.encode()).value)
        compare(written, plain, "", {"groups_file", "ca_file", "verify_name", "port"})
        kinds.append(plain.kind)
    assert kinds == ["csv", "ldap"]


def test_a_configuration_is_the_same_after_a_way_as_json() -> None:
    configuration = examine_configuration(REFERENCE)[0].value
    assert Configuration.model_validate(json.loads(json.dumps(configuration.model_dump(mode="json")))) == configuration


def test_the_reference_explains_every_key() -> None:
    text = uncommented().decode() + "".join(re.sub(r"(?m)^( *)#(?=[a-z_]+:)", r"\1", b) for b in other_directories())
    for model in set(models(Configuration)):
        for key in model.model_fields:
            assert re.search(rf"(?m)(^[ -]*|[{{,] ?){key}:", text), f"{model.__name__}.{key} is not in {REFERENCE.name}"


def test_every_key_of_the_reference_has_its_comment() -> None:
    lines = REFERENCE.read_text(encoding="utf-8").splitlines()
    optional = [line for line in lines if re.match(r" *#[a-z_]+:", line)]
    assert len(optional) > 30
    assert all(re.match(r" *(# |#[a-z_]+:|#$|[^#]*$)", line) for line in lines)


@pytest.mark.usefixtures("secrets")
def test_the_reference_loads() -> None:
    configuration = load_configuration(REFERENCE)
    assert configuration.organisation is not None
    assert configuration.organisation.accepted_domains == ("example.com",)


def test_the_reference_shows_the_real_defaults() -> None:
    written = validate(parse_document(REFERENCE, uncommented()), Configuration).value
    plain, _ = examine_configuration(REFERENCE)
    differing = {
        "certificate", "key", "ca_file", "verify_name", "expires_after", "auth",  # no default
        "accounts_file", "client_ca_file", "exchange_online", "messages", "messages_per_client",
        "recipients_per_client", "messages_per_sender", "token", "sender", "user", "password",
        "rules", "templates", "file", "folder", "socket",  # made absolute in one of them
    }  # fmt: skip
    compare(written, plain.value, "", differing)


def compare(one: Any, other: Any, name: str, differing: set[str]) -> None:
    """Whether two configurations say the same, but for keys whose values differ."""
    if name.rpartition(".")[2] in differing:
        return
    if isinstance(one, BaseModel):
        for field in type(one).model_fields:
            compare(getattr(one, field), getattr(other, field), f"{name}.{field}", differing)
    elif isinstance(one, tuple) and one and isinstance(one[0], BaseModel):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            compare(left, right, f"{name}.{number}", differing)
    else:
        assert one == other, name


def test_the_demonstration_fits_the_schema() -> None:
    located, problems = examine_configuration(CONF / "demo.yaml")
    assert {problem.what.partition(" ")[0] for problem in problems} <= {"cannot"}  # its secrets are made at the start
    assert [(listener.port, listener.role) for listener in located.value.listeners] == [
        (2525, "trusted"), (2526, "inbound"),
    ]  # fmt: skip


def test_paths_are_relative_to_the_file() -> None:
    configuration = examine_configuration(CONF / "demo.yaml")[0].value
    root = CONF.parent
    assert configuration.spool.folder == root / "var/spool"
    assert configuration.organisation is not None
    assert configuration.organisation.rules == root / "rules"
    assert isinstance(configuration.organisation.directory, YamlDirectory)
    assert configuration.organisation.directory.file == CONF / "people.yaml"
    assert configuration.organisation.dkim[0].key.file == root / "var/secrets/dkim-example.com.pem"
    hop = configuration.next_hops[0]
    assert isinstance(hop, MaildirHop)
    assert str(hop.folder) == f"{root}/var/maildirs/{{domain}}/{{local}}"


def minimal(folder: Path, **changes: Any) -> Path:
    """A small sound configuration in a folder, with top-level keys replaced."""
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "people.yaml").write_text("people: []\n")
    (folder / "mark.key").write_text("0123456789abcdef" * 4 + "\n")
    content: dict[str, Any] = {
        "hostname": "relay.example.com",
        "listeners": [{"name": "in", "port": 2526, "role": "inbound"}],
        "organisation": {
            "accepted_domains": ["example.com"], "rules": "rules", "templates": "templates",
            "directory": {"file": "people.yaml"}, "mark": {"keys": [{"file": "mark.key"}]},
        },
        "next_hops": [{"name": "out", "kind": "smtp", "hosts": [{"host": "mail.example.com"}]}],
        "routing": {"default": "out"}, "spool": {"folder": "spool"}, "logs": {"folder": "log"},
        "control": {"socket": "run/control.sock"},
        **changes,
    }  # fmt: skip
    path = folder / "stampline.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_defaults(tmp_path: Path) -> None:
    configuration = load_configuration(minimal(tmp_path))
    assert configuration.retry.expire_after == timedelta(days=2)
    hop = configuration.next_hops[0]
    assert isinstance(hop, SmtpHop)
    assert (hop.hosts[0].port, hop.tls.mode) == (25, "opportunistic")


def test_tls_files_that_belong_together_are_taken(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("relay.example.com")
    server.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    server.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    tls = {"mode": "required", "certificate": "cert.pem", "key": "key.pem"}
    listener = {"name": "in", "port": 2526, "role": "inbound", "tls": tls}
    assert load_configuration(minimal(tmp_path, listeners=[listener])).listeners[0].tls.key == tmp_path / "key.pem"
    authority.issue_cert("other.example.com").private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    with pytest.raises(ConfigurationError, match="certificate and key can't be used"):
        load_configuration(minimal(tmp_path, listeners=[listener]))


def test_short_and_foreign_dkim_keys_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ec.pem").write_bytes(trustme.CA().private_key_pem.bytes())
    path = minimal(tmp_path)
    content = yaml.safe_load(path.read_text())
    content["organisation"]["dkim"] = [{"domain": "example.com", "selector": "s", "key": {"file": "ec.pem"}}]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigurationError, match="neither an RSA nor an Ed25519 key"):
        load_configuration(path)


def test_the_example_for_exchange_online_fits_the_schema() -> None:
    located, problems = examine_configuration(CONF / "exchange-online.yaml")
    assert {problem.what.partition(" /")[0] for problem in problems} == {"cannot read"}  # its files are the reader's
    assert [listener.peer for listener in located.value.listeners] == ["exchange-online"]
