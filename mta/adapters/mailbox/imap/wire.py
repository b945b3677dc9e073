"""The connection below IMAPClient: bounded in time and octets, its TLS as configured."""

from __future__ import annotations

import imaplib
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

from mta.adapters.mailbox.mime_item import LARGEST_OCTETS
from mta.ports.mailbox import TlsFailedError

_LINE_MAX = 1_000_000
_ANSWER_MAX = LARGEST_OCTETS + 2_000_000
_PIECE = 1_000_000
"""Octets of a message that have to go or come within one time-out."""


class Wire(imaplib.IMAP4):
    """`host` is the server; its certificate has to carry `name`. With `context`, TLS begins at once.

    Raises OSError where it can't be reached or time runs out, imaplib's `abort` where it answers nonsense.
    """

    def __init__(self, host: str, port: int, *, name: str, context: ssl.SSLContext | None, timeout_s: float) -> None:
        self._name = name
        self._context = context
        self._timeout_s = timeout_s
        self._held = bytearray()
        self._until = time.monotonic() + timeout_s
        self._room = _ANSWER_MAX
        self.sent = 0
        """Pieces of the last command: its line, for APPEND then the message. From then on nobody knows what a broken
        connection left done."""
        super().__init__(host, port)

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        connection = socket.create_connection((host, port), self._left())
        try:
            self.sock = connection if self._context is None else self._wrapped(connection, self._context)
        except BaseException:
            connection.close()
            raise

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> Any:
        """RFC 3501 §6.2.1. Nothing that came before TLS is believed, or kept."""
        assert ssl_context is not None
        kind, data = self._simple_command("STARTTLS")
        if kind == "OK":
            if self._held:
                raise TlsFailedError("injected", "something was sent in clear text behind the answer to STARTTLS")
            self.sock = self._wrapped(self.sock, ssl_context)
            self._tls_established = True
            self.untagged_responses = {}
            self._get_capabilities()
        return kind, data

    def read(self, size: int) -> bytes:
        while len(self._held) < size:
            if size > self._room + len(self._held):
                raise self.abort("an answer too long")
            self._receive()
        return self._taken(size)

    def readline(self) -> bytes:
        looked = 0
        while (end := self._held.find(b"\n", looked)) < 0:
            looked = len(self._held)
            if looked > _LINE_MAX:
                raise self.abort("a line too long")
            self._receive()
        return self._taken(end + 1)

    def send(self, data: bytes) -> None:  # type: ignore[override]
        self.sent += 1
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            if start:
                self._until = time.monotonic() + self._timeout_s
            self.sock.settimeout(self._left())
            self.sock.sendall(view[start : start + _PIECE])

    def farewell(self) -> str:
        """What the server said with BYE, "" if it said nothing."""
        said = self.untagged_responses.get("BYE", [b""])[-1]
        return said.decode("utf-8", "replace") if isinstance(said, bytes) else ""

    def break_off(self) -> None:
        """End the connection below TLS, which another thread may be using; it stays that thread's to close."""
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def shutdown(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has gone already
        finally:
            self.sock.close()

    def _new_tag(self) -> bytes:
        """Each command begins with one, whoever sends it."""
        self._until = time.monotonic() + self._timeout_s
        self._room = _ANSWER_MAX
        self.sent = 0
        kept = {"CAPABILITY", "BYE"}
        self.untagged_responses = {kind: data for kind, data in self.untagged_responses.items() if kind in kept}
        return super()._new_tag()  # type: ignore[misc, no-any-return]

    def _wrapped(self, connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        connection.settimeout(self._left())
        return context.wrap_socket(connection, server_hostname=self._name)

    def _receive(self) -> None:
        self.sock.settimeout(self._left())
        data = self.sock.recv(65_536)
        if not data:
            raise self.abort("the server closed the connection")
        if self._room // _PIECE != (self._room - len(data)) // _PIECE:
            self._until = time.monotonic() + self._timeout_s
        self._room -= len(data)
        if self._room < 0:
            raise self.abort("an answer too long")
        self._held += data

    def _taken(self, size: int) -> bytes:
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left
