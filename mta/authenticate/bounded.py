"""A resolver for one message: bounded in time and in number of questions, whatever the message makes us ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mta.ports.resolver import Answer, MailExchanger, Outcome, Resolver

T = TypeVar("T")

QUESTIONS_MAX = 200
"""SPF may take about 120 (ten MX look-ups of ten hosts each), the longest ARC chain 51, ten signatures 10."""

AT_ONCE = 10
"""So that few messages with many dead names can't take up all that may be asked at a time."""


class BoundedResolver:
    """Answers TEMPFAIL once the time or the questions are used up."""

    def __init__(self, resolver: Resolver, timeout_s: float) -> None:
        self._resolver = resolver
        self._deadline = asyncio.get_running_loop().time() + timeout_s
        self._left = QUESTIONS_MAX
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def txt(self, name: str) -> Answer[bytes]:
        return await self._within(self._resolver.txt, name)

    async def a(self, name: str) -> Answer[str]:
        return await self._within(self._resolver.a, name)

    async def aaaa(self, name: str) -> Answer[str]:
        return await self._within(self._resolver.aaaa, name)

    async def mx(self, name: str) -> Answer[MailExchanger]:
        return await self._within(self._resolver.mx, name)

    async def ptr(self, ip: str) -> Answer[str]:
        return await self._within(self._resolver.ptr, ip)

    async def close(self) -> None:
        """Nothing of its own is under way."""

    async def _within(self, ask: Callable[[str], Awaitable[Answer[T]]], what: str) -> Answer[T]:
        self._left -= 1
        if self._left < 0:
            return Answer(Outcome.TEMPFAIL)
        try:
            async with asyncio.timeout_at(self._deadline), self._at_once:
                return await ask(what)
        except TimeoutError:
            return Answer(Outcome.TEMPFAIL)
