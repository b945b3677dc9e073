"""What deciding learns of quotes and stamps."""

from __future__ import annotations

from mta.message.classify import classify
from mta.message.parse import Message, parse
from mta.message.place.own_separators import marks_of
from mta.message.place.quote_marks import DEFAULT_MARKS
from mta.message.stamp_markers import Owner, marked
from mta.relay.stamp.readers import earlier_stamps, newest_texts

HEADER = b"From: a@example.com\r\nSubject: Re: Offer\r\nIn-Reply-To: <1@example.net>\r\nMIME-Version: 1.0\r\n"


def plain(body: bytes) -> Message:
    return parse(HEADER + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body)


def html(body: str) -> Message:
    return parse(HEADER + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + body.encode())


def newest(message: Message, *lines: str) -> tuple[str, ...]:
    marks = marks_of(lines) if lines else DEFAULT_MARKS
    texts = newest_texts(message, classify(message, reverse_path_is_null=False), marks)
    return tuple(text.strip() for text in texts)


def test_the_newest_text_ends_where_a_quote_begins() -> None:
    quote = b"Agreed.\r\n\r\nOn Mon, 23 Nov 2026, B <b@example.net> wrote:\r\n> Shall we?\r\n"
    assert newest(plain(quote)) == ("Agreed.",)
    assert newest(
        html('<p>Agreed.</p><div class="gmail_quote">On Monday B wrote:<blockquote>Shall we?</blockquote></div>')
    ) == ("Agreed.",)


def test_a_reply_below_its_quote_is_read_whole() -> None:
    body = b"On Mon, 23 Nov 2026, B <b@example.net> wrote:\r\n> Shall we?\r\n\r\nAgreed.\r\n"
    assert "Agreed." in newest(plain(body))[0]
    assert "Shall we?" in newest(plain(body))[0]


def test_separators_of_ones_own_count() -> None:
    body = b"Agreed.\r\n\r\n== ticket history ==\r\nShall we?\r\n"
    assert "Shall we?" in newest(plain(body))[0]
    assert newest(plain(body), "== ticket history ==") == ("Agreed.",)


def test_earlier_stamps_are_known_by_name_and_by_bookmark() -> None:
    stamp = marked("corporate", Owner("", ""), "01234567", "<p>Jane Doe</p>")
    names = {"corporate", "compact"}
    assert earlier_stamps(html(f"<p>Hi</p>{stamp}"), names) == {"corporate"}
    bookmark = stamp[stamp.index("<a name") : stamp.index("</a>")]
    assert earlier_stamps(html(f"<p>{bookmark}</a></p>"), names) == {"corporate"}
    assert earlier_stamps(html("<p>stampline-corporate</p>"), names) == frozenset()
