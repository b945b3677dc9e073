from __future__ import annotations

from typing import Any

import pytest

from mta.adapters.transport.smtp_commands import Extensions, Transaction, parse_extensions
from mta.adapters.transport.smtp_protocol import Closed, Done, Event, Ready, SendContent, SmtpSession, StartTls, TlsMode
from mta.model.address import Address, parse_address

EHLO = b"EHLO relay.example.com\r\n"
MAIL = b"MAIL FROM:<jane@example.com> SIZE=100\r\n"


def offer(*extensions: str) -> bytes:
    names = ["peer.example", *extensions]
    return "".join(f"250-{n}\r\n" for n in names[:-1]).encode() + f"250 {names[-1]}\r\n".encode()


PIPELINING = offer("PIPELINING", "SIZE 1000", "8BITMIME")
STEPWISE = offer("SIZE 1000")


def opened(answer: bytes = PIPELINING, tls: TlsMode = "none") -> SmtpSession:
    session = SmtpSession("relay.example.com", tls)
    session.receive(b"220 hello\r\n")
    assert session.to_send() == EHLO
    assert session.receive(answer) == [Ready()]
    return session


def to(*recipients: str | Address, size: int = 100, sender: str = "jane@example.com", **more: Any) -> Transaction:
    addresses = tuple(parse_address(r) if isinstance(r, str) else r for r in recipients)
    return Transaction(parse_address(sender) if sender else None, addresses, size, **more)


def begun(session: SmtpSession, *recipients: str) -> bytes:
    assert session.begin(to(*(recipients or ("a@example.org", "b@example.org")))) == []
    return session.to_send()


def answers(event: Event) -> list[str]:
    assert isinstance(event, Done)
    return [f"{a.reply.code} {a.reply.status}" for a in event.answers]


def closed(events: list[Event]) -> str:
    assert isinstance(events[-1], Closed)
    return str(events[-1].answer.reply)


# --- the opening -----------------------------------------------------------------------------------------------------


def test_a_refused_ehlo_is_followed_by_helo() -> None:
    session = SmtpSession("relay.example.com")
    session.receive(b"220 old\r\n")
    session.to_send()
    assert session.receive(b"500 what\r\n") == []
    assert session.to_send() == b"HELO relay.example.com\r\n"
    assert session.receive(b"250 hello\r\n") == [Ready()]
    assert session.extensions == Extensions()


@pytest.mark.parametrize("greeting", [b"421 4.3.2 too busy\r\n", b"554 5.7.1 go away\r\n", b"451 later\r\n"])
def test_a_refusing_greeting_closes(greeting: bytes) -> None:
    session = SmtpSession("relay.example.com")
    [event] = session.receive(greeting)
    assert isinstance(event, Closed)
    assert event.answer.words == greeting.decode().strip()


def test_extensions_are_read_in_any_case() -> None:
    found = parse_extensions(
        (b"peer", b"pipelining", b"SIZE  35882577 ", b"8bitmime", b"STARTTLS", b"X-ODD =1", b"dsn")
    )
    assert found == Extensions(
        pipelining=True, size=35882577, size_offered=True, eight_bit_mime=True, starttls=True, dsn=True
    )


@pytest.mark.parametrize("value", [b"SIZE", b"SIZE 0", b"SIZE x", b"SIZE -1", b"SIZE " + b"9" * 2000])
def test_odd_sizes_limit_nothing(value: bytes) -> None:
    found = parse_extensions((b"peer", value))
    assert (found.size, found.size_offered) == (0, True)


# --- STARTTLS --------------------------------------------------------------------------------------------------------


def test_starttls_is_followed_by_a_fresh_ehlo() -> None:
    session = SmtpSession("relay.example.com", "required")
    session.receive(b"220 hello\r\n")
    session.to_send()
    assert session.receive(offer("STARTTLS", "PIPELINING")) == []
    assert session.to_send() == b"STARTTLS\r\n"
    assert session.receive(b"220 go\r\n") == [StartTls()]
    session.tls_started()
    assert session.to_send() == EHLO
    assert session.receive(offer("STARTTLS", "SIZE 5")) == [Ready()]
    assert (session.extensions.pipelining, session.extensions.size) == (False, 5)


@pytest.mark.parametrize("injected", [b"250 injected\r\n", b"2", b"\r\n", b"\x16"])
def test_what_is_injected_behind_starttls_breaks_the_session(injected: bytes) -> None:
    session = SmtpSession("relay.example.com", "opportunistic")
    session.receive(b"220 hello\r\n")
    session.receive(offer("STARTTLS"))
    events = session.receive(b"220 go\r\n" + injected)
    assert "injected behind STARTTLS" in closed(events)
    assert StartTls() not in events


def test_what_is_injected_before_the_handshake_breaks_the_session() -> None:
    session = SmtpSession("relay.example.com", "opportunistic")
    session.receive(b"220 hello\r\n")
    session.receive(offer("STARTTLS"))
    assert session.receive(b"220 go\r\n") == [StartTls()]
    assert "injected" in closed(session.receive(b"250 injected\r\n"))


@pytest.mark.parametrize(
    ("mode", "events"),
    [("opportunistic", [Ready()]), ("none", [Ready()])],
)
def test_without_starttls_clear_text_is_used_where_it_may_be(mode: TlsMode, events: list[Event]) -> None:
    session = SmtpSession("relay.example.com", mode)
    assert session.receive(b"220 hello\r\n" + PIPELINING) == events


def test_required_tls_that_is_not_offered_defers() -> None:
    session = SmtpSession("relay.example.com", "required")
    assert closed(session.receive(b"220 hello\r\n" + PIPELINING)).startswith("451 4.7.4 ")


def test_a_refused_starttls() -> None:
    for mode, expected in (("opportunistic", "Ready"), ("required", "Closed")):
        session = SmtpSession("relay.example.com", "opportunistic" if mode == "opportunistic" else "required")
        [event] = session.receive(b"220 hello\r\n" + offer("STARTTLS") + b"454 4.7.0 no\r\n")
        assert type(event).__name__ == expected


# --- transactions ----------------------------------------------------------------------------------------------------


def test_a_pipelined_transaction_is_one_write() -> None:
    session = opened()
    assert begun(session) == MAIL + b"RCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
    assert session.receive(b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n354 go\r\n") == [SendContent()]
    assert session.to_send() == b""
    session.content_sent()
    [done] = session.receive(b"250 2.0.0 queued as 4711\r\n")
    assert answers(done) == ["250 2.0.0", "250 2.0.0"]
    assert isinstance(done, Done)
    assert done.answers[0].words == "250 2.0.0 queued as 4711"
    assert begun(session).startswith(b"MAIL"), "no RSET is needed after a success"


def test_without_pipelining_each_command_waits() -> None:
    session = opened(STEPWISE)
    sent = [begun(session)]
    for _ in range(3):
        assert session.receive(b"250 ok\r\n") == []
        sent.append(session.to_send())
    assert sent == [MAIL, b"RCPT TO:<a@example.org>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n"]
    assert session.receive(b"354 go\r\n") == [SendContent()]


@pytest.mark.parametrize("extensions", [PIPELINING, STEPWISE])
def test_refused_recipients_do_not_stop_the_others(extensions: bytes) -> None:
    session = opened(extensions)
    begun(session, "a@example.org", "b@example.org", "c@example.org")
    events: list[Event] = []
    for reply in (b"250 ok", b"550 5.1.1 unknown", b"250 ok", b"450 4.2.0 greylisted", b"354 go"):
        events += session.receive(reply + b"\r\n")
    assert events == [SendContent()]
    session.content_sent()
    [done] = session.receive(b"250 taken\r\n")
    assert answers(done) == ["550 5.1.1", "250 2.0.0", "450 4.2.0"]


def test_all_refused_without_pipelining_sends_no_data() -> None:
    session = opened(STEPWISE)
    begun(session, "a@example.org")
    session.receive(b"250 ok\r\n")
    assert session.to_send() == b"RCPT TO:<a@example.org>\r\n"
    [done] = session.receive(b"550 5.1.1 unknown\r\n")
    assert answers(done) == ["550 5.1.1"]
    assert begun(session) == b"RSET\r\n"
    session.receive(b"250 ok\r\n")
    assert session.to_send() == MAIL


def test_all_refused_with_pipelining_and_data_refused_too() -> None:
    session = opened()
    begun(session)
    [done] = session.receive(b"250 ok\r\n550 5.1.1 no\r\n551 5.1.6 moved\r\n554 5.5.1 no recipients\r\n")
    assert answers(done) == ["550 5.1.1", "551 5.1.6"]
    assert session.to_send() == b""
    assert begun(session).startswith(b"RSET\r\nMAIL"), "the transaction of before is still open"


def test_all_refused_and_data_taken_gets_a_lone_dot() -> None:
    """RFC 2920 §3.1."""
    session = opened()
    begun(session)
    assert session.receive(b"250 ok\r\n550 5.1.1 no\r\n550 5.1.1 no\r\n354 go\r\n") == []
    assert session.to_send() == b".\r\n"
    [done] = session.receive(b"250 2.0.0 taken for nobody\r\n")
    assert answers(done) == ["550 5.1.1", "550 5.1.1"]


@pytest.mark.parametrize("extensions", [PIPELINING, STEPWISE])
def test_a_refused_sender_concerns_all(extensions: bytes) -> None:
    session = opened(extensions)
    begun(session)
    events = session.receive(b"550 5.7.1 not you\r\n")
    if extensions is PIPELINING:
        events += session.receive(b"503 MAIL first\r\n503 MAIL first\r\n503 MAIL first\r\n")
    assert answers(events[0]) == ["550 5.7.1", "550 5.7.1"]
    assert session.is_ready


def test_a_refused_data_concerns_those_who_were_accepted() -> None:
    session = opened()
    begun(session)
    [done] = session.receive(b"250 ok\r\n550 5.1.1 no\r\n250 ok\r\n451 4.3.0 later\r\n")
    assert answers(done) == ["550 5.1.1", "451 4.3.0"]


def test_a_refused_content_concerns_those_who_were_accepted() -> None:
    session = opened()
    begun(session)
    session.receive(b"250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go\r\n")
    session.content_sent()
    [done] = session.receive(b"554 5.7.1 spam\r\n")
    assert answers(done) == ["550 5.1.1", "554 5.7.1"]
    assert begun(session).startswith(b"MAIL")


def test_a_refusal_amid_the_content_ends_the_session() -> None:
    session = opened()
    begun(session)
    session.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    done, end = session.receive(b"552 5.3.4 too much\r\n")
    assert answers(done) == ["552 5.3.4", "552 5.3.4"]
    assert isinstance(end, Closed)
    assert isinstance(done, Done)
    assert not done.can_retry


def test_421_ends_the_session_and_defers_who_has_no_answer() -> None:
    session = opened()
    begun(session)
    done, end = session.receive(b"250 ok\r\n550 5.1.1 no\r\n421 4.3.2 shutting down\r\n")
    assert answers(done) == ["550 5.1.1", "421 4.3.2"]
    assert isinstance(done, Done)
    assert done.can_retry
    assert isinstance(end, Closed)


def test_a_drop_before_the_dot_can_be_retried_and_after_it_not() -> None:
    session = opened()
    begun(session)
    session.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    early = session.lost()[0]
    session = opened()
    begun(session)
    session.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    session.content_sent()
    late = session.lost()[0]
    assert isinstance(early, Done)
    assert isinstance(late, Done)
    assert (early.can_retry, late.can_retry) == (True, False)
    assert answers(early) == answers(late) == ["451 4.4.2", "451 4.4.2"]
    assert "the end of the message" in late.answers[0].reply.text


def test_an_idle_session_can_be_closed_by_the_remote() -> None:
    session = opened()
    assert closed(session.receive(b"421 4.4.2 idle too long\r\n")).startswith("421 4.4.2")
    assert not session.is_ready
    with pytest.raises(RuntimeError):
        session.begin(to("a@example.org"))


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"25 ok\r\n", b"650 ok\r\n", b"2500 ok\r\n", b"354 go\r\n",
        b"250-a\r\n550 b\r\n", b"\x00\x01\x02\n", b"x" * 5000, b"250 " + b"x" * 5000 + b"\r\n", b"250-x\r\n" * 200,
    ],
)  # fmt: skip
def test_nonsense_breaks_the_session(nonsense: bytes) -> None:
    session = opened()
    begun(session)
    done, _ = session.receive(nonsense)
    assert answers(done) == ["451 4.5.0", "451 4.5.0"]
    assert session.is_closed
    assert session.receive(b"250 ok\r\n") == []


@pytest.mark.parametrize("unasked", [b"250 ok\r\n", b"550 no\r\n", b"354 go\r\n"])
def test_an_answer_that_nobody_asked_for_breaks_the_session(unasked: bytes) -> None:
    assert closed(opened().receive(unasked)).startswith("451 4.5.0")


def test_replies_of_many_lines_and_foreign_letters_become_one_ascii_line() -> None:
    session = opened()
    begun(session, "a@example.org")
    session.receive("250 ok\r\n550-5.1.1 Der Empfänger\r\n550-5.1.1 ist\x07 uns\r\n550 5.1.1 neu\r\n".encode())
    [done] = session.receive(b"554 no\r\n")
    assert isinstance(done, Done)
    [answer] = done.answers
    assert answer.words == "550 5.1.1 Der Empf??nger ist? uns neu"
    assert (answer.reply.status, answer.reply.text) == ("5.1.1", "Der Empf??nger ist? uns neu")


@pytest.mark.parametrize(
    ("line", "status", "text"),
    [
        (b"550 5.1.1 no", "5.1.1", "no"),
        (b"550 4.2.2 full", "5.2.2", "full"),
        (b"550 no", "5.0.0", "no"),
        (b"550 5.1.1", "5.1.1", ""),
        (b"550", "5.0.0", ""),
        (b"450 1.2.3 version", "4.0.0", "1.2.3 version"),
        (b"550 5.1.1234 odd", "5.0.0", "5.1.1234 odd"),
    ],
)
def test_enhanced_codes_fit_the_code(line: bytes, status: str, text: str) -> None:
    session = opened()
    begun(session, "a@example.org")
    [done] = session.receive(b"250 ok\r\n" + line + b"\r\n554 no\r\n")
    assert isinstance(done, Done)
    assert (done.answers[0].reply.status, done.answers[0].reply.text) == (status, text)


def test_bare_line_feeds_end_replies_too() -> None:
    session = opened()
    begun(session, "a@example.org")
    assert session.receive(b"250 ok\n250 ok\n354 go\n") == [SendContent()]


def test_quit_ends_with_closed() -> None:
    session = opened()
    session.quit()
    assert session.to_send() == b"QUIT\r\n"
    assert closed(session.receive(b"221 2.0.0 bye\r\n")) == "221 2.0.0 bye"


# --- what goes on the wire -------------------------------------------------------------------------------------------


def test_a_message_over_the_servers_size_is_not_sent() -> None:
    session = opened()
    [done] = session.begin(to("a@example.org", "b@example.org", size=1001))
    assert answers(done) == ["552 5.3.4", "552 5.3.4"]
    assert session.to_send() == b""
    assert session.is_ready
    assert session.begin(to("a@example.org", size=1000)) == []


@pytest.mark.parametrize(
    ("extensions", "eight_bit", "line"),
    [
        (("8BITMIME", "SIZE"), True, b"MAIL FROM:<jane@example.com> SIZE=100 BODY=8BITMIME\r\n"),
        (("8BITMIME",), False, b"MAIL FROM:<jane@example.com>\r\n"),
        ((), False, b"MAIL FROM:<jane@example.com>\r\n"),
    ],
)
def test_parameters_are_only_those_that_were_offered(extensions: tuple[str, ...], eight_bit: bool, line: bytes) -> None:
    session = opened(offer(*extensions))
    session.begin(to("a@example.org", eight_bit=eight_bit))
    assert session.to_send() == line


def test_the_null_reverse_path() -> None:
    session = opened(offer("X"))
    session.begin(to("a@example.org", sender=""))
    assert session.to_send() == b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(
    "address",
    [
        Address("a\r\nRCPT TO:<victim", "example.org"),
        Address("a>", "example.org"),
        Address("<a", "example.org"),
        Address("a\0", "example.org"),
        Address("a", "example.org\n"),
        Address("a b", "example.org"),
        Address("a", "example.org b"),
        Address("a\ud800", "example.org"),
    ],
)
def test_an_address_that_could_be_a_command_never_reaches_the_wire(address: Address) -> None:
    session = opened(offer("PIPELINING", "SMTPUTF8"))
    session.begin(to(address, "good@example.org"))
    assert session.to_send() == b"MAIL FROM:<jane@example.com>\r\nRCPT TO:<good@example.org>\r\nDATA\r\n"
    session.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    session.content_sent()
    [done] = session.receive(b"250 ok\r\n")
    assert answers(done) == ["553 5.1.3", "250 2.0.0"]


def test_an_unsafe_sender_fails_all() -> None:
    session = opened()
    transaction = Transaction(Address("a>\r\nDATA", "example.com"), (parse_address("a@example.org"),), 10)
    [done] = session.begin(transaction)
    assert answers(done) == ["553 5.1.3"]
    assert session.to_send() == b""


def test_smtputf8_where_it_is_offered() -> None:
    session = opened(offer("PIPELINING", "SMTPUTF8"))
    session.begin(to("jürgen@bücher.example"))
    assert session.to_send().decode().splitlines()[:2] == [
        "MAIL FROM:<jane@example.com> SMTPUTF8", "RCPT TO:<jürgen@bücher.example>",
    ]  # fmt: skip


def test_smtputf8_where_it_is_not_offered_fails_whom_it_concerns() -> None:
    session = opened()
    session.begin(to("jürgen@example.org", "joe@bücher.example", "a@example.org"))
    assert session.to_send() == (MAIL + b"RCPT TO:<joe@xn--bcher-kva.example>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
    [done] = session.receive(b"250 ok\r\n550 no\r\n550 no\r\n554 no\r\n")
    assert answers(done) == ["553 5.6.7", "550 5.0.0", "550 5.0.0"]


def test_a_utf8_header_needs_smtputf8() -> None:
    [done] = opened().begin(to("a@example.org", smtputf8=True))
    assert answers(done) == ["553 5.6.7"]
    session = opened(offer("SMTPUTF8"))
    session.begin(to("a@example.org", smtputf8=True))
    assert session.to_send() == b"MAIL FROM:<jane@example.com> SMTPUTF8\r\n"
