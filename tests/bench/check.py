"""Whether what arrived is whole and signed: a message counts only then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import dkim

from tests.bench.measure import Workload
from tests.bench.shared_tools import load_tool

STAMP = "Registered in England and Wales 01234567"


def _parts(content: bytes) -> list[EmailMessage]:
    message = message_from_bytes(content, policy=policy.default)
    return [part for part in message.walk() if not part.is_multipart()]


def _original(workload: Workload, arrived: bytes) -> bytes:
    """The message as it was sent; its number is the seed that made it."""
    match = re.search(rb"^Subject: Quarterly report (\d+)\r$", arrived, re.MULTILINE)
    assert match is not None
    head, tail = load_tool("smtp_load").build_message(
        workload.kind, 10240, 50_000, 2, 15_000, "sender@example.com", ["rcpt@example.net"], int(match[1])
    )
    return bytes(head + tail)


def _words(part: EmailMessage) -> list[str]:
    """Of text and tags; a stamp may stand right behind a tag."""
    text: str = part.get_content()
    return re.sub(r"(<[^>]*>)", r" \1 ", text).split()


def fault(workload: Workload, arrived: bytes, dns: Mapping[bytes, bytes] | None) -> str:
    """What is wrong with a message that arrived, or "". `dns` None: it need be neither stamped nor signed."""
    original, copy = _parts(_original(workload, arrived)), _parts(arrived)
    if [part.get_content_type() for part in original] != [part.get_content_type() for part in copy]:
        return f"other parts: {[part.get_content_type() for part in copy]}"
    for before, after in zip(original, copy, strict=True):
        if after.get_content_maintype() != "text":
            if before.get_payload() != after.get_payload():
                return f"{after.get_filename()} is not what was sent"
            continue
        words, text = iter(_words(after)), str(after.get_content())
        if not all(word in words for word in _words(before)):
            return f"{after.get_content_type()} lost text"
        if dns is not None and text.count(STAMP) != 1:
            return f"{text.count(STAMP)} stamps in {after.get_content_type()}"
    if dns is not None and not dkim.verify(arrived, dnsfunc=lambda name, timeout=5: dns.get(name)):
        return "no valid DKIM signature"
    return ""


def check_samples(workload: Workload, folder: Path, dns: Mapping[bytes, bytes] | None) -> int:
    """Check every message in the folder; return how many there were, and empty it. Raises RuntimeError for a fault."""
    paths = sorted(folder.glob("*.eml"))
    for path in paths:
        problem = fault(workload, path.read_bytes(), dns)
        if problem:
            raise RuntimeError(f"{workload.name}: {path} is faulty: {problem}")
        path.unlink()
    return len(paths)
