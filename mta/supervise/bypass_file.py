"""The bypass switch on disk, in the spool's folder: a restart in the midst of trouble must not switch it off."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mta.model.bypass import Bypass
from mta.supervise.channel import bypass_from_json, bypass_to_json

FILE_NAME = "bypass.json"


def read_bypass(folder: Path) -> Bypass:
    """The switch as it was left; off where there is no file or none that makes sense."""
    try:
        return bypass_from_json(json.loads((folder / FILE_NAME).read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return Bypass()


def write_bypass(folder: Path, bypass: Bypass) -> None:
    """Keep the switch, synced to disk: the new state or the old one survives a crash, never half of one.

    Raises OSError.
    """
    path = folder / FILE_NAME
    fresh = path.with_suffix(".new")
    with open(fresh, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(bypass_to_json(bypass), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
