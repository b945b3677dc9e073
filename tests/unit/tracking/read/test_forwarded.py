"""Forwards are told from replies by what they quote."""

from __future__ import annotations

import pytest

from tests.unit.tracking.read.test_read import read
from tests.unit.tracking.scene import ANNA, SUPPORT, mail


def header(
    sender: str, to: str, *, above: str = "", labels: tuple[str, ...] = ("From", "Sent", "To", "Subject")
) -> str:
    values = (sender, "Friday, 20 November 2026 09:00", to, "Offer")
    lines = "".join(f"{label}: {value}\r\n" for label, value in zip(labels, values, strict=True))
    return f"See below.\r\n\r\n{above}{lines}\r\nOur offer.\r\n"


GERMAN = ("Von", "Gesendet", "An", "Betreff")
SUPPLIER = "Carl <carl@supplier.example>"
FORWARDS = {
    "Gmail": header(SUPPLIER, ANNA, above="---------- Forwarded message ---------\r\n"),
    "Apple Mail": header(SUPPLIER, ANNA, above="Begin forwarded message:\r\n\r\n"),
    "Thunderbird, German": header(
        SUPPLIER, ANNA, above="-------- Weitergeleitete Nachricht --------\r\n", labels=GERMAN
    ),
    "Outlook": header(SUPPLIER, ANNA, above="________________________________\r\n"),
    "Outlook, German": header(SUPPLIER, ANNA, labels=GERMAN),
    "one's own mail": header(f"Anna <{ANNA}>", "carl@supplier.example"),
}
REPLIES = {
    "Outlook": header(f"Support <{SUPPORT}>", ANNA),
    "Outlook, German": header(f"Support <{SUPPORT}>", ANNA, labels=GERMAN),
    "an agent who wrote by the desk": header("Jane <jane@desk.example.com>", ANNA),
    "names alone": header("Support", "Anna"),
    "after one's own mail": header(f"Anna <{ANNA}>", SUPPORT),
    "an attribution": "No.\r\n\r\nOn Fri, 20 Nov 2026 at 09:00, Carl <carl@supplier.example> wrote:\r\n> Hello\r\n",
    "nothing quoted": "No.\r\n",
}


@pytest.mark.parametrize("subject", ["Offer", "Re: Offer", "FW: Offer"])
@pytest.mark.parametrize("name", FORWARDS)
def test_forwards(name: str, subject: str) -> None:
    assert read(mail(subject=subject, body=FORWARDS[name], in_reply_to="<x@y.example>")).is_forward


@pytest.mark.parametrize("subject", ["Offer", "Re: Offer", "FW: Offer"])
@pytest.mark.parametrize("name", REPLIES)
def test_replies(name: str, subject: str) -> None:
    message = mail(to=f"Support <{SUPPORT}>", subject=subject, body=REPLIES[name], in_reply_to="<x@y.example>")
    assert not read(message).is_forward


@pytest.mark.parametrize("answers", [True, False])
def test_an_attached_message_is_a_forward_unless_it_comes_with_an_answer(answers: bool) -> None:
    body = "--b\r\n\r\nSee.\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: <c@d.example>\r\n\r\nHello\r\n--b--\r\n"
    message = mail(
        content_type="multipart/mixed; boundary=b", body=body, in_reply_to="<x@y.example>" if answers else ""
    )
    assert read(message).is_forward is not answers
