"""Connections to one EWS address: a few sessions that stay signed in, each with one request at a time.

exchangelib's session pool; not its retries, which repeat what may have been carried out, nor its log of contents.
"""

from __future__ import annotations

import math
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
import spnego.exceptions
import urllib3
from exchangelib.configuration import Configuration
from exchangelib.protocol import BaseProtocol
from exchangelib.transport import NOAUTH
from exchangelib.version import EXCHANGE_2013_SP1, Version
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from mta.adapters.mailbox.ews.errors import status_error
from mta.adapters.mailbox.tls import tls_failure
from mta.model.printable import in_a_line
from mta.ports.mailbox import (
    EndpointDownError,
    MailboxError,
    OutcomeUnknownError,
    RefusedError,
    SignInError,
    TlsFailedError,
)

SPOKEN = Version(build=EXCHANGE_2013_SP1)
"""What requests are written in: every later server takes it, so none is asked for its version beforehand."""
_CONNECT_S = 20.0
LARGEST_ANSWER = 200_000_000
"""A message of 35 MB in base64, and its body; what is larger is given up before it fills the memory."""
_PIECE = 256 * 1024
_GRACE_S = 1.0
"""For the socket's own time-out to come first."""
_NO_HANDSHAKE = (
    ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error, spnego.exceptions.SpnegoError,
)  # fmt: skip
"""Of requests_ntlm and pyspnego, where the server's part of the handshake is missing or no such thing: they unpack what
came without a look at its length."""


@dataclass(frozen=True, slots=True)
class Reply:
    """XML, wholly read."""

    content: bytes = field(repr=False)

    def close(self) -> None:
        """exchangelib asks for it; there is nothing left to close."""


class Connections(BaseProtocol):  # type: ignore[misc]
    """To one address, at most `connections` of them; for any thread."""

    USERAGENT = "Stampline"

    def __init__(
        self, url: str, *, auth: Callable[[], AuthBase], context: ssl.SSLContext, connections: int, timeout_s: float
    ) -> None:
        super().__init__(
            Configuration(service_endpoint=url, auth_type=NOAUTH, version=SPOKEN, max_connections=connections)
        )
        self._auth = auth
        self._context = context
        self._timeout_s = timeout_s
        self._adapters: WeakSet[_Adapter] = WeakSet()

    @property
    def version(self) -> Version:
        """exchangelib's services ask for it."""
        return SPOKEN

    def post(self, body: bytes, headers: Mapping[str, str], *, changes: bool, most_octets: int | None = None) -> Reply:
        """One request; `changes` says whether it changes something, so whether a broken connection leaves that open.

        Bounded in time and size. Raises MailboxError; RefusedError for an answer of more than `most_octets`, where that
        is said.
        """
        session = self.get_session()
        try:
            reply = self._ask(session, body, headers, changes=changes, most_octets=most_octets)
        except BaseException:
            self.retire_session(session)  # whatever state it is in
            raise
        self.release_session(session)
        return reply

    def interrupt(self, *, only_overdue: bool) -> None:
        """End requests that are under way, as if their connections had broken: all, or those whose time is up.

        Time-outs of sockets begin anew with each octet that comes.
        """
        now = time.monotonic()
        for adapter in list(self._adapters):
            if not only_overdue or adapter.pool.ends_at + _GRACE_S < now:
                adapter.pool.interrupt()

    def create_session(self) -> requests.Session:
        """Signed in by itself, with cookies of nobody, proxies and trust of no environment."""
        session: requests.Session = super().create_session()
        session.auth = self._auth()
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session

    def raw_session(self, prefix: str, **_unused: Any) -> requests.Session:
        """exchangelib makes its sessions by this; a class method there, and trust is each endpoint's own here."""
        session: requests.Session = super().raw_session(prefix)
        adapter = _Adapter(self.service_endpoint, self._context)
        self._adapters.add(adapter)
        session.mount("https://", adapter)
        session.adapters = {"https://": adapter}
        return session

    def _ask(
        self, session: requests.Session, body: bytes, headers: Mapping[str, str], *, changes: bool,
        most_octets: int | None,
    ) -> Reply:  # fmt: skip
        ends_at = time.monotonic() + self._timeout_s
        pool = session.get_adapter(self.service_endpoint).pool  # type: ignore[attr-defined]
        pool.is_connecting = True
        pool.ends_at = ends_at
        try:
            with session.post(
                self.service_endpoint, data=body, headers=dict(headers), allow_redirects=False,
                timeout=(min(_CONNECT_S, self._timeout_s), self._timeout_s), stream=True,
            ) as response:  # fmt: skip
                content = _read(response, ends_at, most_octets)
        except _TooLargeError as exc:
            raise RefusedError("too-large", f"an answer of more than {most_octets} octets") from exc
        except (requests.RequestException, urllib3.exceptions.HTTPError, ssl.SSLError, TimeoutError) as exc:
            raise self._broken(exc, connecting=pool.is_connecting, changes=changes) from exc
        except PermissionError as exc:  # of requests_ntlm; an OSError, too
            raise SignInError("401", "the server does not take up NTLM") from exc
        except OSError as exc:
            raise self._broken(exc, connecting=pool.is_connecting, changes=changes) from exc
        except _NO_HANDSHAKE as exc:
            raise EndpointDownError("handshake", f"the server broke it off ({type(exc).__name__})") from exc
        finally:
            pool.ends_at = math.inf
        return self._reply(response, content, sent_octets=len(body), changes=changes)

    def _broken(self, exc: Exception, *, connecting: bool, changes: bool) -> MailboxError:
        where = urlsplit(self.service_endpoint).netloc
        if connecting and (failure := tls_failure(exc)) is not None:
            return TlsFailedError("tls", in_a_line(f"{where}: {failure}", 200))
        if connecting:
            return EndpointDownError("unreachable", in_a_line(f"{where}: {_cause(exc)}", 200))
        kind = OutcomeUnknownError if changes else EndpointDownError
        return kind("broken", in_a_line(f"{where}: no whole answer: {_cause(exc)}", 200))

    @staticmethod
    def _reply(response: requests.Response, content: bytes, *, sent_octets: int, changes: bool) -> Reply:
        is_xml = content[:200].lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<?xml", b"<s:", b"<soap", b"<S"))
        if is_xml and response.status_code in (200, 500):  # a SOAP fault is a 500 (SOAP 1.1 §6.2)
            return Reply(content)
        if response.status_code != 200:
            raise status_error(response.status_code, response.headers, sent_octets=sent_octets, changes=changes)
        kind = OutcomeUnknownError if changes else EndpointDownError
        said = in_a_line(response.headers.get("Content-Type", "nothing"), 60)
        raise kind("not-soap", f"answers {said} instead of SOAP: is this the address of EWS?")


class _Pool(urllib3.HTTPSConnectionPool):
    """The one connection of a session; doesn't warn at each request where `verify: false` was told of at the start."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, ssl_context=context, maxsize=1, block=True)
        self.is_connecting = True
        """Nothing of a request has been sent yet."""
        self.ends_at = math.inf
        """Of the request under way, in monotonic seconds."""
        self._connection: Any = None

    def _validate_conn(self, conn: Any) -> None:
        self._connection = conn
        if conn.is_closed:
            conn.connect()
        self.is_connecting = False

    def interrupt(self) -> None:
        connection = getattr(self._connection, "sock", None)
        if connection is not None:
            with suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """For one host, trusting whom the endpoint trusts."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        super().__init__(max_retries=0)
        place = urlsplit(url)
        self.pool = _Pool(place.hostname or "", place.port or 443, context)

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> _Pool:
        return self.pool

    def cert_verify(self, *_args: Any, **_kwargs: Any) -> None:
        """The pool's context verifies; requests would add authorities of its own."""

    def close(self) -> None:
        self.pool.close()
        super().close()


class _TooLargeError(Exception):
    """More than was asked for at most."""


def _read(response: requests.Response, ends_at: float, most_octets: int | None) -> bytes:
    pieces: list[bytes] = []
    room = LARGEST_ANSWER if most_octets is None else most_octets
    for piece in response.raw.stream(_PIECE, decode_content=True):
        pieces.append(piece)
        room -= len(piece)
        if room < 0 and most_octets is not None:
            raise _TooLargeError
        if room < 0:
            raise requests.exceptions.ContentDecodingError("the answer is too large")
        _check_time(ends_at)
    _check_time(ends_at)  # broken off in its header, it seems to be whole
    return b"".join(pieces)


def _check_time(ends_at: float) -> None:
    if time.monotonic() > ends_at:
        raise TimeoutError("the answer comes too slowly")


def _cause(exc: BaseException) -> str:
    """The innermost reason: urllib3's own texts name objects of memory."""
    reason = exc
    for _ in range(8):
        inner = reason.__cause__ or reason.__context__ or getattr(reason, "reason", None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return f"{type(reason).__name__} {reason}" if isinstance(reason, OSError) else type(reason).__name__
