"""Delivery by SMTP to one next hop."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from mta.adapters.transport.smtp_commands import Answer, Transaction
from mta.adapters.transport.smtp_connection import (
    ConnectError,
    Content,
    SessionSettings,
    SmtpConnection,
    client_tls,
    connect,
)
from mta.adapters.transport.smtp_pool import SmtpPool
from mta.config.delivery_schema import Host, SmtpHop
from mta.model.address import domain_key
from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from mta.ports.transport import Segments, Stopped

_LOOK_FOR_8BIT_UP_TO = 1_000_000
_HEADER_MAX = 262_144


class SmtpTransport:
    """Fulfils `mta.ports.transport.Transport`. Raises OSError when made, if the CA file can't be used."""

    def __init__(
        self,
        hop: SmtpHop,
        *,
        hostname: str,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._hop = hop
        self._settings = SessionSettings(
            hostname=domain_key(hostname),
            tls=hop.tls.mode,
            tls_context=client_tls(hop.tls.mode, str(hop.tls.ca_file) if hop.tls.ca_file else None),
            verify_name=hop.tls.verify_name,
            connect_timeout_s=hop.connect_timeout.total_seconds(),
            reply_timeout_s=hop.reply_timeout.total_seconds(),
        )
        self._pool = SmtpPool(hop, self._connect, clock, chance)

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
        prepared = Content.of(content)
        smtputf8 = envelope.smtputf8 and _has_utf8_header(content)
        eight_bit = envelope.body_8bit or not _is_seven_bit(prepared)
        results: list[RecipientResult] = []
        pending = list(recipients)
        while pending:
            batch = pending[: self._hop.recipients_per_transaction]
            transaction = Transaction(
                envelope.reverse_path,
                tuple(entry.address for entry in batch),
                prepared.size_octets,
                eight_bit,
                smtputf8,
            )
            outcome = await self._transact(transaction, batch, prepared, limit)
            too_many = _refused_as_too_many(outcome)
            results += [result for result in outcome if result.index not in too_many]
            pending = [e for e in batch if e.index in too_many] + pending[len(batch) :]
        return results

    async def _transact(
        self, transaction: Transaction, batch: Sequence[RecipientEntry], content: Content, limit: float
    ) -> list[RecipientResult]:
        """One transaction. A kept connection that fails before the message was taken is followed by a fresh one.

        Only once, and only for kept ones: they may have been closed by the remote since. After the final dot nothing
        is repeated here: the remote may have the message, so the answer is 4.4.2 and the spool tries again later.
        That is the window in which a message can arrive twice (RFC 1047).
        """
        fresh = False
        while True:
            try:
                connection = await self._pool.acquire(limit, fresh=fresh)
            except ConnectError as error:
                answer = Answer(error.reply, error.words)
                return [_result(entry, answer, error.remote, "") for entry in batch]
            was_kept = connection.messages > 0
            try:
                done = await connection.send(transaction, content, limit)
            except BaseException:
                connection.abort()
                raise
            finally:
                self._pool.release(connection)
            if not (done.can_retry and was_kept and not fresh):
                break
            fresh = True
        return [
            _result(entry, answer, connection.remote, connection.tls)
            for entry, answer in zip(batch, done.answers, strict=True)
        ]

    async def _connect(self, host: Host, limit: float) -> SmtpConnection:
        return await connect(host.host, host.port, self._settings, limit)


def _result(entry: RecipientEntry, answer: Answer, remote: str, tls: str) -> RecipientResult:
    return RecipientResult(entry.index, entry.address, answer.reply, remote, answer.words, tls)


def _refused_as_too_many(results: Sequence[RecipientResult]) -> frozenset[int]:
    """Recipients beyond the remote's limit go into another transaction (RFC 5321 §4.5.3.1.10), if any got through."""
    if not any(result.reply.is_success for result in results):
        return frozenset()
    return frozenset(r.index for r in results if r.reply.code == 452 and r.reply.status in ("4.5.3", "4.0.0"))


def _is_seven_bit(content: Content) -> bool:
    """Whether no octet is beyond ASCII. Large contents are not looked through: declaring 8BITMIME does no harm."""
    if content.stuffed is not None:
        return content.stuffed.isascii()
    if content.size_octets > _LOOK_FOR_8BIT_UP_TO:
        return False
    return all(bytes(segment).isascii() for segment in content.segments)


def _has_utf8_header(content: Segments) -> bool:
    """Whether the header holds anything beyond ASCII; looked for only where the client declared SMTPUTF8."""
    head = b""
    for segment in content:
        head += bytes(segment[: _HEADER_MAX - len(head)])
        end = head.find(b"\r\n\r\n")
        if end >= 0 or len(head) >= _HEADER_MAX:
            return not head[: end if end >= 0 else None].isascii()
    return not head.isascii()
