"""Delivery by SMTP to one next hop."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mta import events
from mta.adapters.transport.circuit import Circuit
from mta.adapters.transport.client_tls import ClientTls
from mta.adapters.transport.connect_errors import ConnectError, NoRouteError
from mta.adapters.transport.mail_exchangers import MailExchangers
from mta.adapters.transport.smtp_auth import Credentials
from mta.adapters.transport.smtp_commands import Answer, Extensions, Transaction, original_recipient
from mta.adapters.transport.smtp_connection import Content, SessionSettings, SmtpConnection, connect
from mta.adapters.transport.smtp_pool import SmtpPool
from mta.adapters.transport.targets import ConfiguredTargets, Target, Targets
from mta.config.delivery_schema import HopAuth, HopLimits, SmtpHop
from mta.model.address import Address, domain_key
from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import DsnRequest, Envelope
from mta.model.reply import INTERNAL_ERROR, Reply
from mta.ports.resolver import Resolver
from mta.ports.transport import Segments, Stopped

_LOOK_FOR_8BIT_UP_TO = 1_000_000
_HEADER_MAX = 262_144
_NOT_NOW = Reply(451, "4.4.1", "The next hop can't be asked now")
_NOTHING = Content.of(())
_TOO_MANY = frozenset({(452, "4.5.3"), (452, "4.0.0"), (552, "5.5.3"), (552, "5.0.0")})


class SmtpTransport:
    """Fulfils `mta.ports.transport.Transport` for the servers that `targets` gives."""

    def __init__(
        self, hop: HopLimits, targets: Targets, settings: SessionSettings, *, name: str = "",
        clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._hop = hop
        self._settings = settings
        self._pool = SmtpPool(hop, targets, self._connect, Circuit(clock, chance), name=name, clock=clock)

    @classmethod
    def to_hosts(
        cls, hop: SmtpHop, *, hostname: str, resolver: Callable[[], Resolver] | None = None,
        clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random,
    ) -> SmtpTransport:  # fmt: skip
        """To a next hop of kind smtp; `resolver` is needed where its hosts are those of a domain's MX records.

        Raises OSError or ValueError if a file of its TLS settings can't be used.
        """
        exchangers = MailExchangers(resolver, chance=chance) if resolver is not None else None
        targets = ConfiguredTargets(hop.hosts, exchangers, chance)
        return cls(hop, targets, session_settings(hop, hostname, clock), clock=clock, chance=chance)

    @property
    def is_idle(self) -> bool:
        """Whether it holds no connection, and nobody waits for one."""
        return self._pool.is_idle

    @property
    def is_unused(self) -> bool:
        """Whether it is idle, and nothing is lost by forgetting it."""
        return self._pool.is_idle and not self._pool.remembers

    def is_blocked(self, domain: str) -> bool:
        return self._pool.is_blocked

    def blocked(self) -> Collection[str]:
        return ("",) if self._pool.is_blocked else ()

    def stopped(self) -> Mapping[str, Stopped]:
        stopped = self._pool.stopped
        return {"": stopped} if stopped is not None else {}

    async def close(self) -> None:
        await self._pool.close()

    async def deliver(
        self,
        envelope: Envelope,
        recipients: Sequence[RecipientEntry],
        content: Segments,
        *,
        deadline_s: float,
        overlook: Collection[Misfit] = (),
    ) -> list[RecipientResult]:
        """As the port says; in several transactions where there are more recipients than one may have."""
        limit = asyncio.get_running_loop().time() + deadline_s
        copy = _Copy.of(envelope, content, overlook)
        results: list[RecipientResult] = []
        pending = list(recipients)
        while pending:
            try:
                outcome = await self._transact(copy, pending, limit)
            except Exception as exc:
                if not results:
                    raise
                # Who has got it must not get it again, whatever error of our own befalls the others.
                events.internal_error("deliver", error=repr(exc), traceback=traceback.format_exc())
                outcome = [RecipientResult(entry.index, entry.address, INTERNAL_ERROR) for entry in pending]
            too_many = _refused_as_too_many(outcome)
            results += [result for result in outcome if result.index not in too_many]
            served = {result.index for result in outcome} - too_many
            pending = [entry for entry in pending if entry.index not in served]
        return results

    async def _transact(self, copy: _Copy, pending: Sequence[RecipientEntry], limit: float) -> list[RecipientResult]:
        """One transaction, for as many as it may have. A kept connection that fails is followed by a fresh one.

        Only once, only before the message was taken, and only for kept ones: they may have been closed by the remote
        since. After the final dot nothing is repeated here: the remote may have the message, so the answer is 4.4.2 and
        the spool tries again later. That is the window in which a message can arrive twice (RFC 1047).
        """
        fresh = False
        while True:
            try:
                connection = await self._pool.acquire(limit, copy.sender, fresh=fresh)
            except ConnectError as error:
                answer = Answer(error.reply, error.words)
                return [_result(entry, answer, error.remote) for entry in pending]
            except NoRouteError as error:
                return [_result(entry, Answer(error.reply), "") for entry in pending]
            was_kept = connection.messages > 0
            extensions = connection.session.extensions
            batch = _batch(pending, self._hop.recipients_per_transaction, extensions)
            try:
                done = await connection.send(copy.transaction(batch, extensions), copy.content, limit)
            except BaseException:
                connection.abort()
                raise
            finally:
                self._pool.release(connection)
            if not (done.can_retry and was_kept and not fresh):
                break
            fresh = True
        return [
            _result(entry, answer, connection.remote, connection.tls, takes_dsn=extensions.dsn)
            for entry, answer in zip(batch, done.answers, strict=True)
        ]

    async def ask_for(self, recipient: Address, *, deadline_s: float) -> Reply:
        """As `ports.recipients` says, over a connection of the deliveries' own."""
        if self._pool.is_blocked:
            return _NOT_NOW
        limit = asyncio.get_running_loop().time() + deadline_s
        try:
            connection = await self._pool.acquire(limit)
        except (ConnectError, NoRouteError) as error:
            return error.reply if error.reply.is_temporary else _NOT_NOW
        try:
            done = await connection.send(Transaction(None, (recipient,), 0, asks_only=True), _NOTHING, limit)
        except BaseException:
            connection.abort()
            raise
        finally:
            self._pool.release(connection)
        return done.answers[0].reply if done.answers else _NOT_NOW

    async def _connect(self, target: Target, limit: float) -> SmtpConnection:
        return await connect(target, self._settings, limit)


def session_settings(hop: HopLimits, hostname: str, clock: Callable[[], float] = time.monotonic) -> SessionSettings:
    """What all connections to a next hop share. Raises OSError or ValueError if a file of its TLS can't be used."""
    return SessionSettings(
        hostname=domain_key(hostname),
        tls=ClientTls(hop.tls, hop.name, clock),
        credentials=_credentials(hop.auth) if hop.auth is not None else None,
        connect_timeout_s=hop.connect_timeout.total_seconds(),
        reply_timeout_s=hop.reply_timeout.total_seconds(),
    )


def _credentials(auth: HopAuth) -> Callable[[], Credentials]:
    return lambda: Credentials(auth.user, auth.password.read(), auth.clear_text)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What is the same in all transactions of one copy."""

    envelope: Envelope
    content: Content
    sender: str
    has_utf8_header: bool
    overlook: Collection[Misfit]

    @classmethod
    def of(cls, envelope: Envelope, segments: Segments, overlook: Collection[Misfit]) -> _Copy:
        has_utf8_header = envelope.smtputf8 and _has_utf8_header(segments)
        sender = envelope.reverse_path.key if envelope.reverse_path is not None else ""
        return cls(envelope, Content.of(segments), sender, has_utf8_header, overlook)

    def transaction(self, batch: Sequence[RecipientEntry], extensions: Extensions) -> Transaction:
        envelope = self.envelope
        return Transaction(
            envelope.reverse_path,
            tuple(entry.address for entry in batch),
            self.content.size_octets,
            envelope.body_8bit or self._is_eight_bit(extensions),
            self.has_utf8_header,
            self.overlook,
            envelope.ret,
            envelope.envid,
            tuple(self._request(entry.address) for entry in batch) if envelope.dsn and extensions.dsn else (),
        )

    def _is_eight_bit(self, extensions: Extensions) -> bool:
        """Whether it is; of a large content only where it matters, as declaring 8BITMIME does no harm."""
        if self.content.size_octets > _LOOK_FOR_8BIT_UP_TO and extensions.eight_bit_mime:
            return True
        return not self.content.is_seven_bit

    def _request(self, address: Address) -> DsnRequest | None:
        """With an ORCPT for those whom the sender wrote to; whom a rule has added was written to by nobody."""
        request = self.envelope.dsn.get(address.key)
        if request is None or request.orcpt or address not in self.envelope.recipients:
            return request
        return replace(request, orcpt=original_recipient(address))


def _batch(pending: Sequence[RecipientEntry], at_most: int, extensions: Extensions) -> Sequence[RecipientEntry]:
    """Who goes into one transaction, by our limit and the remote's (RFC 9422)."""
    batch = pending[: min(at_most, extensions.rcpt_max or at_most)]
    if not extensions.rcpt_domain_max:
        return batch
    domains = list(dict.fromkeys(entry.address.domain_key for entry in batch))[: extensions.rcpt_domain_max]
    return [entry for entry in batch if entry.address.domain_key in domains]


def _result(
    entry: RecipientEntry, answer: Answer, remote: str, tls: str = "", *, takes_dsn: bool = False
) -> RecipientResult:
    return RecipientResult(
        entry.index, entry.address, answer.reply, remote, answer.words, tls, answer.misfit, takes_dsn
    )


def _refused_as_too_many(results: Sequence[RecipientResult]) -> frozenset[int]:
    """Recipients beyond the remote's limit go into another transaction (RFC 5321 §4.5.3.1.10), if any got through.

    Old servers say 552.
    """
    if not any(result.reply.is_success for result in results):
        return frozenset()
    return frozenset(result.index for result in results if (result.reply.code, result.reply.status) in _TOO_MANY)


def _has_utf8_header(content: Segments) -> bool:
    """Whether the header holds anything beyond ASCII; looked for only where the client declared SMTPUTF8."""
    head = b""
    for segment in content:
        head += bytes(segment[: _HEADER_MAX - len(head)])
        end = head.find(b"\r\n\r\n")
        if end >= 0 or len(head) >= _HEADER_MAX:
            return not head[: end if end >= 0 else None].isascii()
    return not head.isascii()
