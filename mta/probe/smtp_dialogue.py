"""Talks to an SMTP server up to the point where a message would follow, and says what it finds on the way.

By aiosmtplib, not by the client that delivers: each step stands by itself here, and a second client tells whose fault a
fault is. What delivery will see is kept by using its settings: the same hosts, names, authorities and passwords.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from base64 import b64encode
from contextlib import suppress
from datetime import datetime

import aiosmtplib
from cryptography import x509

from mta.probe.certificate_facts import Facts, age, facts_of, refusal
from mta.probe.probe import Say, failed, ok, warning
from mta.probe.smtp_server import STEP_S, SmtpServer, addresses_of, connected

ADDRESSES_MAX = 8
_TOLD = ("SIZE", "PIPELINING", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES")
_ERRORS = (aiosmtplib.SMTPException, OSError, ValueError)


async def examine_server(server: SmtpServer, say: Say, now: datetime) -> None:
    """Connect, EHLO, TLS and certificate, AUTH, MAIL FROM and RSET."""
    try:
        await _Dialogue(server, say, now).run()
    except aiosmtplib.SMTPResponseException as exc:
        is_smtp = exc.code > 0
        what = f"the server answers {_words(exc)}" if is_smtp else f"this is no SMTP: {exc.message}"[:300]
        say(failed(what, "see what its log says" if is_smtp else "see whether host and port are the right ones"))
    except _ERRORS as exc:
        say(failed(f"the dialogue breaks off: {_text(exc)}", "see what the server's log says"))


class _Dialogue:
    def __init__(self, server: SmtpServer, say: Say, now: datetime) -> None:
        self._server = server
        self._say = say
        self._now = now
        self._ip = ""
        self._verified = b""
        """The certificate that verified."""

    async def run(self) -> None:
        first = await self._reached()
        if first is None:
            return
        client = await self._open(first, self._server.context(is_verifying=False))
        try:
            if not await self._is_secured(client):
                return
            if not client.is_connected:
                # What opportunistic delivery does, too, where a handshake fails.
                client = await self._open(await connected(self._ip, self._server.port), None)
            self._offers(client)
            if await self._is_signed_in(client):
                await self._mail(client)
            await _end(client)
        finally:
            client.close()

    # --- connecting --------------------------------------------------------------------------------------------------

    async def _reached(self) -> socket.socket | None:
        """Try all of the host's addresses; the first of them that answers is gone on with."""
        server = self._server
        try:
            addresses = (server.addresses or await addresses_of(server.host, server.port))[:ADDRESSES_MAX]
        except (OSError, UnicodeError) as exc:
            what = f"the name {server.host} has no address: {_text(exc)}"
            self._say(failed(what, "correct the name, or look at DNS"))
            return None
        begun = time.monotonic()
        tried = await asyncio.gather(*(connected(ip, server.port) for ip in addresses), return_exceptions=True)
        first: socket.socket | None = None
        has_any = any(isinstance(each, socket.socket) for each in tried)
        for ip, each in zip(addresses, tried, strict=True):
            if isinstance(each, BaseException):
                self._unreached(ip, each, has_others=has_any)
            elif first is None:
                first, self._ip = each, ip
            else:
                each.close()
        if first is not None:
            self._say(ok(f"connected to {self._ip} within {(time.monotonic() - begun) * 1000:.0f} ms"))
        return first

    def _unreached(self, ip: str, error: BaseException, *, has_others: bool) -> None:
        what = f"{ip} port {self._server.port} can't be reached: {_text(error)}"
        if has_others:
            self._say(warning(what, "delivery loses time with it; mend it, or take it out of DNS"))
        else:
            self._say(failed(what, "see that the server runs, and that no firewall stands between"))

    async def _open(self, opened: socket.socket, context: ssl.SSLContext | None) -> aiosmtplib.SMTP:
        """Greeting and EHLO."""
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.name_to_verify, sock=opened, local_hostname=server.hostname, timeout=STEP_S,
            use_tls=server.is_implicit, start_tls=False, tls_context=context,
        )  # fmt: skip
        try:
            await client.connect()
            await self._hello(client)
        except BaseException:
            client.close()
            opened.close()
            raise
        return client

    async def _hello(self, client: aiosmtplib.SMTP) -> None:
        try:
            await client.ehlo()
        except aiosmtplib.SMTPHeloError:
            await client.helo()
            self._say(
                warning("it knows no EHLO: mail is sent the old way", "see whether something changes the dialogue")
            )

    # --- TLS ---------------------------------------------------------------------------------------------------------

    async def _is_secured(self, client: aiosmtplib.SMTP) -> bool:
        """Whether the dialogue may go on; it may have ended, where it goes on in clear text."""
        server = self._server
        if not server.is_implicit:
            if server.tls == "none":
                return True
            if not client.supports_extension("starttls"):
                return self._without_tls()
            if not await self._is_started(client):
                return server.tls == "opportunistic"
        connection = client.get_transport_info("ssl_object")
        der = connection.getpeercert(binary_form=True)
        facts = facts_of(x509.load_der_x509_certificate(der), der)
        cipher = f"{connection.version()} {connection.cipher()[0]}"
        if server.fingerprints:
            return self._is_pinned(facts, cipher)
        refused = await self._refused(facts)
        if refused is None and server.user and self._verified != der:
            what = "the password is not sent: on this connection the server shows another certificate than verifies"
            self._say(failed(what, "see who stands in between, or whether all its nodes have the same certificate"))
            return False
        return self._is_believed(refused, facts, cipher)

    async def _is_started(self, client: aiosmtplib.SMTP) -> bool:
        server = self._server
        try:
            await client.starttls(tls_context=server.context(is_verifying=False), server_hostname=server.name_to_verify)
            await client.ehlo()
        except _ERRORS as exc:
            client.close()
            what, mend = refusal(exc, None)
            if server.tls == "opportunistic":
                self._say(warning(f"{what}; delivery goes on in clear text", mend))
            else:
                self._say(failed(what, mend))
            return False
        return True

    def _without_tls(self) -> bool:
        if self._server.tls == "required":
            self._say(failed("TLS is required, and the server does not offer STARTTLS", "switch it on there"))
            return False
        self._say(warning("the server offers no TLS: mail crosses the network in clear text", "switch it on there"))
        return True

    def _is_pinned(self, facts: Facts, cipher: str) -> bool:
        wanted = {pin.replace(":", "").lower() for pin in self._server.fingerprints}
        if facts.fingerprint in wanted:
            self._say(ok(f"{cipher}; the {facts} has one of the fingerprints"))
            return True
        mend = f"if this is the right server, its fingerprint is {facts.fingerprint}"
        self._say(failed(f"the {facts} has none of the fingerprints", mend))
        return False

    def _is_believed(self, refused: tuple[str, str] | None, facts: Facts, cipher: str) -> bool:
        if refused is None:
            self._say(age(facts, self._now, f"{cipher}; verified:"))
            return True
        if self._server.tls == "required":
            self._say(failed(*refused))
            return False
        self._say(ok(f"{cipher}; the {facts} does not verify, which tls: opportunistic does not ask"))
        if self._server.user and not self._server.clear_text:
            mend = "write tls: required and name the authority as ca_file"
            self._say(failed("the password is not sent: the certificate does not verify", mend))
        return not self._server.user or self._server.clear_text

    async def _refused(self, facts: Facts) -> tuple[str, str] | None:
        """Why the certificate does not verify, tried over a connection of its own."""
        server = self._server
        context = server.context(is_verifying=True)
        client = None
        try:
            client = await self._open(await connected(self._ip, server.port), context)
            if not server.is_implicit:
                await client.starttls(tls_context=context, server_hostname=server.name_to_verify)
            self._verified = client.get_transport_info("ssl_object").getpeercert(binary_form=True)
            await _end(client)
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

    async def _is_signed_in(self, client: aiosmtplib.SMTP) -> bool:
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
            secrets = (password, b64encode(password), b64encode(b"\0%b\0%b" % (server.user.encode(), password)))
            is_echo = any(secret and secret.decode("latin_1") in str(exc.message) for secret in secrets)
            words = str(exc.code) if is_echo else _words(exc)
            self._say(failed(f"{server.user} can't sign in: {words}", "correct user and password"))
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


async def _end(client: aiosmtplib.SMTP) -> None:
    """Say good-bye; all that matters has been said, so how the server takes it does not."""
    with suppress(*_ERRORS):
        await client.quit()


def _words(error: aiosmtplib.SMTPResponseException) -> str:
    return f"{error.code} {' '.join(str(error.message).split())}"[:300]


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(error.strerror) if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, OSError) and not isinstance(error, (socket.gaierror, ssl.SSLError)) and error.errno:
        text = os.strerror(error.errno)
    return " ".join(text.split())[:300] or type(error).__name__


def _megabytes(octets: int) -> str:
    return f"{octets / 1_000_000:.1f} MB"
