"""What a DSN says of a recipient (RFC 3464), and whether the sender is told it at all (RFC 3461, RFC 5321 §6.1).

The rule above all others: nobody gets a report about mail that somebody else sent in their name. So nothing goes to the
null reverse-path, nor by a message that failed authentication; and what is no failure, and our own rules' refusals, are
told only to those who are known to have sent the message, or have proved it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from mta.message.authentication_results import failed_authentication, proved_reverse_path
from mta.model.address import Address
from mta.model.delivery import AcceptedMessage
from mta.model.envelope import NOTHING_ASKED, DsnRequest, Notify
from mta.model.reply import Reply


class Action(Enum):
    """RFC 3464 §2.3.3. `expanded` is not among them: what rules add or redirect is not the sender's business."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"
    """Handed on to a server that sends no reports of success."""
    DELIVERED = "delivered"
    """Put into a mailbox by ourselves."""


class Cause(Enum):
    """Why a recipient was given up."""

    REFUSED = "refused"
    """The next hop's, or our own, permanent reply."""
    EXPIRED = "expired"
    HELD = "held"
    """Held back for review until the hold ran out."""
    POLICY = "policy"
    """A rule said `reject`."""
    DELETED = "deleted"
    """An administrator took it out of the queue."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is said of one recipient."""

    address: Address
    action: Action
    status: str
    """Enhanced status code for the DSN's Status field."""
    reply: Reply
    cause: Cause = Cause.REFUSED
    """Of a failure."""
    remote: str = ""
    """Remote MTA as name[ip]:port, "" if none was reached."""
    remote_reply: str = ""
    asked: DsnRequest = NOTHING_ASKED
    """What the sender asked for in RCPT."""
    retry_until: datetime | None = None
    """Of a delay: when it is given up."""
    for_postmaster: bool = False
    """The sender must not learn of this recipient: a rule added them."""


_ASKED_BY = {
    Action.FAILED: Notify.FAILURE,
    Action.DELAYED: Notify.DELAY,
    Action.RELAYED: Notify.SUCCESS,
    Action.DELIVERED: Notify.SUCCESS,
}


def is_told(message: AcceptedMessage, report: Report, accepted_domains: Collection[str]) -> bool:
    """Whether the sender gets this report. `accepted_domains` are domain keys.

    Failures are told unless the sender wants none, as RFC 5321 §6.1 demands of who has answered 250. Delays are told
    when asked for, and without being asked to our own people; successes when asked for.
    """
    reverse_path, notify = message.envelope.reverse_path, report.asked.notify
    if reverse_path is None or (notify is not None and _ASKED_BY[report.action] not in notify):
        return False
    is_ours = reverse_path.domain_key in accepted_domains
    if report.action is Action.FAILED:
        if report.cause is Cause.POLICY:
            return _is_trusted(message) and is_ours
        if report.cause is Cause.HELD:  # our own doing, too, and what is held back is often in somebody else's name
            return is_of_its_sender(message)
        return _is_known(message) or not failed_authentication(message.trace, reverse_path.domain_key)
    if notify is None:
        return report.action is Action.DELAYED and _is_known(message) and is_ours
    return is_of_its_sender(message)


def is_of_its_sender(message: AcceptedMessage) -> bool:
    """Whether it is known, or proved, that who stands in the reverse-path has sent it."""
    reverse_path = message.envelope.reverse_path
    if reverse_path is None:
        return False
    return _is_known(message) or proved_reverse_path(message.trace, reverse_path.domain_key)


def is_suspicious(message: AcceptedMessage) -> bool:
    """Whether somebody may have sent it in another's name, so that nobody behind us should send reports either."""
    reverse_path = message.envelope.reverse_path
    if message.client is None or reverse_path is None or _is_known(message):
        return False
    return failed_authentication(message.trace, reverse_path.domain_key)


def _is_trusted(message: AcceptedMessage) -> bool:
    return message.client is not None and message.client.is_trusted


def _is_known(message: AcceptedMessage) -> bool:
    """Whether the client is one of ours, by its listener or by what it proved."""
    client = message.client
    return client is not None and (client.is_trusted or bool(client.authenticated_as))
