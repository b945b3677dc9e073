"""Mails by Microsoft Graph's sendMail, as the sender's mailbox: MIME in base64.

https://learn.microsoft.com/graph/outlook-send-mime-message. Graph sends to those whom the header names, and keeps a
copy in the mailbox's Sent Items: of MIME it can't be left out. Who is in no header is added as Bcc, which Exchange
takes out again.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from urllib.parse import quote

from mta.adapters.mailbox.graph.attaching import LARGEST_REQUEST
from mta.adapters.mailbox.graph.connection import Connection
from mta.adapters.outgoing.errors import task_error_of
from mta.config.mailbox_schema import GraphMailboxes
from mta.config.tracking_schema import GraphAccount
from mta.message.addresses import Mailbox, addresses
from mta.message.mailboxes import address_field
from mta.message.parse import parse
from mta.model import task_reasons as reasons
from mta.model.address import AddressError, parse_address
from mta.ports.mailbox import AccessDeniedError, MailboxError
from mta.ports.outgoing import OutgoingMail, Sent
from mta.ports.task_errors import RefusedTaskError

CONNECTIONS = 4
_FIELDS = ("To", "Cc", "Bcc")


class GraphSender:
    """Fulfils `mta.ports.outgoing.MailAccount`."""

    def __init__(self, settings: GraphAccount) -> None:
        """Raises OSError or KeyError where a secret or a file can't be read."""
        self._sender = settings.senders[0]
        server = GraphMailboxes(
            kind="graph", name=settings.name, oauth=settings.oauth, url=settings.url, tls=settings.tls,
            timeout=settings.timeout,
        )  # fmt: skip
        self._connection = Connection(server, connections=CONNECTIONS)

    async def sign_in(self) -> str:
        """As the port says. Mail.Send alone doesn't let us look at the mailbox: that it is denied is an answer, too."""
        try:
            roles = await self._connection.roles()
            with suppress(AccessDeniedError):
                await self._connection.get(f"/users/{quote(self._sender)}/mailFolders/inbox?$select=id")
        except MailboxError as exc:
            raise task_error_of(exc) from exc
        return f"{self._connection.host} answers; {roles}"

    async def send(self, mail: OutgoingMail) -> Sent:
        """As the port says; who can't be reached is told of by a bounce, not by Graph's answer."""
        body = base64.b64encode(_addressed(mail))
        if len(body) > LARGEST_REQUEST:
            what = f"{len(mail.message)} octets, and Microsoft Graph takes mails of 3 MB; an SMTP account takes more"
            raise RefusedTaskError(reasons.TOO_LARGE, what)
        try:
            await self._connection.post(f"/users/{quote(mail.sender)}/sendMail", body, content_type="text/plain")
        except MailboxError as exc:
            raise task_error_of(exc) from exc
        return Sent()

    async def close(self) -> None:
        await self._connection.close()


def _addressed(mail: OutgoingMail) -> bytes:
    """The message whose header names all recipients. Raises RefusedTaskError where it names others, too."""
    message = parse(mail.message)
    named = {mailbox.address.key for name in _FIELDS for mailbox in addresses(message, name)}
    try:
        wanted = {address.key: address for address in map(parse_address, mail.recipients)}
        if others := named - wanted.keys():
            what = f"Microsoft Graph sends to all whom the header names, {len(others)} of whom are no recipients"
            raise RefusedTaskError(reasons.UNSENDABLE, what)
        hidden = [Mailbox("", address) for key, address in wanted.items() if key not in named]
        return (address_field("Bcc", hidden) if hidden else b"") + mail.message
    except AddressError as exc:
        raise RefusedTaskError(reasons.UNSENDABLE, "a recipient's address is none") from exc
    except ValueError as exc:
        raise RefusedTaskError(reasons.UNSENDABLE, "a hidden recipient's address is not in ASCII") from exc
