"""How folders are called: `Tickets/New` in the configuration may be `INBOX.Tickets.New` on the server."""

from __future__ import annotations

from dataclasses import dataclass

INBOX = "INBOX"


@dataclass(frozen=True, slots=True)
class Namespace:
    """Of the account's own folders (RFC 2342); `foreign` are the prefixes of other people's and shared ones."""

    prefix: str
    delimiter: str
    """Between the levels of names; "" where there are none."""
    foreign: tuple[str, ...]

    def on_server(self, written: str) -> str:
        """A name that is the server's own already stays as it is."""
        name = written.replace("/", self.delimiter) if self.delimiter else written
        if name.upper() == INBOX:
            return INBOX
        known = tuple(prefix for prefix in (self.prefix, *self.foreign) if prefix)
        return name if not self.prefix or name.startswith(known) else self.prefix + name

    def written(self, on_server: str) -> str:
        """As the configuration has it."""
        if on_server.upper() == INBOX:
            return INBOX
        name = on_server.removeprefix(self.prefix)
        return name.replace(self.delimiter, "/") if self.delimiter else name
