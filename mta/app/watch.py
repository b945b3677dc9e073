"""Composition root of the process that watches: builds what it looks with, and the ways to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from mta.adapters.notification.mail import MailChannel
from mta.adapters.store.look import look, look_at_mailboxes, look_at_sent_items, look_at_tasks
from mta.app.companion import NO_SUCH_REQUEST, run_companion
from mta.config.delivery_schema import MaildirHop
from mta.config.mailbox_schema import MaildirMailboxes, OAuth
from mta.config.schema import Configuration
from mta.control.client import NotRunningError, ask
from mta.ports.clock import SystemClock
from mta.ports.notification import NotificationChannel
from mta.watch.board import STATE_FILE
from mta.watch.mailbox_watcher import MailboxWatcher
from mta.watch.sentitems_watcher import SentItemsWatcher
from mta.watch.task_watcher import TaskWatcher
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

    sent_items = SentItemsWatcher(
        partial(look_at_sent_items, spool), age=alerts.sent_items_age, forgotten=alerts.forgotten
    )  # fmt: skip
    mailboxes = [
        mailbox
        for organisation in configuration.every_organisation
        if organisation.tracking is not None
        for mailbox in organisation.tracking.mailboxes
    ]
    monitored = MailboxWatcher(
        partial(look_at_mailboxes, spool), mailboxes, age=alerts.mailbox_silent, forgotten=alerts.forgotten
    )  # fmt: skip
    is_tracked = any(organisation.tracking is not None for organisation in configuration.every_organisation)
    return Equipment(
        watchers=(
            QueueWatcher(partial(look, spool), age=alerts.queue_age, forgotten=alerts.forgotten),
            RelayWatcher(status, stopped_for=alerts.next_hop_stopped, forgotten=alerts.forgotten),
            DiskWatcher((spool, configuration.logs.folder), alerts.disk_free),
            CertificateWatcher(watched_certificates(configuration), alerts.certificates),
            *((sent_items,) if configuration.mailbox_servers else ()),
            *((monitored,) if mailboxes else ()),
            *((TaskWatcher(partial(look_at_tasks, spool), age=alerts.task_age),) if is_tracked else ()),
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
    """Ours: those of the listeners, and those that we show to next hops and sign in with at mailbox servers."""
    watched = [
        WatchedCertificate(listener.tls.certificate, f"listener {listener.name}")
        for listener in configuration.listeners
        if listener.tls.certificate is not None and listener.tls.mode != "none"
    ]
    watched += [
        WatchedCertificate(hop.tls.certificate, f"next hop {hop.name}")
        for hop in configuration.next_hops
        if not isinstance(hop, MaildirHop) and hop.tls.certificate is not None
    ]
    return [*watched, *_app_certificates(configuration)]


def _app_certificates(configuration: Configuration) -> Iterator[WatchedCertificate]:
    """Of app registrations: when one has expired, no token is to be had."""
    for _, server in configuration.mailbox_servers:
        oauth = None if isinstance(server, MaildirMailboxes) else server.oauth
        if oauth is not None and oauth.certificate is not None:
            yield WatchedCertificate(oauth.certificate, f"mailbox server {server.name}")
    for organisation in configuration.every_organisation:
        for account in organisation.tracking.accounts if organisation.tracking is not None else ():
            if isinstance(account.oauth, OAuth) and account.oauth.certificate is not None:
                yield WatchedCertificate(account.oauth.certificate, f"outgoing account {account.name}")


class WatchProcess:
    """What the supervisor asks of it is `app.companion.Life`."""

    def __init__(self, configuration: Configuration) -> None:
        self._watch = Watch(equipment_of(configuration), SystemClock())

    async def serve(self, draining: asyncio.Event) -> None:
        watching = asyncio.create_task(self._watch.run())
        watching.add_done_callback(lambda task: draining.set())
        await draining.wait()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    async def equip(self, configuration: Configuration) -> None:
        """Raises OSError, KeyError."""
        self._watch.equip(equipment_of(configuration))

    def wake(self) -> None:
        """The queue was changed: that is not our business."""

    def report(self) -> Mapping[str, Any]:
        """How many troubles there are."""
        return {"alerts": len(self._watch.board.current)}

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return NO_SUCH_REQUEST


async def run_watch(channel_fd: int) -> int:
    """The life of the process; returns its exit code. Raises OSError, KeyError at the start."""

    async def begin(configuration: Configuration) -> WatchProcess:
        return WatchProcess(configuration)

    return await run_companion("watch", channel_fd, begin)
