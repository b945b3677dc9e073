"""Cases of real mail: helpdesks' test mail and replies of many clients, each with what stands in the store before it.

What a case expects follows from what was put into the store and from the message's own header, read by the standard
library; where a message is a report, or its author is doubtful, it is said here by name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.utils import parseaddr
from typing import Any

from mta.message.reference import HEADER
from mta.tracking.correlate import Outcome
from tests.shared import CorpusMessage, corpus
from tests.unit.tracking.correlate.case import Case
from tests.unit.tracking.scene import MALLORY, Conversation

HELPDESKS = ("zammad", "otobo", "rt", "redmine", "freescout")
_ID = re.compile(r"<[^<>\s]+>")
DOUBTFUL = frozenset({"zammad/mail_mail058.eml", "zammad/mail_mail017.eml"})
"""From names several."""
UNREADABLE = frozenset({"otobo/EmailParser_PostMaster-Test8.eml", "zammad/mail_mail076.eml"})
"""What stands in From is no address for us."""
SENT_TO = {
    "zammad/mail_mail018.eml": ("<20131115125507.4636.975502@portal.znuny.com>", "m.smith@example.com", "5.7.1"),
    "zammad/mail_mail033-undelivered-mail-returned-to-sender.eml":
        ("<20150830145601.30.608881@edenhofer.zammad.com>", "not_existing@znuny.com", "5.1.1"),
    "zammad/mail_mail053.eml": ("<20170227103514.188.920664@help.example.com>", "john_example@example.com", "4.4.1"),
    "zammad/mail_mail055.eml":
        ("<20170526150141.232.13312@example.zammad.loc>", "ticket-bounce-trigger2@example.com", "5.1.1"),
    "zammad/mail_mail078.eml": ("<20150830145601.30.608881@example.com>", "bob.smith@example.de", ""),
    "otobo/PostMaster_PostMaster-Test10.eml":
        ("<1183717051.586927.929001308.97809.36@otobo.otobo.org>", "asdfasdfasdfasd@example.com", "5.0.0"),
    "rt/emails_multipart-report.eml":
        ("<200308221615.h7MGFGac020135@mx12.other.example.com>", "jesmund@mailbox.other.example.com", "5.1.1"),
}  # fmt: skip
"""Reports: the Message-ID of what they are about, its recipient, the status code of a failure."""
OTHER_REPORTS = frozenset({
    "zammad/mail_mail052.eml", "zammad/mail_mail092.eml", "otobo/EmailParser_FilenameWithNewline.eml",
})  # fmt: skip
"""Reports that say nothing of the message."""
TICKETS = {
    "zammad/mail_mail007.eml": ("otrs", r"Ticket#(\d+)", "11392"),
    "zammad/mail_mail012.eml": ("otrs", r"Ticket#(\d+)", "11995"),
    "zammad/mail_mail013.eml": ("otrs", r"Ticket#(\d+)", "111079"),
    "zammad/mail_mail089.eml": ("servicenow", r"\b(INC\d{6})\b", "inc678439"),
    "zammad/mail_mail090.eml": ("servicenow", r"\b(INC\d{6})\b", "inc678439"),
    "zammad/mail_mail103.eml": ("jira", r"\(([A-Z]+-\d+)\)", "sys-422"),
    "zammad/mail_mail104.eml": ("jira", r"\(([A-Z]+-\d+)\)", "sys-422"),
    "redmine/mail_handler_message_reply_by_subject.eml": ("redmine", r"- msg(\d+)\]", "2"),
}
"""Other systems' numbers: system, pattern, number."""


def corpus_cases() -> list[Case]:
    return [case for message in corpus() if _is_wanted(message) for case in _cases(message)]


def _is_wanted(message: CorpusMessage) -> bool:
    source = message.manifest["source"]
    return source in HELPDESKS or source.startswith("w-")


def _cases(message: CorpusMessage) -> Iterator[Case]:
    header = message_from_bytes(message.data, policy=policy.compat32)
    author = parseaddr(re.sub(r"=\?.*\?=", "x", _one(header["From"])))[1].lower()
    parents = _ID.findall(_one(header["In-Reply-To"])) or _ID.findall(_one(header["References"]))[-1:]
    of = _Of(message, author if "@" in author and message.path not in UNREADABLE else "")
    if message.path in SENT_TO or message.path in OTHER_REPORTS:
        yield from of.reports()
        return
    yield of.case("new", Outcome.NEW, "no-reference")
    if parents:
        yield from of.both("answers", "known-reference", Conversation(messages=(parents[0],)))
    if message.manifest["source"] in HELPDESKS:
        references = "References: <{ref:T1}@desk.example.com>"
        yield from of.both("signed", "signed-reference", Conversation(), on_top=references)
        yield from of.both("in the field", "signed-reference", Conversation(), on_top=f"{HEADER}: {{ref:T1}}")
    yield from of.unproven(header["Thread-Index"])


def _one(value: object) -> str:
    return " ".join(str(value or "").split())


class _Of:
    """Cases of one message."""

    def __init__(self, message: CorpusMessage, author: str) -> None:
        self.message = message
        self.author = author

    def case(
        self, what: str, outcome: Outcome, reason: str, conversation: str = "", on_top: str = "", **more: Any
    ) -> Case:
        data = (f"{on_top}\r\n" if on_top else "").encode() + self.message.data
        name, source = f"{self.message.path}: {what}", self.message.manifest["source"]
        before = {**more.pop("before", {}), "another": self._another()}
        return Case(name, data, outcome, reason, conversation, before=before, source=source, **more)

    def _another(self) -> Conversation:
        """Something else that the same author takes part in, younger than what he answers."""
        return Conversation((self.author or MALLORY,), ("<another@desk.example.com>",))

    def both(self, what: str, reason: str, there: Conversation, on_top: str = "") -> Iterator[Case]:
        """The author takes part, and doesn't."""
        if self.author and self.message.path not in DOUBTFUL:
            before = {"T1": Conversation((self.author,), there.messages)}
            yield self.case(what, Outcome.JOINED, reason, "T1", before=before, on_top=on_top)
        said = "forged-sender" if self.message.path in DOUBTFUL else "stranger"
        yield self.case(
            f"{what}, a stranger", Outcome.PENDING, said, "T1", on_top=on_top, stranger=True,
            before={"T1": Conversation((MALLORY,), there.messages)},
        )  # fmt: skip

    def reports(self) -> Iterator[Case]:
        """About what was sent, to somebody else, about what came in, and about nothing."""
        nothing = "report-of-nothing-sent"
        yield self.case("report", Outcome.REPORT, nothing, stranger=True)
        if self.message.path not in SENT_TO:
            return
        about, recipient, status = SENT_TO[self.message.path]
        sent = Conversation((recipient,), (about,))
        yield self.case(
            "report of what was sent", Outcome.REPORT, "bounce" if status else "receipt", "T1", before={"T1": sent},
            about=about, status=status,
        )  # fmt: skip
        others = {"T1": Conversation((MALLORY,), (about,))}
        yield self.case("report, of another recipient", Outcome.REPORT, nothing, before=others, stranger=True)
        received = {"T1": Conversation((recipient,), (about,), direction="received")}
        yield self.case("report of what came in", Outcome.REPORT, nothing, before=received, stranger=True)

    def unproven(self, thread_index: object) -> Iterator[Case]:
        """What only those who take part may name a conversation by."""
        known: list[tuple[str, str, str, dict[str, Any]]] = []
        if thread_index:
            root = base64.b64decode(_one(thread_index).replace(" ", ""))[:22]
            known.append(("thread", "thread-index", f"thread-index:{root.hex()}", {}))
        if self.message.path in TICKETS:
            system, regex, number = TICKETS[self.message.path]
            settings = {"correlation": {"tickets": [{"system": system, "regex": regex}]}}
            known.append(("ticket", "other-ticket", f"ticket:{system}:{number}", {"settings": settings}))
        for what, reason, name, more in known:
            before = {"T1": Conversation((self.author,), named=(name,))}
            yield self.case(what, Outcome.JOINED, reason, "T1", before=before, **more)
            before = {"T1": Conversation((MALLORY,), named=(name,))}
            yield self.case(f"{what}, a stranger", Outcome.NEW, "unproven", stranger=True, before=before, **more)
