"""Body files of a database that was set aside."""

from __future__ import annotations

from pathlib import Path

from mta.adapters.store.bodies import Bodies, sync_folder


def bring_body(path: Path, source: Path) -> None:
    """A second name for the file, which is durable already; a copy where it lies on another disk. Raises OSError."""
    if path.exists():
        return
    try:
        path.hardlink_to(source)
    except OSError:
        Bodies(path.parent.parent, "admin:recover").write(path, source.read_bytes())
        return
    sync_folder(path.parent)
