"""Mailbox servers as commands name them."""

from __future__ import annotations

import sys

from mta.cli.command import CommandFailedError, ExitCode, printable
from mta.config.explain_errors import closest
from mta.config.schema import Configuration


def require_mailbox_server(configuration: Configuration, name: str = "") -> None:
    """Raises CommandFailedError where there is no mailbox server, or none of this name."""
    names = {server.name for _, server in configuration.mailbox_servers}
    if not names:
        raise CommandFailedError("no organisation has `sent_items` or `write_back`", ExitCode.BAD_CONFIGURATION)
    if name and name not in names:
        text = f"no mailbox server is called {name!r}; {closest(name, names)}"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)


def tell_of_unknown_server(configuration: Configuration, name: str, *, matched: int) -> None:
    """Where nothing matches a server that is in no configuration: it may be a typing error."""
    known = {server.name for _, server in configuration.mailbox_servers}
    if name and not matched and name not in known:
        names = ", ".join(sorted(known)) or "none"
        print(printable(f"there is no mailbox server {name}; the configuration has {names}"), file=sys.stderr)
