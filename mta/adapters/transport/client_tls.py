"""TLS towards one next hop: what is demanded of its certificate, and our own certificate where it asks for one."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from mta import events
from mta.config.delivery_schema import HopTls

CLEAR_TEXT_FOR_S = 600.0
"""Opportunistic: for so long no TLS is tried with a server after a handshake with it has failed."""
_REMEMBERED_MAX = 1000

_State = tuple[tuple[str, int, int, int], ...]


class ClientTls:
    """One for all connections to a next hop. Raises OSError or ValueError when made, if a file can't be used.

    Where a file changes later, new connections go by what it holds then; a bad one is logged, and the former stays.
    """

    def __init__(self, settings: HopTls, next_hop: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._next_hop = next_hop
        self._clock = clock
        self._files = [file for file in (settings.ca_file, settings.certificate, settings.key) if file is not None]
        self._fingerprints = frozenset(map(plain_fingerprint, settings.fingerprints))
        self._seen = _state(self._files)
        self._context = _context(settings) if settings.mode != "none" else None
        self._clear_until: dict[str, float] = {}

    def context(self) -> ssl.SSLContext:
        """As the files are now. Only where the mode isn't none."""
        if self._files and (state := _state(self._files)) != self._seen:
            self._seen = state
            try:
                self._context = _context(self.settings)
            except (OSError, ValueError) as error:
                events.next_hop_tls_unusable(self._next_hop, error=str(error))
        assert self._context is not None
        return self._context

    def refusal(self, ssl_object: ssl.SSLObject) -> str:
        """After a handshake: why the remote's certificate won't do, "" if it will."""
        if not self._fingerprints:
            return ""
        certificate = ssl_object.getpeercert(binary_form=True) or b""
        found = hashlib.sha256(certificate).hexdigest()
        return "" if found in self._fingerprints else f"the certificate's fingerprint is {found}, which is not expected"

    def is_clear_text(self, server: str) -> bool:
        """Whether a server is spoken to without TLS: always by the mode, or for a while after a failed handshake."""
        if self.settings.mode == "none":
            return True
        return bool(self._clear_until) and self._clear_until.get(server, 0.0) > self._clock()

    def fell_back(self, server: str, reason: str) -> None:
        """A handshake failed, and clear text will do."""
        if len(self._clear_until) >= _REMEMBERED_MAX:
            self._clear_until.clear()
        self._clear_until[server] = self._clock() + CLEAR_TEXT_FOR_S
        events.next_hop_in_clear_text(self._next_hop, remote=server, reason=reason)


def plain_fingerprint(written: str) -> str:
    """A fingerprint as hexadecimal digits only, however it was written."""
    return written.replace(":", "").replace(" ", "").lower()


def _context(settings: HopTls) -> ssl.SSLContext:
    """TLS 1.2 and later; certificates are verified where TLS is required, unless fingerprints say which one it is.

    Opportunistic does not verify: an unverified connection is better than the clear text that would follow.
    """
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.mode == "opportunistic" or settings.fingerprints:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key, password=_no_passphrase)
    return context


def _no_passphrase() -> str:
    raise ValueError("the key is protected by a passphrase")


def _state(files: list[Path]) -> _State:
    """What tells that a file was replaced or written to."""
    found = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            continue
        found.append((str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
