"""Archive copies, notices and auto-responses: what is made, for whom, and when nothing is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest

from mta.message.classify import classify
from mta.message.parse import parse
from mta.message.structure import Picture
from mta.model.actions import Action, Archive, AutoRespond, Drop, Notify, OnError, Reject
from mta.model.address import Address, parse_address
from mta.model.authentication import AuthenticationResults
from mta.model.decision import Decision, Direction, OnceFor, RecipientDecision, Role
from mta.model.delivery import AcceptedMessage, Body, RecipientEntry
from mta.model.envelope import Client, DsnRequest, Envelope, ListenerRole
from mta.model.envelope import Notify as NotifyOf
from mta.model.person import Person
from mta.relay.derive import CannotWriteError, Derived, House, Letter, Original, derive

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
JANE, BUYER = "jane@example.com", "buyer@customer.example"
POSTMASTER = parse_address("postmaster@relay.example.com")


def route(recipient: Address, size_octets: int = 0, named: str = "") -> str:
    return named or f"to-{recipient.domain_key}"


HOUSE = House("relay.example.com", POSTMASTER, route, frozenset({"example.com"}))
PEOPLE = {JANE: Person(JANE, frozenset({"j.doe@example.com"}), {"displayName": "Jane Döe"})}
PASSED = AuthenticationResults(spf="pass", dkim="pass", dmarc="pass")
NOTHING_TOLD = DsnRequest(NotifyOf.NEVER)
RESPOND = AutoRespond(template="away", rule="away", recipient=JANE)


@dataclass(frozen=True, slots=True)
class Written:
    subject: str = ""
    html: str = ""
    text: str = "Hällo\n"
    pictures: Sequence[Picture] = ()


def write(template: str, rule: str, recipient: str) -> Letter:
    if template == "broken":
        raise CannotWriteError("UndefinedError")
    if template == "silent":
        return Written(text=" \n")
    if template == "rich":
        return Written("Blocked", "<p>Hällo <img src='cid:logo@x'></p>", "Hällo\n", (PICTURE,))
    return Written("Gone fishing" if template == "titled" else "")


PICTURE = Picture("logo@x", "image/png", "logo.png", b"\x89PNG")


@dataclass(frozen=True)
class Case:
    """A message before it is accepted; the default is a buyer who writes to Jane."""

    header: Mapping[str, str] = field(default_factory=dict)
    reverse_path: str | None = BUYER
    role: ListenerRole = ListenerRole.INBOUND
    recipients: Sequence[str] = (JANE,)
    authentication: AuthenticationResults | None = PASSED
    body: str = "Hello\r\n"
    actions: tuple[Action, ...] = ()
    queue_id: str = "Q1"
    sender: str = BUYER

    @property
    def direction(self) -> Direction:
        return Direction.INTERNAL if self.role is ListenerRole.TRUSTED else Direction.INBOUND

    def original(self, *once: OnceFor) -> Original:
        fields = {
            "From": f"Buyer <{BUYER}>", "To": f"Jane <{JANE}>", "Subject": "Offer",
            "Date": "Mon, 23 Nov 2026 10:00:00 +0000", "Message-ID": "<1@customer.example>", **self.header,
        }  # fmt: skip
        text = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value) + "\r\n" + self.body
        message = parse(text.encode())
        reverse_path = parse_address(self.reverse_path) if self.reverse_path else None
        addresses = tuple(map(parse_address, self.recipients))
        decided = tuple(
            RecipientDecision(address, self.direction, Role.TO, self.actions, 0, "in") for address in addresses
        )
        accepted = AcceptedMessage(
            queue_id=self.queue_id,
            accepted_at=NOW,
            envelope=Envelope(reverse_path, addresses, envid="x", ret="FULL", dsn={addresses[0].key: NOTHING_TOLD}),
            client=Client("192.0.2.1", 25, "mx.customer.example", "internet", self.role),
            body=Body.of(text.encode()),
            decision=Decision(decided, sender=self.sender, once=once),
            recipients=tuple(RecipientEntry(n, address, 0, "in") for n, address in enumerate(addresses)),
            message_id=message.message_id,
            trace=b"Received: x\r\n",
            snapshot="s",
        )
        classification = classify(message, reverse_path is None, is_trusted=self.role is ListenerRole.TRUSTED)
        return Original(accepted, message, classification, PEOPLE, self.authentication)

    def derived(self, action: Action, *, is_refused: bool = False) -> Derived:
        indexes = tuple(range(len(self.recipients)))
        return derive(self.original(OnceFor(action, indexes)), HOUSE, write, is_refused=is_refused)

    def keys(self, action: Action) -> list[str]:
        """The claims of what follows."""
        return [claim.key for follower in self.derived(action).followers for claim in follower.spawned.claims]

    def reason(self, action: Action = RESPOND) -> str:
        """Why nobody answers."""
        derived = self.derived(action)
        assert len(derived.followers) + len(derived.left_out) == 1
        return derived.left_out[0].reason if derived.left_out else ""


def made(derived: Derived) -> tuple[AcceptedMessage, EmailMessage]:
    """The one message that follows, and how the standard library reads it."""
    (follower,) = derived.followers
    message = follower.spawned.message
    assert message.body.data is not None
    return message, BytesParser(policy=policy.default).parsebytes(message.body.data)


# --- archive ----------------------------------------------------------------------------------------------------------


def test_an_archive_copy_is_the_message_as_it_was_received() -> None:
    case = Case(actions=(Reject(),))
    original = case.original().message
    message, _ = made(case.derived(Archive(address="archive@example.com", rule="a")))
    assert (message.body, message.trace, message.client) == (original.body, original.trace, original.client)
    assert message.message_id == original.message_id
    assert message.queue_id != original.queue_id
    assert message.envelope == Envelope(POSTMASTER, (parse_address("archive@example.com"),))
    (decided,) = message.decision.recipients
    assert (decided.actions, decided.next_hop, decided.direction) == ((), "to-example.com", Direction.INBOUND)
    assert [(entry.address, entry.next_hop) for entry in message.recipients] == [(decided.recipient, "to-example.com")]
    assert message.due_at == NOW


def test_an_archive_may_be_a_next_hop_alone() -> None:
    message, _ = made(Case().derived(Archive(next_hop="vault")))
    (entry,) = message.recipients
    assert (str(entry.address), entry.next_hop) == ("archive@relay.example.com", "vault")


def test_the_siblings_of_a_verified_message_share_one_claim() -> None:
    ours = Case(role=ListenerRole.TRUSTED, sender=JANE, reverse_path=JANE)
    archive = Archive(address="archive@example.com", rule="a")
    (key,) = ours.keys(archive)
    assert replace(ours, recipients=(BUYER,), queue_id="Q2", body="Encoded anew\r\n").keys(archive) == [key]
    others = (
        replace(ours, header={"Message-ID": "<2@customer.example>"}),
        replace(ours, header={"Date": "Mon, 23 Nov 2026 10:00:01 +0000"}),
        replace(ours, sender="john@example.com"),
    )
    assert all(other.keys(archive) != [key] for other in others)
    assert ours.keys(replace(archive, rule="b")) != [key]
    assert ours.keys(replace(archive, address="other@example.com")) != [key]


def test_a_stranger_cannot_keep_mail_from_the_archive_by_its_message_id() -> None:
    archive = Archive(address="archive@example.com", rule="a")
    first = Case()
    again = replace(first, queue_id="Q2", header={"Received": "from elsewhere"})
    assert again.keys(archive) == first.keys(archive)
    assert replace(first, body="Other words\r\n").keys(archive) != first.keys(archive)
    assert replace(first, header={"Subject": "Other"}).keys(archive) != first.keys(archive)


def test_without_a_message_id_every_message_is_its_own() -> None:
    archive = Archive(address="archive@example.com", rule="a")
    first = Case(header={"Message-ID": ""}, role=ListenerRole.TRUSTED)
    assert replace(first, queue_id="Q2").keys(archive) != first.keys(archive)


# --- notices ----------------------------------------------------------------------------------------------------------


def test_a_notice() -> None:
    notify = Notify(template="rich", to=("security@example.com", "x@outside.example"), rule="n")
    message, letter = made(Case().derived(notify))
    assert message.envelope.reverse_path is None
    assert [(str(e.address), e.next_hop) for e in message.recipients] == [
        ("security@example.com", "to-example.com"), ("x@outside.example", "to-outside.example"),
    ]  # fmt: skip
    assert message.client is None
    assert letter["From"] == "postmaster@relay.example.com"
    assert letter["To"] == "security@example.com, x@outside.example"
    assert letter["Subject"] == "Blocked"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["X-Auto-Response-Suppress"] == "All"
    assert letter["Message-ID"] == message.message_id == f"<{message.queue_id}@relay.example.com>"
    text, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert text is not None
    assert html is not None
    assert (text.get_content(), "Hällo" in html.get_content()) == ("Hällo\r\n", True)
    (picture,) = [part for part in letter.walk() if part.get_content_type() == "image/png"]
    assert picture["Content-ID"] == "<logo@x>"


def test_notices_are_bounded_should_a_robot_answer_them() -> None:
    (follower,) = Case().derived(Notify(template="titled", to=("a@example.com",), rule="n")).followers
    once, limit = follower.spawned.claims
    assert (once.limit, limit.limit, limit.period) == (1, 100, timedelta(hours=1))
    assert once.key != limit.key


def test_of_refused_mail_only_notices_follow() -> None:
    once = [
        OnceFor(Archive(address="a@example.com"), (0,)),
        OnceFor(Notify(template="titled", to=("a@example.com",)), (0,)),
        OnceFor(RESPOND, (0,)),
    ]
    derived = derive(Case().original(*once), HOUSE, write, is_refused=True)
    assert [follower.kind for follower in derived.followers] == ["notify"]
    assert derived.left_out == ()


@pytest.mark.parametrize(
    "action", [Notify(template="broken", to=("a@example.com",)), replace(RESPOND, template="broken")]
)
def test_a_template_that_fails_says_by_on_error_what_follows(action: Notify | AutoRespond) -> None:
    derived = Case().derived(replace(action, rule="r", on_error=OnError.DEFER))
    assert derived.followers == ()
    (failed,) = derived.failed
    assert (failed.rule, failed.error, failed.on_error) == ("r", "UndefinedError", OnError.DEFER)


def test_an_empty_letter_is_a_failure() -> None:
    (failed,) = Case().derived(Notify(template="silent", to=("a@example.com",))).failed
    assert failed.error == "the template has nothing to say"


# --- auto-responses ---------------------------------------------------------------------------------------------------


def test_an_answer_goes_to_the_reverse_path_in_the_recipients_name() -> None:
    case = Case(header={"From": "other@customer.example", "References": "<0@customer.example>"})
    message, letter = made(case.derived(RESPOND))
    assert message.envelope == Envelope(None, (parse_address(BUYER),))
    assert letter["To"] == BUYER
    assert letter["From"].addresses[0].display_name == "Jane Döe"
    assert letter["From"].addresses[0].addr_spec == JANE
    assert letter["Subject"] == "Auto: Offer"
    assert letter["Auto-Submitted"] == "auto-replied"
    assert letter["In-Reply-To"] == "<1@customer.example>"
    assert letter["References"].split() == ["<0@customer.example>", "<1@customer.example>"]
    assert letter.get_content() == "Hällo\r\n"
    (decided,) = message.decision.recipients
    assert (decided.direction, decided.next_hop) == (Direction.OUTBOUND, "to-customer.example")


def test_an_answer_in_one_name_for_all() -> None:
    case = Case(recipients=(JANE, "john@example.com"), header={"Cc": "john@example.com"})
    message, letter = made(case.derived(replace(RESPOND, recipient="", sender="desk@example.com", template="titled")))
    assert letter["From"] == "desk@example.com"
    assert letter["Subject"] == "Gone fishing"
    assert len(message.recipients) == 1


def test_a_subject_cannot_add_header_fields() -> None:
    _, letter = made(Case(header={"Subject": "=?utf-8?q?x=0D=0ABcc:_evil@example.net?="}).derived(RESPOND))
    assert letter["Bcc"] is None
    assert letter["Subject"] == "Auto: x Bcc: evil@example.net"


def test_the_limit_counts_for_one_sender_and_responder() -> None:
    action = replace(RESPOND, limit=3, period_s=600)
    (follower,) = Case().derived(action).followers
    once, limit, bound = follower.spawned.claims
    assert (once.limit, limit.limit, limit.period) == (1, 3, timedelta(minutes=10))
    assert (bound.limit, bound.period) == (20, timedelta(minutes=10))
    other_mail = Case(header={"Message-ID": "<2@customer.example>"}).keys(action)
    assert other_mail[1] == limit.key
    assert other_mail[0] != once.key
    assert Case(reverse_path="other@customer.example").keys(action)[1] != limit.key
    assert Case().keys(replace(action, recipient="john@example.com"))[1] != limit.key
    assert Case().keys(replace(action, recipient="john@example.com"))[2] == bound.key
    assert Case().keys(replace(action, recipient="", sender="desk@example.com"))[1] != limit.key
    assert JANE not in limit.key
    assert BUYER not in limit.key


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Auto-Submitted": "no"},
        {"Precedence": "normal"},
        {"X-Auto-Response-Suppress": "DR, RN"},
        {"To": "J. <j.doe@example.com>"},
        {"To": "x@example.com", "Cc": JANE},
        {"X-Spam-Flag": "NO"},
    ],
)
def test_people_are_answered(header: dict[str, str]) -> None:
    assert Case(header=header).reason() == ""


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"Auto-Submitted": "auto-generated"}, "Auto-Submitted"),
        ({"Auto-Submitted": "auto-replied"}, "auto-reply"),
        ({"Auto-Submitted": "auto-notified; owner-email=x"}, "Auto-Submitted"),
        ({"Auto-Submitted": "auto-replied (vacation)"}, "out-of-office"),
        ({"Precedence": "bulk"}, "Precedence"),
        ({"Precedence": "LIST"}, "Precedence"),
        ({"Precedence": "junk"}, "Precedence"),
        ({"List-Id": "<x.lists.example>"}, "mailing list"),
        ({"List-Unsubscribe": "<https://lists.example/u>"}, "mailing list"),
        ({"Mailing-List": "contact x"}, "mailing list"),
        ({"X-Auto-Response-Suppress": "DR, OOF, AutoReply"}, "X-Auto-Response-Suppress"),
        ({"X-Auto-Response-Suppress": "All"}, "X-Auto-Response-Suppress"),
        ({"X-Autoreply": "yes"}, "auto-reply"),
        ({"X-Spam-Flag": "YES"}, "spam"),
        ({"To": "everybody@example.com"}, "the recipient is not named in To or Cc"),
        ({"To": "undisclosed-recipients:;"}, "the recipient is not named in To or Cc"),
        ({"Content-Type": "text/calendar; method=REQUEST"}, "meeting"),
        ({"Content-Type": "multipart/report; report-type=delivery-status; boundary=b"}, "dsn"),
        ({"Content-Type": "multipart/report; report-type=disposition-notification; boundary=b"}, "mdn"),
        ({"Subject": "Automatic reply: x", "X-Auto-Response-Suppress": "None"}, "out-of-office"),
    ],
)
def test_programs_are_not_answered(header: dict[str, str], reason: str) -> None:
    body = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n" if reason == "meeting" else "Hello\r\n"
    assert Case(header=header, body=body).reason() == reason


@pytest.mark.parametrize(
    "local",
    [
        "MAILER-DAEMON", "postmaster", "no-reply", "noreply", "NoReply+123", "do-not-reply", "donotreply",
        "shop-noreply", "bounces", "bounce+abc", "news-bounces", "list-bounces+jane=example.com", "owner-list",
        "list-owner", "list-request", "listserv", "root", "never-reply",
    ],
)  # fmt: skip
def test_senders_that_are_no_people_are_not_answered(local: str) -> None:
    assert Case(reverse_path=f"{local}@customer.example").reason() == "the sender is a program"


@pytest.mark.parametrize("local", ["noel.reply", "replyne", "bouncer", "owner", "requester", "rooth", "prvs=1=buyer"])
def test_people_with_such_names_are(local: str) -> None:
    assert Case(reverse_path=f"{local}@customer.example").reason() == ""


def test_nobody_answers_nobody_or_themselves() -> None:
    assert Case(reverse_path=None).reason() == "null reverse-path"
    assert Case(reverse_path=JANE).reason() == "the sender is who would answer"
    assert Case(reverse_path=str(POSTMASTER)).reason() != ""


@pytest.mark.parametrize(
    ("results", "role", "reason"),
    [
        (AuthenticationResults(dmarc="fail", spf="pass"), ListenerRole.INBOUND, "DMARC failed"),
        (AuthenticationResults(dmarc="none", spf="fail"), ListenerRole.INBOUND, "SPF failed"),
        (AuthenticationResults(spf="softfail", dkim="fail"), ListenerRole.INBOUND, "SPF failed"),
        (AuthenticationResults(spf="fail", dkim="pass", dkim_domains=("customer.example",)), ListenerRole.INBOUND, ""),
        (AuthenticationResults(spf="fail", dmarc="pass", dmarc_domain="customer.example"), ListenerRole.INBOUND, ""),
        (AuthenticationResults(spf="pass", dmarc="pass", dmarc_domain="other.example"), ListenerRole.INBOUND, ""),
        (
            AuthenticationResults(spf="fail", dkim="pass", dkim_domains=("attacker.example",)),
            ListenerRole.INBOUND,
            "SPF failed",
        ),
        (
            AuthenticationResults(spf="softfail", dmarc="pass", dmarc_domain="attacker.example"),
            ListenerRole.INBOUND,
            "SPF failed",
        ),
        (AuthenticationResults(), ListenerRole.INBOUND, ""),
        (None, ListenerRole.INBOUND, ""),
        (AuthenticationResults(dmarc="fail"), ListenerRole.TRUSTED, ""),
    ],
)
def test_forged_senders_are_not_answered(
    results: AuthenticationResults | None, role: ListenerRole, reason: str
) -> None:
    assert Case(authentication=results, role=role).reason() == reason


def test_who_rejects_does_not_answer_but_who_drops_may() -> None:
    assert Case(actions=(Reject(),)).reason() == "the message is rejected"
    assert Case(actions=(Drop(),)).reason() == ""


def test_an_answer_is_not_answered() -> None:
    _, answer = made(Case().derived(RESPOND))
    header = {name: str(value).replace("\n", "") for name, value in answer.items() if name not in ("To", "From")}
    back = Case(header={**header, "Content-Type": ""})
    assert back.reason() == "auto-reply"


def test_responses_have_an_address_that_reads_as_one() -> None:
    message, _ = made(Case(reverse_path='"odd name"@customer.example').derived(RESPOND))
    assert message.envelope.recipients == (Address('"odd name"', "customer.example"),)
