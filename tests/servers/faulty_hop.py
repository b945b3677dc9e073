"""Next hops that go wrong, each in its own way: threads over plain sockets, so that every octet and reset is chosen."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[["Conversation"], None]


class Conversation:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")

    def say(self, text: str) -> None:
        self._socket.sendall(text.encode() + b"\r\n")

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def hear(self) -> str:
        """The next line. Raises ConnectionError at the end."""
        line = self._file.readline()
        if not line:
            raise ConnectionError
        return line.decode("latin-1").rstrip("\r\n")

    def read(self, length: int) -> bytes:
        """So many octets, fewer at the end."""
        return self._file.read(length)

    def greet(self, *extensions: str) -> None:
        """220, and the answer to EHLO."""
        self.say("220 faulty.example ESMTP")
        self.hear()
        lines = ["faulty.example", *extensions]
        for line in lines[:-1]:
            self.say(f"250-{line}")
        self.say(f"250 {lines[-1]}")

    def take(self, **replies: str) -> None:
        """Converse as usual, but with these replies (by verb, `dot` for the end of data); returns after it."""
        while True:
            verb = self.hear().partition(" ")[0].upper()
            if verb == "DATA":
                self.say(replies.get("DATA", "354 go on"))
                while self.hear() != ".":
                    pass
                self.say(replies.get("dot", "250 2.0.0 taken"))
                return
            if verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            self.say(replies.get(verb, "250 2.0.0 ok"))

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Answer STARTTLS and shake hands."""
        assert self.hear().upper() == "STARTTLS"
        self.say("220 go on")
        self._file.close()
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self._file = self._socket.makefile("rb")

    def wait(self) -> None:
        """Say nothing until the client goes."""
        while self._file.readline():
            pass

    def reset(self) -> None:
        """RST instead of FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()
            self._socket.close()


@contextmanager
def faulty_hop(behaviour: Behaviour) -> Iterator[int]:
    """A server whose every connection goes that way; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def converse(connection: socket.socket) -> None:
        conversation = Conversation(connection)
        with suppress(OSError, ssl.SSLError):
            behaviour(conversation)
        conversation.close()

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(60)
                threading.Thread(target=converse, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
