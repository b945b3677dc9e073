"""DNS in memory: the resolver's port over records written as for `tests/servers/dns.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from mta.ports.resolver import Answer, MailExchanger, Outcome

TIMEOUT = "timeout"


class Zones:
    """Names in any case; data is text or octets, for TXT also a list of strings, for MX (preference, host)."""

    def __init__(self, records: Mapping[str, Any]) -> None:
        self.records = {name.lower().rstrip("."): entry for name, entry in records.items()}
        self.asked: Counter[tuple[str, str]] = Counter()

    async def txt(self, name: str) -> Answer[bytes]:
        return self._answer(name, "TXT", _joined)

    async def a(self, name: str) -> Answer[str]:
        return self._answer(name, "A", str)

    async def aaaa(self, name: str) -> Answer[str]:
        return self._answer(name, "AAAA", str)

    async def mx(self, name: str) -> Answer[MailExchanger]:
        return self._answer(name, "MX", lambda data: MailExchanger(data[0], data[1].lower().rstrip(".")))

    async def ptr(self, ip: str) -> Answer[str]:
        return self._answer(ip_address(ip).reverse_pointer, "PTR", lambda data: data.lower().rstrip("."))

    async def close(self) -> None:
        """Nothing is under way."""

    def _answer(self, name: str, kind: str, read: Any, depth: int = 0) -> Answer[Any]:
        name = name.lower().rstrip(".")
        self.asked[name, kind] += 1
        entry = self.records.get(name, self.records.get("*"))
        if entry is None:
            below = any(other.endswith(f".{name}") for other in self.records)
            return Answer(Outcome.NODATA if below else Outcome.NXDOMAIN)
        if entry == TIMEOUT or (kind, TIMEOUT) in entry:
            return Answer(Outcome.TEMPFAIL)
        alias = next((data for other, data in entry if other == "CNAME"), "")
        if alias and depth < 8:
            return self._answer(alias, kind, read, depth + 1)
        found = tuple(read(data) for other, data in entry if other == kind)
        return Answer(Outcome.ANSWER, found) if found else Answer(Outcome.NODATA)


def _joined(data: Any) -> bytes:
    pieces = data if isinstance(data, list) else [data]
    return b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in pieces)
