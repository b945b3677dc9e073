"""Attachments that rules take out, keep, and add: the message around them stays as it was."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from mta.message.attachments import attachments
from mta.message.classify import classify
from mta.message.edit import joined
from mta.message.parse import parse
from mta.model.actions import Action, AddAttachment, OnError, ReplaceText, StripAttachments
from mta.model.person import Person
from mta.model.reply import Reply, TemporaryError
from mta.relay.stamp.content.kept_names import kept_name
from mta.relay.stamp.context import StampContext, StampOutcome
from mta.relay.stamp.stamp import stamp_message
from mta.relay.stamp.templates.template_set import TemplateSet
from tests.unit.message.attachment_samples import HEADER, PDF, PE, PNG, TEXT, mixed, part
from tests.unit.relay.stamp.samples import JANE, context, html, plain, stamp, templates

NOTICE = "removed-attachments.txt"
STRIP = StripAttachments(rule="r")
HTML = b"Content-Type: text/html; charset=us-ascii\r\n\r\n<p>Please see.</p>"
CALENDAR = b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR"


def carried_out(
    raw: bytes, *actions: Action, with_context: StampContext | None = None, chosen: TemplateSet | None = None
) -> StampOutcome:
    message = parse(raw)
    kind = classify(message, False)
    return stamp_message(message, kind, actions, with_context or context(), chosen or TemplateSet({}, {}))


def changed(raw: bytes, *actions: Action, with_context: StampContext | None = None) -> bytes:
    """The message afterwards; nothing may fail, and doing it again from the start gives the same bytes."""
    outcome = carried_out(raw, *actions, with_context=with_context)
    assert not outcome.failed
    assert carried_out(raw, *actions, with_context=with_context).edits == outcome.edits
    return joined(raw, outcome.edits)


def names(raw: bytes) -> list[str]:
    return [each.name for each in attachments(parse(raw))]


def shown_text(raw: bytes, place: int) -> str:
    """The text of the part at that place, as the standard library reads it."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    text = list(message.iter_parts())[place].get_content()
    assert isinstance(text, str)
    return text


def terms(tmp_path: Path, content: bytes = PDF, name: str = "terms.pdf", filename: str = "") -> AddAttachment:
    path = tmp_path / name
    path.write_bytes(content)
    return AddAttachment(rule="r", file=str(path), filename=filename or name)


# --- strip ------------------------------------------------------------------------------------------------------------


def test_a_notice_takes_the_first_ones_place_and_the_others_are_gone() -> None:
    raw = mixed(TEXT, part(PDF, "a.pdf"), part(PE, "b.exe"), HTML, part(PNG, "c.png"))
    new = changed(raw, STRIP)
    assert names(new) == [NOTICE]
    before, after = parse(raw).root, parse(new).root
    kinds = [child.content_type for child in after.children]
    assert kinds == ["text/plain", "text/plain", "text/html"]
    assert after.children[0].raw_body == before.children[0].raw_body
    assert after.children[2].raw_body == before.children[3].raw_body
    text = after.children[1].raw_body.decode()
    assert text.splitlines() == [
        "Removed by policy:",
        f"- a.pdf (application/pdf, {len(PDF)} octets)",
        f"- b.exe (application/vnd.microsoft.portable-executable, {len(PE)} octets)",
        f"- c.png (image/png, {len(PNG)} octets)",
    ]
    assert new.startswith(raw.partition(b"--=_m")[0])


@pytest.mark.parametrize(
    ("action", "left"),
    [
        (replace(STRIP, names=("*.exe",)), ["a.pdf", "song.mp3"]),
        (replace(STRIP, extensions=("pdf", "mp3")), ["b.exe"]),
        (replace(STRIP, types=("image/*",)), ["a.pdf", "b.exe"]),
        (replace(STRIP, larger_than=len(PE) - 1), ["a.pdf", "song.mp3"]),
        (replace(STRIP, mismatch=True), ["a.pdf", "b.exe"]),
        (replace(STRIP, executable=True), ["a.pdf", "song.mp3"]),
        (replace(STRIP, executable=True, extensions=("pdf",)), ["a.pdf", "b.exe", "song.mp3"]),
        (replace(STRIP, encrypted=True), ["a.pdf", "b.exe", "song.mp3"]),
    ],
)
def test_only_what_meets_every_test_is_taken(action: StripAttachments, left: list[str]) -> None:
    raw = mixed(TEXT, part(PDF, "a.pdf"), part(PE, "b.exe"), part(PNG, "song.mp3"))
    new = changed(raw, action)
    assert [name for name in names(new) if name != NOTICE] == left
    if len(left) == 3:
        assert new == raw


@pytest.mark.parametrize("with_another", [False, True])
def test_a_notice_is_never_what_is_seen_instead_of_the_text(tmp_path: Path, with_another: bool) -> None:
    raw = mixed(TEXT, HTML, part(PDF, name="a.pdf"), part(PDF, name="b.pdf"), kind="alternative")
    new = changed(raw, STRIP, *([terms(tmp_path)] if with_another else []))
    message = email.message_from_bytes(new, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert [each.get_content_type() for each in message.iter_parts()][:2] == ["multipart/alternative", "text/plain"]
    alternatives = next(message.iter_parts())
    assert isinstance(alternatives, EmailMessage)
    assert [each.get_content_type() for each in alternatives.iter_parts()] == ["text/plain", "text/html"]
    assert "a.pdf" in shown_text(new, 1)
    assert "b.pdf" in shown_text(new, 1)
    assert [each.get_filename() for each in message.iter_parts()][2:] == (["terms.pdf"] if with_another else [])


def test_two_rules_take_their_own_and_leave_their_own_notice() -> None:
    raw = mixed(TEXT, part(PDF, "a.pdf"), part(PE, "b.exe"))
    first = replace(STRIP, extensions=("exe",), notice="Programs: {names} ({rule})", rule="programs")
    new = changed(raw, first, replace(STRIP, notice="The rest: {names}", rule="rest"))
    bodies = [child.raw_body.decode() for child in parse(new).root.children[1:]]
    assert bodies[0].startswith("The rest: - a.pdf")
    assert bodies[1].startswith("Programs: - b.exe")
    assert bodies[1].endswith("(programs)")


def test_names_in_a_notice_are_words_only() -> None:
    raw = mixed(TEXT, part(PE, "{rule} --=_m--.exe"))
    new = changed(raw, replace(STRIP, notice="{names}\nseen by {rule}", rule="secret-rule"))
    message = parse(new)
    assert len(message.root.children) == 2
    assert "{rule} --=_m--.exe" in shown_text(new, 1)
    assert new.count(b"secret-rule") == 1


def test_a_notice_in_other_scripts() -> None:
    new = changed(mixed(TEXT, part(PE, "a.exe")), replace(STRIP, notice="Удалено: {names}"))
    assert shown_text(new, 1).startswith("Удалено: - a.exe")
    assert new.isascii()


def test_a_message_that_is_one_attachment_becomes_its_notice() -> None:
    raw = HEADER + b"Content-Length: 9\r\nContent-Class: urn:x\r\n" + part(PE, "a.exe") + b"\r\n"
    new = changed(raw, STRIP)
    message = parse(new)
    assert names(new) == []
    assert (message.root.content_type, message.root.disposition) == ("text/plain", "")
    assert message.has("content-class")
    assert not message.has("content-length")
    assert str(email.message_from_bytes(new).get_payload()).startswith("Removed by policy:\r\n- a.exe")


def test_the_only_child_of_a_multipart_is_replaced_so_that_none_is_empty() -> None:
    inner = mixed(part(PE, "a.exe"), header=b"", boundary=b"=_i")
    raw = mixed(TEXT, part(PE, "first.exe"), inner.removesuffix(b"\r\n"))
    new = changed(raw, STRIP)
    root = parse(new).root
    assert [child.content_type for child in root.walk()] == [
        "multipart/mixed", "text/plain", "text/plain", "multipart/mixed", "text/plain",
    ]  # fmt: skip
    assert parse(new).defects == ()


def test_leading_and_trailing_parts_of_an_inner_multipart_go_without_a_trace() -> None:
    inner = mixed(part(PE, "b.exe"), part(PE, "c.exe"), HTML, part(PE, "d.exe"), header=b"", boundary=b"=_i")
    raw = mixed(part(PE, "a.exe"), inner.removesuffix(b"\r\n"), TEXT)
    new = changed(raw, STRIP)
    assert [child.content_type for child in parse(new).root.walk()] == [
        "multipart/mixed", "text/plain", "multipart/mixed", "text/html", "text/plain",
    ]  # fmt: skip
    assert HTML in new
    assert TEXT in new


def test_empty_parts_share_their_line_ends_rightly() -> None:
    empty = b'Content-Type: a/b; name="e.exe"\r\n'
    for parts in ((TEXT, empty, HTML), (TEXT, HTML, empty), (empty, TEXT, empty, HTML), (TEXT, empty, empty)):
        raw = mixed(*(piece.removesuffix(b"\r\n") + b"\r\n" if piece is empty else piece for piece in parts))
        new = changed(raw, STRIP)
        kept = [piece for piece in parts if piece is not empty]
        assert all(piece in new for piece in kept)
        assert len(parse(new).root.children) == len(kept) + 1
        assert len(email.message_from_bytes(new).get_payload()) == len(kept) + 1


def test_a_multipart_that_is_never_closed() -> None:
    raw = mixed(TEXT, part(PE, "a.exe")).removesuffix(b"\r\n--=_m--\r\n")
    new = changed(raw, STRIP)
    assert names(new) == [NOTICE]
    assert b"TVo" not in new


def test_an_attachment_in_a_header_without_an_end_is_taken_too() -> None:
    raw = part(PE, "a.exe", more=b"From: a@example.com\r\n").replace(b"\r\n\r\n", b"\r\n")
    assert b"TVo" not in changed(raw, STRIP)


def test_pictures_in_the_text_stay_unless_asked() -> None:
    shown = b'Content-Type: text/html\r\n\r\n<img src="cid:logo"><img src="CID:a%40b">'
    logo = part(PNG, "logo.png", "image/png", b"Content-ID: <logo>\r\n")
    beside = part(PNG, "beside.png", "image/png", b"Content-ID: <a@b>\r\n")
    related = mixed(shown, logo, kind="related", header=b"", boundary=b"=_r").removesuffix(b"\r\n")
    raw = mixed(related, beside, part(PNG, "other.png", "image/png", b"Content-ID: <c@d>\r\n"))
    assert names(raw) == ["beside.png", "other.png"]
    assert changed(raw, STRIP).count(b"iVBORw0KGgo") == 2
    assert changed(raw, replace(STRIP, types=("image/*",), inline=True)).count(b"iVBORw0KGgo") == 0
    assert shown in changed(raw, replace(STRIP, inline=True))


def test_a_program_that_the_text_shows_as_a_picture_is_taken() -> None:
    shown = b'Content-Type: text/html\r\n\r\n<img src="cid:a">'
    raw = mixed(shown, part(PE, "a.png", "image/png", b"Content-ID: <a>\r\n"), kind="related")
    new = changed(raw, replace(STRIP, executable=True))
    assert shown in new
    assert b"TVo" not in new


def test_attached_messages_count_as_one_and_are_not_looked_through() -> None:
    inner = mixed(TEXT, part(PE, "b.exe"), boundary=b"=_i")
    raw = mixed(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + inner, part(PDF, "a.pdf"))
    assert changed(raw, replace(STRIP, types=("application/pdf",))).count(inner) == 1
    new = changed(raw, replace(STRIP, types=("message/rfc822",)))
    assert b"b.exe" not in new
    assert names(new) == [NOTICE, "a.pdf"]


def test_what_outlook_wrapped_up_is_never_taken() -> None:
    tnef = part(b"\x78\x9f\x3e\x22" + bytes(30), "winmail.dat", "application/ms-tnef")
    raw = mixed(TEXT, tnef)
    assert changed(raw, STRIP) == raw


def test_a_second_server_leaves_the_notice() -> None:
    once = changed(mixed(TEXT, part(PE, "a.exe")), STRIP)
    assert changed(once, STRIP) == once
    forged = part(PE, NOTICE).replace(b"attachment;", b"inline;")
    assert b"TVo" not in changed(mixed(TEXT, forged), STRIP)


def test_both_forks_of_a_macintosh_file_go_together() -> None:
    fork = b"Content-Type: application/applefile; name=a.pdf\r\n\r\nresources"
    double = mixed(fork, part(PDF, "a.pdf"), kind="appledouble", header=b"", boundary=b"=_d").removesuffix(b"\r\n")
    new = changed(mixed(TEXT, double), replace(STRIP, types=("application/pdf",)))
    assert b"appledouble" not in new
    assert b"resources" not in new


# --- keep -------------------------------------------------------------------------------------------------------------


class Keeper:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.files: dict[tuple[Path, str], bytes] = {}

    def __call__(self, folder: Path, name: str, octets: bytes) -> None:
        self.files[folder, name] = octets


def test_what_is_taken_is_kept_under_a_name_that_the_notice_tells() -> None:
    keeper = Keeper()
    action = replace(STRIP, folder="/kept", notice="{names}\nAsk for it: {place}")
    new = changed(mixed(TEXT, part(PE, "a.exe")), action, with_context=replace(context(), keep=keeper))
    ((folder, name),) = keeper.files
    assert (folder, keeper.files[folder, name]) == (Path("/kept"), PE)
    text = shown_text(new, 1)
    assert f"kept as {name}" in text
    assert "Ask for it: /kept" in text


def full(folder: Path, name: str, octets: bytes) -> None:
    raise OSError(28, "No space left on device", str(folder / name))


def test_where_nothing_can_be_kept_nothing_is_taken() -> None:
    raw = mixed(TEXT, part(PE, "secret-name.exe"))
    action = replace(STRIP, folder="/kept", on_error=OnError.DEFER)
    outcome = carried_out(raw, action, with_context=replace(context(), keep=full))
    assert outcome.edits == ()
    (failed,) = outcome.failed
    assert (failed.rule, failed.on_error) == ("r", OnError.DEFER)
    assert failed.error == "an attachment could not be kept: No space left on device"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", ""),
        ("C:\\autoexec.bat", "C__autoexec.bat"),
        ("a\0b\r\nc.exe", "a_b__c.exe"),
        (".htaccess", "htaccess"),
        ("CON", "CON"),
        ("x" * 500 + ".docx", "x" * 120 + ".docx"),
        ("Geschäftsbrief é.pdf", "Geschäftsbrief é.pdf"),
        ("名" * 100 + ".pdf", "名" * 40 + ".pdf"),
        ("\ud800bad.txt", "_bad.txt"),
        ("a." + "b" * 100, "a." + "b" * 100),
        ("$(rm -rf x);`y`.sh", "_(rm -rf x)__y_.sh"),
    ],
)
def test_kept_names_are_harmless(name: str, kept: str) -> None:
    found = kept_name(name, PE)
    digest, _, rest = found.partition("-")
    assert (len(digest), rest) == (32, kept)
    assert len(found.encode()) <= 180
    assert "/" not in found
    assert found.isprintable()


def test_equal_content_under_one_name_is_one_file() -> None:
    assert kept_name("a.exe", PE) == kept_name("a.exe", PE)
    assert kept_name("a.exe", PE) != kept_name("a.exe", PDF)


# --- add --------------------------------------------------------------------------------------------------------------


def test_a_text_moves_into_a_multipart_as_it_is(tmp_path: Path) -> None:
    raw = plain("Grüße\n", header=HEADER + b"Content-Language: de\r\nContent-MD5: abc\r\nX-Last: 1\r\n")
    new = changed(raw, terms(tmp_path))
    message = parse(new)
    text, file = message.root.children
    assert text.raw_body == parse(raw).root.raw_body
    assert (text.charset, text.encoding) == ("utf-8", "8bit")
    assert {field.name for field in text.fields} == {b"content-type", b"content-transfer-encoding"}
    assert message.header("content-language") == "de"
    assert not message.has("content-md5")
    assert message.header("x-last") == "1"
    assert (file.content_type, file.disposition, file.filename) == ("application/pdf", "attachment", "terms.pdf")
    assert names(new) == ["terms.pdf"]
    assert attachments(message)[0].octets == PDF
    assert max(map(len, file.raw_body.split(b"\r\n"))) == 76


def test_a_message_without_any_mime_field_gets_what_it_needs(tmp_path: Path) -> None:
    new = changed(b"From: a@example.com\r\n\r\nHello", terms(tmp_path))
    message = parse(new)
    assert message.header("mime-version") == "1.0"
    assert message.root.children[0].raw_body == b"Hello"
    assert message.root.children[0].fields == ()


@pytest.mark.parametrize(
    "raw",
    [
        mixed(TEXT, HTML, kind="alternative"),
        mixed(HTML, part(PNG, "a.png"), kind="related"),
        mixed(TEXT, CALENDAR, kind="alternative"),
        html("<p>x</p>", header=HEADER),
        HEADER + part(PDF, "only.pdf"),
        HEADER + b"Content-Type: text/plain\r\n\r\n",
    ],
)
def test_whatever_the_message_was_stands_in_the_first_part(tmp_path: Path, raw: bytes) -> None:
    new = changed(raw, terms(tmp_path))
    message, before = parse(new), parse(raw)
    assert message.root.content_type == "multipart/mixed"
    first = message.root.children[0]
    assert first.content_type == before.root.content_type
    assert first.raw_body == before.root.raw_body
    assert len(email.message_from_bytes(new).get_payload()) == 2
    assert message.defects == ()


def test_a_multipart_mixed_gets_one_part_more(tmp_path: Path) -> None:
    raw = mixed(TEXT, part(PE, "a.exe")) + b"an epilogue\r\n"
    new = changed(raw, terms(tmp_path))
    assert names(new) == ["a.exe", "terms.pdf"]
    assert new.startswith(raw.partition(b"\r\n--=_m--")[0])
    assert new.endswith(b"\r\n--=_m--\r\nan epilogue\r\n")


def test_not_twice_but_again_where_it_has_changed(tmp_path: Path) -> None:
    action = terms(tmp_path)
    once = changed(mixed(TEXT), action)
    assert changed(once, action) == once
    assert changed(changed(plain("x"), action), action).count(b"terms.pdf") == 2  # in two fields of one part
    assert names(changed(once, action, replace(action, filename="copy.pdf"))) == ["terms.pdf", "copy.pdf"]
    assert names(changed(mixed(TEXT), action, replace(action, rule="other"))) == ["terms.pdf"]
    assert names(changed(once, terms(tmp_path, PDF + b"%new\n"))) == ["terms.pdf", "terms.pdf"]


@pytest.mark.parametrize(
    "name",
    ["terms.pdf", "Allgemeine Geschäftsbedingungen.pdf", "利用規約.pdf", "a" * 150 + ".pdf", "é" * 100 + ".pdf",
     "it's; a=b, \"c\".pdf", "100% *real*.pdf"],
)  # fmt: skip
def test_names_in_any_script(tmp_path: Path, name: str) -> None:
    new = changed(plain("x"), terms(tmp_path, filename=name))
    expected = name.replace('"', "'") if name.isascii() and len(name) <= 60 else name
    assert names(new) == [expected]
    header = new.partition(b"\r\n--=_")[2]
    assert max(map(len, header.split(b"\r\n"))) <= 100
    files = [file.get_filename() for file in email.message_from_bytes(new, policy=email.policy.default).walk()]
    assert files[-1] == expected


def test_a_file_that_is_gone_or_too_large_fails_by_the_rules_words(tmp_path: Path) -> None:
    action = replace(terms(tmp_path), on_error=OnError.REJECT)
    Path(action.file).unlink()
    (failed,) = carried_out(plain("x"), action).failed
    assert failed == ("r", "the file to attach can't be read: No such file or directory", OnError.REJECT, "")
    with Path(action.file).open("wb") as file:
        file.truncate(10_000_001)
    (failed,) = carried_out(plain("x"), action).failed
    assert "larger than" in failed.error


def test_the_senders_card() -> None:
    card = AddAttachment(rule="r", vcard="sender", filename="contact.vcf")
    new = changed(plain("x"), card)
    (found,) = attachments(parse(new))
    assert (found.name, found.media_type) == ("contact.vcf", "text/vcard")
    assert "FN:Jane Döe\r\n" in found.octets.decode()
    assert changed(plain("x"), card, with_context=replace(context(), people={})) == plain("x")


def test_a_directory_that_does_not_answer_fails_the_action() -> None:
    class Silent(Person):
        @property
        def attributes(self) -> dict[str, str]:
            raise TemporaryError(Reply(451, "4.4.3", "Directory unavailable"))

    silent = object.__new__(Silent)
    card = AddAttachment(rule="r", vcard="sender", filename="contact.vcf", on_error=OnError.DEFER)
    outcome = carried_out(plain("x"), card, with_context=replace(context(), people={JANE.address: silent}))
    assert [failed.on_error for failed in outcome.failed] == [OnError.DEFER]


# --- together ---------------------------------------------------------------------------------------------------------


def test_strip_add_text_and_stamp_in_one_message(tmp_path: Path) -> None:
    chosen = templates(tmp_path / "templates", note="Regards")
    add, text = terms(tmp_path), ReplaceText(find="see", replacement="READ")
    alternatives = mixed(TEXT, HTML, kind="alternative", header=b"", boundary=b"=_a").removesuffix(b"\r\n")
    for raw in (
        mixed(TEXT, part(PE, "a.exe")),
        mixed(alternatives, part(PE, "a.exe")),
        mixed(TEXT, HTML, kind="alternative"),
        plain("Please see."),
    ):
        outcome = carried_out(raw, STRIP, add, text, stamp("note"), chosen=chosen)
        assert not outcome.failed
        new = joined(raw, outcome.edits)
        assert [name for name in names(new) if name != NOTICE] == ["terms.pdf"]
        assert b"Regards" in new
        assert b"READ" in new
        assert b"see" not in new.partition(b"\r\n\r\n")[2].replace(b"terms", b"")
        assert b"TVo" not in new
        assert parse(new).defects == ()


def test_one_attachment_alone_is_replaced_and_gets_another(tmp_path: Path) -> None:
    raw = HEADER + part(PE, "a.exe") + b"\r\n"
    new = changed(raw, STRIP, terms(tmp_path))
    assert [child.content_type for child in parse(new).root.children] == ["text/plain", "application/pdf"]
    assert b"TVo" not in new


@pytest.mark.parametrize("make", [lambda path: STRIP, terms, lambda path: ReplaceText(find="x", replacement="y")])
def test_signed_and_encrypted_messages_are_not_touched(tmp_path: Path, make: Callable[[Path], Action]) -> None:
    signature = b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\r\nx"
    signed = mixed(TEXT, part(PE, "x.exe"), header=b"", boundary=b"=_i").removesuffix(b"\r\n")
    raw = mixed(signed, signature).replace(b"multipart/mixed; boundary=\"=_m\"",
        b'multipart/signed; protocol="application/pkcs7-signature"; boundary="=_m"')  # fmt: skip
    opaque = HEADER + b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\nx"
    pgp = plain("-----BEGIN PGP MESSAGE-----\nx\n-----END PGP MESSAGE-----\n")
    report = HEADER + b"Content-Type: application/x-microsoft-rpmsg-message; name=message.rpmsg\r\n\r\nx"
    for untouchable in (raw, opaque, pgp, report):
        outcome = carried_out(untouchable, make(tmp_path))
        assert (outcome.edits, outcome.failed) == ((), ())
        assert [skipped.rule for skipped in outcome.skipped] == [make(tmp_path).rule]


def test_hundreds_of_attachments() -> None:
    raw = mixed(TEXT, *(part(PE, f"{n}.exe") for n in range(900)))
    new = changed(raw, STRIP)
    assert names(new) == [NOTICE]
    assert len(parse(new).root.children) == 2
