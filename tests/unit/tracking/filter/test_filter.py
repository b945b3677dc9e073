"""Which messages are left out, whom nobody writes to, and which attachments are not kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.message.contents import Contents
from mta.message.parse import parse
from mta.model.person import Person
from mta.model.tracking import Intake
from mta.ports.directory import DirectoryDownError
from mta.tracking.filter import judge, may_write_to, restricted_because
from tests.unit.tracking.scene import ANNA, NOW, CopyOf, MemoryDirectory, Scene, desk_settings, mail

pytestmark = pytest.mark.asyncio(loop_scope="module")
BERT = Person("bert@desk.example.com", frozenset({"b@desk.example.com"}), groups=frozenset({"desk"}))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SqliteTrackingStore]:
    opened = await SqliteTrackingStore.open(Path(tmp_path_factory.mktemp("store")) / "spool", works=True, reserve=0)
    yield opened
    await opened.close()


async def reason(
    store: SqliteTrackingStore, data: bytes, organisation: str = "example", copy: CopyOf | None = None, **settings: Any
) -> str:
    scene = Scene(store, organisation, desk_settings(**settings), MemoryDirectory((BERT,)))
    return await judge(scene.read(data, copy), scene.settings.filters, scene.people, store, NOW)


PRESETS = {
    "a person": (mail(), ""),
    "postmaster": (mail("<postmaster@x.example>"), "preset-sender"),
    "a display name": (mail('"Mail Delivery Subsystem" <x@y.example>'), "preset-sender"),
    "a display name in another case": (mail("SYSTEM ADMINISTRATOR <x@y.example>"), "preset-sender"),
    "no address": (mail("MAILER-DAEMON (Mail Delivery System)"), "preset-sender"),
    "a name that only begins so": (mail("Postmaster Cheese <post@y.example>"), ""),
    "Undeliverable:": (mail(subject="Undeliverable: Printer"), "preset-subject"),
    "in another case": (mail(subject="RETURNED MAIL: see transcript"), "preset-subject"),
    "Out of Office": (mail(subject="Out of Office AutoReply: Printer"), "preset-subject"),
    "a warning": (mail(subject="Warning: Could not send message for past 4 hours"), "preset-subject"),
    "an answer to a bounce": (mail(subject="Re: Undeliverable: Printer"), ""),
    "in the middle": (mail(subject="What is a Failure Notice?"), ""),
    "a longer word": (mail(subject="Delivery Errors in our shop"), ""),
    "a bounce": (mail(x_failed_recipients="a@b.example"), "bounce"),
    "an absence note": (mail(auto_submitted="auto-replied (vacation)"), "out-of-office"),
    "an automatic reply": (mail(auto_submitted="auto-replied"), "automatic-reply"),
    "a newsletter": (mail(list_unsubscribe="<https://x.example>"), "bulk-mail"),
    "a program": (mail(auto_submitted="auto-generated"), "written-by-a-program"),
    "a meeting": (mail(content_type="text/calendar; method=REQUEST", body="BEGIN:VCALENDAR\r\n"), ""),
    "X-Auto-Response-Suppress alone": (mail(x_auto_response_suppress="All"), ""),
}


@pytest.mark.parametrize("name", PRESETS)
async def test_presets(name: str, store: SqliteTrackingStore) -> None:
    data, why = PRESETS[name]
    assert await reason(store, data) == why


async def test_presets_and_automatic_mail_can_be_taken(store: SqliteTrackingStore) -> None:
    filters = {"presets": False, "automatic": "take"}
    for data, _ in PRESETS.values():
        assert await reason(store, data, filters=filters) == ""


def rule(**changes: Any) -> dict[str, Any]:
    return {"rules": [{"name": "mine", "field": "address", "match": {"contains": "anna@"}, **changes}]}


RULES: dict[str, tuple[dict[str, Any], str]] = {
    "address": (rule(), "rule:mine"),
    "another address": (rule(match={"contains": "bob@"}), ""),
    "local part": (rule(field="local-part", match={"regex": "^anna$"}), "rule:mine"),
    "the domain is no local part": (rule(field="local-part", match={"contains": "customer"}), ""),
    "display name": (rule(field="display-name", match={"contains": "ANN"}), "rule:mine"),
    "subject, one of several": (rule(field="subject", match={"any_of": "Lunch, printer ,Tea"}), "rule:mine"),
    "subject, none of several": (rule(field="subject", match={"any_of": "Lunch,Tea"}), ""),
    "subject by regex": (rule(field="subject", match={"regex": "^print(er|ing)$"}), "rule:mine"),
    "for what goes out": (rule(direction="outgoing"), ""),
    "for both": (rule(direction="both"), "rule:mine"),
    "for technicians": (rule(role="technician"), ""),
    "for requestors": (rule(role="requestor"), ""),
}


@pytest.mark.parametrize("name", RULES)
async def test_rules(name: str, store: SqliteTrackingStore) -> None:
    filters, why = RULES[name]
    assert await reason(store, mail(), filters=filters) == why


@pytest.mark.parametrize(
    ("role", "left_out"),
    [("requestor", ("bert", "anna")), ("technician", ("tom",)), ("both", ("bert", "anna", "tom", "x"))],
)
async def test_rules_for_roles(role: str, left_out: tuple[str, ...], store: SqliteTrackingStore) -> None:
    senders = {"bert": "bert@desk.example.com", "anna": ANNA, "tom": "tom@contractor.example", "x": "x@y.example"}
    settings: dict[str, Any] = {
        "filters": rule(role=role, match={"contains": "@"}),
        "technicians": {"addresses": ["*@contractor.example"]},
        "requestors": {"addresses": [ANNA]},
    }
    found = [name for name, sender in senders.items() if await reason(store, mail(f"<{sender}>"), **settings)]
    assert tuple(found) == left_out


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        ("everybody", ("b@desk.example.com", ANNA, "tom@contractor.example", "x@y.example")),
        ("both", ("b@desk.example.com", ANNA, "tom@contractor.example")),
        ("requestors", ("b@desk.example.com", ANNA)),
        ("technicians", ("tom@contractor.example",)),
    ],
)
async def test_only_known_people(accept: str, accepted: tuple[str, ...], store: SqliteTrackingStore) -> None:
    settings: dict[str, Any] = {
        "filters": {"accept": accept},
        "technicians": {"addresses": ["*@contractor.example"]},
        "requestors": {"addresses": [ANNA]},
    }
    for sender in ("b@desk.example.com", ANNA, "tom@contractor.example", "x@y.example"):
        expected = "" if sender in accepted else "not-accepted"
        assert await reason(store, mail(f"<{sender}>"), **settings) == expected


async def test_a_directory_that_is_down_decides_nothing(store: SqliteTrackingStore) -> None:
    scene = Scene(store, "example", desk_settings(filters={"accept": "requestors"}))
    scene.directory.error = DirectoryDownError()
    with pytest.raises(DirectoryDownError):
        await judge(scene.read(mail()), scene.settings.filters, scene.people, store, NOW)
    scene.settings = desk_settings()
    assert await judge(scene.read(mail()), scene.settings.filters, scene.people, store, NOW) == ""


async def test_too_large(store: SqliteTrackingStore) -> None:
    assert await reason(store, mail(body="x" * 2000 + "\r\n"), filters={"largest": "1kB"}) == "too-large"


async def test_a_long_subject_is_no_reason(store: SqliteTrackingStore) -> None:
    assert await reason(store, mail(subject="x" * 1000)) == ""


async def test_what_ours_sent_is_theirs_to_send(store: SqliteTrackingStore) -> None:
    filters = {**rule(), "accept": "technicians"}
    data = mail(subject="Undeliverable: x", auto_submitted="auto-generated")
    assert await reason(store, data, copy=CopyOf("", "sent"), filters=filters) == ""


async def test_caps_count_each_address_by_itself(store: SqliteTrackingStore) -> None:
    scene = Scene(store, "capped", desk_settings(filters={"cap_per_day": 2}))
    for number in range(2):
        assert await reason(store, mail(), "capped", filters={"cap_per_day": 2}) == ""
        counted = (scene.read(mail()).counted_as, ANNA)
        await store.take(Intake(scene.entry(f"<{number}@x.example>", None), counted=counted))
    assert await reason(store, mail(), "capped", filters={"cap_per_day": 2}) == "cap-of-a-day"
    assert await reason(store, mail("<bob@x.example>"), "capped", filters={"cap_per_day": 2}) == ""
    assert await written(store, ANNA, "capped", filters={"cap_per_day": 2}) == "cap-of-a-day"


@pytest.mark.parametrize(("theirs", "hers"), [("dmarc=fail", ""), ("", "dmarc=pass"), ("dmarc=none", "dmarc=pass")])
async def test_whoever_writes_in_her_name_does_not_use_up_what_she_may_send(
    store: SqliteTrackingStore, theirs: str, hers: str
) -> None:
    organisation = f"forged {theirs} {hers}"
    scene = Scene(store, organisation, desk_settings(filters={"cap_per_day": 1}))
    forged, own = (mail(authentication_results=said and f"mx.desk.example.com; {said}") for said in (theirs, hers))
    await store.take(Intake(scene.entry("<0@x.example>", None), counted=(scene.read(forged).counted_as,)))
    assert await reason(store, forged, organisation, filters={"cap_per_day": 1}) == "cap-of-a-day"
    assert await reason(store, own, organisation, filters={"cap_per_day": 1}) == ""


async def written(store: SqliteTrackingStore, address: str, organisation: str = "example", **settings: Any) -> str:
    scene = Scene(store, organisation, desk_settings(**settings), MemoryDirectory((BERT,)))
    return await may_write_to(
        address, "Somebody", "Your ticket", organisation=organisation, filters=scene.settings.filters,
        people=scene.people, conversations=store, now=NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (ANNA, ""),
        ("mailer-daemon@x.example", "no-person"),
        ("no-reply@x.example", "no-person"),
        ("printer-1@x.example", "rule:mine"),
    ],
)
async def test_whom_nobody_writes_to(address: str, why: str, store: SqliteTrackingStore) -> None:
    filters = rule(direction="outgoing", field="local-part", match={"regex": "^printer-[0-9]+$"})
    assert await written(store, address, filters=filters) == why


def files(declared: str, content: str = "x") -> Contents:
    part = f"--b\r\nContent-Type: {declared}\r\nContent-Disposition: attachment\r\n\r\n{content}\r\n--b--\r\n"
    return Contents(parse(mail(content_type="multipart/mixed; boundary=b", body=f"--b\r\n\r\nHello\r\n{part}")))


EXE = ("exe", "vbs")
RESTRICTED = {
    "a program": ("application/octet-stream; name=setup.exe", "x", EXE, ".exe"),
    "in another case": ("application/octet-stream; name=SETUP.EXE", "x", EXE, ".exe"),
    "with dots and spaces behind": ('application/octet-stream; name="setup.exe . "', "x", EXE, ".exe"),
    "two endings": ("application/octet-stream; name=invoice.pdf.vbs", "x", EXE, ".vbs"),
    "with what nobody sees": ("application/octet-stream; name*=utf-8''setup.ex%E2%80%8Be%C2%AD", "x", EXE, ".exe"),
    "the name of a stream": ('application/octet-stream; name="setup.exe::$DATA"', "x", EXE, ".exe"),
    "an ending that isn't restricted": ("application/octet-stream; name=setup.exe.txt", "x", EXE, ""),
    "a program by its beginning": ("image/png; name=picture.png", "MZ\x90 program", EXE, "program"),
    "programs aren't restricted": ("image/png; name=picture.png", "MZ program", ("vbs",), ""),
    "a media type": ("application/pdf; name=x", "x", ("application/pdf",), "application/pdf"),
    "an alias of it": ("application/x-pdf; name=x", "x", ("application/pdf",), "application/x-pdf"),
    "a media type by content": ("image/png; name=x.png", "%PDF-1.7 x", ("application/pdf",), "application/pdf"),
    "a document": ("application/pdf; name=x.pdf", "%PDF-1.7 x", EXE, ""),
    "nothing is restricted": ("application/octet-stream; name=setup.exe", "MZ", (), ""),
    "written with a dot": ("application/octet-stream; name=setup.exe", "x", (".exe",), ".exe"),
}  # fmt: skip


@pytest.mark.parametrize("name", RESTRICTED)
async def test_restricted_attachments(name: str) -> None:
    declared, content, restricted, why = RESTRICTED[name]
    (file,) = files(declared, content).files
    assert restricted_because(file, restricted) == why
