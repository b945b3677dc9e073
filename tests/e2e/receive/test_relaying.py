"""Who may connect, and to whom a listener relays, over real sockets."""

from __future__ import annotations

import pytest

from tests.e2e.receive.running import running

OPEN_RELAY_TRICKS = [
    b"victim@example.org",
    b"victim@EXAMPLE.ORG",
    b"victim%example.org@example.net",
    b"example.org!victim@example.net",
    b"example.org!victim",
    b'"victim@example.org"@example.net',
    b'"victim%example.org"@example.net',
    b'"example.org!victim"@example.net',
    b'"victim@example.org"',
    b"@example.net:victim@example.org",
    b"@example.net,@example.org:victim@example.net",
    b"victim@example.org@example.net",
    b"victim@example.net@example.org",
    b"victim@[127.0.0.1]",
    b"victim@[example.net]",
    b"victim@example.net.",
    b"victim@.example.net",
    b"victim@sub.example.net",
    b"victim@notexample.net",
    b"victim@example.net.example.org",
    b"victim@example.org,example.net",
    b"victim@example.org;example.net",
    b"victim@example.org example.net",
    b"victim@example.org\x00@example.net",
    b"victim@example.org\t@example.net",
    b"victim@example.net(example.org)",
    b"victim (comment)@example.net",
    b"victim",
    b"@example.net",
    b"victim@",
    b"victim@localhost",
    b"victim@mx.example.com",
    b"postmaster@example.org",
    "victim@ехample.net".encode(),
    "victim@example。org".encode(),
    "victim@example.org\u2028@example.net".encode(),
]


@pytest.mark.parametrize("trick", OPEN_RELAY_TRICKS)
async def test_inbound_listener_relays_for_no_stranger(trick: bytes) -> None:
    async with running("inbound", allowed_networks=()) as server:
        talk = await server.talk()
        assert (await talk.say(b"MAIL FROM:<stranger@example.org> SMTPUTF8")).startswith("250")
        assert (await talk.say(b"RCPT TO:<" + trick + b">"))[0] == "5"
        assert (await talk.say(b"DATA")).startswith("554 5.5.1")
        assert server.receiver.messages == []


@pytest.mark.parametrize(
    "argument",
    [
        b"victim@example.net",
        b"<victim@example.net",
        b"victim@example.net>",
        b"<<victim@example.net>>",
        b"<victim@example.net>>",
        b"<victim@example.net> <other@example.org>",
        b"<victim@example.net>,<other@example.org>",
        b"(comment)<victim@example.net>",
        b"<victim@example.net>(comment)",
        b"Victim <victim@example.net>",
        b"< victim@example.net >",
    ],
)
async def test_paths_are_strict(argument: bytes) -> None:
    async with running() as server:
        talk = await server.talk()
        assert (await talk.say(b"MAIL FROM:" + argument))[0] == "5"
        assert (await talk.say(b"MAIL FROM:<>")).startswith("250")
        assert (await talk.say(b"RCPT TO:" + argument))[0] == "5"


async def test_inbound_listener_takes_mail_for_accepted_domains() -> None:
    async with running("inbound", allowed_networks=()) as server:
        talk = await server.talk()
        await talk.say(b"MAIL FROM:<stranger@example.org> SMTPUTF8")
        assert (await talk.say(b"RCPT TO:<jane@Example.NET>")).startswith("250")
        assert (await talk.say("RCPT TO:<jane@münchen.example>".encode())).startswith("250")
        assert await talk.say(b"RCPT TO:<jane@example.org>") == "550 5.7.1 Relaying denied"


async def test_trusted_listener_serves_allowed_networks_only() -> None:
    async with running(allowed_networks=("192.0.2.0/24",)) as server:
        assert await (await server.connect()).rest() == b"554 5.7.1 Access denied\r\n"
    async with running(allowed_networks=()) as server:
        assert await (await server.connect()).rest() == b"554 5.7.1 Access denied\r\n"


async def test_new_configuration_holds_from_a_sessions_next_message() -> None:
    async with running("inbound", allowed_networks=()) as server:
        talk = await server.talk()
        await talk.say(b"MAIL FROM:<a@example.com>")
        assert (await talk.say(b"RCPT TO:<b@example.org>")).startswith("550 5.7.1")
        listener = server.listener
        listener.reconfigure(listener._listener, "mx.example.com", accepted_domains=frozenset({"example.org"}))
        assert (await talk.say(b"RCPT TO:<b@example.org>")).startswith("550 5.7.1")
        await talk.say(b"RSET")
        await talk.say(b"MAIL FROM:<a@example.com>")
        assert (await talk.say(b"RCPT TO:<b@example.org>")).startswith("250")
