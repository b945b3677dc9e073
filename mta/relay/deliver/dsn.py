"""What a sender is told: multipart/report by RFC 6522, RFC 3464 and RFC 3834, 7-bit clean."""

from __future__ import annotations

import mmap
import re
import secrets
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from mta.model.address import Address
from mta.model.decision import Decision, Direction, RecipientDecision, Role
from mta.model.delivery import AcceptedMessage, Body, RecipientEntry
from mta.model.envelope import Envelope
from mta.model.queue_id import new_queue_id
from mta.relay.deliver.explanations import letter, one_line, remote_name, title
from mta.relay.deliver.reports import Action, Report, is_of_its_sender
from mta.relay.deliver.returned import part, returned, subject_of

_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>\Z")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_ORCPT = re.compile(r"([A-Za-z0-9.\-]{1,40});(.+)\Z", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}\Z")
_FIELD_MAX = 900


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

    def write(
        self, message: AcceptedMessage, reports: Sequence[Report], now: datetime, original: bytes | mmap.mmap
    ) -> AcceptedMessage:
        """One DSN to the reverse-path of all `reports`, as a message that is due now.

        `original` holds the received bytes (CRLF). Raises ValueError for the null reverse-path, which never gets one.
        """
        sender = message.envelope.reverse_path
        if sender is None:
            raise ValueError("no DSN goes to the null reverse-path")
        queue_id = new_queue_id()
        data = self._data(queue_id, sender, message, reports, now, original)
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
        reports: Sequence[Report],
        now: datetime,
        original: bytes | mmap.mmap,
    ) -> bytes:
        boundary = f"=_{queue_id}_{secrets.token_hex(8)}"
        postmaster = self.postmaster if "@" in self.postmaster else f"{self.postmaster}@{self.hostname}"
        fields = [
            f"Date: {format_datetime(now)}",
            f"From: Mail Delivery System <{one_line(postmaster)}>",
            f"To: {f'<{one_line(str(sender))}>' if sender.is_ascii else 'undisclosed-recipients:;'}",
            f"Subject: {title(reports)}",
            f"Message-ID: <{queue_id}@{self.hostname}>",
            *_threading(message.message_id),
            "Auto-Submitted: auto-replied",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
        ]
        text = letter(
            reports, hostname=self.hostname, accepted_at=message.accepted_at, now=now, queue_id=message.queue_id,
            subject=subject_of(original),
        )  # fmt: skip
        # RFC 3461 §4.3: RET is about failures; where all went well the header is enough. And so it is where somebody
        # else may have sent the message, who would have us send the content to anybody.
        is_failure = any(report.action is Action.FAILED for report in reports)
        whole = message.envelope.ret == "FULL" and is_failure and is_of_its_sender(message)
        parts = (
            part("text/plain; charset=utf-8", text.encode("utf-8", "replace"), "Explanation"),
            part("message/delivery-status", self._delivery_status(message, reports, now), "Delivery report"),
            returned(original, whole=whole, is_international=message.envelope.smtputf8),
        )
        delimiter = f"--{boundary}\r\n".encode()
        head = "\r\n".join(fields).encode("ascii") + b"\r\n\r\n"
        body = b"".join(delimiter + each.removesuffix(b"\r\n") + b"\r\n" for each in parts)
        return head + body + f"--{boundary}--\r\n".encode()

    def _delivery_status(self, message: AcceptedMessage, reports: Sequence[Report], now: datetime) -> bytes:
        """RFC 3464 §2: the fields about the message, then a block for each recipient."""
        envid, client = message.envelope.envid, message.client
        blocks = [
            [
                *([_field("Original-Envelope-Id", from_xtext(envid))] if envid else []),
                f"Reporting-MTA: dns; {self.hostname}",
                f"X-Stampline-Queue-Id: {message.queue_id}",
                *([f"Received-From-MTA: dns; {client.helo}"] if client and _HOST.match(client.helo) else []),
                f"Arrival-Date: {format_datetime(message.accepted_at)}",
            ],
            *(_about_one(report, now) for report in reports),
        ]
        return "\r\n".join("\r\n".join(block) + "\r\n" for block in blocks).encode("ascii")


def _about_one(report: Report, now: datetime) -> list[str]:
    """RFC 3464 §2.3: the fields about one recipient."""
    block = [
        *_original_recipient(report.asked.orcpt),
        _recipient("Final-Recipient", "rfc822" if report.address.is_ascii else "utf-8", str(report.address)),
        f"Action: {report.action.value}",
        f"Status: {one_line(report.status)}",
    ]
    if report.remote:
        block.append(_field("Remote-MTA", f"dns; {remote_name(report.remote)}"))
    if report.remote_reply:
        block.append(_field("Diagnostic-Code", f"smtp; {report.remote_reply}"))
    elif report.action in (Action.FAILED, Action.DELAYED):
        block.append(_field("Diagnostic-Code", f"x-stampline; {report.reply}"))
    block.append(f"Last-Attempt-Date: {format_datetime(now)}")
    if report.retry_until is not None:
        block.append(f"Will-Retry-Until: {format_datetime(report.retry_until)}")
    return block


def _original_recipient(orcpt: str) -> list[str]:
    """What the sender has called the recipient (RFC 3461 §4.2); nothing where that is no address type and xtext."""
    match = _ORCPT.match(orcpt)
    if match is None:
        return []
    kind, address = match[1], from_xtext(match[2])
    if not address.isascii():
        kind = "utf-8"
    field = _recipient("Original-Recipient", kind, address)
    return [field] if len(field) <= _FIELD_MAX else []


def _recipient(name: str, kind: str, address: str) -> str:
    """Addresses beyond ASCII are written in RFC 6533's 7-bit form, what is that already stays."""
    if kind == "utf-8":
        address = "".join(ch if "!" <= ch <= "~" else f"\\x{{{ord(ch):X}}}" for ch in address)
    return _field(name, f"{kind}; {address}")


def from_xtext(text: str) -> str:
    """RFC 3461 §4: `+` and two hexadecimal digits are a character; what is none stays as it is."""
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)


def _threading(message_id: str) -> list[str]:
    """RFC 3834 §3.1.5, where the original's Message-ID is one."""
    if not _MESSAGE_ID.match(message_id):
        return []
    return [f"In-Reply-To: {message_id}", f"References: {message_id}"]


def _field(name: str, value: str) -> str:
    """One field, folded, of one line's printable ASCII."""
    whole = f"{name}: {one_line(value)}"
    lines = textwrap.wrap(whole, 76, subsequent_indent=" ", break_long_words=False, break_on_hyphens=False)
    return "\r\n".join(lines)
