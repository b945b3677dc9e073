"""What each condition and action of business rules does, from the message to the store."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.person import Person
from mta.model.reply import INTERNAL_ERROR, TemporaryError
from mta.model.tracking import EntryState, TaskKind
from mta.tracking.dry_run import dry_run
from tests.unit.tracking.record.rule_desk import JANE, Templates, rule_desk
from tests.unit.tracking.scene import AGENT, ANNA, MALLORY, SUPPORT, mail

CREATE = "rules:\n- {name: new, when: {outcome: new}, actions: [create, note]}\n"


def with_files(*files: str, body: str = "See the files.") -> bytes:
    """`name|content type|content`, or the same with `|cid` for a picture in the text."""
    parts = [f"Content-Type: text/plain\r\n\r\n{body}\r\n"]
    for file in files:
        name, content_type, content, *cid = file.split("|")
        shown = f"inline\r\nContent-ID: <{cid[0]}>" if cid else "attachment"
        parts.append(
            f'Content-Type: {content_type}; name="{name}"\r\nContent-Disposition: {shown}\r\n\r\n{content}\r\n'
        )
    whole = "".join(f"--b\r\n{part}" for part in parts) + "--b--\r\n"
    return mail(body=whole, content_type='multipart/mixed; boundary="b"')


# --- conditions -------------------------------------------------------------------------------------------------------

QUOTING = "Yes.\r\n\r\nOn Mon, 2 Nov 2026 at 10:00, Bob wrote:\r\n> quoted\r\n"
CONDITIONS = [
    ("{kind: new}", {}, True),
    ("{kind: reply}", {}, False),
    ("{kind: reply}", {"in_reply_to": "<other@x.example>"}, True),
    ("{outcome: joined}", {}, False),
    ("{direction: sent}", {}, False),
    ("{direction: received}", {}, True),
    ("{mailbox: support}", {}, True),
    ("{sender: '*@customer.example.net'}", {}, True),
    ("{sender: {domain: other.example}}", {}, False),
    ("{sender: {known: false}}", {}, True),
    ("{sender: {role: technician}}", {"sender": AGENT}, True),
    ("{sender: {group: HelpDesk}}", {"sender": AGENT}, True),
    ("{sender: {group: helpdesk}}", {}, False),
    ("{sender: {role: unknown}}", {"sender": AGENT}, False),
    ("{sender: {takes_part: true}}", {}, False),
    ("{sender: {authenticated: true}}", {}, False),
    ("{recipient: 'support@*'}", {}, True),
    ("{recipient: {domain: other.example}}", {}, False),
    ("{subject: prin*r}", {}, True),
    ("{subject: {keywords: [print]}}", {}, False),
    ("{subject: {regex: '^Pri'}}", {}, True),
    ("{subject: {empty: true}}", {"subject": ""}, True),
    ("{body: still prints nothing}", {}, True),
    ("{body: {regex: 'quoted'}}", {"body": QUOTING}, False),
    ("{body: {regex: 'quoted', within: whole}}", {"body": QUOTING}, True),
    ("{size: {over: 1MB}}", {}, False),
    ("{attachment: {any: false}}", {}, True),
    ("{record: missing}", {}, True),
    ("{not: {subject: printer}}", {}, False),
    ("{any: [{subject: x}, {body: nothing}]}", {}, True),
    ("{all: [{subject: printer}, {body: x}]}", {}, False),
]


async def test_each_condition_holds_or_not(tmp_path: Path) -> None:
    written = [
        f"- {{name: r{n}, mode: audit, when: {when}, actions: [create]}}\n" for n, (when, _, _) in enumerate(CONDITIONS)
    ]
    async with rule_desk(tmp_path, "rules:\n" + "".join(written)) as desk:
        found = []
        for n, (when, fields, _) in enumerate(CONDITIONS):
            run = await dry_run(mail(**fields), desk.desk.settings.mailboxes[0], desk.desk, desk.store, desk.now)
            assert run.worked is not None
            step = next(step for step in run.worked.steps if step.rule == f"r{n}")
            assert step.test
            found.append((when, fields, step.matched))
    assert found == CONDITIONS


async def test_a_sender_who_failed_to_prove_himself_is_nobody_that_we_know(tmp_path: Path) -> None:
    rules = "rules:\n- {name: a, when: {sender: {group: helpdesk}}, actions: [create]}\n"
    async with rule_desk(tmp_path, rules) as desk:
        verdict = b"Authentication-Results: mx.desk.example.com; dmarc=fail header.from=desk.example.com\r\n"
        await desk.take(verdict + mail(AGENT))
        assert await desk.records() == []


async def test_stop_ends_the_walk_and_later_rules_see_what_earlier_ones_did(tmp_path: Path) -> None:
    rules = """rules:
- {name: new, actions: [{create: {state: waiting}}]}
- {name: seen, when: {state: waiting, unassigned: false}, actions: [{update: {fields: {seen: "yes"}}}]}
- {name: fields, when: {field: {name: seen, equals: "YES"}}, actions: [{update: {title: Stopped}}], on_match: stop}
- {name: never, actions: [delete]}
"""
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        record = await desk.record()
        assert (record.title, record.state, record.fields, record.is_deleted) == (
            "Stopped", "waiting", {"seen": "yes"}, False
        )  # fmt: skip


async def test_a_rule_in_audit_does_nothing(tmp_path: Path) -> None:
    async with rule_desk(tmp_path, "rules:\n- {name: a, mode: audit, actions: [create, note]}\n") as desk:
        assert (await desk.take(mail())).state is EntryState.UNMATCHED
        assert await desk.records() == []


# --- records ----------------------------------------------------------------------------------------------------------


async def test_what_was_begun_and_not_taken_makes_its_record_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the process dies after it has opened the conversation."""

    async def full(*given: object) -> None:
        raise TemporaryError(INTERNAL_ERROR)

    async with rule_desk(tmp_path, CREATE.replace("note]", "note, {notify: requester}]")) as desk:
        with monkeypatch.context() as patched:
            patched.setattr(desk.store, "take", full)
            with pytest.raises(TemporaryError):
                await desk.take(mail())
        taken = await desk.take(mail())
        record = await desk.record()
        assert (taken.state, record.transaction.number, record.requester) == (EntryState.JOINED, 1, ANNA)
        assert len(await desk.mails()) == len(await desk.notes()) == 1


async def test_a_record_has_what_the_rule_says(tmp_path: Path) -> None:
    rules = """rules:
- name: new
  actions:
    - create:
        module: case
        title: "{sender_name}: {subject}"
        requester: "{sender}"
        owner: boss@desk.example.com
        state: waiting
        source: web
        fields: {by: "{mailbox}", nothing: "{fields.other}"}
"""
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail(subject="=?utf-8?q?Dr=C3=BCcker?="))
        record = await desk.record()
        assert str(record.transaction) == "case-1"
        assert (record.title, record.requester, record.owner) == ("Anna: Drücker", ANNA, "boss@desk.example.com")
        assert (record.state, record.source, record.fields) == ("waiting", "web", {"by": "support"})


async def test_a_long_subject_is_cut_and_kept_whole_in_the_note(tmp_path: Path) -> None:
    subject = "Printer " + "x" * 400
    async with rule_desk(tmp_path, CREATE) as desk:
        await desk.take(mail(subject=subject))
        title = (await desk.record()).title
        assert (len(title), title[-1]) == (255, "…")
        assert (await desk.notes())[0].text.startswith(f"Subject: {subject}\n\nThe printer")


async def test_close_reopen_and_delete(tmp_path: Path) -> None:
    rules = """rules:
- {name: new, when: {outcome: new}, actions: [create, note]}
- {name: closes, when: {body: done}, actions: [close]}
- {name: opens, when: {body: again}, actions: [reopen]}
- {name: deletes, when: {body: away}, actions: [delete]}
"""
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        states = []
        for number, body in enumerate(("done", "nothing", "again", "away", "again")):
            references = {"references": "<new-1@customer.example.net>", "message_id": f"<{number}@x.example.net>"}
            await desk.take(mail(body=f"{body}\r\n", **references))
            record = await desk.record()
            states.append((record.state, record.closed_at is not None, record.is_deleted))
        assert states == [
            ("closed", True, False), ("closed", True, False), ("open", False, False), ("open", False, True),
            ("open", False, True),
        ]  # fmt: skip
        assert [note.text for note in await desk.notes()][-1] == "again"  # nobody's words are lost


async def test_an_answer_to_a_deleted_record_makes_it_anew_where_a_rule_says_so(tmp_path: Path) -> None:
    rules = """rules:
- {name: new, when: {outcome: new}, actions: [create, note]}
- {name: deletes, when: {body: away}, actions: [delete, note, create]}
- {name: late, when: {outcome: joined, record: missing}, actions: [create, note, {notify: {to: requester}}]}
"""
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        answer = {"references": "<new-1@customer.example.net>"}
        await desk.take(mail(body="away\r\n", message_id="<1@x.example.net>", **answer))
        assert (await desk.record()).is_deleted  # what one message's rules delete, none of them makes again
        await desk.take(mail(subject="Re: it", body="Hello?\r\n", message_id="<2@x.example.net>", **answer))
        record = await desk.record()
        assert (record.is_deleted, record.state, record.title) == (False, "open", "it")
        assert [note.text for note in await desk.notes()] == ["The printer still prints nothing.", "Hello?"]


async def test_fields_come_from_lines_and_regexes(tmp_path: Path) -> None:
    rules = r"""rules:
- name: new
  actions:
    - create: {fields: {priority: low}}
    - read-fields: {lines: [Order number, Priority, Room], length: 12}
    - read-fields: {regex: 'Printer (?P<model>[A-Z]+)(?P<year>[0-9]{4})?', within: subject}
    - read-fields: {lines: {Priority: priority}, keep: true}
"""
    body = (
        "Order number:  42 \r\n  PRIORITY : high\r\nRoom:\r\nSecret: x\r\nRoom: a\x1b[31m very long name of a room\r\n"
        "\r\n> Order number: 7\r\n"
    )
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail(subject="Printer LX is broken", body=body))
        fields = (await desk.record()).fields
        assert fields == {"priority": "high", "order_number": "42", "room": "a\N{REPLACEMENT CHARACTER}[31m very…",
            "model": "LX"}  # fmt: skip


async def test_a_fields_name_keeps_the_letters_of_its_line_in_plain_form(tmp_path: Path) -> None:
    rules = "rules: [{name: new, actions: [create, {read-fields: [Größe, Numéro de série]}]}]"
    body = "Gr=C3=B6=C3=9Fe: XL\r\nNum=C3=A9ro de s=C3=A9rie : 12\r\n"
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(
            mail(body=body, content_type="text/plain; charset=utf-8", content_transfer_encoding="quoted-printable")
        )
        assert (await desk.record()).fields == {"grosse": "XL", "numero_de_serie": "12"}


async def test_what_correlation_left_as_new_and_no_rule_opens_is_unmatched(tmp_path: Path) -> None:
    async with rule_desk(tmp_path, "rules: []") as desk:
        taken = await desk.take(mail())
        assert (taken.state, taken.reason, taken.transaction) == (EntryState.UNMATCHED, "no-reference", None)


# --- notes ------------------------------------------------------------------------------------------------------------


async def test_a_message_of_a_conversation_is_noted_though_no_rule_says_so(tmp_path: Path) -> None:
    rules = "rules:\n- {name: new, when: {outcome: new}, actions: [create, note]}\n"
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        await desk.take(mail(message_id="<2@x.example>", references="<new-1@customer.example.net>", body="More\r\n"))
        assert [note.text for note in await desk.notes()] == ["The printer still prints nothing.", "More"]


async def test_a_rule_that_matches_without_a_note_makes_none(tmp_path: Path) -> None:
    rules = CREATE + "- {name: quiet, when: {outcome: joined}, actions: [{update: {fields: {a: b}}}]}\n"
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        await desk.take(mail(message_id="<2@x.example>", references="<new-1@customer.example.net>"))
        assert len(await desk.notes()) == 1


async def test_an_action_that_fails_loses_neither_the_others_nor_the_message(tmp_path: Path) -> None:
    rules = CREATE + (
        "- {name: bad, when: {outcome: joined}, actions: [{update: {owner: '{subject}'}}, "
        "{update: {fields: {a: b}}}]}\n"
    )
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        await desk.take(mail(message_id="<2@x.example>", references="<new-1@customer.example.net>", body="More\r\n"))
        assert (await desk.record()).fields == {"a": "b"}
        assert (await desk.record()).owner == AGENT
        assert [note.text for note in await desk.notes()][1] == "More"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "(no text)"),
        ("   \r\n", "(no text)"),
        ("Hello\r\n\r\nOn Mon, 1 Jan 2026, Bob wrote:\r\n> old\r\n", "Hello"),
        ("> only\r\n> quoted\r\n", "> only\n> quoted"),
        ("a\x1b[31mb\r\n", "a\N{REPLACEMENT CHARACTER}[31mb"),
    ],
)
async def test_a_note_says_what_was_written_now(tmp_path: Path, body: str, text: str) -> None:
    async with rule_desk(tmp_path, CREATE) as desk:
        await desk.take(mail(body=body))
        assert [note.text for note in await desk.notes()] == [text]


async def test_a_note_is_the_mapped_persons_else_the_owners(tmp_path: Path) -> None:
    anna = Person("anna@example.com", frozenset({ANNA}), {"displayName": "Anna A."})
    async with rule_desk(tmp_path, CREATE, people=[anna, JANE]) as desk:
        await desk.take(mail())
        (note,) = await desk.notes()
        assert (note.author, note.author_name) == ("anna@example.com", "Anna A.")
    rules = "rules:\n- {name: new, actions: [{create: {requester: boss@example.com}}, note]}\n"
    async with rule_desk(tmp_path / "other", rules) as desk:
        await desk.take(mail(f"M <{MALLORY}>"))
        (note,) = await desk.notes()
        assert (note.author, note.author_name) == (AGENT, f"M <{MALLORY}>")


async def test_files_are_kept_and_restricted_ones_named(tmp_path: Path) -> None:
    async with rule_desk(tmp_path, CREATE) as desk:
        await desk.take(
            with_files(
                "a.txt|text/plain|one", "a.txt|text/plain|one", "b.txt|text/plain|two", "run.EXE|text/plain|harmless",
                "photo.jpg|image/jpeg|MZ program", "../../etc/x.txt|text/plain|three",
            )
        )  # fmt: skip
        (note,) = await desk.notes()
        assert [file.name for file in note.attachments] == ["a.txt", "b.txt", "x.txt"]
        assert note.text == (
            "See the files.\n\nAttachments left out:\n- run.EXE: .exe is restricted\n- photo.jpg: program is restricted"
        )
        assert await desk.store.attachment(note.attachments[0]) == b"one"


async def test_a_picture_of_the_text_is_kept_once_for_a_record(tmp_path: Path) -> None:
    logo = "logo.png|image/png|picture|logo@x"
    async with rule_desk(tmp_path, CREATE) as desk:
        await desk.take(with_files(logo))
        answer = with_files(logo, "new.png|image/png|another|new@x")
        await desk.take(
            answer.replace(b"<new-1@", b"<new-2@").replace(
                b"\r\nDate", b"\r\nIn-Reply-To: <new-1@customer.example.net>\r\nDate"
            )
        )
        assert [[file.name for file in note.attachments] for note in await desk.notes()] == [["logo.png"], ["new.png"]]


# --- elsewhere --------------------------------------------------------------------------------------------------------


async def test_a_template_speaks_of_record_and_note_and_our_own_words_stand_in(tmp_path: Path) -> None:
    rules = """rules:
- {name: a, actions: [create, note, {notify: {to: requester, template: opened}}, {notify: {to: owner, template: gone}}]}
"""
    templates = Templates(opened="{record.id} {record.url} {note.text} {record.state}")
    async with rule_desk(tmp_path, rules, templates=templates) as desk:
        await desk.take(mail())
        first, second = await desk.mails()
        assert first.get_content().strip() == (
            "000001 https://help.example.com/ticket/1 The printer still prints nothing. open"
        )
        assert "Ticket 000001 was opened." in second.get_content()


async def test_what_the_requester_may_not_see_is_not_in_his_notice(tmp_path: Path) -> None:
    rules = """rules:
- {name: a, actions: [create, {note: {wording: "internal: {subject}", public: false}},
   {notify: {to: [requester, owner], template: opened}}]}
"""
    templates = Templates(opened="said: {note.text}")
    async with rule_desk(tmp_path, rules, templates=templates) as desk:
        await desk.take(mail())
        requester, owner = await desk.mails()
        assert "internal" not in requester.get_content()
        assert owner.get_content().strip() == "said: internal: Printer"


async def test_participants_are_told_but_for_those_who_have_it(tmp_path: Path) -> None:
    rules = CREATE + "- {name: told, when: {outcome: joined}, actions: [note, {notify: participants}]}\n"
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail(cc="bob@customer.example.net"))
        await desk.take(
            mail(message_id="<2@x.example>", references="<new-1@customer.example.net>", cc="bob@customer.example.net")
        )
        assert [each["to"] for each in await desk.mails()] == [f"Jane Doe <{AGENT}>"]


async def test_whoever_a_rule_tells_may_answer(tmp_path: Path) -> None:
    rules = "rules:\n- {name: a, when: {outcome: new}, actions: [create, {notify: boss@example.org}]}\n"
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        (notice,) = await desk.mails()
        answer = mail("boss@example.org", message_id="<3@x.example>", in_reply_to=str(notice["message-id"]),
            references=str(notice["references"]))  # fmt: skip
        assert (await desk.take(answer)).state is EntryState.JOINED


async def test_our_own_mailboxes_are_told_nothing_whatever_tag_their_address_has(tmp_path: Path) -> None:
    tagged = SUPPORT.replace("@", "+printers@")
    rules = f"rules:\n- {{name: a, actions: [create, {{notify: [owner, {SUPPORT}, '{tagged}']}}]}}\n"
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        assert [each["to"] for each in await desk.mails()] == [f"Jane Doe <{AGENT}>"]


async def test_nobody_gets_more_notices_a_day_than_the_cap_and_strangers_use_up_no_owners(tmp_path: Path) -> None:
    rules = "rules:\n- {name: a, actions: [create, {notify: [owner, boss@customer.example]}]}\n"
    async with rule_desk(tmp_path, rules, filters={"cap_per_day": 2}) as desk:
        for number in range(4):
            await desk.take(mail(f"a{number}@x.example.net", message_id=f"<{number}@x.example.net>"))
        assert len(await desk.records()) == 4
        told = Counter(str(each["to"]) for each in await desk.mails())
        assert told == {f"Jane Doe <{AGENT}>": 4, "boss@customer.example": 2}


async def test_a_call_tells_a_sink_of_record_note_and_message(tmp_path: Path) -> None:
    rules = """rules:
- {name: a, actions: [{create: {fields: {room: "12", secret: x}}}, note,
   {call: {sink: crm, fields: [room], attachments: whole}}]}
"""
    sinks = [{"kind": "webhook", "name": "crm", "url": "https://crm.example.com/in", "key": {"env": "K"}}]
    async with rule_desk(tmp_path, rules, sinks=sinks) as desk:
        await desk.take(with_files("a.txt|text/plain|one"))
        (task,) = await desk.tasks(TaskKind.CALL)
        (told,) = await desk.calls()
        assert (task.target, str(task.transaction)) == ("crm", "ticket-1")
        assert (told["version"], told["event"], told["rule"]) == (1, "record.created", "a")
        assert (told["record"]["number"], told["record"]["id"], told["record"]["fields"]) == (
            1,
            "000001",
            {"room": "12"},
        )
        assert told["record"]["staff_url"] == "https://desk.example.com/ticket/000001"
        assert told["note"]["attachments"] == [{
            "name": "a.txt", "content_type": "text/plain", "size_octets": 3, "content": "b25l",
            "sha256": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        }]  # fmt: skip
        assert told["message"]["sender"] == ANNA


async def test_a_sink_is_told_of_what_was_deleted(tmp_path: Path) -> None:
    rules = (
        "rules:\n- {name: a, actions: [create]}\n- {name: b, actions: [delete, {call: crm}, {update: {title: x}}]}\n"
    )
    sinks = [{"kind": "webhook", "name": "crm", "url": "https://crm.example.com/in", "key": {"env": "K"}}]
    async with rule_desk(tmp_path, rules, sinks=sinks) as desk:
        await desk.take(mail())
        (told,) = await desk.calls()
        assert told["event"] == "record.deleted"
        assert (await desk.record()).title == "Printer"


async def test_marks_go_into_the_mailboxes_of_the_audience_only(tmp_path: Path) -> None:
    boss = Person("boss@desk.example.com", frozenset({"b@desk.example.com"}), groups=frozenset({"managers"}))
    rules = "rules:\n- {name: a, actions: [create, write-back]}\n"
    settings = {"audience": {"groups": ["Managers"], "addresses": ["jane@*"]}, "link_in_body": True}
    async with rule_desk(tmp_path, rules, people=[JANE, boss], write_back=settings) as desk:
        to = f"{SUPPORT}, {AGENT}, b@desk.example.com, boss@desk.example.com, other@desk.example.com"
        await desk.take(mail(to=to))
        tasks = await desk.tasks(TaskKind.WRITE_BACK)
        assert [task.target for task in tasks] == [AGENT, "boss@desk.example.com"]
        told = [json.loads(task.payload) for task in tasks]
        assert [each["link"] for each in told] == [
            "https://desk.example.com/ticket/000001", "https://help.example.com/ticket/1"
        ]  # fmt: skip
        assert told[0]["message_id"] == "<new-1@customer.example.net>"
        assert (told[0]["category"], told[0]["link_text"]) == ("Transferred", "Ticket 000001")


async def test_a_rule_can_let_a_held_message_in(tmp_path: Path) -> None:
    rules = CREATE + (
        "- {name: partners, when: {outcome: pending, sender: '*@stranger.example.org'}, actions: [join, note]}\n"
    )
    async with rule_desk(tmp_path, rules + "- {name: told, actions: [{notify: sender}]}\n") as desk:
        await desk.take(mail())
        reference = (await desk.mails())[0]["references"].split()[-1]
        taken = await desk.take(mail(MALLORY, message_id="<m@x.example>", references=reference))
        assert (taken.state, taken.reason) == (EntryState.JOINED, "rule")
        assert MALLORY in await desk.store.participants((await desk.record()).transaction)
        assert [note.kind for note in await desk.notes()] == ["received", "received"]


# --- time -------------------------------------------------------------------------------------------------------------


async def test_a_rule_by_time_is_carried_out_once_until_somebody_writes(tmp_path: Path) -> None:
    rules = (
        CREATE
        + """- name: late
  when: {module: ticket, state: open, unchanged_for: 4h}
  actions: [{note: {wording: "Late: {title}"}}, {update: {fields: {late: "yes"}}}, {notify: owner}]
- {name: later, when: {state: open, older_than: 5h}, actions: [{notify: boss@example.com}]}
"""
    )
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        assert await desk.by_time(timedelta(hours=3)) == 0
        assert await desk.by_time(timedelta(hours=1)) == 1
        assert await desk.by_time(timedelta(minutes=1)) == 0
        assert await desk.by_time(timedelta(hours=1)) == 1
        assert await desk.by_time(timedelta(days=2)) == 0
        assert [note.text for note in await desk.notes()][1:] == ["Late: Printer"]
        assert (await desk.record()).fields == {"late": "yes"}
        assert [each["to"] for each in await desk.mails()] == [f"Jane Doe <{AGENT}>", "boss@example.com"]
        await desk.take(mail(message_id="<2@x.example>", references="<new-1@customer.example.net>"))
        assert await desk.by_time(timedelta(hours=4)) == 2
        assert await desk.by_time(timedelta(hours=4)) == 0


async def test_a_rule_by_time_asks_its_other_conditions(tmp_path: Path) -> None:
    rules = CREATE + "- {name: a, when: {state: open, older_than: 1h, unassigned: true}, actions: [close]}\n"
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        assert await desk.by_time(timedelta(hours=2)) == 0
        assert (await desk.record()).state == "open"


async def test_a_rule_by_time_in_audit_changes_nothing(tmp_path: Path) -> None:
    rules = CREATE + "- {name: a, mode: audit, when: {state: open, older_than: 1h}, actions: [close]}\n"
    async with rule_desk(tmp_path, rules) as desk:
        await desk.take(mail())
        assert await desk.by_time(timedelta(hours=2)) == 0
        assert (await desk.record()).state == "open"


async def test_what_a_program_wrote_does_not_begin_the_time_anew(tmp_path: Path) -> None:
    rules = (
        CREATE
        + """- {name: away, when: {kind: automatic}, actions: [note]}
- {name: late, when: {state: open, unchanged_for: 4h}, actions: [{notify: owner}]}
"""
    )
    async with rule_desk(tmp_path, rules, filters={"automatic": "take"}) as desk:
        await desk.take(mail())
        desk.now += timedelta(hours=3)
        answer = {"message_id": "<2@x.example>", "references": "<new-1@customer.example.net>"}
        await desk.take(mail(auto_submitted="auto-replied", **answer))
        assert [(note.kind, note.is_public) for note in await desk.notes()][1:] == [("automatic-reply", False)]
        assert await desk.by_time(timedelta(hours=1)) == 1
        assert await desk.by_time(timedelta(hours=9)) == 0
