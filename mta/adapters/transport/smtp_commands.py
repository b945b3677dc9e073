"""What an SMTP client says and may say: extensions (RFC 5321 §4.1.1.1), MAIL and RCPT lines, addresses on the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mta.adapters.transport.smtp_replies import RemoteReply
from mta.model.address import Address
from mta.model.reply import Reply

_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>]")
_TOO_LARGE = Reply(552, "5.3.4", "The message is larger than the next hop takes")
_NO_SMTPUTF8 = Reply(553, "5.6.7", "The next hop does not take internationalised mail (SMTPUTF8)")
_BAD_ADDRESS = Reply(553, "5.1.3", "The address can't be sent through SMTP")


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the server offered in its answer to EHLO; all off after HELO."""

    pipelining: bool = False
    size: int = 0
    """The largest message in octets; 0 where the server names none."""
    size_offered: bool = False
    eight_bit_mime: bool = False
    smtputf8: bool = False
    starttls: bool = False
    enhanced_status_codes: bool = False
    dsn: bool = False
    chunking: bool = False


@lru_cache(maxsize=256)
def parse_extensions(lines: tuple[bytes, ...]) -> Extensions:
    """The lines of an EHLO reply, the greeting line first. Unknown keywords and broken values count for nothing."""
    offered: dict[bytes, bytes] = {}
    for line in lines[1:]:
        keyword, _, value = line.strip().partition(b" ")
        offered.setdefault(keyword.upper(), value.strip())
    size = offered.get(b"SIZE", b"")
    return Extensions(
        pipelining=b"PIPELINING" in offered,
        size=int(size) if size.isdigit() and len(size) <= 20 else 0,
        size_offered=b"SIZE" in offered,
        eight_bit_mime=b"8BITMIME" in offered,
        smtputf8=b"SMTPUTF8" in offered,
        starttls=b"STARTTLS" in offered,
        enhanced_status_codes=b"ENHANCEDSTATUSCODES" in offered,
        dsn=b"DSN" in offered,
        chunking=b"CHUNKING" in offered,
    )


@dataclass(frozen=True, slots=True)
class Transaction:
    """One copy for some recipients: what MAIL and RCPT say."""

    reverse_path: Address | None
    recipients: tuple[Address, ...]
    size_octets: int
    """Of the content as it is before dot-stuffing (RFC 1870 §3)."""
    eight_bit: bool = False
    smtputf8: bool = False
    """The header holds UTF-8 and was declared so; addresses speak for themselves."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A recipient's outcome; `words` are the remote's own, "" where the reply is ours."""

    reply: Reply
    words: str = ""

    @classmethod
    def of(cls, remote: RemoteReply) -> Answer:
        return cls(remote.reply(), remote.words)


@dataclass(frozen=True, slots=True)
class Plan:
    """The commands of a transaction, and the recipients whom none is sent for."""

    mail: bytes
    rcpt: tuple[tuple[int, bytes], ...]
    """(position in the transaction's recipients, command line); empty: nothing is to be sent at all."""
    refused: dict[int, Answer]


def plan(transaction: Transaction, extensions: Extensions) -> Plan:
    """Work out what can be sent to a server with these extensions.

    Over its SIZE: 552 5.3.4. SMTPUTF8 needed and not offered: 553 5.6.7 for whom it concerns; a domain alone goes as
    A-labels. 8-bit content where 8BITMIME is not offered goes as it is: servers have been 8-bit clean for decades,
    a conversion would break signatures and a bounce would lose mail that arrives everywhere else.
    """
    if extensions.size and transaction.size_octets > extensions.size:
        return _nothing(transaction, _TOO_LARGE)
    if transaction.smtputf8 and not extensions.smtputf8:
        return _nothing(transaction, _NO_SMTPUTF8)
    sender = _wire(transaction.reverse_path, extensions.smtputf8) if transaction.reverse_path else b""
    if isinstance(sender, Reply):
        return _nothing(transaction, sender)
    refused: dict[int, Answer] = {}
    rcpt: list[tuple[int, bytes]] = []
    needs_utf8 = transaction.smtputf8 or not sender.isascii()
    for position, address in enumerate(transaction.recipients):
        path = _wire(address, extensions.smtputf8)
        if isinstance(path, Reply):
            refused[position] = Answer(path)
        else:
            rcpt.append((position, b"RCPT TO:<%b>\r\n" % path))
            needs_utf8 = needs_utf8 or not path.isascii()
    return Plan(_mail(sender, transaction, extensions, needs_utf8), tuple(rcpt), refused)


def _nothing(transaction: Transaction, reply: Reply) -> Plan:
    return Plan(b"", (), dict.fromkeys(range(len(transaction.recipients)), Answer(reply)))


def _mail(sender: bytes, transaction: Transaction, extensions: Extensions, needs_utf8: bool) -> bytes:
    line = b"MAIL FROM:<%b>" % sender
    if extensions.size_offered:
        line += b" SIZE=%d" % transaction.size_octets
    if transaction.eight_bit and extensions.eight_bit_mime:
        line += b" BODY=8BITMIME"
    if needs_utf8:
        line += b" SMTPUTF8"
    return line + b"\r\n"


@lru_cache(maxsize=4096)
def _wire(address: Address, smtputf8: bool) -> bytes | Reply:
    """An address between its angle brackets, or why it can't stand there.

    Checked again, though addresses come from a strict parser: a line end or `>` here would be a command of somebody
    else's. A space is safe within quotes only.
    """
    local, domain = address.local, address.domain
    if _UNSAFE.search(local) or _UNSAFE.search(domain) or " " in domain or (" " in local and local[0] != '"'):
        return _BAD_ADDRESS
    if not smtputf8 and not domain.isascii():
        domain = address.domain_key
    path = f"{local}@{domain}"
    if not smtputf8 and not path.isascii():
        return _NO_SMTPUTF8
    try:
        return path.encode("utf-8")
    except UnicodeEncodeError:
        return _BAD_ADDRESS
