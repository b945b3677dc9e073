"""A DNS server on the loopback address, over UDP and TCP, with the zones that a test writes."""

from __future__ import annotations

import socketserver
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dnslib import AAAA, CNAME, MX, PTR, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSRecord

from tests.servers.wait import free_port

UDP_OCTETS = 512
BLACK_HOLE = "no answer"
"""Instead of records: whoever asks waits in vain."""
SERVFAIL = "servfail"

Records = Mapping[str, Any]
"""Name → list of (type, data), BLACK_HOLE or SERVFAIL; "*" is every other name.

Data is text, for TXT also a list of strings, for MX (preference, host), for SRV (priority, weight,
port, host).
"""

_MAKE = {
    "A": A,
    "AAAA": AAAA,
    "CNAME": CNAME,
    "MX": lambda data: MX(data[1], data[0]),
    "PTR": PTR,
    "SRV": lambda data: SRV(*data),
    "TXT": lambda data: TXT([piece.encode() if isinstance(piece, str) else piece for piece in _strings(data)]),
}


def _strings(data: Any) -> list[str | bytes]:
    """TXT data as strings of at most 255 octets."""
    if isinstance(data, list):
        return data
    return [data[i : i + 255] for i in range(0, len(data), 255)] or [""]


class DnsServer:
    """What is asked, and what it answers; `records` may be changed while it runs."""

    def __init__(self, records: Records, *, ttl_s: int = 60) -> None:
        self.records = {name.lower().rstrip("."): entry for name, entry in records.items()}
        self.ttl_s = ttl_s
        self.asked: Counter[tuple[str, str]] = Counter()
        """(name, type) → how often."""
        self.over_tcp = 0
        self.address = ""
        """For `servers:` in the configuration."""

    def answer(self, packet: bytes, *, is_tcp: bool) -> bytes | None:
        """The reply to one packet, None for none."""
        request = DNSRecord.parse(packet)
        name, kind = str(request.q.qname).lower().rstrip("."), QTYPE[request.q.qtype]
        self.asked[name, kind] += 1
        self.over_tcp += is_tcp
        reply = request.reply()
        entry = self.records.get(name, self.records.get("*"))
        if entry == BLACK_HOLE:
            return None
        if entry == SERVFAIL:
            reply.header.rcode = RCODE.SERVFAIL
            return bytes(reply.pack())
        if entry is None:
            has_children = any(other.endswith(f".{name}") for other in self.records)
            reply.header.rcode = RCODE.NOERROR if has_children else RCODE.NXDOMAIN
        for other, data in entry or ():
            if other in (kind, "CNAME"):
                reply.add_answer(RR(request.q.qname, getattr(QTYPE, other), ttl=self.ttl_s, rdata=_MAKE[other](data)))
            if other == "CNAME":
                for target_kind, target in self.records.get(data.rstrip("."), ()):
                    if target_kind == kind:
                        reply.add_answer(RR(data, getattr(QTYPE, kind), ttl=self.ttl_s, rdata=_MAKE[kind](target)))
        if not reply.rr:
            soa = SOA("ns.test", "hostmaster.test", (1, 60, 60, 60, self.ttl_s))
            reply.add_auth(RR(request.q.qname, QTYPE.SOA, ttl=self.ttl_s, rdata=soa))
        packed = bytes(reply.pack())
        if len(packed) > UDP_OCTETS and not is_tcp:
            truncated = request.reply()
            truncated.header.tc = 1
            return bytes(truncated.pack())
        return packed


@contextmanager
def dns_server(records: Records, *, ttl_s: int = 60) -> Iterator[DnsServer]:
    """A server on a free port for as long as the block runs."""
    server = DnsServer(records, ttl_s=ttl_s)

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, socket = self.request
            reply = server.answer(packet, is_tcp=False)
            if reply is not None:
                socket.sendto(reply, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            packet = self.rfile.read(int.from_bytes(self.rfile.read(2), "big"))
            reply = server.answer(packet, is_tcp=True) if packet else None
            if reply is not None:
                self.wfile.write(len(reply).to_bytes(2, "big") + reply)

    port = free_port()
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Tcp) as tcp:
        tcp.daemon_threads = True
        with socketserver.UDPServer(("127.0.0.1", port), Udp) as udp:
            server.address = f"127.0.0.1:{port}"
            threads = [threading.Thread(target=each.serve_forever, args=(0.05,)) for each in (udp, tcp)]
            for thread in threads:
                thread.start()
            try:
                yield server
            finally:
                for each in (udp, tcp):
                    each.shutdown()
                for thread in threads:
                    thread.join()
