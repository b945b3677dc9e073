"""How folders below a mailbox are called: `Tickets/New` in the configuration is `.Tickets.New` on disk (Maildir++).

Names that aren't ASCII are written in modified UTF-7 (RFC 3501 §5.1.3), as IMAP servers do that keep Maildirs; a folder
that others have made in UTF-8 is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from mta.ports.mailbox import RefusedError

INBOX = "INBOX"
"""The mailbox itself, beside ""."""


def directory_names(name: str) -> Sequence[str]:
    """The names that the folder's directory may have, the one that we give first; none for the mailbox itself.

    Raises RefusedError for what can't be a folder's name.
    """
    parts = [part for part in name.strip("/").lstrip(".").replace(".", "/").split("/") if part]
    if name == "" or "/".join(parts).upper() == INBOX:
        return ()
    plain = "." + ".".join(parts)
    if not parts or not plain.isprintable() or len(plain.encode("utf-8", "surrogatepass")) > 200:
        raise RefusedError("no-name", "this can't be the name of a folder")
    encoded = "." + ".".join(map(_encoded, parts))
    return (encoded,) if encoded == plain else (encoded, plain)


def written_name(directory: str) -> str:
    """A folder's name as the configuration has it, from its directory's; "" for one that nobody could write."""
    name = "/".join(map(_decoded, directory[1:].split(".")))
    return name if name.isprintable() else ""


def _encoded(part: str) -> str:
    if part.isascii() and "&" not in part:
        return part
    from imapclient import imap_utf7  # only where it is needed: it loads all of IMAP

    return bytes(imap_utf7.encode(part)).decode("ascii")


def _decoded(part: str) -> str:
    if "&" not in part:
        return part
    from imapclient import imap_utf7

    try:
        return str(imap_utf7.decode(part.encode("ascii")))
    except (ValueError, UnicodeError):
        return part
