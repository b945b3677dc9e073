"""A message's life, put together from lines of several days and messages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.queue_id import new_queue_id
from mta.trace.life import Life, lives_of
from mta.trace.log_files import log_files
from mta.trace.search import LogSearch
from mta.trace.words import sentence
from tests.unit.trace.log_writer import LogWriter


@pytest.fixture
def log(tmp_path: Path) -> LogWriter:
    return LogWriter(tmp_path)


def lives(log: LogWriter, *queue_ids: str, is_queue_known: bool = True) -> dict[str, Life]:
    search = LogSearch(log_files(log.folder))
    return lives_of(search.lives(queue_ids), (), is_queue_known)


def outcomes(life: Life) -> dict[str, str]:
    return {fate.address: fate.outcome for fate in life.fates.values()}


def test_what_became_of_each_recipient(log: LogWriter) -> None:
    names = [f"{letter}@example.net" for letter in "abcdef"]
    queue_id = log.accepted("jane@example.com", *names)
    log("delivered", queue_id, recipients=names[0], next_hop="out", reply="250 Ok", attempts=1)
    log("deferred", queue_id, recipients=",".join(names[1:3]), reply="451 later", attempts=1)
    log("failed", queue_id, recipients=names[1], reply="550 no", attempts=2)
    log("held", queue_id, recipients=names[3], reason="rule")
    log("dropped", queue_id, recipients=names[4], reason="rule")
    life = lives(log, queue_id, is_queue_known=False)[queue_id]
    assert list(outcomes(life).values()) == ["delivered", "failed", "waiting", "held", "dropped", "waiting"]
    assert life.fates[names[1]].attempts == 2
    assert (life.sender, life.message_id) == ("jane@example.com", "<1@mail.example.com>")


def test_what_is_neither_in_the_queue_nor_ended_in_the_log_is_unknown(log: LogWriter) -> None:
    queue_id = log.accepted("jane@example.com", "a@example.net")
    assert outcomes(lives(log, queue_id)[queue_id]) == {"a@example.net": "unknown"}


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("all", ["delivered", "deleted"]),
        ("sender=jane@example.com recipient=B@*", ["delivered", "deleted"]),
        ("recipient=c@example.net", ["delivered", "unknown"]),
    ],
)
def test_what_administrators_delete(log: LogWriter, which: str, expected: list[str]) -> None:
    queue_id = log.accepted("jane@example.com", "a@example.net", "b@example.net")
    log("delivered", queue_id, recipients="a@example.net")
    log("queue-changed", what="delete", by="root", which=which, queue_ids=f"{new_queue_id()},{queue_id}")
    assert list(outcomes(lives(log, queue_id)[queue_id]).values()) == expected


def test_lines_of_several_days_and_formats_are_joined(log: LogWriter) -> None:
    queue_id = log.accepted("jane@example.com", "a@example.net")
    log.compress()
    log.at += timedelta(days=1)
    log.as_json = True
    log("deferred", queue_id, recipients="a@example.net", reply="451 later")
    log.at += timedelta(days=1)
    log("delivered", queue_id, recipients="a@example.net", reply="250 Ok")
    life = lives(log, queue_id)[queue_id]
    assert [line.action for line in life.lines] == ["accepted", "deferred", "delivered"]


def test_what_follows_from_a_message_is_followed_and_followed_again(log: LogWriter) -> None:
    queue_id, notice, dsn, stranger = (new_queue_id() for _ in range(4))
    log("accepted", queue_id, sender="jane@example.com", recipients="a@example.net")
    log("followed", queue_id, kind="notice", rule="tell", spawned=notice, recipients="boss@example.com")
    log("failed", notice, recipients="boss@example.com", reply="550 no", dsn=dsn)
    log("dsn-queued", notice, dsn=dsn, to="postmaster@example.com", next_hop="home")
    log("delivered", dsn, recipients="postmaster@example.com", reply="250 Ok")
    log("delivered", stranger, recipients="a@example.net")
    found = lives(log, queue_id)
    assert set(found) == {queue_id, notice, dsn}
    assert (found[notice].parent, found[dsn].parent, found[queue_id].parent) == (queue_id, notice, "")
    assert outcomes(found[dsn]) == {"postmaster@example.com": "delivered"}


def test_a_report_names_what_it_follows_from_without_telling_that_whole_life(log: LogWriter) -> None:
    queue_id, dsn = log.accepted("jane@example.com", "a@example.net"), new_queue_id()
    log("failed", queue_id, recipients="a@example.net", dsn=dsn)
    log("dsn-queued", queue_id, dsn=dsn, to="jane@example.com", next_hop="home")
    found = lives(log, dsn)
    assert list(found) == [dsn]
    assert found[dsn].parent == queue_id


def test_a_recipient_whom_a_rule_puts_in_anothers_place(log: LogWriter) -> None:
    queue_id = log.accepted("jane@example.com", "a@example.net")
    log("recipient-added", queue_id, recipient="b@example.org", rule="move", in_place_of="a@example.net")
    log("delivered", queue_id, recipients="b@example.org")
    assert outcomes(lives(log, queue_id)[queue_id]) == {"a@example.net": "redirected", "b@example.org": "delivered"}


def test_a_message_is_found_though_the_clock_was_wrong_when_it_got_its_queue_id(log: LogWriter) -> None:
    log.at -= timedelta(days=30)
    queue_id = log.accepted("jane@example.com", "a@example.net")
    assert lives(log, queue_id)[queue_id].sender == "jane@example.com"


def test_torn_lines_are_passed_over_and_counted(log: LogWriter) -> None:
    queue_id = log.accepted("jane@example.com", "a@example.net")
    log.raw(f'time=2026-11-20T12:00:05.000+00:00 level=info action=delivered queue_id={queue_id} reply="250 O\n')
    log.raw(f"{queue_id} in some other program's words\n")
    log("delivered", queue_id, recipients="a@example.net")
    search = LogSearch(log_files(log.folder))
    assert len(search.lives([queue_id]).lines[queue_id]) == 2
    assert search.scanned.bad_lines == 2


def test_messages_of_an_address_are_found_newest_first(log: LogWriter) -> None:
    first = log.accepted("jane@example.com", "a@example.net")
    log("message-refused", new_queue_id(), sender="Jane@Example.com", reply="550 no")
    log("delivered", first, recipients="a@example.net")
    log.at += timedelta(days=1)
    second = log.accepted("john@example.com", "JANE@example.com")
    log.accepted("notjane@example.com.example", "a@example.net")
    search = LogSearch(log_files(log.folder))
    found = search.of_address("jane@example.com", 10)
    assert [line.action for line in found] == ["accepted", "message-refused", "accepted"]
    assert [found[0].queue_id, found[2].queue_id] == [second, first]
    assert [line.queue_id for line in search.of_address("jane@example.com", 1)] == [second]


def test_messages_with_one_message_id(log: LogWriter) -> None:
    ids = [log.accepted("jane@example.com", name, message_id="<x@y>") for name in ("a@example.net", "b@example.net")]
    log.accepted("jane@example.com", "c@example.net", message_id="<xx@y>")
    assert LogSearch(log_files(log.folder)).ids_of_message_id("<x@y>") == ids


def test_an_event_that_has_no_words_is_told_by_its_fields(log: LogWriter) -> None:
    queue_id = new_queue_id()
    log("brand-new", queue_id, why="because of this")
    (line,) = lives(log, queue_id)[queue_id].lines
    assert sentence(line) == "brand-new why=because of this"
