"""Nothing of a message that somebody else sent in a sender's name comes into the sender's mailbox.

Who got a message knows its Message-ID, Date, text and attachments, and may send the like of it through the relay.
"""

from __future__ import annotations

from base64 import encodebytes
from dataclasses import dataclass, replace
from urllib.parse import quote

import pytest

from mta.message.parse import parse
from mta.model.mailbox_item import SentItem, StoredAttachment, stamp_of
from mta.model.sentitem import JobState
from mta.sentitems import reasons
from mta.sentitems.guard import by_content
from tests.unit.sentitems.attempts import attempt
from tests.unit.sentitems.remembered_server import RememberedServer
from tests.unit.sentitems.rewriters import OF_HTML
from tests.unit.sentitems.samples import MESSAGE, copy_of, item_of, job_with, let_go, settings

DONE, SKIPPED = JobState.DONE, JobState.SKIPPED
HTML = (
    '<html><body><p>Dear Tom,</p><p>please pay <a href="https://pay.example.com/invoice?no=17&amp;lang=en">here</a> '
    '4,200 EUR.</p><p><a href="mailto:jane@example.com">Jane</a></p><img src="cid:logo@x" alt="Logo"></body></html>'
)
TEXT = "Dear Tom,\r\n\r\nplease pay here 4,200 EUR.\r\n\r\nJane\r\n"
INNER = b"From: a@example.net\r\nSubject: order\r\n\r\nWe order 3 pieces.\r\n"


@dataclass(frozen=True)
class File:
    name: str
    kind: str
    data: bytes
    content_id: str = ""

    @property
    def part(self) -> bytes:
        head = f"Content-Type: {self.kind}\r\nContent-Disposition: {'inline' if self.content_id else 'attachment'}"
        head += f"; filename={self.name}" + (f"\r\nContent-ID: <{self.content_id}>" if self.content_id else "")
        if self.kind == "message/rfc822":
            return head.encode() + b"\r\n\r\n" + self.data
        return head.encode() + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encodebytes(self.data)


LOGO = File("logo.png", "image/png", b"\x89PNG\r\n\x1a\n" + b"logo" * 100, "logo@x")
INVOICE = File("invoice.pdf", "application/pdf", b"%PDF-1.7 pay to DE02 1203 0000 0000 2020 51")
LIST = File("list.txt", "text/plain", b"one\ntwo\n")
ORDER = File("order.eml", "message/rfc822", INNER)


@dataclass(frozen=True)
class Mail:
    html: str = HTML
    text: str = TEXT
    files: tuple[File, ...] = (LOGO, INVOICE, LIST, ORDER)

    @property
    def data(self) -> bytes:
        header = MESSAGE[: MESSAGE.index(b"Content-Type")]
        parts = [f.part for f in self.files]
        body = b"".join([
            b"Content-Type: multipart/alternative; boundary=a\r\n\r\n",
            b"--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", self.text.encode(),
            b"\r\n--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n", self.html.encode(), b"\r\n--a--\r\n",
        ])  # fmt: skip
        whole = b"".join(b"--m\r\n" + each + b"\r\n" for each in (body, *parts))
        return header + b"Content-Type: multipart/mixed; boundary=m\r\n\r\n" + whole + b"--m--\r\n"


MAIL = Mail()


def _html(old: str, new: str) -> Mail:
    assert old in HTML
    return replace(MAIL, html=HTML.replace(old, new))


def _files(**changed: File) -> Mail:
    known = {"logo": LOGO, "invoice": INVOICE, "list": LIST, "order": ORDER, **changed}
    return replace(MAIL, files=tuple(known.values()))


LINK = "https://pay.example.com/invoice?no=17&amp;lang=en"


def _safe(target: str) -> str:
    return f"https://eur01.safelinks.protection.outlook.com/?url={quote(target, safe='')}&amp;data=05%7C02"


SAFE = _safe("https://pay.example.com/invoice?no=17&lang=en")
FORGED = {
    "a link's host": _html(LINK, "https://pay.example.net/invoice?no=17&amp;lang=en"),
    "a link's path": _html(LINK, "https://pay.example.com/evil?no=17&amp;lang=en"),
    "a link's number": _html(LINK, "https://pay.example.com/invoice?no=71&amp;lang=en"),
    "a link's port": _html(LINK, "https://pay.example.com:8443/invoice?no=17&amp;lang=en"),
    "a link's user": _html(LINK, "https://pay.example.com@evil.example.net/invoice?no=17&amp;lang=en"),
    "a link of a lookalike": _html(LINK, "https://pay.ex\u0430mple.com/invoice?no=17&amp;lang=en"),
    "a link without quotes": _html(f'"{LINK}"', "https://evil.example.net/"),
    "a link in single quotes": _html(f'"{LINK}"', "'https://evil.example.net/'"),
    "a link in upper case": _html(f'<a href="{LINK}"', '<A CLASS=x HREF = "https://evil.example.net/"'),
    "a link with entities": _html(LINK, "https://evil&#46;example&period;net/"),
    "a link with a line in it": _html(LINK, "ht\ntps://evil.exa\r\nmple.net/"),
    "a mailto": _html("mailto:jane@example.com", "mailto:jane@example.org"),
    "a wrapped link": _html(LINK, SAFE.replace("pay.example.com", "evil.example.net")),
    "what poses as a wrapper": _html(LINK, SAFE.replace("outlook.com/", "outlook.com.evil.example.net/")),
    "links changed for each other": _html(LINK, "https://evil.example.net/?url=https%3A%2F%2Fpay.example.com"),
    "an amount": _html("4,200", "4,300"),
    "an amount in a hidden tag": _html("4,200", '<span style="display:none">1</span>4,200'),
    "white text": _html("</p><img", '<font color="white">Approved.</font></p><img'),
    "text of size 0": _html("</p><img", '<span style="font-size:0">Approved.</span></p><img'),
    "a word in other tags": _html("Dear Tom", "Dear <s>Tom</s> Tim"),
    "the plain text's amount": replace(MAIL, text=TEXT.replace("4,200", "9,200")),
    "the plain text's recipient": replace(MAIL, text=TEXT.replace("Tom", "Tim")),
    "a plain text with more": replace(MAIL, text=f"{TEXT}\r\nApproved.\r\n"),
    "no plain text": replace(MAIL, text="-"),
    "a file of the same name and size": _files(invoice=replace(INVOICE, data=INVOICE.data.replace(b"02 12", b"12 02"))),
    "a file of the same name": _files(invoice=replace(INVOICE, data=b"%PDF-1.7 another")),
    "a picture": _files(logo=replace(LOGO, data=b"\x89PNG\r\n\x1a\n" + b"logi" * 100)),
    "a picture and a file changed for each other": _files(
        logo=replace(LOGO, data=INVOICE.data), invoice=replace(INVOICE, data=INVOICE.data)
    ),
    "an attached text": _files(list=replace(LIST, data=b"one\nten\n")),
    "an attached message": _files(order=replace(ORDER, data=INNER.replace(b"3 pieces", b"9 pieces"))),
    "a file for an attached message": _files(order=File("order.eml", "application/octet-stream", INNER)),
    "a file less": replace(MAIL, files=(LOGO, INVOICE, LIST)),
    "a file more": replace(MAIL, files=(*MAIL.files, File("x.exe", "application/octet-stream", b"MZ"))),
    "a file twice": replace(MAIL, files=(LOGO, INVOICE, INVOICE, ORDER)),
}  # fmt: skip
AS_SENT = {
    "as it is": MAIL,
    "a link escaped otherwise": _html(LINK, "https://pay.example.com/invoice?no=17&#38;lang=en"),
    "a link percent-encoded": _html(LINK, "https://pay.example.com/%69nvoice?no=17&amp;lang=en"),
    "a link's host in upper case": _html(LINK, "https://PAY.example.COM/invoice?no=17&amp;lang=en"),
    "a link without TLS": _html(LINK, "http://pay.example.com/invoice?no=17&amp;lang=en"),
    "a link with attributes": _html("<a href=", '<a target=_blank originalsrc="x" shash="y" href='),
    "Safe Links": _html(LINK, SAFE),
    "Safe Links twice": _html(LINK, _safe(_safe("https://pay.example.com/invoice?no=17&lang=en"))),
    "no link any more": _html(f'<a href="{LINK}">here</a>', "here"),
    "a link made of words": _html("Dear Tom", 'Dear <a href="https://tom.example.net">Tom</a>'),
    "a link within the text": _html("<p>Dear", '<a name="_top" href="#_top"></a><p>Dear'),
    "a picture named otherwise": _html("cid:logo@x", "cid:image001.png@01D9"),
    "files in another order": replace(MAIL, files=(ORDER, INVOICE, LIST, LOGO)),
    "a file's name": _files(invoice=replace(INVOICE, name="Invoice-17.pdf")),
    "line ends of an attached text": _files(list=replace(LIST, data=b"one\r\ntwo\r\n")),
    "an attached message made anew": _files(order=replace(ORDER, data=b"X: 1\r\n" + INNER.replace(b" 3", b"\r\n3"))),
    "the plain text made anew": replace(
        MAIL,
        text="Dear Tom,\r\nplease pay here<https://pay.example.com/invoice?no=17&lang=en>\r\n4,200 EUR.\r\n"
        "Jane<mailto:jane@example.com>\r\n[Logo]\r\n",
    ),
    **{f"HTML {way.__name__}": replace(MAIL, html=way(HTML)) for way in OF_HTML},
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
async def test_what_somebody_else_sent_stays_out(name: str) -> None:
    server = RememberedServer()
    server.put(item_of(MAIL.data))
    verdict = await attempt(job_with(copy_of(FORGED[name].data)), server, settings())
    assert verdict.state is SKIPPED
    assert verdict.reason in (reasons.EDITED, reasons.ATTACHMENTS)
    assert [item.mime for item in server.items] == [MAIL.data]
    assert "create" not in server.calls


@pytest.mark.parametrize("name", [name for name in FORGED if "plain text" not in name])
def test_what_its_owner_has_changed_so_stays(name: str) -> None:
    assert by_content(item_of(FORGED[name].data), parse(MAIL.data)) is not None


@pytest.mark.parametrize("name", AS_SENT)
async def test_what_servers_do_on_the_way_counts_for_nothing(name: str) -> None:
    server = RememberedServer()
    server.put(item_of(AS_SENT[name].data))
    verdict = await attempt(job_with(copy_of(MAIL.data)), server, settings())
    assert (verdict.state, verdict.reason) == (DONE, "")


@pytest.mark.parametrize(("size", "is_refused"), [(0, False), (43, False), (900, False), (900_000, True)])
async def test_without_octets_sizes_are_compared(size: int, is_refused: bool) -> None:
    mail = replace(MAIL, files=(INVOICE,))
    original = replace(
        item_of(mail.data, has_mime=False),
        attachments=(StoredAttachment("invoice.pdf", "application/pdf", size),),
    )
    assert (by_content(original, parse(mail.data)) is not None) is is_refused


async def test_a_new_item_whose_files_came_out_empty_goes_again() -> None:
    def emptied(item: SentItem) -> SentItem:
        return replace(
            item, attachments=tuple(replace(one, size_octets=one.size_octets // 4) for one in item.attachments)
        )

    server = RememberedServer(distorts=emptied)
    server.put(item_of(MAIL.data))
    before = server.items
    verdict = await attempt(job_with(copy_of(MAIL.data)), server, settings())
    assert (verdict.state, verdict.reason) == (JobState.GIVEN_UP, reasons.NOT_VERIFIED)
    assert "sizes" in verdict.detail
    assert server.items == before


# --- after the job was done -------------------------------------------------------------------------------------------

FIRST = copy_of(MAIL.data)


@pytest.mark.parametrize("policy", ["last", "all", "external"])
@pytest.mark.parametrize("name", ["an amount", "a file of the same name and size", "the plain text's amount"])
async def test_another_message_under_the_same_name_comes_too_late(policy: str, name: str) -> None:
    server = RememberedServer()
    server.put(item_of(MAIL.data))
    first = replace(FIRST, external=False)
    job = job_with(first)
    verdict = await attempt(job, server, settings(copies=policy))
    (made,) = server.items
    forged = copy_of(FORGED[name].data, queue_id="q2", after_s=300)
    again = replace(job, copies=(let_go(first), forged), placed=verdict.placed)
    late = await attempt(again, server, settings(copies=policy))
    assert server.items == [made]
    assert (late.state, late.reason) == (SKIPPED, reasons.ANOTHER_MESSAGE)


async def test_a_later_copy_of_the_same_message_takes_its_place() -> None:
    server = RememberedServer()
    server.put(item_of(MAIL.data))
    job = job_with(FIRST)
    await attempt(job, server, settings(copies="last"))
    later = copy_of(MAIL.data, queue_id="q2", stamp="another stamp", after_s=30)
    again = replace(job, copies=(let_go(FIRST), later), placed="q1.0")
    assert (await attempt(again, server, settings(copies="last"))).state is DONE
    (item,) = server.items
    assert "another stamp" in (item.html or "")


async def test_a_message_of_another_date_makes_no_second_item_beside_a_kept_original() -> None:
    server = RememberedServer()
    server.put(item_of(MESSAGE))
    server.put(item_of(MESSAGE, stamp=stamp_of("f" * 32, "q9.0")))
    verdict = await attempt(job_with(copy_of(MESSAGE)), server, settings(keep_original=True))
    assert (verdict.state, verdict.reason) == (SKIPPED, reasons.OTHER_JOB)
    assert len(server.items) == 2


async def test_what_was_taken_away_is_not_put_back_in_place() -> None:
    """Where a rule has changed the subject alone, the same text says nothing of an attempt that broke off."""
    tagged = copy_of(MAIL.data, tag="[out]", stamp="", is_changed=True)
    tagged = replace(tagged, variant=copy_of(MAIL.data, tag="[out]", is_changed=False).variant)
    tagged = replace(tagged, variant=replace(tagged.variant, is_changed=True))
    server = RememberedServer(can_rewrite=True)
    server.put(item_of(replace(MAIL, files=(LOGO,)).data))
    verdict = await attempt(job_with(tagged), server, settings(method="in-place"))
    assert (verdict.state, verdict.reason) == (SKIPPED, reasons.ATTACHMENTS)
    assert "rewrite" not in server.calls
