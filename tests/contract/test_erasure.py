"""The port `Erasure`: what of a person goes, what stays and why, and that nothing is left in the files."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import pytest

from mta.model.address import parse_address
from mta.model.delivery import State
from mta.model.erasure import Erased, ErasedPerson, RecordsMode
from mta.model.record import AddNote, NewAttachment
from mta.model.sentitem import JobOutcome, JobState
from mta.model.tracking import Awaiting, EntryState, Intake, NewTask, TaskFilter, TaskKind, TaskOutcome, TaskState
from mta.model.transaction import Transaction
from mta.model.writeback import FiledMark, NewMark
from mta.ports.sentitem_jobs import SentItemJobs
from mta.ports.spool import Spool
from mta.ports.tracking_store import TrackingStore
from tests.contract.erasure import PERSON, OpenErasure, erased, files_with, quietly
from tests.contract.sentitem_jobs import ALL, JANE, Mail, due, one
from tests.contract.spools import EVERYTHING, LARGE, SettableClock, delivered
from tests.contract.tracking import ANN, BOB, DESK, Arrivals, create, note
from tests.spool_samples import sample_message

HIS_MAIL = b"From: Ann Lee <Ann+shop@customer.example>\r\nSubject: Secret plans\r\n\r\nSecret words\r\n"


async def conversation(arrivals: Arrivals, text: str = "Dear Ann Lee, ann@customer.example has it.") -> Transaction:
    """Ann asks, with two files, and Bob answers."""
    transaction = await arrivals.open(participants=(ANN, BOB))
    files = (NewAttachment("plan", "text/plain", b"Secret plans"), NewAttachment("large", "text/plain", LARGE + b"!"))
    asked = AddNote(
        transaction, "ann+shop@customer.example", "Ann Lee", "received", "Secret words", "<1@c>", True, files
    )
    record = create(transaction, title="Ann Lee asks", owner=BOB, mail="Ann@Customer.example", room="12")
    await arrivals.take(transaction, record, asked, message_id="<1@c>", counted=(f"{ANN} (vouched for)", BOB))
    answer = AddNote(
        transaction, BOB, "Bob", "sent", text, "<2@c>", True, (NewAttachment("hint", "text/plain", b"ok"),)
    )
    await arrivals.take(transaction, answer, message_id="<2@c>", sender=BOB, direction="sent")
    return transaction


# --- records ---------------------------------------------------------------------------------------------------------


async def test_what_others_said_stays_and_what_he_wrote_goes(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure, tmp_path: Path
) -> None:
    transaction = await conversation(arrivals)
    assert list((tmp_path / "spool" / "bodies").rglob("*.*"))
    done = await erased(open_erasure)
    assert not done.kept
    record = await tracking.record(transaction)
    assert record is not None
    token = record.requester
    assert token.startswith("erased-")
    assert (record.title, record.owner, record.fields, record.notes) == (token, BOB, {}, 1)
    (left,) = await tracking.notes(transaction)
    assert (left.author, left.text) == (BOB, f"Dear {token}, {token} has it.")
    assert [attachment.name for attachment in left.attachments] == ["hint"]
    assert await tracking.participants(transaction) == {BOB}
    assert {entry.sender for entry in await tracking.entries()} == {token, BOB}
    assert not list((tmp_path / "spool" / "bodies").rglob("*.*"))
    assert not await files_with(open_erasure, tmp_path / "spool", ANN, "shop@customer", "Ann Lee", "Secret")


async def test_words_may_stay_without_who_said_them(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure, tmp_path: Path
) -> None:
    transaction = await conversation(arrivals)
    await erased(open_erasure, RecordsMode.KEEP_TEXT)
    record = await tracking.record(transaction)
    assert record is not None
    token = record.requester
    assert (record.title, record.fields) == (f"{token} asks", {"mail": token, "room": "12"})
    asked, answer = await tracking.notes(transaction)
    assert (asked.author, asked.author_name, asked.text) == (token, token, "Secret words")
    assert not asked.attachments
    assert answer.text == f"Dear {token}, {token} has it."
    assert not await files_with(open_erasure, tmp_path / "spool", ANN, "shop@customer", "Ann Lee", "plan")


async def test_each_record_gets_a_word_of_its_own(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure
) -> None:
    tickets = [await arrivals.ticket(message_id=f"<{n}@x>") for n in range(3)]
    await erased(open_erasure, RecordsMode.KEEP_TEXT)
    records = [await tracking.record(ticket) for ticket in tickets]
    assert len({record.requester for record in records if record is not None}) == 3


async def test_a_record_of_his_alone_goes_and_his_message_is_not_taken_again(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure
) -> None:
    transaction = await arrivals.ticket()
    await arrivals.take(transaction, AddNote(transaction, "", "", "system", "A rule."), message_id="<2@x>", sender=BOB)
    done = await erased(open_erasure)
    assert done.counts["records_removed"] == 1
    assert await tracking.record(transaction) is None
    assert not await tracking.notes(transaction)
    assert not await arrivals.take(transaction, note(transaction))


async def test_a_record_about_somebody_else_stays_though_only_he_wrote(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure
) -> None:
    transaction = await arrivals.ticket(requester=BOB)
    await erased(open_erasure)
    record = await tracking.record(transaction)
    assert record is not None
    assert (record.requester, record.title, record.notes) == (BOB, "Printer", 0)


async def test_who_waits_to_be_let_in_waits_no_more(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure
) -> None:
    transaction = await arrivals.ticket(requester=BOB)
    held = AddNote(transaction, BOB, f"Ann <{ANN}>", "held", "Let me in", "<9@x>", False)
    await arrivals.take(transaction, held, message_id="<9@x>", state=EntryState.PENDING)
    await erased(open_erasure)
    assert not await tracking.entries(states=[EntryState.PENDING])
    assert "Let me in" not in [each.text for each in await tracking.notes(transaction)]


async def test_from_now_on_he_is_somebody_new(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure
) -> None:
    transaction = await conversation(arrivals)
    await erased(open_erasure)
    assert not await tracking.count_today(DESK, f"{ANN} (vouched for)", arrivals.clock.now())
    assert await tracking.count_today(DESK, BOB, arrivals.clock.now()) == 1
    again = await arrivals.open("<7@c>", participants=(ANN,))
    assert again != transaction
    assert await arrivals.take(again, create(again), note(again), message_id="<7@c>", participants=(ANN,))
    record = await tracking.record(again)
    assert record is not None
    assert record.requester == ANN
    assert await tracking.transactions_of(DESK, ["<2@c>"]) == {"<2@c>": transaction}  # others go on with theirs


async def test_a_file_of_somebody_else_that_names_him_is_told_of(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure
) -> None:
    transaction = await conversation(arrivals)
    contents = {"ann@customer.example.txt": b"x", "small": ANN.encode(), "large": LARGE + ANN.encode()}
    files = tuple(NewAttachment(name, "text/plain", data) for name, data in contents.items())
    seen = AddNote(transaction, BOB, "Bob", "sent", "See", "<3@c>", True, files)
    await arrivals.take(transaction, seen, message_id="<3@c>", sender=BOB)
    done = await erased(open_erasure)
    assert [(kept.kind, kept.name) for kept in done.kept] == [("attachment", str(transaction))]
    names = [each.name for left in await tracking.notes(transaction) for each in left.attachments]
    assert ANN not in " ".join(names)
    assert names[2:] == ["small", "large"]


async def test_a_name_that_is_given_goes_too(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure
) -> None:
    transaction = await conversation(arrivals, "Annie, see ann@customer.example")
    person = ErasedPerson.of([parse_address("ANN@customer.example")], ["Annie"])
    await erased(open_erasure, RecordsMode.KEEP_TEXT, person)
    _, answer = await tracking.notes(transaction)
    assert "Annie" not in answer.text


async def test_message_ids_that_hold_his_address_go(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure, tmp_path: Path
) -> None:
    transaction = await arrivals.ticket(message_id="<x@c>", requester=BOB)
    loose = arrivals.entry(None, f"<{ANN}>", state=EntryState.FILTERED)
    await tracking.take(Intake(loose))
    await arrivals.take(transaction, message_id=f"<{ANN.replace('@', '+1@')}>", bounced={f"<{ANN}>": "5.1.1"})
    await erased(open_erasure)
    assert not await files_with(open_erasure, tmp_path / "spool", ANN, "+1@customer")


# --- tasks -----------------------------------------------------------------------------------------------------------


async def test_what_waits_for_others_stays_and_what_has_ended_goes(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure
) -> None:
    transaction = await conversation(arrivals)
    payload = b'{"requester": "ann@customer.example"}'
    at = arrivals.clock.now()
    tasks = [
        arrivals.task("waits", transaction, payload=payload),
        arrivals.task("others", None, payload=b"{}"),
        arrivals.task("dead", transaction, payload=payload, target="other"),
        arrivals.task("of his record", transaction, payload=b"c2VjcmV0", target="third"),
        NewTask("notice", TaskKind.NOTICE, DESK, "mail", b"To: x\r\n\r\n", at, None, (ANN,)),
        NewTask("done", TaskKind.NOTICE, DESK, "done", b"To: x\r\n\r\n", at, None, (ANN,)),
        NewTask("mark", TaskKind.WRITE_BACK, DESK, ANN, b"{}", at, transaction),
    ]
    assert await tracking.add_tasks(tasks) == 7
    numbers = {task.key: task.number for task in await tracking.tasks(TaskFilter())}
    for key, state in (("dead", TaskState.DEAD), ("of his record", TaskState.DEAD), ("done", TaskState.DONE)):
        await tracking.settle_task(TaskOutcome(numbers[key], state))
    done = await erased(open_erasure)
    assert {task.key for task in await tracking.tasks(TaskFilter())} == {"waits", "others", "notice"}
    assert [(kept.kind, kept.drop) for kept in done.kept] == [
        ("task", f"stampline records drop {numbers[key]} --waiting") for key in ("waits", "notice")
    ]
    assert await tracking.drop(TaskFilter(number=numbers["waits"])) == 1
    assert not [kept for kept in (await erased(open_erasure)).kept if kept.name == str(numbers["waits"])]


@pytest.mark.parametrize("at", ["participant", "contents", "tasks", "answers", "loose_entries"])
async def test_broken_off_anywhere_the_same_once_more_finds_what_is_left(
    at: str, arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure, tmp_path: Path
) -> None:
    class BrokenOffError(Exception):
        """Such as a signal."""

    def step(what: str, rows: int) -> None:
        if what == at:
            raise BrokenOffError

    transaction = await conversation(arrivals)
    await tracking.add_tasks([arrivals.task("of his record", transaction, payload=b"U2VjcmV0")])
    [task] = await tracking.tasks(TaskFilter())
    await tracking.settle_task(TaskOutcome(task.number, TaskState.DEAD))
    early = arrivals.entry(None, "<9@x>", state=EntryState.UNMATCHED, sender=ANN)
    await tracking.take(Intake(early, awaiting=Awaiting(("<0@x>",), b"From: x@y\r\n\r\nSecret words\r\n")))
    with pytest.raises(BrokenOffError):
        await (await open_erasure()).erase(PERSON, RecordsMode.REMOVE, step)
    await erased(open_erasure)
    assert not await tracking.tasks(TaskFilter())
    assert not await files_with(open_erasure, tmp_path / "spool", ANN, "Secret", "U2VjcmV0")


async def test_the_next_of_a_line_is_due_when_the_first_has_gone(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure
) -> None:
    transaction = await conversation(arrivals)
    at = arrivals.clock.now()
    marks = [
        NewTask(f"m{n}", TaskKind.WRITE_BACK, DESK, who, b"{}", at, transaction) for n, who in enumerate((ANN, BOB))
    ]
    await tracking.add_tasks([*marks, arrivals.task("call", transaction)])
    await erased(open_erasure)
    assert [task.key for task in await arrivals.due()] == ["m1", "call"]


# --- the queue and jobs in mailboxes ---------------------------------------------------------------------------------


async def test_undelivered_mail_stays_with_the_reason_and_the_command(spool: Spool, open_erasure: OpenErasure) -> None:
    mine = sample_message(sender=ANN)
    other = sample_message(b"From: x@y\r\n\r\nFor ann@customer.example\r\n")
    names = sample_message(b"From: Ann <ann@customer.example>\r\n\r\nx\r\n", sender="list@example.com")
    large = sample_message(b"From: x@y\r\n\r\n" + LARGE + ANN.encode())
    for message in (mine, other, names, large, sample_message(b"From: x@y\r\n\r\nMary-Ann@customer.example\r\n")):
        await spool.accept(message)
    recipient = str(other.recipients[0].address)
    person = ErasedPerson.of([parse_address(ANN), parse_address(recipient)])
    done = await erased(open_erasure, person=person)
    why = {kept.name: (kept.why, kept.drop) for kept in done.kept}
    assert why[mine.queue_id] == ("undelivered mail from this person", f"stampline queue delete {mine.queue_id}")
    assert why[other.queue_id] == (
        "undelivered mail to this person", f"stampline queue delete {other.queue_id} --recipient {recipient}"
    )  # fmt: skip
    only_ann = await erased(open_erasure)
    assert {kept.name for kept in only_ann.kept} == {each.queue_id for each in (mine, other, names, large)}
    assert (await spool.count(EVERYTHING)).messages == 5


async def test_delivered_mail_leaves_nothing_in_the_files(
    spool: Spool, open_erasure: OpenErasure, tmp_path: Path
) -> None:
    for _ in range(30):
        message = sample_message(HIS_MAIL * 500, sender=ANN)
        await spool.accept(message)
        await spool.settle(delivered(message))
    assert await erased(open_erasure) == Erased()
    assert not await files_with(open_erasure, tmp_path / "spool", ANN, "Secret")


async def test_jobs_of_his_mailbox_go_with_their_bytes(
    mail: Mail, jobs: SentItemJobs, open_erasure: OpenErasure, tmp_path: Path
) -> None:
    await mail.send("<1@x>", mailbox=ANN, data=HIS_MAIL)
    await mail.send("<2@x>", mailbox=ANN, data=HIS_MAIL + LARGE)
    await mail.send("<3@x>")
    done = await erased(open_erasure)
    assert (done.counts["jobs_removed"], done.kept) == (2, ())
    assert (await one(jobs)).mailbox == JANE
    assert not await jobs.mailbox_notes([ANN])
    assert not await files_with(open_erasure, tmp_path / "spool", ANN, "shop@customer", "Secret")


async def test_a_job_of_somebody_else_is_kept_until_it_has_ended(
    mail: Mail, jobs: SentItemJobs, clock: SettableClock, open_erasure: OpenErasure, tmp_path: Path
) -> None:
    await mail.send("<1@x>", data=b"To: ann@customer.example\r\n\r\nSecret\r\n")
    waiting = await one(jobs)
    kept = (await erased(open_erasure)).kept
    assert [(each.kind, each.name, each.drop) for each in kept] == [
        ("job", waiting.id, f"stampline sentitems skip {waiting.id}")
    ]
    (leased,) = await due(jobs, clock)
    (busy,) = (await erased(open_erasure)).kept
    assert "at this moment" in busy.why
    await jobs.settle(JobOutcome(leased, JobState.GIVEN_UP, "quota"))
    assert (await erased(open_erasure)).counts == {"jobs_removed": 1}
    assert not await jobs.entries(ALL)
    assert not await files_with(open_erasure, tmp_path / "spool", ANN, "Secret")


async def test_marks_and_what_servers_said(
    mail: Mail, jobs: SentItemJobs, clock: SettableClock, open_erasure: OpenErasure
) -> None:
    at = clock.now()
    mark = FiledMark(columns={"Requester": "Änn <ann@customer.example>"})
    await jobs.add_marks(
        [NewMark(JANE, "default", "<1@x>", mark, at, at), NewMark(ANN, "default", "<1@x>", mark, at, at)]
    )
    await mail.send("<3@x>", mailbox="bob@example.com")
    leased = {job.mailbox: job for job in await due(jobs, clock)}
    for mailbox in (JANE, ANN):
        await jobs.give_back(leased[mailbox].id, clock.now())
    detail = "no access to ann@customer.example"
    await jobs.settle(
        JobOutcome(leased["bob@example.com"], JobState.WAITING, "denied", detail, clock.now() + timedelta(hours=1))
    )  # fmt: skip
    kept = (await erased(open_erasure)).kept
    assert [each.name for each in kept] == [leased[JANE].id]
    assert {job.mailbox: job.detail for job in await jobs.entries(ALL)} == {
        JANE: "", "bob@example.com": "no access to erased"
    }  # fmt: skip


# --- beside the service ----------------------------------------------------------------------------------------------


async def test_a_survey_changes_nothing(arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure) -> None:
    transaction = await conversation(arrivals)
    before = await tracking.record(transaction), await tracking.notes(transaction), await tracking.entries()
    told: list[str] = []
    done = await (await open_erasure()).survey(PERSON, RecordsMode.REMOVE, lambda what, rows: told.append(what))
    assert done.counts["notes_removed"] == 1
    assert (await tracking.record(transaction), await tracking.notes(transaction), await tracking.entries()) == before
    assert "note" in told


async def test_mail_is_accepted_while_a_person_is_erased_and_wiped(
    arrivals: Arrivals, spool: Spool, open_erasure: OpenErasure
) -> None:
    for number in range(25):
        await arrivals.ticket(message_id=f"<{number}@x>")
    erasure = await open_erasure()
    accepted = []

    async def take() -> None:
        message = sample_message()
        await spool.accept(message)
        accepted.append(message.queue_id)

    class Taking:
        """Accepts a message at each step of the erasure."""

        def __init__(self) -> None:
            self.begun = [take()]

        def __call__(self, what: str, rows: int) -> None:
            self.begun.append(take())

    taking = Taking()
    done = await erasure.erase(PERSON, RecordsMode.REMOVE, taking)
    for each in taking.begun:
        await each
    assert done.counts["records_removed"] == 25
    assert (await erasure.wipe(anyhow=True)).is_rewritten
    await take()
    queued = await spool.entries(EVERYTHING)
    assert {entry.queue_id for entry in queued} == set(accepted)
    assert all(entry.deliveries[0].state is State.QUEUED for entry in queued)


async def test_an_answer_that_came_too_early_goes_if_it_is_his(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure, tmp_path: Path
) -> None:
    colleague = b"From: Bob <bob@customer.example>\r\nTo: Ann <ann@customer.example>\r\n\r\nIt works.\r\n"
    mails = {"<1@x>": HIS_MAIL, "<2@x>": HIS_MAIL + LARGE, "<3@x>": colleague, "<4@x>": b"From: x@y\r\n\r\nHi\r\n"}
    for message_id, data in mails.items():
        sender = ANN if data == HIS_MAIL else ""
        entry = arrivals.entry(None, message_id, state=EntryState.UNMATCHED, sender=sender)
        assert await tracking.take(Intake(entry, awaiting=Awaiting(("<0@x>",), data)))
    done = await erased(open_erasure)
    assert done.counts["answers_removed"] == 2
    assert [(kept.kind, kept.name) for kept in done.kept] == [("answer", "id:<3@x>")]
    assert not await files_with(open_erasure, tmp_path / "spool", "Secret", "shop@customer")


async def test_no_body_is_read_while_mail_waits(
    mail: Mail, jobs: SentItemJobs, arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure,
    clock: SettableClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await mail.send("<1@x>", data=b"To: ann@customer.example\r\n\r\n" + LARGE)
    (leased,) = await due(jobs, clock)
    await jobs.settle(JobOutcome(leased, JobState.GIVEN_UP, "quota"))
    transaction = await arrivals.open()
    await tracking.add_tasks([arrivals.task("dead", transaction, payload=b'"ann@customer.example' + LARGE + b'"')])
    [task] = await tracking.tasks(TaskFilter())
    await tracking.settle_task(TaskOutcome(task.number, TaskState.DEAD))
    early = arrivals.entry(None, "<2@x>", state=EntryState.UNMATCHED, sender="")
    await tracking.take(Intake(early, awaiting=Awaiting(("<0@x>",), HIS_MAIL + LARGE)))
    readers: set[str] = set()
    opened: Callable[..., IO[Any]] = Path.open

    def watched(path: Path, *args: Any, **named: Any) -> IO[Any]:
        if "bodies" in path.parts:
            readers.add(threading.current_thread().name)
        return opened(path, *args, **named)

    erasure = await open_erasure()
    monkeypatch.setattr(Path, "open", watched)
    done = await erasure.erase(PERSON, RecordsMode.REMOVE, quietly)
    assert (done.counts["jobs_removed"], done.counts["tasks_removed"], done.counts["answers_removed"]) == (1, 1, 1)
    assert readers
    assert "spool-writer" not in readers


async def test_an_answer_that_comes_meanwhile_is_not_taken_for_the_one_that_went(
    arrivals: Arrivals, tracking: TrackingStore, open_erasure: OpenErasure, monkeypatch: pytest.MonkeyPatch
) -> None:
    colleague = b"From: Bob <bob@customer.example>\r\nTo: Ann <ann@customer.example>\r\n\r\nIt works.\r\n"

    async def take(message_id: str, data: bytes) -> None:
        entry = arrivals.entry(None, message_id, state=EntryState.UNMATCHED, sender="")
        assert await tracking.take(Intake(entry, awaiting=Awaiting(("<0@x>",), data)))

    async def swap() -> None:
        """His is taken after all, and somebody else's comes."""
        await tracking.let_go(DESK, "id:<1@x>")
        await take("<2@x>", colleague)

    await take("<1@x>", HIS_MAIL + LARGE)
    loop, opened, swaps = asyncio.get_running_loop(), Path.open, [swap]

    def meanwhile(path: Path, *args: Any, **named: Any) -> IO[Any]:
        file: IO[Any] = opened(path, *args, **named)
        if "bodies" in path.parts and swaps:
            asyncio.run_coroutine_threadsafe(swaps.pop()(), loop).result()
        return file

    monkeypatch.setattr(Path, "open", meanwhile)
    await (await open_erasure()).erase(PERSON, RecordsMode.REMOVE, quietly)
    assert not swaps
    assert [(kept.kind, kept.name) for kept in (await erased(open_erasure)).kept] == [("answer", "id:<2@x>")]
