"""DKIM signatures (RFC 6376, 8463): relaxed/relaxed, the same bytes whenever the same copy is signed again.

Of each name in `headers` all fields are signed, the lowest first (§5.4.2). A name that stands in the header is named
once more than it occurs, so that nobody can add another Subject that a reader would see in place of the signed one
(§8.15); one in `oversign` also where it doesn't stand. Not so what honest servers add on the way: resent-* and list-*.
Never: i=, which would say more than the domain does, and l=, which leaves room for additions.
"""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mta.config.schema import DkimKey
from mta.config.signing_keys import PrivateKey, private_key
from mta.message.canonical import RelaxedBodyHash, chunks, relaxed_fields, relaxed_whitespace
from mta.model.address import domain_key
from mta.ports.transport import Segments
from mta.relay.sign.keys import algorithm_of, load_key, signature_of
from mta.relay.sign.layout import fold_base64, fold_names, split_header

ADDED_ON_THE_WAY = (b"resent-", b"list-")


@dataclass(frozen=True, slots=True)
class DkimSignature:
    """`field` is the whole header field: folded, CRLF at its end."""

    field: bytes
    domain: str
    selector: str


@dataclass(frozen=True, slots=True)
class _Name:
    """A field's name in h=, and where it stands there once more than in the header."""

    name: bytes
    more_if_there: bool
    more_if_missing: bool


@dataclass(frozen=True, slots=True)
class _Key:
    domain: str
    selector: str
    private: PrivateKey
    names: tuple[_Name, ...]
    wanted: frozenset[bytes]
    """The same names."""
    prefix: bytes
    """How the field begins, up to the value of t=; that never changes."""
    relaxed_prefix: bytes
    """The same in canonical form."""
    valid_s: int | None


class Signer:
    """One organisation's keys, loaded once."""

    def __init__(self, keys: Sequence[tuple[_Key, bool]]) -> None:
        """The keys, each with whether it signs beside the first one."""
        reverse = [key for key, _ in reversed(keys)]
        self._keys = {key.domain: key for key in reverse}
        self._by_selector = {(key.domain, key.selector): key for key in reverse}
        self._beside = {domain: [key for key, is_always in keys if is_always and key.domain == domain]
                        for domain in self._keys}  # fmt: skip

    @classmethod
    def from_config(cls, keys: Sequence[DkimKey]) -> Signer:
        """Load the keys; of several for one domain the first signs, and whichever sign always.

        The others wait for their turn in a rotation. Raises DkimKeyError for a key that can't be read or used.
        """
        return cls([(_load(key), key.signs == "always") for key in keys])

    @property
    def domains(self) -> frozenset[str]:
        """The domains that have a key, as domain keys."""
        return frozenset(self._keys)

    def key_domain(self, from_domain: str) -> str | None:
        """The domain that signs for a From domain: itself, else its nearest parent with a key (RFC 7489 §3.1.1)."""
        domain = domain_key(from_domain)
        while domain and domain not in self._keys:
            domain = domain.partition(".")[2]
        return domain or None

    def sign(
        self, from_domain: str, segments: Segments, now: datetime, *, selector: str = ""
    ) -> tuple[DkimSignature, ...]:
        """Sign a copy: all its bytes as they will be sent, without these fields. Empty where no key fits.

        `selector` asks for one of several keys; a domain that hasn't it signs with its usual one.
        `now` is the time of acceptance, so that a second try gives the same bytes.
        Raises ValueError if there is no end of the header within HEADER_OCTETS_MAX.
        """
        keys = self._chosen(from_domain, selector)
        if not keys:
            return ()
        header, body = split_header(chunks(segments))
        wanted = keys[0].wanted.union(*(key.wanted for key in keys[1:])) if len(keys) > 1 else keys[0].wanted
        occurring = _by_name(relaxed_fields(header, wanted))
        hashing = RelaxedBodyHash()
        for piece in body:
            hashing.update(piece)
        digest = b64encode(hashing.digest())
        return tuple([_signature(key, occurring, digest, int(now.timestamp())) for key in keys])

    def _chosen(self, from_domain: str, selector: str) -> tuple[_Key, ...]:
        first = self._first(from_domain, selector)
        if first is None:
            return ()
        beside = self._beside[first.domain]
        return (first, *(key for key in beside if key is not first)) if beside else (first,)

    def _first(self, from_domain: str, selector: str) -> _Key | None:
        """The key of that selector, of the domain itself or its nearest parent that has it; else the usual one."""
        domain = domain_key(from_domain) if selector else ""
        while domain:
            if (chosen := self._by_selector.get((domain, selector))) is not None:
                return chosen
            domain = domain.partition(".")[2]
        usual = self.key_domain(from_domain)
        return self._keys[usual] if usual is not None else None


def _load(config: DkimKey) -> _Key:
    private = load_key(f"DKIM key {config.selector}._domainkey.{config.domain}", config.key, private_key)
    domain = domain_key(config.domain)
    names = _names(config.headers, config.oversign)
    prefix = (
        f"DKIM-Signature: v=1; a={algorithm_of(private)}; c=relaxed/relaxed;\r\n\t"
        f"d={domain}; s={config.selector};\r\n\tt="
    ).encode()
    return _Key(
        domain,
        config.selector,
        private,
        names,
        frozenset(each.name for each in names),
        prefix,
        relaxed_fields(prefix)[0][1],
        int(config.expires_after.total_seconds()) if config.expires_after is not None else None,
    )


def _names(headers: Iterable[str], oversigned: Iterable[str]) -> tuple[_Name, ...]:
    """From is always signed (§5.4), and always once more than it stands."""
    always = {b"from", *(name.lower().encode() for name in oversigned)}
    ordered = dict.fromkeys([b"from", *(name.lower().encode() for name in headers), *sorted(always)])
    return tuple(
        _Name(name, name in always or not name.startswith(ADDED_ON_THE_WAY), name in always) for name in ordered
    )


def _by_name(fields: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    occurring: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for name, line in fields:
        occurring[name].append(line)
    return occurring


def _signature(key: _Key, occurring: Mapping[bytes, list[bytes]], digest: bytes, seconds: int) -> DkimSignature:
    names, signed = _signed_fields(occurring, key.names)
    times = b"%d" % seconds if key.valid_s is None else b"%d; x=%d" % (seconds, seconds + key.valid_s)
    rest = b"%b;\r\n\th=%b;\r\n\tbh=%b;\r\n\tb=" % (times, fold_names(tuple(names)), digest)
    # Last this field itself, without CRLF and with an empty b= (§3.7).
    signed.append(key.relaxed_prefix + relaxed_whitespace(rest.replace(b"\r\n\t", b" ")))
    value = b64encode(signature_of(key.private, b"\r\n".join(signed)))
    return DkimSignature(key.prefix + rest + fold_base64(value) + b"\r\n", key.domain, key.selector)


def _signed_fields(occurring: Mapping[bytes, list[bytes]], wanted: Iterable[_Name]) -> tuple[list[bytes], list[bytes]]:
    """The names for h= and the fields to hash, in the same order."""
    names: list[bytes] = []
    signed: list[bytes] = []
    for each in wanted:
        lines = occurring.get(each.name)
        if lines:
            names += [each.name] * len(lines)
            signed += reversed(lines)
        if each.more_if_there if lines else each.more_if_missing:
            names.append(each.name)
    return names, signed
