"""Marks in mailboxes: what makes no sense is said so, with its place in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mta.config.schema import Configuration
from mta.config.writeback_checks import write_back_consistency, write_back_surroundings

SERVER = {"name": "mail", "kind": "maildir", "folder": "/mail/{local}"}
MODULE = {"name": "ticket", "staff_url": "https://desk.example.com/{id}"}
JANE = {"addresses": ["jane@example.com"]}


def configuration(
    write_back: dict[str, Any], sent_items: dict[str, Any] | None = None, module: dict[str, Any] | None = None
) -> Configuration:
    tracking = {"keys": [{"env": "KEY"}], "modules": [module or MODULE], "rules": "rules", "write_back": write_back}
    return Configuration.model_validate({
        "hostname": "relay.example.com",
        "listeners": [{"name": "in", "port": 25, "role": "inbound"}],
        "organisation": {
            "accepted_domains": ["example.com"], "rules": "rules", "templates": "templates",
            "directory": {"file": "people.yaml"}, "mark": {"keys": [{"file": "mark.key"}]},
            "sent_items": sent_items, "tracking": tracking,
        },
        "next_hops": [{"name": "out", "kind": "smtp", "hosts": [{"host": "mail.example.com"}]}],
        "routing": {"default": "out"}, "spool": {"folder": "spool"}, "logs": {"folder": "log"},
        "control": {"socket": "control.sock"},
    })  # fmt: skip


def said(write_back: dict[str, Any], **more: Any) -> list[str]:
    made = configuration({"servers": [SERVER], "audience": JANE, **write_back}, **more)
    return [
        f"{'.'.join(map(str, each.loc)).removeprefix('organisation.tracking.write_back').lstrip('.')}: {each.what}"
        for each in write_back_consistency(made)
    ]


def test_what_makes_sense_is_left_alone() -> None:
    assert said({}) == []
    assert said({"link_in_body": True, "link": True}) == []
    assert said({"servers": []}, sent_items={"servers": [SERVER]}) == []
    assert said({"category": "", "columns": "x", "columns_settings": {"a": 1}, "audience": {"groups": ["Desk"]}}) == []
    assert said({}, module={"name": "ticket"}) == []


@pytest.mark.parametrize(
    ("write_back", "expected"),
    [
        ({"servers": []}, ": nothing says where the mailboxes are"),
        ({"servers": [SERVER, SERVER]}, "two mailbox servers are called 'mail'"),
        ({"servers": [SERVER, {**SERVER, "name": "b"}]}, "'mail' already has all mailboxes that no other server has"),
        ({"audience": {}}, "audience: there is nobody in it"),
        ({"audience": {"addresses": ["Support"]}}, "audience.addresses.0: 'Support' is no address"),
        ({"category": "Filed, done"}, "category: a category has no comma, semicolon or line end"),
        ({"category": "x" * 256}, "category: a category has 255 characters at most"),
        ({"search_for": "8d"}, "search_for: an item is looked for for 7 days at most"),
        ({"category": "", "link": False}, ": it marks nothing"),
        ({"link": False, "link_in_body": True}, "link_in_body: there is no link to put there"),
        ({"columns_settings": {"a": 1}}, "columns_settings: there is no plug-in to be given them"),
    ],
)
def test_what_makes_no_sense_is_said(write_back: dict[str, Any], expected: str) -> None:
    assert expected in "\n".join(said(write_back))


@pytest.mark.parametrize("key", ["link", "link_in_body"])
def test_a_link_that_is_asked_for_needs_an_address(key: str) -> None:
    assert said({key: True}, module={"name": "ticket"}) == [f"{key}: no module says at which address its records are"]


def test_with_sent_items_these_say_where_mailboxes_are() -> None:
    assert said({}, sent_items={"servers": [{**SERVER, "name": "other"}]}) == [
        "servers: sent_items says already where this organisation's mailboxes are"
    ]


def test_files_and_secrets_of_its_servers_are_looked_at(tmp_path: Path) -> None:
    password = {"file": str(tmp_path / "none")}
    server = {"name": "mail", "kind": "imap", "host": "127.0.0.1", "user": "x", "password": password}
    made = configuration({"servers": [server], "audience": JANE})
    assert any(str(tmp_path / "none") in each.what for each in write_back_surroundings(made))
