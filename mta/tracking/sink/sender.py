"""Whom notices may come from: addresses of monitored mailboxes, or allowed ones, and the account's own."""

from __future__ import annotations

from mta.config.outgoing_checks import allowed_senders, key_of
from mta.config.tracking_schema import AccountSettings, TrackingSettings
from mta.message.addresses import addresses, is_doubtful
from mta.message.parse import parse
from mta.model import task_reasons as reasons
from mta.ports.task_errors import RefusedTaskError


def sender_of(message: bytes) -> str:
    """The one address of From. Raises RefusedTaskError where there is none, or are several."""
    parsed = parse(message)
    found = addresses(parsed, "From")
    if len(found) != 1 or is_doubtful(parsed, "From"):
        raise RefusedTaskError(reasons.UNSENDABLE, "From has to be one address")
    return str(found[0].address)


def require_allowed(sender: str, account: AccountSettings, settings: TrackingSettings) -> None:
    """Raises RefusedTaskError where the account may not send from this address."""
    key = key_of(sender)
    if key not in allowed_senders(settings):
        detail = f"{sender} is no monitored mailbox's address, nor one of allowed_senders"
        raise RefusedTaskError(reasons.SENDER_NOT_ALLOWED, detail)
    if key not in map(key_of, account.senders):
        raise RefusedTaskError(reasons.SENDER_NOT_ALLOWED, f"{sender} is none of the senders of {account.name}")
