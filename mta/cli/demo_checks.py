"""What arrived in the demonstration's Maildirs, and whether it is what should have arrived."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from mta.cli.demo_messages import QUOTED, DemoMessage

TRACE_FIELDS = frozenset((b"received", b"return-path", b"delivered-to", b"dkim-signature", b"x-stampline-processed"))
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
_FIELD = re.compile(rb"([!-9;-~]+):[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*")


@dataclass(frozen=True, slots=True)
class Copy:
    """What one recipient got of one message."""

    message: DemoMessage
    recipient: str
    path: Path
    content: bytes


@dataclass(frozen=True, slots=True)
class Treatment:
    """What the log says about a recipient's copy: its group, the rules that applied, their actions, the direction."""

    group: int
    rules: tuple[str, ...]
    actions: tuple[str, ...]
    direction: str
    withheld: str = ""
    """Why a rule's actions were left out, e.g. because the message is signed."""


def read_events(folder: Path) -> list[dict[str, str]]:
    """All events of the log folder, in logfmt or JSON, values as text."""
    events = []
    for path in sorted(folder.glob("*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("{"):
                events.append({key: str(value) for key, value in json.loads(line).items()})
            else:
                events.append({key: _unquoted(value) for key, value in _PAIR.findall(line)})
    return events


def _unquoted(value: str) -> str:
    return str(json.loads(value)) if value.startswith('"') else value


def treatments(events: Sequence[Mapping[str, str]], queue_id: str) -> dict[str, Treatment]:
    """By recipient, for one message."""
    ours = [event for event in events if event.get("queue_id") == queue_id]
    withheld = {
        recipient: event["reason"]
        for event in ours
        if event["action"] == "withheld"
        for recipient in event["recipients"].split(",")
    }
    found = {}
    for event in ours:
        if event["action"] == "decided":
            rules, actions = (tuple(filter(None, event.get(key, "").split(","))) for key in ("rules", "actions"))
            for recipient in event["recipients"].split(","):
                reason = withheld.get(recipient, "")
                found[recipient] = Treatment(int(event["group"]), rules, actions, event["direction"], reason)
    return found


def find_copies(folder: Path, message: DemoMessage) -> dict[str, list[Copy]]:
    """The copies of a message by recipient. `folder` is a Maildir, `{domain}` and `{local}` in it the recipient's."""
    found: dict[str, list[Copy]] = {}
    wanted = b"\nmessage-id: " + message.message_id.encode().lower()
    for recipient in message.envelope_recipients:
        local, _, domain = recipient.partition("@")
        maildir = Path(str(folder).replace("{domain}", domain).replace("{local}", local))
        for path in sorted(maildir.glob("new/*")):
            content = path.read_bytes()
            if wanted in content.lower():
                found.setdefault(recipient, []).append(Copy(message, recipient, path, content))
    return found


def _texts(content: bytes) -> Iterator[tuple[str, str]]:
    """Content type and text of each displayed alternative."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        if part.get_content_maintype() == "text" and not part.is_attachment():
            yield part.get_content_type(), part.get_content()


def _attachments(content: bytes) -> list[bytes]:
    message = message_from_bytes(content, policy=policy.default)
    return [
        bytes(part.get_payload(decode=True) or b"")
        for part in message.walk()
        if part.get_content_maintype() in ("image", "application") and part.get_content_disposition() is not None
    ]


def _as_sent(copy: Copy) -> bool:
    """Whether there is nothing but trace fields above the bytes that were sent."""
    sent = copy.message.content
    if not copy.content.endswith(sent):
        return False
    trace = copy.content[: len(copy.content) - len(sent)]
    fields = list(_FIELD.finditer(trace))
    return b"".join(field[0] for field in fields) == trace and {f[1].lower() for f in fields} <= TRACE_FIELDS


def stamp_faults(copy: Copy, signature: str) -> Iterator[str]:
    """What is wrong with the stamp: once in each text, above what is quoted, all attachments as they were."""
    for content_type, text in _texts(copy.content):
        count = text.count(signature)
        if count != 1:
            yield f"{count} signatures in {content_type}"
        elif QUOTED in text and text.index(signature) > text.index(QUOTED):
            yield f"the signature is under the quoted text in {content_type}"
    kept = iter(_attachments(copy.content))
    if not all(attachment in kept for attachment in _attachments(copy.message.content)):
        yield "an attachment or picture is not what was sent"


def _without_delivered_to(header: bytes) -> bytes:
    """Final delivery into a Maildir notes whose it is; only the recipient sees that."""
    return re.sub(rb"(?im)^delivered-to:[^\r\n]*\r?\n", b"", header)


def faults(copy: Copy, treatment: Treatment, *, signature: str, signed_by: str) -> list[str]:
    """Everything that is wrong with one copy; `signature` is a text that only the sender's stamp has."""
    found = []
    header = _without_delivered_to(copy.content.partition(b"\r\n\r\n")[0])
    found += [f"a header tells of {hidden}" for hidden in copy.message.hidden if hidden.encode() in header]
    if treatment.direction == "outbound" and not re.search(
        rb"^DKIM-Signature:[^:]*\bd=" + signed_by.encode(), header, re.MULTILINE
    ):
        found.append("no DKIM signature")
    if b"multipart/signed" in copy.message.content:
        found += [] if _as_sent(copy) else ["a signed message was changed"]
    elif copy.message.from_outside:
        found += [] if b"\nSubject: [External] " in header else ["not marked as external"]
    elif any(action.startswith("stamp") for action in treatment.actions):
        found += stamp_faults(copy, signature)
    elif not treatment.actions and not _as_sent(copy):
        found.append("changed without a rule")
    return found
