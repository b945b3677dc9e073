"""The connection below IMAPClient: bounded in time and octets, its TLS as configured."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Callable
from typing import Any

from mta.adapters.mailbox.mime_item import LARGEST_OCTETS
from mta.adapters.mailbox.stream import Stream

ANSWER_MAX = LARGEST_OCTETS + 2_000_000


class Wire(imaplib.IMAP4):
    """`host` is the server; its certificate has to carry `name`. With `context`, TLS begins at once.

    Raises OSError where it can't be reached, time runs out or more comes than there is room for, imaplib's `abort`
    where it answers nonsense.
    """

    def __init__(
        self, host: str, port: int, *, name: str, context: ssl.SSLContext | None, timeout_s: float,
        room: int = ANSWER_MAX, opened: Callable[[Stream], None] | None = None,
    ) -> None:  # fmt: skip
        self._name = name
        self._opened = opened
        self._context = context
        self._timeout_s = timeout_s
        self.room = room
        """So many octets may answer a command."""
        self.sent = 0
        """Pieces of the last command: its line, for APPEND then the message. From then on nobody knows what a broken
        connection left done."""
        super().__init__(host, port)

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self._stream = Stream(
            host, port, name=self._name, context=self._context, timeout_s=self._timeout_s, opened=self._opened
        )
        self.sock = self._stream.sock

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> Any:
        """RFC 3501 §6.2.1. Nothing that came before TLS is believed, or kept."""
        assert ssl_context is not None
        kind, data = self._simple_command("STARTTLS")
        if kind == "OK":
            self._stream.start_tls(ssl_context)
            self.sock = self._stream.sock
            self._tls_established = True
            self.untagged_responses = {}
            self._get_capabilities()
        return kind, data

    def read(self, size: int) -> bytes:
        return self._stream.read(size)

    def readline(self) -> bytes:
        return self._stream.readline()

    def send(self, data: bytes) -> None:  # type: ignore[override]
        self.sent += 1
        self._stream.send(data)

    def farewell(self) -> str:
        """What the server said with BYE, "" if it said nothing."""
        said = self.untagged_responses.get("BYE", [b""])[-1]
        return said.decode("utf-8", "replace") if isinstance(said, bytes) else ""

    def break_off(self) -> None:
        """End the connection below TLS, which another thread may be using; it stays that thread's to close."""
        self._stream.break_off()

    def shutdown(self) -> None:
        self._stream.close()

    def _new_tag(self) -> bytes:
        """Each command begins with one, whoever sends it."""
        self._stream.begin(self.room)
        self.sent = 0
        kept = {"CAPABILITY", "BYE"}
        self.untagged_responses = {kind: data for kind, data in self.untagged_responses.items() if kind in kept}
        return super()._new_tag()  # type: ignore[misc, no-any-return]
