"""`stampline mailbox test`: what a poll does, step by step, and whether mail arrives there."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from mta.app.tracking import reader_of
from mta.cli.command import CommandFailedError, ExitCode, print_json
from mta.cli.mailbox_names import ask_tracking, counted, mailboxes_of, require
from mta.cli.outgoing_trial import opened, send, trial_message
from mta.cli.queue_spool import become_the_service, read_configuration
from mta.cli.steps import Say, Step, show
from mta.config.explain_errors import closest
from mta.config.schema import Configuration
from mta.config.tracking_schema import MonitoredMailbox, OutgoingAccount, TrackingSettings
from mta.ports import mailbox as port
from mta.ports.mailbox import MailboxError
from mta.ports.mailbox_reader import MailboxReader
from mta.ports.outgoing import OutgoingMail
from mta.tracking.monitor.mends import mend_of, not_opened

LISTED = 20_000
LOOK_EVERY_S = 1.0
WAIT_FOR_POLL_S = 60.0
TEST_OCTETS_MAX = 1_000_000
"""A larger message isn't ours."""


class _BrokenOffError(Exception):
    """A step failed, and the next ones can't be tried."""


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    mailboxes = mailboxes_of(configuration)
    require(arguments.name, mailboxes)
    organisation, settings = mailboxes[arguments.name]
    assert organisation.tracking is not None
    account = None if arguments.no_mail else _account(organisation.tracking, settings, arguments.account)
    steps: list[Step] = []

    def say(step: Step) -> None:
        steps.append(step)
        if not arguments.json:
            show(step)

    trial = _Trial(configuration, settings, say)
    become_the_service(configuration.spool.folder)
    try:
        if not _is_ours(configuration, arguments.name, arguments.timeout + 60):
            raise CommandFailedError(f"{arguments.name} is being polled; pause it, or try later")
        asyncio.run(trial.run(account, arguments.timeout, with_mail=not arguments.no_mail))
    except _BrokenOffError:
        pass
    finally:
        _hold(configuration, arguments.name, 0.0)
    is_good = all(step.is_good is not False for step in steps)
    if arguments.json:
        print_json({"ok": is_good, "steps": [asdict(step) for step in steps]})
    return ExitCode.OK if is_good else ExitCode.FAILED


def _hold(configuration: Configuration, name: str, for_s: float) -> bool:
    """Nobody is to poll the mailbox meanwhile: our test message would be taken for somebody's.

    Whether no poll is in hand.
    """
    answer = ask_tracking(configuration, {"do": "hold", "name": name, "for_s": for_s})
    return answer is None or bool(answer["is_free"])


def _is_ours(configuration: Configuration, name: str, for_s: float) -> bool:
    """Wait for a poll in hand; False where it takes too long."""
    give_up_at_s = time.monotonic() + WAIT_FOR_POLL_S
    while not _hold(configuration, name, for_s):
        if time.monotonic() > give_up_at_s:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _account(settings: TrackingSettings, mailbox: MonitoredMailbox, name: str) -> OutgoingAccount | None:
    """Raises CommandFailedError."""
    accounts = {account.name: account for account in settings.accounts}
    if name and name not in accounts:
        text = f"no outgoing account is called {name!r}; {closest(name, accounts) if accounts else 'there are none'}"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    if name:
        return accounts[name]
    own = [each for each in settings.accounts if mailbox.address.lower() in map(str.lower, each.senders)]
    return next(iter([*own, *settings.accounts]), None)


class _Trial:
    """One mailbox."""

    def __init__(self, configuration: Configuration, settings: MonitoredMailbox, say: Say) -> None:
        self._configuration = configuration
        self._settings = settings
        self._say = say

    async def run(self, account: OutgoingAccount | None, timeout_s: float, *, with_mail: bool) -> None:
        reader = await self._opened()
        try:
            await self._sign_in(reader)
            before = await self._try("list", self._list(reader))
            await self._try("folders", self._folders(reader))
            await reader.end_session(purge=False)
            if not with_mail:
                self._say(Step("test message", None, "not sent (--no-mail)"))
            elif account is None:
                self._say(Step("test message", None, "not sent: there is no outgoing account (`accounts`)"))
            else:
                token = secrets.token_hex(16)
                await self._send(account, token)
                await self._arrival(reader, token, before, timeout_s)
        finally:
            await reader.close()

    async def _opened(self) -> MailboxReader:
        try:
            return await asyncio.to_thread(reader_of, self._configuration.spool.folder, self._settings)
        except (OSError, KeyError) as exc:
            error = not_opened(exc)
            self._say(Step("secrets and files", False, error.detail, mend_of(error, self._settings)))
            raise _BrokenOffError from exc

    async def _sign_in(self, reader: MailboxReader) -> None:
        """Connecting, signing in and opening the folder are one call: what fails tells how far it came."""
        try:
            server = await reader.sign_in()
        except MailboxError as error:
            for step in self._until(error):
                self._say(step)
            raise _BrokenOffError from error
        for what in self._parts():
            self._say(Step(what, True, server if what == self._parts()[0] else ""))

    def _parts(self) -> tuple[str, ...]:
        if self._settings.kind == "maildir":
            return ("folder found",)
        return ("connect and TLS", "sign in", "folder found")

    def _until(self, error: MailboxError) -> Iterator[Step]:
        parts = self._parts()
        failed = 0
        if isinstance(error, port.SignInError):
            failed = 1
        elif isinstance(error, port.AccessDeniedError | port.NoMailboxError | port.MailboxUnavailableError):
            failed = 2
        failed = min(failed, len(parts) - 1)
        yield from (Step(part, True) for part in parts[:failed])
        yield Step(parts[failed], False, str(error), mend_of(error, self._settings))

    async def _try(self, what: str, call: Any) -> Any:
        try:
            return await call
        except MailboxError as error:
            self._say(Step(what, False, str(error), mend_of(error, self._settings)))
            raise _BrokenOffError from error

    async def _list(self, reader: MailboxReader) -> frozenset[str]:
        waiting = await reader.waiting(LISTED)
        number = counted(len(waiting), "message") if len(waiting) < LISTED else f"{LISTED} messages or more"
        self._say(Step("list", True, f"{number} waiting"))
        return frozenset(each.ref for each in waiting)

    async def _folders(self, reader: MailboxReader) -> None:
        if self._settings.kind == "pop3":
            self._say(Step("folders", True, "POP3 has none: what was processed is deleted"))
            return
        there = {folder.lower() for folder in await reader.folders()}
        after = self._settings.after
        wanted = [after.folder] if after.do == "move" else []
        for folder in (*wanted, after.set_aside):
            text = "there" if folder.lower() in there else "is made when it is needed"
            self._say(Step(f"folder {folder}", True, text))

    # --- the test message ---------------------------------------------------------------------------------------------

    async def _send(self, settings: OutgoingAccount, token: str) -> None:
        address = self._settings.address
        own = [each for each in settings.senders if each.lower() == address.lower()]
        mail = OutgoingMail(
            (own or settings.senders)[0], (address,), self._message((own or settings.senders)[0], token)
        )
        account = await opened(settings, self._configuration.hostname, self._say)
        if account is None:
            raise _BrokenOffError
        try:
            is_sent = await send(account, mail, f"send a test message by account {settings.name}", self._say)
        finally:
            await account.close()
        if not is_sent:
            raise _BrokenOffError

    def _message(self, sender: str, token: str) -> bytes:
        text = f"`stampline mailbox test {self._settings.name}` sent this message, and removes it when it arrives."
        subject = f"Stampline test message {token}"
        return trial_message(sender, self._settings.address, subject, text, self._configuration.hostname)

    async def _arrival(self, reader: MailboxReader, token: str, before: frozenset[str], timeout_s: float) -> None:
        began_s = asyncio.get_running_loop().time()
        seen = set(before)
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._try("arrival", self._removed(reader, token, seen)):
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            text = f"not within {timeout_s:.0f} s"
            mend = "see the account's server, and where it delivers this address"
            folder = getattr(self._settings, "folder", "")
            if folder and folder.lower() != "inbox":
                mend += f"; whether a rule of the mailbox moves its mail to {folder}"
            self._say(Step("arrival", False, text, mend))
            raise _BrokenOffError from None
        took_s = asyncio.get_running_loop().time() - began_s
        self._say(Step("arrival", True, f"within {took_s:.0f} s, and removed again"))

    async def _removed(self, reader: MailboxReader, token: str, seen: set[str]) -> bool:
        """Look once, in a session of its own: some servers show what is new only to those who come anew."""
        await reader.sign_in()
        found = False
        for waiting in await reader.waiting(LISTED):
            if waiting.ref in seen:
                continue
            seen.add(waiting.ref)
            try:
                data = await reader.fetch(waiting.ref, TEST_OCTETS_MAX)
            except (port.RefusedError, port.ItemGoneError):
                continue
            if token.encode() in data[:65_536]:
                await reader.delete(waiting.ref)
                found = True
        await reader.end_session(purge=True)
        return found
