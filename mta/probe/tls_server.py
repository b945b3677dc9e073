"""A server behind TLS from the first octet: whether it is reached, and its certificate verifies."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from mta.probe.certificate_facts import Facts, age, facts_of, refusal
from mta.probe.probe import Say, failed, ok, warning
from mta.probe.smtp_server import STEP_S, addresses_of


@dataclass(frozen=True, slots=True)
class TlsServer:
    """Where, and whose certificates are believed there."""

    host: str
    port: int
    ca_file: Path | None = None
    verify: bool = True
    verify_name: str = ""
    keys: frozenset[str] = frozenset({"ca_file"})
    """What the configuration can say of its certificate."""

    def context(self, *, is_verifying: bool) -> ssl.SSLContext:
        """Raises OSError or ssl.SSLError where the file can't be used."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if not is_verifying:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


async def examine_tls(server: TlsServer, say: Say, now: datetime) -> bool:
    """Say what is found on the way to an open connection; whether one can be had as configured."""
    where = f"{server.host}:{server.port}"
    try:
        addresses = await addresses_of(server.host, server.port)
    except (OSError, UnicodeError):
        say(failed(f"{server.host} has no address", "correct the name, or see whether DNS answers"))
        return False
    say(ok(f"{server.host} is {', '.join(addresses[:4])}"))
    try:
        facts = await _certificate(server)
    except (OSError, ValueError) as exc:
        why = "no answer in time" if isinstance(exc, TimeoutError) else str(exc)
        mend = "see whether host and port are right, and firewalls"
        if isinstance(exc, ssl.SSLError):
            mend = "see whether this is the port where TLS begins at once, and whether the server has TLS 1.2"
        say(failed(f"{where} can't be reached by TLS: {why}"[:300], mend))
        return False
    if not server.verify:
        say(warning(f"{where}: its {facts} is not verified, because the configuration says so",
            "name its authority as ca_file and leave verify out: else who stands between reads all mail"))  # fmt: skip
        return True
    try:
        await _shaken_hands(server, is_verifying=True)
    except ssl.SSLError as exc:
        what, mend = refusal(exc, facts, server.keys)
        say(failed(f"{where}: {what}", mend))
        return False
    except OSError as exc:
        say(failed(f"{where} breaks off: {exc}"[:300], "see what the server's log says"))
        return False
    say(age(facts, now, "its"))
    return True


async def _certificate(server: TlsServer) -> Facts:
    der = await _shaken_hands(server, is_verifying=False)
    return facts_of(x509.load_der_x509_certificate(der), der)


async def _shaken_hands(server: TlsServer, *, is_verifying: bool) -> bytes:
    """The server's certificate, as DER. Raises OSError; TimeoutError after STEP_S."""
    context = server.context(is_verifying=is_verifying)
    name = server.verify_name or server.host
    async with asyncio.timeout(STEP_S):
        _, writer = await asyncio.open_connection(
            server.host, server.port, ssl=context, server_hostname=name, family=socket.AF_UNSPEC
        )
    try:
        return bytes(writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b"")
    finally:
        writer.transport.abort()
