"""An SMTP server as the configuration has us talk to it, and the way to it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from mta.config.types import Secret

STEP_S = 10.0
"""For each step of a dialogue."""


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
    addresses: tuple[str, ...] = ()
    """Of the host, where DNS was asked for them already."""
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
            context.load_cert_chain(*self.certificate, password=_no_passphrase)
        return context


async def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """As the system resolves a name. Raises OSError or UnicodeError."""
    name = host.removeprefix("[").removesuffix("]")
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


async def connected(ip: str, port: int) -> socket.socket:
    """A connection. Raises OSError; TimeoutError after STEP_S."""
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


def _no_passphrase() -> str:
    raise ValueError("the key is protected by a passphrase")
