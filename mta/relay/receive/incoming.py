"""One message while it comes in: decoded, judged, and moved to a file where it is large."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from mta import events
from mta.model.delivery import Body
from mta.model.reply import INTERNAL_ERROR, STORAGE_FULL, Reply
from mta.relay.receive.counters import Counters
from mta.relay.receive.data import ChunkDecoder, DataDecoder, SpillFile
from mta.relay.receive.settings import ListenerSettings

TOO_LARGE = Reply(552, "5.3.4", "Message is larger than the limit")
BARE_LINE_ENDS = Reply(550, "5.6.11", "Bare CR or LF in the message: lines end with CRLF (RFC 5321 section 2.3.8)")
HAS_NUL = Reply(550, "5.6.11", "NUL in the message")

_TAKE_ABOVE_OCTETS = 65_536
_WRITE_OCTETS = 1_000_000
_OVERRUN_OCTETS = 1_000_000


def overrun_octets(limit: int) -> int:
    """From how many octets on a client that sends more than the limit isn't worth waiting for."""
    return 2 * limit + _OVERRUN_OCTETS


class IncomingMessage:
    """Feed it what comes after DATA or BDAT. A refused message is read on to its end, and thrown away as it comes."""

    __slots__ = (
        "_content", "_counters", "_decoder", "_held", "_is_handed_over", "_limit", "_received", "_refuse_bare",
        "_spill", "_spill_path", "refusal",
    )  # fmt: skip

    def __init__(
        self,
        settings: ListenerSettings,
        decoder: DataDecoder | ChunkDecoder,
        counters: Counters,
        spill_path: Callable[[], Path],
    ) -> None:
        self._decoder = decoder
        self._limit = settings.size_octets
        self._refuse_bare = not settings.normalise
        self._counters = counters
        self._spill_path = spill_path
        self._spill: SpillFile | None = None
        self._content: list[bytes] = []
        self._held = 0
        self._received = 0
        self._is_handed_over = False
        self.refusal: Reply | None = None

    @property
    def is_far_too_large(self) -> bool:
        return self._received > overrun_octets(self._limit)

    @property
    def has_8bit(self) -> bool:
        return self._decoder.has_8bit

    @property
    def wants_disk(self) -> bool:
        """Whether `write` has something to do."""
        return self._held >= (_WRITE_OCTETS if self._spill is not None else self._counters.spill_above())

    def expect(self, octets: int) -> None:
        """So many more are announced: where they are too many, that is clear before they come."""
        if self.refusal is None and self._received + octets > self._limit:
            self._refuse(TOO_LARGE)

    def feed(self, data: bytearray) -> bytes | None:
        """Add what came; None until the message has ended, then what came behind it. A chunk has no end in it."""
        self._received += len(data)
        rest = self._decoder.feed(data)
        if rest is not None:
            self._keep(self._decoder.finish())
        elif self._decoder.held_octets > _TAKE_ABOVE_OCTETS:
            self._keep(self._decoder.take())
        return rest

    def finish(self) -> None:
        """The last chunk was fed."""
        self._keep(self._decoder.finish())

    def _keep(self, content: bytes) -> None:
        decoder = self._decoder
        if self.refusal is not None:
            return
        if decoder.size_octets > self._limit:
            self._refuse(TOO_LARGE)
        elif decoder.has_bare and self._refuse_bare:
            self._refuse(BARE_LINE_ENDS)
        elif decoder.has_nul:
            self._refuse(HAS_NUL)
        else:
            self._content.append(content)
            self._hold(len(content))

    def _refuse(self, reply: Reply) -> None:
        self.refusal = reply
        self._content.clear()
        self._hold(-self._held)

    def _hold(self, octets: int) -> None:
        self._held += octets
        self._counters.held_octets += octets

    async def write(self) -> None:
        """Move what is in memory to the file."""
        try:
            if self._spill is None:
                self._spill = SpillFile(self._spill_path())
            await self._spill.write(b"".join(self._content))
        except OSError as exc:
            self._storage_failed(exc)
        self._content.clear()
        self._hold(-self._held)

    def _storage_failed(self, error: OSError) -> None:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            self._refuse(STORAGE_FULL)
        else:
            events.internal_error("receive", error=f"can't write a large message: {error!r}")
            self._refuse(INTERNAL_ERROR)

    async def body(self) -> Body | None:
        """The whole message once it has ended; None where there is a refusal instead.

        From here on its file is the taker's, until `take_back`: where handing over fails midway, the queue may have
        it already, and a file that it has not is the spool's to sweep.
        """
        if self._spill is not None and self.refusal is None:
            await self.write()
            try:
                await self._spill.close()
            except OSError as exc:
                self._storage_failed(exc)
        if self.refusal is not None:
            return None
        self._is_handed_over = True
        if self._spill is not None:
            return Body(None, self._spill.path, self._decoder.size_octets)
        return Body.of(self._content[0] if len(self._content) == 1 else b"".join(self._content))

    def take_back(self) -> None:
        """The taker said that it does not want the message."""
        self._is_handed_over = False

    async def discard(self) -> None:
        """Give up the memory, and the file unless it is handed over."""
        self._content.clear()
        self._hold(-self._held)
        spill, self._spill = self._spill, None
        if spill is not None and not self._is_handed_over:
            await spill.remove()
