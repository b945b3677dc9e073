"""What a sender is told when mail is given up: multipart/report by RFC 3462, RFC 3464 and RFC 3834, 7-bit clean."""

from __future__ import annotations

import base64
import mmap
import re
import secrets
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime

from mta.model.address import Address
from mta.model.decision import Decision, Direction, RecipientDecision, Role
from mta.model.delivery import AcceptedMessage, Body, RecipientEntry
from mta.model.envelope import Envelope
from mta.model.queue_id import new_queue_id
from mta.relay.deliver.explanations import explanation
from mta.relay.deliver.settle import Failure

FULL_UP_TO = 256_000
"""Octets: with RET=FULL, messages up to this size are returned whole."""
HEADER_UP_TO = 65_536
"""Octets of the original's header that are returned."""
_VALUE_MAX = 900
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_NOT_SEVEN_BIT_TEXT = re.compile(rb"[^\x01-\x09\x0b\x0c\x0e-\x7f\r\n]|\r(?!\n)|(?<!\r)\n|[^\r\n]{999}")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>\Z")
_REMOTE = re.compile(r"([^\[\]]*)\[([^\[\]]+)\](?::\d+)?\Z")


@dataclass(frozen=True, slots=True)
class DsnWriter:
    """Writes DSNs in the name of one relay; fits `settle.WriteDsn` once `original` is bound."""

    hostname: str
    """Reporting-MTA, and the right side of our Message-IDs."""
    postmaster: str
    """Whole address or local part of From."""
    route: Callable[[Address], str]
    """The next hop of the DSN's recipient."""
    accepted_domains: Collection[str] = frozenset()
    """Domain keys: whether the DSN stays inside."""
    expire_after: timedelta = timedelta(days=2)

    def write(
        self, message: AcceptedMessage, failures: Sequence[Failure], now: datetime, original: bytes | mmap.mmap
    ) -> AcceptedMessage:
        """One DSN to the reverse-path about all `failures`, as a message that is due now.

        `original` holds the received bytes (CRLF). Raises ValueError for the null reverse-path, which never gets one.
        """
        sender = message.envelope.reverse_path
        if sender is None:
            raise ValueError("no DSN goes to the null reverse-path")
        queue_id = new_queue_id()
        data = self._data(queue_id, sender, message, failures, now, original)
        direction = Direction.INTERNAL if sender.domain_key in self.accepted_domains else Direction.OUTBOUND
        next_hop = self.route(sender)
        return AcceptedMessage(
            queue_id=queue_id,
            accepted_at=now,
            envelope=Envelope(None, (sender,), smtputf8=not sender.is_ascii),
            client=None,
            body=Body.of(data),
            decision=Decision(
                (RecipientDecision(sender, direction, Role.TO, (), 0, next_hop),), message.decision.organisation
            ),
            recipients=(RecipientEntry(0, sender, 0, next_hop),),
            message_id=f"<{queue_id}@{self.hostname}>",
            due_at=now,
        )

    def _data(
        self,
        queue_id: str,
        sender: Address,
        message: AcceptedMessage,
        failures: Sequence[Failure],
        now: datetime,
        original: bytes | mmap.mmap,
    ) -> bytes:
        boundary = f"=_{queue_id}_{secrets.token_hex(8)}"
        postmaster = self.postmaster if "@" in self.postmaster else f"{self.postmaster}@{self.hostname}"
        fields = [
            f"Date: {format_datetime(now)}",
            f"From: Mail Delivery System <{_one_line(postmaster)}>",
            f"To: {f'<{_one_line(str(sender))}>' if sender.is_ascii else 'undisclosed-recipients:;'}",
            f"Subject: {'A copy' if failures[0].for_postmaster else 'Your message'} could not be delivered",
            f"Message-ID: <{queue_id}@{self.hostname}>",
            *_threading(message.message_id),
            "Auto-Submitted: auto-replied",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
        ]
        status = self._delivery_status(message, failures, now).encode("ascii")
        parts = (
            _part("text/plain; charset=utf-8", self._explanation(message, failures).encode()),
            f"Content-Type: message/delivery-status\r\n\r\n{status.decode()}".encode(),
            _original(message.envelope.ret, original),
        )
        delimiter = f"--{boundary}\r\n".encode()
        head = "\r\n".join(fields).encode("ascii") + b"\r\n\r\n"
        body = b"".join(delimiter + part.removesuffix(b"\r\n") + b"\r\n" for part in parts)
        return head + body + f"--{boundary}--\r\n".encode()

    def _explanation(self, message: AcceptedMessage, failures: Sequence[Failure]) -> str:
        """The part for people."""
        one = len(failures) == 1
        whose = "A copy that a rule made of a message" if failures[0].for_postmaster else "Your message"
        lines = [
            f"This is the mail system at {self.hostname}.",
            "",
            f"{whose} of {message.accepted_at:%d %B %Y, %H:%M} (UTC) could not be delivered to "
            + ("this address:" if one else "these addresses:"),
        ]
        for failure in failures:
            lines += ["", f"    {failure.address}", ""]
            lines += textwrap.wrap(explanation(failure, self.expire_after), 72)
            if failure.remote_reply:
                name = _remote_name(failure.remote) or "The other mail server"
                lines += ["", f"{name} answered:"]
                lines += textwrap.wrap(
                    _one_line(failure.remote_reply), 68, initial_indent="    ", subsequent_indent="    "
                )
        lines += [
            "",
            "The message will not be tried again for " + ("this address." if one else "these addresses."),
            "Addresses that are not listed here are not affected.",
            "",
            "If you ask your administrator for help, please forward this whole message;",
            f"our reference is {message.queue_id}.",
        ]
        return "\r\n".join(lines) + "\r\n"

    def _delivery_status(self, message: AcceptedMessage, failures: Sequence[Failure], now: datetime) -> str:
        """RFC 3464 §2: the fields about the message, then a block for each recipient."""
        blocks = [
            [
                *([f"Original-Envelope-Id: {_one_line(message.envelope.envid)}"] if message.envelope.envid else []),
                f"Reporting-MTA: dns; {self.hostname}",
                f"X-Stampline-Queue-Id: {message.queue_id}",
                f"Arrival-Date: {format_datetime(message.accepted_at)}",
            ]
        ]
        for failure in failures:
            block = [_final_recipient(failure.address), "Action: failed", f"Status: {failure.status}"]
            if failure.remote:
                block.append(f"Remote-MTA: dns; {_remote_name(failure.remote)}")
            kind, words = ("smtp", failure.remote_reply) if failure.remote_reply else ("x-stampline", failure.reply)
            block.append(_fold(f"Diagnostic-Code: {kind}; {_one_line(str(words))}"))
            block.append(f"Last-Attempt-Date: {format_datetime(now)}")
            blocks.append(block)
        return "\r\n".join("\r\n".join(block) + "\r\n" for block in blocks)


def _threading(message_id: str) -> list[str]:
    """RFC 3834 §3.1.5, where the original's Message-ID is one."""
    if not _MESSAGE_ID.match(message_id):
        return []
    return [f"In-Reply-To: {message_id}", f"References: {message_id}"]


def _final_recipient(address: Address) -> str:
    """RFC 3464 §2.3.2; addresses beyond ASCII in RFC 6533's 7-bit form."""
    if address.is_ascii:
        return f"Final-Recipient: rfc822; {_one_line(str(address))}"
    escaped = "".join(ch if "!" <= ch <= "~" and ch not in "\\+=" else f"\\x{{{ord(ch):X}}}" for ch in str(address))
    return _fold(f"Final-Recipient: utf-8; {escaped}")


def _remote_name(remote: str) -> str:
    """`name[ip]:port` without address and port; an address literal where there is no name."""
    match = _REMOTE.match(remote)
    if match is None:
        return _one_line(remote)
    name, ip = match.groups()
    return _one_line(name) if name and name != ip else f"[{ip}]"


def _one_line(text: str) -> str:
    """Printable ASCII only and bounded, so that no reply or address can add a line or a header field."""
    return _UNPRINTABLE.sub("?", text)[:_VALUE_MAX]


def _fold(field: str) -> str:
    lines = textwrap.wrap(field, 76, subsequent_indent=" ", break_long_words=False, break_on_hyphens=False)
    return "\r\n".join(lines)


def _part(content_type: str, data: bytes) -> bytes:
    """A MIME part, in base64 only where 7bit does not hold it."""
    if _NOT_SEVEN_BIT_TEXT.search(data) is None:
        return f"Content-Type: {content_type}\r\n\r\n".encode() + data
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + encoded


def _original(ret: str, original: bytes | mmap.mmap) -> bytes:
    """The whole original where RET=FULL asks for it, and it is small and 7-bit; else its header.

    message/rfc822 must not be encoded (RFC 2046 §5.2.1), so an original in 8-bit would make the DSN 8-bit.
    """
    if ret == "FULL" and len(original) <= FULL_UP_TO:
        whole = bytes(original)
        if _NOT_SEVEN_BIT_TEXT.search(whole) is None:
            return b"Content-Type: message/rfc822\r\n\r\n" + whole
    return _part("text/rfc822-headers", _header_block(original[:HEADER_UP_TO]))


def _header_block(head: bytes) -> bytes:
    if head.startswith(b"\r\n"):
        return b""
    end = head.find(b"\r\n\r\n")
    if end < 0:
        end = head.rfind(b"\r\n")
    return head[: end + 2] if end >= 0 else head
