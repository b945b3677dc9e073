"""An IMAP server that answers as it is told: refusals that no real one gives when asked, and what is no IMAP."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from tests.servers.wait import wait_until

Answer = bytes | None | Callable[[bytes], Iterable[bytes]]
"""`$` in it is the command's tag; b"" ends the connection, None says nothing at all. Or pieces, made from the command:
they may be endless."""
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")
DEFAULTS = {
    b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN UIDPLUS SPECIAL-USE\r\n$ OK done\r\n",
    b"AUTHENTICATE": b"$ OK done\r\n",
    b"LIST": b'* LIST (\\Sent) "/" Sent\r\n$ OK done\r\n',
    b"SELECT": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 1] it\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] they\r\n"
    b"$ OK [READ-WRITE] done\r\n",
    b"SEARCH": b"* SEARCH\r\n$ OK done\r\n",
    b"NAMESPACE": b'* NAMESPACE (("" "/")) NIL NIL\r\n$ OK done\r\n',
    b"LOGOUT": b"* BYE see you\r\n$ OK done\r\n",
    b"NOOP": b"$ OK done\r\n",
}


@dataclass
class ScriptedImap:
    """Answers by the command's name, or by several words that all stand in it."""

    port: int
    greeting: bytes
    answers: dict[bytes, Answer]
    context: ssl.SSLContext | None
    """For STARTTLS."""
    refuse_for: bytes = b"\0"
    """Who signs in with words that begin so is refused."""
    commands: list[bytes] = field(default_factory=list)
    """All that came, literals included, of all connections."""
    _connected: int = 0
    _open: list[socket.socket] = field(default_factory=list)
    _serving: list[threading.Thread] = field(default_factory=list)

    def wait_for(self, word: bytes) -> None:
        wait_until(lambda: any(word in command for command in self.commands), 60, f"{word!r}")

    def wait_for_at_most(self, connections: int) -> None:
        wait_until(lambda: self._connected <= connections, 60, "the end of connections")

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
        self._serve(connection)
        self._connected -= 1

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), ExitStack() as opened:
            opened.callback(_end, connection)
            connection.sendall(self.greeting)
            stream = opened.enter_context(connection.makefile("rb"))
            while command := self._command(stream, connection):
                self.commands.append(command)
                tag, _, rest = command.partition(b" ")
                name = rest.removeprefix(b"UID ").split(None, 1)[0].upper()
                answer = self._answer_to(name, rest)
                if callable(answer):
                    for piece in answer(rest):
                        connection.sendall(piece.replace(b"$", tag))
                    continue
                if name == b"AUTHENTICATE" and answer:
                    connection.sendall(b"+ \r\n")
                    self.commands.append(stream.readline())
                    if self.commands[-1].startswith(self.refuse_for):
                        answer = b"$ NO [AUTHENTICATIONFAILED] not for you\r\n"
                if answer == b"":
                    break
                connection.sendall((answer or b"").replace(b"$", tag))
                if answer is not None and b"* BYE" in answer:
                    break
                if name == b"STARTTLS" and self.context is not None and b" OK" in (answer or b""):
                    connection = self.context.wrap_socket(connection, server_side=True)
                    opened.callback(_end, connection)
                    stream = opened.enter_context(connection.makefile("rb"))

    def _answer_to(self, name: bytes, rest: bytes) -> Answer:
        for words, answer in self.answers.items():
            if b" " in words and all(word in rest for word in words.split()):
                return answer
        return self.answers.get(name, b"$ BAD what?\r\n")

    @staticmethod
    def _command(stream: object, connection: socket.socket) -> bytes:
        command = bytes(stream.readline())  # type: ignore[attr-defined]
        while match := _LITERAL.search(command):
            if not match[2]:
                connection.sendall(b"+ go on\r\n")
            command += stream.read(int(match[1])) + stream.readline()  # type: ignore[attr-defined]
        return command


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def scripted_imap(
    answers: Mapping[bytes, Answer] | None = None,
    *,
    greeting: bytes = b"* OK ready\r\n",
    context: ssl.SSLContext | None = None,
) -> Iterator[ScriptedImap]:
    """Listens on a free port of the loopback address; `answers` by name of command, beside DEFAULTS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = ScriptedImap(int(listener.getsockname()[1]), greeting, {**DEFAULTS, **(answers or {})}, context)
        thread = threading.Thread(target=server._listen, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)
            server.close()
