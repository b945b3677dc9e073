"""Mail addresses by the strict grammar of RFC 5321 §4.1.2 and RFC 6531 §3.3."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# RFC 5321 §4.5.3.1: octets.
LOCAL_PART_MAX = 64
DOMAIN_MAX = 255
PATH_MAX = 254

_ATEXT = r"A-Za-z0-9!#$%&'*+\-/=?^_`{|}~"
_UTF8 = r"\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000e0fff"
_DOT_STRING = re.compile(rf"[{_ATEXT}{_UTF8}]+(?:\.[{_ATEXT}{_UTF8}]+)*\Z")
_QUOTED = re.compile(rf'"(?:[ !#-\[\]-~{_UTF8}]|\\[ -~])*"\Z')
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_\-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_NEEDS_NO_QUOTES = re.compile(rf"[{_ATEXT}{_UTF8}]+(?:\.[{_ATEXT}{_UTF8}]+)*\Z")


class AddressError(ValueError):
    """Not an address by the grammar; the text says which rule it breaks."""


@dataclass(frozen=True, slots=True)
class Address:
    """`local` and `domain` as written, e.g. Address("Jane.Doe", "Example.com"); str() gives the addr-spec."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """For comparing and looking up: lower case, domain as A-labels, quotes that change nothing taken off."""
        return _key(self.local, self.domain)

    @property
    def domain_key(self) -> str:
        """The domain in lower case, as A-labels."""
        return domain_key(self.domain)

    @property
    def is_ascii(self) -> bool:
        """Whether the address can travel without SMTPUTF8."""
        return self.local.isascii() and self.domain.isascii()


@lru_cache(maxsize=8192)
def domain_key(domain: str) -> str:
    """A domain for comparing: lower case, as A-labels (RFC 5890) where it is internationalised."""
    if domain.isascii():
        return domain.lower()
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return domain.lower()


@lru_cache(maxsize=8192)
def _key(local: str, domain: str) -> str:
    if local.startswith('"'):
        inner = re.sub(r"\\(.)", r"\1", local[1:-1])
        if _NEEDS_NO_QUOTES.match(inner):
            local = inner
    return f"{local.lower()}@{domain_key(domain)}"


@lru_cache(maxsize=8192)
def without_tag(address_key: str) -> str:
    """An address key without the tag behind a person's name: `jane+shop@example.com` is Jane's (RFC 5233)."""
    local, at, domain = address_key.rpartition("@")
    base, plus, _ = local.partition("+")
    return f"{base}@{domain}" if at and plus and base else address_key


def parse_address(text: str) -> Address:
    """Parse an addr-spec such as `jane@example.com`, without angle brackets.

    Raises AddressError for source routes, comments, control characters, missing or doubled `@`,
    address literals, trailing dots and anything else outside RFC 5321 `Mailbox` (less address literals).
    """
    if any(ch < " " or ch == "\x7f" for ch in text):
        raise AddressError("control character in address")
    local, at, domain = text.rpartition("@")
    if not at or not local:
        raise AddressError("address needs a local part, an @ and a domain")
    if len(local.encode(errors="surrogatepass")) > LOCAL_PART_MAX:
        raise AddressError(f"local part is longer than {LOCAL_PART_MAX} octets")
    if not (_QUOTED.match(local) if local.startswith('"') else _DOT_STRING.match(local)):
        raise AddressError("local part breaks the grammar of RFC 5321")
    _check_domain(domain)
    if len(text.encode(errors="surrogatepass")) > PATH_MAX:
        raise AddressError(f"address is longer than {PATH_MAX} octets")
    return Address(local, domain)


def _check_domain(domain: str) -> None:
    if domain.startswith("["):
        raise AddressError("address literals are not accepted")
    if len(domain) > DOMAIN_MAX:  # making A-labels takes long
        raise AddressError("domain or one of its labels is too long")
    ascii_domain = domain
    if not domain.isascii():
        try:
            ascii_domain = domain.encode("idna").decode("ascii")
        except UnicodeError as exc:
            raise AddressError("domain is not a valid internationalised name") from exc
    if len(ascii_domain) > DOMAIN_MAX or any(len(label) > 63 for label in ascii_domain.split(".")):
        raise AddressError("domain or one of its labels is too long")
    if not _DOMAIN.match(ascii_domain):
        raise AddressError("domain breaks the grammar of RFC 5321")
