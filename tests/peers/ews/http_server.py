"""Connections: HTTP/1.1 over TLS, a thread for each, for NTLM signs in connections."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from tests.peers.ews.access import Account
from tests.peers.ews.autodiscover import Autodiscover
from tests.peers.ews.errors import CutError, HttpAnswer
from tests.peers.ews.service import Entry, Service
from tests.peers.ews.sign_in import Connection, Denied, SignIn

_EWS = "/ews/exchange.asmx"
_LARGEST_BODY = 200 * 1024 * 1024
_IDLE_S = 120
_CHUNK = 64 * 1024
_COMPRESSED = range(2_000, 1_000_000)
"""Octets of an answer that is worth it."""


class EwsHttpServer(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 512

    def __init__(
        self, port: int, context: ssl.SSLContext, certificate_hash: bytes, service: Service, sign_in: SignIn
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.context = context
        self.certificate_hash = certificate_hash
        self.service = service
        self.sign_in = sign_in
        self.autodiscover = Autodiscover(service, f"https://localhost:{self.server_address[1]}")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle, or don't like our certificate, are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EwsHttpServer
    server_version = "Microsoft-IIS/10.0"
    sys_version = ""
    timeout = _IDLE_S
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self.request.settimeout(_IDLE_S)
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.server.service.connections += 1
        self.signed = Connection(self.server.certificate_hash)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """The request log is ours."""

    def do_GET(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def _take(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            self._send(HttpAnswer(413 if length.isdigit() else 411))
            return
        body = self.rfile.read(int(length))
        entry = self.server.service.begin(len(body))
        if len(body) > self.server.service.settings.largest_request:
            entry.status = 404
            self._send(
                HttpAnswer(404, b"The request filtering module is configured to deny a request that is too large.")
            )
            return
        try:
            answer = self._answer(body, entry)
        except CutError:
            self._reset()
            return
        entry.status = answer.status
        entry.ended_at = time.monotonic()
        self._send(answer)

    def _answer(self, body: bytes, entry: Entry) -> HttpAnswer:
        path = self.path.partition("?")[0].lower()
        if path == "/autodiscover/autodiscover.xml" and self.command == "GET":
            return self.server.autodiscover.plain_redirect()
        who = self.server.sign_in.check(
            self.headers.get("Authorization", ""), self.signed, self.server.service.settings.offers
        )
        if isinstance(who, Denied):
            entry.operation = "401"
            return HttpAnswer(401, b"", headers=[("WWW-Authenticate", offer) for offer in who.offers])
        return self._signed_in(path, who, body, entry)

    def _signed_in(self, path: str, account: Account, body: bytes, entry: Entry) -> HttpAnswer:
        if path.startswith("/autodiscover/"):
            entry.operation, entry.account = "Autodiscover", account.user
            return self.server.autodiscover.answer(path, body)
        if path != _EWS:
            return HttpAnswer(404)
        if self.command == "GET":
            return HttpAnswer(200, b"<html><body>Service</body></html>")
        if not self.headers.get("Content-Type", "").lower().startswith("text/xml"):
            return HttpAnswer(415)  # ASP.NET: SOAP 1.1 is text/xml
        return self.server.service.answer(account, body, entry)

    def _send(self, answer: HttpAnswer) -> None:
        known = answer.status in set(HTTPStatus)
        lines = [
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase if known else ''}",
            f"Server: {self.server_version}",
        ]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if self.close_connection:
            lines.append("Connection: close")
        if answer.body:
            lines.append(f"Content-Type: {answer.content_type}")
        body, framing = self._framed(answer.body)
        self.wfile.write("\r\n".join(lines + framing).encode("latin-1") + b"\r\n\r\n" + body)

    def _framed(self, body: bytes) -> tuple[bytes, list[str]]:
        """As IIS in front of ASP.NET: in chunks (RFC 9112 §7.1), and compressed for those who take it."""
        if not body:
            return body, ["Content-Length: 0"]
        fields = []
        if len(body) in _COMPRESSED and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            fields.append("Content-Encoding: gzip")
        chunks = [body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK)]
        framed = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return framed + b"0\r\n\r\n", [*fields, "Transfer-Encoding: chunked"]

    def _reset(self) -> None:
        """RST, so that the client sees the connection break at once."""
        self.close_connection = True
        with suppress(OSError):
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.wfile.close()
            self.request.close()
