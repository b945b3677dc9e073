"""What a listener asks of a message's header before anything of it is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mta.config.load import examine_configuration
from mta.config.schema import Configuration
from mta.message.parse import Message, parse
from mta.model.envelope import Client, ListenerRole
from mta.relay.admission import ADMISSION_CHANGED, NOT_OUR_TENANT, NOT_YOUR_AUTHOR, judge_header
from tests.servers.relay import Relay

TENANT = "01234567-89ab-cdef-0123-456789abcdef"
ONLINE = Client(
    "127.0.0.1", 1, "mail.outlook.example", "online", ListenerRole.TRUSTED, "TLSv1.3 X",
    certificate="mail.protection.outlook.com", peer="exchange-online", admitted_as="microsoft",
)  # fmt: skip
DEVICE = Client("127.0.0.1", 1, "scanner", "devices", ListenerRole.TRUSTED, admitted_as="scanners")
MESSAGE = b"From: scanner@example.com\r\nX-MS-Exchange-CrossTenant-Id: %b\r\n\r\nHello\r\n"


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    folder: Path = tmp_path_factory.mktemp("admission")
    local: dict[str, Any] = {"address": "127.0.0.1", "port": 0, "role": "trusted", "allowed_networks": ["127.0.0.1"]}
    online = {
        "name": "online", "peer": "exchange-online", "exchange_online": {"tenant_id": TENANT}, **local,
        "clients": [{"name": "microsoft", "certificates": ["mail.protection.outlook.com"]}],
    }  # fmt: skip
    devices = {
        "name": "devices", **local, "clients": [
            {"name": "scanners", "networks": ["127.0.0.1"], "senders": ["example.com"]},
            {"name": "trusted", "networks": ["127.0.0.2"]},
        ],
    }  # fmt: skip
    relay = Relay(folder / "relay", 1, listeners=[online, devices, {"name": "plain", **local}])
    return examine_configuration(relay.configuration)[0].value


def message(tenant: str = TENANT, sender: str = "scanner@example.com") -> Message:
    return parse((MESSAGE % tenant.encode()).replace(b"scanner@example.com", sender.encode()))


def test_our_tenant_with_the_certificate_passes(configuration: Configuration) -> None:
    assert judge_header(configuration, ONLINE, message(), "Q1") is None


def test_anything_less_is_refused(configuration: Configuration) -> None:
    for client, each in (
        (replace(ONLINE, certificate=""), message()),
        (ONLINE, message("ffffffff-89ab-cdef-0123-456789abcdef")),
        (ONLINE, message("")),
        (ONLINE, None),  # over the limits, and not looked into
    ):
        assert judge_header(configuration, client, each, "Q1") == NOT_OUR_TENANT


@pytest.mark.parametrize(
    "other",
    [
        b"X-MS-Exchange-CrossTenant-Id: ffffffff-89ab-cdef-0123-456789abcdef\r\n",
        b"x-ms-exchange-crosstenant-id : ffffffff-89ab-cdef-0123-456789abcdef\r\n",
        b"X-MS-Exchange-CrossTenant-Id:\r\n",
        b"X-MS-Exchange-CrossTenant-Id\r\n : ffffffff-89ab-cdef-0123-456789abcdef\r\n",
        b"\xef\xbb\xbfX-MS-Exchange-CrossTenant-Id: ffffffff-89ab-cdef-0123-456789abcdef\r\nX-Last: 1\r\n",
        b"--line\r\nX-MS-Exchange-CrossTenant-Id: ffffffff-89ab-cdef-0123-456789abcdef\r\n",
    ],
)
def test_a_second_tenant_is_found_wherever_a_reader_may_find_it(configuration: Configuration, other: bytes) -> None:
    ours = b"X-MS-Exchange-CrossTenant-Id: " + TENANT.encode() + b"\r\n"
    for header in (ours + other, *([other + ours] if not other.startswith(b"-") else [])):
        twofold = parse(b"From: a@example.com\r\n" + header + b"\r\nHello\r\n")
        assert judge_header(configuration, ONLINE, twofold, "Q1") == NOT_OUR_TENANT


@pytest.mark.parametrize(
    "tenant",
    [
        TENANT + ".", f"{{{TENANT}}}", f"({TENANT})", f"{TENANT},{TENANT}", f"{TENANT};x", f'"{TENANT}"',
        f"=?us-ascii?q?{TENANT}?=", TENANT.replace("-", ""), "\ufeff" + TENANT, f"{TENANT[:8]}\r\n {TENANT[8:]}",
    ],
)  # fmt: skip
def test_what_is_merely_like_our_tenant_is_another(configuration: Configuration, tenant: str) -> None:
    assert judge_header(configuration, ONLINE, message(tenant), "Q1") == NOT_OUR_TENANT


def test_our_tenant_in_an_attached_message_is_none(configuration: Configuration) -> None:
    attached = b"From: a@example.com\r\nContent-Type: message/rfc822\r\n\r\n" + MESSAGE % TENANT.encode()
    assert judge_header(configuration, ONLINE, parse(attached), "Q1") == NOT_OUR_TENANT


def test_authors_are_judged_by_what_the_client_was_admitted_as(configuration: Configuration) -> None:
    assert judge_header(configuration, DEVICE, message(), "Q1") is None
    assert judge_header(configuration, DEVICE, message(sender="boss@evil.example"), "Q1") == NOT_YOUR_AUTHOR
    assert judge_header(configuration, DEVICE, None, "Q1") == NOT_YOUR_AUTHOR
    trusted = replace(DEVICE, admitted_as="trusted")
    assert judge_header(configuration, trusted, message(sender="boss@evil.example"), "Q1") is None


def test_who_was_admitted_under_another_configuration_comes_back_later(configuration: Configuration) -> None:
    for name in ("", "gone"):
        assert judge_header(configuration, replace(DEVICE, admitted_as=name), message(), "Q1") == ADMISSION_CHANGED


def test_a_listener_that_asks_nothing_looks_at_nothing(configuration: Configuration) -> None:
    plain = replace(DEVICE, listener="plain", admitted_as="")
    assert judge_header(configuration, plain, None, "Q1") is None
