"""The business rules that come with the project, from the message to records and mails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from mta.message.notice import is_notice_id
from mta.message.reference import references_in
from mta.model.person import Person
from mta.model.record import UpdateRecord
from mta.model.tracking import EntryState, Intake
from mta.model.transaction import Opening
from tests.unit.tracking.record.rule_desk import DESK_RULES, JANE, RuleDesk, rule_desk
from tests.unit.tracking.scene import AGENT, ANNA, DOMAIN, KEY, MALLORY, NOW, SUPPORT, Conversation, CopyOf, Scene, mail


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RuleDesk]:
    async with rule_desk(tmp_path, DESK_RULES) as opened:
        yield opened


async def test_new_mail_opens_a_ticket_and_tells_sender_and_owner(desk: RuleDesk) -> None:
    taken = await desk.take(mail())
    record = await desk.record()
    assert (taken.state, taken.transaction) == (EntryState.JOINED, record.transaction)
    assert (record.title, record.requester, record.owner, record.state) == ("Printer", ANNA, AGENT, "open")
    (note,) = await desk.notes()
    assert (note.kind, note.text, note.is_public) == ("received", "The printer still prints nothing.", True)
    to_sender, to_owner = await desk.mails()
    assert (to_sender["to"], to_sender["from"]) == (ANNA, SUPPORT)
    assert to_owner["to"] == f"Jane Doe <{AGENT}>"
    assert to_sender["subject"] == "[Ticket - 000001] Printer"
    assert to_sender["auto-submitted"] == "auto-replied"
    assert to_owner["auto-submitted"] == "auto-generated"
    assert to_sender["in-reply-to"] == "<new-1@customer.example.net>"
    assert is_notice_id(to_sender["message-id"], [KEY], "Example")
    assert list(references_in(to_sender["references"], [KEY], "Example")) == [record.transaction]
    assert "https://help.example.com/ticket/1" in to_sender.get_content()
    assert "https://desk.example.com/ticket/000001" in to_owner.get_content()
    assert await desk.store.participants(record.transaction) == {ANNA, AGENT}


async def test_an_answer_is_a_note_and_tells_the_owner_only(desk: RuleDesk) -> None:
    await desk.take(mail())
    acknowledged = (await desk.mails())[0]
    await desk.take(
        mail(
            subject="quite another subject", message_id="<2@customer.example.net>", body="It works again.\r\n",
            in_reply_to=str(acknowledged["message-id"]), references=str(acknowledged["references"]),
        )
    )  # fmt: skip
    assert [note.text for note in await desk.notes()] == ["The printer still prints nothing.", "It works again."]
    assert [mail["to"] for mail in await desk.mails()] == [ANNA, f"Jane Doe <{AGENT}>", f"Jane Doe <{AGENT}>"]


async def test_an_answer_that_names_nothing_but_our_notice_is_recognised(desk: RuleDesk) -> None:
    await desk.take(mail())
    acknowledged = (await desk.mails())[0]
    answer = mail(message_id="<2@customer.example.net>", subject="x", in_reply_to=str(acknowledged["message-id"]))
    assert (await desk.take(answer)).transaction == (await desk.record()).transaction


async def test_an_answer_opens_a_closed_ticket_again(desk: RuleDesk) -> None:
    taken = await desk.take(mail())
    record = await desk.record()
    entry = await desk.entry(taken.key)
    await desk.store.change("closing", Intake(entry, changes=(UpdateRecord(record.transaction, state="closed"),)))
    assert (await desk.record()).closed_at is not None
    await desk.take(mail(message_id="<2@customer.example.net>", references="<new-1@customer.example.net>"))
    assert ((await desk.record()).state, (await desk.record()).closed_at) == ("open", None)


async def test_the_same_message_again_does_nothing(desk: RuleDesk) -> None:
    await desk.take(mail())
    assert not (await desk.take(mail())).is_new
    assert len(await desk.notes()) == 1
    assert len(await desk.mails()) == 2


async def test_a_stranger_with_a_reference_is_held_and_the_owner_told_once_a_day(desk: RuleDesk) -> None:
    await desk.take(mail())
    reference = (await desk.mails())[0]["references"].split()[-1]
    for number in (1, 2):
        taken = await desk.take(
            mail(
                f"M <{MALLORY}>",
                message_id=f"<m{number}@x.example.org>",
                references=reference,
                body="Give me the key\r\n",
            )
        )
        assert taken.state is EntryState.PENDING
    record = await desk.record()
    assert MALLORY not in await desk.store.participants(record.transaction)
    held = (await desk.notes())[1:]
    assert [(note.kind, note.is_public, note.author, note.author_name) for note in held] == [
        ("held", False, AGENT, f"M <{MALLORY}>")
    ] * 2
    assert [note.text for note in held] == ["Give me the key"] * 2
    told = (await desk.mails())[2:]
    assert [each["to"] for each in told] == [f"Jane Doe <{AGENT}>"]
    assert "stampline records accept 'id:<m1@x.example.org>:" in told[0].get_content()
    assert MALLORY not in {each["to"] for each in await desk.mails()}
    desk.now += timedelta(days=1)
    await desk.take(mail(MALLORY, message_id="<m3@x.example.org>", references=reference))
    assert "stampline records accept 'id:<m3@x.example.org>:" in (await desk.mails())[-1].get_content()
    assert len(await desk.mails()) == 4


async def test_who_was_let_in_takes_part(desk: RuleDesk) -> None:
    await desk.take(mail())
    reference = (await desk.mails())[0]["references"].split()[-1]
    taken = await desk.take(mail(MALLORY, message_id="<m1@x.example.org>", references=reference))
    desk.now += timedelta(seconds=1)
    await desk.take(mail("other@x.example.org", message_id="<m1@x.example.org>", references=reference))
    assert await desk.store.accept_pending("Example", taken.key) is not None
    again = await desk.take(mail(MALLORY, message_id="<m2@x.example.org>", references=reference))
    assert again.state is EntryState.JOINED
    said = [(note.kind, note.is_public, note.author) for note in await desk.notes()]
    assert said == [
        ("received", True, ANNA), ("received", True, MALLORY), ("held", False, AGENT), ("received", True, MALLORY),
    ]  # fmt: skip


async def test_what_one_of_us_sent_is_a_note_and_nobody_is_told(desk: RuleDesk) -> None:
    await desk.take(mail())
    before = len(await desk.mails())
    answer = mail(
        f"Jane <{AGENT}>", to=ANNA, message_id="<s1@desk.example.com>", body="We look at it.\r\n",
        references="<new-1@customer.example.net>",
    )  # fmt: skip
    scene = Scene(desk.store, "Example", conversations={"printer": (await desk.record()).transaction})
    taken = await desk.take(scene.copied(answer, CopyOf("printer", "sent", by=AGENT)))
    assert taken.state is EntryState.JOINED
    assert [(note.kind, note.author) for note in await desk.notes()] == [("received", ANNA), ("sent", AGENT)]
    assert len(await desk.mails()) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"auto_submitted": "auto-replied"},
        {"precedence": "bulk"},
        {"x_auto_response_suppress": "All", "auto_submitted": "auto-generated"},
    ],
)
async def test_no_mail_answers_what_a_program_wrote(desk: RuleDesk, fields: dict[str, str]) -> None:
    desk.equip(settings=desk.desk.settings.model_copy(
        update={"filters": desk.desk.settings.filters.model_copy(update={"automatic": "take"})}
    ))  # fmt: skip
    await desk.take(mail(message_id="<a@x.example>", **fields))
    assert await desk.mails() == []
    assert await desk.records() == []


@pytest.mark.parametrize(
    "sender", ["no-reply@shop.example", "owner-list@lists.example", f"Support <{SUPPORT}>", "tracking@desk.example.com"]
)
async def test_nobody_writes_to_programs_or_to_our_own_mailboxes(desk: RuleDesk, sender: str) -> None:
    await desk.take(mail(sender, message_id="<a@x.example>"))
    assert all(AGENT in each["to"] for each in await desk.mails())


async def test_mail_that_asks_for_no_answers_opens_a_ticket_and_gets_none(desk: RuleDesk) -> None:
    await desk.take(mail(x_auto_response_suppress="OOF, AutoReply"))
    assert len(await desk.records()) == 1
    assert [each["to"] for each in await desk.mails()] == [f"Jane Doe <{AGENT}>"]


async def test_a_forged_sender_gets_no_answer(desk: RuleDesk) -> None:
    verdict = "Authentication-Results: mx.desk.example.com; dmarc=fail header.from=customer.example.net\r\n"
    forged = verdict.encode() + mail()
    await desk.take(forged)
    record = await desk.record()
    assert ANNA not in await desk.store.participants(record.transaction)
    assert [each["auto-submitted"] for each in await desk.mails()] == ["auto-generated"]


async def test_a_copys_proof_counts_once(desk: RuleDesk) -> None:
    """Whoever gets hold of a copy can put other words into it, and Exchange may write the message inside anew."""
    await desk.take(mail())
    scene = Scene(desk.store, "Example", conversations={"printer": (await desk.record()).transaction})
    sent = mail(f"Jane <{AGENT}>", to=ANNA, message_id="<s1@desk.example.com>", body="We look at it.\r\n")
    copy = scene.copied(sent, CopyOf("printer", "sent"))
    rebuilt = copy.replace(b"We look at it.\r\n", b"We look at it.  \r\n")
    assert (await desk.take(rebuilt)).reason == "tracked-copy"
    assert (await desk.take(copy)).is_new is False
    for written, other in ((b"Jane <jane@", b"Mallory <mallory@"), (b"11:00:00", b"11:00:01")):
        replayed = copy.replace(b"We look at it.", b"Pay to this account.").replace(written, other)
        assert (await desk.take(replayed)).state is EntryState.PENDING
    assert [note.kind for note in await desk.notes()] == ["received", "sent", "held", "held"]


async def test_our_own_notice_that_comes_back_is_a_loop(desk: RuleDesk) -> None:
    await desk.take(mail())
    notice = (await desk.tasks())[0].payload
    assert (await desk.take(notice)).state is EntryState.LOOP
    assert (len(await desk.notes()), len(await desk.mails())) == (1, 2)


async def test_what_one_of_us_wrote_first_opens_a_ticket_about_the_customer(desk: RuleDesk) -> None:
    transaction = await desk.store.open_transaction(Opening("Example", "ticket", "<s@x>", NOW, None, (AGENT,)))
    first = mail(
        f"Jane <{AGENT}>", to=f"boss@{DOMAIN}, {ANNA}", message_id="<s1@desk.example.com>", subject="Your order"
    )
    scene = Scene(desk.store, "Example", conversations={"order": transaction})
    taken = await desk.take(scene.copied(first, CopyOf("order", "sent", by=AGENT)))
    record = await desk.record()
    assert (taken.transaction, record.transaction) == (transaction, transaction)
    assert (record.requester, record.owner, record.title) == (ANNA, AGENT, "Your order")
    assert [note.kind for note in await desk.notes()] == ["sent"]
    assert await desk.mails() == []


async def test_what_staff_answers_goes_to_the_requester_once(desk: RuleDesk) -> None:
    await desk.take(mail())
    answers = {"references": "<new-1@customer.example.net>", "body": "We look at it.\r\n"}
    await desk.take(mail(AGENT, message_id="<3@desk.example.com>", **answers))
    await desk.take(mail(AGENT, message_id="<4@desk.example.com>", to=f"{SUPPORT}, {ANNA}", **answers))
    told = (await desk.mails())[2:]
    assert [each["to"] for each in told] == [ANNA]
    assert "Jane Doe wrote:\r\n> We look at it." in told[0].get_content()


async def test_mail_without_a_sender_opens_a_ticket_of_nobody(desk: RuleDesk) -> None:
    await desk.take(mail("", message_id=None, subject=""))
    record = await desk.record()
    assert (record.title, record.requester) == ("(no subject)", "")
    assert [each["to"] for each in await desk.mails()] == [f"Jane Doe <{AGENT}>"]


async def test_a_bounce_is_a_note_for_staff_and_marks_what_failed(desk: RuleDesk) -> None:
    await desk.take(mail())
    transaction = (await desk.record()).transaction
    scene = Scene(desk.store, "Example", conversations={"printer": transaction})
    sent = mail(f"Jane <{AGENT}>", to=ANNA, message_id="<s1@x.example>", references="<new-1@customer.example.net>")
    await desk.take(scene.copied(sent, CopyOf("printer", "sent", by=AGENT)))
    before = len(await desk.mails())
    report = (
        "--b\r\nContent-Type: text/plain\r\n\r\nIt failed.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; x.example\r\n\r\nFinal-Recipient: rfc822; {ANNA}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" + sent.decode() + "\r\n--b--\r\n"
    )
    fields = {"content_type": 'multipart/report; report-type=delivery-status; boundary="b"', "return_path": "<>"}
    taken = await desk.take(mail("mailer-daemon@x.example", message_id="<b@x.example>", body=report, **fields))
    assert (taken.state, taken.transaction) == (EntryState.REPORT, transaction)
    note = (await desk.notes())[-1]
    assert (note.kind, note.is_public) == ("bounce", False)
    failed = await desk.store.entry_of_message("Example", "<s1@x.example>")
    assert failed is not None
    assert failed.failed == "5.1.1"
    assert len(await desk.mails()) == before


async def test_a_title_has_neither_our_own_token_nor_a_replys_prefix(desk: RuleDesk) -> None:
    """The relay put the token there before the record was; what another record's token says stays to be seen."""
    scene = Scene(desk.store, "Example")
    opened = await scene.begin("printer", Conversation())
    subject = f"Re: [Ticket - {opened.number:06}] Printer"
    sent = mail(f"Jane <{AGENT}>", to=ANNA, subject=subject, in_reply_to="<u@x.example>")
    await desk.take(scene.copied(sent, CopyOf("printer", "sent", by=AGENT)))
    assert (await desk.record()).title == "Printer"
    await desk.take(mail(MALLORY, message_id="<2@x.example>", subject=subject))
    assert {record.title for record in await desk.records()} == {"Printer", subject}


async def test_a_bounce_that_says_only_the_id_of_our_notice_finds_the_record(desk: RuleDesk) -> None:
    await desk.take(mail())
    notice = (await desk.mails())[0]
    report = (
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; x.example\r\n\r\nFinal-Recipient: rfc822; {ANNA}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        f"\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {notice['message-id']}\r\n\r\n--b--\r\n"
    )
    fields = {"content_type": 'multipart/report; report-type=delivery-status; boundary="b"', "return_path": "<>"}
    taken = await desk.take(mail("mailer-daemon@x.example", message_id="<b@x.example>", body=report, **fields))
    assert (taken.state, taken.transaction) == (EntryState.REPORT, (await desk.record()).transaction)
    assert (await desk.notes())[-1].kind == "bounce"


async def test_notices_have_the_desks_name_and_may_bounce(tmp_path: Path) -> None:
    named = Person(SUPPORT, attributes={"displayName": "Service Desk"})
    async with rule_desk(tmp_path, DESK_RULES, people=[JANE, named]) as opened:
        await opened.take(mail())
        (first, _) = await opened.mails()
    assert first["from"] == f"Service Desk <{SUPPORT}>"
    suppressed = {each.strip() for each in first["x-auto-response-suppress"].split(",")}
    assert suppressed == {"DR", "RN", "NRN", "OOF", "AutoReply"}


async def test_an_encrypted_message_is_kept_and_says_why_it_has_no_words(desk: RuleDesk) -> None:
    await desk.take(
        mail(content_type="application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", body="MIIB\r\n")
    )
    (note,) = await desk.notes()
    assert note.text.startswith("(encrypted")
    assert [each.name for each in note.attachments] == ["smime.p7m"]


FORWARDED = (
    "Please see to it.\r\n\r\n-----Original Message-----\r\nFrom: Kim <kim@elsewhere.example>\r\n"
    "Sent: Sunday, 22 November 2026 10:00\r\nTo: anna@customer.example.net\r\nSubject: Printer\r\n\r\nIt smokes.\r\n"
)


@pytest.mark.parametrize("answered", ["", "<never-seen@x.example>"])
async def test_what_the_desk_has_nothing_of_is_kept_whole(desk: RuleDesk, answered: str) -> None:
    """Somebody forwards a mail to the desk, or takes it into a thread that it never got."""
    await desk.take(mail(body=FORWARDED, in_reply_to=answered, subject="Re: Printer" if answered else "FW: Printer"))
    (first,) = await desk.notes()
    assert first.text.startswith("Please see to it.")
    assert first.text.endswith("It smokes.")
    acknowledged = (await desk.mails())[0]
    again = mail(
        message_id="<2@customer.example.net>", in_reply_to=str(acknowledged["message-id"]), subject="Re: Printer",
        body=FORWARDED.replace("Kim <kim@elsewhere.example>", SUPPORT),
    )  # fmt: skip
    await desk.take(again)
    assert (await desk.notes())[-1].text == "Please see to it."


async def test_staffs_answer_goes_to_the_requester_whole(desk: RuleDesk) -> None:
    """A paragraph is one line in the mail of most programs; files stay where the record is, and are named."""
    await desk.take(mail())
    reference = (await desk.mails())[0]["references"].split()[-1]
    paragraph = " ".join(f"word{number}" for number in range(600))
    body = (
        f"--b\r\nContent-Type: text/plain\r\n\r\n{paragraph}\r\n"
        "--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=steps.txt\r\n\r\nx\r\n--b--\r\n"
    )
    await desk.take(
        mail(
            f"Jane <{AGENT}>", message_id="<a@desk.example.com>", references=reference, body=body,
            content_type="multipart/mixed; boundary=b",
        )
    )  # fmt: skip
    answer = (await desk.mails())[-1]
    assert answer["to"] == ANNA
    words = answer.get_content().replace("> ", "").split()
    assert [word for word in words if word.startswith("word")] == paragraph.split()
    assert "steps.txt" in words
