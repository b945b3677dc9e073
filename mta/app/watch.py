"""Composition root of the process that watches: builds what it looks with, and the ways to tell."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import mta
from mta import events
from mta.adapters.notification.mail import MailChannel
from mta.adapters.store.look import look
from mta.config.delivery_schema import MaildirHop
from mta.config.schema import Configuration
from mta.control.client import NotRunningError, ask
from mta.log_sinks import sinks_from
from mta.model.bypass import Bypass
from mta.ports.clock import SystemClock
from mta.ports.notification import NotificationChannel
from mta.supervise.channel import WorkerChannel
from mta.watch.board import STATE_FILE
from mta.watch.watch import Equipment, Watch
from mta.watch.watchers import CertificateWatcher, DiskWatcher, QueueWatcher, RelayWatcher, WatchedCertificate

STATUS_TIMEOUT_S = 10.0


def equipment_of(configuration: Configuration) -> Equipment:
    """What to look at and whom to tell. Raises OSError or KeyError where a secret or a CA file can't be read."""
    alerts, spool = configuration.alerts, configuration.spool.folder

    def status() -> Mapping[str, Any]:
        try:
            return ask(configuration.control.socket, {"do": "status"}, timeout_s=STATUS_TIMEOUT_S)
        except NotRunningError as exc:
            raise ConnectionError(str(exc)) from exc

    return Equipment(
        watchers=(
            QueueWatcher(partial(look, spool), age=alerts.queue_age, forgotten=alerts.forgotten),
            RelayWatcher(status, stopped_for=alerts.next_hop_stopped, forgotten=alerts.forgotten),
            DiskWatcher((spool, configuration.logs.folder), alerts.disk_free),
            CertificateWatcher(watched_certificates(configuration), alerts.certificates),
        ),
        channels=channels_of(configuration),
        every=alerts.look_every,
        repeat=alerts.repeat,
        state_file=spool / STATE_FILE,
    )


def channels_of(configuration: Configuration) -> tuple[NotificationChannel, ...]:
    """The ways to tell that the configuration names. Raises OSError or KeyError as `equipment_of`."""
    channels: list[NotificationChannel] = []
    mail, webhook = configuration.alerts.mail, configuration.alerts.webhook
    if mail is not None:
        password = mail.password.read().decode() if mail.password is not None else ""
        channels.append(
            MailChannel(
                mail, sender=configuration.postmaster_address, hostname=configuration.hostname, password=password
            )
        )
    if webhook is not None:
        from mta.adapters.notification.webhook import WebhookChannel  # brings an HTTP client, which most don't need

        key = webhook.key.read() if webhook.key is not None else b""
        channels.append(WebhookChannel(webhook, hostname=configuration.hostname, key=key))
    return tuple(channels)


def watched_certificates(configuration: Configuration) -> list[WatchedCertificate]:
    """Ours: those of the listeners, and those that we show to next hops."""
    watched = [
        WatchedCertificate(listener.tls.certificate, f"listener {listener.name}")
        for listener in configuration.listeners
        if listener.tls.certificate is not None and listener.tls.mode != "none"
    ]
    return watched + [
        WatchedCertificate(hop.tls.certificate, f"next hop {hop.name}")
        for hop in configuration.next_hops
        if not isinstance(hop, MaildirHop) and hop.tls.certificate is not None
    ]


class WatchProcess:
    """What the supervisor asks of it is `supervise.Worker`."""

    def __init__(self, channel: WorkerChannel, configuration: Configuration) -> None:
        self._channel = channel
        self._draining = asyncio.Event()
        self._watch = Watch(equipment_of(configuration), SystemClock())

    async def serve(self) -> None:
        """Watch until `drain` is called."""
        watching = asyncio.create_task(self._watch.run())
        watching.add_done_callback(lambda task: self._draining.set())
        await self._channel.ready("")
        await self._draining.wait()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    async def prepare_reload(self) -> str:
        """Nothing is prepared: we have no say in it."""
        return ""

    async def commit_reload(self) -> None:
        """Go by what the relay goes by now."""
        try:
            self._watch.equip(equipment_of(Configuration.model_validate(self._channel.configuration)))
        except (OSError, KeyError) as exc:
            events.internal_error("watch", error=f"not reloaded: {exc}")

    async def set_bypass(self, bypass: Bypass) -> None:
        """Watching goes on."""

    async def wake(self) -> None:
        """The queue was changed: that is not our business."""

    async def drain(self) -> None:
        self._draining.set()

    def report(self) -> Mapping[str, Any]:
        """How many troubles there are."""
        return {"alerts": len(self._watch.board.current)}


async def run_watch(channel_fd: int) -> int:
    """The life of the process; returns its exit code. Raises OSError, KeyError at the start."""
    channel = await WorkerChannel.open(channel_fd)
    configuration = Configuration.model_validate(channel.configuration)
    logs = configuration.logs
    events.configure(sinks_from(logs, "watch"), as_json=logs.format == "json", level=logs.level)
    process = WatchProcess(channel, configuration)
    channel.start(process)
    events.started("watch", version=mta.__version__, snapshot="", pid=os.getpid())
    await process.serve()
    await channel.close()
    return 0
