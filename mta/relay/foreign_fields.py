"""Header fields that only we, or an Exchange that we know, may set: whoever else brings them would pose as one.

Exchange takes X-MS-Exchange-Organization-* for the word of its own organisation, and makes it of -CrossPremises-* where
connectors are told to (CloudServicesMailEnabled). They are passed on from listeners with `peer: exchange` or
`exchange-online` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mta.message.authentication_results import fields_of, read_field
from mta.message.edit import Edit
from mta.message.fields import HeaderField
from mta.message.hidden_fields import behind_the_header, hidden_names
from mta.message.mark import HEADER as MARK_HEADER
from mta.message.parse import Buffer, Message
from mta.model.envelope import Client

TOKEN_HEADER = b"X-Stampline-Token"

_OF_EXCHANGE = (
    b"x-ms-exchange-organization-",
    b"x-ms-exchange-crosstenant-",
    b"x-ms-exchange-crosspremises-",
    b"x-ms-exchange-forest-",
)
_MARK_NAME = MARK_HEADER.decode()
_MARK_KEY = MARK_HEADER.lower()
_TOKEN_NAME = TOKEN_HEADER.decode()
_ALL = (*_OF_EXCHANGE, MARK_HEADER.lower(), TOKEN_HEADER.lower())
_HIDDEN = re.compile(rb"(?i)[\x80-\xff]*+(?:%b)[!-9;-~]*\s*:" % b"|".join(_ALL))
_ANY = re.compile(
    rb"(?mi)^[\x80-\xff]*+(?:(?P<mark>%b)|%b|(?P<exchange>(?:%b)[!-9;-~]*)"
    rb"|authentication-results(?=[ \t]*:(?P<results>[^\n]*\n(?:[ \t][^\n]*\n)*)))"
    rb"[ \t]*(?:\r\n[ \t]+)*:[^\n]*\n(?:[ \t][^\n]*\n)*" % (MARK_HEADER, TOKEN_HEADER, b"|".join(_OF_EXCHANGE))
)


def foreign_fields(client: Client | None, message: Message, authserv_ids: frozenset[str]) -> list[HeaderField]:
    """Those to be taken out of a copy. Authentication-Results that go by our name are among them (RFC 8601 §5).

    `client` is None for messages of our own. Our mark and token are always among them: a copy gets its own.
    """
    fields = [*message.fields_named(_MARK_NAME), *message.fields_named(_TOKEN_NAME)]
    if client is not None and not client.is_exchange:
        fields += [field for field in message.fields if field.name.startswith(_OF_EXCHANGE)]
        if b"" in message.names:
            fields += [field for field in message.fields_named("") if _HIDDEN.match(message.raw(field))]
    if client is not None and not client.is_trusted:
        fields += fields_of(message, authserv_ids)
    return fields


def closing(client: Client | None, message: Message) -> tuple[Edit, ...]:
    """The empty line that a header lacks, where other readers could find such a field behind its end.

    What merely looks odd stays as it is.
    """
    behind = behind_the_header(message) if client is not None and not client.is_exchange else b""
    if not behind or not any(name.startswith(_ALL) for name in hidden_names(message)):
        return ()
    return (Edit(message.body_start, message.body_start, b"\r\n"),)


def token_field(token: bytes) -> bytes:
    """The header line by which an Exchange transport rule tells what has been through here (it can't verify our mark).

    It is put on top last, and signed by nothing, for direct delivery (`kind: mx`) goes without it.
    """
    return b"%b: %b\r\n" % (TOKEN_HEADER, token)


def is_mark(field: HeaderField) -> bool:
    """Whether it is our mark's field."""
    return field.name == _MARK_KEY


def foreign_spans(client: Client | None, data: Buffer, authserv_ids: frozenset[str]) -> Iterator[Edit]:
    """The same for a message that is not looked into; all that may be one of these fields goes.

    A trusted client's mark stays: nothing has judged it, and its copy gets no other.
    """
    end = data.find(b"\r\n\r\n")
    for match in _ANY.finditer(data, 0, end + 2 if end >= 0 else len(data)):
        if match["exchange"] is not None:
            is_foreign = client is not None and not client.is_exchange
        elif match["mark"] is not None:
            is_foreign = client is not None and not client.is_trusted
        elif match["results"] is not None:
            stated = read_field(match["results"])
            is_ours = stated is None or stated.authserv_id in authserv_ids
            is_foreign = is_ours and client is not None and not client.is_trusted
        else:
            is_foreign = True
        if is_foreign:
            yield Edit(match.start(), match.end(), b"")
