"""One connection: TLS, signing in, and the few commands that a monitored mailbox needs."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable, Iterator

from mta.adapters.mailbox.pop3.failures import Stage, failures, nonsense, refusal
from mta.adapters.mailbox.stream import Stream
from mta.model.printable import in_a_line
from mta.ports.mailbox import MailboxUnavailableError, SignInError, TlsFailedError

_LINE_ROOM = 64_000
_LIST_ROOM = 8_000_000
"""Octets of a list, which is enough for 100,000 messages."""
_END = b"\r\n.\r\n"
_UNIQUE_ID = re.compile(r"(\d{1,9}) ([!-~]{1,200})\s*\Z")
_SIZE = re.compile(r"(\d{1,9}) (\d{1,15})\b")
_NO_WORD = re.compile(r"[\0\r\n]")


class Client:
    """Connected, over TLS where that is configured, not signed in. Raises MailboxError."""

    def __init__(
        self, host: str, port: int, *, name: str, implicit: bool, context: ssl.SSLContext | None, timeout_s: float,
        opened: Callable[[Stream], None] | None = None,
    ) -> None:  # fmt: skip
        """`opened`: as a Stream has it."""
        self.is_broken = False
        """In the midst of an answer that nobody reads any more."""
        with failures("connect"):
            self._stream = Stream(
                host, port, name=name, context=context if implicit else None, timeout_s=timeout_s, opened=opened
            )
        try:
            with failures("connect"):
                self.greeting = in_a_line(self._answer("connect"), 100)
                if context is not None and not implicit:
                    self._start_tls(context)
                self._capabilities = self._asked_capabilities()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """At once, without a word: what was marked as deleted is not."""
        self._stream.close()

    def _start_tls(self, context: ssl.SSLContext) -> None:
        """RFC 2595 §4. A server that refuses is left: somebody may be between."""
        self._send("STLS")
        if not self._stream.readline().startswith(b"+OK"):
            raise TlsFailedError("no-starttls", "the server doesn't offer STLS")
        self._stream.start_tls(context)

    def _asked_capabilities(self) -> dict[str, tuple[str, ...]]:
        """RFC 2449 §5; servers without CAPA refuse it."""
        self._send("CAPA")
        if not self._stream.readline().startswith(b"+OK"):
            return {}
        words = [line.split() for line in self._lines()]
        return {each[0].upper(): tuple(word.upper() for word in each[1:]) for each in words if each}

    # --- signing in ---------------------------------------------------------------------------------------------------

    def sign_in_by_password(self, user: str, password: str) -> None:
        """SASL PLAIN (RFC 4616, RFC 5034), else USER and PASS."""
        if "PLAIN" in self._capabilities.get("SASL", ()):
            self._authenticate("PLAIN", f"\0{user}\0{password}")
            return
        if _NO_WORD.search(user + password):
            raise SignInError("no-password", "user or password holds an octet that can't be said here")
        self._ask(f"USER {user}", "sign-in")
        self._ask(f"PASS {password}", "sign-in")

    def sign_in_by_token(self, user: str, token: str) -> None:
        """https://developers.google.com/workspace/gmail/imap/xoauth2-protocol, which Exchange and Dovecot have, too."""
        self._authenticate("XOAUTH2", f"user={user}\1auth=Bearer {token}\1\1")

    def _authenticate(self, mechanism: str, words: str) -> None:
        """The words in a line of their own: with the command they may be longer than its line may be (RFC 5034 §4)."""
        with failures("sign-in"):
            self._send(f"AUTH {mechanism}")
            line = self._stream.readline()
            if line.startswith(b"+ ") or line.strip() == b"+":
                self._send(base64.b64encode(words.encode("utf-8", "replace")).decode())
                line = self._stream.readline()
            if line.startswith(b"+ "):  # why it is refused; then it waits for us to say that we have read it
                self._send("")
                line = self._stream.readline()
            self._checked(line, "sign-in")

    # --- the maildrop -------------------------------------------------------------------------------------------------

    def unique_ids(self) -> Iterator[tuple[int, str]]:
        """Number and unique-id of each message. To be read to its end."""
        with failures("read"):
            self._send("UIDL", _LIST_ROOM)
            line = self._stream.readline()
            if line.startswith(b"-ERR"):
                raise MailboxUnavailableError("no-uidl", "the server has no UIDL, so messages can't be told apart")
            self._checked(line, "read")
            for told in self._lines():
                if match := _UNIQUE_ID.match(told):
                    yield int(match[1]), match[2]

    def sizes(self) -> Iterator[tuple[int, int]]:
        """Number and octets of each message. To be read to its end."""
        with failures("read"):
            self._send("LIST", _LIST_ROOM)
            self._answer("read")
            for told in self._lines():
                if match := _SIZE.match(told):
                    yield int(match[1]), int(match[2])

    def retrieve(self, number: int, room: int) -> Iterator[bytes]:
        """The message in pieces, CRLF line ends, without dot-stuffing; of no more than so many octets on the wire.

        It is to be read to its end: until then the connection is of no other use.
        """
        self.is_broken = True
        with failures("read"):
            self._send(f"RETR {number}", room)
            line = self._stream.readline()
            if not line.startswith(b"+OK"):
                self.is_broken = False
            self._checked(line, "read")
            # The end of that line is the one before the message: so its first line is one like others.
            self._stream.unread(b"\r\n")
        is_first = True
        for piece in self._unstuffed():
            yield piece[2:] if is_first else piece
            is_first = False
        if not is_first:
            yield b"\r\n"
        self.is_broken = False

    def _unstuffed(self) -> Iterator[bytes]:
        """Up to the final dot. Each piece but the last is cut before a line end, which goes with what follows it."""
        tail, is_end = b"", False
        while not is_end:
            with failures("read"):
                piece, is_end = self._stream.read_to(_END)
            text = tail + piece
            at = len(text) if is_end else _cut(text)
            tail = text[at:]
            if at:
                yield text[:at].replace(b"\r\n.", b"\r\n")

    def delete(self, number: int) -> None:
        """It goes when we QUIT."""
        self._ask(f"DELE {number}", "read")

    def quit(self) -> None:
        """What was deleted goes for good. Raises OutcomeUnknownError where the server doesn't say that it has."""
        self._ask("QUIT", "quit")

    # --- lines --------------------------------------------------------------------------------------------------------

    def _ask(self, command: str, stage: Stage) -> str:
        with failures(stage):
            self._send(command)
            return self._answer(stage)

    def _send(self, line: str, room: int = _LINE_ROOM) -> None:
        self._stream.begin(room)
        self._stream.send(line.encode("utf-8", "replace") + b"\r\n")

    def _answer(self, stage: Stage) -> str:
        return self._checked(self._stream.readline(), stage)

    @staticmethod
    def _checked(line: bytes, stage: Stage) -> str:
        word, _, text = line.decode("utf-8", "replace").strip().partition(" ")
        if word == "-ERR":
            raise refusal(stage, text)
        if word != "+OK":
            raise nonsense(stage)
        return text

    def _lines(self) -> Iterator[str]:
        """Of an answer of several, up to the final dot; none of them can begin with one of its own."""
        while (line := self._stream.readline().rstrip(b"\r\n")) != b".":
            yield line.decode("ascii", "replace")


def _cut(text: bytes) -> int:
    """Where a piece may end, so that a line end and the dot behind it stay together."""
    at = text.rfind(b"\r\n")
    if at > 0 or (at == 0 and len(text) == 2):
        return at
    return len(text) - text.endswith(b"\r")
