"""The resolver: one question to the servers at a time for each name, however many messages ask it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.resolver
import dns.reversename

from mta.adapters.dns.cache import AnswerCache, Question
from mta.config.authentication_schema import address_and_port
from mta.ports.resolver import Answer, MailExchanger, Outcome

AT_ONCE = 400
"""Questions on their way to the servers."""
WAITING_MAX = 5000
"""Questions in hand; what is beyond that gets no answer."""
RECORDS_MAX = 200
TRY_S = 2.0
"""How long one server is waited for before the next one is asked."""

_TEMPFAIL: Answer[Any] = Answer(Outcome.TEMPFAIL)
_NXDOMAIN: Answer[Any] = Answer(Outcome.NXDOMAIN)
_READERS: dict[str, Callable[[Any], Any]] = {
    "TXT": lambda record: b"".join(record.strings),
    "A": lambda record: record.address,
    "AAAA": lambda record: record.address,
    "MX": lambda record: MailExchanger(record.preference, _text(record.exchange)),
    "PTR": lambda record: _text(record.target),
}


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


class DnsResolver:
    """`ports/resolver.Resolver` for one worker; `servers` are addresses, with `:port` where it isn't 53."""

    def __init__(self, servers: Sequence[str] = (), *, timeout_s: float = 5.0) -> None:
        self._servers = _configured(servers)
        self._timeout_s = timeout_s
        self._cache = AnswerCache()
        self._asked: dict[Question, asyncio.Task[Answer[Any]]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def txt(self, name: str) -> Answer[bytes]:
        return await self._answer(name, "TXT")

    async def a(self, name: str) -> Answer[str]:
        return await self._answer(name, "A")

    async def aaaa(self, name: str) -> Answer[str]:
        return await self._answer(name, "AAAA")

    async def mx(self, name: str) -> Answer[MailExchanger]:
        return await self._answer(name, "MX")

    async def ptr(self, ip: str) -> Answer[str]:
        return await self._answer(ip_address(ip).reverse_pointer, "PTR")

    async def _answer(self, name: str, kind: str) -> Answer[Any]:
        question = (name.lower().rstrip("."), kind)
        known = self._cache.get(question, time.monotonic())
        if known is not None:
            return known
        task = self._asked.get(question)
        if task is None:
            if len(self._asked) >= WAITING_MAX:
                return _TEMPFAIL
            task = asyncio.create_task(self._ask(question))
            self._asked[question] = task
            task.add_done_callback(lambda _: self._asked.pop(question, None))
        # Others may be waiting for the same answer when one of them gives up.
        return await asyncio.shield(task)

    async def _ask(self, question: Question) -> Answer[Any]:
        name, kind = question
        try:
            absolute = dns.name.from_text(name + ".")
        except (dns.exception.DNSException, UnicodeError):
            return _NXDOMAIN
        async with self._at_once:
            answer, ttl_s = await self._asked_of_servers(absolute, kind)
        self._cache.put(question, answer, ttl_s, time.monotonic())
        return answer

    async def _asked_of_servers(self, name: dns.name.Name, kind: str) -> tuple[Answer[Any], float]:
        try:
            found = await self._servers.resolve(name, kind, raise_on_no_answer=False, lifetime=self._timeout_s)
        except dns.resolver.NXDOMAIN as exc:
            return _NXDOMAIN, _negative_ttl(exc.kwargs["responses"][name])
        except (dns.exception.DNSException, OSError):
            return _TEMPFAIL, 0
        if found.rrset is None:
            return Answer(Outcome.NODATA), _negative_ttl(found.response)
        records = tuple(_READERS[kind](record) for record in list(found.rrset)[:RECORDS_MAX])
        if kind == "MX":
            records = tuple(sorted(records, key=lambda exchanger: exchanger.preference))
        return Answer(Outcome.ANSWER, records), found.chaining_result.minimum_ttl

    async def close(self) -> None:
        """End what is under way."""
        for task in list(self._asked.values()):
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)


def _negative_ttl(response: dns.message.Message) -> float:
    """How long it stays true that there is nothing (RFC 2308 §5)."""
    assert isinstance(response, dns.message.QueryMessage)
    try:
        return response.resolve_chaining().minimum_ttl
    except dns.exception.DNSException:
        return 0


def _configured(servers: Sequence[str]) -> dns.asyncresolver.Resolver:
    """The servers given, else the system's, else the one on this machine."""
    try:
        resolver = dns.asyncresolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
        servers = ["127.0.0.1"]
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*address_and_port(server)) for server in servers]
    resolver.cache = None
    resolver.timeout = TRY_S
    resolver.use_edns(0, 0, 1232)
    return resolver
