"""The shared message corpus: found by STAMPLINE_SHARED, or in `../shared` beside the checkout."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_LINE_END = re.compile(rb"\r*\n|\r")


@dataclass(frozen=True, slots=True)
class CorpusMessage:
    """`data` has CRLF line ends, as SMTP would carry it; `raw` is the file as it stands."""

    path: str
    data: bytes
    raw: bytes
    manifest: dict[str, Any]


def shared_folder() -> Path:
    """The folder; without it the test is skipped, or fails where CI is set."""
    folder = Path(os.environ.get("STAMPLINE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not folder.is_dir():
        reason = f"no shared folder at {folder}; set STAMPLINE_SHARED"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


def as_smtp(raw: bytes) -> bytes:
    """Bring LF, CR and mixed line ends to CRLF, the last line's too; `\\r\\r\\n` is one line end."""
    data = _LINE_END.sub(b"\r\n", raw)
    return data if data.endswith(b"\r\n") or not data else data + b"\r\n"


def corpus() -> list[CorpusMessage]:
    """Every message of the corpus, in the order of the manifest."""
    return _read_corpus(shared_folder() / "corpus")


@cache
def _read_corpus(folder: Path) -> list[CorpusMessage]:
    messages = []
    with (folder / "manifest.jsonl").open(encoding="utf-8") as manifest:
        for line in manifest:
            entry = json.loads(line)
            raw = (folder / entry["path"]).read_bytes()
            messages.append(CorpusMessage(entry["path"], as_smtp(raw), raw, entry))
    return messages
