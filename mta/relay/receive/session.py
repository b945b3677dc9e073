"""The SMTP dialogue (RFC 5321 §4) of one connection.

Every command of aiosmtpd's server class is replaced: its replies lack enhanced codes (RFC 2034) and its checks are too
loose. Numbers in brackets name its weaknesses that are closed here:
[3] a fault behind us answered with a permanent 500 and its text, [5] a second STARTTLS, [6] no limit for refused
recipients and junk, [7] loose paths, [8] parameters in upper case and missing extensions, [11] command limits that grow
with each EHLO, [13] a banner with a version, octets beyond ASCII without SMTPUTF8.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from mta import events
from mta.model.address import Address
from mta.model.delivery import Body
from mta.model.envelope import Client, Envelope
from mta.model.reply import INTERNAL_ERROR, MailError, Reply
from mta.relay.receive import replies
from mta.relay.receive.commands import CommandError, MailArguments, parse_mail, parse_recipient
from mta.relay.receive.connection import Connection
from mta.relay.receive.incoming import TOO_LARGE, IncomingMessage

if TYPE_CHECKING:
    from mta.relay.receive.server import RelayListener


_HOST_NAME = re.compile(r"[!-~]{1,255}\Z")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_BEFORE_TLS = frozenset({"NOOP", "EHLO", "STARTTLS", "QUIT"})  # RFC 3207 §4
_BEYOND_ASCII = frozenset({"MAIL", "RCPT", "VRFY"})
_OTHER_PROTOCOLS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_RECIPIENT_OVERSHOOT = 1000
_REPLY_MAX = 510

_Answer = TypeVar("_Answer")


class RelaySession(Connection):
    """One client's session."""

    def __init__(self, listener: RelayListener, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(listener, loop)
        self._client: Client | None = None
        """None until HELO or EHLO."""
        self._mail: MailArguments | None = None
        self._recipients: dict[str, Address] = {}
        self._overshoot = 0
        self._errors = 0
        self._junk = 0
        self._verb = ""
        """The command that is being answered, for the log; "" where it is none, as it may be anything then."""

    async def _converse(self) -> None:
        self._say(self.settings.banner)
        while (line := await self._line()) is not None:
            await self._command(line)
            self._verb = ""

    async def _command(self, line: bytes) -> None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self._refuse(replies.BAD_OCTETS)
            return
        verb, _, argument = text.rstrip(" ").partition(" ")
        verb = verb.upper()
        command = _COMMANDS.get(verb)
        self._verb = verb if command is not None else ""
        if _CONTROL.search(line):
            self._refuse(replies.BAD_OCTETS)
        elif command is None:
            self._refuse_unknown(verb)
        elif self.settings.tls_required and not self.tls and verb not in _BEFORE_TLS:
            self._refuse(replies.NEEDS_TLS)
        elif not text.isascii() and verb not in _BEYOND_ASCII:
            self._refuse(replies.NEEDS_ASCII)
        else:
            await command(self, argument)

    # --- replies ---

    def _refuse(self, reply: bytes) -> None:
        """Answer a command with a refusal that counts as the client's error [6]."""
        events.command_refused(self.settings.name, client=self.ip, command=self._verb, reply=reply.decode().rstrip())
        self._count_error(reply)

    def _count_error(self, reply: bytes) -> None:
        self._errors += 1
        self._say(reply)
        if self._errors >= self.settings.errors:
            self._end(replies.TOO_MANY_ERRORS, "too many errors")

    def _say_to_junk(self, reply: bytes) -> None:
        """Answer a command that brings no message nearer; too many of them in a row end the session [6]."""
        self._junk += 1
        self._say(reply)
        if self._junk >= self.settings.junk_commands:
            self._end(replies.TOO_MUCH_JUNK, "too many junk commands")

    def _refuse_unknown(self, verb: str) -> None:
        """A browser or proxy made to talk to us is cut off before it gets to what an attacker put into its body."""
        if verb in _OTHER_PROTOCOLS or verb.endswith(":"):
            self._end(replies.NOT_SMTP, "not SMTP")
        else:
            self._refuse(replies.UNKNOWN_COMMAND)

    def _answer(self, reply: Reply) -> None:
        """Pass on a reply from policy or the rest of the relay. Only 5yz count: 4yz are our own trouble."""
        if reply.is_permanent:
            self._count_error(_encode(reply))
        else:
            self._say(_encode(reply))

    async def _ask(self, answer: Awaitable[_Answer]) -> _Answer | Reply:
        """The receiver's answer; 451 and a reset where it fails [3]. What went wrong is for the log alone."""
        try:
            return await answer
        except MailError as exc:
            return exc.reply
        except Exception as exc:  # noqa: BLE001 - the edge: whatever fails behind us is a temporary error to the client
            events.internal_error("receive", error=repr(exc), traceback=traceback.format_exc())
            self._reset()
            return INTERNAL_ERROR

    # --- greeting ---

    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802 - aiosmtpd's naming
        if self._greeted(hostname, esmtp=True):
            self._say_to_junk(self.settings.ehlo_tls if self.tls else self.settings.ehlo_clear)

    async def smtp_HELO(self, hostname: str | None) -> None:  # noqa: N802
        if self._greeted(hostname, esmtp=False):
            self._say_to_junk(f"250 {self.settings.hostname}\r\n".encode("ascii"))

    def _greeted(self, hostname: str | None, *, esmtp: bool) -> bool:
        if not hostname or not _HOST_NAME.match(hostname):
            self._refuse(replies.NEEDS_HOST_NAME)
            return False
        self._reset()
        settings = self.settings
        self._client = Client(self.ip, self.port, hostname, settings.name, settings.role, self.tls, esmtp)
        return True

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802
        context = self.settings.ssl_context
        if self.tls:
            self._refuse(replies.TLS_IS_ON)  # [5]
        elif context is None:
            self._refuse(replies.NOT_IMPLEMENTED)
        elif arg:
            self._refuse(replies.NO_ARGUMENT)
        else:
            await self._flush()
            if await self._upgrade(replies.READY_FOR_TLS, context):
                # What was said in clear text may have been said by somebody else (RFC 3207 §4.2).
                self._client = None
                self._reset()

    # --- the envelope ---

    def _reset(self) -> None:
        self._mail = None
        self._recipients.clear()
        self._overshoot = 0

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if self._client is None:
            self._refuse(replies.NEEDS_HELO)
            return
        if self._mail is not None:
            self._refuse(replies.NESTED_MAIL)
            return
        self.settings = settings = self.listener.settings
        try:
            mail = parse_mail(arg or "", esmtp=self._client.esmtp, smtputf8_offered=settings.smtputf8)
        except CommandError as exc:
            self._refuse(_encode(exc.reply))
            return
        if mail.size_octets > settings.size_octets:
            self._refuse(_encode(TOO_LARGE))
            return
        refusal = await self._ask(self.listener.receiver.mail(self._client, mail.reverse_path, mail.size_octets))
        if refusal is not None:
            self._answer(refusal)
            return
        self._mail = mail
        self._say(replies.SENDER_OK)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        mail, client, settings = self._mail, self._client, self.settings
        if mail is None or client is None:
            self._refuse(replies.NEEDS_MAIL)
            return
        try:
            recipient = parse_recipient(
                arg or "", postmaster=settings.postmaster, esmtp=client.esmtp, smtputf8=mail.smtputf8
            )
        except CommandError as exc:
            self._refuse(_encode(exc.reply))
            return
        if recipient.key in self._recipients:
            self._say(replies.RECIPIENT_OK)
            return
        if len(self._recipients) >= settings.recipients:
            self._refuse_overshoot()
            return
        refusal = settings.policy.judge_recipient(recipient)
        if refusal is None:
            refusal = await self._ask(self.listener.receiver.rcpt(client, mail.reverse_path, recipient))
        if refusal is None:
            self._recipients[recipient.key] = recipient
            self._say(replies.RECIPIENT_OK)
            return
        events.recipient_refused(
            settings.name, client=self.ip, sender=_sender(mail), recipient=str(recipient), reply=str(refusal)
        )
        self._answer(refusal)

    def _refuse_overshoot(self) -> None:
        """A client that keeps to the limit's reply (RFC 5321 §4.5.3.1.10) sends the rest again; one that does not
        is counted from some point on."""
        self._overshoot += 1
        if self._overshoot > _RECIPIENT_OVERSHOOT:
            self._refuse(replies.TOO_MANY_RECIPIENTS)
        else:
            self._say(replies.TOO_MANY_RECIPIENTS)

    # --- the message ---

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        if arg:
            self._refuse_data(replies.NO_ARGUMENT)
        elif self._mail is None:
            self._refuse_data(replies.NEEDS_MAIL)
        elif not self._recipients:
            self._refuse_data(replies.NO_RECIPIENTS)
        else:
            self._say(replies.GO_AHEAD)
            await self._receive(self._mail)

    def _refuse_data(self, reply: bytes) -> None:
        """What is pipelined behind a refused DATA is a message, and must not be read as commands (RFC 2920 §3.1)."""
        if self._buffer:
            self._end(reply, "a message pipelined behind a refused DATA")
        else:
            self._refuse(reply)

    async def _receive(self, mail: MailArguments) -> None:
        """From 354 to the reply to the end of data."""
        incoming = IncomingMessage(self.settings, self.listener.counters, self.listener.receiver.spill_path)
        try:
            if await self._read_message(incoming):
                await self._hand_over(mail, incoming)
        finally:
            await incoming.discard()
        self._reset()
        await self._flush()
        if self._draining:
            self._end(replies.SHUTTING_DOWN, "")

    async def _read_message(self, incoming: IncomingMessage) -> bool:
        """Read to the end of data; False when the session ended before it.

        Two clocks run: the client may pause for the idle time, and take the DATA time in all [12].
        """
        settings, now = self.settings, self.loop.time
        latest = now() + settings.data_s
        while not self._over:
            if self._buffer:
                rest = incoming.feed(self._take_buffer())
                if rest is not None:
                    self._buffer += rest
                    return True
                if incoming.is_far_too_large:
                    self._end(_encode(TOO_LARGE), "message far over the size limit")
                    break
                if incoming.wants_disk:
                    await incoming.write()
                    continue
            await self._flush()
            if self._no_more:
                break
            if not self._buffer:
                await self._more(min(latest, now() + settings.idle_s))
        return False

    async def _hand_over(self, mail: MailArguments, incoming: IncomingMessage) -> None:
        """Answer a whole message. It goes its way even if the client has left meanwhile and can't hear the answer."""
        body = await incoming.body()
        client, recipients = self._client, tuple(self._recipients.values())
        assert client is not None
        if body is None:
            refusal = incoming.refusal or INTERNAL_ERROR
            events.message_refused(
                self.settings.name, client=self.ip, sender=_sender(mail), recipients=len(recipients), reply=str(refusal)
            )
            self._answer(refusal)
            return
        envelope = Envelope(mail.reverse_path, recipients, body_8bit=incoming.has_8bit, smtputf8=mail.smtputf8)
        reply = await self._ask(self._offer(client, envelope, body, incoming))
        if reply.is_success:
            self._errors = self._junk = 0
        self._say(_encode(reply))

    async def _offer(self, client: Client, envelope: Envelope, body: Body, incoming: IncomingMessage) -> Reply:
        reply = await self.listener.receiver.message(client, envelope, body)
        if not reply.is_success:
            incoming.take_back()
        return reply

    # --- the rest ---

    async def smtp_RSET(self, arg: str | None) -> None:  # noqa: N802
        self._reset()
        self._say_to_junk(replies.OK)

    async def smtp_NOOP(self, arg: str | None) -> None:  # noqa: N802
        self._say_to_junk(replies.OK)

    async def smtp_HELP(self, arg: str | None) -> None:  # noqa: N802
        self._say_to_junk(replies.HELP_TEXT)

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: N802
        if arg:
            self._say_to_junk(replies.WILL_TRY)
        else:
            self._refuse(replies.NEEDS_ADDRESS)

    async def smtp_EXPN(self, arg: str | None) -> None:  # noqa: N802
        self._refuse(replies.NOT_IMPLEMENTED)

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        self._refuse(replies.NOT_IMPLEMENTED)  # [10]: none of the library's mechanisms can be reached

    async def smtp_BDAT(self, arg: str | None) -> None:  # noqa: N802
        """Not offered. The chunk that follows must not be read as commands."""
        self._end(replies.NOT_IMPLEMENTED, "BDAT without being offered")

    async def smtp_QUIT(self, arg: str | None) -> None:  # noqa: N802
        self._end(replies.BYE, "")


_COMMANDS: dict[str, Callable[[RelaySession, str], Coroutine[Any, Any, None]]] = {
    "AUTH": RelaySession.smtp_AUTH,
    "BDAT": RelaySession.smtp_BDAT,
    "DATA": RelaySession.smtp_DATA,
    "EHLO": RelaySession.smtp_EHLO,
    "EXPN": RelaySession.smtp_EXPN,
    "HELO": RelaySession.smtp_HELO,
    "HELP": RelaySession.smtp_HELP,
    "MAIL": RelaySession.smtp_MAIL,
    "NOOP": RelaySession.smtp_NOOP,
    "QUIT": RelaySession.smtp_QUIT,
    "RCPT": RelaySession.smtp_RCPT,
    "RSET": RelaySession.smtp_RSET,
    "STARTTLS": RelaySession.smtp_STARTTLS,
    "VRFY": RelaySession.smtp_VRFY,
}


def _encode(reply: Reply) -> bytes:
    """One line of ASCII, whatever a rule or an exception has put into the text."""
    text = str(reply).replace("\r", " ").replace("\n", " ")
    return text.encode("ascii", "replace")[:_REPLY_MAX] + b"\r\n"


def _sender(mail: MailArguments) -> str:
    return str(mail.reverse_path) if mail.reverse_path is not None else "<>"
