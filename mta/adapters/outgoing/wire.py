"""A mail as one server takes it: in 8 bits and UTF-8 where it offers that (RFC 6152, RFC 6531), else encoded anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiosmtplib

from mta.message.edit import CannotEditError, joined
from mta.message.parse import parse
from mta.message.seven_bit import in_seven_bit
from mta.model import task_reasons as reasons
from mta.ports.outgoing import OutgoingMail
from mta.ports.task_errors import RefusedTaskError

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Wire:
    message: bytes = field(repr=False)
    mail_options: tuple[str, ...]
    encoding: str
    """Of addresses."""
    unsendable: Mapping[str, str] = field(default_factory=dict)
    """Recipients that can't be written for this server → why."""


def wire_of(mail: OutgoingMail, client: aiosmtplib.SMTP) -> Wire:
    """After EHLO. Raises RefusedTaskError."""
    has_utf8, has_8bit = client.supports_extension("smtputf8"), client.supports_extension("8bitmime")
    message, options = mail.message, []
    header = message.partition(b"\r\n\r\n")[0]
    needs_utf8 = not header.isascii() or not mail.sender.isascii() or not "".join(mail.recipients).isascii()
    if needs_utf8 and has_utf8:
        options.append("SMTPUTF8")
    if _BEYOND_ASCII.search(message):
        if has_8bit and (header.isascii() or has_utf8):
            options.append("BODY=8BITMIME")
        else:
            message = _in_seven_bit(message)
    unsendable: dict[str, str] = {}
    if not has_utf8:
        if not mail.sender.isascii():
            raise RefusedTaskError(reasons.UNSENDABLE, "the server has no SMTPUTF8, which the sender's address needs")
        unsendable = {each: "the server has no SMTPUTF8" for each in mail.recipients if not each.isascii()}
    size = client.esmtp_extensions.get("size", "")
    if size.isascii() and size.isdigit():
        if 0 < int(size[:18]) < len(message):
            raise RefusedTaskError(reasons.TOO_LARGE, f"{len(message)} octets, and the server takes {int(size[:18])}")
        options.append(f"SIZE={len(message)}")
    return Wire(message, tuple(options), "utf-8" if needs_utf8 and has_utf8 else "ascii", unsendable)


def _in_seven_bit(message: bytes) -> bytes:
    try:
        return joined(message, in_seven_bit(parse(message)))
    except CannotEditError as exc:
        raise RefusedTaskError(reasons.UNSENDABLE, "the server takes no 8-bit mail, and this can't be encoded") from exc
