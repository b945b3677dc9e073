"""A blocking SMTP client that says exactly what it is told to, for tests at socket level."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply; the lines of a long one are joined by line feeds, without their codes."""

    code: int
    text: str

    @property
    def queue_id(self) -> str:
        """The queue id in the 250 to the end of data."""
        assert self.code == 250, self
        return self.text.split()[-1]


def dot_stuffed(content: bytes) -> bytes:
    """RFC 5321 §4.5.2, with the final dot."""
    stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") or not stuffed else b"\r\n.\r\n")


class SmtpClient:
    """One session, greeted with EHLO unless `helo` is empty; `source` is an address of this machine to come from."""

    def __init__(
        self, port: int, *, helo: str = "exchange.example.com", timeout_s: float = 60, source: str = ""
    ) -> None:
        whence = (source, 0) if source else None
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s, source_address=whence)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        try:
            self.greeting = self.answer()
            self.extensions = self.command(b"EHLO " + helo.encode()).text if helo else ""
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> Answer:
        """Read one reply. Raises ConnectionError where the server has gone."""
        lines: list[str] = []
        while True:
            line = self._file.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError(f"connection ended after {[*lines, line]!r}")
            lines.append(line[4:].decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                return Answer(int(line[:3]), "\n".join(lines))

    def command(self, line: bytes) -> Answer:
        self.write(line + b"\r\n")
        return self.answer()

    def start_tls(self, context: ssl.SSLContext, *, helo: str = "exchange.example.com") -> None:
        """STARTTLS, the handshake, and EHLO again unless `helo` is empty."""
        answer = self.command(b"STARTTLS")
        assert answer.code == 220, answer
        self._file.close()
        self._socket = context.wrap_socket(self._socket, server_hostname="relay.example.com")
        self._file = self._socket.makefile("rb")
        self.extensions = self.command(b"EHLO " + helo.encode()).text if helo else ""

    def write_raw(self, data: bytes) -> None:
        """Past TLS."""
        with socket.socket(fileno=os.dup(self._socket.fileno())) as wire:
            wire.sendall(data)

    def rest(self) -> bytes:
        """Whatever comes until the server closes; a reset counts as closing."""
        pieces: list[bytes] = []
        try:
            while piece := self._file.read1(65_536):
                pieces.append(piece)
        except ConnectionError:
            pass
        return b"".join(pieces)

    def half_close(self) -> None:
        """Say no more, and go on listening, unless the server has gone already."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with an RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, mail_from: str, rcpt_to: Sequence[str], content: bytes, *, parameters: str = "") -> Answer:
        """One transaction; the answer is the first refusal of a command, or the one to the end of data."""
        opening = [f"MAIL FROM:<{mail_from}>{parameters}", *(f"RCPT TO:<{path}>" for path in rcpt_to), "DATA"]
        self.write("".join(line + "\r\n" for line in opening).encode())
        answers = [self.answer() for _ in opening]
        if answers[-1].code != 354:
            self.command(b"RSET")
            return next(answer for answer in answers if answer.code >= 400)
        self.write(dot_stuffed(content))
        return self.answer()


def send(port: int, mail_from: str, rcpt_to: Sequence[str], content: bytes, *, parameters: str = "") -> Answer:
    """One message in a session of its own."""
    with SmtpClient(port) as client:
        return client.send(mail_from, rcpt_to, content, parameters=parameters)
