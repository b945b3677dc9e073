"""What a session may do after the listener's configuration, accounts or certificates have changed under it."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from argon2 import PasswordHasher

from mta.config.accounts_file import Account
from mta.model.envelope import ListenerRole
from mta.relay.receive import server_context
from tests.e2e.receive.running import Running, listener_configuration, running

OURS = ("127.0.0.0/8",)
OTHERS = ("192.0.2.0/24",)
STAFF = [{"name": "staff", "accounts": ["*"]}]
SIGN_IN_FIRST = "530 5.7.0 Authentication required"
MAIL = b"MAIL FROM:<a@example.com>"


def account(name: str, password: str) -> dict[str, Account]:
    return {name: Account(name, name, PasswordHasher(2, 19_456, 1).hash(password), 1)}


def change(
    server: Running, role: str = "trusted", *, context: ssl.SSLContext | None = None,
    accounts: Mapping[str, Account] | None = None, **keys: Any,
) -> None:  # fmt: skip
    """What a reload does."""
    server.listener.reconfigure(
        listener_configuration(role, **keys), "mx.example.com", context, accounts=accounts,
        accepted_domains=frozenset({"example.net"}),
    )  # fmt: skip


async def test_a_network_that_is_allowed_no_more_sends_nothing_more() -> None:
    async with running(allowed_networks=OURS) as server:
        talk = await server.talk()
        change(server, allowed_networks=OTHERS)
        assert await talk.say(MAIL) == "554 5.7.1 Access denied"
        assert await talk.reply() == ""


async def test_role_and_peer_are_those_of_now() -> None:
    async with running(allowed_networks=OURS, peer="exchange") as server:
        talk = await server.talk()
        change(server, "inbound", allowed_networks=())
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        client = server.receiver.messages[0].client
        assert (client.role, client.peer) == (ListenerRole.INBOUND, "other")


async def test_tls_that_is_required_now_is_required_at_once(context: ssl.SSLContext) -> None:
    async with running(context=context, tls={"mode": "offered"}) as server:
        talk = await server.talk()
        change(server, context=context, tls={"mode": "required"})
        assert await talk.say(MAIL) == "530 5.7.0 Send STARTTLS first"
        assert (await talk.say(b"RCPT TO:<b@example.net>")).startswith("530")


@pytest.mark.parametrize("now", ["removed", "another-password", "no-accounts"])
async def test_who_has_signed_in_is_nobody_once_the_account_is_another(
    context: ssl.SSLContext, trusting: ssl.SSLContext, now: str
) -> None:
    keys: dict[str, Any] = {"tls": {"mode": "offered"}, "clients": STAFF, "accounts_file": "accounts"}
    async with running(context=context, accounts=account("jane", "first one"), **keys) as server:
        talk = await server.talk()
        await talk.start_tls(trusting)
        await talk.say(b"EHLO client.example.com")
        assert (await talk.say(b"AUTH PLAIN " + b64encode(b"\0jane\0first one"))).startswith("235")
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        if now == "no-accounts":
            change(server, context=context, tls={"mode": "offered"}, clients=STAFF)
        else:
            accounts = account("jane", "second one") if now == "another-password" else account("joe", "first one")
            server.listener.renew(context, accounts)
        assert await talk.say(MAIL) == SIGN_IN_FIRST
        if now == "another-password":
            assert (await talk.say(b"AUTH PLAIN " + b64encode(b"\0jane\0second one"))).startswith("235")
            assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
            assert server.receiver.messages[-1].client.authenticated_as == "jane"


async def test_who_has_signed_in_stays_who_they_are_where_others_change(
    context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    jane = account("jane", "first one")
    keys: dict[str, Any] = {"tls": {"mode": "offered"}, "clients": STAFF, "accounts_file": "accounts"}
    async with running(context=context, accounts=jane, **keys) as server:
        talk = await server.talk()
        await talk.start_tls(trusting)
        await talk.say(b"EHLO client.example.com")
        assert (await talk.say(b"AUTH PLAIN " + b64encode(b"\0jane\0first one"))).startswith("235")
        server.listener.renew(context, jane | account("joe", "x" * 8))
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        assert server.receiver.messages[0].client.authenticated_as == "jane"


async def test_a_certificate_is_shown_anew_to_other_authorities(
    certificate_files: tuple[Path, Path], trusting: ssl.SSLContext, authority: trustme.CA, tmp_path: Path
) -> None:
    def asking(issuer: trustme.CA, name: str) -> ssl.SSLContext:
        issuer.cert_pem.write_to_path(tmp_path / name)
        return server_context(*certificate_files, asks_clients=True, client_ca_file=tmp_path / name)

    keys: dict[str, Any] = {"tls": {"mode": "offered"}, "clients": [{"name": "app", "certificates": ["a.example.com"]}]}
    authority.issue_cert("a.example.com").configure_cert(trusting)
    async with running(context=asking(authority, "one.pem"), **keys) as server:
        talk = await server.talk()
        await talk.start_tls(trusting)
        await talk.say(b"EHLO client.example.com")
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        server.listener.renew(asking(trustme.CA(), "other.pem"), None)
        assert (await talk.say(MAIL)).startswith("421 4.3.2 ")
        again = await server.talk()
        await again.start_tls(trusting)
        await again.say(b"EHLO client.example.com")
        assert (await again.say(MAIL)).startswith("550 ")


@pytest.mark.parametrize("balancers", [(), OTHERS])
async def test_who_is_no_load_balancer_any_more_has_named_nobody(balancers: tuple[str, ...]) -> None:
    async with running(proxy_networks=OURS, allowed_networks=OTHERS) as server:
        talk = await server.connect()
        talk.write(b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\nEHLO client.example.com\r\n")
        assert await talk.codes(2) == ["220", "250"]
        change(server, proxy_networks=balancers, allowed_networks=OTHERS)
        assert (await talk.say(MAIL)).startswith("421 4.3.2 ")


async def test_a_transaction_that_has_begun_goes_on(context: ssl.SSLContext) -> None:
    async with running(allowed_networks=OURS) as server:
        talk = await server.talk()
        assert (await talk.say(MAIL)).startswith("250")
        change(server, allowed_networks=OTHERS)
        assert (await talk.say(b"RCPT TO:<b@example.net>")).startswith("250")
