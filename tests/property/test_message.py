"""Random messages: the scanner finds what was built, and an edit changes what it says and nothing else."""

from __future__ import annotations

import base64
import email
import html
import quopri
from dataclasses import dataclass, field

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mta.message import quoted_printable
from mta.message.body_text import Change, displayed
from mta.message.classify import classify
from mta.message.edit import CannotEditError, Edit, apply, joined
from mta.message.headers import format_field, prepend, remove_header, set_header, tag_subject
from mta.message.parse import LimitExceededError, Part, parse
from mta.message.structure import Picture, add_pictures

EXAMPLES = settings(max_examples=100, deadline=None)

# --- random MIME trees -----------------------------------------------------------------------------------------------


@dataclass
class Node:
    """A part as it was built: `raw` is a leaf's encoded body, `text` what it says."""

    content_type: str
    charset: str = ""
    encoding: str = ""
    raw: bytes = b""
    text: str = ""
    children: list[Node] = field(default_factory=list)
    preamble: bytes = b""
    epilogue: bytes = b""
    is_attachment: bool = False


CHARSETS = {
    "utf-8": "utf-8", "iso-8859-1": "latin-1", "windows-1252": "cp1252", "koi8-r": "koi8-r", "us-ascii": "ascii",
    "gb2312": "gb2312", "shift_jis": "shift_jis", "euc-kr": "euc-kr", "iso-2022-jp": "iso2022_jp", "utf-7": "utf-7",
}  # fmt: skip
SAMPLES = "abc xyz =.-_<>&;,'\"!?()\t" + "äöüßéñ" + "привет" + "日本語テスト" + "中文" + "한국어" + "€“”–"
lines = st.text(alphabet=SAMPLES, max_size=90)
subtypes = st.sampled_from(["mixed", "alternative", "related", "parallel"])
filler = st.sampled_from([b"", b"This is a multi-part message.\r\n", b"--\r\n-- \r\n--x--\r\n", b"\r\n\r\n"])


def _holds(character: str, codec: str) -> bool:
    try:
        return character.encode(codec).decode(codec) == character
    except UnicodeError:
        return False


@st.composite
def leaves(draw: st.DrawFn) -> Node:
    label = draw(st.sampled_from(sorted(CHARSETS)))
    codec = CHARSETS[label]
    text = "\r\n".join(draw(st.lists(lines, max_size=6)))
    text = "".join(character for character in text if _holds(character, codec))
    octets = text.encode(codec)
    encodings = ["quoted-printable", "base64", "8bit"] + (["7bit"] if octets.isascii() else [])
    encoding = draw(st.sampled_from(encodings))
    raw = octets
    if encoding == "base64":
        width = draw(st.sampled_from([76, 64, 60, 20]))
        letters = base64.b64encode(octets)
        raw = b"\r\n".join(letters[i : i + width] for i in range(0, len(letters), width))
    elif encoding == "quoted-printable":
        raw = quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        octets = quoted_printable.decode(raw)
    # A text that has a delimiter line would be another tree.
    assume(not any(line.startswith(b"--b") for line in raw.split(b"\r\n")))
    kind = draw(st.sampled_from(["text/plain", "text/html"]))
    return Node(kind, label, encoding, raw, text, is_attachment=draw(st.integers(0, 5)) == 0)


trees = st.recursive(
    leaves(),
    lambda inner: st.builds(
        lambda subtype, children, before, after: Node(
            f"multipart/{subtype}", children=children, preamble=before, epilogue=after
        ),
        subtypes,
        st.lists(inner, min_size=1, max_size=4),
        filler,
        filler,
    ),
    max_leaves=8,
)


def build(node: Node, counter: list[int], fields: bytes = b"") -> bytes:
    """The part with its header; boundaries are prefixes of each other (b1, b11, b111…)."""
    if not node.children:
        disposition = b"Content-Disposition: attachment; filename=x.txt\r\n" if node.is_attachment else b""
        return fields + disposition + (
            f"Content-Type: {node.content_type}; charset={node.charset}\r\n"
            f"Content-Transfer-Encoding: {node.encoding}\r\n\r\n"
        ).encode() + node.raw  # fmt: skip
    counter[0] += 1
    boundary = b"b" + b"1" * counter[0]
    body = b"".join(b"--" + boundary + b"\r\n" + build(child, counter) + b"\r\n" for child in node.children)
    header = fields + f"Content-Type: {node.content_type};\r\n\tboundary=".encode() + boundary + b"\r\n\r\n"
    return header + node.preamble + body + b"--" + boundary + b"--\r\n" + node.epilogue


def message_of(node: Node) -> bytes:
    return build(node, [0], b"From: a@example.com\r\nSubject: test\r\nMIME-Version: 1.0\r\n") + b"\r\n"


def shape(part: Part) -> object:
    return (part.content_type, [shape(child) for child in part.children])


def built_shape(node: Node) -> object:
    return (node.content_type, [built_shape(child) for child in node.children])


def built_leaves(node: Node) -> list[Node]:
    return [leaf for child in node.children for leaf in built_leaves(child)] if node.children else [node]


@EXAMPLES
@given(trees)
def test_the_scanner_finds_all_parts_and_their_octets(node: Node) -> None:
    data = message_of(node)
    message = parse(data)
    assert shape(message.root) == built_shape(node)
    found = [part for part in message.root.walk() if not part.children]
    for part, leaf in zip(found, built_leaves(node), strict=True):
        assert part.raw_body == leaf.raw + (b"\r\n" if part.parent is None else b"")
        assert (part.charset, part.encoding) == (leaf.charset, leaf.encoding)
    for part in message.root.walk():
        assert part.header_start <= part.body_start <= part.body_end <= len(data)
        if part.parent is not None:
            assert part.parent.body_start <= part.header_start
            assert part.body_end <= part.parent.body_end
    assert message.defects == ()


@EXAMPLES
@given(trees)
def test_displayed_texts_read_as_they_were_written(node: Node) -> None:
    written = [leaf.text for leaf in built_leaves(node)]
    for body in displayed(parse(message_of(node))):
        text = (
            body.text.removesuffix("\r\n") if body.part.parent is None and body.part.encoding != "base64" else body.text
        )
        assert text in written


additions = st.one_of(
    st.sampled_from(
        ["x", "\n", "\n-- \nJörg Müller\n", "Grüße 10 €\n日本\n", "--b1\n--b11--\n", " ", "=41", "long " * 90]
    ),
    st.text(alphabet=SAMPLES + "\n", max_size=200),
)


@EXAMPLES
@given(trees, additions, st.data())
def test_a_change_of_one_text_leaves_all_else_byte_identical(node: Node, added: str, data: st.DataObject) -> None:
    raw = message_of(node)
    message = parse(raw)
    bodies = displayed(message)
    assume(bodies)
    index = data.draw(st.integers(0, len(bodies) - 1))
    body = bodies[index]
    start = data.draw(st.integers(0, len(body.text)))
    end = data.draw(st.integers(start, min(len(body.text), start + 30)))
    edits = body.change([Change(start, end, added)])
    result = joined(raw, edits)
    after = parse(result)
    assert shape(after.root) == shape(message.root)
    for old, new in zip(message.root.walk(), after.root.walk(), strict=True):
        if not old.children and old is not body.part:
            assert raw[old.header_start : old.body_end] == result[new.header_start : new.body_end]
    new_body = displayed(after)[index]
    expected = expected_text(body.text, start, end, added)
    if body.is_html:
        assert html.unescape(new_body.text).removesuffix("\r\n") == html.unescape(expected).removesuffix("\r\n")
    else:
        assert new_body.text.removesuffix("\r\n") == expected.removesuffix("\r\n")
    allowed = 76 if new_body.part.encoding in ("base64", "quoted-printable") else 998
    assert longest(new_body.part) <= max(allowed, longest(body.part) + 1)
    if new_body.part.encoding == "7bit":
        assert new_body.part.raw_body.isascii()


def expected_text(text: str, start: int, end: int, added: str) -> str:
    if start and text[start - 1 : start + 1] == "\r\n":
        start -= 1
    if end and text[end - 1 : end + 1] == "\r\n":
        end -= 1
    return text[:start] + added.replace("\n", "\r\n") + text[end:]


def longest(part: Part) -> int:
    return max(map(len, part.raw_body.split(b"\r\n")))


@EXAMPLES
@given(trees, additions)
def test_the_stdlib_reads_what_was_added(node: Node, added: str) -> None:
    raw = message_of(node)
    bodies = displayed(parse(raw))
    assume(bodies)
    body = bodies[0]
    result = joined(raw, body.change([Change(0, 0, added)]))
    first = next(part for part in parse(raw).root.walk() if not part.children)
    assume(first.header_start == body.part.header_start)
    theirs = next(part for part in email.message_from_bytes(result).walk() if not part.is_multipart())
    octets = theirs.get_payload(decode=True)
    assert isinstance(octets, bytes)
    text = octets.decode(CHARSETS[theirs.get_content_charset("none")]).replace("\r\n", "\n")
    assert (html.unescape(text) if body.is_html else text).startswith(html.unescape(added) if body.is_html else added)


@EXAMPLES
@given(trees, st.data())
def test_pictures_stand_beside_the_body_that_shows_them(node: Node, data: st.DataObject) -> None:
    raw = message_of(node)
    message = parse(raw)
    bodies = [(index, body) for index, body in enumerate(displayed(message)) if body.is_html]
    assume(bodies)
    index, body = data.draw(st.sampled_from(bodies))
    picture = Picture("p@example.com", "image/png", "p.png", data.draw(st.binary(max_size=300)))
    result = joined(raw, add_pictures(message, body, [Change(0, 0, "<p>NEW</p>")], [picture]))
    after = parse(result)
    new = displayed(after)
    assert len(new) == len(displayed(message))
    assert new[index].text.startswith("<p>NEW</p>")
    (added,) = [part for part in after.root.walk() if part.content_id == picture.cid]
    assert base64.b64decode(added.raw_body) == picture.data
    related = added.parent
    assert related is not None
    assert related.content_type == "multipart/related"
    assert any(part is new[index].part for part in (related.related_root or added).walk())
    kept = [part.raw_body for part in message.root.walk() if not part.children and part is not body.part]
    left = [part.raw_body for part in after.root.walk() if not part.children]
    assert all(octets in left for octets in kept)


# --- headers ---------------------------------------------------------------------------------------------------------

names = st.sampled_from(["From", "To", "Subject", "X-One", "X-Two", "Received"])
values = st.text(
    alphabet=st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp"), blacklist_characters="\x85\u00ad"),
    max_size=120,
)
headers = st.lists(st.tuples(names, values), min_size=1, max_size=8)


@EXAMPLES
@given(values)
def test_a_field_reads_as_the_text_it_was_made_of(text: str) -> None:
    block = format_field("Subject", text)
    assert block.isascii()
    assert max(map(len, block.split(b"\r\n"))) <= 998
    assert parse(block + b"\r\n").subject == text.strip()


@EXAMPLES
@given(headers, st.sampled_from(["X-One", "X-New"]), values, st.sampled_from(["prefix", "suffix"]))
def test_header_edits_change_what_they_say(fields: list[tuple[str, str]], name: str, value: str, where: str) -> None:
    data = b"".join(format_field(*item) for item in fields) + b"\r\nbody\r\n"
    message = parse(data)
    edits = set_header(message, name, value) + remove_header(message, "X-Two") + tag_subject(message, "[Täg]", where)
    after = parse(joined(data, [*edits, prepend(message, b"Received: top\r\n")]))
    assert after.headers(name) == [value.strip()]
    assert not after.has("X-Two")
    assert "[täg]" in after.subject.lower()
    assert after.header("received") == "top"
    assert after.root.raw_body == b"body\r\n"
    for other in ("From", "To"):
        assert [after.raw(f) for f in after.fields_named(other)] == [
            message.raw(f) for f in message.fields_named(other)
        ]


# --- octets of any kind ----------------------------------------------------------------------------------------------

pieces = st.sampled_from([
    b"\r\n", b"\r\n\r\n", b"--b", b"--b--", b"\r\n--b\r\n", b"Content-Type: ", b"multipart/mixed; boundary=b",
    b"text/html", b"message/rfc822", b"Content-Transfer-Encoding: base64", b"charset=utf-7", b" ", b"\t", b"=", b'"',
    b";", b":", b"\xe9", b"Subject: x", b"From ", b"=?utf-8?q?", b"?=", b"\x1b$B", b"\x00",
    b"-----BEGIN PGP MESSAGE-----",
])  # fmt: skip
wild = st.lists(st.one_of(pieces, st.binary(max_size=8)), max_size=40).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(wild, st.booleans())
def test_no_octets_break_the_scanner_or_what_builds_on_it(data: bytes, null: bool) -> None:
    try:
        message = parse(data)
    except LimitExceededError:
        return
    classify(message, null)
    message.attachments()
    assert prepend(message, b"X: y\r\n").end == 0
    joined(data, tag_subject(message, "[Täg]", "prefix"))
    for body in displayed(message):
        try:
            edits = body.change([Change(0, 0, "new ü\n")])
        except CannotEditError:
            continue
        assert len(displayed(parse(joined(data, edits)))) >= 1


@EXAMPLES
@given(
    st.binary(max_size=200),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 20), st.binary(max_size=5)), max_size=6),
)
def test_segments_are_the_message_with_its_edits(data: bytes, wanted: list[tuple[int, int, bytes]]) -> None:
    edits, done = [], 0
    for start, length, replacement in sorted(wanted):
        if start >= done and start + length <= len(data):
            edits.append(Edit(start, start + length, replacement))
            done = start + length
    expected = bytearray(data)
    for edit in reversed(edits):
        expected[edit.start : edit.end] = edit.replacement
    assert b"".join(apply(data, edits)) == expected


@EXAMPLES
@given(st.text(alphabet=SAMPLES + "\n", max_size=300))
def test_quoted_printable_comes_back_and_keeps_its_line_length(text: str) -> None:
    octets = text.replace("\n", "\r\n").encode()
    for boundaries in ({b"-", b"--", b"x"}, set[bytes]()):
        raw = quoted_printable.encode(octets, boundaries)
        assert max(map(len, raw.split(b"\r\n"))) <= 76
        assert quopri.decodestring(raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n") == octets
        assert quoted_printable.decode(raw) == octets


encoded_lines = st.lists(
    st.sampled_from(
        [b"abc", b"=C3=BC", b"=\r\n", b"\r\n", b"=", b"==", b"=\r", b"=\n", b"=4", b" ", b"long line " * 20]
    )
).map(b"".join)


@EXAMPLES
@given(st.one_of(st.binary(max_size=400), encoded_lines), st.data())
def test_a_place_in_quoted_printable_is_found(raw: bytes, data: st.DataObject) -> None:
    decoded = quoted_printable.decode(raw)
    position = data.draw(st.integers(0, len(decoded)))
    offset = quoted_printable.encoded_offset(raw, position, len(decoded))
    assert 0 <= offset <= len(raw)
    assert quoted_printable.decode(raw[offset:]) == decoded[position:]
