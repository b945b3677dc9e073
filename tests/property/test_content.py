"""Attachments, their removal and addition, and text as it is seen, for any message that one can think of."""

from __future__ import annotations

import email
import email.policy
import re
from functools import reduce
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.attachments import attachments, compound_file, rar, seven_zip, zip_archive
from mta.message.attachments.attach import attach
from mta.message.attachments.take_out import NOTICE_NAME, needs_notice, take_out
from mta.message.classify import classify
from mta.message.edit import joined
from mta.message.file_part import file_part
from mta.message.html.visible_text import VisibleText
from mta.message.parse import Part, parse
from mta.model.actions import AddAttachment, ReplaceText, StripAttachments
from mta.relay.stamp.content.kept_names import kept_name
from mta.relay.stamp.stamp import stamp_message
from mta.relay.stamp.templates.template_set import TemplateSet
from tests.unit.message.attachment_samples import (
    HEADER,
    PDF,
    PDF_ENCRYPTED,
    TEXT,
    attached,
    compound,
    mixed,
    office,
    part,
    rar_4,
    rar_5,
    word,
    zipped,
)
from tests.unit.message.attachment_samples import (
    seven_zip as seven_zip_file,
)
from tests.unit.relay.stamp.samples import context, html

MODEST = settings(deadline=None, max_examples=150)
FILES = (
    zipped(["a.txt", "b.exe"]), office("word"), compound({"WordDocument": word(), "VBA": b"x" * 900}), PDF_ENCRYPTED,
    rar_4(["a.txt", "b.exe"], encrypted=True), rar_5(["a.txt", "b.exe"], encrypted=True),
    seven_zip_file(["a.txt", "b.exe"], packed=True), b"<html><script>x</script>", b"\xff\xfe<\0h\0t\0m\0l\0",
)  # fmt: skip


# --- looking into files -----------------------------------------------------------------------------------------------


@given(st.data())
@MODEST
def test_any_damage_to_a_file_is_looked_at_without_an_error(data: st.DataObject) -> None:
    octets = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(0, 8))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    found = attached(bytes(octets[: data.draw(st.integers(0, len(octets)))]), "a.docx")
    assert "/" in found.media_type
    assert isinstance(found.is_encrypted, bool)
    assert isinstance(found.lies, bool)
    assert isinstance(found.runs_because, str)


@given(st.binary(max_size=600), st.sampled_from([b"", b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00", b"PK\x03\x04"]))
@MODEST
def test_readers_of_containers_take_anything(octets: bytes, start: bytes) -> None:
    for look_into in (zip_archive.look_into, compound_file.look_into, rar.look_into, seven_zip.look_into):
        assert len(look_into(start + octets).names) <= 2000


@given(st.text(max_size=300))
@MODEST
def test_kept_names_are_file_names(name: str) -> None:
    found = kept_name(name, b"x")
    assert Path(found).name == found
    assert len(found.encode()) <= 180
    assert not found.startswith(".")
    assert re.fullmatch(r"[\w.\- ()+,@=]+", found)


NAMES = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Cn", "Co", "Cf")), min_size=1, max_size=150
)


@given(NAMES.map(str.strip).filter(bool))
@MODEST
def test_a_name_of_an_added_file_is_read_as_it_was(name: str) -> None:
    clean = "".join(character for character in name if character.isprintable()).replace("\\", "/")
    raw = HEADER + file_part(name, b"x") + b"\r\n"
    assert max(map(len, raw.split(b"\r\n"))) <= 100
    found = parse(raw).root.filename
    assert " ".join(found.split()) == " ".join(
        (clean.replace('"', "'") if clean.isascii() and len(clean) <= 60 else clean).split()
    )


# --- parts ------------------------------------------------------------------------------------------------------------

LEAVES = st.sampled_from([
    TEXT, b"Content-Type: text/html\r\n\r\n<p>Hello</p>", part(PDF, "a.pdf"), part(b"MZ", "b.exe"),
    b'Content-Type: a/b; name="empty"\r\n\r\n', b"\r\nno header at all", b"Content-Type: a/b\r\n\r\n\r\n",
    b"Content-Type: message/rfc822\r\n\r\n" + mixed(TEXT, part(PDF, "inner.pdf"), boundary=b"=_inner"),
])  # fmt: skip


def nested(children: list[bytes], kind: str, depth: int) -> bytes:
    return mixed(*children, kind=kind, header=b"", boundary=b"=_%d" % depth).removesuffix(b"\r\n")


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    def branch(depth: int) -> bytes:
        if depth > 3 or draw(st.booleans()):
            return draw(LEAVES)
        kind = draw(st.sampled_from(["mixed", "mixed", "alternative", "related"]))
        return nested([branch(depth + 1) for _ in range(draw(st.integers(1, 4)))], kind, depth)

    raw = HEADER + branch(0)
    if draw(st.booleans()):
        raw += b"\r\n"
    return raw.removesuffix(b"--\r\n") if draw(st.integers(0, 9)) == 0 else raw


def leaves(root: Part) -> list[bytes]:
    return [each.raw_body for each in root.walk() if not each.is_multipart]


@given(messages(), st.data())
@MODEST
def test_taking_parts_out_leaves_the_others(raw: bytes, data: st.DataObject) -> None:
    message = parse(raw)
    found = [each.part for each in attachments(message)]
    taken = dict.fromkeys(each for each in found if data.draw(st.booleans()))
    notices = {each: "Gone." if n == 0 or needs_notice(each, taken) else "" for n, each in enumerate(taken)}
    after = parse(joined(raw, take_out(notices)))
    inside = {id(below) for each in taken for below in each.walk()}
    stays = [each.raw_body for each in message.root.walk() if not each.is_multipart and id(each) not in inside]
    assert [body for body in leaves(after.root) if body.rstrip(b"\r\n") != b"Gone."] == stays
    assert all(each.children for each in after.root.walk() if each.is_multipart)
    assert after.defects == message.defects or not after.defects


@given(messages())
@MODEST
def test_what_is_added_is_there_once_and_all_else_is_the_same(raw: bytes) -> None:
    new = joined(raw, attach(parse(raw), [file_part("terms.pdf", PDF)]))
    after, before = parse(new), parse(raw)
    assert [each.name for each in attachments(after) if each.octets == PDF].count("terms.pdf") == 1
    if "a multipart is not closed" not in before.defects:
        assert leaves(after.root)[:-1] == leaves(before.root)
        stdlib = email.message_from_bytes(new, policy=email.policy.default)
        assert list(stdlib.walk())[-1].get_filename() == "terms.pdf"


@given(messages(), st.booleans(), st.booleans(), st.booleans())
@MODEST
def test_all_actions_together_give_a_sound_message_and_nothing_again(
    raw: bytes, strips: bool, adds: bool, replaces: bool
) -> None:
    path = Path(__file__)
    actions = [
        *([StripAttachments(rule="r")] if strips else []),
        *([AddAttachment(rule="r", file=str(path), filename="added.py")] if adds else []),
        *([ReplaceText(rule="r", find="hello", replacement="Good day")] if replaces else []),
    ]
    message = parse(raw)
    found = stamp_message(message, classify(message, False), actions, context(), TemplateSet({}, {}))
    after = parse(joined(raw, found.edits))
    names = [each.name for each in attachments(after)]
    assert ("added.py" in names) is adds
    if strips:
        assert set(names) <= {NOTICE_NAME, "added.py"}
    left = [action for action in actions if not isinstance(action, StripAttachments)]
    again = stamp_message(after, classify(after, False), left, context(), TemplateSet({}, {}))
    assert joined(after.data, again.edits) == after.data


# --- texts ------------------------------------------------------------------------------------------------------------

PIECES = st.lists(
    st.sampled_from([
        "a", "B", "secret", " ", "\r\n ", "&amp;", "&#115;", "&lt;b&gt;", "&nbsp;", "<b>", "</b>", "<p>", "</p>",
        "<br/>", "<!-- secret -->", "<a title='secret'>", "<style>secret</style>", "\u00ad", "ß", "<", "&", "&x;",
        "<!--[if mso]>secret<![endif]-->",
    ]),
    max_size=25,
)  # fmt: skip


@given(PIECES)
@MODEST
def test_every_piece_of_what_is_seen_leads_to_what_shows_it(pieces: list[str]) -> None:
    source = "".join(pieces)
    seen = VisibleText(source, is_html=True)
    spans = [change for _, _, change in seen.pieces(0, len(seen.text))]
    assert all(0 <= change.start < change.end <= len(source) for change in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    without = reduce(lambda text, change: text[: change.start] + text[change.end :], reversed(spans), source)
    assert VisibleText(without, is_html=True).text.strip() == ""
    for place, character in enumerate(seen.text):
        shown = [source[change.start : change.end] for _, _, change in seen.pieces(place, place + 1)]
        if character.isalpha() and character.isascii():
            assert shown in ([character], [f"&#{ord(character)};"])


@given(PIECES)
@MODEST
def test_replacing_changes_the_text_as_it_is_seen_and_no_tag(pieces: list[str]) -> None:
    raw = html("".join(pieces) + "\n")
    message = parse(raw)
    action = ReplaceText(rule="r", find="secret", replacement="<x>")
    found = stamp_message(message, classify(message, False), [action], context(), TemplateSet({}, {}))
    before, after = (each.partition(b"\r\n\r\n")[2].decode() for each in (raw, joined(raw, found.edits)))
    old, new = VisibleText(before, is_html=True).text, VisibleText(after, is_html=True).text
    assert new == re.sub("secret", "<x>", old, flags=re.IGNORECASE)
    assert tags(after) == tags(before)


def tags(source: str) -> list[str | None]:
    """Start tags as written, and names of end tags, as the standard library reads them."""
    found: list[str | None] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append(self.get_starttag_text())

        def handle_endtag(self, tag: str) -> None:
            found.append(tag)

    reader = Reader(convert_charrefs=False)
    reader.feed(source)
    reader.close()
    return found
