"""`stampline sentitems grant --script`: what it prints for which configuration, and that values stay values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mta.cli import main
from tests.unit.cli.powershell_reader import tokens

ROOT = Path(__file__).parents[3]
EWS: dict[str, Any] = {"name": "exchange", "kind": "ews", "url": "https://mail.example.com/EWS/Exchange.asmx"}
SECRET = {"env": "STAMPLINE_SECRET"}
EWS |= {"user": "EXAMPLE\\stampline", "password": SECRET}
OAUTH = {"tenant": "example.onmicrosoft.com", "client_id": "89abcdef-0123", "client_secret": SECRET}
GRAPH: dict[str, Any] = {"name": "online", "kind": "graph", "oauth": OAUTH}


def printed(
    folder: Path, capsys: pytest.CaptureFixture[str], servers: list[dict[str, Any]], *arguments: str, **sent_items: Any
) -> tuple[int, str]:
    """Exit status and what was printed, on either stream."""
    configuration = yaml.safe_load((ROOT / "conf" / "stampline.yaml").read_text(encoding="utf-8"))
    del configuration["organisation"]["tracking"]["write_back"]
    configuration["organisation"]["sent_items"] = {"servers": servers, **sent_items}
    return _printed(folder, capsys, configuration, *arguments)


def _printed(
    folder: Path, capsys: pytest.CaptureFixture[str], configuration: dict[str, Any], *arguments: str
) -> tuple[int, str]:
    path = folder / "stampline.yaml"
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    status = main(["sentitems", "grant", "--script", "--config", str(path), *arguments])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def test_the_audience_of_marks_is_granted_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = yaml.safe_load((ROOT / "conf" / "stampline.yaml").read_text(encoding="utf-8"))
    organisation = configuration["organisation"]
    organisation["sent_items"] = {"servers": [EWS], "senders": {"only": {"groups": ["Sales"]}}}
    organisation["tracking"]["write_back"] = {"audience": {"addresses": ["desk@example.com"], "groups": ["Support"]}}
    _, both = _printed(tmp_path, capsys, configuration)
    assert "@('Sales', 'Support')" in both
    assert "desk@example.com" in both
    organisation["sent_items"]["senders"] = {}
    _, everybody = _printed(tmp_path, capsys, configuration)
    assert "Support" not in everybody
    del organisation["sent_items"]
    organisation["tracking"]["write_back"]["servers"] = [EWS]
    status, marks = _printed(tmp_path, capsys, configuration)
    assert status == 0
    assert "@('Support')" in marks
    assert "Sales" not in marks


def test_exchange_on_premises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    senders = {"only": {"addresses": ["*@sales.example.com", "ann@example.com"], "groups": ["Sales"]}}
    status, script = printed(tmp_path, capsys, [EWS], senders=senders)
    assert status == 0
    assert "$account = 'EXAMPLE\\stampline'" in script
    assert "''*@sales.example.com''" in script
    assert "@('Sales')" in script
    assert "-Role ApplicationImpersonation -User $account `\n        -CustomRecipientWriteScope $name" in script
    assert "ThrottlingPolicy" not in script
    assert "SECRET" not in script


@pytest.mark.parametrize("server", ["exchange", "online"])
def test_the_annotated_reference_can_be_granted_as_it_is(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    reference = ROOT / "conf" / "stampline.yaml"
    assert main(["sentitems", "grant", "--script", "--server", server, "--config", str(reference)]) == 0
    assert "Management" in capsys.readouterr().out


def test_every_change_hears_what_if_or_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for servers in ([EWS | {"connections": 40}], [EWS | {"impersonate": False}], [GRAPH]):
        _, script = printed(tmp_path, capsys, servers)
        words = [text for kind, text in tokens(script) if kind == "word"]
        assert [word for word in words if word in ("Invoke-Expression", "iex", "Remove-Mailbox")] == []
        for line in script.replace("`\n", "").splitlines():
            if line.strip().startswith(("New-", "Set-", "Add-")) and "New-ManagementRoleAssignment" not in line:
                assert "-WhatIf:$WhatIf" in line, line


def test_many_connections_need_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, script = printed(tmp_path, capsys, [EWS | {"connections": 40}])
    assert "New-ThrottlingPolicy -Name $policy -ThrottlingPolicyScope Regular -EwsMaxConcurrency 43" in script


def test_full_access_instead_of_impersonation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, script = printed(tmp_path, capsys, [EWS | {"impersonate": False}])
    assert "Add-MailboxPermission" in script
    assert "ApplicationImpersonation" not in script


def test_a_ticket_says_no_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kerberos = {name: value for name, value in EWS.items() if name not in ("user", "password")} | {
        "sign_in": "kerberos"
    }
    status, text = printed(tmp_path, capsys, [kerberos])
    assert (status, "--account" in text) == (1, True)
    status, script = printed(tmp_path, capsys, [kerberos], "--account", "EXAMPLE\\svc$")
    assert (status, "$account = 'EXAMPLE\\svc$'" in script) == (0, True)


@pytest.mark.parametrize(
    ("server", "role", "is_ews"),
    [
        pytest.param(GRAPH, "Application Mail.ReadWrite", False, id="graph"),
        pytest.param(
            {"name": "old", "kind": "ews", "url": EWS["url"], "sign_in": "oauth", "oauth": OAUTH},
            "Application EWS.AccessAsApp", True, id="ews",
        ),
    ],
)  # fmt: skip
def test_exchange_online(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: dict[str, Any], role: str, is_ews: bool
) -> None:
    status, script = printed(tmp_path, capsys, [server], senders={"only": {"groups": ["Sales"]}})
    assert status == 0
    assert f"$roles = @('{role}')" in script
    assert (
        "New-ManagementRoleAssignment -Name $assignment -App $objectId -Role $role -CustomResourceScope $name" in script
    )
    assert "Test-ServicePrincipalAuthorization" in script
    assert ("EwsAllowedAppIDs" in script) is is_ews
    assert "SECRET" not in script


def test_national_clouds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, script = printed(tmp_path, capsys, [GRAPH | {"oauth": OAUTH | {"cloud": "china"}}])
    assert "-ExchangeEnvironmentName O365China" in script
    assert "Connect-MgGraph -Environment China" in script


def test_those_left_out_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, script = printed(tmp_path, capsys, [EWS], senders={"all_but": {"groups": ["Management"]}})
    assert "' -and -not ('" in script
    _, script = printed(tmp_path, capsys, [EWS], senders={"only": {"groups": ["Management"]}})
    assert "' -and ('" in script
    assert "-not (' +" not in script


def test_hostile_names_stay_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def shape(name: str) -> list[tuple[str, str]]:
        servers = [EWS | {"user": name}]
        _, script = printed(tmp_path, capsys, servers, senders={"only": {"groups": [name, "x"]}})
        return [(kind, "" if kind == "single" else text) for kind, text in tokens(script)]

    plain = shape("Sales")
    for name in ("'; Remove-Mailbox *; '", "$(Remove-Mailbox *)", '"; x; "', "@('a')", "`; x", "#>; x"):
        assert shape(name) == plain
    words = [text for kind, text in shape("a’; Remove-Mailbox *; ’") if kind == "word"]
    assert "Remove-Mailbox" not in words


@pytest.mark.parametrize(
    ("server", "senders", "why"),
    [
        pytest.param(
            GRAPH, {"only": {"addresses": ["*@example.com"]}}, "'\\*@example.com' begins with \\*", id="cloud-wildcard"
        ),
        pytest.param(EWS, {"only": {"groups": ["a\nRemove-Mailbox"]}}, "control character", id="line-end"),
        pytest.param(EWS, {"only": {"addresses": ["$(x)@example.com"]}}, "filter can't", id="expansion"),
    ],
)
def test_what_can_not_be_said_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: dict[str, Any], senders: Any, why: str
) -> None:
    status, text = printed(tmp_path, capsys, [server], senders=senders)
    assert status != 0
    assert re.search(why, text), text
    assert "New-Management" not in text


def test_servers_are_chosen_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"name": "files", "kind": "maildir", "folder": "/srv/mail/{domain}/{local}", "serves": {"groups": ["x"]}}
    both = [EWS, GRAPH | {"serves": {"target_domains": ["example.mail.onmicrosoft.com"]}}, files]
    status, text = printed(tmp_path, capsys, both)
    assert (status, "exchange, online with --server" in text) == (2, True)
    status, text = printed(tmp_path, capsys, both, "--server", "onlin")
    assert (status, "online" in text) == (2, True)
    assert printed(tmp_path, capsys, both, "--server", "online")[0] == 0
    status, text = printed(tmp_path, capsys, both, "--server", "files")
    assert (status, "nothing is to be granted" in text) == (1, True)
