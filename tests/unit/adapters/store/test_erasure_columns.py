"""Every column that can hold a text is accounted for: what erasing a person does with it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mta.adapters.store.database import connect_reader, prepare

# Words of the program or of the configuration, names of files, ids of messages; and digests, which can't be read back.
NOBODYS = {
    "attachment": {"mark"},
    "awaited_message": {"organisation"},
    "claim": {"key"},
    "content": {"snapshot"},
    "conversation": {"mark", "organisation", "module", "nonce"},
    "conversation_message": {"mark", "organisation"},
    "conversation_number": {"mark", "organisation", "module"},
    "counted_message": {"mark", "organisation"},
    "delivery": {"next_hop", "state", "lease_owner"},
    "frozen": {"next_hop"},
    "held_answer": {"organisation", "mailbox", "file", "key"},
    "message": {"queue_id", "file"},
    "message_attempt": {"mark", "mailbox", "ref"},
    "monitored_mailbox": {"mark", "name", "reason"},
    "note": {"mark", "kind"},
    "octets": {"mark", "sha256", "file"},
    "participant": {"mark"},
    "record": {"mark", "organisation", "module", "state"},
    "record_rule": {"mark", "rule"},
    "sent_copy": {"queue_id"},
    "sent_endpoint": {"name", "reason", "settings"},
    "sent_job": {"id", "organisation", "state", "reason", "endpoint", "placed", "lease_owner"},
    "sent_mailbox": {"endpoint"},
    "sent_switch": {"position"},
    "sqlite_sequence": {"name", "seq"},
    "task": {"mark", "kind", "organisation", "state"},
    "tracked_bounce": {"mark", "organisation"},
    "tracked_entry": {"mark", "organisation", "mailbox", "content_hash", "state", "reason", "direction"},
    "tracking_run": {"mark", "name"},
}
# User names of administrators on this machine.
ADMINISTRATORS = {
    "draining": {"by_whom"},
    "frozen": {"by_whom"},
    "monitored_mailbox": {"paused_by"},
    "sent_switch": {"by_whom"},
}
# Goes with the message, which stays until it is delivered, or with the last job that needs it.
WITH_THE_MESSAGE = {
    "content": {"trace", "envelope", "decision", "data"},
    "delivery": {"recipients"},
    "message": {"reverse_path", "message_id"},
    "variant": {"edits"},
}
ERASED = {
    "attachment": {"name", "content_type"},
    "awaited_message": {"message_id"},
    "conversation_message": {"message_id"},
    "counted_message": {"address"},
    "draining": {"reason"},
    "frozen": {"reason"},
    "held_answer": {"data"},
    "monitored_mailbox": {"detail"},
    "note": {"author", "author_name", "text", "message_id"},
    "octets": {"data"},
    "participant": {"address"},
    "record": {"title", "requester", "owner", "source", "fields"},
    "sent_endpoint": {"detail"},
    "sent_job": {"mailbox", "message_id", "detail", "mark"},
    "sent_mailbox": {"mailbox", "primary_name"},
    "task": {"key", "target", "reason", "detail", "recipients"},
    "tracked_bounce": {"message_id", "status"},
    "tracked_entry": {"key", "message_id", "sender"},
}


def test_no_column_is_forgotten(tmp_path: Path) -> None:
    """Whoever adds a column says here what becomes of it, and sees to it in `mta/adapters/store/erasure*`."""
    folder = prepare(tmp_path / "spool")
    with closing(connect_reader(folder)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        there = {
            (table, row[1])
            for table in tables
            for row in connection.execute(f"PRAGMA table_info({table})")
            if row[2] not in ("INTEGER", "REAL")
        }
    said = [
        (table, column)
        for kind in (NOBODYS, ADMINISTRATORS, WITH_THE_MESSAGE, ERASED)
        for table, columns in kind.items()
        for column in columns
    ]
    assert len(said) == len(set(said))
    assert set(said) == there
