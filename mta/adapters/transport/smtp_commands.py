"""What an SMTP client says and may say: extensions (RFC 5321 §4.1.1.1), MAIL and RCPT lines, addresses on the wire."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from mta.adapters.transport.smtp_replies import RemoteReply
from mta.model.address import Address
from mta.model.delivery import Misfit
from mta.model.envelope import DsnRequest, Notify
from mta.model.reply import Reply

_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+"
_ENVID = re.compile(rf"{_XTEXT}\Z")
_ORCPT = re.compile(rf"[A-Za-z0-9-]+;{_XTEXT}\Z")
_ENVID_MAX, _ORCPT_MAX = 100, 500
"""RFC 3461 §4.2, §4.4."""
_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>]")
_TOO_LARGE = Reply(552, "5.3.4", "The message is larger than the next hop takes")
_NO_SMTPUTF8 = Reply(553, "5.6.7", "The next hop does not take internationalised mail (SMTPUTF8)")
_NOT_EIGHT_BIT = Reply(554, "5.6.3", "The next hop does not take 8-bit content (8BITMIME)")
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
    auth: frozenset[bytes] = frozenset()
    """Mechanisms, in upper case."""
    rcpt_max: int = 0
    """RFC 9422: recipients of one transaction, 0 where the server names none."""
    mail_max: int = 0
    """RFC 9422: transactions of one session, 0 likewise."""
    rcpt_domain_max: int = 0
    """RFC 9422: recipient domains of one transaction, 0 likewise."""


@lru_cache(maxsize=256)
def parse_extensions(lines: tuple[bytes, ...]) -> Extensions:
    """The lines of an EHLO reply, the greeting line first. Unknown keywords and broken values count for nothing."""
    offered: dict[bytes, bytes] = {}
    for line in lines[1:]:
        keyword, _, value = line.strip().partition(b" ")
        if keyword.upper().startswith(b"AUTH="):  # as servers before RFC 2554 wrote it, beside the other or alone
            keyword, value = b"AUTH", keyword[5:] + b" " + value
        offered.setdefault(keyword.upper(), value.strip())
    size = offered.get(b"SIZE", b"")
    limits = dict(_limit(each) for each in offered.get(b"LIMITS", b"").upper().split()[:20])
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
        auth=frozenset(offered.get(b"AUTH", b"").upper().split()),
        rcpt_max=limits.get(b"RCPTMAX", 0),
        mail_max=limits.get(b"MAILMAX", 0),
        rcpt_domain_max=limits.get(b"RCPTDOMAINMAX", 0),
    )


def _limit(written: bytes) -> tuple[bytes, int]:
    name, _, value = written.partition(b"=")
    return name, int(value) if value.isdigit() and len(value) <= 6 else 0


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
    overlook: Collection[Misfit] = ()
    ret: str = ""
    envid: str = ""
    dsn: tuple[DsnRequest | None, ...] = ()
    """For each recipient, or none at all."""
    asks_only: bool = False
    """It ends with RCPT: all there is to know is whether there are such recipients."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A recipient's outcome; `words` are the remote's own, "" where the reply is ours."""

    reply: Reply
    words: str = ""
    misfit: Misfit | None = None

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

    Nothing at all, in this form: over its SIZE (552 5.3.4), 8-bit content without 8BITMIME (554 5.6.3), a header in
    UTF-8 without SMTPUTF8 (553 5.6.7); what is to be overlooked is sent all the same. Addresses that need SMTPUTF8
    are refused by themselves; a domain alone goes as A-labels.
    """
    sender = _wire(transaction.reverse_path, extensions.smtputf8) if transaction.reverse_path else b""
    if isinstance(sender, Reply):
        return _nothing(transaction, Answer(sender))
    misfit = _misfit(transaction, extensions)
    refused: dict[int, Answer] = {}
    rcpt: list[tuple[int, bytes]] = []
    needs_utf8 = transaction.smtputf8 or not sender.isascii()
    for position, address in enumerate(transaction.recipients):
        path = _wire(address, extensions.smtputf8)
        if isinstance(path, Reply):
            refused[position] = Answer(path)
        elif misfit is not None:
            refused[position] = misfit
        else:
            request = transaction.dsn[position] if transaction.dsn and extensions.dsn else None
            rcpt.append((position, b"RCPT TO:<%b>%b\r\n" % (path, _rcpt_parameters(request))))
            needs_utf8 = needs_utf8 or not path.isascii()
    return Plan(_mail(sender, transaction, extensions, needs_utf8), tuple(rcpt), refused)


def _misfit(transaction: Transaction, extensions: Extensions) -> Answer | None:
    """Why the copy can't be sent in this form, whoever it is for."""
    misfit: Answer | None = None
    if extensions.size and transaction.size_octets > extensions.size:
        misfit = Answer(_TOO_LARGE, misfit=Misfit.SIZE)
    elif transaction.smtputf8 and not extensions.smtputf8:
        misfit = Answer(_NO_SMTPUTF8, misfit=Misfit.UTF8_HEADER)
    elif transaction.eight_bit and not extensions.eight_bit_mime:
        misfit = Answer(_NOT_EIGHT_BIT, misfit=Misfit.EIGHT_BIT)
    return None if misfit is None or misfit.misfit in transaction.overlook else misfit


def _nothing(transaction: Transaction, answer: Answer) -> Plan:
    return Plan(b"", (), dict.fromkeys(range(len(transaction.recipients)), answer))


def _mail(sender: bytes, transaction: Transaction, extensions: Extensions, needs_utf8: bool) -> bytes:
    line = b"MAIL FROM:<%b>" % sender
    if extensions.size_offered:
        line += b" SIZE=%d" % transaction.size_octets
    if transaction.eight_bit and extensions.eight_bit_mime:
        line += b" BODY=8BITMIME"
    if needs_utf8 and extensions.smtputf8:
        line += b" SMTPUTF8"
    if extensions.dsn:
        if transaction.ret in ("FULL", "HDRS"):
            line += b" RET=%b" % transaction.ret.encode()
        if len(transaction.envid) <= _ENVID_MAX and _ENVID.match(transaction.envid):
            line += b" ENVID=%b" % transaction.envid.encode()
    return line + b"\r\n"


def _rcpt_parameters(request: DsnRequest | None) -> bytes:
    """NOTIFY and ORCPT (RFC 3461); checked again, for what is no xtext would be a command of somebody else's."""
    if request is None:
        return b""
    parameters = b""
    if request.notify is not None:
        names = ",".join(str(each.name) for each in request.notify) or str(Notify.NEVER.name)
        parameters += b" NOTIFY=%b" % names.encode()
    if len(request.orcpt) <= _ORCPT_MAX and _ORCPT.match(request.orcpt):
        parameters += b" ORCPT=%b" % request.orcpt.encode()
    return parameters


def original_recipient(address: Address) -> str:
    """ORCPT for a recipient whose sender gave none, "" where it can't be written (RFC 3461 §4.2, §5.2.1)."""
    if not address.is_ascii:
        return ""
    return "rfc822;" + _NOT_XTEXT.sub(lambda match: f"+{ord(match[0]):02X}", str(address))


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
