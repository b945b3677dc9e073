"""Actions on who gets mail and what follows from it, through all stages: with a real spool, rules and templates."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from mta.config.delivery_schema import SmtpHop
from mta.message.headers import addresses
from mta.message.parse import parse
from mta.model.actions import Action, SetHeader
from mta.model.bypass import Bypass
from mta.model.delivery import RecipientEntry
from mta.model.reply import Reply
from mta.relay import plugin_threads
from mta.relay.decide.actions.plugins import View
from mta.relay.derive.claims import ANSWERS_MAX
from tests.servers.relay import Relay
from tests.unit.relay.test_pipeline import MESSAGE, STRANGER, World, open_world

POSTMASTER = "postmaster@relay.example.com"
NO = Reply(550, "5.1.1", "No such user here")
FROM_OUTSIDE = MESSAGE.replace(b"Jane Doe <jane@example.com>", b"Bob <bob@example.net>").replace(
    b"To: bob@example.net\r\nCc: john@example.com", b"To: John <john@example.com>"
)
Open = Callable[[str], AbstractAsyncContextManager[World]]


@pytest.fixture
def at_work(tmp_path: Path) -> Open:
    """Opens the relay with these actions for everybody; again in the same place, it has the same store."""
    relay = Relay(tmp_path / "relay", 1)
    relay.add_dkim_key()
    relay.add_dkim_key("shop.example", "shop")
    for name, who, subject in (
        ("letter", "sender", "About {{ message.subject }}"), ("away", "sender", ""), ("dear", "recipient", "Mail"),
    ):  # fmt: skip
        relay.write_template(name, "<p>Text</p>", f"Text for {{{{ {who}.displayName | default('you') }}}}\n")
        (relay.folder / "templates" / name / "template.yaml").write_text(f"subject: '{subject}'\n")

    def opened(rules: str) -> AbstractAsyncContextManager[World]:
        relay.write_rules(rules if rules.startswith("rules:") else f"rules:\n- {{name: r, actions: [{rules}]}}\n")
        return open_world(tmp_path, relay)

    return opened


async def sent(world: World) -> list[tuple[str, tuple[str, ...]]]:
    """Reverse-path and recipients of all that went out, what follows included."""
    await world.finish()
    await world.run_queue()
    await world.run_queue()
    return sorted(zip(world.transport.senders, (to for _, to in world.transport.copies), strict=True))


def forget(world: World) -> None:
    """What went out so far."""
    world.transport.copies.clear()
    world.transport.senders.clear()


def no(address: str) -> Callable[[RecipientEntry], Reply]:
    """A next hop that refuses this address."""
    return lambda entry: NO if str(entry.address) == address else Reply(250, "2.0.0", "Ok")


async def test_nobody_is_told_of_a_copy(at_work: Open) -> None:
    async with at_work("{forward-copy: legal@example.com}") as world:
        await world.submit(MESSAGE, "bob@example.net", "john@example.com")
        assert await sent(world) == [
            ("jane@example.com", ("bob@example.net", "john@example.com")),
            (POSTMASTER, ("legal@example.com",)),
        ]
        (first, second) = (data for data, _ in world.transport.copies)
        assert first == second
        assert first.endswith(MESSAGE)
        assert b"legal" not in first


async def test_the_postmaster_is_told_what_became_of_a_copy_not_the_sender(at_work: Open) -> None:
    async with at_work("{forward-copy: legal@example.com}") as world:
        world.transport.answer = no("legal@example.com")
        await world.submit(MESSAGE, "bob@example.net")
        assert ("", (POSTMASTER,)) in await sent(world)
        assert [to for _, to in world.transport.copies if to == ("jane@example.com",)] == []
        report = world.copy_for(POSTMASTER)
        assert b"A copy that a rule made of a message" in report
        assert b"legal@example.com" in report


async def test_named_recipients_stand_in_the_header_hidden_ones_do_not(at_work: Open) -> None:
    async with at_work("{add-recipients: {cc: legal@example.com, bcc: secret@example.com}}") as world:
        await world.submit(MESSAGE, "bob@example.net", "hidden@example.org")
        await sent(world)
        for data, _ in world.transport.copies:
            message = parse(data)
            assert [str(box.address) for box in addresses(message, "Cc")] == ["john@example.com", "legal@example.com"]
            assert [str(box.address) for box in addresses(message, "To")] == ["bob@example.net"]
            assert b"hidden@" not in data
            assert b"secret@" not in data


async def test_redirected_mail_goes_to_the_other_and_the_sender_learns_whether_it_arrived(at_work: Open) -> None:
    rules = (
        "rules:\n- name: r\n  when: {recipient: {address: bob@example.net}}\n"
        "  actions: [{redirect: jill@elsewhere.example}]\n"
    )
    async with at_work(rules) as world:
        world.transport.answer = no("jill@elsewhere.example")
        await world.submit(MESSAGE, "bob@example.net", "john@example.com")
        assert await sent(world) == [
            ("", ("jane@example.com",)),
            ("jane@example.com", ("john@example.com", "jill@elsewhere.example")),
        ]
        report = world.copy_for("jane@example.com")
        assert b"Final-Recipient: rfc822; bob@example.net" in report
        assert b"jill" not in report
        assert b"elsewhere" not in report
        assert await world.queue() == []


async def test_no_archive_copy_signs_what_a_stranger_wrote_in_our_name(at_work: Open) -> None:
    forged = MESSAGE.replace(b"To: ", b"X-MS-Exchange-Organization-AuthAs: Anonymous\r\nTo: ", 1)
    async with at_work("{archive: vault@archive.example}") as world:
        for data, sender, is_signed in (
            (MESSAGE, "jane@example.com", True), (MESSAGE, "x@stranger.example", False),
            (forged.replace(b"<one@", b"<two@"), "jane@example.com", False),
        ):  # fmt: skip
            forget(world)
            await world.submit(data, "bob@example.net", sender=sender)
            await sent(world)
            for recipient in ("bob@example.net", "vault@archive.example"):
                assert (b"DKIM-Signature" in world.copy_for(recipient)) is is_signed


async def test_the_archive_gets_one_copy_as_it_was_received(at_work: Open) -> None:
    async with at_work("{archive: vault@example.com}, {stamp: {template: letter}}") as world:
        await world.submit(MESSAGE, "bob@example.net")
        await world.submit(MESSAGE, "john@example.com")
        assert await sent(world) == [
            ("jane@example.com", ("bob@example.net",)),
            ("jane@example.com", ("john@example.com",)),
            (POSTMASTER, ("vault@example.com",)),
        ]
        archived = world.copy_for("vault@example.com")
        assert archived.endswith(MESSAGE)
        assert b"Text for" in world.copy_for("bob@example.net")
        forget(world)
        await world.submit(archived, "vault@example.com", sender=POSTMASTER)
        assert await sent(world) == [(POSTMASTER, ("vault@example.com",))]


async def test_what_is_dropped_is_archived(at_work: Open) -> None:
    async with at_work("{archive: vault@example.com}, {drop: {}}") as world:
        assert (await world.submit(MESSAGE + b"x" * 200_000, "bob@example.net")).code == 250
        assert await sent(world) == [(POSTMASTER, ("vault@example.com",))]
        assert world.copy_for("vault@example.com").endswith(b"x" * 200_000)
        assert [path for path in (world.folder.parent / "spool" / "bodies").rglob("*") if path.is_file()] == []


async def test_a_large_message_and_its_archive_copy_each_have_their_file(at_work: Open) -> None:
    async with at_work("{archive: vault@example.com}") as world:
        world.transport.answer = lambda entry: Reply(451, "4.3.0", "Later")
        path = world.equipment.spool.spill_path()
        path.write_bytes(MESSAGE + b"x" * 200_000)
        await world.submit(path.read_bytes(), "bob@example.net")
        await sent(world)
        assert len(await world.queue()) == 2


async def test_somebody_is_told_of_a_rejection(at_work: Open) -> None:
    async with at_work("{reject: {text: No}}, {notify: {template: letter, to: security@example.com}}") as world:
        assert (await world.submit(MESSAGE, "bob@example.net")).code == 550
        assert (await world.submit(MESSAGE, "john@example.com")).code == 550
        assert await sent(world) == [("", ("security@example.com",))]
        notice = parse(world.copy_for("security@example.com"))
        assert notice.subject == "About Offer"
        assert notice.header("auto-submitted") == "auto-generated"
        assert await world.queue() == []


async def test_a_notice_for_each_recipient_of_whom_it_speaks(at_work: Open) -> None:
    async with at_work("{notify: {template: dear, to: security@example.com}}") as world:
        await world.submit(MESSAGE, "bob@example.net", "john@example.com")
        notices = [to for sender, to in await sent(world) if not sender]
        assert notices == [("security@example.com",)] * 2


async def test_answers_are_capped_and_the_cap_survives_a_restart(at_work: Open) -> None:
    rules = "{auto-respond: {template: away, limit: 2, period: 1h}}"

    async def write(world: World, number: int) -> None:
        data = FROM_OUTSIDE.replace(b"<one@", b"<%d@" % number)
        await world.submit(data, "john@example.com", client=STRANGER, sender="bob@example.net")

    async with at_work(rules) as world:
        await write(world, 1)
        await write(world, 1)  # the same message again
        await write(world, 2)
        answers = [entry for entry in await sent(world) if entry == ("", ("bob@example.net",))]
        assert len(answers) == 2
        answer = parse(world.copy_for("bob@example.net"))
        assert answer.subject == "Auto: Offer"
        assert answer.header("from") == "John Roe <john@example.com>"
        assert answer.header("in-reply-to") == "<1@example.com>"
        assert b"DKIM-Signature" in world.copy_for("bob@example.net")
    async with at_work(rules) as world:
        await write(world, 3)
        assert ("", ("bob@example.net",)) not in await sent(world)


async def test_one_message_to_many_brings_its_sender_a_bounded_number_of_answers(at_work: Open) -> None:
    """The sender may be forged: whoever that is must not be flooded by what one message sets off."""
    everybody = [f"p{number}@example.com" for number in range(60)]
    data = FROM_OUTSIDE.replace(b"To: John <john@example.com>", f"To: {', '.join(everybody)}".encode())
    async with at_work("{auto-respond: away}") as world:
        await world.submit(data, *everybody, client=STRANGER, sender="bob@example.net")
        answers = [entry for entry in await sent(world) if entry == ("", ("bob@example.net",))]
        assert len(answers) == ANSWERS_MAX
        await world.submit(data.replace(b"<one@", b"<two@"), *everybody, client=STRANGER, sender="bob@example.net")
        assert len([entry for entry in await sent(world) if entry == ("", ("bob@example.net",))]) == ANSWERS_MAX


async def test_an_answer_to_an_answer_ends_there(at_work: Open) -> None:
    async with at_work("{auto-respond: away}") as world:
        await world.submit(FROM_OUTSIDE, "john@example.com", client=STRANGER, sender="bob@example.net")
        await sent(world)
        answer = world.copy_for("bob@example.net")
        forget(world)
        await world.submit(answer, "john@example.com", client=STRANGER, sender="bob@example.net")
        assert await sent(world) == [("bob@example.net", ("john@example.com",))]


async def test_a_new_author_signs_for_their_domain(at_work: Open) -> None:
    rules = (
        '{rewrite-sender: {address: desk@shop.example, name: "{{ sender.displayName }}", where: both, '
        "keep_as_reply_to: true}}, {set-importance: low}"
    )
    async with at_work(rules) as world:
        await world.submit(MESSAGE, "bob@example.net")
        assert await sent(world) == [("desk@shop.example", ("bob@example.net",))]
        copy = world.copy_for("bob@example.net")
        message = parse(copy)
        assert message.header("from") == "Jane Doe <desk@shop.example>"
        assert message.header("reply-to") == "Jane Doe <jane@example.com>"
        assert message.header("x-priority") == "5"
        assert b"d=shop.example; s=shop;" in copy


async def test_a_rewritten_envelope_does_not_move_our_own_reports(at_work: Open) -> None:
    async with at_work("{rewrite-sender: {address: bounces@example.com, where: envelope}}") as world:
        world.transport.answer = no("bob@example.net")
        await world.submit(MESSAGE, "bob@example.net")
        assert await sent(world) == [("", ("jane@example.com",)), ("bounces@example.com", ("bob@example.net",))]


async def test_required_tls_is_a_next_hop_of_its_own(at_work: Open) -> None:
    async with at_work("{require-tls: {}}") as world:
        hop = world.transport.hop
        assert isinstance(hop, SmtpHop)
        assert hop.tls.mode == "none"
        world.transport.answer = lambda entry: Reply(451, "4.7.4", "TLS is required and the next hop does not offer it")
        await world.submit(MESSAGE, "bob@example.net")
        await world.finish()
        (entry,) = await world.queue()
        assert [recipient.next_hop for recipient in entry.recipients] == ["out+tls"]
        hop = world.transport.hop
        assert isinstance(hop, SmtpHop)
        assert hop.tls.mode == "required"


async def test_a_bypass_lets_nothing_follow(at_work: Open) -> None:
    async with at_work("{archive: vault@example.com}, {forward-copy: legal@example.com}") as world:
        world.equipment.bypass = Bypass(on=True)
        await world.submit(MESSAGE, "bob@example.net")
        assert await sent(world) == [("jane@example.com", ("bob@example.net",))]


# --- plug-ins ---------------------------------------------------------------------------------------------------------


class Department:
    """A plug-in that marks mail with what it is told."""

    def __init__(self, options: dict[str, str]) -> None:
        self.header = options["header"]

    def __call__(self, view: View) -> Sequence[Action]:
        if "fail" in view.subject:
            raise LookupError(view.subject)
        return [SetHeader(name=self.header, value=f"{view.sender_attributes['department']} {view.recipient}")]


def slow(view: View) -> Sequence[Action]:
    time.sleep(0.5)
    return []


def install(folder: Path, name: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip would: metadata of a distribution on the path. `what` is in this module, or `module:name`."""
    info = folder / "example_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example-plugin\nVersion: 1.0\n")
    target = what if ":" in what else f"{__name__}:{what}"
    (info / "entry_points.txt").write_text(f"[stampline.actions]\n{name} = {target}\n")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


async def test_a_plug_in_says_what_is_to_be_done(
    at_work: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "department", "Department", monkeypatch)
    async with at_work("{plugin: {name: department, options: {header: X-Who}}}, {tag-subject: {text: T}}") as world:
        await world.submit(MESSAGE, "bob@example.net", "john@example.com")
        await sent(world)
        assert parse(world.copy_for("bob@example.net")).header("x-who") == "Sales bob@example.net"
        assert parse(world.copy_for("john@example.com")).header("x-who") == "Sales john@example.com"
        forget(world)
        await world.submit(MESSAGE.replace(b"Offer", b"fail"), "bob@example.net")
        await sent(world)
        assert parse(world.copy_for("bob@example.net")).subject == "fail"


async def test_a_plug_in_that_takes_too_long_puts_the_client_off(
    at_work: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "slow", "slow", monkeypatch)
    async with at_work("{plugin: slow}") as world:
        monkeypatch.setattr(plugin_threads, "WITHIN_S", 0.01)
        assert (await world.submit(MESSAGE, "bob@example.net")).code == 451
        assert await world.queue() == []


async def test_the_plug_in_of_the_documentation_works(
    at_work: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "plug-ins.md").read_text()
    (tmp_path / "project_archive.py").write_text(text.partition("```python\n")[2].partition("```")[0])
    name, _, target = re.findall(r"^([\w-]+)( = )\"(\S+)\"$", text, re.MULTILINE)[0]
    (action,) = re.findall(r"^  - (plugin: .*)$", text, re.MULTILINE)
    install(tmp_path, name, target, monkeypatch)
    async with at_work(f"{{{action}}}") as world:
        await world.submit(MESSAGE.replace(b"Offer", b"Offer for P-12345"), "bob@example.net")
        await sent(world)
        assert parse(world.copy_for("bob@example.net")).header("x-project") == "12345"
        assert world.copy_for("p12345@archive.example.com")
