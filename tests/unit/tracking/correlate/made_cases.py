"""Cases that were made: each way in which mail finds its conversation, and each in which it must not."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from mta.model.person import Person
from mta.tracking.correlate import Outcome
from tests.unit.tracking.correlate.case import Case
from tests.unit.tracking.scene import AGENT, ANNA, DOMAIN, MALLORY, SUPPORT, Conversation, CopyOf, mail

JOINED, PENDING, NEW, LOOP, REPORT = Outcome.JOINED, Outcome.PENDING, Outcome.NEW, Outcome.LOOP, Outcome.REPORT
SENT = "<sent-1@desk.example.com>"
T1: Mapping[str, Conversation] = {"T1": Conversation(messages=(SENT,))}
TWO: Mapping[str, Conversation] = {
    "T1": Conversation(messages=("<sent-1@desk.example.com>",)),
    "T2": Conversation(messages=("<sent-2@desk.example.com>",)),
}
MINE_AND_OTHERS: Mapping[str, Conversation] = {
    "T1": Conversation(messages=("<sent-1@desk.example.com>",)),
    "T2": Conversation(("bob@other.example",), ("<sent-2@desk.example.com>",)),
}
REF = "<{ref:T1}@desk.example.com>"
REF2 = "<{ref:T2}@desk.example.com>"
GATEWAY = f"mx.{DOMAIN}"
FAILED = f"{GATEWAY}; dmarc=fail header.from=customer.example.net"
PASSED = f"{GATEWAY}; dmarc=pass header.from=customer.example.net"
OURS_PASSED = f"{GATEWAY}; dmarc=pass header.from={DOMAIN}"
M = f"Mallory <{MALLORY}>"
ROOT = bytes(range(1, 23))
THREAD = base64.b64encode(ROOT + b"12345").decode()
LET_IN = {"correlation": {"token_joiners": {"addresses": [MALLORY]}}}
FAILED_M = f"{GATEWAY}; dmarc=fail header.from={MALLORY.partition('@')[2]}"
STAFF = Person(f"bert@{DOMAIN}", attributes={"displayName": "Bert"})


def joined(name: str, message: bytes, reason: str, conversation: str = "T1", **more: Any) -> Case:
    return Case(name, message, JOINED, reason, conversation, **{"before": T1, **more})


def held(name: str, message: bytes, reason: str = "stranger", conversation: str = "T1", **more: Any) -> Case:
    return Case(name, message, PENDING, reason, conversation, **{"before": T1, "stranger": True, **more})


def new(name: str, message: bytes, reason: str = "no-reference", **more: Any) -> Case:
    return Case(name, message, NEW, reason, **{"before": T1, **more})


def strange(name: str, message: bytes, reason: str = "unproven", **more: Any) -> Case:
    return new(name, message, reason, **{"stranger": True, **more})


SIGNED = (
    joined("reference in In-Reply-To", mail(in_reply_to=REF), "signed-reference"),
    joined("reference in References", mail(references=f"<a@b.example> {REF}"), "signed-reference"),
    joined("subject changed altogether", mail(references=REF, subject="Lunch?"), "signed-reference"),
    joined("subject empty", mail(references=REF, subject=""), "signed-reference"),
    joined("token of another conversation in the subject", mail(references=REF, subject="{token:T2} Printer"),
           "signed-reference", before=TWO),
    joined("reference in our own field", mail(x_stampline_transaction="{ref:T1}"), "signed-reference"),
    joined("reference in the newest text", mail(body="It is {ref:T1}.\r\n"), "signed-reference"),
    joined("reference in the quoted text",
           mail(body="Thanks!\r\n\r\nOn 1 May 2026, Jane wrote:\r\n> Hello\r\n> {ref:T1}\r\n"), "signed-reference"),
    joined("reference in hidden HTML",
           mail(content_type="text/html", body='<p>Thanks</p><span style="display:none">{ref:T1}</span>\r\n'),
           "signed-reference"),
    joined("reference at another domain", mail(references="<{ref:T1}@relay.example>"), "signed-reference"),
    joined("reference made with the key before", mail(references="<{oldref:T1}@desk.example.com>"),
           "signed-reference"),
    joined("signed references from the right", mail(references=f"{REF} {REF2}"), "signed-reference", "T2", before=TWO),
    joined("In-Reply-To before References", mail(in_reply_to=REF, references=REF2), "signed-reference", before=TWO),
    joined("References before the field", mail(references=REF, x_stampline_transaction="{ref:T2}"),
           "signed-reference", before=TWO),
    joined("the field before the text", mail(x_stampline_transaction="{ref:T1}", body="{ref:T2}\r\n"),
           "signed-reference", before=TWO),
    joined("one's own conversation among those of others", mail(references=f"{REF} {REF2}"), "signed-reference",
           before=MINE_AND_OTHERS),
    joined("folded References", mail(references=f"<a@b.example>\r\n\t<c@d.example>\r\n {REF}"), "signed-reference"),
    joined("References twice", mail(references="<a@b.example>\r\nReferences: " + REF), "signed-reference"),
    joined("many references before it",
           mail(references=" ".join(f"<n{n}@x.example>" for n in range(1500)) + f" {REF}"), "signed-reference"),
    joined("another module", mail(references=REF), "signed-reference",
           before={"T1": Conversation(module="case")}),
    joined("by a tagged address", mail(f"Anna <anna+desk@{ANNA.partition('@')[2]}>", references=REF),
           "signed-reference"),
    joined("tagged address takes part", mail(references=REF), "signed-reference",
           before={"T1": Conversation((f"anna+home@{ANNA.partition('@')[2]}",))}),
    joined("by an alias in the directory", mail(f"<a.smith@{DOMAIN}>", references=REF), "signed-reference",
           before={"T1": Conversation((f"anna.smith@{DOMAIN}",))},
           people=(Person(f"anna.smith@{DOMAIN}", frozenset({f"a.smith@{DOMAIN}"})),)),
    joined("by the primary address where the alias takes part", mail(f"<anna.smith@{DOMAIN}>", references=REF),
           "signed-reference", before={"T1": Conversation((f"a.smith@{DOMAIN}",))},
           people=(Person(f"anna.smith@{DOMAIN}", frozenset({f"a.smith@{DOMAIN}"})),)),
    joined("by a member of a group that takes part", mail("<carl@customer.example.net>", references=REF),
           "signed-reference", before={"T1": Conversation(("buyers@customer.example.net",))},
           people=(Person("carl@customer.example.net", groups=frozenset({"buyers"})),
                   Person("buyers@customer.example.net", group_name="buyers"))),
    joined("sent on behalf, the delegate takes part",
           mail(f"The Boss <boss@{DOMAIN}>", Sender=f"<{AGENT}>", references=REF), "signed-reference",
           before={"T1": Conversation((AGENT,))}),
    joined("sent by a delegate for who takes part", mail(Sender="<desk@customer.example.net>", references=REF),
           "signed-reference"),
    joined("upper case in the address", mail("<ANNA@CUSTOMER.EXAMPLE.NET>", references=REF), "signed-reference"),
    joined("DMARC passed", mail(references=REF, authentication_results=PASSED), "signed-reference"),
    joined("an answer below the quote",
           mail(references=REF, body="> Does it print?\r\n\r\nNo.\r\n"), "signed-reference"),
)  # fmt: skip

COLLEAGUES = (
    joined("one of ours by DMARC", mail(f"<carla@{DOMAIN}>", references=REF, authentication_results=OURS_PASSED),
           "colleague"),
    joined("one of ours by the directory", mail(f"<bert@{DOMAIN}>", references=REF), "colleague", people=(STAFF,)),
    joined("a technician from elsewhere", mail("<tom@contractor.example>", references=REF), "colleague",
           settings={"technicians": {"addresses": ["*@contractor.example"]}}),
    joined("a technician by group", mail("<tim@contractor.example>", references=REF), "colleague",
           settings={"technicians": {"groups": ["Second Level"]}},
           people=(Person("tim@contractor.example", groups=frozenset({"second level"})),)),
    joined("one of ours answers a known message",
           mail(f"<carla@{DOMAIN}>", in_reply_to=SENT, authentication_results=OURS_PASSED), "colleague"),
    held("our domain, unknown, nobody vouches", mail(f"<carla@{DOMAIN}>", references=REF)),
    held("our domain, forged", mail(f"<bert@{DOMAIN}>", references=REF,
                                    authentication_results=f"{GATEWAY}; dmarc=fail"), "forged-sender",
         people=(STAFF,)),
    held("a contact with a foreign address is no colleague", mail("<c@partner.example>", references=REF),
         people=(Person("c@partner.example", is_contact=True),)),
    strange("one of ours by an unsigned token", mail(f"<bert@{DOMAIN}>", subject="{token:T1}"), people=(STAFF,)),
)  # fmt: skip

STRANGERS = (
    held("a stolen reference in In-Reply-To", mail(M, in_reply_to=REF)),
    held("a stolen reference in References", mail(M, references=REF)),
    held("a stolen reference in the field", mail(M, x_stampline_transaction="{ref:T1}")),
    held("a stolen reference in the text", mail(M, body="{ref:T1}\r\n")),
    held("a forwarded mail answered by who got it",
         mail(M, references=f"{SENT} {REF} <forward-1@customer.example.net>",
              body="Yes.\r\n\r\n-----Original Message-----\r\nFrom: Anna\r\nSubject: FW\r\n\r\n{ref:T1}\r\n")),
    held("reply to a known message", mail(M, in_reply_to=SENT)),
    held("References to a known message", mail(M, references=f"{SENT} <x@y.example>")),
    held("Reply-To of who takes part", mail(M, references=REF, reply_to=f"<{ANNA}>")),
    held("Sender of who takes part, at the same provider",
         mail("<mallory@customer.example.net>", Sender=f"<{ANNA}>", references=REF)),
    held("Sender of one of ours", mail(M, Sender=f"<{AGENT}>", references=REF),
         before={"T1": Conversation((AGENT,))}),
    held("Sender of who takes part, at another domain", mail(M, Sender=f"<{ANNA}>", references=REF)),
    held("display name of who takes part", mail(f'"Anna <{ANNA}>" <{MALLORY}>', references=REF)),
    held("To and Cc of those who take part", mail(M, to=f"<{ANNA}>", cc=f"<{AGENT}>", references=REF)),
    held("From forged, DMARC failed", mail(references=REF, authentication_results=FAILED), "forged-sender"),
    held("From forged, known message answered", mail(in_reply_to=SENT, authentication_results=FAILED),
         "forged-sender"),
    held("two addresses in From", mail(f"Anna <{ANNA}>, {M}", references=REF), "forged-sender"),
    held("two addresses in From, the other way", mail(f"{M}, Anna <{ANNA}>", references=REF), "forged-sender"),
    held("two From fields", mail(references=f"{REF}\r\nFrom: {M}"), "forged-sender"),
    held("forged results below a foreign Received line",
         mail(M, references=f"{REF}\r\nReceived: from a by b.stranger.example.org; Sun, 22 Nov 2026 10:00:00 +0000"
              f"\r\nAuthentication-Results: {GATEWAY}; dmarc=pass header.from=stranger.example.org")),
    held("a similar domain", mail("<anna@customer-example.net>", references=REF)),
    held("a subdomain", mail("<anna@sub.customer.example.net>", references=REF)),
    held("the local part alone", mail("<anna@stranger.example.org>", references=REF)),
    held("our own mailbox, which nobody vouches for", mail(f"<{SUPPORT}>", references=REF),
         before={"T1": Conversation((SUPPORT,))}),
    held("no From at all", mail("", references=REF)),
    held("From that can't be read", mail("Anna", references=REF)),
    held("everybody may join by token, nobody by a reference of others", mail(M, references=REF),
         settings={"correlation": {"join_by_token": "everybody"}}),
    held("the Message-ID of a message that is there", mail(M, message_id=SENT), "reused-message-id"),
    held("a group's address forged", mail("<dan@stranger.example.org>", references=REF),
         before={"T1": Conversation(("buyers@customer.example.net",))},
         people=(Person("buyers@customer.example.net", group_name="buyers"),)),
    held("whom the settings let in by a token, by a reference of others", mail(M, references=REF), settings=LET_IN),
    strange("whom the settings let in, forged", mail(M, subject="{token:T1}", authentication_results=FAILED_M),
            settings=LET_IN),
    strange("another than the settings let in", mail("<x@other.example>", subject="{token:T1}"), settings=LET_IN),
    strange("a stolen token in the subject", mail(M, subject="{token:T1} Printer")),
    strange("a stolen token in the text", mail(M, body="{token:T1}\r\n")),
    held("a stolen token, forged", mail(subject="{token:T1}", authentication_results=FAILED), "forged-sender"),
    held("a stolen Thread-Index, forged", mail(thread_index=THREAD, authentication_results=FAILED), "forged-sender",
         before={"T1": Conversation(named=(f"thread-index:{ROOT.hex()}",))}),
    held("an original that others only named, forged",
         mail(references="<m0@list.example>", authentication_results=FAILED), "forged-sender",
         before={"T1": Conversation(named=("<m0@list.example>",))}),
    strange("a stolen token, forged in the name of a stranger",
            mail(M, subject="{token:T1}", authentication_results=f"{GATEWAY}; dmarc=fail")),
    strange("a stolen token and a forged reference",
            mail(M, subject="{token:T1}", references="<stampline.ticket.1.aaaaaaaa." + "a" * 26 + "@x.example>")),
    strange("a stolen Thread-Index", mail(M, thread_index=THREAD),
            before={"T1": Conversation(named=(f"thread-index:{ROOT.hex()}",))}),
    strange("a stranger with another system's number", mail(M, subject="INC0012345 closed"),
            before={"T1": Conversation(named=("ticket:servicedesk:0012345",))},
            settings={"correlation": {"tickets": [{"system": "servicedesk", "regex": "INC([0-9]{7})"}]}}),
    strange("an original that others only named", mail(M, references="<m0@list.example>"),
            before={"T1": Conversation(named=("<m0@list.example>",))}),
    held("the Message-ID that others named", mail(M, message_id="<m0@list.example>"), "reused-message-id",
         before={"T1": Conversation(named=("<m0@list.example>",))}),
)  # fmt: skip

FORGED_REFERENCES = (
    strange("another proof", mail(M, references="<stampline.ticket.1.aaaaaaaa." + "b" * 26 + "@desk.example.com>"),
            "no-reference"),
    new("another organisation's reference", mail(references="<{foreign:T1}@desk.example.com>")),
    new("a reference whose record is lost", mail(references="<{gone}@desk.example.com>"), "gone"),
    new("a reference of a module that is gone", mail(references="<{gone:project}@desk.example.com>"), "gone"),
    new("a conversation of a module that is gone", mail(in_reply_to=SENT), "gone",
        settings={"modules": [{"name": "case"}]}),
    joined("a lost one beside a good one", mail(references=f"<{{gone}}@desk.example.com> {REF}"),
           "signed-reference"),
    joined("a good one beside a lost one", mail(references=f"{REF} <{{gone}}@desk.example.com>"),
           "signed-reference"),
    new("a copy that another key signed",
        mail(), copy=CopyOf("T1", "sent", key=b"somebody else's"), stranger=True),
)  # fmt: skip

KNOWN_MESSAGES = (
    joined("answers what we sent", mail(in_reply_to=SENT), "known-reference"),
    joined("answers what we sent, References alone", mail(references=SENT), "known-reference"),
    joined("subject changed", mail(in_reply_to=SENT, subject="Something else"), "known-reference"),
    joined("the nearest of two", mail(in_reply_to="<sent-2@desk.example.com>", references=SENT), "known-reference",
           "T2", before=TWO),
    joined("References from the right", mail(references="<sent-2@desk.example.com> <sent-1@desk.example.com>"),
           "known-reference", before=TWO),
    joined("the conversation in which one takes part",
           mail(references="<sent-1@desk.example.com> <sent-2@desk.example.com>"), "known-reference",
           before={"T1": TWO["T1"], "T2": Conversation(("bob@other.example",), named=("<sent-2@desk.example.com>",))}),
    held("the nearest is another's", mail(references="<sent-1@desk.example.com> <sent-2@desk.example.com>"),
         conversation="T2", before=MINE_AND_OTHERS, stranger=False),
    joined("an old message of one's own", mail(references="<mine@customer.example.net>"), "known-reference",
           before={"T1": Conversation(messages=("<mine@customer.example.net>",), direction="received")}),
    new("answers what nobody knows", mail(in_reply_to="<elsewhere@x.example>")),
    new("Message-IDs differ in case", mail(in_reply_to="<SENT-1@desk.example.com>")),
    joined("text around the Message-ID", mail(in_reply_to=f"Message of Friday {SENT}"), "known-reference"),
)  # fmt: skip

SIBLINGS = (
    joined("the original comes after its answer", mail(message_id="<m0@customer.example.net>"), "message-id",
           before={"T1": Conversation(named=("<m0@customer.example.net>",))}),
    joined("another answer to an original that nobody has seen", mail(references="<m0@customer.example.net>"),
           "known-reference", before={"T1": Conversation(named=("<m0@customer.example.net>",))}),
    joined("a root far up, shared", mail(references="<m0@x.example> <m1@x.example> <m2@x.example>"),
           "known-reference", before={"T1": Conversation(named=("<m0@x.example>",))}),
    joined("the link between two that turn out to be one",
           mail(message_id="<link@customer.example.net>", in_reply_to=SENT), "known-reference", merges=("T2",),
           before={"T1": T1["T1"], "T2": Conversation(named=("<link@customer.example.net>",))}),
    joined("no link where the message was here before",
           mail(message_id="<link@customer.example.net>", in_reply_to=SENT), "message-id", "T2",
           before={"T1": T1["T1"],
                   "T2": Conversation(messages=("<link@customer.example.net>",), direction="received")}),
    joined("no link to what one doesn't take part in",
           mail(message_id="<link@customer.example.net>", in_reply_to="<sent-2@desk.example.com>"), "message-id",
           before={"T2": MINE_AND_OTHERS["T2"], "T1": Conversation(named=("<link@customer.example.net>",))}),
    joined("no link between modules",
           mail(message_id="<link@customer.example.net>", in_reply_to=SENT), "message-id", "T2",
           before={"T1": T1["T1"], "T2": Conversation(named=("<link@customer.example.net>",), module="case")}),
    joined("the relay opened it by this message",
           mail(message_id="<opening@customer.example.net>"), "opened",
           before={"T1": Conversation(messages=("<opening@customer.example.net>",))},
           copy=CopyOf("T1", "received", by="opened")),
)  # fmt: skip

TOKENS = (
    joined("token in the subject", mail(subject="Re: {token:T1} Printer"), "subject-token"),
    joined("token without zeros", mail(subject="[ticket - {number:T1}]"), "subject-token"),
    joined("token in another case", mail(subject="RE: [TICKET - {number:T1}]"), "subject-token"),
    joined("token in the newest text", mail(body="It is about {token:T1}.\r\n"), "body-token"),
    joined("the subject's before the text's", mail(subject="{token:T1}", body="{token:T2}\r\n"), "subject-token",
           before=TWO),
    joined("the first of two", mail(subject="{token:T2} {token:T1}"), "subject-token", "T2", before=TWO),
    joined("the one in which one takes part", mail(subject="{token:T2} {token:T1}"), "subject-token",
           before=MINE_AND_OTHERS),
    joined("another module's", mail(subject="[CASE#{number:T1}]"), "subject-token",
           before={"T1": Conversation(module="case")}),
    joined("an encoded subject", mail(subject="=?utf-8?q?{token:T1}_Dr=C3=BCcker?=".replace(" ", "_")),
           "subject-token"),
    joined("everybody may, by the settings", mail(M, subject="{token:T1}"), "subject-token",
           settings={"correlation": {"join_by_token": "everybody"}}),
    joined("whom the settings let in", mail(M, subject="{token:T1}"), "subject-token", settings=LET_IN),
    joined("whom the settings let in by a group, in the text",
           mail("<carl@partner.example>", body="{token:T1}\r\n"), "body-token",
           settings={"correlation": {"token_joiners": {"groups": ["Partners"]}}},
           people=(Person("carl@partner.example", is_contact=True, groups=frozenset({"partners"})),)),
    joined("by an alias", mail(f"<a.smith@{DOMAIN}>", subject="{token:T1}"), "subject-token",
           before={"T1": Conversation((f"anna.smith@{DOMAIN}",))},
           people=(Person(f"anna.smith@{DOMAIN}", frozenset({f"a.smith@{DOMAIN}"})),)),
    new("token in the quoted text alone",
        mail(body="Thanks!\r\n\r\nOn 1 May 2026, Jane <jane@desk.example.com> wrote:\r\n> {token:T1}\r\n")),
    new("a number that was never given", mail(subject="[Ticket - 999999]")),
    new("a number alone", mail(subject="Ticket {number:T1}")),
    new("a longer number", mail(subject="[Ticket - {number:T1}0000]")),
    new("a token inside a word", mail(subject="X[Ticket-]1")),
    new("no token is configured", mail(subject="{token:T1}"),
        settings={"modules": [{"name": "ticket", "subject_token": ""}]}),
)  # fmt: skip

OTHER_NAMES = (
    joined("Thread-Index", mail(thread_index=THREAD), "thread-index",
           before={"T1": Conversation(named=(f"thread-index:{ROOT.hex()}",))}),
    joined("Thread-Index folded", mail(thread_index=f"{THREAD[:10]}\r\n {THREAD[10:]}"), "thread-index",
           before={"T1": Conversation(named=(f"thread-index:{ROOT.hex()}",))}),
    new("Thread-Index switched off", mail(thread_index=THREAD),
        before={"T1": Conversation(named=(f"thread-index:{ROOT.hex()}",))},
        settings={"correlation": {"thread_index": False}}),
    new("Thread-Index that is none", mail(thread_index="AAAA"),
        before={"T1": Conversation(named=("thread-index:000000",))}),
    joined("another system's number", mail(subject="INC0012345 was updated"), "other-ticket",
           before={"T1": Conversation(named=("ticket:servicedesk:0012345",))},
           settings={"correlation": {"tickets": [{"system": "servicedesk", "regex": "INC([0-9]{7})"}]}}),
    new("the same number of another system", mail(subject="INC0012345 was updated"),
        before={"T1": Conversation(named=("ticket:other:0012345",))},
        settings={"correlation": {"tickets": [{"system": "servicedesk", "regex": "INC([0-9]{7})"}]}}),
    joined("a reference before Thread-Index", mail(thread_index=THREAD, references=REF2), "signed-reference", "T2",
           before={"T1": Conversation(named=(f"thread-index:{ROOT.hex()}",)), "T2": TWO["T2"]}),
    joined("a token before Thread-Index", mail(thread_index=THREAD, subject="{token:T2}"), "subject-token", "T2",
           before={"T1": Conversation(named=(f"thread-index:{ROOT.hex()}",)), "T2": TWO["T2"]}),
)  # fmt: skip

COPIES = (
    joined("what one of ours sent", mail(f"<{AGENT}>", to=ANNA), "tracked-copy", copy=CopyOf("T1", "sent")),
    joined("what ours wrote to ours", mail(f"<{AGENT}>", to=f"<bert@{DOMAIN}>"), "tracked-copy",
           copy=CopyOf("T1", "internal")),
    joined("sent by the shared mailbox", mail(f"<{SUPPORT}>", to=ANNA), "tracked-copy", copy=CopyOf("T1", "sent")),
    joined("the relay's word before what it carries", mail(f"<{AGENT}>", to=ANNA, references=REF2), "tracked-copy",
           before=TWO, copy=CopyOf("T1", "sent", by="subject")),
    joined("the relay opened another conversation for an answer", mail(f"<{AGENT}>", to=ANNA, in_reply_to=SENT),
           "known-reference", before=TWO, copy=CopyOf("T2", "sent", by="opened"), merges=("T2",)),
    joined("an answer that goes on by its token stays where it was put",
           mail(f"<{AGENT}>", to=ANNA, in_reply_to=SENT), "tracked-copy", "T2", before=TWO,
           copy=CopyOf("T2", "sent", by="subject")),
    joined("received, with a reference", mail(references=REF), "signed-reference", copy=CopyOf("T1", "received")),
    held("received from a stranger, with a reference", mail(M, references=REF), copy=CopyOf("T1", "received")),
    held("received, forged by the listener's word", mail(references=REF), "forged-sender",
         copy=CopyOf("T1", "received", authenticated=False)),
    joined("received, believed by the listener's word", mail(references=REF, authentication_results=FAILED),
           "signed-reference", copy=CopyOf("T1", "received", authenticated=True)),
    new("received, nothing names a conversation", mail(), copy=CopyOf("", "received")),
    held("from outside in the name of one of ours, whom nobody vouches for", mail(f"<{AGENT}>", references=REF),
         "forged-sender", copy=CopyOf("", "received"), before={"T1": Conversation((ANNA, AGENT))}, stranger=True),
    joined("from outside in the name of one of ours, whom the listener believes", mail(f"<{AGENT}>", references=REF),
           "signed-reference", copy=CopyOf("", "received", authenticated=True),
           before={"T1": Conversation((ANNA, AGENT))}),
    strange("our own mailbox with a tag, which somebody wrote to",
            mail("<support+b@desk.example.com>", subject="{token:T1}"),
            before={"T1": Conversation((ANNA, "support+a@desk.example.com"))}),
    held("a participant as the member of a group", mail(f"Customers: <{ANNA}>;", references=REF), "forged-sender"),
    joined("the same, whom a server vouches for",
           mail(f"Customers: <{ANNA}>;", references=REF, authentication_results=f"{GATEWAY}; dmarc=pass"),
           "signed-reference"),
    strange("a colleague who guesses a number", mail(f"<bert@{DOMAIN}>", subject="{token:T1}"), people=(STAFF,),
            copy=CopyOf("", "internal")),
    joined("a colleague who writes the number to the customer", mail(f"<bert@{DOMAIN}>", to=ANNA, subject="{token:T1}"),
           "subject-token", people=(STAFF,), copy=CopyOf("", "sent", recipients=(ANNA,))),
    strange("a colleague who names the customer, and doesn't write to her",
            mail(f"<bert@{DOMAIN}>", to=ANNA, subject="{token:T1}"), people=(STAFF,),
            copy=CopyOf("", "internal", recipients=(SUPPORT,))),
    joined("a technician who writes the number", mail(f"<bert@{DOMAIN}>", subject="{token:T1}"), "subject-token",
           people=(STAFF,), copy=CopyOf("", "internal"), settings={"technicians": {"addresses": [f"bert@{DOMAIN}"]}}),
    joined("sent without a conversation, answering one", mail(f"<{AGENT}>", to=ANNA, in_reply_to=SENT),
           "known-reference", copy=CopyOf("", "sent")),
)  # fmt: skip

LOOPS = (
    Case("our notice", mail(f"<{SUPPORT}>", message_id="{notice}"), LOOP, "own-notice", before=T1),
    Case("our notice by its field", mail(f"<{SUPPORT}>", x_stampline_notice="{notice}", references=REF), LOOP,
         "own-notice", before=T1),
    Case("our notice, handed on by a mailbox", mail(f"<{SUPPORT}>", message_id="{notice}", resent_from=f"<{ANNA}>"),
         LOOP, "own-notice", before=T1),
    Case("the relay's copy of our notice", mail(f"<{SUPPORT}>", to=ANNA, message_id="{notice}"), LOOP, "own-notice",
         before=T1, copy=CopyOf("T1", "sent")),
    joined("an answer to our notice", mail(in_reply_to="{notice}", references=REF), "signed-reference"),
    new("a notice's shape without its proof",
        mail(message_id="<stampline-notice." + "a" * 26 + "." + "b" * 26 + "@desk.example.com>")),
    new("a field that claims to be ours", mail(x_stampline_notice="yes")),
    new("Auto-Submitted is no loop", mail(auto_submitted="auto-generated")),
)  # fmt: skip


def bounce(
    brought: str = "", recipient: str = ANNA, *, action: str = "failed", status: str = "5.1.1",
    sender: str = "Mail Delivery System <MAILER-DAEMON@mx.example.net>", **fields: str,
) -> bytes:  # fmt: skip
    """A delivery report (RFC 3464) that brings back a header."""
    body = (
        "--b\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{brought}\r\n--b--\r\n"
    )
    return mail(
        sender, subject="Undelivered Mail", message_id="<dsn-1@mx.example.net>", body=body,
        content_type='multipart/report; report-type=delivery-status; boundary="b"', return_path="<>", **fields,
    )  # fmt: skip


def told(name: str, message: bytes, reason: str = "bounce", **more: Any) -> Case:
    known = {"conversation": "T1", "about": SENT, "status": "5.1.1", "before": T1}
    return Case(name, message, REPORT, reason, **{**known, **more})


def idle(name: str, message: bytes, **more: Any) -> Case:
    return Case(name, message, REPORT, "report-of-nothing-sent", **{"before": T1, "stranger": True, **more})


MINE = f"From: {AGENT}\r\nTo: {ANNA}\r\nMessage-ID: {SENT}\r\nSubject: Printer\r\n"
RECEIVED: Mapping[str, Conversation] = {"T1": Conversation(messages=(SENT,), direction="received")}
QMAIL = (
    "Hi. This is the qmail-send program at mx.example.net.\r\nI'm afraid I wasn't able to deliver.\r\n\r\n"
    f"<{ANNA}>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n\r\n"
    f"--- Below this line is a copy of the message.\r\n\r\n{MINE}\r\n"
)

REPORTS = (
    told("a bounce of what we sent", bounce(MINE)),
    told("a bounce that brings our reference", bounce(f"References: {REF}\r\n{MINE}", "moved@elsewhere.example")),
    told("a bounce by In-Reply-To alone", bounce("Subject: x\r\n", in_reply_to=SENT)),
    told("a full mailbox", bounce(MINE, status="5.2.2"), status="5.2.2"),
    told("given up after days", bounce(MINE, status="4.4.7"), status="4.4.7"),
    told("a late message is no failure", bounce(MINE, action="delayed", status="4.4.1"), "receipt", status=""),
    told("a delivery receipt", bounce(MINE, action="delivered", status="2.0.0"), "receipt", status=""),
    told("a bounce in qmail's form", mail("<MAILER-DAEMON@mx.example.net>", subject="failure notice", body=QMAIL,
                                          return_path="<>")),
    told("a bounce by X-Failed-Recipients", mail("Mail Delivery System <Mailer-Daemon@mx.example.net>",
                                                 subject="Mail delivery failed", x_failed_recipients=ANNA,
                                                 body=f"5.1.1 unknown\r\n\r\n{MINE}\r\n")),
    told("a receipt of reading",
         mail(subject="Read: Printer",
              content_type='multipart/report; report-type=disposition-notification; boundary="b"',
              body="--b\r\n\r\nRead.\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
                   f"Final-Recipient: rfc822;{ANNA}\r\nOriginal-Message-ID: {SENT}\r\n"
                   "Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n"), "receipt", status=""),
    told("a bounce of our notice", bounce(f"Message-ID: {{notice}}\r\nReferences: {REF}\r\n"), about="{notice}"),
    idle("about what somebody else sent", bounce("Message-ID: <other@x.example>\r\n")),
    idle("about what came to us", bounce(MINE), before=RECEIVED),
    idle("of somebody who gets no mail of it", bounce(MINE, "somebody@x.example")),
    idle("about nothing", bounce("Subject: x\r\n")),
    idle("forged in our customer's name",
         bounce(MINE, sender=f"Mailer-Daemon <{ANNA}>", authentication_results=FAILED)),
    joined("a person who answers a bounce",
           mail(subject="Re: Undelivered Mail Returned to Sender", references=REF), "signed-reference"),
)  # fmt: skip

FORWARD = (
    "See below.\r\n\r\n---------- Forwarded message ----------\r\nFrom: Carl <carl@supplier.example>\r\n"
    f"Date: Fri, 20 Nov 2026\r\nSubject: Offer\r\nTo: {ANNA}\r\n\r\nOur offer.\r\n"
)
FORWARDS = (
    new("a forward of somebody else's mail",
        mail(subject="FW: Offer", body=FORWARD, references="<o@supplier.example>")),
    joined("a forward within the conversation", mail(body=FORWARD, references=REF), "signed-reference"),
    held("a forward to a stranger, who answers", mail(M, references=REF, body=FORWARD)),
    new("a forward without words of its own", mail(body=FORWARD.partition("\r\n\r\n")[2])),
    new("a forward says Re:", mail(subject="Re: Offer", body=FORWARD)),
)  # fmt: skip

MADE = (
    *SIGNED, *COLLEAGUES, *STRANGERS, *FORGED_REFERENCES, *KNOWN_MESSAGES, *SIBLINGS, *TOKENS, *OTHER_NAMES, *COPIES,
    *LOOPS, *REPORTS, *FORWARDS,
)  # fmt: skip
