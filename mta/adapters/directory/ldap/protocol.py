"""LDAP's messages as far as looking things up needs them (RFC 4511), with paged results (RFC 2696). No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from mta.adapters.directory.ldap import ber
from mta.adapters.directory.ldap.ber import BerError, boolean, element, elements, integer, number, text, tlv
from mta.model.ldap_filter import And, Compare, Extensible, Filter, Not, Or, Present, Substrings

MESSAGE_OCTETS_MAX = 4_000_000
"""Of one entry or result; the largest attributes that we ask for are photos of 100 kB."""
_PAGED_RESULTS = "1.2.840.113556.1.4.319"
_START_TLS = "1.3.6.1.4.1.1466.20037"
_BIND_REQUEST, _UNBIND_REQUEST, _SEARCH_REQUEST, _EXTENDED_REQUEST = 0x60, 0x42, 0x63, 0x77
_BIND_RESPONSE, _ENTRY, _DONE, _EXTENDED_RESPONSE = 0x61, 0x64, 0x65, 0x78
_COMPARISONS = {"=": 0xA3, ">=": 0xA5, "<=": 0xA6, "~=": 0xA8}


class Scope(IntEnum):
    BASE = 0
    SUBTREE = 2


class Code(IntEnum):
    """Result codes that mean something here (RFC 4511 §4.1.9)."""

    SUCCESS = 0
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    REFERRAL = 10
    NO_SUCH_OBJECT = 32
    INVALID_DN = 34
    INVALID_CREDENTIALS = 49
    BUSY = 51
    UNAVAILABLE = 52


@dataclass(frozen=True, slots=True)
class Search:
    """`page_size` 0 asks for everything at once, `limit` for no more than that many entries (0 is no limit)."""

    base: str
    scope: Scope
    filter: Filter
    attributes: tuple[str, ...]
    page_size: int = 0
    cookie: bytes = b""
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """`attributes` by name in lower case, without options such as `;range=0-1499`."""

    dn: str
    attributes: Mapping[str, list[bytes]]


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended; `cookie` where there are more pages."""

    code: int
    text: str
    cookie: bytes = b""


@dataclass(frozen=True, slots=True)
class Message:
    """Something that the server says about operation `id`; 0 is what it says unasked, before it hangs up."""

    id: int
    content: Entry | Result | None
    """None for what we pass over: references to other servers, and intermediate responses."""
    octets: int = field(default=0, compare=False)


# --- what we say ------------------------------------------------------------------------------------------------------


def bind_request(message_id: int, name: str, password: bytes) -> bytes:
    """A simple bind; both empty is anonymous."""
    return _message(message_id, tlv(_BIND_REQUEST, integer(3), text(name), tlv(0x80, password)))


def start_tls_request(message_id: int) -> bytes:
    return _message(message_id, tlv(_EXTENDED_REQUEST, text(_START_TLS, 0x80)))


def unbind_request(message_id: int) -> bytes:
    return _message(message_id, tlv(_UNBIND_REQUEST))


def search_request(message_id: int, search: Search, time_limit_s: int) -> bytes:
    """Aliases are never followed."""
    operation = tlv(
        _SEARCH_REQUEST,
        text(search.base),
        integer(search.scope, ber.ENUMERATED),
        integer(0, ber.ENUMERATED),
        integer(search.limit),
        integer(time_limit_s),
        boolean(False),
        encoded_filter(search.filter),
        tlv(ber.SEQUENCE, *map(text, search.attributes)),
    )
    if not search.page_size:
        return _message(message_id, operation)
    value = tlv(ber.SEQUENCE, integer(search.page_size), tlv(ber.OCTET_STRING, search.cookie))
    # Critical only from the second page on: a server that can't page may answer the first in one piece. A value that is
    # the default is left out (RFC 4511 §5.1).
    critical = boolean(True) if search.cookie else b""
    control = tlv(ber.SEQUENCE, text(_PAGED_RESULTS), critical, tlv(ber.OCTET_STRING, value))
    return _message(message_id, operation, tlv(0xA0, control))


def _message(message_id: int, *parts: bytes) -> bytes:
    return tlv(ber.SEQUENCE, integer(message_id), *parts)


def encoded_filter(part: Filter) -> bytes:
    """RFC 4511 §4.5.1.7."""
    match part:
        case And(parts) | Or(parts):
            return tlv(0xA0 if isinstance(part, And) else 0xA1, *map(encoded_filter, parts))
        case Not(inner):
            return tlv(0xA2, encoded_filter(inner))
        case Present(attribute):
            return text(attribute, 0x87)
        case Compare(attribute, operator, value):
            return tlv(_COMPARISONS[operator], text(attribute), tlv(ber.OCTET_STRING, value))
        case Substrings(attribute, initial, middle, final):
            pieces = [tlv(0x80, initial)] if initial else []
            pieces += [tlv(0x81, piece) for piece in middle]
            pieces += [tlv(0x82, final)] if final else []
            return tlv(0xA4, text(attribute), tlv(ber.SEQUENCE, *pieces))
        case Extensible(attribute, rule, value, dn):
            named = (text(rule, 0x81) if rule else b"") + (text(attribute, 0x82) if attribute else b"")
            return tlv(0xA9, named, tlv(0x83, value), boolean(True, 0x84) if dn else b"")


# --- what we hear -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Incoming:
    """Cuts what arrives into messages."""

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now. Raises BerError for what is no LDAP, or too large."""
        buffer = self._buffer
        buffer += data
        while (end := self._end()) and end <= len(buffer):
            whole = bytes(buffer[:end])
            del buffer[:end]
            yield parse_message(whole)

    def _end(self) -> int:
        """Where the first message ends, whether it is there or not; 0 if that can't be told yet."""
        head = self._buffer[:6]
        if len(head) < 2:
            return 0
        if head[0] != ber.SEQUENCE:
            raise BerError("this is not LDAP")
        end = head[1] + 2
        if head[1] & 0x80:
            count = head[1] & 0x7F
            if not 1 <= count <= 4:
                raise BerError("a length that LDAP doesn't have")
            if len(head) < 2 + count:
                return 0
            end = int.from_bytes(head[2 : 2 + count], "big") + 2 + count
        if end > MESSAGE_OCTETS_MAX:
            raise BerError(f"a message of more than {MESSAGE_OCTETS_MAX // 1_000_000} MB")
        return end


def parse_message(data: bytes) -> Message:
    """One whole message. Raises BerError."""
    _, start, end = element(data, 0, len(data))
    tag, id_start, id_end = element(data, start, end)
    if tag != ber.INTEGER:
        raise BerError("a message without its number")
    message_id = number(data, id_start, id_end)
    tag, at, op_end = element(data, id_end, end)
    if tag == _ENTRY:
        return Message(message_id, _entry(data, at, op_end), len(data))
    if tag in (_DONE, _BIND_RESPONSE, _EXTENDED_RESPONSE):
        return Message(message_id, _result(data, at, op_end, end))
    return Message(message_id, None)


def _entry(data: bytes, start: int, end: int) -> Entry:
    _, name_start, name_end = element(data, start, end)
    _, list_start, list_end = element(data, name_end, end)
    attributes: dict[str, list[bytes]] = {}
    for _, at, stop in elements(data, list_start, list_end):
        _, type_start, type_end = element(data, at, stop)
        _, values_start, values_end = element(data, type_end, stop)
        name = data[type_start:type_end].decode("ascii", "replace").partition(";")[0].lower()
        values = [data[value[1] : value[2]] for value in elements(data, values_start, values_end)]
        attributes.setdefault(name, []).extend(values)
    return Entry(data[name_start:name_end].decode("utf-8", "replace"), attributes)


def _result(data: bytes, start: int, end: int, message_end: int) -> Result:
    _, code_start, code_end = element(data, start, end)
    _, _, matched_end = element(data, code_end, end)
    _, text_start, text_end = element(data, matched_end, end)
    said = data[text_start:text_end].decode("utf-8", "replace").strip("\0 \r\n")
    return Result(number(data, code_start, code_end), said, _cookie(data, end, message_end))


def _cookie(data: bytes, start: int, end: int) -> bytes:
    """The cookie of the paged results control among the controls behind an operation."""
    for tag, at, stop in elements(data, start, end):
        for _, control_start, control_end in elements(data, at, stop) if tag == 0xA0 else ():
            parts = list(elements(data, control_start, control_end))
            if not parts or data[parts[0][1] : parts[0][2]] != _PAGED_RESULTS.encode():
                continue
            tag, value_start, value_end = parts[-1]
            if tag != ber.OCTET_STRING:
                continue
            _, inner, inner_end = element(data, value_start, value_end)
            _, _, size_end = element(data, inner, inner_end)
            _, cookie_start, cookie_end = element(data, size_end, inner_end)
            return data[cookie_start:cookie_end]
    return b""
