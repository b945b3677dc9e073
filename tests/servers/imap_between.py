"""Somebody between an IMAP client and its server, in clear text: passes all on, until it is told to break something."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

Breaks = Literal["", "close", "hang"]


@dataclass
class Between:
    port: int
    breaks: Breaks = ""
    """What becomes of the answer to the next command of that name: the connection ends, or nothing comes any more."""
    at: bytes = b"APPEND"
    _open: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _serve(self, listener: socket.socket, server_port: int) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", server_port))
                self._open += [client, server]
                tags: list[bytes] = []
                for pump, source, sink in ((self._up, client, server), (self._down, server, client)):
                    threading.Thread(target=pump, args=(source, sink, tags), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, tags: list[bytes]) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                words = data.split(b" ", 2)
                if self.breaks and len(words) > 1 and words[1].rstrip() == self.at:
                    tags.append(words[0])
                server.sendall(data)
        _end(server)

    def _down(self, server: socket.socket, client: socket.socket, tags: list[bytes]) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                if tags and any(line.startswith(tags[-1] + b" ") for line in data.split(b"\r\n")):
                    if self.breaks == "hang":
                        continue
                    break
                client.sendall(data)
        _end(client)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def between(server_port: int) -> Iterator[Between]:
    """Listens on a free port of the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        middle = Between(int(listener.getsockname()[1]))
        thread = threading.Thread(target=middle._serve, args=(listener, server_port), daemon=True)
        thread.start()
        try:
            yield middle
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)
            middle.close()
