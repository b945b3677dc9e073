"""The spool and all that is kept in it, as commands open it: beside a running relay or not, and never made by them."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from mta.cli.command import CommandFailedError, bad_configuration
from mta.config.schema import Configuration
from mta.ports.erasure import Erasure
from mta.ports.sentitem_jobs import SentItemJobs
from mta.ports.spool import Spool
from mta.ports.tracking_store import TrackingStore

Result = TypeVar("Result")


def read_configuration(arguments: argparse.Namespace) -> Configuration:
    """The configuration, not its surroundings: an administrator's shell has no secrets in its environment.

    Raises CommandFailedError.
    """
    from mta.config.load import examine_configuration
    from mta.config.problems import ConfigurationError

    try:
        configuration: Configuration = examine_configuration(arguments.config)[0].value
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    return configuration


class Closable(Protocol):
    async def close(self) -> None: ...


Opened = TypeVar("Opened", bound=Closable)


def with_spool(configuration: Configuration, use: Callable[[Spool], Awaitable[Result]]) -> Result:
    """What `use` gives, on the opened spool. Raises CommandFailedError where it can't be opened."""
    from mta.app.spool import open_spool

    return _with(configuration, lambda: open_spool(configuration, slot=None), use)


def with_jobs(configuration: Configuration, use: Callable[[SentItemJobs], Awaitable[Result]]) -> Result:
    """`with_spool` for the jobs of Sent Items."""
    from mta.app.spool import open_sent_item_jobs

    return _with(configuration, lambda: open_sent_item_jobs(configuration, works=False), use)


def with_store(configuration: Configuration, use: Callable[[TrackingStore], Awaitable[Result]]) -> Result:
    """`with_spool` for what tracking keeps."""
    from mta.app.spool import open_tracking_store

    return _with(configuration, lambda: open_tracking_store(configuration, works=False), use)


def with_erasure(configuration: Configuration, use: Callable[[Erasure], Awaitable[Result]]) -> Result:
    """`with_spool` for what erases people from all of it."""
    from mta.app.spool import open_erasure

    return _with(configuration, lambda: open_erasure(configuration), use)


def _with(
    configuration: Configuration, opening: Callable[[], Awaitable[Opened]], use: Callable[[Opened], Awaitable[Result]]
) -> Result:
    from mta.adapters.store.errors import StoreError
    from mta.model.reply import MailError

    check_access(configuration.spool.folder)

    async def run() -> Result:
        opened = await opening()
        try:
            return await use(opened)
        finally:
            await opened.close()

    try:
        return asyncio.run(run())
    except (StoreError, OSError) as exc:
        raise CommandFailedError(str(exc)) from exc
    except MailError as exc:
        raise CommandFailedError(
            f"the store refused ({exc}): it is busy, full or damaged, see the relay's log"
        ) from exc


def check_access(folder: Path) -> None:
    """Raises CommandFailedError where there is no spool, or this user may not use it.

    Made here it would belong to whoever gave the command, and the service could not use it.
    """
    try:
        folder.stat()
    except FileNotFoundError as exc:
        text = f"there is no spool at {folder}; the relay makes it when it starts"
        raise CommandFailedError(text) from exc
    except PermissionError:
        pass
    except OSError as exc:
        raise CommandFailedError(f"the spool {folder} can't be used: {exc.strerror}") from exc
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        text = f"{who(None)} may not use the spool {folder}: run this as root, or as the service's user with sudo -u"
        raise CommandFailedError(text)


def become_the_service(folder: Path) -> None:
    """Go on as the user that the spool belongs to, where root gave the command: for what reads mailboxes.

    So the command can read what the service can, and nothing that it makes is out of the service's reach. Before the
    service has made its spool nobody knows which user that is.
    """
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = folder.stat()
    if owner.st_uid == 0:
        return
    try:
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:  # a user without a name
        os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def who(environment: str | None = "SUDO_USER") -> str:
    """Who gives the command; behind sudo, the one who called it."""
    given = os.environ.get(environment) if environment else None
    if given:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.geteuid())


def log_as_relay(configuration: Configuration) -> None:
    """From here on this process's events go to the relay's log files, and nowhere else."""
    from mta import events
    from mta.log_sinks import sinks_from

    logs = configuration.logs.model_copy(update={"also": ()})
    events.configure(sinks_from(logs, "relay"), as_json=logs.format == "json", level=logs.level)


def wake(configuration: Configuration) -> None:
    """Have a running relay look at the queue at once; one that doesn't run looks when it starts."""
    from mta.control.client import NotRunningError, ask

    try:
        ask(configuration.control.socket, {"do": "wake"}, timeout_s=10)
    except NotRunningError:
        print("the relay does not run; it will look at the queue when it starts", file=sys.stderr)
    except OSError as exc:
        raise CommandFailedError(f"done, but the relay was not reached; it will look by itself soon: {exc}") from exc
