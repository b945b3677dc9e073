"""One request to Exchange.asmx: sign-in, bounds, faults, schema, impersonation, the operation, and a valid answer."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from tests.peers.ews.access import Account, Accounts, Caller, caller_of, check_available
from tests.peers.ews.calls import Call, Settings, write_values
from tests.peers.ews.errors import CutError, EwsError, HttpAnswer, SoapFaultError
from tests.peers.ews.faults import Concurrency, Fault, Faults
from tests.peers.ews.mailboxes import Store
from tests.peers.ews.operations import OPERATIONS
from tests.peers.ews.schema import check_request, check_version, is_operation, response_problem
from tests.peers.ews.shapes import VERSIONS
from tests.peers.ews.xml import (
    ERRORS,
    SOAP,
    TYPES,
    Element,
    NotXmlError,
    add,
    children,
    find,
    local_name,
    parse,
    tag,
    written,
)

_LONGEST_LOG = 500_000
_HTML = (
    b"<html><head><title>Runtime Error</title></head><body><h1>Server Error in '/EWS' Application.</h1></body></html>"
)


@dataclass(slots=True)
class Entry:
    """One line of the request log, see `LoggedRequest`."""

    number: int
    octets: int
    at: float
    operation: str = "?"
    account: str = ""
    mailbox: str = ""
    status: int = 0
    codes: list[str] = field(default_factory=list)
    valid: bool = True
    ended_at: float = 0


class Service:
    """Everything that the server knows."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store()
        self.accounts = Accounts()
        self.faults = Faults()
        self.concurrency = Concurrency()
        self.log: list[Entry] = []
        self.invalid_responses: list[str] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._number = 0

    def begin(self, octets: int) -> Entry:
        with self._lock:
            self._number += 1
            entry = Entry(self._number, octets, time.monotonic())
            if len(self.log) < _LONGEST_LOG:
                self.log.append(entry)
            return entry

    def answer(self, account: Account, body: bytes, entry: Entry) -> HttpAnswer:
        """What to send. Raises CutError."""
        entry.account = account.user
        try:
            return self._answer(account, body, entry)
        except SoapFaultError as error:
            entry.codes = [error.code]
            return HttpAnswer(500, written(fault(error)), "text/xml; charset=utf-8")
        except HttpAnswer as answer:
            return answer
        except CutError:
            raise
        except Exception:  # noqa: BLE001 - the edge: a fault of this server has to fail the test
            self.invalid_responses.append(f"{entry.operation}: {traceback.format_exc()}")
            return HttpAnswer(500, b"a fault of the test server", "text/plain")

    def _answer(self, account: Account, body: bytes, entry: Entry) -> HttpAnswer:
        header, request, version = self._read(body, entry)
        with self.store.lock:
            caller = caller_of(account, header, self.store)
        entry.mailbox = caller.acting_as.address if caller.acting_as else ""
        budget = entry.mailbox if caller.is_impersonating else f"account {account.user}"
        with self.concurrency.holding(budget, self.settings):
            if self.settings.latency_s:
                time.sleep(self.settings.latency_s)
            broken = self.faults.next(entry.operation, entry.mailbox)
            if broken is not None:
                strike_before(broken, entry)
            response = self._carry_out(caller, request, version, entry, broken)
            answer = self._checked(response, entry)
            return strike_after(broken, answer) if broken is not None else answer

    def _read(self, body: bytes, entry: Entry) -> tuple[Element | None, Element, str]:
        """Header, operation and schema version. Raises SoapFaultError, HttpAnswer."""
        try:
            root = parse(body)
        except NotXmlError as error:
            entry.valid = False
            raise SoapFaultError("ErrorSchemaValidation", f"The request failed schema validation: {error}") from error
        header, soap_body = find(root, "s:Header"), find(root, "s:Body")
        operations = children(soap_body) if soap_body is not None else []
        if root.tag != tag("s:Envelope") or len(operations) != 1 or not is_operation(operations[0]):
            entry.valid = False
            raise SoapFaultError("ErrorInvalidRequest", "The request is invalid.")
        entry.operation = local_name(operations[0])
        version = _version(header)
        try:
            check_request(operations[0])
            check_version(operations[0], version)
            if header is not None:
                _check_headers(header)
        except SoapFaultError:
            entry.valid = False
            raise
        return header, operations[0], version

    def _carry_out(self, caller: Caller, request: Element, version: str, entry: Entry, broken: Fault | None) -> Element:
        call = Call(entry.operation, request, caller, self.store, self.settings, version)
        operate = OPERATIONS.get(entry.operation)
        if operate is None:
            raise SoapFaultError("ErrorInvalidOperation", f"The operation {entry.operation} isn't supported here.")
        if broken is not None and broken.kind == "code":
            response = _refused(call, EwsError(broken.code))
        else:
            try:
                with self.store.lock:
                    if caller.is_impersonating and caller.acting_as is not None:
                        check_available(caller.acting_as)
                    response = operate(call)
            except SoapFaultError:
                raise
            except EwsError as error:  # of the whole request, not of one of its entries
                response = _refused(call, error)
        entry.codes = call.codes
        return response

    def _checked(self, response: Element, entry: Entry) -> HttpAnswer:
        """An answer that the schema forbids is a bug of this server: 500, and tests fail by it."""
        problem = response_problem(response)
        if problem is not None:
            self.invalid_responses.append(f"{entry.operation}: {problem}")
            return HttpAnswer(500, f"invalid response of the test server: {problem}".encode(), "text/plain")
        return HttpAnswer(200, written(_envelope(response)), "text/xml; charset=utf-8")

    def counters(self) -> dict[str, Any]:
        with self._lock:
            by_operation: dict[str, int] = {}
            for entry in self.log:
                by_operation[entry.operation] = by_operation.get(entry.operation, 0) + 1
            most = dict(self.concurrency.most)
        return {
            "requests": sum(by_operation.values()),
            "by_operation": by_operation,
            "connections": self.connections,
            "most_at_once": most.pop("", 0),
            "most_at_once_by_mailbox": most,
            "wrong_sign_ins": {account.user: account.wrong_sign_ins for account in self.accounts.by_name.values()},
            "invalid_responses": list(self.invalid_responses),
        }

    def forget(self) -> None:
        with self._lock:
            self.log = []
            self.connections = 0
        for account in self.accounts.by_name.values():
            account.wrong_sign_ins = 0
        self.concurrency.forget()


# --- SOAP -------------------------------------------------------------------------------------------------------------


def _version(header: Element | None) -> str:
    """RequestServerVersion ("RequestServerVersion" element): without it Exchange 2007, whatever the server is."""
    node = find(header, "t:RequestServerVersion") if header is not None else None
    if node is None:
        return "Exchange2007"
    version = str(node.get("Version"))
    if version not in VERSIONS:
        raise SoapFaultError("ErrorInvalidServerVersion")
    return version


def _check_headers(header: Element) -> None:
    """Those that the schema knows; RequestServerVersion's is of one value only, where Exchange takes all of them."""
    seen: set[str] = set()
    for node in children(header):
        if str(node.tag) in seen:
            raise SoapFaultError("ErrorDuplicateSOAPHeader", "A SOAP header stands there twice.")
        seen.add(str(node.tag))
        if str(node.tag).startswith("{" + TYPES + "}") and local_name(node) in (
            "ExchangeImpersonation",
            "TimeZoneContext",
        ):
            check_request(node)


def _envelope(content: Element) -> Element:
    root = etree.Element(tag("s:Envelope"), nsmap={"s": SOAP})
    info = {"MajorVersion": "15", "MinorVersion": "1", "MajorBuildNumber": "2507", "MinorBuildNumber": "58"}
    add(add(root, "s:Header"), "t:ServerVersionInfo", **info, Version="V2017_07_11")
    add(root, "s:Body").append(content)
    return root


def fault(error: SoapFaultError) -> Element:
    """As Exchange writes it ("Handling EWS errors"): the code stands in the detail."""
    root = etree.Element(tag("s:Envelope"), nsmap={"s": SOAP})
    node = add(add(root, "s:Body"), "s:Fault")
    code = etree.SubElement(node, "faultcode", nsmap={"a": TYPES})
    code.text = f"a:{error.code}"
    text = etree.SubElement(node, "faultstring", {"{http://www.w3.org/XML/1998/namespace}lang": "en-US"})
    text.text = error.text
    detail = etree.SubElement(node, "detail")
    etree.SubElement(detail, f"{{{ERRORS}}}ResponseCode", nsmap={"e": ERRORS}).text = error.code
    short = "The request failed schema validation." if error.code == "ErrorSchemaValidation" else error.text
    etree.SubElement(detail, f"{{{ERRORS}}}Message", nsmap={"e": ERRORS}).text = short
    if error.where or error.values:
        holder = etree.SubElement(detail, tag("t:MessageXml"), nsmap={"t": TYPES})
        if error.where:
            add(holder, "t:LineNumber", str(error.where[0]))
            add(holder, "t:LinePosition", str(error.where[1]))
            add(holder, "t:Violation", error.text.partition(": ")[2])
        write_values(holder, error)
    return root


_EMPTY = {
    "CreateItem": "m:Items", "GetItem": "m:Items", "UpdateItem": "m:Items", "MoveItem": "m:Items",
    "CopyItem": "m:Items", "CreateAttachment": "m:Attachments", "GetAttachment": "m:Attachments",
    "GetServerTimeZones": "m:TimeZoneDefinitions", "GetFolder": "m:Folders", "CreateFolder": "m:Folders",
}  # fmt: skip
_COUNTED = ("ItemIds", "FolderIds", "ParentFolderIds", "ItemChanges")


def _refused(call: Call, error: EwsError) -> Element:
    """The same code for every entry of the request."""

    def fill(message: Element) -> None:
        raise error

    counted = [len(node) for node in children(call.request) if local_name(node) in _COUNTED]
    return call.answer([fill] * (counted[0] if counted else 1), empty=_EMPTY.get(call.operation, ""))


# --- arranged faults --------------------------------------------------------------------------------------------------


def strike_before(broken: Fault, entry: Entry) -> None:
    """Those that strike before anything is done. Raises CutError, HttpAnswer, SoapFaultError."""
    kind = broken.kind
    if kind == "reset":
        raise CutError
    if kind == "busy":
        hint = {} if broken.back_off_ms is None else {"BackOffMilliseconds": str(broken.back_off_ms)}
        raise SoapFaultError("ErrorServerBusy", values=hint)
    if kind == "fault":
        raise SoapFaultError(broken.code)
    if kind == "status":
        headers = [("Retry-After", broken.retry_after)] if broken.retry_after else []
        raise HttpAnswer(broken.status, b"The service is unavailable.", headers=headers)
    if kind in ("html", "garbage", "empty"):
        bodies: Mapping[str, tuple[bytes, str]] = {
            "html": (_HTML, "text/html"),
            "garbage": (b"<?xml version='1.0'?><s:Envelope \xff\xfe", "text/xml; charset=utf-8"),
            "empty": (b"", "text/xml; charset=utf-8"),
        }
        body, content_type = bodies[kind]
        raise HttpAnswer(200, body, content_type)


def strike_after(broken: Fault, answer: HttpAnswer) -> HttpAnswer:
    """Those that strike when all is done. Raises CutError."""
    if broken.kind == "drop":
        raise CutError
    if broken.kind == "slow":
        broken.healed.wait(broken.delay_s)
    if broken.kind == "hang":
        time.sleep(broken.delay_s or 3600)
    if broken.kind == "truncated":
        answer.body = answer.body[: len(answer.body) // 2]
    return answer
