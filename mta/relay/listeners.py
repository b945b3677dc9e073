"""All listeners of one worker: begun, given another configuration, given changed files, and ended together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mta import events
from mta.config.problems import ConfigurationError
from mta.config.schema import Configuration
from mta.relay.following import postmaster
from mta.relay.receive import Receiver, RelayListener
from mta.relay.receive.listener_files import ListenerFiles, paths_of, read_files
from mta.relay.snapshot import Snapshot
from mta.relay.watched_files import WatchedFiles
from mta.shared_counts import SharedCounts


@dataclass(frozen=True, slots=True)
class AllFiles:
    """What the listeners of a configuration read, by their names."""

    read: Mapping[str, ListenerFiles]
    watched: Mapping[str, WatchedFiles]
    """The same files as they were before they were read, so that no change is missed."""


def read_listener_files(configuration: Configuration) -> AllFiles:
    """Raises OSError, ValueError or ConfigurationError; takes a while."""
    watched = {listener.name: WatchedFiles(paths_of(listener)) for listener in configuration.listeners}
    return AllFiles({listener.name: read_files(listener) for listener in configuration.listeners}, watched)


class Listeners:
    """Built empty; `start` fills it."""

    def __init__(self, receiver: Receiver, counts: SharedCounts) -> None:
        self._receiver = receiver
        self._counts = counts
        self._running: dict[str, RelayListener] = {}
        self._watched: Mapping[str, WatchedFiles] = {}
        self._refused: dict[str, str] = {}
        """Why changed files could not be taken up, by listener."""
        self._configuration: Configuration

    @property
    def sessions(self) -> int:
        return sum(len(listener.sessions) for listener in self._running.values())

    @property
    def failed_handshakes(self) -> int:
        """Of TLS, since the process began."""
        return sum(listener.counters.failed_handshakes for listener in self._running.values())

    async def start(self, snapshot: Snapshot, fds: Mapping[str, int]) -> None:
        """Listen on the sockets that the supervisor holds. Raises as `read_listener_files` does, or OSError."""
        configuration = self._configuration = snapshot.configuration
        files = await asyncio.to_thread(read_listener_files, configuration)
        self._watched = files.watched
        for settings in configuration.listeners:
            listener = RelayListener(
                settings, configuration.hostname, self._receiver, files.read[settings.name].ssl_context,
                accepted_domains=snapshot.accepted_domains, postmaster=postmaster(configuration),
                accounts=files.read[settings.name].accounts, counts=self._counts,
            )  # fmt: skip
            self._running[settings.name] = listener
            await listener.start(socket.socket(fileno=fds[settings.name]))

    def apply(self, snapshot: Snapshot, files: AllFiles) -> None:
        """Take another configuration up: for new sessions, and for running ones' next message."""
        configuration = self._configuration = snapshot.configuration
        self._watched = files.watched
        self._refused.clear()
        for settings in configuration.listeners:
            listener = self._running.get(settings.name)
            if listener is not None:
                listener.reconfigure(
                    settings, configuration.hostname, files.read[settings.name].ssl_context,
                    accepted_domains=snapshot.accepted_domains, postmaster=postmaster(configuration),
                    accounts=files.read[settings.name].accounts,
                )  # fmt: skip

    async def stop(self, drain_s: float) -> None:
        """Accept no more, and let messages on their way in finish for `drain_s` seconds."""
        await asyncio.gather(*(listener.stop(drain_s) for listener in self._running.values()))

    async def renew_changed(self) -> None:
        """Take up what has changed on disk, each listener's files whole or not at all; to be called now and then."""
        for name in await asyncio.to_thread(list, self._changed(self._watched)):
            configuration = self._configuration
            settings = next((each for each in configuration.listeners if each.name == name), None)
            if settings is None:
                continue
            try:
                files = await asyncio.to_thread(read_files, settings)
            except (OSError, ValueError, ConfigurationError) as exc:  # ssl.SSLError is an OSError
                self._refuse(name, str(exc))
                continue
            if configuration is self._configuration:  # a reload meanwhile has read them itself
                self._refused.pop(name, None)
                self._running[name].renew(files.ssl_context, files.accounts)
                events.credentials_renewed(
                    name, certificate=str(settings.tls.certificate or ""), expires=files.expires,
                    accounts=len(files.accounts) if files.accounts is not None else None,
                )  # fmt: skip

    def _refuse(self, name: str, error: str) -> None:
        """What was read before stays in use, and they are tried again. The same fault is told once."""
        if (files := self._watched.get(name)) is not None:
            files.say_again()
        if self._refused.get(name) != error:
            self._refused[name] = error
            events.credentials_refused(name, error=error)

    @staticmethod
    def _changed(watched: Mapping[str, WatchedFiles]) -> Iterator[str]:
        for name, files in watched.items():
            if files.has_changed():
                yield name
