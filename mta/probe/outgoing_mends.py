"""What an administrator can do about an outgoing account that doesn't work, by the error's reason."""

from __future__ import annotations

from mta.model import task_reasons as reasons
from mta.ports.task_errors import TaskError

_MENDS = {
    reasons.UNREACHABLE: "see host, port and the firewall",
    reasons.TIMEOUT: "see host, port and the firewall",
    reasons.TLS_FAILED: "name its authority as tls.ca_file, or correct host or tls.mode",
    reasons.SIGN_IN: "correct user, password or oauth; Microsoft 365: the application needs Mail.Send for this mailbox",
    reasons.REFUSED: "see why the server doesn't take mail from this sender, or for this recipient",
    reasons.BAD_ANSWER: "see that host and port are those of a mail server, and tls.mode is what it expects there",
}


def mend_of(error: TaskError) -> str:
    """ "" where nothing is known."""
    return _MENDS.get(error.reason, "")


def told(error: TaskError) -> str:
    """What happened, and what that means."""
    return f"{error.detail or error.reason} ({reasons.explained(error.reason) or error.reason})"
