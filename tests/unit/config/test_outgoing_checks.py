"""Outgoing accounts and sinks that make no sense are said so, each for its own reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mta.config.outgoing_checks import outgoing_consistency, outgoing_surroundings, own_addresses
from mta.config.tracking_schema import TrackingSettings

SMTP = {"name": "post", "kind": "smtp", "host": "mail.example.com", "senders": ["desk@example.com"]}
HOOK = {"name": "desk", "kind": "webhook", "url": "https://desk.example.com/", "key": {"env": "KEY"}}
OAUTH = {"tenant": "example.com", "client_id": "1", "client_secret": {"env": "KEY"}}
PASSWORD = {"user": "desk", "password": {"env": "KEY"}}


def settings(**more: Any) -> TrackingSettings:
    base = {
        "keys": [{"env": "KEY"}],
        "modules": [{"name": "ticket"}],
        "rules": "rules",
        "mailboxes": [{"name": "desk", "kind": "maildir", "address": "Desk@example.com", "path": "/srv/desk"}],
    }
    return TrackingSettings.model_validate({**base, **more})


def said(**more: Any) -> list[str]:
    return [f"{'.'.join(map(str, each.loc))}: {each.what}" for each in outgoing_consistency((), settings(**more))]


def test_addresses_that_are_nobody_s() -> None:
    own = own_addresses(settings(processing_mailbox="Desk+copies@example.org", allowed_senders=["It+x@example.com"]))
    assert own == {"desk@example.com", "desk@example.org", "it+x@example.com"}
    assert own_addresses(settings()) == {"desk@example.com"}


def test_what_makes_sense_is_left_alone() -> None:
    graph = {"name": "cloud", "kind": "graph", "oauth": OAUTH, "senders": ["info@example.com", "desk@example.com"]}
    token = {"token_url": "https://oauth.example.com/token", "client_id": "1", "refresh_token": {"env": "KEY"}}
    accounts = [
        SMTP, {**SMTP, **PASSWORD, "name": "b"}, {**SMTP, "name": "c", "user": "desk", "oauth": OAUTH}, graph,
        {**SMTP, "name": "d", "user": "desk", "oauth": token}, {**SMTP, "name": "e", "tls": {"mode": "none"}},
        {**SMTP, **PASSWORD, "name": "f", "tls": {"mode": "none"}, "host": "127.0.0.1"},
    ]  # fmt: skip
    local = {**HOOK, "name": "local", "url": "http://localhost:8080/x"}
    assert said(accounts=accounts, sinks=[HOOK, local], allowed_senders=["info@example.com"]) == []


@pytest.mark.parametrize(
    ("account", "where", "what"),
    [
        ({"senders": ["boss@example.com"]}, "senders.0", "boss@example.com is no monitored mailbox's address"),
        ({"senders": ["desk"]}, "senders.0", "'desk' is no address"),
        ({"port": 0}, "port", "no server listens on port 0"),
        ({"user": "desk"}, "user", "AUTH needs a user and a password or oauth"),
        ({"password": {"env": "KEY"}}, "user", "AUTH needs a user and a password or oauth"),
        ({**PASSWORD, "oauth": OAUTH}, "oauth", "an account signs in by password or by token"),
        ({**PASSWORD, "tls": {"mode": "none"}}, "tls.mode", "the password would go to mail.example.com in clear text"),
        ({"tls": {"mode": "none", "verify_name": "x"}}, "tls.verify_name", "verify_name means nothing without TLS"),
        ({"tls": {"ca_file": "/x", "verify": False}}, "tls.ca_file", "with verify: false nobody looks at it"),
        ({"user": "x", "oauth": {"token_url": "http://x/", "client_id": "1"}}, "oauth", "is no https address"),
    ],
)
def test_accounts_that_make_no_sense(account: dict[str, Any], where: str, what: str) -> None:
    (finding,) = said(accounts=[{**SMTP, **account}])
    assert finding.startswith(f"accounts.0.{where}: ")
    assert what in finding


@pytest.mark.parametrize(
    "url",
    [
        "http://desk.example.com/", "ftp://desk.example.com/", "desk.example.com", "https://", "https://x:0/", "",
        "https://x:99999/", "https://[::1/", "file:///etc/passwd", "https://desk.example.com/a b", "https://x/\n",
    ],
)  # fmt: skip
def test_webhooks_that_cannot_be_called(url: str) -> None:
    (finding,) = said(sinks=[{**HOOK, "url": url}])
    assert "is neither https nor http on this machine" in finding


def test_a_user_in_a_webhooks_url_is_refused_and_not_shown() -> None:
    (finding,) = said(sinks=[{**HOOK, "url": "https://jane:secret@desk.example.com/"}])
    assert finding == "sinks.0.url: it names a user or a password"


def test_names_are_given_once() -> None:
    assert said(accounts=[SMTP, SMTP], sinks=[HOOK, HOOK]) == [
        "accounts.1.name: two accounts are called 'post'",
        "sinks.1.name: two sinks are called 'desk'",
    ]


def test_an_account_has_a_sender() -> None:
    with pytest.raises(ValidationError):
        settings(accounts=[{**SMTP, "senders": []}])


def test_secrets_files_and_plugins_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEY", raising=False)
    monkeypatch.setenv("SHORT", "short")
    monkeypatch.setenv("EMPTY", "")
    missing = str(tmp_path / "missing.pem")
    made = settings(
        accounts=[
            {**SMTP, **PASSWORD, "tls": {"ca_file": missing}},
            {**SMTP, "name": "b", "user": "x", "password": {"env": "EMPTY"}},
            {**SMTP, "name": "c", "user": "x", "oauth": OAUTH},
        ],
        sinks=[
            HOOK,
            {**HOOK, "name": "b", "key": {"env": "SHORT"}},
            {"name": "c", "kind": "plugin", "plugin": "nobody-has-this"},
        ],
        write_back={"audience": {"addresses": ["*"]}, "columns": "nobody-has-this"},
    )
    found = {".".join(map(str, each.loc)): each.what for each in outgoing_surroundings((), made)}
    assert found == {
        "accounts.0.tls.ca_file": f"cannot read {missing}: No such file or directory",
        "accounts.0.password": "environment variable KEY is not set",
        "accounts.1.password": "the secret is empty",
        "accounts.2.oauth.client_secret": "environment variable KEY is not set",
        "sinks.0.key": "environment variable KEY is not set",
        "sinks.1.key": "a key of 5 octets can be guessed",
        "sinks.2.plugin": "there is no plug-in 'nobody-has-this' in the group stampline.sinks",
        "write_back.columns": "there is no plug-in 'nobody-has-this' in the group stampline.columns",
    }
