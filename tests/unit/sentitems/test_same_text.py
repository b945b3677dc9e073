"""No edit is overlooked, and nothing that servers and clients do by themselves is taken for one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from lxml import html as documents

from mta.message.parse import LimitExceededError, parse
from mta.sentitems.guard import said_in
from mta.sentitems.same_text import Said, digest, has_digest, is_same
from tests.shared import corpus
from tests.unit.sentitems.rewriters import OF_HTML, OF_TEXT, html_of_text, parsed, text_of_html

TEXT = Said(None, "Dear Tom,\r\n\r\nwe offer 4,200 EUR - net.\r\nJane\r\n")
HTML = Said("<p>Dear Tom,</p><p>we <b>offer</b> 4,200&nbsp;EUR &ndash; net.<br>Jane</p>", None)


def _html(source: str) -> Said:
    return Said(source, None)


def _text(source: str) -> Said:
    return Said(None, source)


SAME = {
    "as it is": (TEXT, TEXT),
    "nothing and nothing": (Said(None, None), _text("")),
    "HTML of the text": (HTML, TEXT),
    "line ends": (TEXT, _text("Dear Tom,\n\nwe offer 4,200 EUR - net.\nJane")),
    "lines joined": (TEXT, _text("Dear Tom,\r\nwe offer 4,200 EUR - net. Jane")),
    "entities and characters": (_html("Gr&uuml;&szlig;e &amp; Dank"), _html("Gr&#252;\u00dfe &#x26; Dank")),
    "tags and white space": (_html("<P>one<BR>two</P>"), _html("<div>one</div>\r\n\r\n  <div>two<br /></div>")),
    "tags inside a word": (_html("be<b>low</b>"), _html("<span>below</span>")),
    "empty tags of Word": (_html("<p>one<o:p></o:p></p>"), _html("<p class=MsoNormal>one</p><p>&nbsp;</p>")),
    "styles, comments, titles": (
        _html("<head><style>p {color: red}</style><title>x</title></head><!--[if mso]>x<![endif]-->one"), _html("one")
    ),
    "quotes and dashes": (_text("it\u2019s \u201chere\u201d \u2013 now\u2026"), _text("it's \"here\" - now...")),
    "characters that are not seen": (_text("of\u00adfer\u200b"), _text("offer")),
    "composed characters": (_text("Gru\u0308\u00dfe"), _text("Gr\u00fc\u00dfe")),
    "quote marks": (_text("> one\r\n> two\r\n>> three"), _text("one\r\n> two three")),
    "lines of scripts without spaces": (_text("\u6f22\u5b57\r\n\u4eee\u540d"), _text("\u6f22\u5b57\u4eee\u540d")),
    "octets that are no text": (_text("Gr\udcfc\udcdfe 10"), _text("Gr\u00fc\u00dfe 10")),
    "links and pictures as text": (
        _html('<p><img src="cid:logo@x" alt="Logo">See <a href="https://example.com/a">our page</a></p><hr><p>x</p>'),
        _text("[cid:logo@x]\r\n[Logo]See our page<https://example.com/a>\r\n________________________________\r\nx\r\n"),
    ),
    "lists as text": (
        _html("<ul><li>one</li><li>two</li></ul><ol><li>three</li></ol>"),
        _text("  *   one\r\n  *   two\r\n\r\n  1.  three\r\n"),
    ),
    "the plain text that Exchange made": (Said(HTML.html, "something\r\nelse"), Said(HTML.html, TEXT.text)),
}  # fmt: skip

DIFFERENT = {
    "a word": (TEXT, _text("Dear Tim,\r\n\r\nwe offer 4,200 EUR - net.\r\nJane\r\n")),
    "a number": (TEXT, _text("Dear Tom,\r\n\r\nwe offer 4,300 EUR - net.\r\nJane\r\n")),
    "a comma in a number": (TEXT, _text("Dear Tom,\r\n\r\nwe offer 42,00 EUR - net.\r\nJane\r\n")),
    "a word in HTML": (HTML, _html("<p>Dear Tom,</p><p>we <b>offered</b> 4,200 EUR - net.<br>Jane</p>")),
    "a word more": (TEXT, _text("Dear Tom,\r\n\r\nwe offer only 4,200 EUR - net.\r\nJane\r\n")),
    "a word less": (TEXT, _text("Dear Tom,\r\n\r\nwe offer 4,200 EUR.\r\nJane\r\n")),
    "words joined": (_text("now here"), _text("nowhere")),
    "words joined in HTML": (_html("<p>now here</p>"), _html("<p>now<b>here</b></p>")),
    "upper case": (_text("polish"), _text("Polish")),
    "order": (_text("one two"), _text("two one")),
    "a number beside octets that are no text": (_text("Gr\udcfc\udcdfe 10"), _text("Gr\u00fc\u00dfe 11")),
    "everything": (TEXT, _text("")),
    "a note behind": (TEXT, _text(f"{TEXT.text}\r\nCalled him on Friday.")),
    "a plain link": (_text("see <https://example.com/a>"), _text("see <https://example.com/b>")),
    "HTML, with the same plain text": (Said("<p>one</p>", "one"), Said("<p>two</p>", "one")),
}


@pytest.mark.parametrize("name", SAME)
def test_what_servers_do_is_no_edit(name: str) -> None:
    first, second = SAME[name]
    assert is_same(first, second)
    assert is_same(second, first)


@pytest.mark.parametrize("name", DIFFERENT)
def test_an_edit_is_seen(name: str) -> None:
    first, second = DIFFERENT[name]
    assert not is_same(first, second)
    assert not is_same(second, first)


def test_a_digest_knows_its_text_again() -> None:
    known = digest(HTML)
    assert has_digest(_html("<div>Dear Tom,</div>we offer 4,200 EUR - net.<p>Jane"), known)
    assert has_digest(Said(HTML.html, "what the server made of it"), known)
    assert has_digest(TEXT, known)
    assert not has_digest(_html("<p>Dear Tom,</p><p>we offer 4,201 EUR - net.<br>Jane</p>"), known)


def test_cost_is_linear() -> None:
    for piece in ("<", "<a ", "> ", "[cid:", "<http:", "&lt;", "_", "* ", "1. ", " \n", '<img alt="', "\u6f22 "):
        source = piece * (60_000 // len(piece))
        assert is_same(Said(source, None), Said(source, None))
        assert is_same(Said(None, source), Said(None, source))
        is_same(Said(source, None), Said(None, source))


# --- the corpus -------------------------------------------------------------------------------------------------------


def _said() -> Iterator[tuple[str, Said]]:
    for entry in corpus():
        try:
            yield entry.path, said_in(parse(entry.data))
        except LimitExceededError:
            continue


SEVERAL_DOCUMENTS = {
    # Behind the first </html> the parser of these tests sees nothing, or something else.
    "deltachat/message_mailinglist_with_mimepart_footer.eml",
    "james/resources_JAMES-1593.eml",
    "kde-mimetreeparser/testdata_text_html-maillinglist.eml",
    "mailpile/cur_1379857166.25979_9.hottie_2_S.eml",
    "mimekit/messages_body.9.eml",
    "nodemailer-mailparser/fixtures_mixed.eml",
    "otobo/EmailParser_MultipartMixedHTML.eml",
    "otobo/EmailParser_MultipartMixedHTMLPlain.eml",
    "proton-bridge/testdata_multipart_alternative_nested.eml",
    "rspamd/messages_ham.eml",
    "simple-java-mail/test-messages_500_Email_with_problematic_umlaut_in_Disposition-Notification-To.eml",
    "thunderbird/data_multipart-complex1.eml",
    "w-mailspring/emails_email_28.html.eml",
    "webklex-php-imap/messages_multiple_html_parts_and_attachments.eml",
    # Octets that are no text in any charset, which it takes for another one.
    "ruby-mail/error_emails_content_transfer_encoding_empty.eml",
}


@pytest.mark.corpus
def test_real_messages_written_anew_say_the_same() -> None:
    taken_for_edited = set()
    for path, said in _said():
        if said.html is not None and path not in SEVERAL_DOCUMENTS:
            anew = [_html(rewrite(said.html)) for rewrite in OF_HTML]
            anew.append(_text(text_of_html(said.html)))
            taken_for_edited |= {path for other in anew if not is_same(other, _html(said.html))}
        if said.text is not None:
            anew = [_text(rewrite(said.text)) for rewrite in OF_TEXT]
            anew.append(_html(html_of_text(said.text)))
            taken_for_edited |= {path for other in anew if not is_same(other, _text(said.text))}
    assert taken_for_edited == set()


@pytest.mark.corpus
def test_a_word_changed_in_a_real_message_is_seen() -> None:
    chance = random.Random(4711)
    overlooked = []
    for path, said in _said():
        if _UNDECODED.search(f"{said.html}{said.text}"):
            continue  # only their ASCII is compared
        if said.html is not None and path not in SEVERAL_DOCUMENTS:
            overlooked += [path for one, other in _edited_html(said.html, chance) if is_same(one, other)]
        if said.text is not None:
            overlooked += [path for text in _edits(said.text, chance) if is_same(_text(text), _text(said.text))]
    assert overlooked == []


_WORD = re.compile(r"[^\W_]{2,}")
_UNDECODED = re.compile("[\ud800-\udfff]")


def _edits(text: str, chance: random.Random) -> Iterator[str]:
    words = list(_WORD.finditer(text))
    if words:
        word = chance.choice(words)
        yield text[: word.start()] + text[word.end() :]
        yield f"{text[: word.start()]}{'xq' if word[0] != 'xq' else 'qx'}{text[word.end() :]}"
        yield f"{text[: word.end()]} not{text[word.end() :]}"
        yield f"{text[: word.start()]}{'7' if word[0][0] != '7' else '8'}{text[word.start() + 1 :]}"


def _edited_html(source: str, chance: random.Random) -> Iterator[tuple[Said, Said]]:
    tree = parsed(source)
    nodes = [] if tree is None else [node for node in tree.xpath("//body//text()") if _WORD.search(node)]
    nodes = [node for node in nodes if node.getparent().tag not in ("style", "script", "title", "template")]
    if not nodes:
        return
    node = chance.choice(nodes)
    parent, before = node.getparent(), _html(str(documents.tostring(tree, encoding="unicode")))
    for text in _edits(str(node), chance):
        if node.is_text:
            parent.text = text
        else:
            parent.tail = text
        yield _html(str(documents.tostring(tree, encoding="unicode"))), before
