"""What a kept attachment's file is called: the same content under the same name gives the same file, always."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_UNSAFE = re.compile(r"[^\w.\- ()+,@=]")
_STEM_OCTETS, _SUFFIX_OCTETS = 120, 20


def kept_name(name: str, octets: bytes) -> str:
    """A file name without any path: 32 digits of SHA-256 and what is harmless of the name, at most 180 octets."""
    digest = hashlib.sha256(octets).hexdigest()[:32]
    clean = _UNSAFE.sub("_", unicodedata.normalize("NFC", name.encode("utf_8", "replace").decode()))
    stem, dot, suffix = clean.strip(". ").rpartition(".")
    if not dot or len(suffix.encode()) > _SUFFIX_OCTETS:
        stem, dot, suffix = clean.strip(". "), "", ""
    stem = stem.encode()[:_STEM_OCTETS].decode("utf_8", "ignore").strip()
    return f"{digest}-{stem}{dot}{suffix}" if stem or suffix else digest
