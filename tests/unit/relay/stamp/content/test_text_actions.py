"""Text replaced, removed and masked where readers see it, and nowhere else."""

from __future__ import annotations

import base64
import binascii
import quopri
from dataclasses import replace
from pathlib import Path

import pytest

from mta.message.body_text import BODY_MAX, displayed
from mta.message.classify import classify
from mta.message.edit import joined
from mta.message.parse import parse
from mta.model.actions import OnError, ReplaceText, TagSubject
from mta.relay.stamp.content.text_patterns import MATCHES_MAX, masked
from mta.relay.stamp.stamp import stamp_message
from mta.relay.stamp.templates.template_set import TemplateSet
from tests.unit.relay.stamp.samples import (
    HEADER,
    alternative,
    context,
    html,
    multipart,
    outcome,
    plain,
    stamp,
    templates,
)

NOTHING = TemplateSet({}, {})
SECRET = ReplaceText(rule="r", find="secret stuff", replacement="<nothing & more>")
CARD = ReplaceText(rule="r", find=r"\b(?:\d[ -]?){12}\d{4}\b", is_regex=True, mask="*", keep_last=4)


def alternative_of(kind: bytes, content: bytes) -> bytes:
    other = b"Content-Type: " + kind + b"; charset=utf-8\r\n\r\n" + content
    return multipart("alternative", plain("see below", header=b""), other, html("<p>x</p>", header=b""))


def changed(raw: bytes, *actions: ReplaceText | TagSubject) -> bytes:
    """The message afterwards; nothing may fail."""
    found = outcome(raw, actions, NOTHING)
    assert not found.failed
    return joined(raw, found.edits)


def text(raw: bytes, place: int = 0) -> str:
    return displayed(parse(raw))[place].text


def in_html(source: str, action: ReplaceText = SECRET) -> str:
    return text(changed(html(source + "\n"), action)).removesuffix("\r\n")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>My secret stuff.</p>", "<p>My &lt;nothing &amp; more&gt;.</p>"),
        ("<p>My SECRET\n   Stuff.</p>", "<p>My &lt;nothing &amp; more&gt;.</p>"),
        ("<b>Sec</b>r<i>et</i> stuff", "<b>&lt;nothing &amp; more&gt;</b><i></i>"),
        ("secret&nbsp;stuff", "&lt;nothing &amp; more&gt;"),
        ("&#115;e&#x63;ret stu&#102;f!", "&lt;nothing &amp; more&gt;!"),
        ("sec&shy;ret st\u200buff", "&lt;nothing &amp; more&gt;"),
        ("<p>secret</p><p>stuff</p>", "<p>secret</p><p>stuff</p>"),
        ("secret<br>stuff", "secret<br>stuff"),
        ("secret<img>stuff", "secret<img>stuff"),
        ('<a href="secret stuff" title="secret stuff">x</a>', '<a href="secret stuff" title="secret stuff">x</a>'),
        ("<!-- secret stuff --><style>secret stuff</style>", "<!-- secret stuff --><style>secret stuff</style>"),
        ("<script>'secret stuff'</script>", "<script>'secret stuff'</script>"),
        ("<title>secret stuff</title>x", "<title>secret stuff</title>x"),
        ("<!--[if mso]><p>secret stuff</p><![endif]-->", "<!--[if mso]><p>&lt;nothing &amp; more&gt;</p><![endif]-->"),
        ("<!--[if !mso]><!-->secret stuff<!--<![endif]-->",
         "<!--[if !mso]><!-->&lt;nothing &amp; more&gt;<!--<![endif]-->"),
        ("<o:p>secret</o:p> stuff", "<o:p>&lt;nothing &amp; more&gt;</o:p>"),
        ("a < b secret stuff", "a < b &lt;nothing &amp; more&gt;"),
        ("s&#101cret&nbspstuff", "&lt;nothing &amp; more&gt;"),
        ("s&#x00000065;cret&#10;stuff", "&lt;nothing &amp; more&gt;"),
        ("sec&lrm;ret&thinsp;st&#x34F;uff", "&lt;nothing &amp; more&gt;"),
        ("s&#10<b></b>1cret stuff", "s&#10<b></b>1cret stuff"),
        ("<textarea rows=2>a <b> &#115;ecret\nstuff</textarea>x",
         "<textarea rows=2>a <b> &lt;nothing &amp; more&gt;</textarea>x"),
        ("<XMP>secret stuff</XMP>", "<XMP>&lt;nothing &amp; more&gt;</XMP>"),
        ("<!--[if mso]>&amp;#115;<textarea>secret stuff</textarea><![endif]-->y",
         "<!--[if mso]>&amp;#115;<textarea>&lt;nothing &amp; more&gt;</textarea><![endif]-->y"),
        ("secret stuff secret stuff", "&lt;nothing &amp; more&gt; &lt;nothing &amp; more&gt;"),
    ],
)  # fmt: skip
def test_html_is_changed_in_its_text_only(source: str, expected: str) -> None:
    assert in_html(source) == expected


def test_raw_text_inside_of_raw_text_is_read_once() -> None:
    source = "<textarea><xmp>" * 20_000
    assert in_html(f"{source}secret stuff") == f"{source}&lt;nothing &amp; more&gt;"


def test_a_regex_sees_the_text_and_gives_its_groups() -> None:
    action = ReplaceText(find=r"order (\d+)-(x?)(\d+)", is_regex=True, replacement=r"[\3/\1\2]\\")
    assert in_html("<p>Order <b>12</b>-34</p>", action) == "<p>[34/12]\\<b></b></p>"
    assert text(changed(plain("order 1-x2\n"), action)) == "[2/1x]\\\r\n"
    assert in_html("ORDER 1-2", ReplaceText(find="(?-i)order", is_regex=True)) == "ORDER 1-2"


def test_literal_text_is_no_regex_and_its_replacement_no_template() -> None:
    action = ReplaceText(find="a.c (x)", replacement=r"\1 \\")
    assert text(changed(plain("abc (x) A.C\n  (X)\n"), action)) == "abc (x) \\1 \\\\\r\n"


def test_both_alternatives_are_changed_and_the_rest_is_the_same() -> None:
    raw = alternative("My secret stuff\n", "<p>My secret stuff</p>\n")
    new = changed(raw, SECRET)
    assert text(new, 0) == "My <nothing & more>\r\n"
    assert text(new, 1) == "<p>My &lt;nothing &amp; more&gt;</p>\r\n"
    assert (
        new.replace(b"<nothing & more>", b"secret stuff").replace(b"&lt;nothing &amp; more&gt;", b"secret stuff") == raw
    )


def flowed(body: str, more: str = "") -> bytes:
    field = f"Content-Type: text/plain; charset=utf-8; format=flowed{more}\r\n\r\n"
    return HEADER + field.encode() + body.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (flowed("the secret \nstuff ends\n"), "the X ends\r\n"),
        (flowed("the sec\nret stuff\n"), "the sec\r\nret stuff\r\n"),
        (flowed("the sec \nret stuff\n", "; delsp=yes"), "the X\r\n"),
        (flowed("> the secret \n> stuff ends\n"), "> the X ends\r\n"),
        (flowed(">> secret \n> stuff\n"), ">> secret \r\n> stuff\r\n"),
        (flowed("-- \nsecret stuff\n"), "-- \r\nX\r\n"),
        (plain("the secret\nstuff\n"), "the X\r\n"),
        (plain("the secret\u00a0stuff\n"), "the X\r\n"),
    ],
)
def test_plain_text_over_line_ends(raw: bytes, expected: str) -> None:
    assert text(changed(raw, ReplaceText(find="secret stuff", replacement="X"))) == expected


@pytest.mark.parametrize(
    ("found", "keep", "expected"),
    [
        ("4111 1111-1111 1234", 4, "**** ****-**** 1234"),
        ("DE89 3704", 0, "**** ****"),
        ("12", 4, "12"),
        ("äß١", 1, "**١"),
    ],
)
def test_mask(found: str, keep: int, expected: str) -> None:
    assert masked(found, "*", keep) == expected


def test_masks_cover_each_character_and_leave_tags_alone() -> None:
    source = "<p>Card <b>4111</b>&nbsp;1111\n<i>11</i>11 12<u>34</u>.</p>"
    expected = "<p>Card <b>****</b>&nbsp;****\r\n<i>**</i>** 12<u>34</u>.</p>"
    assert in_html(source, CARD) == expected
    assert text(changed(flowed("4111 1111 \n1111 1234\n"), CARD)) == "**** **** \r\n**** 1234\r\n"
    assert text(changed(plain("4111 1111 1111 123\n"), CARD)) == "4111 1111 1111 123\r\n"


@pytest.mark.parametrize(
    ("subject", "action", "expected"),
    [
        (b"The secret stuff", SECRET, b"Subject: The <nothing & more>\r\n"),
        (b"=?iso-8859-1?q?Gr=FC=DFe=2C_secret?=\r\n =?iso-8859-1?q?_stuff?=", SECRET,
         b"Subject: =?iso-8859-1?q?Gr=FC=DFe=2C?= <nothing & more>\r\n"),
        (b"=?iso-8859-1?q?Gr=FC=DFe?= secret stuff", ReplaceText(find="secret stuff", replacement="Ω"),
         b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_=CE=A9?=\r\n"),
        (b"[nosig] Offer", ReplaceText(find=r"[ \t]+\[nosig\]|\[nosig\][ \t]*", is_regex=True), b"Subject: Offer\r\n"),
        (b"[nosig]", ReplaceText(find=r"\[nosig\]", is_regex=True), b"Subject: \r\n"),
        (b"Hello", SECRET, b"Subject: Hello\r\n"),
        (b"secret stuff", ReplaceText(find="secret stuff", replacement="x", where=("body",)),
         b"Subject: secret stuff\r\n"),
    ],
)  # fmt: skip
def test_subject(subject: bytes, action: ReplaceText, expected: bytes) -> None:
    raw = plain("x\n", header=b"From: a@example.com\r\nSubject: " + subject + b"\r\nTo: b@example.com\r\n")
    new = changed(raw, action)
    assert expected + b"To: b@example.com\r\n" in new
    assert new.endswith(b"\r\n\r\nx\r\n")


def test_a_tag_stands_beside_the_changed_subject() -> None:
    raw = plain("x\n", header=b"Subject: my secret stuff\r\n")
    new = changed(raw, TagSubject(text="[EXT]"), ReplaceText(find="secret ", replacement=""))
    assert parse(new).subject == "[EXT] my stuff"


def test_a_second_subject_does_not_tell_what_the_first_hides() -> None:
    new = changed(plain("x\n", header=b"Subject: secret stuff\r\nSubject: secret stuff\r\n"), SECRET)
    assert b"secret" not in new


@pytest.mark.parametrize(
    "fields",
    [
        b"Subject: Offer\r\nSubject: My secret stuff\r\n",
        b"Subject: My secret stuff\r\nThread-Topic: My secret stuff\r\n",
        b"Subject: Offer\r\nThread-Topic: My =?utf-8?q?secret?= stuff\r\n",
        b"Subject: My =?utf-8?q?sec=E2=80=8Bret=C2=A0?= stuff\r\n",
    ],
)
def test_no_field_that_shows_the_subject_tells_it(fields: bytes) -> None:
    header = parse(changed(plain("x\n", header=b"From: a@example.com\r\n" + fields), SECRET))
    shown = [*header.headers("subject"), *header.headers("thread-topic")]
    assert [*filter(None, ("secret" in text.replace("\u200b", "") for text in shown))] == []
    assert len(header.headers("subject")) == 1
    assert any("nothing & more" in text for text in shown) or shown == ["Offer"]


def test_a_topic_without_a_match_stays_as_it_is() -> None:
    raw = plain("x\n", header=b"Subject: My secret stuff\r\nThread-Topic:  My  =?utf-8?q?stuff?=\r\n")
    assert b"\r\nThread-Topic:  My  =?utf-8?q?stuff?=\r\n" in changed(raw, SECRET)


def test_only_the_subject_or_only_the_body() -> None:
    raw = plain("secret stuff\n", header=b"Subject: secret stuff\r\n")
    new = changed(raw, ReplaceText(find="secret stuff", replacement="x", where=("subject",)))
    assert (parse(new).subject, text(new)) == ("x", "secret stuff\r\n")


def test_rules_do_not_see_each_others_changes() -> None:
    new = changed(
        plain("one two\n"), ReplaceText(find="one", replacement="two"), ReplaceText(find="two", replacement="3")
    )
    assert text(new) == "two 3\r\n"


def test_attachments_and_attached_messages_are_not_the_text() -> None:
    file = b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nsecret stuff"
    inner = b"Content-Type: message/rfc822\r\n\r\nSubject: secret stuff\r\n\r\nsecret stuff"
    raw = multipart("mixed", plain("secret stuff", header=b""), file, inner)
    assert changed(raw, SECRET).count(b"secret stuff") == 3


def test_too_many_matches_fail_the_action() -> None:
    action = ReplaceText(rule="r", find="ab", replacement="c", on_error=OnError.REJECT)
    raw = plain("ab" * (MATCHES_MAX + 1) + "\n")
    (failed,) = outcome(raw, [action], NOTHING).failed
    assert (failed.rule, failed.on_error, failed.error) == ("r", OnError.REJECT, "more than 10000 matches")
    assert text(changed(plain("ab" * MATCHES_MAX + "\n"), action)) == "c" * MATCHES_MAX + "\r\n"


def test_a_text_that_can_not_be_changed_fails_the_action() -> None:
    raw = HEADER + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nsecret stuff, here!\r\n"
    (failed,) = outcome(raw, [SECRET], NOTHING).failed
    assert failed.rule == "r"


@pytest.mark.parametrize(
    "body",
    [
        "<" * 200_000,
        "<!--[if a]>" * 20_000,
        "&" * 200_000,
        "&amp" * 50_000,
        " " * 200_000,
        "<b>" * 60_000,
        "\u00ad" * 100_000,
        "secret" * 30_000,
    ],
    ids=["tags", "conditions", "ampersands", "entities", "spaces", "bold", "hyphens", "words"],
)
@pytest.mark.timeout(20)
def test_hostile_html_takes_no_time(body: str) -> None:
    raw = html(body + "secret stuff")
    message = parse(raw)
    stamp_message(message, classify(message, False), [SECRET, CARD], context(), NOTHING)


@pytest.mark.timeout(20)
def test_hostile_flowed_text_takes_no_time() -> None:
    for body in ("> " * 100_000, (" \n" * 100_000), (">" * 200_000), ("a \n> \n" * 30_000)):
        changed(flowed(body), SECRET)


def quoted(lines: list[str], label: str = "utf-8") -> bytes:
    field = f"Content-Type: text/plain; charset={label}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    octets = "\r\n".join(lines).encode(label) + b"\r\n"
    return HEADER + field.encode() + quopri.encodestring(octets).replace(b"\n", b"\r\n").replace(b"\r\r", b"\r")


def test_many_changes_leave_every_other_line_as_it_is_encoded() -> None:
    lines = [f"Zeile {n}: Grüße " + ("secret stuff " if n % 3 == 0 else "nothing else ") * 9 + "=" for n in range(60)]
    raw = quoted(lines)
    new = changed(raw, ReplaceText(find="secret stuff", replacement="Ω"))
    assert text(new) == text(raw).replace("secret stuff", "Ω")
    assert max(map(len, new.split(b"\r\n"))) <= 76
    untouched = [line for line in raw.split(b"\r\n") if b"nothing" in line]
    assert [line for line in new.split(b"\r\n") if b"nothing" in line] == untouched


def test_many_changes_in_one_endless_line() -> None:
    raw = quoted(["ä secret stuff " * 3000])
    new = changed(raw, ReplaceText(find="secret stuff", replacement="x"))
    assert text(new) == text(raw).replace("secret stuff", "x")


@pytest.mark.parametrize("label", ["iso-2022-jp", "shift_jis", "utf-8", "utf-7", "gb18030"])
def test_many_changes_in_any_charset(label: str) -> None:
    body = "日本語 secret stuff 日本\r\n" * 40
    field = f"Content-Type: text/plain; charset={label}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    raw = HEADER + field.encode() + body.encode(label)
    assert text(changed(raw, ReplaceText(find="secret stuff", replacement="本"))) == body.replace("secret stuff", "本")


@pytest.mark.parametrize("find", [r"card: (.*)", r"(?:card): ([ -9]*)(x?)", r"ü card: (.{9}).*"])
@pytest.mark.parametrize("mask_is_first", [True, False])
def test_no_replacement_shows_again_what_a_mask_covers(find: str, mask_is_first: bool) -> None:
    shows = ReplaceText(rule="r", find=find, is_regex=True, replacement=r"Pay: \1")
    mask = ReplaceText(rule="m", find=r"[0-9]{4}", is_regex=True, mask="•")
    actions = (mask, shows) if mask_is_first else (shows, mask)
    for raw in (plain("ü card: 1234 5678 9\n"), html("<p>ü <b>card: 12</b>34 5678 9</p>\n")):
        shown = text(changed(raw, *actions))
        assert "Pay: •••• ••••" in shown
        assert not {"1", "3", "5", "7"} & set(shown)


NUMBER = b"4111 1111 1111 1234"
AS_BASE64 = base64.b64encode(b"My card: " + NUMBER)


def _in_base64(octets: bytes) -> bytes:
    return HEADER + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + octets


@pytest.mark.parametrize(
    "raw",
    [
        alternative_of(b"text/x-amp-html", b"<p>4111 <b>1111</b> 1111&nbsp;1234</p>"),
        alternative_of(b"text/enriched", NUMBER),
        alternative_of(b"text/calendar", b"DESCRIPTION:" + NUMBER),
        multipart("related", html("<p>x</p>", header=b""), html("4111 1111 1111 1234", header=b"")),
        _in_base64(b"!" + AS_BASE64),
        _in_base64(AS_BASE64 + b"\r\n--\r\nsent through a mailing list"),
        _in_base64(b"").replace(b"base64", b"x-uuencode") + b"begin 644 x\r\n" + binascii.b2a_uu(NUMBER) + b"end\r\n",
        plain("x" * (BODY_MAX + 1)),
        HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + NUMBER,
    ],
)
def test_a_mask_that_does_not_reach_all_that_is_seen_fails_by_the_rules_words(raw: bytes) -> None:
    found = outcome(raw, [replace(CARD, on_error=OnError.REJECT)], NOTHING)
    assert [(failed.rule, failed.on_error) for failed in found.failed] == [("r", OnError.REJECT)]


@pytest.mark.parametrize(
    "raw",
    [
        alternative_of(b"text/calendar", b"DESCRIPTION: 4111"),
        multipart("mixed", plain("x", header=b""), b"Content-Type: text/csv; name=cards.csv\r\n\r\n" + NUMBER),
        multipart("mixed", plain("x", header=b""), b"Content-Type: message/rfc822\r\n\r\n" + plain(NUMBER.decode())),
        _in_base64(base64.b64encode(b"My card: 4111") + b"\r\n--\r\nsent through a mailing list"),
    ],
)
def test_a_mask_minds_neither_files_nor_texts_without_a_match(raw: bytes) -> None:
    assert outcome(raw, [CARD], NOTHING).failed == ()


def test_what_a_mask_reaches_is_covered_all_the_same() -> None:
    raw = alternative_of(b"text/calendar", NUMBER).replace(b"see below", NUMBER)
    found = outcome(raw, [CARD], NOTHING)
    assert len(found.failed) == 1
    assert text(joined(raw, found.edits)) == "**** **** **** 1234"


def test_a_stamp_that_prints_the_subject_prints_it_masked(tmp_path: Path) -> None:
    chosen = templates(tmp_path, note="About {{ message.subject }}")
    raw = plain("x\n", header=HEADER.replace(b"Subject: Offer", b"Subject: " + NUMBER))
    found = outcome(raw, [stamp("note"), CARD], chosen)
    assert "About **** **** **** 1234" in text(joined(raw, found.edits))
