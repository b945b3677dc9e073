"""Whatever comes: a message in seven bits says the same, or it is refused; it never breaks."""

from __future__ import annotations

import email
from email.message import Message

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.edit import CannotEditError, joined
from mta.message.parse import parse
from mta.message.seven_bit import in_seven_bit, with_ascii_header, with_short_lines

octets = st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))
body = octets.map(lambda data: data.replace(b"--", b"").replace(b"\r", b"").replace(b"\n", b"\r\n"))
encoding = st.sampled_from(["", "7bit", "8bit", "binary"])
kind = st.sampled_from(["text/plain; charset=utf-8", "text/html; charset=latin1", "image/png"])


@st.composite
def parts(draw: st.DrawFn) -> bytes:
    declared = draw(encoding)
    header = f"Content-Type: {draw(kind)}\r\n" + (f"Content-Transfer-Encoding: {declared}\r\n" if declared else "")
    return header.encode() + b"\r\n" + draw(body)


def payloads(data: bytes) -> list[object]:
    message: Message = email.message_from_bytes(data)
    return [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]


@settings(max_examples=150, deadline=None)
@given(st.lists(parts(), min_size=1, max_size=3))
def test_every_body_is_the_same(bodies: list[bytes]) -> None:
    data = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=qq\r\n\r\n"
    data += b"".join(b"--qq\r\n" + each + b"\r\n" for each in bodies) + b"--qq--\r\n"
    made = joined(data, in_seven_bit(parse(data)))
    assert made.isascii()
    assert payloads(made) == payloads(data)
    short = joined(data, with_short_lines(parse(data)))
    assert max(map(len, short.split(b"\r\n"))) <= 998


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["To", "From", "Subject", "Content-Type", "Content-Disposition", "References", "X-ü", "Received"]),
    octets,
    octets,
)
def test_any_field_and_any_body_come_out_in_ascii_or_not_at_all(name: str, value: bytes, text: bytes) -> None:
    data = name.encode() + b": " + value + b"\r\nX-After: \xfc\r\n\r\n" + text
    for change in (in_seven_bit, with_ascii_header, with_short_lines):
        message = parse(data)
        try:
            made = joined(data, change(message))
        except CannotEditError:
            continue
        if change is in_seven_bit:
            assert made.isascii()
        elif change is with_ascii_header:
            assert made[: parse(made).body_start].isascii()
