"""Where messages go that can't be processed, of servers that have no folders: into a Maildir of our own."""

from __future__ import annotations

import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from mta.adapters.mailbox.maildir.directories import Directory
from mta.adapters.mailbox.maildir.failures import failure
from mta.adapters.mailbox.maildir.names import HOST

_PLACES = ("tmp", "new", "cur")


def set_aside(folder: Path, key: str, pieces: Iterable[bytes]) -> None:
    """On disk when this returns: synced, then renamed. `key` names the message on its server: one that is kept already
    is not kept again, however often its server gives it to us. Raises MailboxError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Directory.at(folder, ()) as root:
            for place in _PLACES:
                with root.folder(place, make=True):
                    pass
            with root.folder("tmp") as tmp, root.folder("new") as new, root.folder("cur") as cur:
                mark = f".U{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}."
                if any(mark in name for name in (*new.names(), *cur.names())):
                    return
                name = f"{int(time.time())}{mark}{HOST}"
                tmp.write(name, pieces, None)
                tmp.rename(name, new, name)
                new.sync()
    except OSError as exc:
        raise failure(exc) from exc
