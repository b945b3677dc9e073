"""A POP3 server that answers as it is told: refusals that no real one gives when asked, and what is no POP3."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from tests.servers.wait import wait_until

Answer = bytes | None | Callable[[bytes], Iterable[bytes]]
"""b"" ends the connection, None says nothing at all. Or pieces, made from the command: they may be endless."""
DEFAULTS: dict[bytes, Answer] = {
    b"CAPA": b"+OK\r\nUIDL\r\nSASL PLAIN XOAUTH2\r\n.\r\n",
    b"AUTH": b"+ \r\n",
    b"UIDL": b"+OK\r\n1 first\r\n2 second\r\n.\r\n",
    b"LIST": b"+OK\r\n1 100\r\n2 200\r\n.\r\n",
    b"RETR": b"+OK\r\nSubject: a\r\n\r\nb\r\n.\r\n",
    b"DELE": b"+OK\r\n",
    b"QUIT": b"+OK\r\n",
}
"""What follows AUTH is answered with +OK."""


@dataclass
class ScriptedPop3:
    """Answers by a command's first word."""

    port: int
    greeting: bytes
    answers: dict[bytes, Answer]
    context: ssl.SSLContext | None
    """For STLS."""
    commands: list[bytes] = field(default_factory=list)
    """All lines that came, of all connections, without their ends."""
    _connected: int = 0
    _open: list[socket.socket] = field(default_factory=list)
    _serving: list[threading.Thread] = field(default_factory=list)

    def said(self, *words: bytes) -> list[bytes]:
        """Of the commands those that begin so."""
        return [command for command in self.commands if command.startswith(words)]

    def wait_for(self, word: bytes) -> None:
        wait_until(lambda: bool(self.said(word)), 60, f"{word!r}")

    def wait_for_no_connection(self) -> None:
        wait_until(lambda: self._connected == 0, 60, "the end of connections")

    def close(self) -> None:
        """Who serves a connection closes it, whatever TLS has made of it meanwhile; below TLS it ends here."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._serving:
            thread.join(60)

    def _listen(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._open.append(connection.dup())
                self._connected += 1
                thread = threading.Thread(target=self._serve_and_count, args=(connection,), daemon=True)
                self._serving.append(thread)
                thread.start()

    def _serve_and_count(self, connection: socket.socket) -> None:
        with suppress(OSError), ExitStack() as opened:
            self._serve(connection, opened)
        self._connected -= 1

    def _serve(self, connection: socket.socket, opened: ExitStack) -> None:
        opened.callback(_end, connection)
        connection.sendall(self.greeting)
        stream = opened.enter_context(connection.makefile("rb"))
        while command := stream.readline():
            self.commands.append(command.rstrip(b"\r\n"))
            word = command.split(None, 1)[0].upper() if command.strip() else b""
            answer = self.answers.get(word, b"-ERR what?\r\n")
            if callable(answer):
                for piece in answer(command):
                    connection.sendall(piece)
                continue
            if answer == b"":
                return
            connection.sendall(answer or b"")
            if word == b"AUTH" and answer is not None and answer.startswith(b"+ "):
                self.commands.append(stream.readline().rstrip(b"\r\n"))
                connection.sendall(b"+OK\r\n")
            if word == b"STLS" and answer is not None and answer.startswith(b"+OK") and self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
                opened.callback(_end, connection)
                stream = opened.enter_context(connection.makefile("rb"))


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def scripted_pop3(
    answers: Mapping[bytes, Answer] | None = None,
    *,
    greeting: bytes = b"+OK ready\r\n",
    context: ssl.SSLContext | None = None,
) -> Iterator[ScriptedPop3]:
    """Listens on a free port of the loopback address; `answers` by a command's first word, beside DEFAULTS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = ScriptedPop3(int(listener.getsockname()[1]), greeting, {**DEFAULTS, **(answers or {})}, context)
        thread = threading.Thread(target=server._listen, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)
            server.close()
