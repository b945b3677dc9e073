"""Configuration of alerts: who is told, how, and of what."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mta.config.types import Duration, Port, Secret, Size, Strict


class AlertMail(Strict):
    """Sent at once and directly, never through our own queue."""

    to: Annotated[tuple[str, ...], Field(min_length=1)]
    sender: str = ""
    """Empty: the postmaster."""
    host: str
    port: Port = 25
    tls: Literal["none", "opportunistic", "required", "implicit"] = "opportunistic"
    ca_file: Path | None = None
    user: str = ""
    password: Secret | None = None


class Webhook(Strict):
    url: str
    """https, or http on this machine."""
    key: Secret | None = None
    """Signs each request: X-Stampline-Signature: sha256=HMAC of the body, in hexadecimal."""


class Alerts(Strict):
    mail: AlertMail | None = None
    webhook: Webhook | None = None
    queue_age: Duration = timedelta(hours=1)
    """How long the oldest queued mail may wait."""
    next_hop_stopped: Duration = timedelta(minutes=5)
    """How long a next hop may be stopped."""
    forgotten: Duration = timedelta(hours=1)
    """How long a bypass, a drain or a frozen next hop may last."""
    disk_free: Size = 1_000_000_000
    """On the disks of spool and logs."""
    sent_items_age: Duration = timedelta(hours=4)
    """How long a Sent Items job may wait for a mailbox server."""
    mailbox_silent: Duration = timedelta(hours=4)
    """How long a monitored mailbox may go without a good poll, in the hours in which it is polled."""
    task_age: Duration = timedelta(hours=4)
    """How long a task of tracking (a call, a notice, a write-back) may wait."""
    certificates: tuple[Duration, ...] = (timedelta(days=30), timedelta(days=7), timedelta(days=1))
    """Before a certificate of ours expires."""
    look_every: Duration = timedelta(seconds=30)
    """The first time so long after the start."""
    repeat: Duration = timedelta(days=1)
    """How long something is not told of again while it lasts."""
