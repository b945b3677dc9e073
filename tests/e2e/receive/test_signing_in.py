"""SMTP AUTH over real sockets and TLS (RFC 4954, RFC 4616)."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme
from argon2 import PasswordHasher

from mta import events
from mta.config.accounts_file import Account, account_key
from mta.relay.receive import server_context, sign_in
from tests.e2e.receive.running import Lines, Running, Talk, running

PASSWORD = "correct horse"
CLIENTS = [{"name": "staff", "accounts": ["*"]}]
WRONG = "535 5.7.8 Authentication credentials invalid"
RIGHT = "235 2.7.0 Authentication successful"


@pytest.fixture(autouse=True)
def log() -> Any:
    sink = Lines()
    events.configure([sink])
    yield sink
    events.configure([])


@pytest.fixture(scope="session")
def accounts() -> Mapping[str, Account]:
    written = {
        "Printer": PasswordHasher(2, 19_456, 1).hash(PASSWORD),
        "josé": PasswordHasher(2, 19_456, 1).hash("pässword"),
        "old": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode(),
    }
    return {account_key(name): Account(name, account_key(name), text, 1) for name, text in written.items()}


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and a client's."""
    authority, folder = trustme.CA(), tmp_path_factory.mktemp("certificate")
    leaf = authority.issue_cert("mx.example.com")
    certificate, key = _files(leaf, folder)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server_context(certificate, key), client


def _files(leaf: trustme.LeafCert, folder: Path) -> tuple[Path, Path]:
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    return folder / "cert.pem", folder / "key.pem"


@asynccontextmanager
async def serving(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account], **keys: Any
) -> AsyncIterator[Running]:
    keys.setdefault("tls", {"mode": "offered"})
    keys.setdefault("clients", CLIENTS)
    async with running(context=contexts[0], accounts=accounts, accounts_file="accounts", **keys) as server:
        yield server


async def under_tls(server: Running, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> tuple[Talk, str]:
    """A session that has said EHLO under TLS, and what it was offered."""
    talk = await server.talk()
    await talk.start_tls(contexts[1])
    return talk, await talk.say(b"EHLO client.example.com")


def plain(name: str, password: str, acting_for: str = "") -> bytes:
    return b64encode(f"{acting_for}\0{name}\0{password}".encode())


@pytest.mark.parametrize(
    ("name", "password"),
    [("Printer", PASSWORD), ("pRINTER", PASSWORD), ("josé", "pässword"), ("jose\u0301", "pa\u0308ssword"),
     ("old", PASSWORD)],
    ids=["argon2id", "case", "non-ascii", "decomposed", "bcrypt"],
)  # fmt: skip
async def test_plain_in_one_go(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account], name: str, password: str
) -> None:
    async with serving(contexts, accounts) as server:
        talk, offered = await under_tls(server, contexts)
        assert "AUTH PLAIN LOGIN" in offered.replace("250-", "").replace("250 ", "").split("\n")
        assert (await talk.say(b"MAIL FROM:<a@example.com>")) == "530 5.7.0 Authentication required"
        assert await talk.say(b"AUTH PLAIN " + plain(name, password)) == RIGHT
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        client = server.receiver.messages[0].client
        assert account_key(client.authenticated_as) == account_key(name)
        assert client.admitted_as == "staff"


async def test_login_and_plain_by_challenges(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account]
) -> None:
    async with serving(contexts, accounts) as server:
        for opening in (b"AUTH LOGIN", b"auth login " + b64encode(b"Printer")):
            talk, _ = await under_tls(server, contexts)
            reply = await talk.say(opening)
            if reply == "334 VXNlcm5hbWU6":
                reply = await talk.say(b64encode(b"Printer"))
            assert reply == "334 UGFzc3dvcmQ6"
            assert await talk.say(b64encode(PASSWORD.encode())) == RIGHT
        talk, _ = await under_tls(server, contexts)
        assert await talk.say(b"AUTH pLaIn") == "334 "
        assert await talk.say(plain("Printer", PASSWORD, "printer")) == RIGHT


@pytest.mark.parametrize(
    "response",
    [
        plain("Printer", "wrong"), plain("nobody", PASSWORD), plain("", ""), plain("Printer", ""), b"=",
        plain("Printer", PASSWORD, "josé"), b64encode(b"Printer"), b64encode(b"\0Printer\0correct horse\0more"),
        b64encode(b"\0Printer\0\xff\xfe"), plain("Printer", "x" * 5000), plain("a" * 3000, PASSWORD),
        plain("old", PASSWORD + "x" * 80),
    ],
    ids=["password", "name", "empty", "no-password", "equals", "other-identity", "one-part", "four-parts", "not-utf8",
         "long-password", "long-name", "over-bcrypt"],
)  # fmt: skip
async def test_what_is_wrong_is_told_in_one_way(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account], response: bytes, log: Lines
) -> None:
    async with serving(contexts, accounts) as server:
        talk, _ = await under_tls(server, contexts)
        assert await talk.say(b"AUTH PLAIN " + response) == WRONG
        assert (await talk.say(b"MAIL FROM:<a@example.com>")).startswith("530 ")
        assert any("sign-in-failed" in line for line in log.lines)
        said = "\n".join(log.lines)
        assert "horse" not in said
        assert len(response) < 10 or response.decode() not in said


async def test_the_grammar_of_the_exchange(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account]
) -> None:
    async with serving(contexts, accounts) as server:
        talk, _ = await under_tls(server, contexts)
        assert (await talk.say(b"AUTH")).startswith("501 5.5.4")
        assert (await talk.say(b"AUTH PLAIN a b")).startswith("501 5.5.4")
        assert (await talk.say(b"AUTH CRAM-MD5")).startswith("504 5.5.4")
        assert (await talk.say(b"AUTH PLAIN")).startswith("334")
        assert (await talk.say(b"*")) == "501 5.7.0 Authentication cancelled"
        for bad in (b"AUTH PLAIN not!base64", b"AUTH PLAIN YWJ"):
            assert (await talk.say(bad)).startswith("501 5.5.2")
        assert (await talk.say(b"AUTH LOGIN")).startswith("334")
        assert (await talk.say(b"QUIT now")).startswith("501 5.5.2")  # it is no command here
        assert (await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD))) == RIGHT
        assert (await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD))).startswith("503 5.5.1")
        await talk.begin()
        talk.write(b".\r\n")
        assert (await talk.reply()).startswith("250")


async def test_not_inside_a_transaction_nor_before_ehlo(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account]
) -> None:
    async with serving(contexts, accounts, clients=[]) as server:
        talk = await server.talk()
        await talk.start_tls(contexts[1])
        assert (await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD))).startswith("503 5.5.1")
        await talk.say(b"HELO old.example.com")
        assert (await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD))).startswith("503 5.5.1")
        await talk.say(b"EHLO client.example.com")
        assert (await talk.say(b"MAIL FROM:<a@example.com>")).startswith("250")
        assert (await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD))).startswith("503 5.5.1")


async def test_only_under_tls_and_only_with_accounts(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account]
) -> None:
    async with serving(contexts, accounts) as server:
        talk = await server.connect()
        await talk.reply()
        assert "AUTH" not in await talk.say(b"EHLO client.example.com")
        assert (await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD))).startswith("538 5.7.11")
    async with running(context=contexts[0], tls={"mode": "offered"}) as server:
        talk, offered = await under_tls(server, contexts)
        assert "AUTH" not in offered
        assert (await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD))).startswith("502 5.5.1")


async def test_a_long_line_is_taken_up_to_its_limit_and_not_beyond(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account]
) -> None:
    async with serving(contexts, accounts) as server:
        talk, _ = await under_tls(server, contexts)
        assert (await talk.say(b"AUTH PLAIN")).startswith("334")
        assert await talk.say(b"QUFB" * 3071) == WRONG  # 12,286 octets with its CRLF; 12,288 are allowed
        assert (await talk.say(b"AUTH PLAIN")).startswith("334")
        assert (await talk.say(b"QUFB" * 3072)).startswith("500 5.5.6")
        assert await talk.rest() == b""


async def test_a_session_that_guesses_is_closed(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account]
) -> None:
    async with serving(contexts, accounts, limits={"failed_logins": 3}) as server:
        talk, _ = await under_tls(server, contexts)
        for _ in range(2):
            assert await talk.say(b"AUTH PLAIN " + plain("Printer", "wrong")) == WRONG
        talk.write(b"AUTH PLAIN " + plain("Printer", "wrong") + b"\r\n")
        assert await talk.replies(2) == [WRONG, "421 4.7.0 Too many failed authentications"]
        assert await talk.rest() == b""


async def test_a_client_that_guesses_over_sessions_is_not_listened_to_for_a_while(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account], log: Lines
) -> None:
    async with serving(contexts, accounts, limits={"failed_logins": 100}) as server:
        talk, _ = await under_tls(server, contexts)
        for number in range(10):
            assert await talk.say(b"AUTH PLAIN " + plain("Printer", f"guess {number}")) == WRONG
        other, _ = await under_tls(server, contexts)
        for _ in range(2):
            assert (await other.say(b"AUTH PLAIN " + plain("Printer", PASSWORD))).startswith("454 4.7.0")
        assert await other.say(b"AUTH PLAIN " + plain("old", PASSWORD)) == RIGHT  # others behind the same address
        assert sum("too many wrong passwords" in line for line in log.lines) == 1


async def test_who_has_signed_in_before_is_not_kept_out_by_others_behind_the_same_address(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "GUESSES_PER_CLIENT", 5)
    monkeypatch.setattr(sign_in, "GUESSES_PER_NAME", 3)
    async with serving(contexts, accounts, limits={"failed_logins": 1000}) as server:
        talk, _ = await under_tls(server, contexts)
        assert await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD)) == RIGHT
        other, _ = await under_tls(server, contexts)
        said = [await other.say(b"AUTH PLAIN " + plain(f"nobody-{number}", "guess")) for number in range(5)]
        assert set(said) == {WRONG}
        for _ in range(2):
            again, _ = await under_tls(server, contexts)
            assert await again.say(b"AUTH PLAIN " + plain("Printer", PASSWORD)) == RIGHT
        assert (await other.say(b"AUTH PLAIN " + plain("old", PASSWORD))).startswith("454 4.7.0")
        for number in range(3):
            assert await other.say(b"AUTH PLAIN " + plain("Printer", f"guess {number}")) == WRONG
        assert (await other.say(b"AUTH PLAIN " + plain("Printer", PASSWORD))).startswith("454 4.7.0")


async def test_a_removed_account_and_a_changed_password_count_at_once(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account]
) -> None:
    async with serving(contexts, accounts) as server:
        for _ in range(2):  # the second one without hashing
            talk, _ = await under_tls(server, contexts)
            assert await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD)) == RIGHT
        changed = Account("Printer", "printer", PasswordHasher(2, 19_456, 1).hash("another one"), 1)
        server.listener.renew(contexts[0], {"printer": changed})
        talk, _ = await under_tls(server, contexts)
        assert await talk.say(b"AUTH PLAIN " + plain("old", PASSWORD)) == WRONG
        assert await talk.say(b"AUTH PLAIN " + plain("Printer", PASSWORD)) == WRONG
        assert await talk.say(b"AUTH PLAIN " + plain("Printer", "another one")) == RIGHT


async def test_a_client_may_leave_in_the_midst(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], accounts: Mapping[str, Account]
) -> None:
    async with serving(contexts, accounts) as server:
        talk, _ = await under_tls(server, contexts)
        assert (await talk.say(b"AUTH LOGIN")).startswith("334")
        await talk.close()
        await server.all_gone()
