"""Notices by mail, handed to a server of the administrator's choice: our own queue may be what is in trouble."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from textwrap import fill

import aiosmtplib

from mta.config.alert_schema import AlertMail
from mta.model.printable import in_a_line
from mta.ports.notification import SEND_MAX_S, Notice, NotificationError

PARAGRAPHS_MAX = 50
TIMEOUT_S = 15.0
"""For each step of the dialogue."""
_HEADINGS = {"begun": "New", "lasts": "Still there", "over": "Over", "test": "Test"}


class MailChannel:
    """Fulfils `mta.ports.notification.NotificationChannel`. Raises OSError when made, if the CA file can't be used."""

    name = "mail"

    def __init__(self, settings: AlertMail, *, sender: str, hostname: str, password: str = "") -> None:
        """`sender` is From and the reverse-path, `hostname` this relay's."""
        self._settings = settings
        self._sender = settings.sender or sender
        self._hostname = hostname
        self._password = password
        self._context = ssl.create_default_context(cafile=settings.ca_file)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.tls == "opportunistic" and not settings.user:
            # An unverified connection is better than the clear text that would follow.
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE

    async def send(self, notices: Sequence[Notice]) -> None:
        """As the port says."""
        settings = self._settings
        start_tls = {"opportunistic": None, "required": True}.get(settings.tls, False)
        try:
            async with asyncio.timeout(SEND_MAX_S):
                await aiosmtplib.send(
                    self.message(notices), sender=self._sender, recipients=list(settings.to), hostname=settings.host,
                    port=settings.port, local_hostname=self._hostname, use_tls=settings.tls == "implicit",
                    start_tls=start_tls, tls_context=self._context, timeout=TIMEOUT_S,
                    username=settings.user or None, password=self._password if settings.user else None,
                )  # fmt: skip
        except (aiosmtplib.SMTPException, OSError, ValueError) as exc:
            why = in_a_line(str(exc), 300) or type(exc).__name__
            raise NotificationError(f"{settings.host} port {settings.port}: {why}") from exc

    def message(self, notices: Sequence[Notice]) -> EmailMessage:
        """The mail: plain text, a paragraph for each notice, as far as somebody would read on."""
        message = EmailMessage()
        more = f" (and {len(notices) - 1} more)" if len(notices) > 1 else ""
        subject = in_a_line(notices[0].subject, 200)
        message["Subject"] = f"[{self._hostname}] {_HEADINGS[notices[0].state]}: {subject}{more}"
        message["From"] = f"Stampline <{self._sender}>"
        message["To"] = ", ".join(self._settings.to)
        message["Date"] = format_datetime(datetime.now().astimezone())
        message["Message-ID"] = make_msgid(domain=self._hostname)
        message["Auto-Submitted"] = "auto-generated"
        paragraphs = [_paragraph(notice) for notice in notices[:PARAGRAPHS_MAX]]
        if len(notices) > PARAGRAPHS_MAX:
            paragraphs.append(f"… and {len(notices) - PARAGRAPHS_MAX} more: `stampline alerts` shows them all.")
        message.set_content("\n\n".join(paragraphs) + "\n")
        return message


def _paragraph(notice: Notice) -> str:
    since = notice.since.astimezone().strftime("%Y-%m-%d %H:%M %Z")
    subject, text = in_a_line(notice.subject, 300), in_a_line(notice.text, 2000)
    return "\n".join((f"{_HEADINGS[notice.state]}, since {since}:", subject, "", fill(text, 76)))
