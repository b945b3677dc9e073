"""The SMTP dialogue (RFC 5321 §4) of one connection: what it knows, how it answers, which commands there are.

The commands stand in modules of their own: `greeting`, `transaction` (MAIL, RCPT), `content` (DATA, BDAT); those of
one line each stand here. A command is a coroutine that is given the session and its argument.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from mta import events
from mta.model.address import Address
from mta.model.envelope import Client, DsnRequest
from mta.model.reply import INTERNAL_ERROR, MailError, Reply
from mta.relay.receive import content, greeting, replies, transaction
from mta.relay.receive.auth import auth
from mta.relay.receive.clients import certificate_known
from mta.relay.receive.commands import MailArguments
from mta.relay.receive.connection import Connection

if TYPE_CHECKING:
    from mta.config.accounts_file import Account
    from mta.relay.receive.content import Chunks
    from mta.relay.receive.server import RelayListener

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_BEFORE_TLS = frozenset({"NOOP", "EHLO", "STARTTLS", "QUIT"})  # RFC 3207 §4
_BEYOND_ASCII = frozenset({"MAIL", "RCPT", "VRFY"})
_OTHER_PROTOCOLS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})

_Answer = TypeVar("_Answer")


class RelaySession(Connection):
    """One client's session."""

    def __init__(self, listener: RelayListener, loop: asyncio.AbstractEventLoop, ip: str, port: int) -> None:
        super().__init__(listener, loop, ip, port)
        self.client: Client | None = None
        """All that is known of the client; None until HELO or EHLO."""
        self.signed_in: Account | None = None
        """The account that it has signed in to, as it was then; None before."""
        self.in_exchange = False
        """AUTH has said 334, and what comes next is no command."""
        self.mail: MailArguments | None = None
        """What MAIL said; None outside a transaction."""
        self.recipients: dict[str, Address] = {}
        self.dsn: dict[str, DsnRequest] = {}
        """By recipient, as in `Envelope.dsn`."""
        self.overshoot = 0
        """Recipients over the limit, or named again, in this transaction."""
        self.chunks: Chunks | None = None
        """The message that is coming in by BDAT."""
        self._errors = 0
        self._failed_logins = 0
        self._junk = 0
        self._verb = ""
        """The command that is being answered, for the log; "" where it is none, as it may be anything then."""

    async def _converse(self) -> None:
        self.say(self.settings.banner)
        try:
            while (line := await self.line()) is not None:
                await self._command(line)
                self._verb = ""
        finally:
            await self.reset()

    async def _command(self, line: bytes) -> None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self.refuse_line(line, replies.BAD_OCTETS)
            return
        verb, _, argument = text.rstrip(" ").partition(" ")
        verb = verb.upper()
        command = _COMMANDS.get(verb)
        self._verb = verb if command is not None else ""
        if _CONTROL.search(line):
            self.refuse_line(line, replies.BAD_OCTETS)
        elif command is None:
            self._refuse_unknown(verb)
        elif self.settings.tls_required and not self.tls and verb not in _BEFORE_TLS:
            self.refuse_line(line, replies.NEEDS_TLS)
        elif not text.isascii() and verb not in _BEYOND_ASCII:
            self.refuse_line(line, replies.NEEDS_ASCII)
        else:
            await command(self, argument)

    # --- the client and its transaction ---

    def introduce(self, helo: str, *, esmtp: bool) -> None:
        """Put together what is known of the client. Anew after each greeting, and when it has proved who it is."""
        settings = self.settings
        self.client = Client(
            self.ip, self.port, helo, settings.name, settings.role, self.tls, esmtp,
            authenticated_as=self.account, certificate=certificate_known(settings.clients, self.certificate_names),
            peer=settings.peer,
        )  # fmt: skip

    async def reset(self) -> None:
        """End the transaction, whatever there is of it."""
        self.mail = None
        self.recipients.clear()
        self.dsn.clear()
        self.overshoot = 0
        if self.chunks is not None:
            chunks, self.chunks = self.chunks, None
            await chunks.discard()

    def forgive(self) -> None:
        """A message was taken: what the client did wrong before counts no more."""
        self._errors = self._junk = 0

    @property
    def is_receiving(self) -> bool:
        """A message is on its way in, which may be finished where the session is to end."""
        return self.chunks is not None and not self.chunks.has_failed

    @property
    def account(self) -> str:
        """The name of the account that it has signed in to; "" before."""
        return self.signed_in.name if self.signed_in is not None else ""

    # --- replies ---

    def refuse(self, reply: bytes) -> None:
        """Answer a command with a refusal that counts as the client's error."""
        events.command_refused(self.settings.name, client=self.ip, command=self._verb, reply=reply.decode().rstrip())
        self._count_error(reply)

    def _count_error(self, reply: bytes) -> None:
        self._errors += 1
        self.say(reply)
        if self._errors >= self.settings.errors:
            self.end(replies.TOO_MANY_ERRORS, "too many errors")

    def refuse_by(self, reply: Reply) -> None:
        """The same, by a reply that says why."""
        self.refuse(replies.encode(reply))

    def say_to_junk(self, reply: bytes) -> None:
        """Answer a command that brings no message nearer; too many of them in a row end the session."""
        self._junk += 1
        self.say(reply)
        if self._junk >= self.settings.junk_commands:
            self.end(replies.TOO_MUCH_JUNK, "too many junk commands")

    def refuse_line(self, line: bytes | bytearray, reply: bytes) -> None:
        """Refuse a line unread. The octets behind a BDAT must not be read as commands, so it ends the session."""
        if line[:4].upper() == b"BDAT":
            self.end(reply, "a BDAT that can't be read")
        elif self.in_exchange:
            self.end(reply, "a bad line while signing in")
        else:
            self.refuse(reply)

    def _refuse_unknown(self, verb: str) -> None:
        """A browser or proxy made to talk to us is cut off before it gets to what an attacker put into its body."""
        if verb in _OTHER_PROTOCOLS or verb.endswith(":"):
            self.end(replies.NOT_SMTP, "not SMTP")
        else:
            self.refuse(replies.UNKNOWN_COMMAND)

    def fail_sign_in(self, reply: bytes) -> None:
        """Answer an AUTH that led to nothing; a few of them end the session."""
        self._failed_logins += 1
        self.say(reply)
        if self._failed_logins >= self.settings.failed_logins:
            self.end(replies.TOO_MANY_FAILURES, "too many failed sign-ins")

    def answer(self, reply: Reply) -> None:
        """Pass on a reply of policy or the rest of the relay. Only 5yz count: 4yz are our own trouble. 421 ends it."""
        if reply.code == 421:
            self.end(replies.encode(reply), "")
        elif reply.is_permanent:
            self._count_error(replies.encode(reply))
        else:
            self.say_reply(reply)

    def say_reply(self, reply: Reply) -> None:
        """Say it, whatever it is, without counting."""
        self.say(replies.encode(reply))

    async def ask(self, answer: Awaitable[_Answer]) -> _Answer | Reply:
        """The receiver's answer; 451 and a reset where it fails. What went wrong is for the log alone."""
        try:
            return await answer
        except MailError as exc:
            return exc.reply
        except Exception as exc:  # noqa: BLE001 - the edge: whatever fails behind us is a temporary error to the client
            events.internal_error("receive", error=repr(exc), traceback=traceback.format_exc())
            await self.reset()
            return INTERNAL_ERROR


async def _rset(session: RelaySession, argument: str) -> None:
    await session.reset()
    session.say_to_junk(replies.OK)


async def _noop(session: RelaySession, argument: str) -> None:
    session.say_to_junk(replies.OK)


async def _help(session: RelaySession, argument: str) -> None:
    session.say_to_junk(replies.HELP_TEXT)


async def _vrfy(session: RelaySession, argument: str) -> None:
    if argument:
        session.say_to_junk(replies.WILL_TRY)
    else:
        session.refuse(replies.NEEDS_ADDRESS)


async def _not_implemented(session: RelaySession, argument: str) -> None:
    session.refuse(replies.NOT_IMPLEMENTED)


async def _quit(session: RelaySession, argument: str) -> None:
    session.end(replies.BYE, "")


Command = Callable[[RelaySession, str], Coroutine[Any, Any, None]]
"""Given the session and what follows the verb, without spaces at its end. It may have to refuse it, but it answers."""

_COMMANDS: Mapping[str, Command] = {
    "AUTH": auth,
    "BDAT": content.bdat,
    "DATA": content.data,
    "EHLO": greeting.ehlo,
    "EXPN": _not_implemented,
    "HELO": greeting.helo,
    "HELP": _help,
    "MAIL": transaction.mail,
    "NOOP": _noop,
    "QUIT": _quit,
    "RCPT": transaction.rcpt,
    "RSET": _rset,
    "STARTTLS": greeting.starttls,
    "VRFY": _vrfy,
}
