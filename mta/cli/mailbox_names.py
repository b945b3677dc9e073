"""Monitored mailboxes as commands name them, and the process that polls them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from mta.cli.command import CommandFailedError, ExitCode
from mta.config.explain_errors import closest
from mta.config.schema import Configuration, Organisation
from mta.config.tracking_schema import MonitoredMailbox
from mta.control.client import NotRunningError, ask

Mailboxes = Mapping[str, tuple[Organisation, MonitoredMailbox]]
ASK_S = 30.0


def mailboxes_of(configuration: Configuration) -> Mailboxes:
    """By name, in the order of the configuration. Raises CommandFailedError where there are none."""
    found = {
        mailbox.name: (organisation, mailbox)
        for organisation in configuration.every_organisation
        if organisation.tracking is not None
        for mailbox in organisation.tracking.mailboxes
    }
    if not found:
        raise CommandFailedError("no organisation has `tracking` with mailboxes", ExitCode.BAD_CONFIGURATION)
    return found


def chosen(arguments: argparse.Namespace, mailboxes: Mailboxes) -> list[str]:
    """The names that are meant. Raises CommandFailedError."""
    for name in arguments.names:
        require(name, mailboxes)
    if arguments.all == bool(arguments.names):
        raise CommandFailedError("name mailboxes, or say --all", ExitCode.BAD_CONFIGURATION)
    return list(mailboxes) if arguments.all else list(dict.fromkeys(arguments.names))


def require(name: str, mailboxes: Mailboxes) -> None:
    """Raises CommandFailedError where there is none of this name."""
    if name not in mailboxes:
        text = f"no monitored mailbox is called {name!r}; {closest(name, mailboxes)}"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)


def ask_tracking(configuration: Configuration, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the running tracking process answers; None where the relay, or the process, doesn't run.

    Raises CommandFailedError where the relay gives no answer.
    """
    path = configuration.control.socket
    try:
        answer = ask(path, {"do": "ask", "companion": "tracking", "request": request}, timeout_s=ASK_S)
    except NotRunningError:
        return None
    except OSError as exc:
        raise CommandFailedError(f"no answer from the relay on {path}: {exc}") from exc
    if answer.get("ok"):
        return answer
    if answer.get("runs") is False:
        return None
    raise CommandFailedError(str(answer.get("error", "the tracking process gives no answer")))


def relay_runs(configuration: Configuration) -> bool:
    try:
        ask(configuration.control.socket, {"do": "status"}, timeout_s=ASK_S)
    except (NotRunningError, OSError):
        return False
    return True


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def names_text(names: Sequence[str]) -> str:
    return ", ".join(names)
