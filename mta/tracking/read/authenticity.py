"""Whether a message's author is to be believed: by our relay's word, or by that of servers in front of the mailbox."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from mta.message.authentication_results import EXCHANGE_ONLINE, NAME, read_field, read_results
from mta.message.fields import HeaderField
from mta.message.parse import Message
from mta.model.authentication import AuthenticationResults

_BY = re.compile(rb"\bby\s+([A-Za-z0-9.\-_]{1,255})", re.IGNORECASE)
_MICROSOFT = (".outlook.com", ".exchangelabs.com", ".office365.com")
_INSIDE = (".local", ".lan", ".internal", ".corp", ".intern", ".localdomain")
_COMPAUTH = re.compile(r"\bcompauth=(pass|fail|softpass|none)\b", re.IGNORECASE)
_AUTHENTICATED_AS = "x-ms-exchange-organization-authas"


class Said(NamedTuple):
    """Whether From is true, and who says so; None and "" where nobody does."""

    is_authentic: bool | None = None
    by: str = ""


def exchange_said(message: Message) -> str:
    """As whom Exchange let the sender in, in lower case: `internal`, `anonymous`, `partner`; "" where it doesn't say.

    Exchange takes fields of that name off what comes from others, so this holds only for what lies in its mailboxes.
    """
    fields = message.fields_named(_AUTHENTICATED_AS)
    return message.header(_AUTHENTICATED_AS).strip().lower() if len(fields) == 1 else ""


def says_authentic(message: Message, domain: str, authserv_ids: Collection[str], own: Collection[str]) -> Said:
    """What servers that are believed say of the author's domain (domain key); None where they don't.

    Only fields above the first Received line that another than ours wrote: what stands below came with the message.
    That fields below our gateway's own line don't claim to be of it, is the gateway's duty (RFC 8601 §5).
    """
    if not authserv_ids or not message.has(NAME):
        return Said()
    ids = frozenset("" if name == EXCHANGE_ONLINE else name.lower() for name in authserv_ids)
    end = _first_foreign(message, (*ids, *own), EXCHANGE_ONLINE in authserv_ids)
    field = next((each for each in message.fields_named(NAME) if each.start < end and _is_of(message, each, ids)), None)
    if field is None:
        return Said()
    value = message.raw(field)
    stated = read_field(value)
    is_authentic, method = _verdict(read_results(value), domain, value)
    return Said(is_authentic, f"{method} by {(stated.authserv_id if stated else '') or EXCHANGE_ONLINE}")


def _verdict(results: AuthenticationResults, domain: str, raw: bytes) -> tuple[bool | None, str]:
    """With the method that decides."""
    if results.dmarc == "fail":
        return False, "dmarc=fail"
    if results.dmarc == "pass":
        return results.dmarc_domain in ("", domain) or _are_aligned(results.dmarc_domain, domain), "dmarc=pass"
    if any(_are_aligned(each, domain) for each in results.dkim_domains):
        return True, "dkim=pass"
    if results.spf == "pass" and not results.spf_of_helo and _are_aligned(results.spf_domain, domain):
        return True, "spf=pass"
    said = _COMPAUTH.search(raw[:5000].decode("latin_1"))
    if said is not None and said[1].lower() == "fail":
        return False, "compauth=fail"
    return None, "nothing that proves or denies it"


def _are_aligned(one: str, other: str) -> bool:
    """Equal, or one is inside the other: relaxed alignment as far as it can be told without a list of suffixes."""
    return bool(one) and bool(other) and (one == other or one.endswith(f".{other}") or other.endswith(f".{one}"))


def _is_of(message: Message, field: HeaderField, ids: Collection[str]) -> bool:
    stated = read_field(message.raw(field))
    return stated is not None and stated.authserv_id in ids


def _first_foreign(message: Message, own: Collection[str], is_microsoft: bool) -> int:
    """Where the first Received line begins that none of our servers wrote; where the header ends without one."""
    for field in message.fields_named("received"):
        match = _BY.search(message.raw(field))
        if match is None or not _is_ours(match[1].decode("ascii").lower().rstrip("."), own, is_microsoft):
            return field.start
    return message.body_start


def _is_ours(host: str, own: Collection[str], is_microsoft: bool) -> bool:
    if "." not in host or host.endswith(_INSIDE) or (is_microsoft and host.endswith(_MICROSOFT)):
        return True
    return any(name and (host == name or host.endswith(f".{name}")) for name in own)
