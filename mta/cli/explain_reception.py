"""What happens to a message before any rule sees it: the listener's refusals, and our own mark."""

from __future__ import annotations

from datetime import datetime

from mta.message.mark import HEADER as MARK_HEADER
from mta.message.mark import MarkState, check_mark
from mta.message.parse import Message
from mta.model.address import Address
from mta.model.envelope import Client
from mta.model.reply import Reply
from mta.relay.book import Book
from mta.relay.following import postmaster
from mta.relay.receive.access import AccessPolicy
from mta.relay.snapshot import Snapshot


def refusal(snapshot: Snapshot, client: Client, recipient: Address) -> Reply | None:
    """The reply to RCPT by which the client's listener keeps this recipient from the rules."""
    accepted = snapshot.accepted_domains
    return AccessPolicy(
        client.role, (), accepted, postmaster(snapshot.configuration).key
    ).judge_recipient(recipient)  # fmt: skip


def is_already_processed(book: Book, client: Client, message: Message, now: datetime) -> bool:
    """Whether it carries our valid mark and would be passed on as it is."""
    marks = [field for field in message.fields if field.name == MARK_HEADER.lower()]
    if len(marks) != 1 or not client.is_trusted:
        return False
    state = check_mark(
        book.mark_keys, message.raw(marks[0]), book.name, message.message_id, message.header("date"), now
    )  # fmt: skip
    return state is MarkState.VALID
