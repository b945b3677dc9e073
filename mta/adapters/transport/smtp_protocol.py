"""The client's side of one SMTP session, without I/O: received bytes in; events, and bytes to send, out.

The order of a session: greeting, EHLO (HELO where that is refused), STARTTLS and EHLO again where wanted, AUTH,
`Ready`; then any number of transactions, each begun by `begin` and ended by `Done`; then QUIT. With PIPELINING
(RFC 2920) MAIL, all RCPTs and DATA are one write; without, each waits for the reply before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from mta.adapters.transport.smtp_auth import Credentials, exchange
from mta.adapters.transport.smtp_commands import Answer, Extensions, Transaction, parse_extensions, plan
from mta.adapters.transport.smtp_replies import ProtocolError, RemoteReply, ReplyReader
from mta.model.delivery import Misfit
from mta.model.reply import Reply

TlsMode = Literal["none", "opportunistic", "required"]


@dataclass(frozen=True, slots=True)
class Ready:
    """The session can take a transaction."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """The server awaits the TLS handshake; when it is done, call `tls_started`."""


@dataclass(frozen=True, slots=True)
class SendContent:
    """The server awaits the dot-stuffed content with its final dot; when it is written, call `content_sent`."""


@dataclass(frozen=True, slots=True)
class Done:
    """A transaction is over."""

    answers: tuple[Answer, ...]
    """One for each recipient, in their order."""
    can_retry: bool = False
    """The session ended before the final dot was sent: the server has accepted nothing of the message."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; the connection is of no more use."""

    answer: Answer
    is_login_refused: bool = False
    """The server does not take our user and password, or has no way to take them."""


Event = Ready | StartTls | SendContent | Done | Closed


class _Stage(Enum):
    OPENING = "opening"
    HANDSHAKE = "handshake"
    READY = "ready"
    TRANSACTION = "transaction"
    CONTENT = "content"
    CLOSED = "closed"


_Handler = Callable[[RemoteReply], None]
_Step = tuple[str, bytes, _Handler]
_READY = Ready()
_START_TLS = StartTls()
_SEND_CONTENT = SendContent()


class SmtpSession:
    """Feed it with `receive`, send what `to_send` gives after each call."""

    def __init__(
        self, hostname: str, tls: TlsMode = "none", credentials: Credentials | None = None, *, in_tls: bool = False
    ) -> None:
        self._hostname = hostname.encode("ascii")
        self._tls_mode = tls
        self._in_tls = in_tls
        self._credentials = credentials
        self._auth_answers: deque[bytes] = deque()
        self._reader = ReplyReader()
        self._stage = _Stage.OPENING
        self._awaited: deque[tuple[str, _Handler]] = deque([("the greeting", self._on_greeting)])
        self._steps: deque[_Step] = deque()
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._needs_reset = False
        self._answers: list[Answer | None] = []
        self._rcpt: tuple[tuple[int, bytes], ...] = ()
        self._rcpt_replies = 0
        self._accepted: list[int] = []
        self._dot_sent = False
        self._asks_only = False
        self.extensions = Extensions()
        self.replies = 0
        """Replies received so far: whether the server moves at all."""

    # --- what the I/O calls ------------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether `begin` may be called."""
        return self._stage is _Stage.READY

    @property
    def is_closed(self) -> bool:
        return self._stage is _Stage.CLOSED

    @property
    def awaits(self) -> str:
        """What the server owes us, in words for an error text."""
        if self._awaited:
            return f"the reply to {self._awaited[0][0]}" if self._stage is not _Stage.OPENING else self._awaited[0][0]
        return "the content to be taken" if self._stage is _Stage.CONTENT else "nothing"

    def to_send(self) -> bytes:
        """What to write now, b"" if nothing; each byte is given once."""
        if not self._out:
            return b""
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes) -> list[Event]:
        """Take received bytes, cut anywhere."""
        self._reader.feed(data)
        try:
            while self._stage is not _Stage.CLOSED:
                if self._stage is _Stage.HANDSHAKE and self._reader.has_leftover:
                    raise ProtocolError("answers injected behind STARTTLS")
                reply = self._reader.next()
                if reply is None:
                    break
                self.replies += 1
                self._take(reply)
        except ProtocolError as error:
            self._close(Answer(Reply(451, "4.5.0", f"The remote server broke the protocol: {error}")))
        return self._take_events()

    def begin(self, transaction: Transaction) -> list[Event]:
        """Start a transaction; gives `Done` at once where nothing can be sent. Raises RuntimeError if not ready."""
        if self._stage is not _Stage.READY:
            raise RuntimeError("a transaction needs a session that is ready")
        commands = plan(transaction, self.extensions)
        self._answers = [commands.refused.get(i) for i in range(len(transaction.recipients))]
        if not commands.rcpt:
            self._done()
            return self._take_events()
        self._stage = _Stage.TRANSACTION
        self._rcpt, self._rcpt_replies, self._accepted, self._dot_sent = commands.rcpt, 0, [], False
        if self._needs_reset:
            self._steps.append(("RSET", b"RSET\r\n", self._on_rset))
        self._steps.append(("MAIL FROM", commands.mail, self._on_mail))
        self._steps.extend(("RCPT TO", line, self._on_rcpt) for _, line in commands.rcpt)
        self._asks_only = transaction.asks_only
        if not self._asks_only:
            self._steps.append(("DATA", b"DATA\r\n", self._on_data))
        self._go_on()
        return []

    def content_sent(self) -> None:
        """The content was written, final dot included."""
        if self._stage is _Stage.CONTENT:
            self._stage = _Stage.TRANSACTION
            self._dot_sent = True
            self._awaited.append(("the end of the message", self._on_end))

    def tls_started(self) -> None:
        """The TLS handshake is done; what was learnt in clear text is forgotten (RFC 3207 §4.2)."""
        self._in_tls = True
        self._reader = ReplyReader()
        self._stage = _Stage.OPENING
        self.extensions = Extensions()
        self._send("EHLO", b"EHLO %b\r\n" % self._hostname, self._on_ehlo)

    def quit(self) -> None:
        """Say good-bye; `Closed` follows the server's answer."""
        if self._stage is _Stage.READY:
            self._stage = _Stage.TRANSACTION
            self._send("QUIT", b"QUIT\r\n", self._on_quit)

    def lost(self) -> list[Event]:
        """The connection ended. After the final dot nobody knows whether the message was taken: temporary, 4.4.2."""
        return self.fail(Reply(451, "4.4.2", f"Connection lost while waiting for {self.awaits}"))

    def fail(self, reply: Reply) -> list[Event]:
        """End the session for a reason of ours, such as a time-out."""
        self._close(Answer(reply))
        return self._take_events()

    # --- the opening -------------------------------------------------------------------------------------------------

    def _on_greeting(self, reply: RemoteReply) -> None:
        if reply.code == 220:
            self._send("EHLO", b"EHLO %b\r\n" % self._hostname, self._on_ehlo)
        else:
            self._close(Answer.of(reply))

    def _on_ehlo(self, reply: RemoteReply) -> None:
        if reply.code == 250:
            self.extensions = parse_extensions(reply.lines)
            self._after_hello()
        elif reply.code >= 500:
            self._send("HELO", b"HELO %b\r\n" % self._hostname, self._on_helo)
        else:
            self._close(Answer.of(reply))

    def _on_helo(self, reply: RemoteReply) -> None:
        if reply.code == 250:
            self._after_hello()
        else:
            self._close(Answer.of(reply))

    def _after_hello(self) -> None:
        if self._tls_mode == "none" or self._in_tls:
            self._log_in()
        elif self.extensions.starttls:
            self._send("STARTTLS", b"STARTTLS\r\n", self._on_starttls)
        elif self._tls_mode == "opportunistic":
            self._log_in()
        else:
            self._close(Answer(Reply(451, "4.7.4", "TLS is required and the next hop does not offer STARTTLS")))

    def _on_starttls(self, reply: RemoteReply) -> None:
        if reply.code == 220:
            self._stage = _Stage.HANDSHAKE
            if not self._reader.has_leftover:
                self._events.append(_START_TLS)
        elif self._tls_mode == "opportunistic" and reply.code >= 400:
            self._log_in()
        else:
            self._close(Answer(Reply(451, "4.7.4", "TLS is required and the next hop refused it"), reply.words))

    def _log_in(self) -> None:
        credentials = self._credentials
        if credentials is None:
            self._become_ready()
        elif not (self._in_tls or credentials.in_clear_text):
            self._close(Answer(Reply(451, "4.7.0", "The password would cross the network in clear text")), refused=True)
        elif (steps := exchange(credentials, self.extensions.auth)) is None:
            text = "The next hop offers no AUTH by PLAIN or LOGIN"
            self._close(Answer(Reply(451, "4.7.0", text)), refused=True)
        else:
            self._auth_answers.extend(steps.answers)
            self._send("AUTH", steps.command, self._on_auth)

    def _on_auth(self, reply: RemoteReply) -> None:
        if reply.code == 235:
            self._credentials = None
            self._become_ready()
        elif reply.code == 334 and self._auth_answers:
            self._send("AUTH", self._auth_answers.popleft(), self._on_auth)
        else:
            assert self._credentials is not None
            said = self._credentials.taken_out_of(str(reply.reply()))
            is_refusal = reply.code >= 500 or reply.code == 334
            text = f"The next hop does not take our user and password: {said}"
            self._close(Answer(Reply(451, "4.7.8" if is_refusal else "4.7.0", text)), refused=is_refusal)

    def _become_ready(self) -> None:
        self._stage = _Stage.READY
        self._events.append(_READY)

    # --- a transaction -----------------------------------------------------------------------------------------------

    def _on_rset(self, reply: RemoteReply) -> None:
        self._needs_reset = False
        if reply.code != 250:
            self._close(Answer(Reply(451, "4.5.0", "The remote server refused RSET"), reply.words))

    def _on_mail(self, reply: RemoteReply) -> None:
        self._needs_reset = True
        if reply.code >= 400:
            answer = _judged(reply, is_mail=True)
            if self._asks_only:  # it says nothing of the recipients
                answer = Answer(Reply(451, "4.3.0", f"The next hop takes no MAIL FROM: {answer.reply}"), answer.words)
            self._refuse([position for position, _ in self._rcpt], answer)
            if not self.extensions.pipelining:
                self._finish()

    def _on_rcpt(self, reply: RemoteReply) -> None:
        position = self._rcpt[self._rcpt_replies][0]
        self._rcpt_replies += 1
        if reply.code >= 400:
            self._refuse([position], _judged(reply))
        elif self._answers[position] is None:
            self._accepted.append(position)
        if self._rcpt_replies < len(self._rcpt):
            return
        if self._asks_only:
            self._refuse(self._accepted, Answer.of(reply))
            self._finish()
        elif not self._accepted and not self.extensions.pipelining:
            self._finish()

    def _on_data(self, reply: RemoteReply) -> None:
        if reply.code >= 400:
            self._refuse(self._accepted, _judged(reply))
            self._finish()
        elif self._accepted:
            self._stage = _Stage.CONTENT
            self._events.append(_SEND_CONTENT)
        else:
            # RFC 2920 §3.1: DATA was already on its way when all recipients were refused, and the server took it.
            self._send("the end of an empty message", b".\r\n", self._on_end)

    def _on_end(self, reply: RemoteReply) -> None:
        self._needs_reset = False
        self._refuse(self._accepted, _judged(reply))
        self._finish()

    def _refuse(self, positions: list[int], answer: Answer) -> None:
        """Give an answer to those that have none yet."""
        for position in positions:
            if self._answers[position] is None:
                self._answers[position] = answer

    def _finish(self) -> None:
        self._steps.clear()
        self._stage = _Stage.READY
        self._done()

    def _done(self, *, can_retry: bool = False) -> None:
        answers = tuple(answer for answer in self._answers if answer is not None)
        self._answers = []
        self._events.append(Done(answers, can_retry))

    # --- below all ---------------------------------------------------------------------------------------------------

    def _on_quit(self, reply: RemoteReply) -> None:
        self._close(Answer.of(reply))

    def _take(self, reply: RemoteReply) -> None:
        """Give a reply to whom it belongs; the codes that each command can be answered with are checked here."""
        if reply.code == 421:
            self._close(Answer.of(reply))
        elif not self._awaited:
            self._take_unasked(reply)
        else:
            name, handler = self._awaited.popleft()
            if (reply.code < 300 and name == "DATA") or (300 <= reply.code < 400 and name not in ("DATA", "AUTH")):
                raise ProtocolError(f"{reply.code} to {name}")
            handler(reply)
            if self._steps and not self._awaited:
                self._go_on()

    def _take_unasked(self, reply: RemoteReply) -> None:
        """A server may refuse a message before it has all of it; then nobody knows any more where DATA ends."""
        if self._stage is not _Stage.CONTENT or reply.code < 400:
            raise ProtocolError(f"an answer that nobody asked for ({reply.code})")
        self._refuse(self._accepted, _judged(reply))
        self._close(Answer.of(reply))

    def _go_on(self) -> None:
        """Send the next step of a transaction, or all of them where the server takes them so."""
        while self._steps:
            self._send(*self._steps.popleft())
            if not self.extensions.pipelining:
                break

    def _send(self, name: str, line: bytes, handler: _Handler) -> None:
        self._out.append(line)
        self._awaited.append((name, handler))

    def _close(self, answer: Answer, *, refused: bool = False) -> None:
        if self._stage is _Stage.CLOSED:
            return
        self._stage = _Stage.CLOSED
        self._awaited.clear()
        self._steps.clear()
        self._out.clear()
        if self._answers:
            can_retry = not self._dot_sent and any(given is None for given in self._answers)
            self._refuse(list(range(len(self._answers))), _temporary(answer))
            self._done(can_retry=can_retry)
        self._events.append(Closed(answer, refused))

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events


_WANTS_LOGIN = frozenset({530, 534, 535, 538})
"""RFC 4954 §6, RFC 3207 §4: what the server demands is TLS or AUTH, which is for an administrator to set up."""


def _judged(reply: RemoteReply, *, is_mail: bool = False) -> Answer:
    """A refusal of a message, as it counts for us: what is no fault of the message's is temporary."""
    answer = Answer.of(reply)
    if reply.code in _WANTS_LOGIN:
        text = f"The next hop wants to know us, by AUTH or TLS: {answer.reply}"
        return Answer(Reply(451, "4.7.0", text), answer.words)
    if reply.code == 552 and (answer.reply.status == "5.3.4" or (is_mail and answer.reply.status == "5.0.0")):
        return Answer(answer.reply, answer.words, Misfit.SIZE)
    return answer


def _temporary(answer: Answer) -> Answer:
    """The end of a session says nothing final about a message."""
    reply = answer.reply
    if reply.is_temporary:
        return answer
    return Answer(Reply(451, "4.4.2", f"The remote server ended the session: {reply}"), answer.words)
