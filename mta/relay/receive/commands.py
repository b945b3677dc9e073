"""The arguments of MAIL and RCPT by the grammar of RFC 5321 §4.1.2, and nothing looser. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from mta.model.address import Address, AddressError, parse_address
from mta.model.envelope import DsnRequest, Notify
from mta.model.reply import Reply

_QUOTED = r'"(?:[^"\\]|\\.)*"'
# A space after the colon is against the grammar, but devices send it, and it can't change the meaning.
_FROM = re.compile(rf"FROM: ?<((?:{_QUOTED}|[^\"<> ])*)>(?: (.*))?\Z", re.IGNORECASE)
_TO = re.compile(rf"TO: ?<((?:{_QUOTED}|[^\"<> ])*)>(?: (.*))?\Z", re.IGNORECASE)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\x80-\U0010ffff]+))?\Z")
_SIZE = re.compile(r"[0-9]{1,20}\Z")  # RFC 1870 §4
_ENVID_MAX, _ORCPT_MAX = 100, 500  # RFC 3461 §4.4 and §4.2, as they are sent
_NOTIFY_WORDS = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_HEX = "[0-9A-F]{2}"
_XTEXT = re.compile(rf"(?:[!-*,-<>-~]|\+{_HEX})+\Z")
_ENCODED = re.compile(rf"\+({_HEX})")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~-]+\Z")
# RFC 6533 §3: as it is, where the message is SMTPUTF8, or with characters as \x{HEX}. Xtext is taken, too.
_UTF8_ADDRESS = re.compile(
    rf"(?:[!-*,-<>-\[\]-~\x80-\U0010ffff]|\+{_HEX}|\\x\{{(?:10[0-9A-F]{{4}}|[0-9A-F]{{2,5}})\}})+\Z"
)

MAIL_SYNTAX = Reply(
    501, "5.5.4", "Syntax: MAIL FROM:<address> [SIZE=n] [BODY=7BIT|8BITMIME] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=xtext]"
)
RCPT_SYNTAX = Reply(501, "5.5.4", "Syntax: RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;xtext]")
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
    """What MAIL FROM said. `size_octets` is 0 where SIZE was not given; `envid` and `ret` as in `Envelope`."""

    reverse_path: Address | None
    size_octets: int = 0
    smtputf8: bool = False
    envid: str = ""
    ret: str = ""


def parse_mail(argument: str, *, esmtp: bool, smtputf8_offered: bool) -> MailArguments:
    """Parse what follows `MAIL `. Raises CommandError."""
    match = _FROM.match(argument)
    if match is None:
        raise CommandError(MAIL_SYNTAX)
    path, tail = match.groups()
    parameters = _parameters(tail, esmtp=esmtp) if tail else {}
    said = _mail_parameters(parameters, smtputf8_offered) if parameters else {}
    if not path.isascii() and not said.get("smtputf8"):
        raise CommandError(NEEDS_SMTPUTF8)
    if tail and not tail.isascii():
        raise CommandError(MAIL_SYNTAX)
    return MailArguments(_mailbox(path, "5.1.7") if path else None, **said)


def parse_recipient(
    argument: str, *, postmaster: Address, esmtp: bool, smtputf8: bool
) -> tuple[Address, DsnRequest | None]:
    """Parse what follows `RCPT `; a bare `postmaster` is the one given. Raises CommandError."""
    match = _TO.match(argument)
    if match is None:
        raise CommandError(RCPT_SYNTAX)
    path, tail = match.groups()
    if not path:
        raise CommandError(NO_RECIPIENT)
    if not smtputf8 and not argument.isascii():
        raise CommandError(NEEDS_SMTPUTF8)
    dsn = _dsn_request(_parameters(tail, esmtp=esmtp)) if tail else None
    if path.lower() == "postmaster":
        return postmaster, dsn
    return _mailbox(path, "5.1.3"), dsn


def _mailbox(path: str, status: str) -> Address:
    if "<" in path or ">" in path:  # by the grammar they may stand in quotes, but not every next hop reads them so
        raise CommandError(Reply(553, status, "Bad address: angle brackets are not relayed"))
    try:
        return parse_address(path)
    except AddressError as exc:
        raise CommandError(Reply(553, status, f"Bad address: {exc}")) from None


def _parameters(tail: str, *, esmtp: bool) -> dict[str, str | None]:
    """ESMTP parameters by upper-case keyword; values as they came (RFC 5321 §4.1.1.11)."""
    if not esmtp:
        raise CommandError(NOT_ESMTP)
    parameters: dict[str, str | None] = {}
    for word in filter(None, tail.split(" ")):
        match = _PARAMETER.match(word)
        if match is None or match[1].upper() in parameters:
            raise CommandError(Reply(501, "5.5.4", "Bad or repeated parameter"))
        parameters[match[1].upper()] = match[2]
    return parameters


def _mail_parameters(parameters: Mapping[str, str | None], smtputf8_offered: bool) -> dict[str, Any]:
    """Fields of MailArguments."""
    said: dict[str, Any] = {}
    for keyword, value in parameters.items():
        if keyword == "SIZE" and value is not None and _SIZE.match(value):
            said["size_octets"] = int(value)
        elif keyword == "BODY" and value is not None and value.upper() in ("7BIT", "8BITMIME"):
            continue  # what the message really holds decides
        elif keyword == "SMTPUTF8" and value is None and smtputf8_offered:
            said["smtputf8"] = True
        elif keyword == "AUTH" and value is not None:
            continue  # RFC 4954 §5: a claim that we don't believe does no harm, and Exchange makes it
        elif keyword == "RET" and value is not None and value.upper() in ("FULL", "HDRS"):
            said["ret"] = value.upper()
        elif keyword == "ENVID" and value is not None and _is_envid(value):
            said["envid"] = value
        elif keyword in ("SIZE", "BODY", "AUTH", "RET", "ENVID"):
            raise CommandError(MAIL_SYNTAX)
        else:
            raise CommandError(UNKNOWN_PARAMETER)
    return said


def _dsn_request(parameters: Mapping[str, str | None]) -> DsnRequest | None:
    notify, orcpt = None, ""
    for keyword, value in parameters.items():
        if keyword == "NOTIFY" and value is not None:
            notify = _notify(value)
        elif keyword == "ORCPT" and value is not None and _is_orcpt(value):
            orcpt = value
        elif keyword in ("NOTIFY", "ORCPT"):
            raise CommandError(RCPT_SYNTAX)
        else:
            raise CommandError(UNKNOWN_PARAMETER)
    return DsnRequest(notify, orcpt) if parameters else None


def _notify(value: str) -> Notify:
    """RFC 3461 §4.1: NEVER alone, or a list of the others."""
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    if not _NOTIFY_WORDS.issuperset(words):
        raise CommandError(RCPT_SYNTAX)
    return reduce(or_, (Notify[word] for word in words))


def _is_envid(value: str) -> bool:
    """RFC 3461 §4.4: xtext of printable ASCII."""
    return len(value) <= _ENVID_MAX and _is_printable_xtext(value)


def _is_orcpt(value: str) -> bool:
    """RFC 3461 §4.2: an address type and xtext of printable ASCII; RFC 6533 §3 for the type `utf-8`."""
    kind, separator, address = value.partition(";")
    if not separator or len(value.encode()) > _ORCPT_MAX or not _ADDRESS_TYPE.match(kind):
        return False
    if kind.lower() == "utf-8":
        return _UTF8_ADDRESS.match(address) is not None
    return _is_printable_xtext(address)


def _is_printable_xtext(value: str) -> bool:
    return _XTEXT.match(value) is not None and all(0x20 <= int(pair, 16) < 0x7F for pair in _ENCODED.findall(value))
