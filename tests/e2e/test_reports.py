"""What senders are told, over real processes: by next hops of every kind, read by the standard library."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from itertools import count
from pathlib import Path
from typing import Any

import dkim
import pytest

from tests.servers.client import SmtpClient, dot_stuffed
from tests.servers.dns import dns_server
from tests.servers.load import simple_message
from tests.servers.postfix import Postfix, running_postfix
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Arrived, Sink
from tests.servers.wait import wait_until

ALL = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 200000000")
FORGED = {"forged.example": [("TXT", "v=spf1 -all")]}
RULES = """\
rules:
  - name: away
    when: {recipient: {address: away@out.example}}
    actions: [{redirect: {to: hidden@dsn.example}}]
  - name: copy
    when: {recipient: {address: copied@dsn.example}}
    actions: [{add-recipients: {to: [witness@dsn.example]}}]
  - name: stamp
    when: {subject: {phrase: heavy}}
    actions: [{stamp: {template: large, place: bottom}}]
"""
_numbers = count(1)


def _refusing(verb: str, argument: str) -> str | None:
    if verb != "RCPT":
        return None
    if argument.startswith("gone"):
        return "550 5.1.1 no such user"
    return "451 4.2.1 busy" if argument.startswith("busy") else None


def _hop(name: str, server: Sink | Postfix, **settings: Any) -> dict[str, Any]:
    hosts = [{"host": "127.0.0.1", "port": server.port}]
    return {"name": name, "kind": "smtp", "hosts": hosts, "tls": {"mode": "none"}, **settings}


@dataclass
class Neighbours:
    """The relay, and what is around it; the next hop of `x.example` is `sinks["x"]`, `out` that of all else."""

    relay: Relay
    sinks: dict[str, Sink]
    maildirs: Path
    keys: dict[bytes, bytes] = field(default_factory=dict)

    def send(
        self, sender: str, recipients: Sequence[str], *, mail: str = "", content: bytes = b"", port: int = 0
    ) -> tuple[str, str]:
        """A message; recipients may have parameters behind a space. Gives queue id and Message-ID."""
        name = f"report-{next(_numbers)}"
        content = content.replace(b"NAME", name.encode()) or simple_message(name)
        with SmtpClient(port or self.relay.port) as client:
            assert client.command(f"MAIL FROM:<{sender}>{mail}".encode()).code == 250
            for recipient in recipients:
                path, _, parameters = recipient.partition(" ")
                assert client.command(f"RCPT TO:<{path}> {parameters}".rstrip().encode()).code == 250
            assert client.command(b"DATA").code == 354
            client.write(dot_stuffed(content))
            return client.answer().queue_id, f"<{name}@mail.example.com>"

    def settled(self, sender: str, recipients: Sequence[str], **settings: Any) -> tuple[str, str]:
        """The same, and wait until nothing of it waits."""
        queue_id, message_id = self.send(sender, recipients, **settings)
        self.relay.wait_until_settled(queue_id)
        return queue_id, message_id

    def events(self, action: str, queue_id: str) -> list[dict[str, Any]]:
        """What the log says of one message."""
        return [event for event in self.relay.events(action) if event["queue_id"] == queue_id]

    def report(self, message_id: str) -> Report:
        return Report(self.sinks["out"].wait_for_message(f"In-Reply-To: {message_id}".encode()))

    def reports(self, message_id: str) -> list[Arrived]:
        """Those that have arrived up to now, whoever wrote them."""
        return [each for sink in self.sinks.values() for each in list(sink.arrived)
                if each.mail_from == "" and message_id.encode() in each.data]  # fmt: skip


class Report:
    """A DSN as its reader has it."""

    def __init__(self, arrived: Arrived) -> None:
        self.to = arrived.rcpt_to
        assert arrived.mail_from == ""
        assert arrived.data.isascii()
        message = email.message_from_bytes(arrived.data, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.message = message
        text, status, self.original = message.iter_parts()
        # The standard library takes an encoded message/global-headers for a plain one.
        read = [
            message,
            text,
            *status.walk(),
            *([] if "global" in self.original.get_content_type() else [self.original]),
        ]
        assert not any(part.defects for part in read)
        assert isinstance(text, EmailMessage)
        self.text = " ".join(text.get_content().split())
        blocks = status.get_payload()
        assert isinstance(blocks, list)
        self.about_message, *self.blocks = (block for block in blocks if isinstance(block, Message))

    @property
    def actions(self) -> list[tuple[str, str, str]]:
        """Final-Recipient, Action, Status of each."""
        return [(str(b["Final-Recipient"]), str(b["Action"]), str(b["Status"])) for b in self.blocks]


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    folder = tmp_path_factory.mktemp("reports")
    with (
        Sink(_refusing, extensions=ALL) as out,
        Sink(_refusing, extensions=(*ALL, "DSN"), keeps_streams=True) as dsn,
        Sink(extensions=(*ALL[:-1], "SIZE 4000")) as small,
        Sink(extensions=("PIPELINING", "SIZE 200000000"), keeps_streams=True) as seven,
        Sink(extensions=("8BITMIME",)) as ascii_only,
        dns_server({"honest.example": [("TXT", "v=spf1 ip4:127.0.0.1 -all")], **FORGED}) as dns,
    ):  # fmt: skip
        sinks = {"out": out, "dsn": dsn, "small": small, "seven": seven, "ascii": ascii_only}
        hops = [_hop(name, sink) for name, sink in sinks.items()]
        late = {"schedule": ["1s"], "warn_after": "1s", "expire_after": "2d"}
        hops += [
            _hop("late", out, retry=late),
            _hop("short", out, retry={"schedule": ["1s"], "warn_after": "0s", "expire_after": "1s"}),
            {"name": "box", "kind": "maildir", "folder": str(folder / "mail" / "{local}")},
        ]
        domains = {f"{hop['name']}.example": str(hop["name"]) for hop in hops} | {"example.com": "out"}
        relay = Relay(
            folder / "relay", out.port, next_hops=hops, routing={"default": "out", "domains": domains},
            dns={"servers": [dns.address], "timeout": "2s"},
        )  # fmt: skip
        relay.settings["listeners"][1]["authentication"] = {"mode": "verify"}
        relay.settings["organisation"]["accepted_domains"] += ["dsn.example"]
        keys = relay.add_dkim_key()
        relay.write_rules(RULES)
        relay.write_template("large", "<p>L</p>", "stamp " * 1000 + "\n")
        try:
            relay.start()
            yield Neighbours(relay, sinks, folder / "mail", keys)
        finally:
            relay.clean_up()


# --- what is told ----------------------------------------------------------------------------------------------------


def test_success_is_told_where_the_next_hop_does_not(around: Neighbours) -> None:
    recipients = [
        "a@out.example NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@out.example", "b@out.example NOTIFY=FAILURE",
        "gone@out.example NOTIFY=SUCCESS,FAILURE", "gone2@out.example NOTIFY=NEVER",
    ]  # fmt: skip
    _, message_id = around.settled("john@example.com", recipients, mail=" RET=HDRS ENVID=QQ+2B314")
    report = around.report(message_id)
    assert report.to == ("john@example.com",)
    assert report.about_message["Original-Envelope-Id"] == "QQ+314"
    assert report.about_message["Reporting-MTA"] == "dns; relay.example.com"
    assert report.actions == [
        ("rfc822; a@out.example", "relayed", "2.0.0"), ("rfc822; gone@out.example", "failed", "5.1.1"),
    ]  # fmt: skip
    assert report.blocks[0]["Original-Recipient"] == "rfc822; a+b@out.example"
    assert report.blocks[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert report.original.get_content_type() == "text/rfc822-headers"
    assert len(around.reports(message_id)) == 1


def test_what_is_put_into_a_mailbox_is_delivered(around: Neighbours) -> None:
    _, message_id = around.settled("john@example.com", ["joe@box.example NOTIFY=SUCCESS", "jim@box.example"])
    report = around.report(message_id)
    assert report.actions == [("rfc822; joe@box.example", "delivered", "2.0.0")]
    assert "was delivered to this address: joe@box.example" in report.text
    assert len(list((around.maildirs / "joe" / "new").iterdir())) == 1


def test_who_offers_dsn_is_told_what_was_asked_and_reports_itself(around: Neighbours) -> None:
    recipients = ["a@dsn.example NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@dsn.example", "b@dsn.example"]
    queue_id, message_id = around.settled("john@example.com", recipients, mail=" RET=FULL ENVID=QQ+2B315")
    stream = bytes(b"".join(around.sinks["dsn"].streams))
    assert b"MAIL FROM:<john@example.com>" in stream
    assert b" RET=FULL" in stream
    assert b" ENVID=QQ+2B315" in stream
    assert b"RCPT TO:<a@dsn.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@dsn.example\r\n" in stream
    assert b"RCPT TO:<b@dsn.example>\r\n" in stream
    assert around.reports(message_id) == []
    assert around.events("dsn-queued", queue_id) == []


def test_a_late_message_is_told_of_once_and_delivered_later(around: Neighbours) -> None:
    queue_id, message_id = around.send("john@example.com", ["busy@late.example", "busy2@late.example NOTIFY=FAILURE"])
    report = around.report(message_id)
    assert report.actions == [("rfc822; busy@late.example", "delayed", "4.2.1")]
    assert report.blocks[0]["Will-Retry-Until"] is not None
    assert report.message["Subject"] == "Your message has not been delivered yet"
    assert "need not send the message again" in report.text
    before = len(around.events("deferred", queue_id))
    wait_until(lambda: len(around.events("deferred", queue_id)) > before + 1, 60, "later attempts")
    around.relay.cli_here("queue", "delete", queue_id)
    assert len(around.reports(message_id)) == 1


def test_the_times_of_a_next_hop_are_its_own(around: Neighbours) -> None:
    _, message_id = around.settled("john@example.com", ["busy@short.example"])
    assert around.report(message_id).actions == [("rfc822; busy@short.example", "failed", "4.4.7")]
    assert len(around.reports(message_id)) == 1


def test_where_mail_is_redirected_nobody_learns(around: Neighbours) -> None:
    _, message_id = around.send("john@example.com", ["away@out.example NOTIFY=SUCCESS,FAILURE"])
    report = around.report(message_id)
    assert report.actions == [("rfc822; away@out.example", "relayed", "2.0.0")]
    assert "hidden" not in report.message.as_string()
    stream = bytes(b"".join(around.sinks["dsn"].streams))
    assert b"RCPT TO:<hidden@dsn.example> NOTIFY=FAILURE ORCPT=rfc822;away@out.example\r\n" in stream


def test_a_copy_of_a_rule_s_is_the_postmasters(around: Neighbours) -> None:
    asked = "copied@dsn.example NOTIFY=SUCCESS"
    around.settled("john@example.com", [asked], mail=" ENVID=secret-envid RET=FULL")
    stream = bytes(b"".join(around.sinks["dsn"].streams))
    start = stream.rindex(b"MAIL FROM:", 0, stream.index(b"RCPT TO:<witness@dsn.example>"))
    commands = stream[start : stream.index(b"DATA", start)]
    assert commands.startswith(b"MAIL FROM:<postmaster@relay.example.com>")
    assert b"ENVID" not in commands
    assert b"RCPT TO:<witness@dsn.example>\r\n" in commands


def test_what_can_t_be_told_is_in_the_log(around: Neighbours) -> None:
    queue_id, message_id = around.settled("gone@out.example", ["gone3@out.example"])
    (told,) = around.events("dsn-queued", queue_id)
    lost = around.relay.wait_for_event("own-message-lost", queue_id=told["dsn"])
    assert lost["recipients"] == "gone@out.example"
    assert around.reports(message_id) == []


# --- who is not told -------------------------------------------------------------------------------------------------

STRANGERS = [
    ("", "gone@dsn.example", ""),
    ("victim@forged.example", "gone@dsn.example", ""),
    ("victim@forged.example", "gone@dsn.example", "NOTIFY=SUCCESS,FAILURE,DELAY"),
    ("victim@forged.example", "here@dsn.example", "NOTIFY=SUCCESS"),
    ("victim@nowhere.example", "here@dsn.example", "NOTIFY=SUCCESS"),
    ("victim@nowhere.example", "here@example.com", "NOTIFY=SUCCESS,DELAY"),
    ("victim@forged.example", "here@example.com", "NOTIFY=SUCCESS,DELAY"),
    ("jane@example.com", "here@example.com", "NOTIFY=SUCCESS"),
    ("honest@honest.example", "gone@dsn.example", "NOTIFY=NEVER"),
]


def test_backscatter_never(around: Neighbours) -> None:
    """Nobody hears of mail that others have sent in their name, whatever it asks for."""
    sent = [
        around.settled(sender, [f"{recipient} {asked}"], port=around.relay.inbound_port)
        for sender, recipient, asked in STRANGERS
    ]
    honest = around.settled("h@honest.example", ["gone@dsn.example"], port=around.relay.inbound_port)
    success = around.settled("h@honest.example", ["here@example.com NOTIFY=SUCCESS"], port=around.relay.inbound_port)
    assert around.report(honest[1]).actions == [("rfc822; gone@dsn.example", "failed", "5.1.1")]
    assert around.report(success[1]).actions == [("rfc822; here@example.com", "relayed", "2.0.0")]
    for (queue_id, message_id), stranger in zip(sent, STRANGERS, strict=True):
        assert around.reports(message_id) == [], stranger
        assert around.events("dsn-queued", queue_id) == [], stranger
    stream = bytes(b"".join(around.sinks["dsn"].streams))
    forged = stream[stream.index(b"MAIL FROM:<victim@forged.example>") :].partition(b"DATA")[0]
    assert b"NOTIFY=NEVER" in forged, "who takes it over is asked for silence, too"


# --- other forms -----------------------------------------------------------------------------------------------------

GERMAN = (
    "From: Jane <jane@example.com>\r\nTo: a@x.example\r\nSubject: SUBJECT\r\nMessage-ID: <NAME@mail.example.com>\r\n"
    "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\nViele Grüße von hier nach dort und überhaupt an alle.\r\n"
)


def _copy(around: Neighbours, name: str, message_id: str) -> EmailMessage:
    arrived = around.sinks[name].wait_for_message(message_id.encode())
    assert dkim.verify(arrived.data, dnsfunc=lambda name, timeout=5: around.keys.get(name))
    message = email.message_from_bytes(arrived.data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_stamp_that_makes_it_too_large_is_left_out(around: Neighbours) -> None:
    queue_id, message_id = around.settled(
        "jane@example.com", ["a@small.example"], content=simple_message("NAME", subject="heavy")
    )
    assert "stamp stamp" not in _copy(around, "small", message_id).as_string()
    (event,) = around.events("sent-unstamped", queue_id)
    assert (event["reason"], event["next_hop"], event["recipients"]) == ("size", "small", 1)


def test_what_is_too_large_anyway_is_reported(around: Neighbours) -> None:
    content = simple_message("NAME", subject="heavy", text="y" * 60 + "\r\n" + "z" * 5000)
    queue_id, message_id = around.settled("jane@example.com", ["a@small.example"], content=content)
    report = around.report(message_id)
    assert report.actions == [("rfc822; a@small.example", "failed", "5.3.4")]
    assert "too large for the other mail system" in report.text
    assert len(around.events("no-other-form", queue_id)) == 1


def test_8_bit_text_is_encoded_for_who_does_not_take_it(around: Neighbours) -> None:
    content = GERMAN.replace("SUBJECT", "Plain").encode()
    queue_id, message_id = around.settled(
        "john@example.com", ["a@seven.example"], content=content, mail=" BODY=8BITMIME"
    )
    message = _copy(around, "seven", message_id)
    assert message["Content-Transfer-Encoding"] == "quoted-printable"
    assert message.get_content() == "Viele Grüße von hier nach dort und überhaupt an alle.\r\n"
    assert bytes(b"".join(around.sinks["seven"].streams)).isascii()
    assert b"BODY=" not in bytes(b"".join(around.sinks["seven"].streams))
    (event,) = around.events("sent-recoded", queue_id)
    assert event["reason"] == "8bit"


def test_a_utf_8_header_is_encoded_for_who_does_not_take_it(around: Neighbours) -> None:
    content = GERMAN.replace("SUBJECT", "Grüße").encode()
    queue_id, message_id = around.settled("john@example.com", ["a@ascii.example"], content=content, mail=" SMTPUTF8")
    message = _copy(around, "ascii", message_id)
    assert (message["Subject"], message["Content-Transfer-Encoding"]) == ("Grüße", "8bit")
    (event,) = around.events("sent-recoded", queue_id)
    assert event["reason"] == "utf8-header"


def test_an_address_that_needs_smtputf8_is_reported(around: Neighbours) -> None:
    content = GERMAN.replace("SUBJECT", "Hi").replace("To: a@", "To: jürgen@").encode()
    _, message_id = around.settled("john@example.com", ["jürgen@ascii.example"], content=content, mail=" SMTPUTF8")
    report = around.report(message_id)
    assert report.actions == [("utf-8; j\\x{FC}rgen@ascii.example", "failed", "5.6.7")]
    assert "uses letters that the other mail system does not know" in report.text


# --- a real neighbour ------------------------------------------------------------------------------------------------


@pytest.mark.server
@pytest.mark.usefixtures("needs_postfix")
def test_postfix_reports_where_it_can_and_we_do_where_it_can_t(tmp_path: Path) -> None:
    with (
        Sink() as sink,
        running_postfix(sink.port) as able,
        running_postfix(sink.port, {"smtpd_discard_ehlo_keywords": "dsn"}) as mute,
    ):
        hops = [_hop("out", sink), _hop("able", able), _hop("mute", mute)]
        routing = {"default": "out", "domains": {"able.example": "able", "mute.example": "mute"}}
        with running_relay(tmp_path / "relay", sink.port, next_hops=hops, routing=routing) as relay:
            for name in ("able", "mute"):
                with SmtpClient(relay.port) as client:
                    client.command(b"MAIL FROM:<jane@example.com> RET=HDRS ENVID=QQ+2B314")
                    client.command(
                        f"RCPT TO:<a@{name}.example> NOTIFY=SUCCESS ORCPT=rfc822;{name}+2Bb@x.example".encode()
                    )
                    client.command(b"DATA")
                    client.write(dot_stuffed(simple_message(name)))
                    relay.wait_until_settled(client.answer().queue_id)
            by_name = {name: Report(_dsn(sink, name)) for name in ("able", "mute")}
            relay.wait_until_settled()
            assert len(relay.events("dsn-queued")) == 1
    for name, who in (("able", "postfix.example.com"), ("mute", "relay.example.com")):
        report = by_name[name]
        assert report.to == ("jane@example.com",)
        assert str(report.about_message["Reporting-MTA"]).replace(" ", "") == f"dns;{who}"
        assert report.about_message["Original-Envelope-Id"] == "QQ+314"
        (block,) = report.blocks
        assert str(block["Original-Recipient"]).replace(" ", "") == f"rfc822;{name}+b@x.example"
        assert block["Action"] == "relayed"


def _dsn(sink: Sink, name: str) -> Arrived:
    return sink.wait_for_message(f"{name}+b@x.example".encode())
