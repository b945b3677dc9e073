"""Whether settings are still the same, with the files that they name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel


def digest_of(settings: BaseModel) -> str:
    """Another one after any change of the settings, or of a file that they name; tells nothing of a secret."""
    digest = hashlib.sha256(settings.model_dump_json().encode())
    for path in sorted(_files(settings)):
        try:
            digest.update(f"{path} {path.stat().st_mtime_ns}".encode())
        except OSError:
            digest.update(f"{path} missing".encode())
    return digest.hexdigest()[:16]


def _files(settings: BaseModel) -> Iterator[Path]:
    """Secrets, keys and certificates; what has a placeholder in its name is no file."""
    for _, value in settings:
        if isinstance(value, BaseModel):
            yield from _files(value)
        elif isinstance(value, Path) and "{" not in str(value):
            yield value
