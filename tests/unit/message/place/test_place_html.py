# ruff: noqa: E501 - samples stand on one line
"""Each hazard and each client: `|` marks where the stamp has to go (`|=` with end tags before it)."""

from __future__ import annotations

import pytest

from mta.message.place.place_html import place_html
from mta.message.place.placement import BodyView
from mta.message.place.quote_marks import DEFAULT_MARKS, compile_separators, is_quiet
from mta.message.place.separators import DEFAULT
from mta.model.actions import Place


def marked(text: str, place: Place, *, is_reply: bool = True) -> str:
    """The text with a mark at the place."""
    found = place_html(BodyView(text), place, is_reply)
    return f"{text[: found.position]}{found.before}|{found.after}{text[found.position :]}"


def check(expected: str, place: Place, *, is_reply: bool = True) -> None:
    assert marked(expected.replace("|", ""), place, is_reply=is_reply) == expected


@pytest.mark.parametrize(
    "expected",
    [
        '<html><body class="a">|<p>Hi</p></body></html>',
        "<!DOCTYPE html>\n<HTML><HEAD><TITLE><body></TITLE></HEAD>\n<BODY\nlang=EN>|Hi</BODY></HTML>",
        "<html><head><!-- <body> --><style>body > p {}</style></head><body>|Hi</body>",
        '<meta name="a" content="<body>"><style>p {}</style>|<p>Hi</p>',
        "<title>x</title><style></style>|\nHi <b>there</b>",
        "|Hi <body>there</body>",
        "|Just text",
        "|<p>Hi</p>",
        "\ufeff|<div>Hi</div>",
        "<html><head></head>|<table><tr><td>Hi</td></tr></table></html>",
        "|<!-- never closed <body>Hi",
        "|",
    ],
)
def test_top(expected: str) -> None:
    check(expected, Place.TOP)


@pytest.mark.parametrize(
    "expected",
    [
        "<html><body><p>Hi</p>|</body></html>",
        "<html><body><p>Hi</p>\n|</BODY >\n</HTML>\n",
        "<p>Hi</p>|",
        "Hi|",
        "<body>Hi</body></html><p>Footer of a list</p>|",
        "<body>Hi</body></html>\n<p>Footer</p>|</body>\r\n",
        "<body>Hi|<!-- </body></html> --></body>",
        "<body>Hi<!-- </body> -->more|</body>",
        "<body>Hi<script>var a = '</body></html>'</script>|</body></html>",
        "<body>Hi|<!-- </body></html>",
        "<body>Hi|<style>p { } </body></html>",
        '<body>Hi|<a title="</body></html>',
        "<body><!--[if mso]><table><tr><td><![endif]-->Hi<!--[if mso]></td></tr></table><![endif]-->|</body>",
        "<body><!--[if !mso]><!--><p>Hi</p><!--<![endif]-->|</body>",
        "<body><![if !mso]><p>Hi</p><![endif]>|</body>",
        "<body><p>Hi<p>there|</body>",
        '<body><div style="display:none">Preview</div><p>Hi</p>|</body>',
        '<body><table><tr><td><span style="display:none">Preview</td></tr></table>|</body>',
        "|",
    ],
)
def test_bottom(expected: str) -> None:
    check(expected, Place.BOTTOM)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<body><div style="display:none">Preview<p>Hi</p></body>', "</div>|</body>"),
        ("<body><div style='mso-hide:all'><span>Preview</span><b>Hi</body></html>", "</b></div>|</body></html>"),
        ('<div style="MAX-HEIGHT: 0px; overflow: hidden">Preview<i>Hi', "</i></div>|"),
        ("<body><div hidden>Preview<p>Hi</body>", "</div>|</body>"),
        ("<body><table><tr><td>Hi</td></tr></body></html>", "</table>|</body></html>"),
        ("<body><table><tr><td><b>Hi</body></html>", "</b></table>|</body></html>"),
    ],
)
def test_what_would_hide_the_stamp_is_closed_before_it(text: str, expected: str) -> None:
    assert marked(text, Place.BOTTOM).endswith(expected)


HEADERS = "<b>From:</b> A &lt;a@example.com&gt;<br><b>Sent:</b> Monday<br><b>To:</b> B<br><b>Subject:</b> Offer"
TABLE = "<table><tr><th>Subject: </th><td>Offer</td></tr><tr><th>Date: </th><td>Mon</td></tr><tr><th>From: </th><td>A</td></tr></table>"
REPLIES = {
    "outlook": '<body><div class=WordSection1><p class=MsoNormal>Hi<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>|<div>'
    "<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p class=MsoNormal>"
    f"<a name=_x></a><span lang=EN-US>{HEADERS}</span></p></div></div><p>Old</p></div></body>",
    "outlook, no border": f"<p>Hi</p>|<p class=MsoNormal>{HEADERS}</p><p>Old</p>",
    "outlook, german": "<p>Hi</p>|<div><p><b>Von:</b> A<br><b>Gesendet:</b> Montag, 2. Mai<br><b>An:</b> B<br>"
    "<b>Betreff:</b> AW: x</p></div>",
    "outlook, french": "<p>Hi</p>|<p><b>De&nbsp;:</b> A<br><b>Envoy&eacute;&nbsp;:</b> lundi<br><b>&Agrave;&nbsp;:</b> B<br>"
    "<b>Objet&nbsp;:</b> x</p>",
    "outlook, chinese": "<p>Hi</p>|<p><b>发件人:</b> A<br><b>发送时间:</b> 2024<br><b>收件人:</b> B<br><b>主题:</b> x</p>",
    "outlook on the web": '<div dir="ltr">Hi</div>|<div id="appendonsend"></div><hr style="width:98%" tabindex="-1">'
    f'<div id="divRplyFwdMsg">{HEADERS}</div>Old',
    "outlook on the web, no append": f'<div>Hi</div>|<hr tabindex="-1"><div id="divRplyFwdMsg">{HEADERS}</div>Old',
    "outlook, new": f'<div>Hi</div>|<div id="mail-editor-reference-message-container"><div>{HEADERS}</div>Old</div>',
    "outlook for mac": f'<div>Hi</div>|<span id="OLK_SRC_BODY_SECTION"><div>{HEADERS}</div>Old</span>',
    "hotmail": '<body><div>Hi|<div><hr id="stopSpelling">Date: Thu<br>From: a@example.com</div></div></body>',
    "gmail": '<div dir="ltr">Hi</div><br>|<div class="gmail_quote"><div class="gmail_attr">On Mon, A &lt;a@example.com&gt; '
    'wrote:<br></div><blockquote class="gmail_quote">Old</blockquote></div>',
    "gmail, new class": '<div>Hi</div>|<div class="gmail_quote gmail_quote_container"><div class="gmail_attr">On …</div></div>',
    "gmail, in the extra div": '<div>Hi</div>|<div class="gmail_extra"><br><div class="gmail_quote">On Mon, A wrote:<br>'
    "<blockquote>Old</blockquote></div></div>",
    "thunderbird": 'Hi<br>|<div class="moz-cite-prefix">On 2.5.24, A wrote:<br></div>'
    '<blockquote type="cite" cite="mid:1">Old</blockquote>',
    "thunderbird, forward": f'Hi|<div class="moz-forward-container">-------- Forwarded Message --------{TABLE}Old</div>',
    "apple mail": '<body>Hi<br>|<div><br><blockquote type="cite"><div>On 2 May 2024, A wrote:</div>Old</blockquote></div></body>',
    "apple mail, attribution before": '<div>Hi</div>|<div>On 2 May 2024, at 10:00, A &lt;a@example.com&gt; wrote:</div>'
    '<br><blockquote type="cite">Old</blockquote>',
    "apple mail, german": "<div>Hi</div>|<div>Am 02.05.2024 um 10:00 schrieb A &lt;a@example.com&gt;:</div>"
    '<blockquote type="cite">Old</blockquote>',
    "yahoo": '<div>Hi</div>|<div id="ydp1yahoo_quoted_1" class="ydp1yahoo_quoted"><div>On Monday, A wrote:</div>Old</div>',
    "zimbra": f'<div>Hi<br>|<hr id="zwchr" data-marker="__DIVIDER__">{HEADERS}<br>Old</div>',
    "gmx": '<div>Hi</div>|<div name="quote" style="border-left: 2px solid"><b>Gesendet:</b> Montag</div>',
    "blockquote with attribution": "Hi<br><br>|On Mon, 2 May 2024, A<br>&lt;a@example.com&gt; wrote:<br><blockquote>Old</blockquote>",
    "bare blockquote of a reply": "<p>Hi</p>|<blockquote>Old</blockquote>",
    "dashes": "<p>Hi</p>|<p>-----Original Message-----<br>From: A<br>Old</p>",
    "dashes, german": "<p>Hi</p>|<p>-----Urspr&uuml;ngliche Nachricht-----<br>Von: A<br>Old</p>",
    "rule and header": f"<p>Hi</p>|<hr><div>{HEADERS}</div>",
    "underscores and header": f"<p>Hi</p>|<p>________________________________<br>{HEADERS}</p>",
    "signature between": '<p>Hi</p><div id="Signature">Jane<br>T 1</div>|<div id="appendonsend"></div><hr tabindex="-1">x',
    "prefixed by the next client": f'<p>Hi</p>|<hr tabindex="-1"><div id="x_divRplyFwdMsg">{HEADERS}</div>',
    "only a forward": f'<body>|<div><div id="divRplyFwdMsg">{HEADERS}</div>Old</div></body>',
    "upper case": '<BODY><P>Hi</P>|<BLOCKQUOTE TYPE="CITE">Old</BLOCKQUOTE></BODY>',
    "in a cell": "<table><tr><td>Logo</td><td>Hi|<blockquote type=cite>Old</blockquote></td></tr></table>",
    "in a cell from its start": "<table><tr><td>Logo</td><td>|<blockquote type=cite>Old</blockquote></td></tr></table>",
    "a table of its own": "Hi|<table><tbody><tr><td><blockquote type=cite>Old</blockquote></td></tr></tbody></table>",
    "list footer below": "<p>Hi, thank you</p>|On Mon 2 May 2024 A wrote:<blockquote type=cite>Old</blockquote>"
    "<p>_______________<br>List footer with a lot of text that nobody reads</p>",
}  # fmt: skip


@pytest.mark.parametrize("client", REPLIES)
def test_under_the_newest_reply(client: str) -> None:
    check(REPLIES[client], Place.REPLY)


@pytest.mark.parametrize(
    "expected",
    [
        "<p>Hi</p>|",
        "<p>Nothing quoted, but wrote: and -- and border-top</p>|",
        "<blockquote type=cite>Question?</blockquote><p>Answer</p>|",
        "On Mon 2 May 2024 A wrote:<blockquote type=cite>Question?</blockquote><p>Answer</p>|",
        '<div class="gmail_quote">On Mon, A wrote:<blockquote>1?</blockquote></div>Yes<blockquote>2?</blockquote>No|',
        "<p>Hi,</p><blockquote type=cite>1?</blockquote>Yes<blockquote type=cite>2?</blockquote>|",
        "<p>Hello,</p>A wrote on 2 May 2024:<blockquote type=cite>1?</blockquote><p>A long answer, below it</p>|",
        "<p>Meeting</p><p>Date: 5 May<br>From: 9:00<br>To: 10:00</p>|",
        "<!-- <blockquote type=cite>x</blockquote> --><p>Hi</p>|",
        "<style>.gmail_quote { color: red }</style><p>Hi</p>|",
        '<p title="<blockquote type=cite>">Hi</p>|',
    ],
)
def test_at_the_end_where_nothing_is_quoted_or_the_reply_stands_below(expected: str) -> None:
    check(expected, Place.REPLY)


def test_an_indentation_in_a_new_message_is_no_quote() -> None:
    check("<p>Hi</p><blockquote>Indented</blockquote>|", Place.REPLY, is_reply=False)


def test_a_place_inside_something_hidden_is_none() -> None:
    text = '<div style="display:none">Preview<p>Hi</p><blockquote type=cite>Old</blockquote>'
    assert marked(text, Place.REPLY).endswith("</blockquote></div>|")


def test_separators_of_the_administrator() -> None:
    marks = compile_separators(DEFAULT.adding(["*** Answer Above ***"], [r"ticket #\d+ history"]))
    for text in ("<p>Hi</p><p>*** answer above ***</p>Old", "<p>Hi</p><p>Ticket #12 history</p>Old"):
        assert place_html(BodyView(text), Place.REPLY, True, marks).position == len("<p>Hi</p>")
        assert place_html(BodyView(text), Place.REPLY, True).position == len(text)


@pytest.mark.parametrize(
    "unit",
    [
        "<blockquote>", "</blockquote>", "<div hidden>", "<table><tr><td>", "</body>", "<!-- x -->", "From: a<br>", "<",
        "x wrote:<br>", "<td><b></b></td></b>", "<p>-----<br>", "<hr>", '<div class="gmail_quote', "<!--", "&nbsp;", "İ",
        "<blockquote>x</blockquote>y", "<i><b></i>",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", [Place.BOTTOM, Place.REPLY])
def test_what_costs_more_than_its_size_runs_into_the_time_out(unit: str, place: Place) -> None:
    text = f"Hi {unit * 30_000}"
    assert 0 <= place_html(BodyView(text), place, True).position <= len(text)


@pytest.mark.parametrize(
    "sign",
    [
        "<blockquote>", '<div class="Gmail_Quote">', "On Monday Jane wrote:", "<b>From:</b> Jane", "display:none",
        "<p hidden>", "<SCRIPT>", '<a title="a>b">', "<p <b", 'id="stampline-sales--12345678"',
    ],
)  # fmt: skip
def test_only_html_that_quotes_and_hides_nothing_and_has_no_stamp_is_quiet(sign: str) -> None:
    assert is_quiet(BodyView("<p>Hello</p><p class=b>Grüße</p>"), DEFAULT_MARKS)
    assert not is_quiet(BodyView(f"<p>Hello</p>{sign}<p class=b>Grüße</p>"), DEFAULT_MARKS)
