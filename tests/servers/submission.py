"""A submission server (RFC 6409) in a thread: TLS and AUTH as one likes, answers of one's choice, everything kept."""

from __future__ import annotations

import ssl
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers.wait import free_port

Tls = Literal["none", "starttls", "implicit"]


@dataclass(frozen=True, slots=True)
class Submitted:
    sender: str
    recipients: tuple[str, ...]
    message: bytes
    is_tls: bool
    user: str
    options: tuple[str, ...]
    """Of MAIL."""


@dataclass
class Desk:
    """What the server goes by, and what it got; may be changed while it runs."""

    users: dict[str, str] = field(default_factory=dict)
    """Name → password, or token."""
    answers: dict[str, str] = field(default_factory=dict)
    """By recipient, or `.` for the end of data."""
    submitted: list[Submitted] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    """Names and secrets that were shown, in their order."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address)
        if answer is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        content = envelope.original_content or b""
        login = session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else ""
        assert server.transport is not None
        is_tls = server.transport.get_extra_info("ssl_object") is not None
        got = Submitted(
            envelope.mail_from or "", tuple(envelope.rcpt_tos), content, is_tls, login,
            tuple(envelope.mail_options),
        )  # fmt: skip
        if "." not in self.answers:
            self.submitted.append(got)
        return self.answers.get(".", "250 2.0.0 taken")

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - as above
        user, _, rest = b64decode(args[1]).decode().removeprefix("user=").partition("\1auth=Bearer ")
        token = rest.removesuffix("\1\1")
        self.tried += [user, token]
        if self.users.get(user) == token:
            return AuthResult(success=True, auth_data=LoginPassword(user.encode(), token.encode()))
        await server.push("334 eyJzdGF0dXMiOiI0MDEifQ==")
        await server._reader.readline()
        return AuthResult(success=False, handled=False)

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user, password = data.login.decode(), data.password.decode()
        self.tried += [user, password]
        return AuthResult(success=self.users.get(user) == password, handled=False, auth_data=data)


class _Server(Controller):
    def __init__(self, desk: Desk, context: ssl.SSLContext | None, tls: Tls, **settings: Any) -> None:
        super().__init__(
            desk, hostname="127.0.0.1", port=free_port(), ssl_context=context if tls == "implicit" else None,
            tls_context=context if tls == "starttls" else None, authenticator=desk.authenticate, ready_timeout=60.0,
            **{"auth_require_tls": tls == "starttls", "enable_SMTPUTF8": False, **settings},
        )  # fmt: skip


@contextmanager
def submission_server(
    desk: Desk, context: ssl.SSLContext | None = None, *, tls: Tls = "none", **settings: Any
) -> Iterator[int]:
    """Runs it; gives its port. `settings` are aiosmtpd's own."""
    server = _Server(desk, context, tls, **settings)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()
