"""DATA and BDAT: the message itself, and its handing over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mta import events
from mta.model.delivery import Body
from mta.model.envelope import Envelope
from mta.model.reply import INTERNAL_ERROR, Reply
from mta.relay.receive import replies
from mta.relay.receive.data import ChunkDecoder, DataDecoder
from mta.relay.receive.incoming import IncomingMessage, overrun_octets
from mta.relay.receive.transaction import sender

if TYPE_CHECKING:
    from mta.relay.receive.session import RelaySession

_CHUNK = re.compile(r"([0-9]{1,20})(?: +(LAST))?\Z", re.IGNORECASE)
_CHUNKS_MAX = 100_000
"""Of one message. Each costs as much as a command, however few octets it holds."""


# --- DATA (RFC 5321 §4.1.1.4) ---


async def data(session: RelaySession, argument: str) -> None:
    """Take a message up to its final dot."""
    if argument:
        _refuse_data(session, replies.NO_ARGUMENT)
    elif session.mail is None:
        _refuse_data(session, replies.NEEDS_MAIL)
    elif session.chunks is not None:
        _refuse_data(session, replies.MESSAGE_HAS_BEGUN)
    elif not session.recipients:
        _refuse_data(session, replies.NO_RECIPIENTS)
    else:
        session.say(replies.GO_AHEAD)
        await _receive_data(session)


def _refuse_data(session: RelaySession, reply: bytes) -> None:
    """What is pipelined behind a refused DATA is a message, and must not be read as commands (RFC 2920 §3.1)."""
    if session.buffer:
        session.end(reply, "a message pipelined behind a refused DATA")
    else:
        session.refuse(reply)


async def _receive_data(session: RelaySession) -> None:
    """From 354 to the reply to the end of data."""
    incoming = _incoming(session, DataDecoder(normalise=session.settings.normalise))
    try:
        if await _read_data(session, incoming):
            await _hand_over(session, incoming)
    finally:
        await incoming.discard()
    await _finish(session)


def _incoming(session: RelaySession, decoder: DataDecoder | ChunkDecoder) -> IncomingMessage:
    listener = session.listener
    return IncomingMessage(session.settings, decoder, listener.counters, listener.receiver.spill_path)


async def _read_data(session: RelaySession, incoming: IncomingMessage) -> bool:
    """Read to the end of data; False when the session ended before it.

    Two clocks run: the client may pause for the idle time, and take the DATA time in all.
    """
    latest = session.loop.time() + session.settings.data_s
    while not session.over:
        if session.buffer:
            rest = incoming.feed(session.take_buffer())
            if rest is not None:
                session.buffer += rest
                return True
            if incoming.is_far_too_large:
                session.end(replies.FAR_TOO_LARGE, "message far over the size limit")
                break
            if incoming.wants_disk:
                await incoming.write()
                continue
        if not await session.wait_for_content(latest):
            break
    return False


# --- BDAT (RFC 3030) ---


class Chunks:
    """A message that comes by BDAT: what there is of it, or that it has failed."""

    __slots__ = ("_count", "_octets", "_refused_above", "has_failed", "incoming", "latest")

    def __init__(self, incoming: IncomingMessage, size_limit: int, latest: float) -> None:
        self.incoming = incoming
        self.latest = latest
        """When all of it must have come, by the loop's clock."""
        self.has_failed = False
        self._count = 0
        self._octets = 0
        self._refused_above = overrun_octets(size_limit)

    def announce(self, octets: int) -> bytes | None:
        """Count one more chunk in; the reply that ends the session where it is more than can be put up with."""
        self._count += 1
        self._octets += octets
        if self._octets > self._refused_above:
            return replies.FAR_TOO_LARGE
        return replies.TOO_MANY_CHUNKS if self._count > _CHUNKS_MAX else None

    async def fail(self) -> None:
        """Nothing more of it is wanted."""
        self.has_failed = True
        await self.incoming.discard()

    async def discard(self) -> None:
        """Give up what it holds, unless it was handed over."""
        await self.incoming.discard()


async def bdat(session: RelaySession, argument: str) -> None:
    """Take one chunk. Its octets are read whatever becomes of it, so that none of them is taken for a command."""
    match = _CHUNK.match(argument)
    if match is None:
        session.end(replies.CHUNK_SYNTAX, "a BDAT that can't be read")
        return
    octets, is_last = int(match[1]), match[2] is not None
    refusal = _refusal(session)
    if refusal is not None:
        await _throw_away(session, octets, refusal)
        return
    if session.chunks is None:
        settings = session.settings
        incoming = _incoming(session, ChunkDecoder(normalise=settings.normalise))
        session.chunks = Chunks(incoming, settings.size_octets, session.loop.time() + settings.data_s)
    await _receive_chunk(session, session.chunks, octets, is_last=is_last)


def _refusal(session: RelaySession) -> bytes | None:
    if session.chunks is not None:
        return None  # it has begun, or has failed
    if session.mail is None:
        return replies.NEEDS_MAIL
    if not session.recipients:
        return replies.NO_RECIPIENTS
    return None


async def _throw_away(session: RelaySession, octets: int, refusal: bytes) -> None:
    """Read a chunk that is refused whatever it holds."""
    settings = session.settings
    if octets > overrun_octets(settings.size_octets):
        session.end(refusal, "an absurd chunk without a message")
        return
    latest = session.loop.time() + settings.data_s
    while octets:
        octets -= len(session.take_buffer(octets))
        if octets and not await session.wait_for_content(latest):
            return
    session.refuse(refusal)


async def _receive_chunk(session: RelaySession, chunks: Chunks, octets: int, *, is_last: bool) -> None:
    absurd = chunks.announce(octets)
    if absurd is not None:
        session.end(absurd, "message far over the size limit")
        return
    incoming = chunks.incoming
    incoming.expect(octets)
    if not await _read_chunk(session, chunks, octets):
        return
    if chunks.has_failed:
        session.say(replies.CHUNK_FAILED)  # the client may have sent it before it heard of the failure
        return
    if is_last:
        incoming.finish()
    if incoming.refusal is not None:
        _refuse_message(session, incoming.refusal)
        session.mail = None  # the client may begin anew, with RSET or without
        await chunks.fail()
    elif is_last:
        await _hand_over(session, incoming)
        await _finish(session)
    else:
        session.say(replies.CHUNK_OK)


async def _read_chunk(session: RelaySession, chunks: Chunks, octets: int) -> bool:
    """Read so many octets; False when the session ended before."""
    incoming = chunks.incoming
    while not session.over:
        piece = session.take_buffer(octets)
        octets -= len(piece)
        incoming.feed(piece)
        if incoming.wants_disk:
            await incoming.write()
        if not octets:
            return True
        if not session.buffer and not await session.wait_for_content(chunks.latest):
            break
    return False


# --- the whole message ---


async def _finish(session: RelaySession) -> None:
    await session.reset()
    await session.flush()
    if session.draining:
        session.end(replies.SHUTTING_DOWN, "")


async def _hand_over(session: RelaySession, incoming: IncomingMessage) -> None:
    """Answer a whole message. It goes its way even if the client has left meanwhile and can't hear the answer."""
    body = await incoming.body()
    if body is None:
        _refuse_message(session, incoming.refusal or INTERNAL_ERROR)
        return
    mail = session.mail
    assert mail is not None
    envelope = Envelope(
        mail.reverse_path, tuple(session.recipients.values()), body_8bit=incoming.has_8bit, smtputf8=mail.smtputf8,
        envid=mail.envid, ret=mail.ret, dsn=dict(session.dsn),
    )  # fmt: skip
    reply = await session.ask(_offer(session, envelope, body, incoming))
    if reply.is_success:
        session.forgive()
    session.say_reply(reply)


def _refuse_message(session: RelaySession, refusal: Reply) -> None:
    assert session.mail is not None
    events.message_refused(
        session.settings.name, client=session.ip, sender=sender(session.mail), recipients=len(session.recipients),
        reply=str(refusal),
    )  # fmt: skip
    session.answer(refusal)


async def _offer(session: RelaySession, envelope: Envelope, body: Body, incoming: IncomingMessage) -> Reply:
    assert session.client is not None
    reply = await session.listener.receiver.message(session.client, envelope, body)
    if not reply.is_success:
        incoming.take_back()
    return reply
