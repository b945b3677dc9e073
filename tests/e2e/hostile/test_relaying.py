"""An open relay is what strangers look for: each trick is refused or judged as what it is, and a next hop proves it."""

from __future__ import annotations

import pytest

from tests.e2e.hostile.site import Site
from tests.servers.client import Answer, SmtpClient

VICTIM = "victim@elsewhere.example"
REFUSED: dict[str, bytes] = {
    # What stands behind the last @ is not ours.
    "a stranger": b"<victim@elsewhere.example>",
    "in capitals": b"<VICTIM@ELSEWHERE.EXAMPLE>",
    "source route": b"<@example.com:victim@elsewhere.example>",
    "source route of two": b"<@example.com,@relay.example.com:victim@elsewhere.example>",
    "source route that ends here": b"<@elsewhere.example:victim@example.com>",
    "two @, theirs last": b"<victim@example.com@elsewhere.example>",
    "two @, ours last": b"<victim@elsewhere.example@example.com>",
    "address literal": b"<victim@[127.0.0.1]>",
    "IPv6 literal": b"<victim@[IPv6:::1]>",
    "literal of a name": b"<victim@[example.com]>",
    "number for a domain": b"<victim@#2130706433>",
    "below ours": b"<victim@sub.example.com>",
    "above ours": b"<victim@com>",
    "ours in front": b"<victim@example.com.elsewhere.example>",
    "ours at the end of a label": b"<victim@notexample.com>",
    "trailing dot": b"<victim@example.com.>",
    "trailing dots": b"<victim@example.com..>",
    "leading dot": b"<victim@.example.com>",
    "doubled dot": b"<victim@example..com>",
    "no domain": b"<victim>",
    "empty domain": b"<victim@>",
    "no local part": b"<@example.com>",
    "localhost": b"<victim@localhost>",
    "our host name": b"<victim@relay.example.com>",
    "postmaster elsewhere": b"<postmaster@elsewhere.example>",
    "quoted postmaster": b'<"postmaster">',
    "postmaster with a literal": b"<postmaster@[127.0.0.1]>",
    "quoted domain": b'<victim@"example.com">',
    # Routes in the local part.
    "percent": b"<victim%elsewhere.example@example.com>",
    "percents": b"<victim%elsewhere.example%relay.example.com@example.com>",
    "bang": b"<elsewhere.example!victim@example.com>",
    "bare bang": b"<elsewhere.example!victim>",
    "quoted @": b'<"victim@elsewhere.example"@example.com>',
    "escaped @": b'<"victim\\@elsewhere.example"@example.com>',
    "escaped @ without quotes": b"<victim\\@elsewhere.example@example.com>",
    "quoted percent": b'<"victim%elsewhere.example"@example.com>',
    "quoted bang": b'<"elsewhere.example!victim"@example.com>',
    "quotes in quotes": b'<"\\"victim@elsewhere.example\\""@example.com>',
    "quoted path": b'<"<victim@elsewhere.example>"@example.com>',
    "quoted route": b'<"@example.com:victim@elsewhere.example"@example.com>',
    "quoted alone": b'<"victim@elsewhere.example">',
    "two quoted words": b'<"victim"."elsewhere"@example.com>',
    "word beside quotes": b'<victim"@elsewhere.example"@example.com>',
    "quote not closed": b'<"victim@elsewhere.example@example.com>',
    "wide @": "<victim＠elsewhere.example@example.com>".encode(),
    "wide percent": "<victim％elsewhere.example@example.com>".encode(),
    "wide bang": "<elsewhere.example！victim@example.com>".encode(),
    "small @": "<victim﹫elsewhere.example@example.com>".encode(),
    # Domains that look like ours.
    "wide letters": "<victim@ｅｘａｍｐｌｅ.com>".encode(),
    "ideographic full stop": "<victim@example。com>".encode(),
    "half-width full stop": "<victim@example｡com>".encode(),
    "Cyrillic letter": "<victim@ехample.com>".encode(),
    "Kelvin sign": "<victim@\u212a.example.com>".encode(),
    "soft hyphen": "<victim@exam\u00adple.com>".encode(),
    "zero-width joiner": "<victim@exam\u200dple.com>".encode(),
    "zero-width space": "<victim@exam\u200bple.com>".encode(),
    "byte order mark": "<victim@example.com\ufeff>".encode(),
    "line separator": "<victim@elsewhere.example\u2028@example.com>".encode(),
    "combining mark": "<victim@e\u0301xample.com>".encode(),
    "direction override": "<victim@\u202emoc.elpmaxe>".encode(),
    "A-label of ASCII": b"<victim@xn--example-.com>",
    "broken A-label": b"<victim@xn--\xc3\xbc.com>",
    "overlong UTF-8": b"<victim\xc1\x80elsewhere.example@example.com>",
    "surrogate in UTF-8": b"<victim\xed\xa0\x80@example.com>",
    "Latin-1": b"<victim\xe4@example.com>",
    "UTF-7": b"<victim+AEA-elsewhere.example>",
    "encoded word": b"<=?utf-8?q?victim=40elsewhere=2Eexample?=@=?utf-8?q?example?=.com>",
    # More than one path, or none.
    "no brackets": b"victim@elsewhere.example",
    "brackets doubled": b"<<victim@elsewhere.example>>",
    "bracket missing": b"<victim@elsewhere.example",
    "bracket missing in front": b"victim@elsewhere.example>",
    "two paths": b"<jane@example.com> <victim@elsewhere.example>",
    "two paths with a comma": b"<jane@example.com>,<victim@elsewhere.example>",
    "two addresses": b"<jane@example.com,victim@elsewhere.example>",
    "semicolon": b"<victim@elsewhere.example;example.com>",
    "space in the path": b"<victim@elsewhere.example example.com>",
    "tab": b"<victim@elsewhere.example\texample.com>",
    "comment in front": b"<(victim@elsewhere.example)jane@example.com>",
    "comment at the end": b"<jane@example.com(victim@elsewhere.example)>",
    "comment behind": b"<jane@example.com>(victim@elsewhere.example)",
    "display name": b'"victim@elsewhere.example" <jane@example.com>',
    "group": b"group:<victim@elsewhere.example>;",
    "NUL": b"<victim@elsewhere.example\0@example.com>",
    "NUL behind": b"<victim@elsewhere.example\0.example.com>",
    "CR": b"<victim@elsewhere.example\r@example.com>",
    "LF": b"<jane@example.com>\nRCPT TO:<victim@elsewhere.example>",
    "vertical tab": b"<victim@elsewhere.example\x0b@example.com>",
    "backslash": b"<jane@example.com\\>",
    "null path": b"<>",
    "pipe": b"<|/bin/true>",
    "file": b"</tmp/mail>",
    "URL": b"<mailto:victim@elsewhere.example>",
    "very long": b"<victim@" + b"elsewhere." * 40 + b"example>",
    "very long, ours last": b"<" + b"victim@elsewhere.example" * 18 + b"@example.com>",
    "longer than a command": b"<victim@elsewhere.example" + b"x" * 3000 + b"@example.com>",
    "unknown parameter": b"<jane@example.com> XTO=<victim@elsewhere.example>",
    "parameter that is no xtext": b"<jane@example.com> ORCPT=rfc822;<victim@elsewhere.example>=",
    "parameter with a space in it": b"<jane@example.com> ORCPT=rfc822;jane <victim@elsewhere.example>",
    "parameter with a line end in it": b"<jane@example.com> ORCPT=rfc822;jane+0D+0ARCPT",
    "parameter without a type": b"<jane@example.com> ORCPT=victim@elsewhere.example",
    "parameter twice": b"<jane@example.com> NOTIFY=NEVER NOTIFY=SUCCESS",
    "parameter of another command": b"<jane@example.com> SIZE=1",
}
SENDERS = [b"", b"jane@example.com", b"postmaster@example.com", b"s@stranger.example"]
"""Who says to be one of us is believed no more than a stranger; bounces go nowhere else either."""


def _tried(client: SmtpClient, sender: bytes, argument: bytes) -> Answer:
    """The answer to RCPT; whatever was accepted gets a message."""
    assert client.command(b"MAIL FROM:<" + sender + b"> SMTPUTF8").code == 250
    return client.command(b"RCPT TO:" + argument)


@pytest.mark.parametrize("sender", SENDERS, ids=["null", "ours", "postmaster", "stranger"])
def test_no_trick_makes_an_open_relay(site: Site, sender: bytes) -> None:
    for trick, argument in REFUSED.items():
        with SmtpClient(site.port("internet"), helo="stranger.example") as client:
            answer = _tried(client, sender, argument)
            assert 500 <= answer.code < 560, (trick, answer)
            assert answer.text.startswith(("5.7.1", "5.1.", "5.5.")), (trick, answer)
            if argument.count(b"\n"):
                assert client.answer().code == 550
            assert client.command(b"DATA").code in (503, 554), trick
    assert site.arrived() == []


JUDGED: dict[str, tuple[bytes, str]] = {
    "capitals": (b"<Jane@EXAMPLE.COM>", "Jane@EXAMPLE.COM"),
    "postmaster alone": (b"<PostMaster>", "postmaster@relay.example.com"),
    "plus": (b"<jane+victim=elsewhere.example@example.com>", "jane+victim=elsewhere.example@example.com"),
    "slash": (b"</C=ZZ/O=x/@example.com>", "/C=ZZ/O=x/@example.com"),
    "UTF-7 in ours": (b"<victim+AEA-elsewhere.example@example.com>", "victim+AEA-elsewhere.example@example.com"),
    "quoted space": (b'<"RCPT TO: x"@example.com>', '"RCPT TO: x"@example.com'),
    "option of a program": (b"<-oQ/tmp@example.com>", "-oQ/tmp@example.com"),
    "beyond ASCII": ("<jörg@example.com>".encode(), "jörg@example.com"),
    "original recipient": (b"<jane@example.com> ORCPT=rfc822;victim@elsewhere.example", "jane@example.com"),
    "original recipient with a path": (
        b"<jane@example.com> ORCPT=rfc822;<victim@elsewhere.example>",
        "jane@example.com",
    ),
}
HEADER = "".join(
    f"{name}: <{VICTIM}>\r\n"
    for name in (
        "To", "Cc", "Bcc", "Resent-To", "Resent-Bcc", "Apparently-To", "X-Original-To", "X-Envelope-To", "Delivered-To",
        "X-Receiver", "X-RCPT-TO", "Return-Receipt-To", "Errors-To", "X-MS-Exchange-Organization-BCC",
    )
).encode()  # fmt: skip


@pytest.mark.parametrize("trick", JUDGED)
def test_what_is_ours_goes_there_and_nowhere_else(site: Site, trick: str) -> None:
    argument, reached = JUDGED[trick]
    with SmtpClient(site.port("internet"), helo="stranger.example") as client:
        assert _tried(client, b"s@stranger.example", argument).code == 250
        assert client.command(b"DATA").code == 354
        client.write(HEADER + b"\r\nx\r\n.\r\n")
        assert client.answer().code == 250
    assert [each.rcpt_to for each in site.arrived()] == [(reached,)]


def test_what_was_refused_is_not_reached_beside_what_was_taken(site: Site) -> None:
    with SmtpClient(site.port("internet"), helo="stranger.example") as client:
        client.write(
            b"MAIL FROM:<jane@example.com>\r\nRCPT TO:<john@example.com>\r\n"
            b"RCPT TO:<victim@elsewhere.example>\r\nRCPT TO:<victim%elsewhere.example@example.com>\r\nDATA\r\n"
        )
        assert [client.answer().code for _ in range(5)] == [250, 250, 550, 550, 354]
        client.write(HEADER + b"\r\nx\r\n.\r\n")
        assert client.answer().code == 250
    assert [each.rcpt_to for each in site.arrived()] == [("john@example.com",)]


def test_a_trusted_listener_serves_no_foreign_network(site: Site) -> None:
    """Neither a client that waits for answers nor one that doesn't gets further than the greeting."""
    whole = b"EHLO x\r\nMAIL FROM:<jane@example.com>\r\nRCPT TO:<victim@elsewhere.example>\r\nDATA\r\nx\r\n.\r\n"
    for helo, said in (("", b"EHLO x\r\n"), ("", whole)):
        with SmtpClient(site.port("exchange"), helo=helo, source="127.0.0.9") as client:
            assert (client.greeting.code, client.greeting.text) == (554, "5.7.1 Access denied")
            with pytest.raises(ConnectionError):  # noqa: PT012 - which of them fails is chance
                client.write(said)
                client.answer()
    assert site.arrived() == []
