# ruff: noqa: E501 - samples stand on one line
"""Clients beyond Outlook, Gmail and Apple Mail, and words of one's own that only look like a quote's beginning.

`|` marks where the stamp has to go.
"""

from __future__ import annotations

from html import escape

import pytest

from mta.message.place.place_html import place_html
from mta.message.place.place_plain import place_plain
from mta.message.place.placement import BodyView
from mta.model.actions import Place

PLAIN = {
    "Samsung": "Hi\n\n|-------- Original message --------\nFrom: Jane <jane@example.com>\nDate: 02/05/2024 10:00 (GMT+01:00)\nTo: Bob\nSubject: x\n\nOld\n",
    "Samsung, German": "Hi\n\nVon meinem Samsung Galaxy Smartphone gesendet.\n\n|-------- Ursprüngliche Nachricht --------\nVon: Jane\n",
    "Outlook for iOS": "Hi\n\nGet Outlook for iOS<https://aka.ms/o0ukef>\n|________________________________\nFrom: Jane <jane@example.com>\nSent: Thursday, May 2, 2024 10:00:00 AM\nTo: Bob\nSubject: x\n\nOld\n",
    "Outlook, no subject": "Hi\n\n|________________________________\nFrom: Jane <jane@example.com>\nSent: Thursday, May 2, 2024 10:00 AM\n\nOld\n",
    "Outlook, dashes and bold": "Hi\n\n|------------------------------\n*From:* Jane [mailto:jane@example.com]\n*Sent:* Thursday\n*To:* Bob\n\nOld\n",
    "Notes": "Hi\n\n|Jane Doe/ORG@EXAMPLE\n02.05.2024 10:00\n\nTo\nBob Ray/ORG@EXAMPLE\ncc\n\nSubject\nRe: x\n\nOld\n",
    "Notes, German": "Hi\n\n|Jane Doe <jane@example.com>\n02.05.2024 10:00\nBitte antworten an\njane@example.com\n\nAn\nBob\nKopie\n\nThema\nRe: x\n\nOld\n",
    "Notes, in columns": "Hi\n\n|Jane Doe <jane@example.com>\n05/02/2024 10:00 AM\n\n        To:     Bob\n        cc:\n        Subject:        Re: x\n\nOld\n",
    "Notes, on one line": "Hi\n\n|Jane Doe <jane@example.com> on 05/02/2024 10:00:00 AM\n\nTo:    Bob\ncc:\n\nSubject:    x\n\nOld\n",
    "GroupWise": "Hi\n\n|>>> Jane Doe 05/02/24 10:00 AM >>>\nOld\n",
    "GroupWise, marked": "Hi\n\n|>>> Jane Doe <jane@example.com> 5/2/2024 10:00 AM >>>\n> Old\n> older\n",
    "Zoho": "Hi\n\n|---- On Thu, 02 May 2024 10:00:00 +0200 Jane <jane@example.com> wrote ----\n\nOld\n",
    "Zoho, French": "Hi\n\n|---- Le jeu., 02 mai 2024 10:00:00 +0200 Jane <jane@example.com> a écrit ----\nOld\n",
    "Yandex": "Hi\n\n|02.05.2024, 10:00, \"Jane Doe\" <jane@example.com>:\n\nOld\n",
    "Yandex, English": "Hi\n\n|10:00, 2 May 2024, Jane Doe <jane@example.com>:\n\nOld\n",
    "mail.ru": "Hi\n\n|Четверг, 2 мая 2024, 10:00 +03:00 от Jane Doe <jane@example.com>:\n\nOld\n",
    "Orange": "Hi\n\n|========================================\nMessage du : 02/05/2024 10:00\nDe : \"Jane\" <jane@example.com>\nA : bob@example.net\nSujet : x\n\nOld\n",
    "Proton": "Hi\n\n|------- Original Message -------\nOn Thursday, May 2nd, 2024 at 10:00, Jane <jane@example.com> wrote:\n\n> Old\n",
    "Yahoo": "Hi\n\n|    On Thursday, May 2, 2024 at 10:00:00 AM GMT+2, Jane Doe <jane@example.com> wrote:\n\n Old\n",
    "Horde": "Hi\n\n|Quoting Jane Doe <jane@example.com>:\n\n> Old\n",
    "Horde, German": "Hi\n\n|Zitat von Jane Doe <jane@example.com>:\n\n> Old\n",
    "Mutt": "Hi\n\n|* Jane Doe <jane@example.com> [2024-05-02 10:00]:\n> Old\n",
    "Gnus": "Hi\n\n|Jane Doe <jane@example.com> writes:\n\n> Old\n",
    "KMail": "Hi\n\n|Jane Doe said:\n> Old\n",
    "git": "Hi\n\n|On Thu, May 02, 2024 at 10:00:00AM +0200, Jane Doe wrote:\n> Old\n",
    "Tobit David": "Hi\n\n|Original Message processed by david®\nRe: x 2. Mai 2024, 10:00 Uhr\nVon Jane\nAn Bob\n\nOld\n",
    "old Gmail": "Hi\n\n|2012/4/2 Jane Doe <jane@example.com>\n\n> Old\n",
    "old Gmail, bars": "Hi\n\n|2012/4/2 Jane Doe <jane@example.com>\n\n| Old\n| older\n",
    "wrapped before the month": "Hi\n\n|Jane Doe <jane@example.com> schrieb am Do., 2.\nMai 2024 um 10:00 Uhr:\n\n> Old\n",
    "wrapped twice": "Hi\n\n|On May 2, 2024,\nat 10:00,\nJane Doe <jane@example.com> wrote:\n\n> Old\n",
    "an unknown language": "Hi\n\n|เมื่อ พฤ. 2 พ.ค. 2024 เวลา 10:00 Jane Doe <jane@example.com> เขียนว่า:\n\nOld\n",
    "an unknown language, marked": "Hi\n\n|เมื่อ พฤ. 2 พ.ค. 2024 เวลา 10:00 Jane Doe <jane@example.com> เขียนว่า:\n> Old\n> older\n",
    "garbled between dashes": "Hi\n\n|-------- Message transér? --------\nSujet : x\nDate : Thu, 2 May 2024 10:00:00 +0200\nDe : Jane <jane@example.com>\nPour : Bob\n\nOld\n",
    "a header above marked lines": "Hi\n\n|From: Jane <jane@example.com>\nDate: Thu, 2 May 2024 10:00\n\n> Old\n> older\n",
    "signature below the quote": "Thanks, all of this is right.\n\n|On 2 May 2024, Jane wrote:\n> Old\n\nBob Ray\nSales\n",
    "disclaimer below the quote": "Ok\n\n|On 2 May 2024, Jane wrote:\n> Old\n\nThis message is confidential and meant for nobody but him whom it is addressed to.\n",
}  # fmt: skip
MORE = [
    "Hi\n\n|------------------ 原始邮件 ------------------\n发件人: \"x\" <x@example.com>;\n发送时间: 2024年5月2日(星期四) 上午10:00\n收件人: \"y\"<y@example.com>;\n主题: Re: x\n\nOld\n",
    "Hi\n\n|At 2016-12-15 10:00:00, \"X\" <x@example.com> wrote:\n>Old\n",
    "Hi\n\n|在 2016-12-15 10:00:00，\"X\" <x@163.com> 写道：\nOld\n",
    "Hi\n\n|> 在 2016年12月12日，下午8:45，X <x@example.com> 写道：\n> \n> Old\n",
    "Hi\n\n|From: Jane Doe <jane@example.com<mailto:jane@example.com>>\nReply-To: \"x\" <y@example.com>\nDate: Monday, February 8, 2016 11:44 AM\nTo: x\nSubject: y\n\nOld\n",
    "Hi\n\n|<info@example.com> wrote:\n> Old\n",
    "Hi\n\n|\"Jane Doe\" <jane@example.com> schrieb am 02.05.2024 um 10:00:\n> Old\n",
    "Hi\n\n|jane@example.com kirjoitti 2.5.2024 10:00:\n> Old\n",
    "Hi\n\n|On 02/05/2024 10:00, Jane Doe via Group wrote:\nOld\n",
    "Hi\n\n|Le 02/05/2024 à 10:00, Jane Doe a écrit :\nOld\n",
    "Hi\n\n|Il 02/05/2024 10:00, Jane Doe ha scritto:\nOld\n",
    "Hi\n\n|El 02/05/2024 a las 10:00, Jane Doe escribió:\nOld\n",
    "Hi\n\n|Em 02/05/2024 10:00, Jane Doe escreveu:\nOld\n",
    "Hi\n\n|W dniu 02.05.2024 o 10:00, Jane Doe pisze:\nOld\n",
    "Hi\n\n|Dne 02.05.2024 v 10:00 Jane Doe napsal(a):\nOld\n",
    "Hi\n\n|Jane Doe kirjoitti 2.5.2024 klo 10.00:\n> Old\n",
    "Hi\n\n|2024. 05. 02. 10:00 keltezéssel, Jane Doe írta:\nOld\n",
    "Hi\n\n|Den 2024-05-02 kl. 10:00, skrev Jane Doe:\nOld\n",
    "Hi\n\n|Den 02.05.2024 10:00, skrev Jane Doe:\nOld\n",
    "Hi\n\n|Op 02-05-2024 om 10:00 schreef Jane Doe:\nOld\n",
    "Hi\n\n|02.05.2024 10:00, Jane Doe пишет:\nOld\n",
    "Hi\n\n|02.05.24 10:00, Jane Doe пише:\nOld\n",
    "Hi\n\n|On 02/05/2024 10:00, Jane Doe wrote:\n\nOld\n",
    "Hi\n\n|בתאריך 02/05/2024 10:00, Jane Doe כתב:\nOld\n",
    "Hi\n\n|في 02/05/2024 10:00، كتب/كتبت Jane Doe:\nOld\n",
    "Hi\n\n|On 2024/05/02 10:00, Jane Doe wrote:\nOld\n",
    "Hi\n\n|On 2024-05-02 10:00, Jane Doe wrote:\nOld\n",
    "Hi\n\n|2024-05-02 오전 10:00에 Jane Doe 이(가) 쓴 글:\nOld\n",
    "Hi\n\n|2024/05/02 10:00, Jane Doe wrote:\nOld\n",
    "Hi\n\n|於 2024/5/2 上午 10:00, Jane Doe 寫道:\nOld\n",
    "Hi\n\n|在 2024/5/2 10:00, Jane Doe 写道:\nOld\n",
    "Hi\n\n|Pe 02.05.2024 10:00, Jane Doe a scris:\nOld\n",
    "Hi\n\n|Στις 2/5/2024 10:00, ο/η Jane Doe έγραψε:\nOld\n",
    "Hi\n\n|2.05.2024 10:00 tarihinde Jane Doe yazdı:\nOld\n",
    "Hi\n\n|---------- Weitergeleitete Nachricht ----------\nVon: x\n",
    "Hi\n\n|-------- Weitergeleitete Nachricht --------\nBetreff: 	x\nDatum: 	Thu, 2 May 2024 10:00:00 +0200\nVon: 	Jane <jane@example.com>\nAn: 	Bob\n\nOld",
    "Hi\n\n|-------- Пересылаемое сообщение --------\n02.05.2024, 10:00, \"Jane\" <jane@example.com>:\n",
    "Hi\n\n|-------- 转发的消息 --------\n主题: 	x\n日期: 	Thu, 2 May 2024 10:00:00 +0200\n发件人: 	Jane <jane@example.com>\n收件人: 	Bob\n",
    "Hi\n\n|-------- 전달된 메시지 --------\n제목: x\n날짜: Thu, 2 May 2024 10:00\n보낸 사람: Jane <j@example.com>\n받는 사람: b\n",
    "Hi\n\n|-----Messaggio originale-----\nDa: x\n",
    "Hi\n\n|-----Oorspronkelijk bericht-----\nVan: x\n",
    "Hi\n\n|-----Original-Nachricht-----\nBetreff: x\n",
    "Hi\n\n|-----Eredeti üzenet-----\n",
    "Hi\n\n|-----Mesaj original-----\nDe la: x\n",
    "Hi\n\n|-----Αρχικό μήνυμα-----\n",
    "Hi\n\n|-----Original Appointment-----\nFrom: x\n",
    "Hi\n\n|----- Reply message -----\nFrom: x\n",
    "Hi\n\n|----- Reenviado por Jane/ORG el 02/05/2024 10:00 -----\n\nDe: x\nPara: y\nFecha: 02/05/2024 10:00\nAsunto: z\n",
    "Hi\n\n|----- Forwarded by Jane Doe/ORG on 05/02/2024 10:00 AM -----\n\nFrom:   x\nTo:     y\nDate:   05/02/2024 10:00 AM\nSubject:        z\n",
    "Hi\n\n|----- Weitergeleitet von Jane Doe/ORG am 02.05.2024 10:00 -----\n\nJane Doe/ORG\n02.05.2024 09:00\n\nAn\nx\nKopie\n\nThema\nz\n",
    "Hi\n\n|From:   Jane/ORG\nTo:     Bob\nDate:   05/02/2024 10:00 AM\nSubject:        Re: x\n\n\nOld\n",
    "Hi\n\n|Von:    \"Jane\" <jane@example.com>\nAn:     Bob\nDatum:  02.05.2024 10:00\nBetreff:        Re: x\nGesendet von: y\n\nOld\n",
    "Hi\n\n|Jane Doe---05/02/2024 10:00:00 AM---Dear Bob, this is the first line of it\n\nFrom:   Jane/ORG\nTo: Bob\nDate: 05/02/2024 10:00 AM\nSubject: x\n\nOld\n",
    "Hi\n\n|Jane Doe\n02.05.2024 10:00\nGesendet von: Sec\n\nAn: Bob\nKopie:\nThema: x\n\nOld\n",
    "Hi\n\n|-- Original Message --\nFrom: x\n",
    "Hi\n\n|------ Original Message ------\nFrom: \"Jane\" <j@example.com>\nTo: x\nSent: 02/05/2024 10:00:00\nSubject: y\n\nOld\n",
    "Hi\n\n|------ Originalnachricht ------\nVon \"Jane\" <j@example.com>\nAn \"Bob\" <b@example.com>\nDatum 02.05.2024 10:00:00\nBetreff x\n\nOld\n",
    "Hi\n\n|________________________________________\nVon: Jane\nGesendet: Donnerstag, 2. Mai 2024 10:00\nAn: Bob\nCc: x\nBetreff: AW: y\n\nOld\n",
    "Hi\n\n|De : Jane <jane@example.com>\nEnvoyé : jeudi 2 mai 2024 10:00\nÀ : Bob\nObjet : RE: x\n\nOld\n",
]  # fmt: skip
"""Attributions of Thunderbird, headers of Notes, marks of forwards, in all kinds of languages."""
PLAIN_END = {
    "mbox": ">From the coast to the hills it is far.\nYours\n|",
    "header, then an answer": "From: Jane <jane@example.com>\nDate: Thu, 2 May 2024 10:00\n\n> Do it?\n\nYes.\n|",
    "Outlook Express, answered below": "----- Original Message -----\nFrom: \"Jane\" <jane@example.com>\n\n> Shall we?\n> Or not?\n\n+1, that makes sense to me.\n|",
    "control lines above": "Control: tag -1 moreinfo\nJane <jane@example.com> writes:\n\n> It breaks.\n\nHi Jane, does it break with the newest version, too?\n|",
}  # fmt: skip
HTML = {
    "Samsung": '<div>Hi</div>|<div style="font-size:100%"><!-- originalMessage --><div>-------- Original message --------</div><div>From: Jane &lt;jane@example.com&gt; </div><div>Date: 02/05/2024</div></div>Old',
    "Outlook for iOS": '<div>Hi</div><div id="ms-outlook-mobile-signature">Get <a href="https://aka.ms/o0ukef">Outlook for iOS</a></div>|<hr style="display:inline-block;width:98%" tabindex="-1"><div id="divRplyFwdMsg" dir="ltr"><b>From:</b> Jane</div>Old',
    "Notes": "<font>Hi</font><br><br>|<table width=100%><tr valign=top><td><font><b>Jane Doe/ORG</b></font><p><font>02.05.2024 10:00</font><td><table><tr><td><div align=right><font>To</font></div><td><font>Bob</font><tr><td><div align=right>cc</div><td><tr><td><div align=right>Subject</div><td>Re: x</table></table><br>Old",
    "Notes, web": '<div>Hi</div>|<div class="domino-section"><div class="domino-section-head">Jane --- x ---</div><table><tr><td>Von:</td><td>Jane</td></tr></table>Old</div>',
    "GroupWise": "<div>Hi</div><br>|&gt;&gt;&gt; Jane Doe &lt;jane@example.com&gt; 5/2/2024 10:00 AM &gt;&gt;&gt;<br>Old",
    "Zoho": '<div>Hi</div>|<div class="zmail_extra"><br>---- On Thu, 02 May 2024 10:00:00 +0200 <b>Jane &lt;jane@example.com&gt;</b> wrote ----<br><br><blockquote>Old</blockquote></div>',
    "Yandex": '<div>Hi</div>|<div>02.05.2024, 10:00, "Jane Doe" &lt;jane@example.com&gt;:</div><blockquote type="cite">Old</blockquote>',
    "mail.ru": '<p>Hi</p>|<blockquote style="border-left:1px solid #0857A6"><span>Четверг, 2 мая 2024, 10:00 от Jane &lt;jane@example.com&gt;:</span><br>Old</blockquote>',
    "Proton": '<div>Hi</div>|<div class="protonmail_quote">On Thursday, May 2nd, 2024 at 10:00, Jane &lt;jane@example.com&gt; wrote:<br><blockquote class="protonmail_quote" type="cite">Old</blockquote></div>',
    "a header in a table": "<p>Hi</p>|<table><tr><td><b>From:</b></td><td>Jane &lt;jane@example.com&gt;</td></tr><tr><td><b>To:</b></td><td>Bob</td></tr><tr><td><b>Date:</b></td><td>5/2/2024 10:00 AM</td></tr><tr><td><b>Subject:</b></td><td>x</td></tr></table>Old",
    "one's own words in Gmail's quote": '<div class="gmail_quote">Just an update on this, they can log in.<div>Jane</div>|<blockquote class="gmail_quote">Old<br></blockquote></div>',
    "one's own words in Thunderbird's attribution": '<div class="moz-cite-prefix">Hi Bob,<br>this is my answer to all of your questions.<br>Jane<br>|On 2.5.2024 10:00, Bob Ray wrote:<br></div><blockquote type="cite">Old</blockquote>',
    "a forward without a header": 'See below|<div class="moz-forward-container">Old<br></div>',
    "Gmail, an unknown language": '<div>Hi</div>|<div class="gmail_quote">เมื่อ พฤ. 2 พ.ค. 2024 Jane &lt;jane@example.com&gt; เขียนว่า:<br><blockquote class="gmail_quote">Old</blockquote></div>',
    "Gmail, forwarded": '<div>Hi</div>|<div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------<br>Von: <b>Jane</b> &lt;jane@example.com&gt;<br>Date: Do., 2. Mai 2024 um 10:00 Uhr<br>Subject: x<br>To: &lt;bob@example.net&gt;<br></div>Old</div>',
    "one's own time of day above the attribution": "<div>Until 10:00 then.</div><div><br></div>|<div>On 2 May 2024, Bob Ray wrote:</div><blockquote>Old</blockquote>",
    "a footer of many lines below": "<div>Yes</div>|<div>On 2 May 2024, Bob Ray wrote:</div><blockquote>Old</blockquote><div>- -------------------</div><div>To unsubscribe, e-mail list-unsubscribe@example.com, and so on</div>",
}  # fmt: skip
HTML_END = [
    '<div dir="ltr">Hi</div><div class="gmail_quote">My own words in it, and nothing is quoted.</div>|',
    "<div>From: Jane &lt;jane@example.com&gt;</div><div>Date: 2 May 2024</div><blockquote type=cite>Do it?</blockquote><div>Yes.</div>|",
]
OWN_WORDS = [
    "Hi,\n\nas I wrote on 2 May 2024:\n- one\n- two\n\nJane\n",
    "Hallo,\n\nwie am 02.05.2024 um 10:00 geschrieben:\nalles bleibt.\n\nGruß\n",
    'Der Kunde schrieb am 2.5.2024:\n"Ich komme"\n\nWas tun?\n',
    "Hello\n\nFrom: Vienna\nTo: Rome\nDate: 5 May 2024\n\nSee you\n",
    "Flight\nFrom: Monday\nTo: Friday\nSubject: holiday\n\nJane\n",
    "Meeting:\nDate: 5 May 2024 10:00\nPlace: Room 1\nSubject: Budget\nFrom: Jane\n",
    "Rechnung\nVon: Firma A\nAn: Firma B\nDatum: 5.5.2024\nBetrag: 5 EUR\n",
    "Bill to: Jane\nShip to: Bob\nSubject: invoice 12 of 2.5.2024 10:00\n",
    "To do:\nTo: buy milk\nSubject to change\n2 May 2024 10:00\n",
    "Points:\n---- Summary ----\nAll fine: 2024 numbers\n",
    "Please call Jane <jane@example.com>:\nshe knows.\n",
    "Jane <jane@example.com> wrote to me yesterday.\nWhat now?\n",
    "Dear Bob,\n<bob@example.net>: the server 127.0.15.169 said:\n550 5.1.1 no\n",
    "Original message: please resend.\n",
    "The forwarded message is attached.\n",
    "2024-05-02 Meeting notes <jane@example.com>\nall\n",
    "In that case yes, 2 of them.\n",
]


@pytest.mark.parametrize("client", PLAIN)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_plain(client: str, line_end: str) -> None:
    expected = PLAIN[client].replace("\n", line_end)
    mark = expected.index("|")
    text = expected[:mark] + expected[mark + 1 :]
    assert place_plain(BodyView(text), Place.REPLY, True).position == mark


@pytest.mark.parametrize("expected", MORE)
def test_more(expected: str) -> None:
    mark = expected.index("|")
    text = expected.replace("|", "", 1)
    assert place_plain(BodyView(text), Place.REPLY, True).position == mark
    if "\n>" not in text:
        html = "<br>".join(escape(line) for line in text.split("\n"))
        above = "<br>".join([*map(escape, text[:mark].split("\n")[:-1]), ""])
        assert place_html(BodyView(html), Place.REPLY, True).position == len(above)


@pytest.mark.parametrize("client", PLAIN_END)
def test_plain_at_the_end(client: str) -> None:
    text = PLAIN_END[client].removesuffix("|")
    assert place_plain(BodyView(text), Place.REPLY, True).position == len(text)


@pytest.mark.parametrize("client", HTML)
def test_html(client: str) -> None:
    expected = HTML[client]
    assert place_html(BodyView(expected.replace("|", "")), Place.REPLY, True).position == expected.index("|")


@pytest.mark.parametrize("expected", HTML_END)
def test_html_at_the_end(expected: str) -> None:
    assert place_html(BodyView(expected.replace("|", "")), Place.REPLY, True).position == expected.index("|")


@pytest.mark.parametrize("text", OWN_WORDS)
@pytest.mark.parametrize("is_reply", [True, False])
def test_words_of_ones_own_are_no_quote(text: str, is_reply: bool) -> None:
    assert place_plain(BodyView(text), Place.REPLY, is_reply).position == len(text)
    html = f"<div>{'<br>'.join(escape(line) for line in text.splitlines())}</div>"
    assert place_html(BodyView(html), Place.REPLY, is_reply).position == len(html)


@pytest.mark.parametrize(
    "unit",
    [
        "to\n", "2.5.2024 10:00\nto\n", ">>> x 10:00 >>>\n", "x <a@b> wrote:\ny\n", ">from x\n\n", "from: a <a@b>\n",
        "---- on 2.5. x wrote ----\n", "2024-01-01 x <a@b>\n", "on 2 x wrote\n", "original message processed by\n",
        "\u202b:\u202c\n", "a wrote:\n\n\n\n\n\n\n\n\n\n", "--- x ---\nfrom: a\n", "[[[[[[[[", "<a@b <a@b ", "> x\ny\n",
    ],
)  # fmt: skip
def test_what_costs_more_than_its_size_runs_into_the_time_out(unit: str) -> None:
    text = f"Hi\n{unit * 40_000}\n> z\n> z\n"
    assert 0 <= place_plain(BodyView(text), Place.REPLY, True).position <= len(text)
    html = escape(f"Hi\n{unit * 10_000}").replace("\n", "<br>")
    assert 0 <= place_html(BodyView(html), Place.REPLY, True).position <= len(html)


@pytest.mark.parametrize(
    "unit",
    [
        '<div class="gmail_quote">', '<div class="gmail_quote">x', '<div class="moz-cite-prefix">x</div>', "<td>to</td>",
        "2.5.2024 10:00<br>to<br>", "&gt;&gt;&gt; x 1 &gt;&gt;&gt;<br>", "&#1054;&#1090;:<br>", "<td>x",
    ],
)  # fmt: skip
def test_html_that_costs_more_than_its_size_runs_into_the_time_out(unit: str) -> None:
    text = f"<p>Hi</p>{unit * 30_000}<blockquote>x</blockquote>"
    assert 0 <= place_html(BodyView(text), Place.REPLY, True).position <= len(text)
