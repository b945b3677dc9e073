"""Talks to an SMTP server up to the point where a message would follow, and says what it finds on the way.

By aiosmtplib, not by the client that delivers: each step stands by itself here, and a second client tells whose fault a
fault is. What delivery will see is kept by using its settings: the same hosts, names, authorities and passwords.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import aiosmtplib
from cryptography import x509

from mta.config.types import Secret
from mta.probe.certificate_facts import Facts, age, facts_of, refusal
from mta.probe.probe import Say, failed, ok, warning

STEP_S = 10.0
"""For each step of the dialogue."""
ADDRESSES_MAX = 8
_TOLD = ("SIZE", "PIPELINING", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES")
_ERRORS = (aiosmtplib.SMTPException, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """One server, and how the configuration has us talk to it."""

    host: str
    port: int
    hostname: str
    """Ours, for EHLO."""
    sender: str
    """For MAIL FROM."""
    tls: Literal["none", "opportunistic", "required"]
    is_implicit: bool = False
    ca_file: Path | None = None
    verify_name: str = ""
    fingerprints: tuple[str, ...] = ()
    certificate: tuple[Path, Path] | None = None
    """Our own, and its key."""
    user: str = ""
    password: Secret | None = None
    clear_text: bool = False
    size_octets: int = 0
    """The largest message that we take; 0 where that doesn't matter."""

    @property
    def name_to_verify(self) -> str:
        return self.verify_name or self.host

    def context(self, *, is_verifying: bool) -> ssl.SSLContext:
        """As delivery's. Raises OSError or ssl.SSLError where a file can't be used."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not is_verifying:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate is not None:
            context.load_cert_chain(*self.certificate)
        return context


async def examine_server(server: SmtpServer, say: Say, now: datetime) -> None:
    """Connect, EHLO, TLS and certificate, AUTH, MAIL FROM and RSET."""
    try:
        await _Dialogue(server, say, now).run()
    except aiosmtplib.SMTPResponseException as exc:
        say(failed(f"the server answers {_words(exc)}", "see what its log says"))
    except _ERRORS as exc:
        say(failed(f"the dialogue breaks off: {_text(exc)}", "see what the server's log says"))


class _Dialogue:
    def __init__(self, server: SmtpServer, say: Say, now: datetime) -> None:
        self._server = server
        self._say = say
        self._now = now
        self._address: tuple[str, int] | None = None

    async def run(self) -> None:
        if not await self._find():
            return
        client = await self._open(self._server.context(is_verifying=False))
        try:
            if not self._server.is_implicit:
                await client.ehlo()
            if not await self._secured(client):
                return
            self._offers(client)
            if await self._signed_in(client):
                await self._mail(client)
            await client.quit()
        finally:
            client.close()

    # --- connecting --------------------------------------------------------------------------------------------------

    async def _find(self) -> bool:
        """Which of the host's addresses answer."""
        server = self._server
        loop = asyncio.get_running_loop()
        host = server.host.removeprefix("[").removesuffix("]")
        try:
            found = await loop.getaddrinfo(host, server.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            self._say(failed(f"the name {host} has no address: {_text(exc)}", "correct the name, or look at DNS"))
            return False
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))[:ADDRESSES_MAX]
        port = server.port
        tried = await asyncio.gather(*(_reach(ip, port) for ip in addresses))
        up = [(ip, port) for ip, (error, _) in zip(addresses, tried, strict=True) if not error]
        for ip, (error, took_s) in zip(addresses, tried, strict=True):
            if not error:
                self._say(ok(f"{ip} port {port} answers after {took_s * 1000:.0f} ms"))
            elif up:
                self._say(warning(f"{ip} port {port}: {error}", "delivery loses time with it"))
            else:
                self._say(failed(f"{ip} port {port}: {error}", "see that it runs, and that no firewall stands between"))
        self._address = up[0] if up else None
        return bool(up)

    async def _open(self, context: ssl.SSLContext) -> aiosmtplib.SMTP:
        """Up to the greeting."""
        assert self._address is not None
        server = self._server
        connected = await _connected(*self._address)
        client = aiosmtplib.SMTP(
            hostname=server.name_to_verify, sock=connected, local_hostname=server.hostname, timeout=STEP_S,
            use_tls=server.is_implicit, start_tls=False, tls_context=context,
        )  # fmt: skip
        try:
            await client.connect()
        except BaseException:
            connected.close()
            raise
        return client

    # --- TLS ---------------------------------------------------------------------------------------------------------

    async def _secured(self, client: aiosmtplib.SMTP) -> bool:
        """Whether the dialogue may go on."""
        server = self._server
        if not server.is_implicit:
            if server.tls == "none":
                return True
            if not client.supports_extension("starttls"):
                return self._without_tls()
            await client.starttls(tls_context=server.context(is_verifying=False), server_hostname=server.name_to_verify)
            await client.ehlo()
        else:
            await client.ehlo()
        connection = client.get_transport_info("ssl_object")
        der = connection.getpeercert(binary_form=True)
        facts = facts_of(x509.load_der_x509_certificate(der), der)
        cipher = f"{connection.version()} {connection.cipher()[0]}"
        if server.fingerprints:
            return self._pinned(facts, cipher)
        refused = await self._refused(facts)
        if refused is None:
            self._say(age(facts, self._now, f"{cipher}; it verifies:"))
        elif server.tls == "required":
            self._say(failed(*refused))
            return False
        else:
            self._say(ok(f"{cipher}; {facts}. It does not verify, which tls: opportunistic does not ask"))
        return refused is None or not server.user or self._no_password()

    def _without_tls(self) -> bool:
        if self._server.tls == "required":
            self._say(failed("TLS is required, and the server does not offer STARTTLS", "switch it on there"))
            return False
        self._say(warning("the server offers no TLS: mail crosses the network in clear text", "switch it on there"))
        return True

    def _pinned(self, facts: Facts, cipher: str) -> bool:
        wanted = {pin.replace(":", "").lower() for pin in self._server.fingerprints}
        if facts.fingerprint in wanted:
            self._say(ok(f"{cipher}; the {facts} has one of the fingerprints"))
            return True
        mend = f"if this is the right server, its fingerprint is {facts.fingerprint}"
        self._say(failed(f"the {facts} has none of the fingerprints", mend))
        return False

    async def _refused(self, facts: Facts) -> tuple[str, str] | None:
        """Why the certificate does not verify, tried over a connection of its own."""
        server = self._server
        context = server.context(is_verifying=True)
        client = None
        try:
            client = await self._open(context)
            if not server.is_implicit:
                await client.starttls(tls_context=context, server_hostname=server.name_to_verify)
            await client.quit()
        except _ERRORS as exc:
            return refusal(exc, facts)
        finally:
            if client is not None:
                client.close()
        return None

    # --- what may follow ---------------------------------------------------------------------------------------------

    def _offers(self, client: aiosmtplib.SMTP) -> None:
        offered = [name for name in _TOLD if client.supports_extension(name)]
        missing = [name for name in _TOLD if name not in offered]
        without = f"; not {', '.join(missing)}" if missing else ""
        self._say(ok(f"it offers {', '.join(offered) or 'nothing'}{without}"))
        size = client.esmtp_extensions.get("size", "")
        if self._server.size_octets and size.isdigit() and 0 < int(size) < self._server.size_octets:
            ours = self._server.size_octets
            self._say(warning(
                f"it takes messages up to {_megabytes(int(size))}, our listeners up to {_megabytes(ours)}",
                "lower limits: size of the listeners, or raise it there",
            ))  # fmt: skip

    def _no_password(self) -> bool:
        mend = "write tls: required and name the authority as ca_file"
        self._say(failed("the password is not sent: the certificate does not verify", mend))
        return False

    async def _signed_in(self, client: aiosmtplib.SMTP) -> bool:
        server = self._server
        if not server.user:
            return True
        is_tls = client.get_transport_info("ssl_object") is not None
        if not is_tls and not server.clear_text:
            self._say(failed("the password is not sent: there is no TLS", "write tls: required"))
            return False
        try:
            password = server.password.read() if server.password is not None else b""
        except (OSError, KeyError) as exc:
            self._say(failed(f"the password can't be read: {exc}", "see `stampline check`"))
            return False
        methods = client.supported_auth_methods
        if not {"plain", "login"} & set(methods):
            offered = ", ".join(methods) or "no AUTH at all"
            self._say(failed(f"AUTH needs PLAIN or LOGIN, and the server offers {offered}", "allow one of them there"))
            return False
        try:
            # Once only: another failure brings the account nearer to being locked.
            await (client.auth_plain if "plain" in methods else client.auth_login)(server.user, password)
        except aiosmtplib.SMTPResponseException as exc:
            self._say(failed(f"{server.user} can't sign in: {_words(exc)}", "correct user and password"))
            return False
        self._say(ok(f"{server.user} can sign in"))
        return True

    async def _mail(self, client: aiosmtplib.SMTP) -> None:
        sender = self._server.sender
        try:
            await client.mail(sender)
        except aiosmtplib.SMTPResponseException as exc:
            what = f"MAIL FROM:<{sender}> is answered {_words(exc)}"
            if exc.code < 500:
                self._say(warning(what, "it may be for now only; see what the server's log says"))
            else:
                self._say(failed(what, "let the server take mail from this machine"))
            return
        await client.rset()
        self._say(ok(f"it takes mail from {sender}"))


async def _reach(ip: str, port: int) -> tuple[str, float]:
    """Why an address can't be reached, "" if it can, and how long that took."""
    begun = time.monotonic()
    try:
        (await _connected(ip, port)).close()
    except OSError as exc:
        return _text(exc), time.monotonic() - begun
    return "", time.monotonic() - begun


async def _connected(ip: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ip_address(ip.partition("%")[0]).version == 6 else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        async with asyncio.timeout(STEP_S):
            await asyncio.get_running_loop().sock_connect(made, (ip, port))
    except BaseException:
        made.close()
        raise
    return made


def _words(error: aiosmtplib.SMTPResponseException) -> str:
    return f"{error.code} {' '.join(str(error.message).split())}"[:300]


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(error.strerror) if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:300] or type(error).__name__


def _megabytes(octets: int) -> str:
    return f"{octets / 1_000_000:.1f} MB"
