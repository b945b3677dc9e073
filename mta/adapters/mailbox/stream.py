"""A connection to a server of mailboxes that speaks in lines: bounded in time and octets, its TLS as configured."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

from mta.ports.mailbox import TlsFailedError

_LINE_MAX = 1_000_000
_PIECE = 1_000_000
"""Octets of a message that have to go or come within one time-out."""


class TooMuchError(ConnectionError):
    """More came than there was room for."""


class Stream:
    """`host` is the server; its certificate has to carry `name`. With `context`, TLS begins at once.

    All of it raises OSError: where the server can't be reached, time runs out, or more comes than there is room for.
    """

    def __init__(
        self, host: str, port: int, *, name: str, context: ssl.SSLContext | None, timeout_s: float,
        opened: Callable[[Stream], None] | None = None,
    ) -> None:  # fmt: skip
        """`opened` is told as soon as there is a connection that can be broken off."""
        self._name = name
        self._timeout_s = timeout_s
        self._held = bytearray()
        self.begin(_LINE_MAX)
        self.sock = socket.create_connection((host, port), self._left())
        self._handle = self.sock.dup()
        """The same connection for another thread, whatever TLS makes of the socket."""
        try:
            if opened is not None:
                opened(self)
            if context is not None:
                self.sock = self._wrapped(self.sock, context)
        except BaseException:
            self.close()
            raise

    def begin(self, room: int) -> None:
        """A command, which is to be answered in time and with no more than so many octets."""
        self._until = time.monotonic() + self._timeout_s
        self._room = room

    def start_tls(self, context: ssl.SSLContext) -> None:
        """After the server has agreed. Raises TlsFailedError: nothing that came before TLS is believed, or kept."""
        if self._held:
            raise TlsFailedError("injected", "something was sent in clear text behind the answer to STARTTLS")
        self.sock = self._wrapped(self.sock, context)

    def read(self, size: int) -> bytes:
        """So many octets."""
        while len(self._held) < size:
            if size > self._room + len(self._held):
                raise TooMuchError("an answer too long")
            self._receive()
        return self._taken(size)

    def readline(self) -> bytes:
        """With its LF."""
        looked = 0
        while (end := self._held.find(b"\n", looked)) < 0:
            looked = len(self._held)
            if looked > _LINE_MAX:
                raise ConnectionError("a line too long")
            self._receive()
        return self._taken(end + 1)

    def read_to(self, end: bytes) -> tuple[bytes, bool]:
        """What has come, up to `end`, and whether that has come, too, which is then taken away."""
        held = self._held
        if len(held) < len(end):
            self._receive()
        if (at := held.find(end)) >= 0:
            data = self._taken(at)
            self._taken(len(end))
            return data, True
        return self._taken(max(0, len(held) - len(end) + 1)), False  # the rest may be its beginning

    def unread(self, data: bytes) -> None:
        """As if it came next."""
        self._held[:0] = data

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            if start:
                self._until = time.monotonic() + self._timeout_s
            self.sock.settimeout(self._left())
            self.sock.sendall(view[start : start + _PIECE])

    def break_off(self) -> None:
        """End the connection below TLS, which another thread may be using; it stays that thread's to close."""
        with suppress(OSError):
            self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """At once, without a word."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has gone already
        finally:
            self.sock.close()
            self._handle.close()

    def _wrapped(self, connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        connection.settimeout(self._left())
        return context.wrap_socket(connection, server_hostname=self._name)

    def _receive(self) -> None:
        self.sock.settimeout(self._left())
        data = self.sock.recv(65_536)
        if not data:
            raise ConnectionError("the server closed the connection")
        if self._room // _PIECE != (self._room - len(data)) // _PIECE:
            self._until = time.monotonic() + self._timeout_s
        self._room -= len(data)
        if self._room < 0:
            raise TooMuchError("an answer too long")
        self._held += data

    def _taken(self, size: int) -> bytes:
        with memoryview(self._held) as view:
            data = bytes(view[:size])
        del self._held[:size]
        return data

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left
