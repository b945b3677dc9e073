"""Validity by Microsoft's own schema of EWS (Exchange 2016), which is compiled once."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

from lxml import etree

from tests.peers.ews.errors import SoapFaultError
from tests.peers.ews.xml import MESSAGES, TYPES, Element, local_name
from tests.shared import shared_folder

_VALIDATING = Lock()
"""lxml keeps the errors of a schema in one log, whichever thread they are of."""


@cache
def _schema() -> Any:
    return etree.XMLSchema(etree.parse(str(shared_folder() / "ews-schema" / "all.xsd")))


def load() -> None:
    """Compile it now."""
    _schema()


def is_operation(node: Element) -> bool:
    return str(node.tag).startswith("{" + MESSAGES + "}")


def violation(node: Element) -> tuple[str, int] | None:
    """What the schema says against an element, and the line; None if it is valid."""
    with _VALIDATING:
        try:
            _schema().assertValid(node)
        except etree.DocumentInvalid as error:
            first = error.error_log[0] if len(error.error_log) else None
            return (first.message, first.line) if first is not None else (str(error), 0)
    return None


def check_request(node: Element) -> None:
    """Raises SoapFaultError as Exchange: ErrorSchemaValidation with line, position and violation.

    "Handling EWS errors": the detail has ResponseCode, Message and MessageXml with LineNumber, LinePosition, Violation.
    """
    found = violation(node)
    if found is None:
        return
    message, line = (found[0].replace("{" + TYPES + "}", "t:").replace("{" + MESSAGES + "}", "m:"), found[1])
    raise SoapFaultError(
        "ErrorSchemaValidation", f"The request failed schema validation: {message}", where=(line or node.sourceline, 1)
    )


def check_version(node: Element, version: str) -> None:
    """Raises SoapFaultError: valid for this server, but not for the version that the request is of ("ResponseCode").

    Fields that came with Exchange 2013 are looked for.
    """
    if version >= "Exchange2013":
        return
    for inner in node.iter():
        uri = inner.get("FieldURI", "") if local_name(inner) == "FieldURI" else ""
        if uri in _OF_2013 or (inner.tag == f"{{{TYPES}}}Flag"):
            text = f"The value '{uri or 'Flag'}' isn't in the schema of {version}."
            raise SoapFaultError("ErrorIncorrectSchemaVersion", text)


_OF_2013 = frozenset(
    f"item:{name}"
    for name in ("Flag", "InstanceKey", "NormalizedBody", "Preview", "TextBody", "IconIndex", "PolicyTag")
)


def response_problem(node: Element) -> str | None:
    """Why an answer of ours is wrong."""
    found = violation(node)
    return None if found is None else f"{local_name(node)}, line {found[1]}: {found[0]}"
