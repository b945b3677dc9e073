"""Who signs in, and for whom they may act ("Impersonation and EWS in Exchange", "Delegate access and EWS")."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from threading import Lock
from typing import Literal

from tests.peers.ews.errors import EwsError, SoapFaultError
from tests.peers.ews.ids import mailbox_of_id
from tests.peers.ews.mailboxes import Folder, Mailbox, Store
from tests.peers.ews.xml import Element, children, find, local_name, text_of

Rights = Literal["full", "read", "none"]


@dataclass(slots=True)
class Account:
    user: str
    password: str = ""
    mailbox: str = ""
    """Primary address of its own, if it has one."""
    impersonates: tuple[str, ...] = ()
    full_access: tuple[str, ...] = ()
    read_access: tuple[str, ...] = ()
    locks_after: int = 0
    wrong_in_a_row: int = 0
    wrong_sign_ins: int = 0
    is_locked: bool = False
    is_app: bool = False
    """An app has no mailbox and is nobody itself."""
    may_impersonate_at_all: bool = True
    """False: the right to call through this server is missing (ErrorImpersonationDenied)."""


def _fits(address: str, scope: tuple[str, ...]) -> bool:
    return any(fnmatchcase(address.lower(), pattern.lower()) for pattern in scope)


class Accounts:
    """Everybody who may sign in."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.by_name: dict[str, Account] = {}

    def add(self, account: Account) -> None:
        self.by_name[account.user.lower()] = account

    def named(self, user: str) -> Account | None:
        return self.by_name.get(user.lower())

    def sign_in(self, user: str, password: str) -> Account | None:
        """None for a wrong password, an unknown or locked account: they look the same from outside."""
        account = self.named(user)
        if account is None:
            return None
        return self.settle(account, is_right=bool(password) and account.password == password)

    def settle(self, account: Account, *, is_right: bool) -> Account | None:
        """Count a wrong one; so many in a row lock the account, for right passwords too."""
        with self._lock:
            if not is_right:
                account.wrong_sign_ins += 1
                account.wrong_in_a_row += 1
                if account.locks_after and account.wrong_in_a_row >= account.locks_after:
                    account.is_locked = True
                return None
            if account.is_locked:
                account.wrong_sign_ins += 1
                return None
            account.wrong_in_a_row = 0
            return account


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and as whom."""

    account: Account
    acting_as: Mailbox | None
    """The impersonated mailbox, else the account's own."""
    is_impersonating: bool

    def rights_to(self, mailbox: Mailbox) -> Rights:
        if self.acting_as is mailbox:
            return "full"
        if self.is_impersonating:  # what the impersonated may open of others', and that is nothing here
            return "none"
        if _fits(mailbox.address, self.account.full_access):
            return "full"
        return "read" if _fits(mailbox.address, self.account.read_access) else "none"


def caller_of(account: Account, header: Element | None, store: Store) -> Caller:
    """Heed ExchangeImpersonation. Raises SoapFaultError (impersonation fails for the whole request)."""
    impersonation = find(header, "t:ExchangeImpersonation") if header is not None else None
    if impersonation is None:
        if account.is_app:
            raise SoapFaultError("ErrorImpersonationRequired")
        own = store.addresses.get(account.mailbox.lower()) if account.mailbox else None
        return Caller(account, own, False)
    if not account.may_impersonate_at_all:
        raise SoapFaultError("ErrorImpersonationDenied")
    mailbox = _named_mailbox(impersonation, store)
    if not _fits(mailbox.address, account.impersonates):
        raise SoapFaultError("ErrorImpersonateUserDenied")
    return Caller(account, mailbox, True)


def _named_mailbox(impersonation: Element, store: Store) -> Mailbox:
    """By ConnectingSID ([MS-OXWSCDATA] 2.2.4.22): PrimarySmtpAddress must be the primary one, SmtpAddress any."""
    who = children(children(impersonation)[0])[0]
    kind, text = local_name(who), text_of(who).strip().lower()
    if not text:
        raise SoapFaultError("ErrorInvalidExchangeImpersonationHeaderData")
    if kind == "SID":
        raise SoapFaultError("ErrorInvalidUserSid")
    mailbox = store.addresses.get(text)
    if mailbox is None:
        code = "ErrorInvalidUserPrincipalName" if kind == "PrincipalName" else "ErrorNonExistentMailbox"
        raise SoapFaultError(code)
    if kind == "PrimarySmtpAddress" and mailbox.address != text:
        raise SoapFaultError("ErrorNonPrimarySmtpAddress", values={"Primary": mailbox.address})
    return mailbox


def check_available(mailbox: Mailbox) -> None:
    """Raises EwsError: being moved, its database dismounted, failed over."""
    if mailbox.unavailable:
        raise EwsError(mailbox.unavailable)


def open_folder(node: Element, caller: Caller, store: Store) -> tuple[Mailbox, Folder, Rights]:
    """What a FolderId or DistinguishedFolderId names. Raises EwsError.

    A folder that the caller may not see isn't there: ErrorFolderNotFound ("Delegate access and EWS in Exchange").
    """
    if local_name(node) == "FolderId":
        return _folder_by_id(node.get("Id"), caller, store)
    address = find(node, "t:Mailbox/t:EmailAddress")
    mailbox: Mailbox | None
    if address is not None:
        mailbox = store.addresses.get(text_of(address).strip().lower())
        if mailbox is None:
            raise EwsError("ErrorNonExistentMailbox")
        if mailbox.address != text_of(address).strip().lower():
            raise EwsError("ErrorNonPrimarySmtpAddress", values={"Primary": mailbox.address})
    else:
        mailbox = caller.acting_as
        if mailbox is None:
            raise EwsError("ErrorMissingEmailAddress")
    check_available(mailbox)
    rights = caller.rights_to(mailbox)
    folder = mailbox.by_distinguished.get(node.get("Id"))
    if rights == "none" or folder is None:
        raise EwsError("ErrorFolderNotFound")
    return mailbox, folder, rights


def _folder_by_id(folder_id: str, caller: Caller, store: Store) -> tuple[Mailbox, Folder, Rights]:
    kind, address = mailbox_of_id(folder_id)
    if kind == "item":
        raise EwsError("ErrorCannotUseItemIdForFolderId", "Id used in this request is an item id.")
    mailbox = store.mailboxes.get(address)
    folder = mailbox.folders.get(folder_id) if mailbox else None
    if mailbox is None or folder is None or caller.rights_to(mailbox) == "none":
        raise EwsError("ErrorFolderNotFound")
    check_available(mailbox)
    return mailbox, folder, caller.rights_to(mailbox)
