"""DKIM signatures that a message came with."""

from __future__ import annotations

import re
from collections.abc import Collection

from mta.message.fields import HeaderField
from mta.message.parse import Message
from mta.model.address import domain_key

_DOMAIN = re.compile(rb"(?:\A|;)[ \t\r\n]*d[ \t\r\n]*=[ \t\r\n]*([^;\s]{1,255})[ \t\r\n]*(?=;|\Z)")


def signatures_of(message: Message, domains: Collection[str]) -> list[HeaderField]:
    """Those whose signing domain (d=) is one of these, as domain keys; what has no plain d= is nobody's."""
    found = []
    for field in message.fields_named("dkim-signature"):
        match = _DOMAIN.search(bytes(message.data[field.value_start : field.end]))
        if match is not None and domain_key(match[1].decode("utf_8", "replace")) in domains:
            found.append(field)
    return found
