"""Three polls in a row that could not sign in: a record, mails, and its end when a poll goes well."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from mta.message.notice import is_notice_id
from mta.model.record import MONITOR_SOURCE, Record, RecordFilter
from mta.model.tracking import TaskFilter, TaskKind
from mta.ports import mailbox as port
from tests.unit.tracking.monitor.office import Office, office, settings
from tests.unit.tracking.scene import KEY

ACCOUNTS = [
    {"name": "own", "kind": "smtp", "host": "mail.example.com", "senders": ["help@example.com"]},
    {"name": "other", "kind": "smtp", "host": "mail.example.com", "senders": ["desk@example.com"]},
]
TRACKING = {"accounts": ACCOUNTS, "trouble": {"notify": ["admin@example.com", "boss@example.com"]}}


async def the_record(place: Office) -> Record:
    [(_, record)] = await place.the_store.records(RecordFilter(source=MONITOR_SOURCE))
    return record


async def notices(place: Office) -> list[tuple[str, Message]]:
    """Oldest first: account and mail."""
    found = []
    for task in reversed(await place.the_store.tasks(TaskFilter(kind=TaskKind.NOTICE))):
        whole = await place.the_store.task(task.number)
        assert whole is not None
        assert whole.recipients == ("admin@example.com", "boss@example.com")
        found.append((whole.target, message_from_bytes(whole.payload)))
    return found


@pytest.mark.parametrize(
    "error",
    [
        port.SignInError("535", "authentication failed"), port.TlsFailedError("certificate", "it has expired"),
        port.AccessDeniedError("ErrorAccessDenied"), port.NoMailboxError("no such folder"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
async def test_the_third_failure_opens_a_record_and_tells(error: port.MailboxError, tmp_path: Path) -> None:
    async with office(tmp_path, settings(), **TRACKING) as place:
        place.mailboxes["help"].faults["sign_in"] = error
        await place.looks(10)
        assert (await place.notes()).failures == 2
        assert not await place.the_store.records(RecordFilter())
        await place.looks(5)
        record = await the_record(place)
        assert (record.state, record.transaction.module) == ("open", "ticket")
        assert record.fields["mailbox"] == "help"
        assert error.code in record.title
        [note] = await place.the_store.notes(record.transaction)
        assert "mend it" in note.text
        assert place.mailbox_log.count("mailbox-trouble") == 1
        assert "mend=" in place.mailbox_log.last("mailbox-trouble")
        [(account, mail)] = await notices(place)
        assert (account, mail["From"]) == ("other", "desk@example.com")
        assert is_notice_id(mail["Message-ID"], [KEY], "default")
        assert mail["Auto-Submitted"] == "auto-generated"
        assert place.the_monitors.report()["help"]["state"] == "can't sign in"


async def test_it_stays_one_record_and_closes_itself_when_a_poll_goes_well(tmp_path: Path) -> None:
    async with office(tmp_path, settings(), **TRACKING) as place:
        box = place.mailboxes["help"]
        box.faults["sign_in"] = port.SignInError("535")
        await place.looks(600)
        assert box.calls["sign_in"] <= 16
        assert (await the_record(place)).notes == 1
        box.faults.clear()
        await place.the_store.resume("help")
        await place.look()
        record = await the_record(place)
        assert (record.state, record.notes) == ("closed", 2)
        notes = await place.notes()
        assert (notes.trouble, notes.failures, notes.reason) == (None, 0, "")
        assert [mail["Subject"] for _, mail in await notices(place)] == [
            "Mailbox help can't be read: 535", "Mailbox help is read again",
        ]  # fmt: skip
        assert place.mailbox_log.count("mailbox-trouble-over") == 1


async def test_the_next_trouble_has_a_record_of_its_own(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        for _ in range(2):
            box.faults["sign_in"] = port.SignInError("535")
            await place.looks(30)
            box.faults.clear()
            await place.looks(61)
        records = await place.the_store.records(RecordFilter(source=MONITOR_SOURCE))
        assert [record.state for _, record in records] == ["closed", "closed"]


async def test_a_server_that_is_down_opens_nothing_and_does_not_count(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        down, refused = port.EndpointDownError("unreachable"), port.SignInError("535")
        place.mailboxes["help"].faults["sign_in"] = [down, down, refused, down, refused, down, down]
        await place.looks(60)
        assert not await place.the_store.records(RecordFilter())
        assert (await place.notes()).failures == 0


async def test_one_good_poll_begins_the_count_anew(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        refused = port.SignInError("535")
        place.mailboxes["help"].faults["sign_in"] = [refused, refused, None, refused, refused, None]
        await place.looks(60)
        assert not await place.the_store.records(RecordFilter())


async def test_a_secret_that_can_not_be_read_counts_and_is_named(tmp_path: Path) -> None:
    async with office(tmp_path, settings(), **TRACKING) as place:
        place.unopened["help"] = PermissionError(13, "Permission denied", "/etc/stampline/help.password")
        await place.looks(15)
        assert "/etc/stampline/help.password" in place.mailbox_log.last("mailbox-trouble")
        del place.unopened["help"]
        await place.looks(61)
        assert (await the_record(place)).state == "closed"


async def test_restarts_change_nothing(tmp_path: Path) -> None:
    async with office(tmp_path, settings(), **TRACKING) as place:
        place.mailboxes["help"].faults["sign_in"] = port.SignInError("535")
        for _ in range(3):
            await place.looks(6)
            await place.crash()
            await place.start(settings())
        await place.looks(60)
        assert (await the_record(place)).notes == 1
        assert len(await notices(place)) == 1
        place.mailboxes["help"].faults.clear()
        await place.looks(61)
        assert (await the_record(place)).state == "closed"


@pytest.mark.parametrize("call", ["open_transaction", "take", "note_mailbox", "change"])
async def test_a_store_that_fails_in_between_makes_nothing_twice(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mta.model.reply import INTERNAL_ERROR, TemporaryError

    async with office(tmp_path, settings(), **TRACKING) as place:
        box = place.mailboxes["help"]
        box.faults["sign_in"] = port.SignInError("535")
        await place.looks(10)
        done = getattr(place.store, call)

        async def once(*given: Any) -> Any:
            monkeypatch.setattr(place.store, call, done)
            raise TemporaryError(INTERNAL_ERROR)

        if call != "change":
            monkeypatch.setattr(place.store, call, once)
        await place.looks(30)
        box.faults.clear()
        if call == "change":
            monkeypatch.setattr(place.store, call, once)
        await place.looks(120)
        record = await the_record(place)
        assert (record.state, record.notes) == ("closed", 2)
        assert len(await notices(place)) == 2


@pytest.mark.parametrize(("template", "title"), [("known", "TEMPLATE help"), ("gone", "Mailbox help can't be read")])
async def test_the_template_or_our_own_words_where_it_is_gone(template: str, title: str, tmp_path: Path) -> None:
    async with office(tmp_path, settings(trouble_template=template), **TRACKING) as place:
        place.mailboxes["help"].faults["sign_in"] = port.SignInError("535")
        await place.looks(15)
        assert (await the_record(place)).title.startswith(title)
        [(_, mail)] = await notices(place)
        assert mail["Subject"].startswith(title)
        assert place.mailbox_log.count("mailbox-template-failed") == (template == "gone")


async def test_the_broken_account_itself_where_there_is_no_other(tmp_path: Path) -> None:
    async with office(tmp_path, settings(), **{**TRACKING, "accounts": ACCOUNTS[:1]}) as place:
        place.mailboxes["help"].faults["sign_in"] = port.SignInError("535")
        await place.looks(15)
        [(account, mail)] = await notices(place)
        assert (account, mail["From"]) == ("own", "help@example.com")


async def test_without_anybody_to_tell_there_is_the_record(tmp_path: Path) -> None:
    async with office(tmp_path, settings(), modules=[{"name": "case"}, {"name": "ticket"}], trouble={
        "module": "ticket"
    }) as place:  # fmt: skip
        place.mailboxes["help"].faults["sign_in"] = port.SignInError("535")
        await place.looks(15)
        assert (await the_record(place)).transaction.module == "ticket"
        assert not await notices(place)
