"""SPF (RFC 7208): may this client send for that domain?

The check costs at most ten look-ups and two that find nothing (§4.6.4), whatever a record says.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from mta.authenticate.spf_macros import MacroValues, expand, needs_validated_name
from mta.authenticate.spf_record import Mechanism, SpfSyntaxError, is_spf, read_record
from mta.message.domain_names import is_domain_name
from mta.model.address import domain_key
from mta.ports.resolver import Answer, Outcome, Resolver

T = TypeVar("T")

LOOKUPS_MAX = 10
VOID_LOOKUPS_MAX = 2
MX_NAMES_MAX = 10
PTR_NAMES_MAX = 10


@dataclass(frozen=True, slots=True)
class SpfResult:
    """A result by §2.6, the domain it is about, and a few words where it is an error."""

    result: str
    domain: str
    of_helo: bool = False
    reason: str = ""


class _SpfError(Exception):
    """Ends the check: temperror or permerror."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


async def check_spf(resolver: Resolver, ip: str, mail_from: tuple[str, str] | None, helo: str) -> SpfResult:
    """Judge a client by (local part, domain) of its MAIL FROM, or by its HELO name for the null reverse-path (§2.4)."""
    local_part, written = mail_from if mail_from is not None else ("postmaster", helo)
    domain, of_helo = domain_key(written.rstrip(".")), mail_from is None
    address = ip_address(ip)
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    check = _Check(resolver, MacroValues(address, local_part or "postmaster", domain, helo.rstrip(".")))
    try:
        return SpfResult(await check.host(domain), domain if is_domain_name(domain) else "", of_helo)
    except _SpfError as exc:
        return SpfResult(exc.result, domain, of_helo, exc.reason)


class _Check:
    """One check, with what it has used up of its limits."""

    def __init__(self, resolver: Resolver, values: MacroValues) -> None:
        self._resolver = resolver
        self._values = values
        self._ip: IPv4Address | IPv6Address = values.ip
        self._lookups = 0
        self._void_lookups = 0

    async def host(self, domain: str) -> str:
        """check_host() (§4)."""
        if not is_domain_name(domain) or "." not in domain:
            return "none"
        answer = await self._resolver.txt(domain)
        if answer.outcome is Outcome.TEMPFAIL:
            raise _SpfError("temperror", "no answer from DNS")
        records = [record for record in answer.records if is_spf(record)]
        if not records:
            return "none"
        if len(records) > 1:
            raise _SpfError("permerror", "several SPF records")
        try:
            record = read_record(records[0])
        except SpfSyntaxError as exc:
            raise _SpfError("permerror", str(exc)) from None
        for mechanism in record.mechanisms:
            if mechanism.asks_dns:
                self._count_lookup()
            if await self._matches(mechanism, domain):
                return mechanism.result
        if not record.redirect:
            return "neutral"
        self._count_lookup()
        result = await self.host(await self._expanded(record.redirect, domain))
        if result == "none":
            raise _SpfError("permerror", "redirect to a domain without SPF record")
        return result

    async def _matches(self, mechanism: Mechanism, domain: str) -> bool:
        if mechanism.kind == "all":
            return True
        if mechanism.network is not None:
            return self._ip.version == mechanism.network.version and self._ip in mechanism.network
        target = await self._expanded(mechanism.domain_spec, domain) if mechanism.domain_spec else domain
        if mechanism.kind == "include":
            return await self._includes(target)
        if mechanism.kind == "ptr":
            return any(name == target.lower() or name.endswith("." + target.lower()) for name in await self._names())
        if not is_domain_name(target):
            return False
        if mechanism.kind == "exists":
            return bool(self._records(await self._resolver.a(target)))
        if mechanism.kind == "a":
            return self._is_among(await self._addresses(target), mechanism)
        return await self._is_mail_exchanger(target, mechanism)

    async def _includes(self, target: str) -> bool:
        result = await self.host(target)
        if result == "none":
            raise _SpfError("permerror", "include of a domain without SPF record")
        return result == "pass"

    async def _is_mail_exchanger(self, target: str, mechanism: Mechanism) -> bool:
        exchangers = self._records(await self._resolver.mx(target))
        if len(exchangers) > MX_NAMES_MAX:
            raise _SpfError("permerror", "too many MX records")
        for exchanger in exchangers:
            # Those of a null MX (RFC 7505) have no name.
            if is_domain_name(exchanger.host) and self._is_among(await self._addresses(exchanger.host), mechanism):
                return True
        return False

    def _is_among(self, addresses: tuple[str, ...], mechanism: Mechanism) -> bool:
        shift = 32 - mechanism.prefix4 if self._ip.version == 4 else 128 - mechanism.prefix6
        return any(int(ip_address(address)) >> shift == int(self._ip) >> shift for address in addresses)

    async def _addresses(self, name: str) -> tuple[str, ...]:
        ask = self._resolver.a if self._ip.version == 4 else self._resolver.aaaa
        return self._records(await ask(name))

    async def _names(self) -> list[str]:
        """The client's names that lead back to its address (§5.5); an error of DNS is as good as none."""
        answer = await self._resolver.ptr(str(self._ip))
        ask = self._resolver.a if self._ip.version == 4 else self._resolver.aaaa
        names = []
        for name in answer.records[:PTR_NAMES_MAX]:
            if is_domain_name(name):
                addresses = (await ask(name)).records
                if any(ip_address(address) == self._ip for address in addresses):
                    names.append(name)
        return names

    async def _expanded(self, domain_spec: str, domain: str) -> str:
        validated = "unknown"
        if needs_validated_name(domain_spec):
            names = await self._names()
            below = [name for name in names if name.endswith("." + domain)]
            validated = domain if domain in names else next(iter(below or names), "unknown")
        return expand(domain_spec, self._values, domain, validated)

    def _count_lookup(self) -> None:
        self._lookups += 1
        if self._lookups > LOOKUPS_MAX:
            raise _SpfError("permerror", "too many DNS look-ups")

    def _records(self, answer: Answer[T]) -> tuple[T, ...]:
        if answer.outcome is Outcome.TEMPFAIL:
            raise _SpfError("temperror", "no answer from DNS")
        if not answer.records:
            self._void_lookups += 1
            if self._void_lookups > VOID_LOOKUPS_MAX:
                raise _SpfError("permerror", "too many DNS look-ups that find nothing")
        return answer.records
