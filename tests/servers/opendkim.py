"""opendkim as a verifier of what we signed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def missing() -> str:
    """Why opendkim can't be run here, or ""."""
    return "" if shutil.which("opendkim") else "opendkim is not installed"


def opendkim_says(folder: Path, content: bytes, dns: Mapping[bytes, bytes]) -> str:
    """Its verdict on a message, e.g. `… verification (s=s1, d=example.com, 2048-bit key) succeeded`.

    `dns` holds key records by name. It exits with 0 whatever it finds, so the text is what counts.
    """
    keys = "".join(f"{name.decode().rstrip('.')} {record.decode()}\n" for name, record in dns.items())
    (folder / "dkim-keys").write_text(keys)
    (folder / "opendkim.conf").write_text(f"Mode v\nSyslog no\nTestPublicKeys {folder}/dkim-keys\n")
    (folder / "message").write_bytes(content)
    command = ["opendkim", "-x", str(folder / "opendkim.conf"), "-t", str(folder / "message")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr
