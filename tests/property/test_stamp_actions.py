"""Whatever message and stamps are: the author's words stay, other parts are untouched, again nothing happens."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.body_text import displayed
from mta.message.edit import Edit, combine, composed, joined
from mta.message.parse import Message, Part, parse
from mta.model.actions import Action, Once, Place, RemoveStamps, Stamp
from mta.relay.stamp.earlier.wording import letters, locate, shown_text
from mta.relay.stamp.templates.template_set import TemplateSet
from tests.unit.relay.stamp.samples import HEADER, html, multipart, outcome, plain, templates

NAMES = ("alpha", "beta", "gamma")
REPLY = HEADER.replace(b"Subject: Offer", b"Subject: Re: Offer\r\nIn-Reply-To: <0@example.com>")
PNG = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <p@x>\r\n\r\niVBORw0KGgo=\r\n"
PDF = b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n%PDF\r\n"
FILE = b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nFile text\r\n"


def _templates() -> TemplateSet:
    with TemporaryDirectory() as folder:
        sources = {name: f"Zq{name} signature <b>Zq{name}</b> {{{{ sender.displayName }}}} Zqend" for name in NAMES}
        return templates(Path(folder), **sources)


CHOSEN = _templates()
LINES = st.sampled_from(
    ["", "Hello", "Grüße aus Köln", "On 2 May 2024, A wrote:", "> Old text", "> ", ">> Older", "-- ", "Jane",
     " indented", "long " * 30, "A soft end ", "From here", "東京 です", "https://example.com/a?b=c", "=3D",
     ".", "\ttab"]
)  # fmt: skip
TEXT = st.lists(LINES, max_size=8).map(lambda lines: "\n".join(lines) + "\n")
PIECES = st.sampled_from(
    ["<p>Hi</p>", "<div>", "</div>", "<table><tr><td>x</td></tr></table>", "<br>", "Grüße", "&amp; more", "<!-- c -->",
     "<blockquote type=cite>Old</blockquote>", "<div>On 2 May 2024, A wrote:</div>", "<b>b</b>", '<img src="cid:p@x">',
     "<hr>", "text"]
)  # fmt: skip
SOURCE = st.tuples(st.lists(PIECES, max_size=8).map("".join), st.booleans()).map(
    lambda both: f"<html><body>{both[0]}</body></html>\n" if both[1] else f"{both[0]}\n"
)
FLOWS = st.sampled_from([b"", b"; format=flowed", b"; format=flowed; delsp=yes"])
HEADERS = st.sampled_from([HEADER, REPLY])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    header = draw(HEADERS)
    flow = draw(FLOWS)

    def plain_part(header: bytes = b"") -> bytes:
        return plain(draw(TEXT), header=header).replace(b"charset=utf-8", b"charset=utf-8" + flow)

    def html_part(header: bytes = b"") -> bytes:
        return html(draw(SOURCE), header=header)

    kind = draw(st.sampled_from(["plain", "html", "alternative", "related", "mixed", "several", "inner"]))
    if kind == "plain":
        return plain_part(header)
    if kind == "html":
        return html_part(header)
    if kind == "alternative":
        return multipart("alternative", plain_part(), html_part(), header=header)
    if kind == "related":
        inner = multipart("related", html_part(), PNG, header=b"", boundary=b"=_r")
        return multipart("alternative", plain_part(), inner, header=header)
    if kind == "mixed":
        return multipart("mixed", plain_part(), PDF, FILE, header=header)
    if kind == "several":
        return multipart("mixed", plain_part(), PDF, plain_part(), FILE, plain_part(), header=header)
    inner = multipart("mixed", html_part(), PDF, html_part(), header=b"", boundary=b"=_i")
    return multipart("alternative", plain_part(), inner, header=header)


STAMPS = st.lists(
    st.builds(
        Stamp,
        template=st.sampled_from(NAMES),
        place=st.sampled_from(list(Place)),
        formats=st.sampled_from([("html", "plain"), ("html",), ("plain",)]),
        make_html=st.booleans(),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda stamp: stamp.template,
)


def words(text: str, *, is_html: bool) -> list[str]:
    """The author's words: without markup and stamps."""
    shown = shown_text(text) if is_html else text
    return re.sub(
        r"Zq\w+ signature\s+(?:<b>)?Zq\w+(?:</b>)?\s+Jane\s+Döe\s+Zqend", " ", shown.replace("\u00a0", " ")
    ).split()


def others(message: Message) -> list[bytes]:
    """All that is no displayed text, header fields included."""
    texts = {id(body.part) for body in displayed(message)}
    return [
        message.data[part.header_start : part.body_end]
        for part in message.root.walk()
        if not part.children and id(part) not in texts
    ]


def tree(part: Part) -> list[object]:
    """The types of parts; a text with the HTML that was made of it is the text."""
    kinds = [child.content_type for child in part.children]
    if part.content_type == "multipart/alternative" and part.boundary.startswith(b"=_alternative_"):
        assert kinds == ["text/plain", "text/html"]
        return ["text/plain"]
    return [part.content_type, *(tree(child) for child in part.children)]


@given(messages(), STAMPS)
@settings(max_examples=300, deadline=None)
def test_stamps_add_and_change_nothing_else(data: bytes, actions: list[Action]) -> None:
    done = outcome(data, actions, CHOSEN)
    assert not done.failed
    before, after = parse(data), parse(joined(data, done.edits))
    assert not after.defects
    assert others(after) == others(before)
    if done.stamped:
        assert tree(after.root) == tree(before.root)
    texts = [body for body in displayed(after) if not (body.is_html and _is_made(body.part))]
    assert len(texts) == len(displayed(before))
    for old, new in zip(displayed(before), texts, strict=True):
        assert words(new.text, is_html=new.is_html) == words(old.text, is_html=old.is_html)


def _is_made(part: Part) -> bool:
    around = part.parent
    return around is not None and around.boundary.startswith(b"=_alternative_")


@given(messages(), STAMPS)
@settings(max_examples=150, deadline=None)
def test_a_second_time_nothing_happens(data: bytes, actions: list[Stamp]) -> None:
    # Below an unmarked quote in plain text nobody can tell whose stamp it is.
    actions = [stamp for stamp in actions if stamp.place is Place.TOP]
    once = joined(data, outcome(data, actions, CHOSEN).edits)
    again = outcome(once, actions, CHOSEN)
    assert (again.edits, again.stamped) == ((), ())


@given(messages(), STAMPS)
@settings(max_examples=150, deadline=None)
def test_in_a_conversation_nothing_happens_again(data: bytes, actions: list[Stamp]) -> None:
    wanted = [Stamp(template=stamp.template, place=stamp.place, once=Once.CONVERSATION) for stamp in actions]
    once = joined(data, outcome(data, wanted, CHOSEN).edits)
    assert outcome(once, wanted, CHOSEN).edits == ()


@given(messages(), STAMPS)
@settings(max_examples=200, deadline=None)
def test_what_was_put_on_can_be_taken_out(data: bytes, actions: list[Stamp]) -> None:
    plain_stamps = [Stamp(template=stamp.template, place=stamp.place, formats=stamp.formats) for stamp in actions]
    stamped = joined(data, outcome(data, plain_stamps, CHOSEN).edits)
    result = parse(joined(stamped, outcome(stamped, [RemoveStamps()], CHOSEN).edits))
    before = parse(data)
    assert others(result) == others(before)
    for old, new in zip(displayed(before), displayed(result), strict=True):
        assert "Zq" not in new.text
        # A place between two lines got a blank line on either side; one of them stays.
        assert new.text.split() == old.text.split() if new.is_html else lines(new.text) == lines(old.text)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6), st.binary(max_size=5)), max_size=5)


def _edits(spans: list[tuple[int, int, bytes]], length: int) -> list[Edit]:
    edits: list[Edit] = []
    for start, size, replacement in spans:
        edit = Edit(min(start, length), min(start + size, length), replacement)
        try:
            combine([*edits, edit])
        except ValueError:
            continue
        edits.append(edit)
    return edits


@given(st.binary(max_size=40), SPANS, SPANS)
@settings(deadline=None)
def test_edits_of_edited_octets_are_edits_of_the_first(
    data: bytes, first: list[tuple[int, int, bytes]], then: list[tuple[int, int, bytes]]
) -> None:
    one = _edits(first, len(data))
    middle = joined(data, one)
    two = _edits(then, len(middle))
    assert joined(data, composed(one, two)) == joined(middle, two)


@given(st.one_of(TEXT, st.text(max_size=60)))
@settings(deadline=None)
def test_letters_are_found_at_their_places(text: str) -> None:
    found = locate(text, is_html=False)
    assert found.letters == letters(text) or not text.isascii()  # some characters only make one together
    assert len(found.letters) == len(found.starts) == len(found.ends)
    assert list(found.starts) == sorted(found.starts)
    assert all(0 <= start < end <= len(text) for start, end in zip(found.starts, found.ends, strict=True))
