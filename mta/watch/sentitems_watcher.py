"""Who looks at Sent Items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from mta.model.sentitem import EndpointNotes, MailboxNotes, SentItemsLook, Switch
from mta.watch.trouble import CantLookError, Trouble, in_words

_ADVICE = {
    "sign-in": "It refused to sign us in three times, and more would lock the account. See that account, password and "
    "rights are right",
    "tls-failed": "Its certificate isn't trusted, or TLS fails otherwise. See that ca_file and the server's name are "
    "right",
}


class SentItemsWatcher:
    """Mailbox servers that wait for an administrator, mailboxes that are denied, jobs that wait for too long, and a
    pause that may have been forgotten."""

    kinds = frozenset({"sent-items-server", "sent-items-denied", "sent-items-age", "sent-items-paused"})

    def __init__(self, look: Callable[[datetime], SentItemsLook], *, age: timedelta, forgotten: timedelta) -> None:
        """`look` is asked, in a thread, for what waits since a time; it raises where the store can't be read."""
        self._look = look
        self._age = age
        self._forgotten = forgotten

    async def look(self, now: datetime) -> Sequence[Trouble]:
        try:
            seen = await asyncio.to_thread(self._look, now - self._age)
        except Exception as exc:  # who watches the queue tells of it
            raise CantLookError(f"the store can't be read: {exc}") from exc
        return [
            *(_stopped(notes) for notes in seen.stopped),
            *(_denied(notes) for notes in seen.denied),
            *_more_denied(seen),
            *self._late(seen, now),
            *self._paused(seen, now),
        ]

    def _late(self, seen: SentItemsLook, now: datetime) -> Iterable[Trouble]:
        if seen.late and seen.oldest_at is not None and seen.switch is Switch.ON:
            yield Trouble(
                "sent-items-age",
                "sent-items-age",
                f"Sent Items: {seen.late} job{'s' if seen.late > 1 else ''} for longer than {in_words(self._age)}",
                f"The oldest has waited for {in_words(now - seen.oldest_at)}. Mail itself is not affected. `stampline "
                "sentitems list` shows what they wait for, `stampline sentitems status` how the mailbox servers are.",
            )

    def _paused(self, seen: SentItemsLook, now: datetime) -> Iterable[Trouble]:
        since = seen.switched_at
        if seen.switch is Switch.PAUSED and since is not None and now - since >= self._forgotten:
            yield Trouble(
                "sent-items-paused",
                "sent-items-paused",
                f"Sent Items is paused for {in_words(now - since)}",
                "Jobs are made and wait; their messages stay on disk. `stampline sentitems resume` lets them go.",
            )


def _stopped(notes: EndpointNotes) -> Trouble:
    advice = _ADVICE.get(notes.reason, "It is left alone")
    return Trouble(
        f"sent-items-server:{notes.name}",
        "sent-items-server",
        f"mailbox server {notes.name} is stopped: {notes.reason}",
        f"{advice}; then `stampline sentitems resume --server {notes.name}`, or a reload with another configuration. "
        "Until then Sent Items stay as they are and filed messages get no marks; mail is not affected. It said: "
        f"{notes.detail}",
    )


def _denied(notes: MailboxNotes) -> Trouble:
    return Trouble(
        f"sent-items-denied:{notes.mailbox}",
        "sent-items-denied",
        f"mailbox server {notes.endpoint} does not let us into {notes.mailbox}",
        "Its Sent Items stay as they are, and messages there get no marks. Give our account the right (`stampline "
        "sentitems grant --script`), or take the person out of `senders` (`all_but`) or of the marks' `audience`; "
        "`stampline sentitems check --mailbox` tries it.",
    )


def _more_denied(seen: SentItemsLook) -> Iterable[Trouble]:
    if seen.denied_in_all > len(seen.denied):
        yield Trouble(
            "sent-items-denied",
            "sent-items-denied",
            f"{seen.denied_in_all} mailboxes in all are denied to us",
            "Not each of them is told of by itself. `stampline sentitems list --state skipped --reason access-denied` "
            "shows them; most likely the right is limited to others than those whom `senders` names.",
        )
