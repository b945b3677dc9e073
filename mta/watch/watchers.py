"""Those who look: at the queue, the running relay, the disks, the certificates."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.x509 import load_pem_x509_certificates

from mta.model.delivery import OF_DOMAIN
from mta.model.queue import Draining, FrozenHop, QueueLook, is_frozen
from mta.watch.trouble import CantLookError, Trouble, in_words

ENDS_SOON = timedelta(days=1)
"""A bypass whose end is nearer is not forgotten."""


class QueueWatcher:
    """Mail that waits for too long, a store that can't be read, and orders that may have been forgotten."""

    kinds = frozenset({"queue-age", "store", "frozen", "draining"})

    def __init__(self, look: Callable[[datetime], QueueLook], *, age: timedelta, forgotten: timedelta) -> None:
        """`look` is asked, in a thread, for what waits since a time; it raises FileNotFoundError before the first start
        and, where the store can't be read, what says so."""
        self._look = look
        self._age = age
        self._forgotten = forgotten

    async def look(self, now: datetime) -> Sequence[Trouble]:
        try:
            seen = await asyncio.to_thread(self._look, now - self._age)
        except FileNotFoundError as exc:
            raise CantLookError(f"there is no queue: {exc}") from exc
        except Exception as exc:  # noqa: BLE001 - whatever keeps the store from being read is the trouble
            return [_store(str(exc))]
        return [
            *self._late(seen, now),
            *(_frozen(hop, now) for hop in seen.frozen if now - hop.since >= self._forgotten),
            *(_draining(order, now) for order in (seen.draining,) if order and now - order.since >= self._forgotten),
        ]

    def _late(self, seen: QueueLook, now: datetime) -> Iterable[Trouble]:
        if seen.late is None:
            return
        number, names = seen.late.messages, frozenset(hop.next_hop for hop in seen.frozen)
        hops = [f"{hop} ({count}{', frozen' if is_frozen(hop, names) else ''})" for hop, count in seen.late.by_next_hop]
        yield Trouble(
            "queue-age",
            "queue-age",
            f"mail waits in the queue: {number} message{'s' if number > 1 else ''} for longer than "
            f"{in_words(self._age)}",
            f"The oldest has waited for {in_words(now - seen.late.oldest_at)}. Most wait for: {', '.join(hops)}. "
            "`stampline queue summary --by reply` shows what the next hops say; when it is mended, "
            "`stampline queue retry --next-hop NAME` tries at once.",
        )


def _frozen(hop: FrozenHop, now: datetime) -> Trouble:
    return Trouble(
        f"frozen:{hop.next_hop}",
        "frozen",
        f"next hop {hop.next_hop} is frozen for {in_words(now - hop.since)}",
        f"{_ordered(hop.by, hop.reason)}. Its mail waits, and nobody is warned of it. `stampline queue thaw "
        f"{hop.next_hop}` has it delivered.",
    )


def _draining(order: Draining, now: datetime) -> Trouble:
    return Trouble(
        "draining",
        "draining",
        f"this node is draining for {in_words(now - order.since)}: it takes no mail",
        f"{_ordered(order.by, order.reason)}. `stampline undrain` has it take mail again.",
    )


def _ordered(by: str, reason: str) -> str:
    return f"{by} has said so" + (f": {reason}" if reason else "")


def _store(error: str) -> Trouble:
    return Trouble(
        "store",
        "store",
        "the spool's database can't be read",
        f"{error}. While that lasts, mail is refused with 451, so that its senders keep it.",
    )


class RelayWatcher:
    """What the supervisor knows: a refused reload, stopped next hops, a closed queue, workers that keep dying, and a
    bypass that may have been forgotten."""

    kinds = frozenset({"reload-refused", "next-hop-stopped", "queue-closed", "worker-dies", "bypass"})

    def __init__(
        self, status: Callable[[], Mapping[str, Any]], *, stopped_for: timedelta, forgotten: timedelta
    ) -> None:
        """`status` blocks, and raises OSError where nobody answers."""
        self._status = status
        self._stopped_for = stopped_for
        self._forgotten = forgotten

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
            *_bypass(status["bypass"], now, self._forgotten),
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
                f"next hop {hop} can't be reached for {in_words(now - began)}",
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


def _bypass(bypass: Mapping[str, Any], now: datetime, forgotten: timedelta) -> Iterable[Trouble]:
    if not bypass["on"] or bypass.get("since") is None:
        return
    lasts = now - datetime.fromisoformat(bypass["since"])
    ends_soon = bypass["until"] is not None and datetime.fromisoformat(bypass["until"]) - now < ENDS_SOON
    if lasts >= forgotten and not ends_soon:
        yield Trouble(
            "bypass",
            "bypass",
            f"bypass is on for {in_words(lasts)}: mail goes out without rules and stamps",
            "`stampline bypass off` has rules apply again; `stampline bypass on --for 4h` ends by itself.",
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
        text = "Put a new one in its place: it is taken up within seconds, without a restart."
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
