"""Tracking: monitored mailboxes, what became of their messages, records, tasks."""

from __future__ import annotations

from mta.events.log import emit

# --- in the relay ----------------------------------------------------------------------------------------------------


def tracked(queue_id: str, *, transaction: str, by: str, rule: str, message_id: str, organisation: str) -> None:
    """A message opens a conversation, or goes on with one that it names (`by`); without one it is correlated later."""
    emit(
        "info", "tracked", queue_id=queue_id, transaction=transaction, by=by, rule=rule, message_id=message_id,
        organisation=organisation,
    )  # fmt: skip


def tracking_copy_queued(queue_id: str, *, copy: str, transaction: str, to: object, next_hop: str) -> None:
    """A copy for the processing mailbox follows from a delivery, unless one was made before."""
    emit(
        "info", "tracking-copy", queue_id=queue_id, copy=copy, transaction=transaction, to=str(to), next_hop=next_hop
    )  # fmt: skip


def tracking_copy_left_out(queue_id: str, *, reason: str) -> None:
    emit("warning", "tracking-copy-left-out", queue_id=queue_id, reason=reason)


# --- monitored mailboxes ---------------------------------------------------------------------------------------------


def mailbox_message(
    mailbox: str, ref: str, *, message_id: str, state: str, reason: str, record: str, is_new: bool, size: int
) -> None:
    """A message was taken, or had been before."""
    emit(
        "info", "mailbox-message", mailbox=mailbox, ref=ref, message_id=message_id, state=state, reason=reason,
        record=record, again=not is_new or None, size=size,
    )  # fmt: skip


def mailbox_answer(mailbox: str, *, message_id: str, state: str, reason: str, record: str) -> None:
    """An answer that came before what it answers was looked at again, as that is there now."""
    emit(
        "info", "mailbox-answer", mailbox=mailbox, message_id=message_id, state=state, reason=reason, record=record
    )  # fmt: skip


def mailbox_answer_given_up(mailbox: str, *, entry: str, error: str, traceback: str = "") -> None:
    """A fault of ours with such an answer: it stays unmatched."""
    emit(
        "error", "mailbox-answer-given-up", mailbox=mailbox, entry=entry, error=error,
        mend="put the message back into its folder to have it tried again", traceback=traceback or None,
    )  # fmt: skip


def mailbox_message_set_aside(
    mailbox: str, ref: str, *, message_id: str, reason: str, detail: str, folder: str
) -> None:  # fmt: skip
    """It can't be processed, and lies in that folder now."""
    emit(
        "warning", "mailbox-message-set-aside", mailbox=mailbox, ref=ref, message_id=message_id, reason=reason,
        detail=detail, folder=folder, mend="move it back to have it tried again",
    )  # fmt: skip


def mailbox_message_waits(mailbox: str, ref: str, *, message_id: str, reason: str, again_in_s: float) -> None:
    """It would join, and DNS doesn't tell now whether its author wrote it: it stays there, and is tried again four
    times, with growing pauses. Then it is held as pending."""
    emit(
        "warning", "mailbox-message-waits", mailbox=mailbox, ref=ref, message_id=message_id, reason=reason,
        again_in_s=round(again_in_s, 1),
    )  # fmt: skip


def mailbox_message_failed(mailbox: str, ref: str, *, attempt: int, error: str, traceback: str) -> None:
    """A fault of ours with this message: it is tried again, the third time set aside."""
    emit("error", "mailbox-message-failed", mailbox=mailbox, ref=ref, attempt=attempt, error=error, traceback=traceback)


def mailbox_message_stays(
    mailbox: str, ref: str, *, message_id: str, what: str, reason: str, again_in_s: float
) -> None:
    """It was taken, but the server doesn't let us do what comes after; said once, tried again with growing pauses."""
    emit(
        "warning", "mailbox-message-stays", mailbox=mailbox, ref=ref, message_id=message_id, what=what, reason=reason,
        again_in_s=round(again_in_s, 1),
    )  # fmt: skip


def mailbox_progress(mailbox: str, *, done: int, of: int, per_s: float) -> None:
    """A poll that takes long, now and then; `of` is what was seen to wait, one poll's share at most."""
    emit("info", "mailbox-progress", mailbox=mailbox, done=done, of=of, per_s=round(per_s, 1))


def mailbox_polled(
    mailbox: str, *, server: str, waiting: int, taken: int, known: int, set_aside: int, failed: int, stays: int,
    took_s: float, per_s: float, more: bool, in_all: int,
) -> None:  # fmt: skip
    """A poll that went well. `in_all`: with those before it, where there was too much for one, as are the time and the
    rate. One that found nothing is told at level debug."""
    emit(
        "info" if waiting or in_all else "debug",
        "mailbox-polled", mailbox=mailbox, server=server, waiting=waiting, taken=taken,
        known=known, set_aside=set_aside, failed=failed, stays=stays, took_s=round(took_s, 2), per_s=round(per_s, 1),
        more=more or None, in_all=in_all if in_all != waiting else None,
    )  # fmt: skip


def mailbox_poll_failed(
    mailbox: str, *, reason: str, detail: str, mend: str, failures: int, again_in_s: float, is_news: bool
) -> None:
    """`failures`: polls in a row that could not sign in. No news: it fails for the same reason as before."""
    emit(
        "warning" if is_news else "debug", "mailbox-poll-failed", mailbox=mailbox, reason=reason, detail=detail,
        mend=mend, failures=failures or None, again_in_s=round(again_in_s, 1),
    )  # fmt: skip


def mailbox_answers(mailbox: str, *, reason: str) -> None:
    """A poll went well after some had failed for that reason."""
    emit("info", "mailbox-answers", mailbox=mailbox, was=reason)


def mailbox_trouble(mailbox: str, *, record: str, reason: str, detail: str, mend: str) -> None:
    """Three polls in a row could not sign in: a record tells of it, and people are told."""
    emit("error", "mailbox-trouble", mailbox=mailbox, record=record, reason=reason, detail=detail, mend=mend)


def mailbox_trouble_over(mailbox: str, *, record: str) -> None:
    """It is polled again; the record is closed."""
    emit("info", "mailbox-trouble-over", mailbox=mailbox, record=record)


def mailbox_template_failed(mailbox: str, *, template: str, error: str) -> None:
    """Our own words are used instead."""
    emit("warning", "mailbox-template-failed", mailbox=mailbox, template=template, error=error)


def mailbox_ordered(order: str, *, mailboxes: str, by: str) -> None:
    """An administrator has paused or resumed them, or has them polled."""
    emit("warning", "mailbox-ordered", order=order, mailboxes=mailboxes, by=by)


def mailbox_changed(mailbox: str, *, change: str) -> None:
    """With a configuration: `added`, `changed` or `removed`."""
    emit("info", "mailbox-changed", mailbox=mailbox, change=change)


def mailbox_unverified(mailbox: str) -> None:
    """Said at each start and reload."""
    emit(
        "warning", "mailbox-unverified", mailbox=mailbox,
        what="tls: verify: false, so anybody on the way can read and change everything, passwords too",
    )  # fmt: skip


def tracking_store_down(error: str) -> None:
    """Said once: no mailbox is polled until it can be used again."""
    emit("error", "tracking-store-down", error=error, what="nothing is fetched or moved until it can be used again")


def tracking_store_back() -> None:
    emit("info", "tracking-store-back")


def tracking_forgotten(rows: int) -> None:
    """Entries, tasks and counts that nobody has to remember any longer."""
    emit("info", "tracking-forgotten", rows=rows)


def tracking_cautious(since: str) -> None:
    """The process died the last time: messages are taken one at a time until each mailbox was polled once."""
    emit("warning", "tracking-cautious", since=since, what="one message at a time until each mailbox was polled once")


# --- records ----------------------------------------------------------------------------------------------------------


def tracking_rule_failed(record: str, *, message_id: str, rule: str, action: str, reason: str) -> None:
    """An action could not be carried out; the others were, and the message is on record all the same."""
    emit(
        "warning", "tracking-rule-failed", record=record, message_id=message_id, rule=rule, failed=action, reason=reason
    )  # fmt: skip


def tracking_rule_audited(record: str, *, message_id: str, rule: str, actions: str) -> None:
    """A rule in mode audit matched: what it would have done."""
    emit("info", "tracking-rule-audited", record=record, message_id=message_id, rule=rule, would=actions)


def tracking_notice_left_out(record: str, *, rule: str, recipient: str, reason: str) -> None:
    """Somebody whom a rule names is rightly not written to."""
    emit("info", "tracking-notice-left-out", record=record, rule=rule, recipient=recipient, reason=reason)


def tracking_template_failed(record: str, *, rule: str, template: str, error: str) -> None:
    """A notice is written in our own words instead; where they fail, too, it is not written."""
    emit("warning", "tracking-template-failed", record=record, rule=rule, template=template, error=error)


def tracking_pending(record: str, *, message_id: str, sender: str, entry: str) -> None:
    """Somebody who does not take part holds a valid reference: his message waits for the record's owner."""
    emit(
        "warning", "tracking-pending", record=record, message_id=message_id, sender=sender, entry=entry,
        mend="stampline records accept ENTRY, or decline",
    )  # fmt: skip


def tracking_rule_timed(record: str, *, rule: str) -> None:
    """A time-triggered rule was carried out."""
    emit("info", "tracking-rule-timed", record=record, rule=rule)


def tracking_digest(digest: str, *, records: int, recipients: int) -> None:
    """A digest was made."""
    emit("info", "tracking-digest", digest=digest, records=records, recipients=recipients)


def mark_without_columns(record: str, *, mailbox: str, plugin: str, reason: str) -> None:
    """The copies of a filed message get category and link, but no columns."""
    emit("warning", "mark-without-columns", record=record, mailbox=mailbox, plugin=plugin, reason=reason)


# --- records, by administrators --------------------------------------------------------------------------------------


def pending_decided(decision: str, *, by: str, record: str, message_id: str, sender: str, organisation: str) -> None:
    """Somebody has let a stranger's message in (`accept`), or not (`decline`)."""
    emit(
        "warning", "pending-decided", decision=decision, by=by, record=record, message_id=message_id, sender=sender,
        organisation=organisation,
    )  # fmt: skip


def records_merged(gone: str, into: str, *, by: str, organisation: str) -> None:
    """Somebody has said that two records are one."""
    emit("warning", "records-merged", gone=gone, into=into, by=by, organisation=organisation)


def records_purged(*, by: str, which: str, records: int) -> None:
    """Somebody has removed deleted records for good."""
    emit("warning", "records-purged", by=by, which=which, records=records)
