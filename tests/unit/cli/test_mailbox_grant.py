"""`stampline mailbox grant --script`: what it prints for which monitored mailbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mta.cli import main
from tests.unit.cli.powershell_reader import tokens

ROOT = Path(__file__).parents[3]
SECRET = {"env": "STAMPLINE_SECRET"}
OAUTH = {"tenant": "example.onmicrosoft.com", "client_id": "89abcdef-0123", "client_secret": SECRET}
EWS: dict[str, Any] = {
    "name": "desk", "kind": "ews", "address": "desk@example.com", "url": "https://mail.example.com/EWS/Exchange.asmx",
    "user": "EXAMPLE\\stampline", "password": SECRET,
}  # fmt: skip
GRAPH: dict[str, Any] = {"name": "desk", "kind": "graph", "address": "desk@example.com", "oauth": OAUTH}


def printed(
    folder: Path, capsys: pytest.CaptureFixture[str], mailbox: dict[str, Any], *arguments: str, **tracking: Any
) -> tuple[int, str]:
    """Exit status and what was printed, on either stream."""
    configuration = yaml.safe_load((ROOT / "conf" / "stampline.yaml").read_text(encoding="utf-8"))
    configuration["organisation"]["tracking"] |= {"mailboxes": [mailbox], "accounts": [], "digests": [], **tracking}
    configuration["organisation"]["tracking"]["trouble"] = {}
    path = folder / "stampline.yaml"
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    status = main(["mailbox", "grant", "desk", "--script", "--config", str(path), *arguments])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def test_an_app_gets_the_one_mailbox_and_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, script = printed(tmp_path, capsys, GRAPH)
    assert status == 0
    assert "$roles = @('Application Mail.ReadWrite')" in script
    assert "@('EmailAddresses -eq ''smtp:desk@example.com''')" in script
    assert "stampline mailbox test desk" in script
    assert "SECRET" not in script


@pytest.mark.parametrize("sender", ["Desk@example.com", "other@example.com"])
def test_the_right_to_send_goes_along_where_notices_come_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sender: str
) -> None:
    account = {"name": "cloud", "kind": "graph", "senders": [sender], "oauth": OAUTH}
    _, script = printed(tmp_path, capsys, GRAPH, accounts=[account], allowed_senders=[sender])
    assert ("'Application Mail.ReadWrite', 'Application Mail.Send'" in script) == (sender == "Desk@example.com")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"shared_mailbox": "cases@example.com"}, "-AccessRights FullAccess"),
        ({"impersonate": True}, "-Role ApplicationImpersonation -User $account"),
        ({"sign_in": "oauth", "oauth": OAUTH, "user": "", "password": None}, "@('Application EWS.AccessAsApp')"),
    ],
)
def test_exchange_gives_what_the_way_in_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: dict[str, Any], expected: str
) -> None:
    status, script = printed(tmp_path, capsys, EWS | more)
    assert (status, expected in script) == (0, True), script
    assert f"smtp:{more.get('shared_mailbox', 'desk@example.com')}" in script
    assert "ThrottlingPolicy" not in script


def test_every_line_is_read_as_powershell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = {"name": "cloud", "kind": "graph", "senders": ["desk@example.com"], "oauth": OAUTH}
    for mailbox in (GRAPH, EWS | {"impersonate": True}, EWS | {"shared_mailbox": "o'hara@example.com"}):
        _, script = printed(tmp_path, capsys, mailbox, accounts=[account])
        assert script.isascii()
        assert "Invoke-Expression" not in [text for kind, text in tokens(script) if kind == "word"]


@pytest.mark.parametrize(
    ("mailbox", "expected"),
    [
        (EWS, "nothing is to be granted"),
        ({"name": "desk", "kind": "maildir", "address": "desk@example.com", "path": "/var/mail"}, "nothing"),
        (
            {"name": "desk", "kind": "imap", "address": "desk@example.com", "host": "imap.example.com",
             "password": SECRET},
            "see the server's manual",
        ),
        (EWS | {"shared_mailbox": 'a"b@example.com'}, "recipient filter"),
    ],
)  # fmt: skip
def test_where_there_is_nothing_to_print(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mailbox: dict[str, Any], expected: str
) -> None:
    status, said = printed(tmp_path, capsys, mailbox)
    assert (status, expected in said) == (1, True), said
