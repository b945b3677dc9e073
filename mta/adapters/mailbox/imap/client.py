"""One connection to a mailbox: TLS, signing in, folders."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from imapclient import IMAPClient
from imapclient.imapclient import SENT, TRASH

from mta.adapters.mailbox.imap.failures import failures
from mta.adapters.mailbox.imap.folder_names import Namespace
from mta.adapters.mailbox.imap.wire import ANSWER_MAX, Wire
from mta.adapters.mailbox.stream import Stream, TooMuchError
from mta.model.printable import in_a_line
from mta.ports.mailbox import (
    AccessDeniedError,
    ItemGoneError,
    MailboxError,
    RefusedError,
    SignInError,
    TlsFailedError,
)

# It tells of commands and answers there, which nobody is to see.
logging.getLogger("imapclient").setLevel(logging.CRITICAL)
_PLAIN = re.compile(rb"[ -~]*\Z")
_AROUND_A_BODY = 64_000
_NO_FOLDERS = frozenset({"\\noselect", "\\nonexistent"})
_APPENDED = re.compile(rb"\[APPENDUID (\d{1,10}) (\d{1,10})\]")


@dataclass(frozen=True, slots=True)
class Selected:
    """The folder that commands are about."""

    name: str
    uid_validity: int
    permanent_flags: frozenset[str]
    """In lower case; `\\*` where new keywords can be made."""
    messages: int = 0
    """That were in it then."""

    def takes(self, flags: Iterable[str]) -> list[str]:
        """Of these flags those that the folder keeps."""
        if not self.permanent_flags or "\\*" in self.permanent_flags:
            return list(flags)
        return [flag for flag in flags if flag.lower() in self.permanent_flags]


class _Library(IMAPClient):  # type: ignore[misc]
    """IMAPClient over our own wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__(wire.host, wire.port, ssl=False)
        self._imap.debug = 0  # it would format all that is sent and received

    def _create_IMAP4(self) -> Wire:  # noqa: N802
        return self._wire

    def _set_read_timeout(self) -> None:
        """The wire sees to that."""

    def authenticate(self, mechanism: str, words: str) -> None:
        """A mechanism that says all at once. What is asked then is the reason of a refusal; it gets no words.

        The library's own methods take a broken connection for a refusal.
        """
        answers = iter((words,))
        self._command_and_check("authenticate", mechanism, lambda _: next(answers, ""))

    def log_in(self, user: str, password: str) -> None:
        """LOGIN; `user` is a quoted string, `password` becomes one."""
        self._command_and_check("login", user, password)

    def store(self, uids: Iterable[int], modifier: str, action: str, flags: str) -> None:
        """UID STORE, silent, with a modifier (RFC 7162 §3.1.3)."""
        what = [",".join(map(str, uids)), *([modifier] if modifier else []), f"{action}FLAGS.SILENT", flags]
        self._command_and_check("store", *what, uid=True)


class Client:
    """Connected, over TLS where that is configured, not signed in. Raises MailboxError."""

    def __init__(
        self, host: str, port: int, *, name: str, implicit: bool, context: ssl.SSLContext | None, timeout_s: float,
        room: int = ANSWER_MAX, opened: Callable[[Stream], None] | None = None,
    ) -> None:  # fmt: skip
        """`room`: octets that may answer a command. `opened`: as a Stream has it."""
        self.is_broken = False
        """In the midst of an answer that nobody reads any more."""
        with failures("connect"):
            self.wire = Wire(
                host, port, name=name, context=context if implicit else None, timeout_s=timeout_s, room=room,
                opened=opened,
            )  # fmt: skip
        try:
            with failures("connect"):
                self._imap = _Library(self.wire)
                self._imap.normalise_times = False
                if context is not None and not implicit:
                    self._start_tls(context)
        except BaseException:
            self.close()
            raise
        self._folders: dict[bytes, str | None] = {}
        self._selected: Selected | None = None

    def close(self) -> None:
        """At once, without a word."""
        self.wire.shutdown()

    def break_off(self) -> None:
        """For another thread than the one that uses it, which sees the connection end."""
        self.wire.break_off()

    def is_alive(self) -> bool:
        """Whether the server still answers."""
        try:
            with failures("read", self.wire):
                self.wire.noop()
        except MailboxError:
            return False
        return True

    def _start_tls(self, context: ssl.SSLContext) -> None:
        """A server that doesn't offer it, or that says it knows us already, is refused: somebody may be between."""
        if self.wire.state != "NONAUTH" or not self._imap.has_capability("STARTTLS"):
            raise TlsFailedError("no-starttls", "the server doesn't offer STARTTLS")
        self._imap.starttls(ssl_context=context)

    # --- signing in ---------------------------------------------------------------------------------------------------

    def sign_in_plain(self, authorisation: str, account: str, password: str) -> None:
        """SASL PLAIN (RFC 4616)."""
        with failures("sign-in", self.wire):
            self._need("AUTH=PLAIN")
            self._imap.authenticate("PLAIN", f"{authorisation}\0{account}\0{password}")

    def sign_in_by_password(self, user: str, password: str) -> None:
        """SASL PLAIN, else LOGIN (RFC 3501 §6.2.3) where the server has nothing better."""
        if self.has("AUTH=PLAIN"):
            self.sign_in_plain("", user, password)
            return
        with failures("sign-in", self.wire):
            if self._imap.has_capability("LOGINDISABLED"):
                raise SignInError("LOGINDISABLED", "the server takes no passwords on this connection")
            name = quoted(user)
            if name is None or quoted(password) is None:
                raise SignInError("not-offered", "the server doesn't offer AUTH=PLAIN, which other than ASCII needs")
            self._imap.log_in(name.decode(), password)

    def sign_in_by_token(self, user: str, token: str) -> None:
        """https://developers.google.com/workspace/gmail/imap/xoauth2-protocol, which Exchange and Dovecot have, too."""
        with failures("sign-in", self.wire):
            self._need("AUTH=XOAUTH2")
            self._imap.authenticate("XOAUTH2", f"user={user}\1auth=Bearer {token}\1\1")

    def _need(self, capability: str) -> None:
        if not self._imap.has_capability(capability):
            raise SignInError("not-offered", f"the server doesn't offer {capability} on this connection")

    def greeting(self) -> str:
        """The server's name and version where it tells (RFC 2971), else its greeting."""
        with failures("read", self.wire):
            if self.has("ID"):
                told = self._imap.id_({"name": "Stampline"})
                pairs = dict(zip(told[0][::2], told[0][1::2], strict=False)) if told and told[0] else {}
                words = [_text(pairs[key]) for key in (b"name", b"version") if pairs.get(key)]
                if words:
                    return in_a_line(" ".join(words), 100)
            return in_a_line(_text(self.wire.welcome).removeprefix("* OK "), 100)

    def has(self, capability: str) -> bool:
        return bool(self._imap.has_capability(capability))

    # --- folders ------------------------------------------------------------------------------------------------------

    def sent_folder(self) -> str | None:
        """That of special use (RFC 6154), else of a usual name."""
        return self._special(SENT)

    def trash(self) -> str | None:
        return self._special(TRASH)

    def _special(self, use: bytes) -> str | None:
        if use not in self._folders:
            with failures("read", self.wire):
                self._folders[use] = self._imap.find_special_folder(use)
        return self._folders[use]

    def filing_folders(self, sent: str, most: int) -> list[str]:
        """INBOX, the folder of sent mail, and the folders below these; no more than that."""
        with failures("read", self.wire):
            found: dict[str, None] = {}
            for top in dict.fromkeys(("INBOX", sent)):
                for flags, delimiter, name in self._imap.list_folders("", f"{top}*") if top else ():
                    below = f"{top}{_text(delimiter)}" if delimiter else top
                    is_selectable = not {b"\\noselect", b"\\nonexistent"} & {flag.lower() for flag in flags}
                    if is_selectable and (name.lower() == top.lower() or name.lower().startswith(below.lower())):
                        found[name] = None
        return list(found)[:most]

    def make_sent_folder(self, name: str) -> str:
        """For a mailbox that has none: in its namespace, and shown by programs that show what is subscribed."""
        with failures("change", self.wire):
            prefix = ""
            if not name and self.has("NAMESPACE"):
                personal = self._imap.namespace().personal
                prefix = personal[0][0] if personal else ""
            name = name or f"{prefix}Sent"
        self.make_folder(name)
        self._folders.pop(SENT, None)
        return name

    def namespace(self) -> Namespace:
        """Where the account's own folders are (RFC 2342)."""
        with failures("read", self.wire):
            if self.has("NAMESPACE"):
                personal, *foreign = self._imap.namespace()
                prefix, delimiter = personal[0] if personal else ("", "")
                others = tuple(prefix for group in foreign for prefix, _ in group or () if prefix)
                return Namespace(prefix, delimiter or "", others)
            told = self._imap.list_folders("", "")
            return Namespace("", _text(told[0][1] or b"") if told else "/", ())

    def folder_names(self) -> list[str]:
        """All that can be opened, as the server calls them."""
        with failures("read", self.wire):
            found = self._imap.list_folders()
            return [str(name) for flags, _, name in found if not _NO_FOLDERS & {_text(flag).lower() for flag in flags}]

    def make_folder(self, name: str) -> None:
        """If it isn't there; shown by programs that show what is subscribed."""
        with failures("change", self.wire):
            if not self._imap.folder_exists(name):
                self._imap.create_folder(name)
                self._imap.subscribe_folder(name)

    def select(self, name: str, *, anew: bool = False) -> Selected:
        """What others did meanwhile is seen from here on. Raises ItemGoneError where there is no such folder."""
        with failures("read", self.wire):
            if self._selected is not None and self._selected.name == name and not anew:
                self.wire.noop()
                return self._selected
            self._selected = None
            try:
                answer = self._imap.select_folder(name)
            except self._imap.ReadOnlyError:
                raise AccessDeniedError("READ-ONLY", "the account may not write into the mailbox") from None
            except self._imap.Error:
                if self.wire.state == "LOGOUT" or self._imap.folder_exists(name):
                    raise
                raise ItemGoneError("no-folder", "the mailbox has no folder for sent items") from None
            flags = frozenset(_text(flag).lower() for flag in answer.get(b"PERMANENTFLAGS", ()))
            number, validity = int(answer.get(b"EXISTS", 0)), int(answer.get(b"UIDVALIDITY", 0))
            self._selected = Selected(name, validity, flags, number)
            return self._selected

    # --- messages of the selected folder ------------------------------------------------------------------------------

    def search(self, criteria: bytes) -> list[int]:
        """UIDs, newest first."""
        with failures("read", self.wire):
            return sorted(set(map(int, self._imap.search(criteria))), reverse=True)

    def fetch(self, uids: Iterable[int], what: Iterable[str]) -> Mapping[int, Mapping[bytes, Any]]:
        """What the server says of these messages; of those that are gone nothing."""
        with failures("read", self.wire):
            return dict(self._imap.fetch(list(uids), list(what)))

    def log_out(self) -> None:
        with failures("read", self.wire):
            self._imap.logout()

    def body(self, uid: int, largest: int) -> bytes | None:
        """The whole message, not marked as read by that; None where it is gone. Raises RefusedError where it is larger,
        whatever the server has said of its size."""
        ordinary, self.wire.room = self.wire.room, largest + _AROUND_A_BODY
        try:
            with failures("read", self.wire):
                told = self._imap.fetch([uid], ["BODY.PEEK[]"]).get(uid)
        except MailboxError as exc:
            if isinstance(exc.__cause__, TooMuchError):
                self.is_broken = True
                raise RefusedError("too-large", "the message is larger than the server says") from exc
            raise
        finally:
            self.wire.room = ordinary
        data = told.get(b"BODY[]") if isinstance(told, dict) else None
        if isinstance(data, bytes) and len(data) > largest:
            raise RefusedError("too-large", f"a message of {len(data)} octets")
        return data if isinstance(data, bytes) else None

    def store(self, uid: int, action: str, flags: Iterable[str], unchanged_since: str) -> bool:
        """Whether it was done: not if the message was changed since."""
        modifier = f"(UNCHANGEDSINCE {int(unchanged_since)})" if unchanged_since else ""
        with failures("change", self.wire):
            self._imap.store([uid], modifier, action, f"({' '.join(flags)})")
            return "MODIFIED" not in self.wire.untagged_responses

    def flag(self, uids: Iterable[int], flag: str) -> None:
        """Set it, whatever else has changed of them."""
        with failures("change", self.wire):
            self._imap.store(uids, "", "+", f"({flag})")

    def expunge(self, *uids: int) -> None:
        with failures("change", self.wire):
            self._imap.uid_expunge(list(uids))

    def move(self, uids: Iterable[int], folder: str) -> None:
        with failures("change", self.wire):
            self._imap.move(list(uids), folder)

    def copy(self, uids: Iterable[int], folder: str) -> None:
        """All of them or none (RFC 3501 §6.4.7)."""
        with failures("change", self.wire):
            self._imap.copy(list(uids), folder)

    def append(self, folder: str, data: bytes, flags: Iterable[str], moment: Any) -> tuple[int, int] | None:
        """UIDVALIDITY and UID of the new message, None where the server doesn't tell (RFC 4315).

        The message is sent only when the server has said that it will take it, so a refusal is certain, and cheap.
        """
        with failures("append", self.wire):
            answer = self._imap.append(folder, data, list(flags), moment)
        match = _APPENDED.search(answer or b"")
        return (int(match[1]), int(match[2])) if match else None


def quoted(text: str) -> bytes | None:
    """A quoted string (RFC 3501 §4.3); None for what can't be one, so that nobody's text becomes a command."""
    octets = text.encode("utf-8", "surrogatepass")
    if _PLAIN.match(octets) is None:
        return None
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
