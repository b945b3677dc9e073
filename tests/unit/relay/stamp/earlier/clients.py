"""Models of what mail programs make of a message that they quote: as much as decides whether a stamp is known again.

Each takes the HTML (or text) of the message that is answered, and gives that of the answer. What each keeps is known
from:

- Gmail: class, id and name get a prefix that differs each time, `title` and `lang` stay, `data-*` and comments go
  (github.com/hteumeuleu/caniemail/issues/212; `m_…nylas-quote` in the corpus' w-nylas-mail/emails_email_20). It was
  also seen to drop class (github.com/tactilenews/100eyes/issues/751) and id (github.com/tinymce/tinymce/issues/2941),
  and to keep Word's bookmarks as `name="m_-634…__MailEndCompose"`.
- Outlook on the web: `x_` before class and id, once more at each round (`x_x_…` in the corpus' james/eml_html_body;
  github.com/hteumeuleu/email-bugs/issues/38). The newer one drops classes (github.com/OfficeDev/office-js/issues/5296).
- Outlook for Windows writes the whole message anew by Word: ids go (github.com/OfficeDev/office-js/issues/2045), with
  them classes and divs that it doesn't know, and comments. Bookmarks stay: `<a name="_MailEndCompose">` is one.
- Yahoo: `yiv` and a number before class and id, in lower case (`ecxyiv777953044msonormal` in the corpus'
  zimbra/email_bug_60769, which went through the old Hotmail too).
- Fastmail: `qt-` before class (github.com/tactilenews/100eyes/issues/751).
- Apple Mail and Thunderbird keep the attributes of what they quote (Outlook's in the corpus' zammad/mail_mail001,
  Gmail's in w-talon/html_replies_thunderbird.html).
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable

Client = Callable[[str, str, str], str]
"""(message that is answered, answer, language) → the answer with the quote."""

WROTE = {
    "en": "On Mon, 4 May 2026 at 10:00, Bob <bob@example.net> wrote:",
    "de": "Am 04.05.2026 um 10:00 schrieb Bob <bob@example.net>:",
    "fr": "Le lun. 4 mai 2026 à 10:00, Bob <bob@example.net> a écrit :",
    "ja": "2026年5月4日(月) 10:00 Bob <bob@example.net>:",
    "pl": "W dniu 4.05.2026 o 10:00 Bob <bob@example.net> napisał:",
}
LABELS = {
    "en": ("From", "Sent", "To", "Subject"),
    "de": ("Von", "Gesendet", "An", "Betreff"),
    "fr": ("De", "Envoyé", "À", "Objet"),
    "ja": ("差出人", "送信日時", "宛先", "件名"),
    "pl": ("Od", "Wysłano", "Do", "Temat"),
}
_VALUES = ("Bob <bob@example.net>", "Monday, 4 May 2026 10:00", "jane.doe@example.com", "Offer")
_ATTRIBUTE = re.compile(r"""\s(id|class|name|title|lang|data-[\w-]+)=("[^"]*"|'[^']*'|[^\s>]+)""")


def _body(source: str) -> str:
    """What stands in `<body>`, without comments."""
    inner = re.sub(r"(?is)^.*?<body[^>]*>|</body>.*$", "", source)
    return re.sub(r"(?s)<!--.*?-->", "", inner)


def _attributes(source: str, change: Callable[[str, str], str | None]) -> str:
    """Attributes that `change` gives a new value, or takes out."""

    def changed(match: re.Match[str]) -> str:
        value = change(match[1], match[2].strip("\"'"))
        return "" if value is None else f' {match[1]}="{value}"'

    return re.sub(r"<[a-zA-Z][^<>]*>", lambda tag: _ATTRIBUTE.sub(changed, tag[0]), source)


def _each_name(value: str, prefix: str) -> str:
    return " ".join(prefix + name for name in value.split())


def _gmail(quoted: str, answer: str, language: str) -> str:
    wrote = html.escape(WROTE[language])
    return (
        f'<div dir="ltr">{answer}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">{wrote}<br></div>'
        f'<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204)">'
        f"{quoted}</blockquote></div>\n"
    )


def gmail(original: str, answer: str, language: str) -> str:
    """Prefixes."""
    prefix = f"m_{-abs(hash(len(original))) % 10**18}"

    def change(name: str, value: str) -> str | None:
        if name.startswith("data-"):
            return None
        if name in ("id", "class"):
            return _each_name(value, prefix)
        return f"{prefix}_{value}" if name == "name" else value

    return _gmail(_attributes(_body(original), change), answer, language)


def gmail_without_classes(original: str, answer: str, language: str) -> str:
    """It drops ids and classes."""

    def change(name: str, value: str) -> str | None:
        return f"m_1_{value}" if name == "name" else value if name in ("title", "lang") else None

    return _gmail(_attributes(_body(original), change), answer, language)


def bare_webmail(original: str, answer: str, language: str) -> str:
    """A sanitiser that leaves no attribute of ours."""
    return _gmail(_attributes(_body(original), lambda _name, _value: None), answer, language)


def _header_block(language: str) -> str:
    pairs = zip(LABELS[language], _VALUES, strict=True)
    return "<br>\n".join(f"<b>{label}:</b> {html.escape(value)}" for label, value in pairs)


def outlook_web(original: str, answer: str, language: str) -> str:
    def change(name: str, value: str) -> str | None:
        if name.startswith("data-"):
            return None
        return _each_name(value, "x_") if name in ("id", "class", "name") else value

    return (
        f'<html><body dir="ltr"><div>{answer}</div><div id="appendonsend"></div>\n'
        f'<hr style="display:inline-block;width:98%" tabindex="-1">\n<div id="divRplyFwdMsg" dir="ltr">'
        f'<font face="Calibri, sans-serif">{_header_block(language)}</font><div>&nbsp;</div></div>\n'
        f"<div>{_attributes(_body(original), change)}</div></body></html>\n"
    )


def new_outlook(original: str, answer: str, language: str) -> str:
    """The same, but classes go."""
    without = _attributes(original, lambda name, value: None if name == "class" else value)
    return outlook_web(without, answer, language)


def outlook_windows(original: str, answer: str, language: str) -> str:
    """Word's HTML: paragraphs, bookmarks and links are left; text is wrapped anew."""
    inner = _attributes(_body(original), lambda name, value: value[:40] if name == "name" else None)
    inner = re.sub(r"(?i)</?(?:div|blockquote|center|section)\b[^>]*>", "\n", inner)
    inner = re.sub(r"(?i)<p\b[^>]*>", "<p class=MsoNormal>", inner)
    inner = re.sub(r"(<a name=[^>]*>)([^<]*)(</a>)", r"\1<span lang=EN-GB>\2</span>\3", inner)
    inner = re.sub(r">([^<>\n]{80,})<", lambda match: ">" + textwrap.fill(match[1], 76) + "<", inner)
    return (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style>p.MsoNormal {margin:0cm;}</style></head>'
        f"<body lang=EN-GB><div class=WordSection1><p class=MsoNormal>{answer}<o:p></o:p></p>"
        "<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'>"
        f"<p class=MsoNormal>{_header_block(language)}</p></div><p class=MsoNormal><o:p>&nbsp;</o:p></p>{inner}"
        "</div></body></html>\n"
    )


def yahoo(original: str, answer: str, language: str) -> str:
    def change(name: str, value: str) -> str | None:
        return _each_name(value, "yiv0123456789").lower() if name in ("id", "class", "name") else value

    return (
        f'<div class="ydp1">{answer}</div><div id="yahoo_quoted_1" class="yahoo_quoted"><div>'
        f"{html.escape(WROTE[language])}</div><div>{_attributes(_body(original), change)}</div></div>\n"
    )


def fastmail(original: str, answer: str, language: str) -> str:
    def change(name: str, value: str) -> str | None:
        return _each_name(value, "qt-") if name == "class" else None if name == "id" else value

    return (
        f"<div>{answer}</div><div>{html.escape(WROTE[language])}</div>"
        f'<blockquote type="cite" id="qt">{_attributes(_body(original), change)}</blockquote>\n'
    )


def apple_mail(original: str, answer: str, language: str) -> str:
    return (
        f'<html><body style="overflow-wrap: break-word;">{answer}<br><div><br><blockquote type="cite">'
        f'<div>{html.escape(WROTE[language])}</div><br class="Apple-interchange-newline"><div>{_body(original)}</div>'
        "</blockquote></div><br></body></html>\n"
    )


def thunderbird(original: str, answer: str, language: str) -> str:
    return (
        f'<html><body><p>{answer}</p><div class="moz-cite-prefix">{html.escape(WROTE[language])}<br></div>'
        f'<blockquote type="cite" cite="mid:1@example.com">{_body(original)}</blockquote></body></html>\n'
    )


# --- plain text ------------------------------------------------------------------------------------------------------


def as_text(source: str) -> str:
    """HTML as a plain text, the way programs write it: links with their address beside, pictures by their name."""
    text = re.sub(r"(?is)<(style|title|script)\b.*?</\1\s*>|<!--.*?-->", "", source)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r'(?i)<img\b[^>]*?alt="([^"]*)"[^>]*>', r"[image: \1]", text)
    text = re.sub(r'(?i)<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', r"\2&lt;\1&gt;", text)
    text = re.sub(r"(?i)<br\b[^>]*>|</(?:p|div|tr|table|blockquote|h\d|li)>", "\n", text)
    text = html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("\u00a0", " ")
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def as_html(text: str) -> str:
    """A plain text as HTML."""
    return "<html><body><div><pre>" + html.escape(text) + "</pre></div></body></html>\n"


def quoting_by_lines(original: str, answer: str, language: str) -> str:
    """`>` before each line, long ones wrapped."""
    quoted: list[str] = []
    for line in original.rstrip("\n").split("\n"):
        quoted += [f"> {part}" if part and part[0] != ">" else f">{part}" for part in textwrap.wrap(line, 72) or [""]]
    return f"{answer}\n\n{WROTE[language]}\n" + "\n".join(quoted) + "\n"


def quoting_as_a_whole(original: str, answer: str, language: str) -> str:
    """Outlook: a header block, and the text as it was."""
    block = "\n".join(f"{label}: {value}" for label, value in zip(LABELS[language], _VALUES, strict=True))
    return f"{answer}\n\n________________________________\n{block}\n\n{original}"


KEEP_A_MARKER: tuple[Client, ...] = (
    gmail, gmail_without_classes, outlook_web, new_outlook, outlook_windows, yahoo, fastmail, apple_mail, thunderbird,
)  # fmt: skip
HTML_CLIENTS: tuple[Client, ...] = (*KEEP_A_MARKER, bare_webmail)
PLAIN_CLIENTS: tuple[Client, ...] = (quoting_by_lines, quoting_as_a_whole)
