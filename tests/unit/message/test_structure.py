"""Pictures beside a changed HTML body."""

from __future__ import annotations

import email
import email.policy

import pytest

from mta.message.body_text import Change, TextBody, displayed
from mta.message.edit import CannotEditError, joined
from mta.message.parse import Message, Part, parse
from mta.message.structure import Picture, add_pictures
from tests.shared import corpus
from tests.unit.message.samples import crlf, text_message, tree

LOGO = Picture("logo.1@example.com", "image/png", "logo.png", bytes(range(256)) * 3)
PHOTO = Picture("photo.1@example.com", "image/jpeg", "grüße.jpg", b"\xff\xd8photo")


def stamped(
    data: bytes, index: int = 0, pictures: tuple[Picture, ...] = (LOGO,), text: str = "<p>NEW ü</p>\n"
) -> Message:
    message = parse(data)
    body = displayed(message)[index]
    end = len(body.text)
    return parse(joined(data, add_pictures(message, body, [Change(end, end, text)], pictures)))


def picture_parts(message: Message) -> list[Part]:
    return [part for part in message.root.walk() if part.content_id.endswith(".1@example.com")]


def check_pictures(message: Message, *pictures: Picture) -> None:
    by_id = {part["content-id"]: part for part in email.message_from_bytes(bytes(message.data)).walk()}
    for picture in pictures:
        part = by_id[f"<{picture.cid}>"]
        assert part.get_payload(decode=True) == picture.data
        assert part.get_content_type() == picture.content_type
        assert part.get_content_disposition() == "inline"
    for added in picture_parts(message):
        assert max(map(len, added.raw_body.split(b"\r\n"))) <= 76
        assert not added.is_attachment


ALTERNATIVE = """Subject: x
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain

plain
--a
Content-Type: text/html; charset=utf-8

<p>html</p>
--a--
"""
RELATED = """MIME-Version: 1.0
Content-Type: multipart/related; boundary=r; type="multipart/alternative"

--r
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain

plain
--a
Content-Type: text/html; charset=utf-8

<p>html</p>
--a--

--r
Content-Type: image/gif
Content-ID: <old@example.com>

x
--r--
epilogue
"""


def test_a_part_is_wrapped_with_its_pictures_and_keeps_its_header() -> None:
    after = stamped(crlf(ALTERNATIVE), 1, (LOGO, PHOTO))
    assert tree(after.root) == (
        "multipart/alternative",
        ["text/plain", ("multipart/related", ["text/html", "image/png", "image/jpeg"])],
    )
    assert displayed(after)[1].text == "<p>html</p><p>NEW &#252;</p>\r\n"
    assert displayed(after)[0].text == "plain"
    check_pictures(after, LOGO, PHOTO)
    assert after.root.children[1].params["type"] == "text/html"


def test_pictures_join_the_related_parts_that_are_there() -> None:
    after = stamped(crlf(RELATED), 1, (LOGO, PHOTO))
    assert tree(after.root) == (
        "multipart/related",
        [("multipart/alternative", ["text/plain", "text/html"]), "image/gif", "image/png", "image/jpeg"],
    )
    assert bytes(after.data).endswith(b"\r\n--r--\r\nepilogue\r\n")
    check_pictures(after, LOGO, PHOTO)


def test_an_html_part_that_is_a_related_leaf_gets_a_related_of_its_own() -> None:
    """The other parts of a multipart/related belong to its root, not to each other."""
    message = parse(crlf(RELATED.replace("image/gif", "text/html")))
    frame = TextBody(message.root.children[1])
    after = parse(joined(message.data, add_pictures(message, frame, [], [LOGO])))
    assert tree(after.root.children[1]) == ("multipart/related", ["text/html", "image/png"])


def test_the_only_part_moves_inside_with_its_content_fields() -> None:
    data = crlf(
        "Received: x\nContent-Type: text/html; charset=iso-8859-1\nSubject: x\n"
        "Content-Transfer-Encoding: quoted-printable\nContent-Length: 10\n"
        "MIME-Version: 1.0\nContent-Language: de\n\n<p>gr=FC=DFe</p>\n"
    )
    after = stamped(data)
    assert tree(after.root) == ("multipart/related", ["text/html", "image/png"])
    assert [field.name for field in after.fields] == [b"received", b"subject", b"mime-version", b"content-type"]
    inner = after.root.children[0]
    assert [field.name for field in inner.fields] == [
        b"content-type",
        b"content-transfer-encoding",
        b"content-language",
    ]
    assert displayed(after)[0].text == "<p>grüße</p>\r\n<p>NEW ü</p>\r\n"
    check_pictures(after, LOGO)


def test_the_only_part_may_change_its_encoding_on_the_way() -> None:
    data = text_message(b"<p>html</p>\r\n", "text/html; charset=utf-8", "7bit")
    after = stamped(data, text="<p>" + "word " * 400 + "</p>\n")
    inner = after.root.children[0]
    assert (inner.encoding, inner.charset) == ("quoted-printable", "utf-8")
    assert after.root.encoding == "7bit"
    assert displayed(after)[0].text.endswith("word </p>\r\n")
    check_pictures(after, LOGO)


def test_an_unclosed_related_is_closed_behind_its_pictures() -> None:
    after = stamped(crlf(RELATED.replace("--r--\nepilogue\n", "")), 1)
    assert after.root.children[-1].content_type == "image/png"
    check_pictures(after, LOGO)


@pytest.mark.parametrize("empty", ["--a\nContent-Type: text/html\n\n--a--\n", "--a\nContent-Type: text/html\n--a--\n"])
def test_an_empty_part_can_be_stamped_with_pictures(empty: str) -> None:
    data = crlf(f"Content-Type: multipart/mixed; boundary=a\n\n{empty}")
    after = stamped(data)
    assert tree(after.root) == ("multipart/mixed", [("multipart/related", ["text/html", "image/png"])])
    check_pictures(after, LOGO)


def test_pictures_go_behind_parts_that_share_their_line_end_with_the_delimiter() -> None:
    inner = "Content-Type: multipart/alternative; boundary=a\n\n--a\nContent-Type: text/html\n\n"
    message = f"Content-Type: multipart/related; boundary=r\n\n--r\n{inner}--r--\n"
    after = stamped(crlf(message))
    assert tree(after.root) == ("multipart/related", [("multipart/alternative", ["text/html"]), "image/png"])
    check_pictures(after, LOGO)


def test_without_pictures_only_the_text_changes() -> None:
    message = parse(crlf(ALTERNATIVE))
    body = displayed(message)[1]
    changes = [Change(0, 0, "x")]
    assert add_pictures(message, body, changes, []) == body.change(changes)


def test_the_same_message_is_stamped_to_the_same_bytes_and_another_to_another_boundary() -> None:
    one, again = stamped(crlf(ALTERNATIVE), 1), stamped(crlf(ALTERNATIVE), 1)
    other = stamped(crlf(ALTERNATIVE.replace("Subject: x", "Subject: y")), 1)
    assert bytes(one.data) == bytes(again.data)
    assert one.root.children[1].boundary != other.root.children[1].boundary


def test_a_boundary_that_stands_in_the_message_is_not_used() -> None:
    first = stamped(crlf(ALTERNATIVE), 1).root.children[1].boundary
    data = crlf(ALTERNATIVE) + b"epilogue " + first + b"\r\n"
    assert stamped(data, 1).root.children[1].boundary != first


def test_several_bodies_get_boundaries_of_their_own() -> None:
    data = crlf(ALTERNATIVE.replace("text/plain", "text/html").replace("alternative", "mixed"))
    message = parse(data)
    edits = [edit for body in displayed(message) for edit in add_pictures(message, body, [], [LOGO])]
    after = parse(joined(data, edits))
    assert tree(after.root) == (
        "multipart/mixed",
        [("multipart/related", ["text/html", "image/png"]), ("multipart/related", ["text/html", "image/png"])],
    )
    assert len({child.boundary for child in after.root.children}) == 2


def test_file_names_outside_ascii_are_read_by_all() -> None:
    after = stamped(crlf(ALTERNATIVE), 1, (PHOTO,))
    (part,) = picture_parts(after)
    assert part.filename == "grüße.jpg"
    assert part.params["name"] == "grüße.jpg"
    again = email.message_from_bytes(bytes(after.data), policy=email.policy.default)
    assert [item.get_filename() for item in again.walk() if item.get_content_type() == "image/jpeg"] == ["grüße.jpg"]


def test_names_cannot_break_out_of_their_field() -> None:
    picture = Picture("x.1@example.com", "image/png", 'a"\r\nX-Evil: yes.png', b"x")
    (part,) = picture_parts(stamped(crlf(ALTERNATIVE), 1, (picture,)))
    assert not part.has(b"x-evil")


def test_a_message_whose_header_never_ends_is_left_alone() -> None:
    with pytest.raises(CannotEditError):
        stamped(crlf("Content-Type: text/html\n<p>text</p>\n"))


@pytest.mark.corpus
def test_every_html_body_of_the_corpus_takes_a_picture() -> None:
    problems = []
    for entry in corpus():
        if not entry.manifest["has_html"]:
            continue
        message = parse(entry.data)
        for index, body in enumerate(displayed(message)):
            if not body.is_html:
                continue
            try:
                edits = add_pictures(message, body, [Change(0, 0, "<p>NEW</p>\n")], [LOGO])
            except CannotEditError as error:
                problems.append(f"{entry.path}: {error}")
                continue
            after = parse(joined(entry.data, edits))
            new = displayed(after)
            if (
                len(new) != len(displayed(message))
                or "<p>NEW</p>" not in new[index].text
                or len(picture_parts(after)) != 1
            ):
                problems.append(entry.path)
    assert problems == ["rspamd/messages_rcvd7.eml: the message's header is not closed"]
