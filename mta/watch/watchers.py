"""Those who look: at the queue, the running relay, the disks, the certificates."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.x509 import load_pem_x509_certificates

from mta.model.delivery import OF_DOMAIN, State
from mta.model.queue import QueueFilter
from mta.model.reply import MailError
from mta.ports.spool import Spool
from mta.watch.trouble import CantLookError, Trouble

COUNTED_MAX = 1000
"""Late messages that are counted; beyond it there are "more than"."""


class QueueWatcher:
    """Mail that waits for too long, and a store that can't be read."""

    kinds = frozenset({"queue-age", "store"})

    def __init__(self, open_spool: Callable[[], Awaitable[Spool]], age: timedelta) -> None:
        """`open_spool` raises OSError, or the store's own error, which is one of OSError or ValueError's kin."""
        self._open_spool = open_spool
        self._age = age

    async def look(self, now: datetime) -> Sequence[Trouble]:
        late = QueueFilter(state=State.QUEUED, older_than_s=self._age.total_seconds())
        try:
            spool = await self._open_spool()
        except FileNotFoundError as exc:
            raise CantLookError(f"there is no spool yet: {exc}") from exc
        except Exception as exc:  # noqa: BLE001 - whatever keeps the store from being opened is the trouble
            return [_store(str(exc))]
        try:
            entries = await spool.entries(late, limit=COUNTED_MAX)
        except MailError as exc:
            return [_store(str(exc))]
        finally:
            await spool.close()
        if not entries:
            return []
        hops: dict[str, int] = {}
        for entry in entries:
            for hop in {each.next_hop for each in entry.recipients if each.state is State.QUEUED}:
                hops[hop] = hops.get(hop, 0) + 1
        oldest = now - min(entry.accepted_at for entry in entries)
        number = f"more than {COUNTED_MAX}" if len(entries) >= COUNTED_MAX else str(len(entries))
        by_hop = ", ".join(f"{hop} ({count})" for hop, count in sorted(hops.items(), key=lambda item: -item[1])[:10])
        return [
            Trouble(
                "queue-age",
                "queue-age",
                f"mail waits in the queue: {number} messages for longer than {_span(self._age)}",
                f"The oldest has waited for {_span(oldest)}. They wait for: {by_hop}. See what the next hops say with "
                "`stampline queue list`; when it is mended, `stampline queue retry --all` tries everything at once.",
            )
        ]


def _store(error: str) -> Trouble:
    return Trouble(
        "store",
        "store",
        "the spool's database can't be read",
        f"{error}. While that lasts, mail is refused with 451, so that its senders keep it.",
    )


class RelayWatcher:
    """What the supervisor knows: a refused reload, stopped next hops, a closed queue, workers that keep dying."""

    kinds = frozenset({"reload-refused", "next-hop-stopped", "queue-closed", "worker-dies"})

    def __init__(self, status: Callable[[], Mapping[str, Any]], stopped_for: timedelta) -> None:
        """`status` blocks, and raises OSError where nobody answers."""
        self._status = status
        self._stopped_for = stopped_for

    async def look(self, now: datetime) -> Sequence[Trouble]:
        try:
            status = await asyncio.to_thread(self._status)
        except OSError as exc:
            raise CantLookError(f"the supervisor does not answer: {exc}") from exc
        return [
            *_reload(status["last_reload"]),
            *_stopped(status["workers"], now, self._stopped_for),
            *_closed(status["workers"]),
            *_dying([*status["workers"], *status["companions"].values()]),
        ]


def _reload(last: Mapping[str, Any] | None) -> Iterable[Trouble]:
    if last is not None and not last["ok"]:
        yield Trouble(
            "reload-refused",
            "reload-refused",
            f"the changed configuration was refused: {last['problems']} problems",
            f"At {last['at']} a reload was asked for, but the new files have problems, so the relay goes on with the "
            "old ones; a restart would fail. `stampline check` shows every problem with its place.",
        )


def _stopped(workers: Iterable[Mapping[str, Any]], now: datetime, stopped_for: timedelta) -> Iterable[Trouble]:
    """Of a hop that several workers have stopped, the one that did so first counts.

    A domain out there that is delivered to by its MX records is not ours to mend.
    """
    since: dict[str, tuple[datetime, str]] = {}
    for worker in workers:
        for hop, stopped in worker.get("report", {}).get("stopped", {}).items():
            if OF_DOMAIN in hop:
                continue
            told = (datetime.fromisoformat(stopped["since"]), stopped["reason"])
            since[hop] = min(since.get(hop, told), told)
    for hop, (began, reason) in sorted(since.items()):
        if now - began >= stopped_for:
            yield Trouble(
                f"next-hop-stopped:{hop}",
                "next-hop-stopped",
                f"next hop {hop} can't be reached for {_span(now - began)}",
                f"It says: {reason}. Its mail waits in the queue and goes out as soon as it answers again; other next "
                "hops are not affected.",
            )


def _closed(workers: Iterable[Mapping[str, Any]]) -> Iterable[Trouble]:
    if any(worker.get("report", {}).get("spool_closed") for worker in workers):
        yield Trouble(
            "queue-closed",
            "queue-closed",
            "no mail is taken: the queue's database is closed",
            "Its disk or its files are in trouble. Senders hear 451 and keep their mail; what was accepted is safe. "
            "The log of component relay says what happened (spool-closed, spool-slow), and the relay opens it again "
            "as soon as it can be trusted.",
        )


_DYING_AFTER = 3


def _dying(slots: Iterable[Mapping[str, Any]]) -> Iterable[Trouble]:
    dying = [slot for slot in slots if slot.get("early_deaths", 0) >= _DYING_AFTER]
    if dying:
        yield Trouble(
            "worker-dies",
            "worker-dies",
            f"{len(dying)} of the relay's processes die again and again",
            "They are started anew each time, and what they had in hand is taken up again. The files of component "
            "relay, and the service's journal, say what they die of.",
        )


class DiskWatcher:
    """Room on the disks of these folders."""

    kinds = frozenset({"disk-full"})

    def __init__(self, folders: Iterable[Path], free_octets: int) -> None:
        self._folders = tuple(folders)
        self._free_octets = free_octets

    async def look(self, now: datetime) -> Sequence[Trouble]:
        return await asyncio.to_thread(self._look)

    def _look(self) -> Sequence[Trouble]:
        by_disk: dict[int, Path] = {}
        for folder in self._folders:
            try:
                by_disk.setdefault(folder.stat().st_dev, folder)
            except OSError as exc:
                raise CantLookError(f"{folder}: {exc.strerror}") from exc
        troubles = []
        for folder in by_disk.values():
            disk = os.statvfs(folder)
            free = disk.f_bavail * disk.f_frsize
            if free < self._free_octets:
                troubles.append(
                    Trouble(
                        f"disk-full:{folder}",
                        "disk-full",
                        f"the disk of {folder} is nearly full: {free // 1_000_000} MB free",
                        "When it is full, mail is refused with 452 until there is room; what was accepted is safe.",
                    )
                )
            elif disk.f_files and disk.f_favail * 100 < disk.f_files:
                troubles.append(
                    Trouble(
                        f"disk-full:{folder}",
                        "disk-full",
                        f"the disk of {folder} is running out of inodes: {disk.f_favail} free",
                        "Without inodes no file can be made, however much room there is.",
                    )
                )
        return troubles


@dataclass(frozen=True, slots=True)
class WatchedCertificate:
    """A PEM file of ours, and what it is for."""

    path: Path
    purpose: str


class CertificateWatcher:
    """Certificates that expire; each of the spans before it tells once more."""

    kinds = frozenset({"certificate"})

    def __init__(self, certificates: Iterable[WatchedCertificate], spans: Iterable[timedelta]) -> None:
        self._certificates = tuple(certificates)
        self._spans = tuple(sorted(spans))

    async def look(self, now: datetime) -> Sequence[Trouble]:
        found = await asyncio.gather(*(asyncio.to_thread(self._examine, each, now) for each in self._certificates))
        return [trouble for trouble in found if trouble is not None]

    def _examine(self, watched: WatchedCertificate, now: datetime) -> Trouble | None:
        try:
            # The chain's other certificates count as well: with one of them expired, nobody believes the first.
            chain = load_pem_x509_certificates(watched.path.read_bytes())
        except (OSError, ValueError) as exc:
            what = exc.strerror if isinstance(exc, OSError) else "it holds no certificate"
            text = "The relay goes on with what it read before; a restart would fail."
            return self._trouble(watched, "unreadable", f"can't be read: {what}", text)
        expires = min(certificate.not_valid_after_utc for certificate in chain)
        left = expires - now
        day = expires.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        text = "Put a new one in its place: it is taken up within a minute, without a restart."
        if left <= timedelta():
            return self._trouble(watched, "expired", f"has expired on {day}", text)
        for span in self._spans:
            if left <= span:
                return self._trouble(watched, str(int(span.total_seconds())), f"expires on {day}", text)
        return None

    @staticmethod
    def _trouble(watched: WatchedCertificate, stage: str, what: str, text: str) -> Trouble:
        key = f"certificate:{watched.path}:{stage}"
        return Trouble(key, "certificate", f"the certificate of {watched.purpose} ({watched.path}) {what}", text)


def _span(time: timedelta) -> str:
    """In the largest unit that is at least one."""
    seconds = int(time.total_seconds())
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length or (seconds % length == 0 and seconds >= length):
            number = seconds // length
            return f"{number} {unit if number > 1 else unit[:-1]}"
    return f"{seconds} seconds"
