"""libmagic, the library behind file(1): types of binary files that our own signatures don't know.

It is asked about binary content only, with its checks of text off: these take quadratic time for what is made to be
slow (a quarter of a second for 8 kB of line feeds).
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache

OCTETS_MAX = 4096
_MIME_TYPE = 0x10
_NO_CHECKS = 0x200000 | 0x020000 | 0x100000 | 0x001000 | 0x040000 | 0x010000 | 0x080000 | 0x400000
"""Of encodings, text, tokens, compressed content, compound files, ELF details, CSV and JSON."""


_WEAK = frozenset({
    "application/octet-stream", "image/x-tga", "application/x-dosexec", "application/x-compress-ttcomp",
    "font/x-amiga-font", "text/pgp", "image/g3fax", "application/x-crypt-nc", "audio/x-syx",
})  # fmt: skip
"""What it says of random octets, too: it knows these by one or two of them."""


class LibmagicMissingError(Exception):
    """The library or its database is not installed."""


class _Libmagic:
    """One cookie of the library; it serves one call at a time."""

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL("libmagic.so.1")
        except OSError as exc:
            raise LibmagicMissingError("libmagic.so.1 is not installed") from exc
        library.magic_open.restype = ctypes.c_void_p
        library.magic_open.argtypes = [ctypes.c_int]
        library.magic_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.magic_buffer.restype = ctypes.c_char_p
        library.magic_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        self._library = library
        self._cookie = library.magic_open(_MIME_TYPE | _NO_CHECKS)
        self._lock = threading.Lock()
        if not self._cookie or library.magic_load(self._cookie, None) != 0:
            raise LibmagicMissingError("libmagic's database is not installed")

    def media_type(self, octets: bytes) -> str:
        with self._lock:
            found: bytes | None = self._library.magic_buffer(self._cookie, octets, len(octets))
        return found.decode("ascii", "replace").lower() if found else ""


@cache
def _loaded() -> _Libmagic | LibmagicMissingError:
    """Once a process, and only where something asks."""
    try:
        return _Libmagic()
    except LibmagicMissingError as exc:
        return exc


def require() -> None:
    """Load the library. Raises LibmagicMissingError."""
    if isinstance(loaded := _loaded(), LibmagicMissingError):
        raise loaded


def by_libmagic(head: bytes) -> str:
    """The type of binary content by its first octets; "" where the library doesn't know it, or isn't installed."""
    loaded = _loaded()
    if isinstance(loaded, LibmagicMissingError):
        return ""
    found = loaded.media_type(head[:OCTETS_MAX])
    return found if "/" in found and not found.startswith("inode/") and found not in _WEAK else ""
