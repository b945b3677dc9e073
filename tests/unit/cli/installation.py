"""A configuration in a temporary folder, as small as `check` and `explain` allow, or the demonstration's own."""

from __future__ import annotations

import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ROOT = Path(__file__).parents[3]
_KEY = generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


def demonstration(folder: Path) -> Path:
    """The demonstration's files with keys of their own; returns the configuration's path."""
    for name in ("conf", "rules", "templates"):
        shutil.copytree(ROOT / name, folder / name)
    secrets = folder / "var" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "dkim-example.com.pem").write_bytes(_KEY)
    (secrets / "mark.key").write_text("0123456789abcdef" * 4 + "\n")
    (secrets / "tracking.key").write_text("0123456789abcdef" * 4 + "\n")
    return folder / "conf" / "demo.yaml"
