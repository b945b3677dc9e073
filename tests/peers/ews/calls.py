"""One call of an operation: who asks, of which store, by which settings; and its response messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from tests.peers.ews.access import Caller, Rights, check_available
from tests.peers.ews.errors import EwsError
from tests.peers.ews.items import Item
from tests.peers.ews.mailboxes import Mailbox, Store
from tests.peers.ews.xml import Element, add, element


@dataclass(slots=True)
class Settings:
    """Of the whole server; tests change them while it runs."""

    flavour: Literal["exchange", "other"] = "exchange"
    offers: tuple[str, ...] = ("basic", "ntlm")
    per_budget: int = 0
    """Requests at a time for one mailbox (impersonation) or account; EWSMaxConcurrency is 27. 0: any number."""
    in_all: int = 0
    over_code: str = "ErrorExceededConnectionCount"
    latency_s: float = 0
    largest_item: int = 150 * 1024 * 1024
    largest_request: int = 65_536_000
    """Octets; beyond it IIS answers 404.13 ("Configure client-specific message size limits": 64,000 KB for EWS)."""
    largest_page: int = 1000
    """EWSFindCountLimit of Exchange 2013 and later ("EWS throttling in Exchange")."""
    stale_code: str = "ErrorIrresolvableConflict"
    """Of UpdateItem with an old key; "ResponseCode" names ErrorStaleObject, too."""
    checks_key_of_delete: bool = False
    """DeleteItem of a stale key is ErrorStaleObject; Microsoft's page of ItemId asked for that once, and no longer."""
    refuses_mime_of_others: bool = True
    """GetItem of a task's or a contact's MIME is ErrorUnsupportedMimeConversion; else there is none in the answer."""
    redirects: dict[str, str] = field(default_factory=dict)

    @property
    def is_other(self) -> bool:
        return self.flavour == "other"


_STOPS_ALL = frozenset(  # "ResponseCode", at ErrorBatchProcessingStopped
    f"Error{name}"
    for name in ("AccessDenied", "MailboxStoreUnavailable", "MailboxMoveInProgress", "QuotaExceeded",
                 "InsufficientResources", "BatchProcessingStopped")
)  # fmt: skip


@dataclass(slots=True)
class Call:
    operation: str
    request: Element
    caller: Caller
    store: Store
    settings: Settings
    version: str
    """RequestServerVersion."""
    codes: list[str] = field(default_factory=list)
    """Of the response messages made so far."""

    def item(self, item_id: str, *, to_write: bool = False) -> tuple[Mailbox, Item, Rights]:
        """Raises EwsError. What the caller may not see isn't there; what it may only read is denied to writers."""
        mailbox, item = self.store.item(item_id)
        rights = self.caller.rights_to(mailbox)
        if rights == "none":
            raise EwsError("ErrorItemNotFound")
        check_available(mailbox)
        if to_write and rights != "full":
            raise EwsError("ErrorAccessDenied")
        return mailbox, item, rights

    def answer(self, entries: Iterable[Callable[[Element], None]], *, empty: str = "") -> Element:
        """A response message for each entry, whose function adds the content or raises EwsError.

        `empty` is the element that a message without content has: `m:Items`. After an error that the next entries would
        meet too they aren't tried (ErrorBatchProcessingStopped).
        """
        root = element(f"m:{self.operation}Response")
        messages = add(root, "m:ResponseMessages")
        for fill in entries:
            if self.codes and self.codes[-1] in _STOPS_ALL:
                self._refuse(messages, EwsError("ErrorBatchProcessingStopped"), empty, "Warning")
                continue
            message = add(messages, f"m:{self.operation}ResponseMessage", ResponseClass="Success")
            add(message, "m:ResponseCode", "NoError")
            try:
                fill(message)
                self.codes.append("NoError")
            except EwsError as error:
                messages.remove(message)
                self._refuse(messages, error, empty)
        return root

    def _refuse(self, messages: Element, error: EwsError, empty: str, response_class: str = "Error") -> None:
        message = add(messages, f"m:{self.operation}ResponseMessage", ResponseClass=response_class)
        add(message, "m:MessageText", error.text)
        add(message, "m:ResponseCode", error.code)
        add(message, "m:DescriptiveLinkKey", "0")
        if error.values:
            write_values(add(message, "m:MessageXml"), error)
        if empty:
            add(message, empty)
        self.codes.append(error.code)


def write_values(parent: Element, error: EwsError) -> None:
    """Name and value pairs of MessageXml."""
    for name, value in error.values.items():
        add(parent, "t:Value", value, Name=name)
