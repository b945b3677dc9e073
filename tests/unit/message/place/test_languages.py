"""Each language as each client quotes in it: the stamp stands under the reply and above what the client put there."""

from __future__ import annotations

from html import escape

import pytest

from mta.message.place.place_html import place_html
from mta.message.place.place_plain import place_plain
from mta.message.place.placement import BodyView
from mta.model.actions import Place
from tests.unit.message.place.quote_samples import LANGUAGES, WHO, Language

pytestmark = pytest.mark.parametrize("name", LANGUAGES)
REPLY = "Danke, 谢谢, спасибо."
OLD = "Old."


def header(language: Language) -> list[tuple[str, str]]:
    return list(zip(language.header, (WHO, language.date, "Bob <bob@example.net>", "Offer 12"), strict=True))


def attribution(written: str) -> str:
    return written.replace("{who}", WHO)


def wrapped(line: str) -> str:
    """As Gmail breaks it for plain text: at the last space before 76 characters."""
    if len(line) <= 76:
        return line
    at = line.rindex(" ", 0, 76)
    return f"{line[:at]}\n{line[at + 1 :]}"


def check_plain(above: str, quoted: str, *, is_reply: bool = True) -> None:
    text = f"{above}{quoted}"
    assert place_plain(BodyView(text), Place.REPLY, is_reply).position == len(above), text


def check_html(above: str, quoted: str, after: str = "</div></body></html>") -> None:
    text = f"<html><body><div>{above}{quoted}{after}"
    assert place_html(BodyView(text), Place.REPLY, True).position == text.index(quoted), text


def test_outlook_html(name: str) -> None:
    language = LANGUAGES[name]
    lines = "<br>".join(f"<b>{label}{language.colon}</b>{escape(value)}" for label, value in header(language))
    block = (
        "<div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p class=MsoNormal>"
        f"<span style='font-size:11.0pt'>{lines}<o:p></o:p></span></p></div></div><p class=MsoNormal>{OLD}</p>"
    )
    check_html(f"<p class=MsoNormal>{REPLY}</p><p class=MsoNormal><o:p>&nbsp;</o:p></p>", block)


def test_outlook_html_with_references(name: str) -> None:
    language = LANGUAGES[name]
    colon = language.colon.replace("\u00a0", "&nbsp;")
    lines = "<br>".join(f"<b>{label}{colon}</b> {escape(value)}" for label, value in header(language))
    ascii_only = lines.encode("ascii", "xmlcharrefreplace").decode()
    check_html(f"<p class=MsoNormal>{escape(REPLY)}</p>", f"<p class=MsoNormal>{ascii_only}</p><p>{OLD}</p>")


def test_outlook_plain(name: str) -> None:
    language = LANGUAGES[name]
    lines = "\n".join(f"{label}{language.colon}{value}" for label, value in header(language))
    check_plain(f"{REPLY}\n\n", f"{lines}\n\n{OLD}\n")
    check_plain(f"{REPLY}\n\n", f"________________________________\n{lines}\n\n{OLD}\n")
    bold = "\n".join(f"*{label}{language.colon.rstrip()}* {value}" for label, value in header(language))
    check_plain(f"{REPLY}\n\n", f"{bold}\n\n{OLD}\n")


def test_original_message(name: str) -> None:
    marker = LANGUAGES[name].original
    check_plain(f"{REPLY}\n\n", f"-----{marker}-----\n{OLD}\n")
    check_plain(f"{REPLY}\n\n", f"-------- {marker} --------\n{OLD}\n")
    check_html(f"<p>{REPLY}</p>", f"<p>-----{marker}-----<br>{OLD}</p>")


def test_gmail_html(name: str) -> None:
    line = escape(attribution(LANGUAGES[name].gmail), quote=False).replace(
        "jane@example.com", '<a href="mailto:jane@example.com">jane@example.com</a>'
    )
    quote = (
        f'<div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">{line}<br></div>'
        f'<blockquote class="gmail_quote" style="margin:0px;border-left:1px solid">{OLD}</blockquote></div>'
    )
    check_html(f'<div dir="ltr">{REPLY}</div><br>', quote)


def test_gmail_attribution_without_its_marks(name: str) -> None:
    line = escape(attribution(LANGUAGES[name].gmail), quote=False)
    check_html(f"<p>{REPLY}</p>", f"<div>{line}</div><blockquote>{OLD}</blockquote>")


def test_gmail_plain(name: str) -> None:
    line = wrapped(attribution(LANGUAGES[name].gmail))
    check_plain(f"{REPLY}\n\n", f"{line}\n\n> {OLD}\n> older\n")
    check_plain(f"{REPLY}\n\n", f"{line}\n\n{OLD}\n")


def test_apple_plain(name: str) -> None:
    line = attribution(LANGUAGES[name].apple)
    check_plain(f"{REPLY}\n\n", f"> {line}\n> \n> {OLD}\n")
    check_plain(f"{REPLY}\n\n", f"{line}\n\n> {OLD}\n")
    check_plain(f"{REPLY}\n\n", f"{line}\n\n{OLD}\n")


def test_apple_html(name: str) -> None:
    line = escape(attribution(LANGUAGES[name].apple), quote=False)
    quote = f'<div><br><blockquote type="cite"><div>{line}</div><br><div>{OLD}</div></blockquote></div>'
    check_html(f"{REPLY}<br>", quote)
    check_html(f"<div>{REPLY}</div>", f'<div>{line}</div><br><blockquote type="cite">{OLD}</blockquote>')


def test_a_forward_of_apple_mail(name: str) -> None:
    language = LANGUAGES[name]
    lines = "\n".join(f"> {label}{language.colon}{value}" for label, value in header(language))
    check_plain(f"{REPLY}\n\n", f"{language.forwarded}\n\n{lines}\n> \n> {OLD}\n")
    check_html(
        f"<div>{REPLY}</div>",
        f'<div><br><blockquote type="cite"><div>{language.forwarded}</div><br>{OLD}</blockquote></div>',
    )


def test_an_answer_below_stays_there(name: str) -> None:
    line = attribution(LANGUAGES[name].gmail)
    text = f"{line}\n> {OLD}\n\n{REPLY}\n"
    assert place_plain(BodyView(text), Place.REPLY, True).position == len(text)
    html = f"<div>{escape(line)}</div><blockquote type=cite>{OLD}</blockquote><div>{REPLY}</div>"
    assert place_html(BodyView(html), Place.REPLY, True).position == len(html)
