"""However the server's bytes are cut, the session sees the same; however the content is cut, the wire sees the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.adapters.transport.dot_stuffing import stuffed, stuffed_chunks
from mta.adapters.transport.smtp_commands import Transaction
from mta.adapters.transport.smtp_protocol import Event, Ready, SendContent, SmtpSession
from mta.model.address import parse_address

TRANSACTION = Transaction(
    parse_address("jane@example.com"), tuple(parse_address(f"r{i}@example.org") for i in range(3)), 100
)

text = st.sampled_from([b"", b" ok", b" 2.1.0 ok", b" 5.1.1 no", b" \xff\x00", b" x" * 600])
code = st.sampled_from([b"250", b"250", b"250", b"354", b"450", b"550", b"421", b"220", b"999", b"2"])
line_end = st.sampled_from([b"\r\n", b"\r\n", b"\n"])
line = st.builds(lambda c, dash, t, e: c + (b"-" + t[1:] if dash else t) + e, code, st.booleans(), text, line_end)
opening = st.sampled_from(
    [b"220 hi\r\n250-x\r\n250 PIPELINING\r\n", b"220 hi\r\n250 x\r\n", b"220 hi\r\n500 no\r\n250 x\r\n"]
)
stream = st.builds(lambda first, rest: first + b"".join(rest), opening, st.lists(line, max_size=14))


def play(chunks: list[bytes]) -> tuple[list[Event], bytes]:
    """A client that begins a transaction whenever it can, and sends no content but its end."""
    session = SmtpSession("relay.example.com")
    seen: list[Event] = []
    sent = b""
    for chunk in chunks:
        events = session.receive(chunk)
        sent += session.to_send()
        seen += events
        if events and isinstance(events[-1], Ready):
            seen += session.begin(TRANSACTION)
        elif events and isinstance(events[-1], SendContent):
            session.content_sent()
        sent += session.to_send()
    return seen + session.lost(), sent


def at_line_ends(data: bytes) -> list[bytes]:
    return [part + b"\n" for part in data.split(b"\n")[:-1]] + [data.rpartition(b"\n")[2]]


@settings(max_examples=150, deadline=None)
@given(data=stream, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_replies_cut_anywhere_give_the_same_events(data: bytes, sizes: list[int]) -> None:
    chunks: list[bytes] = []
    for piece in at_line_ends(data):
        at, turn = 0, 0
        while at < len(piece):
            chunks.append(piece[at : at + sizes[turn % len(sizes)]])
            at, turn = at + sizes[turn % len(sizes)], turn + 1
    assert play(chunks) == play(at_line_ends(data))


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=3000), modes=st.sampled_from(["none", "opportunistic", "required"]))
def test_no_bytes_of_a_server_raise_anything(data: bytes, modes: str) -> None:
    session = SmtpSession("relay.example.com", "required" if modes == "required" else "opportunistic")
    session.receive(b"220 hi\r\n")
    session.receive(data)
    session.lost()
    assert session.is_closed


contents = st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"..", b"\r\n.\r\n", b"bcd\r\n"]), max_size=30)


def unstuffed(wire: bytes) -> bytes:
    """What a strict server makes of DATA (RFC 5321 §4.5.2)."""
    assert wire.endswith(b".\r\n")
    assert ("\r\n" + wire.decode("latin-1")).find("\r\n.\r\n") == len(wire) - 3, "one end of data, at the end"
    lines = wire[: -len(b".\r\n")].split(b"\r\n")
    return b"\r\n".join(part[1:] if part.startswith(b".") else part for part in lines)


@settings(max_examples=300, deadline=None)
@given(pieces=contents, chunk=st.integers(1, 9))
def test_the_wire_is_the_same_in_one_write_and_in_chunks(pieces: list[bytes], chunk: int) -> None:
    segments = [memoryview(piece) if i % 2 else piece for i, piece in enumerate(pieces)]
    assert b"".join(stuffed_chunks(segments, chunk)) == stuffed(segments)


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(st.sampled_from([b".", b"\r\n", b"a", b"..", b"\r\n.\r\n"]), max_size=30))
def test_crlf_content_arrives_as_it_was(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    expected = data if data.endswith(b"\r\n") or not data else data + b"\r\n"
    assert unstuffed(stuffed(pieces)) == expected


@settings(max_examples=300, deadline=None)
@given(pieces=contents)
def test_bare_line_ends_never_end_the_data(pieces: list[bytes]) -> None:
    """For a server that takes any CR or LF as the end of a line (SMTP smuggling)."""
    wire = stuffed(pieces)
    lenient = b"\n" + wire[: -len(b".\r\n")].replace(b"\r", b"\n")
    assert b"\n.\n" not in lenient
