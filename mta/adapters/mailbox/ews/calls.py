"""One EWS operation: a request for a mailbox, and the response message it comes back with.

exchangelib writes the envelope (impersonation, X-AnchorMailbox) and takes it apart; what errors mean is ours, and each
request goes out once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Never

from exchangelib.account import Identity
from exchangelib.credentials import DELEGATE, IMPERSONATION
from exchangelib.services.common import EWSAccountService
from lxml import etree

from mta.adapters.mailbox.ews.connection import SPOKEN, Connections, Reply
from mta.adapters.mailbox.ews.errors import BY_CODE, back_off, response_error
from mta.adapters.mailbox.ews.names import ERRORS, SOAP, TYPES, Element, tag
from mta.ports.mailbox import EndpointDownError, MailboxError, OutcomeUnknownError

_CHANGING = frozenset({
    "CreateAttachment", "CreateFolder", "CreateItem", "DeleteAttachment", "DeleteItem", "MoveItem", "UpdateItem",
})  # fmt: skip
_NO_PLACE = frozenset({"ErrorAccessDenied", "ErrorFolderNotFound", "ErrorItemNotFound"})
PLACE_OF_LARGE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""All that stands in the element of a request whose content is written in at the end."""
_NO_CHARACTER = re.compile(
    rb"&#(?:[xX]0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]|[dD][89a-fA-F][0-9a-fA-F]{2}|[fF]{3}[eEfF])"
    rb"|0*(?:[0-8]|1[124-9]|2[0-9]|3[01]));"
)
"""What Exchange writes of control characters in subjects and names; XML 1.0 can't hold them."""


class Caller:
    """Who asks, and for which mailbox: what exchangelib's services want to see of an account."""

    default_timezone = None

    def __init__(self, mailbox: str, connections: Connections, *, impersonate: bool) -> None:
        self.primary_smtp_address = mailbox
        self.protocol = connections
        self.version = SPOKEN
        self.access_type = IMPERSONATION if impersonate else DELEGATE
        self.identity = Identity(smtp_address=mailbox)  # any address of the mailbox


@dataclass(frozen=True, slots=True)
class Answer:
    """To an operation that asked for one thing."""

    message: Element
    """The response message, whose code is NoError."""
    messages: tuple[Element, ...] = ()
    """All of them, where it asked for the same in several places."""
    server: str = ""
    """Build of the server that answered: `15.2.1118.7`."""
    passed_over: int = 0
    """Response messages that are refusals which the caller put up with; they stand among `messages`."""


def call(
    caller: Caller, request: Element, *, large: bytes = b"", most_octets: int | None = None,
    optional_from: int | None = None,
) -> Answer:  # fmt: skip
    """Send `request` (as `m:GetItem`); `large`, ASCII without markup, goes where it says `PLACE_OF_LARGE`.

    Of the places that it asks in, those from `optional_from` on may be gone or closed to us. Raises MailboxError;
    RefusedError for an answer of more than `most_octets`, where that is said.
    """
    name = etree.QName(request).localname
    service = _operation(name)(caller, large, most_octets)
    messages = service._get_response_xml(payload=request)
    if not messages:
        raise service.unreadable("no response message")
    passed_over = 0
    for position, message in enumerate(messages):
        try:
            service._get_element_container(message=message)
        except MailboxError as exc:
            if optional_from is None or position < optional_from or exc.code not in _NO_PLACE:
                raise
            passed_over += 1
    return Answer(messages[0], tuple(messages), service.server, passed_over)


class _Operation(EWSAccountService):  # type: ignore[misc]
    """exchangelib's service without retries, without asking for versions, and with the port's errors."""

    ERRORS_TO_CATCH_IN_RESPONSE = ()
    WARNINGS_TO_CATCH_IN_RESPONSE = ()

    def __init__(self, caller: Caller, large: bytes, most_octets: int | None) -> None:
        super().__init__(account=caller)
        self._large = large
        self._most_octets = most_octets
        self.server = ""

    @property
    def changes(self) -> bool:
        return self.SERVICE_NAME in _CHANGING

    def unreadable(self, why: str) -> MailboxError:
        """It answers, but not as it should: what changes something may have done so."""
        kind = OutcomeUnknownError if self.changes else EndpointDownError
        return kind("bad-answer", f"{self.SERVICE_NAME}: {why}")

    def wrap(self, content: Element, api_version: str | None = None) -> bytes:
        envelope: bytes = super().wrap(content, api_version)
        if not self._large:
            return envelope
        before, _, after = envelope.partition(f">{PLACE_OF_LARGE}<".encode())
        return b"".join((before, b">", self._large, b"<", after))

    def _api_versions_to_try(self) -> tuple[str, ...]:
        return (SPOKEN.api_version,)

    def _get_response(self, payload: Element, api_version: str) -> Reply:
        body = self.wrap(payload, api_version)
        reply: Reply = self.protocol.post(
            body, self._extra_headers(), changes=self.changes, most_octets=self._most_octets
        )
        return reply

    def _get_soap_parts(self, response: Reply) -> tuple[Element | None, Element]:
        root = parsed(response.content)
        if root is None or (body := root.find(f"{{{SOAP}}}Body")) is None:
            raise self.unreadable("no SOAP that can be read")
        return root.find(f"{{{SOAP}}}Header"), body

    def _update_api_version(self, api_version: str, header: Element) -> None:
        version = header.find(tag("t:ServerVersionInfo"))
        if version is not None:
            parts = (version.get(name, "") for name in _BUILD)
            self.server = ".".join(part[:6] for part in parts if part.isdecimal())

    def _get_soap_messages(self, body: Element) -> list[Element]:
        if body.find(self._response_tag()) is None and body.find(f"{{{SOAP}}}Fault") is None:
            raise self.unreadable("an answer to something else")
        messages: list[Element] = super()._get_soap_messages(body)
        return messages

    def _raise_soap_errors(self, fault: Element) -> Never:
        detail = fault.find("detail")
        code = text = ""
        values = None
        if detail is not None:
            code = detail.findtext(f"{{{ERRORS}}}ResponseCode", "").strip()
            text = detail.findtext(f"{{{ERRORS}}}Message", "")
            values = detail.find(f"{{{TYPES}}}MessageXml")
        if not code:
            code = fault.findtext("faultcode", "").rpartition(":")[2].strip()
        raise self._get_exception(code, text, values)

    def _get_exception(self, code: str | None, text: str | None, msg_xml: Any = None, rule_errors: Any = None) -> Any:
        values = {} if msg_xml is None else {
            value.get("Name"): value.text or "" for value in msg_xml.iterfind(f"{{{TYPES}}}Value")
        }  # fmt: skip
        inner = values.get("InnerErrorResponseCode", "")
        return response_error(
            inner if inner in BY_CODE else code or "no-code", text or "",
            retry_after=back_off(values.get("BackOffMilliseconds")), changes=self.changes,
        )  # fmt: skip


_BUILD = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")


@cache
def _operation(name: str) -> type[_Operation]:
    """exchangelib knows operations by classes."""
    return type(name, (_Operation,), {"SERVICE_NAME": name})


def parsed(content: bytes) -> Element | None:
    """The root of an XML document in UTF-8; None if it is none, or brings definitions of its own."""
    if b"<!DOCTYPE" in content:  # no server does: entities are an attacker's
        return None
    try:
        return etree.fromstring(content, _parser())
    except etree.XMLSyntaxError:
        pass
    try:
        return etree.fromstring(_NO_CHARACTER.sub(b"?", content), _parser())
    except etree.XMLSyntaxError:
        return None


def _parser() -> Any:
    return etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, huge_tree=True)
