"""A request's way: faults → token → mailbox → limits → rights → operation → answer; and the log."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

from tests.peers.graph.access import Access, Caller
from tests.peers.graph.answers import GraphError, answered
from tests.peers.graph.call import Call
from tests.peers.graph.faults import Fault
from tests.peers.graph.limits import Throttle
from tests.peers.graph.operations import OPERATIONS, PERMISSIONS, WRITES
from tests.peers.graph.routes import Route, route
from tests.peers.graph.settings import Settings
from tests.peers.graph.store import Mailbox
from tests.peers.graph.uploads import Uploads
from tests.peers.https import Request, Response

_LONGEST_S = 3600.0
_UNAVAILABLE = {
    "MailboxNotEnabledForRESTAPI": (
        404, "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
    ),
    "ResourceNotFound": (404, "Resource could not be discovered."),
    "ErrorInvalidUser": (404, "The requested user is invalid."),
    "ErrorMailboxMoveInProgress": (503, "Mailbox move in progress. Try again later."),
    "ErrorMailboxStoreUnavailable": (503, "The mailbox database is temporarily unavailable."),
    "ErrorMailboxFailover": (503, "The mailbox database is being moved to another server."),
    "MailboxInfoStale": (503, "Mailbox info is stale."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    number: int
    operation: str
    """`create`, `list`, …; `?` where there was none."""
    app: str
    mailbox: str
    method: str
    target: str
    status: int
    """0 where the connection was cut."""
    code: str
    """Graph's, of a refusal."""
    octets: int
    at: float
    """Monotonic seconds at arrival."""
    ended_at: float


class Service:
    """Everything behind the connections; a lock is held while anything is looked at or changed."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.settings = Settings()
        self.throttle = Throttle(self.settings)
        self.uploads = Uploads()
        self.mailboxes: dict[str, Mailbox] = {}
        """By user principal name in lower case."""
        self.faults: list[Fault] = []
        self.log: list[LoggedRequest] = []
        self.lock = threading.RLock()
        self.base = ""
        """`https://localhost:PORT`"""
        self.failures: list[BaseException] = []
        """Of this server itself."""

    async def answer(self, request: Request) -> Response:
        begun = time.monotonic()
        found, app, mailbox = Route("?"), "", ""
        try:
            with self.lock:
                found = route(request)
                app, mailbox, box = self._whose(request, found)
                fault = next((one for one in self.faults if one.strikes(found.operation, mailbox)), None)
            response = await self._with_fault(fault, request, found, app, box)
            code = ""
        except GraphError as error:
            response, code = error.response(), error.code
        except Exception as error:
            self.failures.append(error)
            raise
        entry = LoggedRequest(
            len(self.log), found.operation, app, mailbox, request.method, request.target,
            0 if response.is_dropped else response.status, code, len(request.body), begun, time.monotonic(),
        )  # fmt: skip
        self.log.append(entry)
        return response

    def _whose(self, request: Request, found: Route) -> tuple[str, str, Mailbox | None]:
        """App, address and mailbox, as far as a fault needs them."""
        if found.operation.endswith("upload") and found.operation != "create-upload":
            session = next((one for key, one in self.uploads.sessions.items() if key in request.path), None)
            return (session.app, session.item.mailbox.address, session.item.mailbox) if session else ("", "", None)
        box = self._mailbox(found.user)
        return "", box.address if box else found.user, box

    async def _with_fault(
        self, fault: Fault | None, request: Request, found: Route, app: str, box: Mailbox | None
    ) -> Response:
        early = fault.before() if fault else None
        if early is not None:
            return early
        response = await self._limited(request, found, app, box)
        if fault is None:
            return response
        if fault.kind in ("hang", "slow"):
            await asyncio.sleep(_LONGEST_S if fault.kind == "hang" else fault.delay_s)
        return fault.after_all(response)

    async def _limited(self, request: Request, found: Route, app: str, box: Mailbox | None) -> Response:
        caller: Caller | None = None
        if not found.operation.endswith("upload") or found.operation == "create-upload":
            caller = self.access.caller(request.headers.get("authorization", ""))
            app = caller.app
        if len(request.body) > self.settings.largest_request and found.operation != "upload":
            raise GraphError(413, "RequestEntityTooLarge", "Maximum request length exceeded.")
        address = box.address if box else ""
        with self.lock:
            self.throttle.enter(app, address, 0 if request.method in ("GET", "DELETE") else len(request.body))
        try:
            if self.settings.latency_s:
                await asyncio.sleep(self.settings.latency_s)
            while self.settings.is_held:
                await asyncio.sleep(0.005)
            with self.lock:
                return self._carried_out(request, found, caller, box)
        finally:
            with self.lock:
                self.throttle.leave(app, address)

    def _carried_out(self, request: Request, found: Route, caller: Caller | None, box: Mailbox | None) -> Response:
        if caller is None:
            return self._upload(request, found.operation)
        if found.operation in ("find-users", "get-user"):
            self.access.check_directory(caller)
            return self._users(request, found, box)
        if box is None:
            raise GraphError(404, "ErrorInvalidUser", f"The requested user '{found.user}' is invalid.")
        if box.unavailable:
            status, text = _UNAVAILABLE.get(box.unavailable, (503, ""))
            raise GraphError(status, box.unavailable, text)
        self.access.check_mail(caller, box.address, PERMISSIONS.get(found.operation, WRITES))
        base, other = f"{self.base}/v1.0", self.base.replace("localhost", "127.0.0.1")
        call = Call(request, found, box, caller.app, self.settings, self.uploads, base, other, self.mailboxes)
        return OPERATIONS[found.operation](call)

    def _upload(self, request: Request, operation: str) -> Response:
        session = self.uploads.find(request)
        if operation == "get-upload":
            return answered(200, session.described())
        if operation == "delete-upload":
            del self.uploads.sessions[session.key]
            return Response(204)
        return self.uploads.put(session, request, self.base.replace("localhost", "127.0.0.1"))

    def _mailbox(self, user: str) -> Mailbox | None:
        """By user principal name or object id (graph/api/user-get); by another address where a test allows it."""
        wanted = user.lower()
        found = self.mailboxes.get(wanted)
        if found is not None:
            return found
        for box in self.mailboxes.values():
            if wanted == box.id or (self.settings.takes_aliases and wanted in map(str.lower, box.aliases)):
                return box
        return None

    def _users(self, request: Request, found: Route, box: Mailbox | None) -> Response:
        """graph/api/user-get and user-list, of which only the search for one address."""
        if found.operation == "get-user":
            if box is None:
                text = (
                    f"Resource '{found.user}' does not exist or one of its queried reference-property objects are not"
                )
                raise GraphError(404, "Request_ResourceNotFound", f"{text} present.")
            return answered(200, _user(box))
        clause = dict(request.query).get("$filter", "")
        for form in ("mail eq '{}'", "proxyAddresses/any(p:p eq 'smtp:{}')", "userPrincipalName eq '{}'"):
            before, _, after = form.partition("{}")
            if clause.startswith(before) and clause.endswith(after):
                wanted = clause[len(before) : len(clause) - len(after)].replace("''", "'").lower()
                known = [
                    one for one in self.mailboxes.values() if wanted in map(str.lower, (one.address, *one.aliases))
                ]
                return answered(200, {"value": [_user(one) for one in known]})
        raise GraphError(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause.")


def _user(box: Mailbox) -> dict[str, Any]:
    return {"id": box.id, "displayName": box.name, "userPrincipalName": box.address, "mail": box.address}
