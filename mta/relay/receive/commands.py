"""The arguments of MAIL and RCPT by the grammar of RFC 5321 §4.1.2, and nothing looser. Pure.

aiosmtpd takes addresses apart with the email package's header parser, which is slow, and which lets through a missing
`>`, comments and control characters, and turns the source route `<@a,@b:u@c>` into `u@c`. Its parameters are made
upper case, which ruins ENVID and ORCPT.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mta.model.address import Address, AddressError, parse_address
from mta.model.reply import Reply

_QUOTED = r'"(?:[^"\\]|\\.)*"'
# A space after the colon is against the grammar, but devices send it, and it can't change the meaning.
_FROM = re.compile(rf"FROM: ?<((?:{_QUOTED}|[^\"<> ])*)>(?: (.*))?\Z", re.IGNORECASE)
_TO = re.compile(rf"TO: ?<((?:{_QUOTED}|[^\"<> ])*)>(?: (.*))?\Z", re.IGNORECASE)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?\Z")
_SIZE_DIGITS = 20  # RFC 1870 §4

MAIL_SYNTAX = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [SIZE=n] [BODY=7BIT|8BITMIME] [SMTPUTF8]")
RCPT_SYNTAX = Reply(501, "5.5.4", "Syntax: RCPT TO:<address>")
NO_RECIPIENT = Reply(501, "5.1.3", "The null path is not a recipient")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognised or not offered")
NOT_ESMTP = Reply(555, "5.5.4", "Parameters need EHLO")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "Addresses beyond ASCII need SMTPUTF8")


class CommandError(ValueError):
    """The argument is refused; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class MailArguments:
    """What MAIL FROM said. `size_octets` is 0 where SIZE was not given."""

    reverse_path: Address | None
    size_octets: int = 0
    smtputf8: bool = False


def parse_mail(argument: str, *, esmtp: bool, smtputf8_offered: bool) -> MailArguments:
    """Parse what follows `MAIL `. Raises CommandError."""
    match = _FROM.match(argument)
    if match is None:
        raise CommandError(MAIL_SYNTAX)
    path, tail = match.groups()
    size_octets, smtputf8 = _mail_parameters(tail, esmtp, smtputf8_offered) if tail else (0, False)
    if not smtputf8 and not argument.isascii():
        raise CommandError(NEEDS_SMTPUTF8)
    return MailArguments(_mailbox(path, "5.1.7") if path else None, size_octets, smtputf8)


def parse_recipient(argument: str, *, postmaster: Address, esmtp: bool, smtputf8: bool) -> Address:
    """Parse what follows `RCPT `; a bare `postmaster` is the one given. Raises CommandError."""
    match = _TO.match(argument)
    if match is None:
        raise CommandError(RCPT_SYNTAX)
    path, tail = match.groups()
    if not path:
        raise CommandError(NO_RECIPIENT)
    if tail:
        _parameters(tail)
        raise CommandError(UNKNOWN_PARAMETER if esmtp else NOT_ESMTP)
    if not smtputf8 and not argument.isascii():
        raise CommandError(NEEDS_SMTPUTF8)
    if path.lower() == "postmaster":
        return postmaster
    return _mailbox(path, "5.1.3")


def _mailbox(path: str, status: str) -> Address:
    try:
        return parse_address(path)
    except AddressError as exc:
        raise CommandError(Reply(553, status, f"Bad address: {exc}")) from None


def _parameters(tail: str) -> dict[str, str | None]:
    """ESMTP parameters by upper-case keyword; values as they came (RFC 5321 §4.1.1.11)."""
    parameters: dict[str, str | None] = {}
    for word in filter(None, tail.split(" ")):
        match = _PARAMETER.match(word)
        if match is None or match[1].upper() in parameters:
            raise CommandError(Reply(501, "5.5.4", "Bad or repeated parameter"))
        parameters[match[1].upper()] = match[2]
    return parameters


def _mail_parameters(tail: str, esmtp: bool, smtputf8_offered: bool) -> tuple[int, bool]:
    if not esmtp:
        raise CommandError(NOT_ESMTP)
    size_octets, smtputf8 = 0, False
    for keyword, value in _parameters(tail).items():
        if keyword == "SIZE" and value is not None and value.isdigit() and len(value) <= _SIZE_DIGITS:
            size_octets = int(value)
        elif keyword == "BODY" and value is not None and value.upper() in ("7BIT", "8BITMIME"):
            continue  # what the message really holds decides
        elif keyword == "SMTPUTF8" and value is None and smtputf8_offered:
            smtputf8 = True
        elif keyword == "AUTH" and value is not None:
            continue  # RFC 4954 §5: a claim that we don't believe does no harm, and Exchange makes it
        elif keyword in ("SIZE", "BODY", "AUTH"):
            raise CommandError(MAIL_SYNTAX)
        else:
            raise CommandError(UNKNOWN_PARAMETER)
    return size_octets, smtputf8
