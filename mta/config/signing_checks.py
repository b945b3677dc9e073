"""Whether what signs can sign: DKIM keys, the key of the ARC seal, the keys of our mark and of tracking."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mta.config.authentication_schema import ArcKey
from mta.config.delivery_schema import MaildirHop
from mta.config.findings import Finding, secret_value
from mta.config.schema import Configuration, DkimKey
from mta.config.signing_keys import RSA_BITS_USUAL, DkimKeyError, PrivateKey, arc_key, private_key
from mta.config.types import Secret
from mta.config.yaml_values import Loc
from mta.model.address import AddressError, domain_key, parse_address

MARK_KEY_MIN_OCTETS = 32
NEVER_SIGNED = frozenset({
    "received", "return-path", "bcc", "resent-bcc", "authentication-results", "dkim-signature", "arc-seal",
    "arc-message-signature", "arc-authentication-results", "x-stampline-processed",
})  # fmt: skip
"""What servers on the way add, change or take out (RFC 6376 §5.4); our mark we take off ourselves."""
_FIELD_NAME = re.compile(r"[!-9;-~]{1,77}\Z")
_SELECTOR = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\Z", re.IGNORECASE)
_TOKEN = re.compile(rb"[A-Za-z0-9_.-]{16,200}\Z")
_MADE_BY = "make one with: stampline dkim new"


def is_selector(text: str) -> bool:
    """Whether it can stand before `._domainkey.` in DNS."""
    return bool(_SELECTOR.match(text))


def signing_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Looks at organisations' `dkim` and `arc`; at nothing outside the configuration."""
    for place, organisation in configuration.placed_organisations:
        names = Counter((domain_key(key.domain), key.selector.lower()) for key in organisation.dkim)
        for index, key in enumerate(organisation.dkim):
            loc: Loc = (*place, "dkim", index)
            yield from _named(loc, key)
            if names[domain_key(key.domain), key.selector.lower()] > 1:
                what = f"two keys are {key.selector}._domainkey.{key.domain}"
                yield Finding((*loc, "selector"), what, "give each key its own selector")
            yield from _fields(loc, key)
            yield from _expiry(configuration, loc, key)
        if organisation.arc is not None:
            yield from _named((*place, "arc"), organisation.arc)


def _named(loc: Loc, key: DkimKey | ArcKey) -> Iterator[Finding]:
    try:
        parse_address(f"x@{key.domain}")
    except AddressError as exc:
        what = f"{key.domain!r} is no domain: {exc}"
        yield Finding((*loc, "domain"), what, "write a domain such as example.com")
    if not is_selector(key.selector):
        yield Finding((*loc, "selector"), f"{key.selector!r} is no selector", "write a name for DNS, such as s2026")


def _fields(loc: Loc, key: DkimKey) -> Iterator[Finding]:
    for where, names in (("headers", key.headers), ("oversign", key.oversign)):
        for index, name in enumerate(names):
            if not _FIELD_NAME.match(name):
                yield Finding((*loc, where, index), f"{name!r} is no name of a header field", "write such as subject")
            elif name.lower() in NEVER_SIGNED:
                yield Finding(
                    (*loc, where, index), f"{name!r} changes on the way, so its signature would break", "leave it out"
                )


def _expiry(configuration: Configuration, loc: Loc, key: DkimKey) -> Iterator[Finding]:
    own = [hop.retry for hop in configuration.next_hops if not isinstance(hop, MaildirHop)]
    longest = max(retry.expire_after for retry in (configuration.retry, *own) if retry is not None)
    if key.expires_after is not None and key.expires_after <= longest:
        yield Finding(
            (*loc, "expires_after"),
            f"mail may wait here for {longest.total_seconds() / 3600:g} hours, and its signature would have expired",
            "write a longer time than retry: expire_after, such as 7d",
        )


def signing_surroundings(configuration: Configuration) -> Iterator[Finding]:
    """Whether the keys are there and can sign."""
    for loc, key, read in _keys(configuration):
        pem = secret_value(loc, key.key)
        if isinstance(pem, Finding):
            yield pem
            continue
        try:
            read(pem)
        except DkimKeyError as exc:
            yield Finding(loc, f"the key {exc}", _MADE_BY)
    yield from _secret_keys(configuration)
    yield from _mark_tokens(configuration)


def signing_advice(configuration: Configuration) -> Iterator[Finding]:
    """What works and could be better; for keys that can be read."""
    for loc, key, read in _keys(configuration):
        pem = secret_value(loc, key.key)
        try:
            private = None if isinstance(pem, Finding) else read(pem)
        except DkimKeyError:
            continue
        if isinstance(private, RSAPrivateKey) and private.key_size < RSA_BITS_USUAL:
            yield Finding(loc, f"the key has {private.key_size} bits, {RSA_BITS_USUAL} are usual now", _MADE_BY)
    for place, organisation in configuration.placed_organisations:
        yield from _alone(place, organisation.dkim)


def _alone(place: Loc, keys: tuple[DkimKey, ...]) -> Iterator[Finding]:
    """A domain that signs with Ed25519 only."""
    kinds: dict[str, set[bool]] = {}
    for key in keys:
        try:
            is_rsa = isinstance(private_key(key.key.read()), RSAPrivateKey)
        except (DkimKeyError, OSError, KeyError):
            continue
        kinds.setdefault(domain_key(key.domain), set()).add(is_rsa)
    for index, key in enumerate(keys):
        if kinds.get(domain_key(key.domain)) == {False}:
            yield Finding(
                (*place, "dkim", index), f"{key.domain} has no RSA key; many servers can't verify Ed25519 yet",
                "put an RSA key before this one, and give this one `signs: always`",
            )  # fmt: skip


def _keys(
    configuration: Configuration,
) -> Iterator[tuple[Loc, DkimKey | ArcKey, Callable[[bytes], PrivateKey]]]:
    for place, organisation in configuration.placed_organisations:
        for index, key in enumerate(organisation.dkim):
            yield (*place, "dkim", index, "key"), key, private_key
        if organisation.arc is not None:
            yield (*place, "arc", "key"), organisation.arc, arc_key


def _secret_keys(configuration: Configuration) -> Iterator[Finding]:
    """Of HMACs: of our mark, of references and copies of tracked mail."""
    for place, organisation in configuration.placed_organisations:
        yield from _long_enough((*place, "mark", "keys"), "mark", organisation.mark.keys)
        if organisation.tracking is not None:
            yield from _long_enough((*place, "tracking", "keys"), "tracking", organisation.tracking.keys)


def _long_enough(place: Loc, whose: str, keys: tuple[Secret, ...]) -> Iterator[Finding]:
    for index, secret in enumerate(keys):
        loc = (*place, index)
        value = secret_value(loc, secret)
        if isinstance(value, Finding):
            yield value
        elif len(value) < MARK_KEY_MIN_OCTETS:
            yield Finding(
                loc,
                f"the {whose}'s key has {len(value)} octets, but needs {MARK_KEY_MIN_OCTETS} or more",
                "make one with: openssl rand -hex 32",
            )


def _mark_tokens(configuration: Configuration) -> Iterator[Finding]:
    for place, organisation in configuration.placed_organisations:
        secret, loc = organisation.mark.token, (*place, "mark", "token")
        if secret is None:
            continue
        value = secret_value(loc, secret)
        if isinstance(value, Finding):
            yield value
        elif not _TOKEN.match(value):
            what = "the mark's token is not one word of 16 to 200 letters and digits"
            yield Finding(loc, what, "make one with: openssl rand -hex 16")
