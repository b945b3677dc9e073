"""Conditions of the displayed text: words, dictionaries, language, charset, stamps."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from mta.config.problems import ConfigurationError
from mta.message.classify import Classification
from mta.message.parse import Message
from mta.relay.decide import Readers
from tests.unit.relay.decide.situation import Situation, rule, rules

HTML = (
    "<html><head><title>secret title</title><style>.secret {color: red}</style></head><body><!-- secret comment -->"
    "<p>Pro<b>ject</b> Fal&#99;on&nbsp;is <span>con\u00adfidential</span>.</p><td>IBAN</td><td>DE00</td></body></html>"
)
ALTERNATIVE = (
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nonly in plain\r\n"
    f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{HTML}\r\n--b--\r\n"
)
RICH = Situation(header={"Content-Type": 'multipart/alternative; boundary="b"'}, body=ALTERNATIVE)
PLAIN = Situation(body="Dear all,\r\nplease pay\r\nthe invoice. Grüße\r\n", header={"Subject": "Rechnung"})


def encoded(text: str, charset: str) -> Situation:
    octets = base64.b64encode(text.encode(charset)).decode()
    header = {"Content-Type": f"text/plain; charset={charset}", "Content-Transfer-Encoding": "base64"}
    return Situation(header=header, body=octets + "\r\n")


@pytest.mark.parametrize(
    ("situation", "body", "expected"),
    [
        (PLAIN, "phrase: 'PLEASE  pay the'", True),
        (PLAIN, "phrase: pay*invoice", False),  # * stays in its line
        (PLAIN, "phrase: 'inv*ce'", True),
        (PLAIN, "phrase: 'inv?ice'", True),
        (PLAIN, "phrase: [nothing, 'dear all']", True),
        (PLAIN, "keywords: [invoices, inv]", False),
        (PLAIN, "keywords: inv*", True),
        (PLAIN, "keywords: GRÜSSE", False),
        (PLAIN, "keywords: grüße", True),
        (PLAIN, r"regex: 'pay\s+the'", True),
        (PLAIN, r"regex: '(?-i)dear'", False),
        (PLAIN, r"regex: ['x{3}', '(?m)^please']", True),
        (PLAIN, "phrase: rechnung", False),
        (PLAIN, "{phrase: rechnung, with_subject: true}", True),
        (PLAIN, "empty: true", False),
        (PLAIN, "empty: false", True),
        (Situation(body=" \r\n\r\n"), "empty: true", True),
        (PLAIN, "{phrase: dear all, keywords: offer}", False),
        (RICH, "phrase: project falcon is confidential", True),
        (RICH, "phrase: only in plain", True),
        (RICH, "keywords: secret", False),
        (RICH, "keywords: ibande00", False),
        (encoded("Привет мир", "koi8-r"), "keywords: МИР", True),
        (encoded("契約書を送ります", "iso-2022-jp"), "phrase: 契約書", True),
        (encoded("Müller", "utf-16"), "phrase: müller", True),
        # The same letter in two spellings.
        (encoded("Mu\u0308ller", "utf-8"), "phrase: müller", True),
    ],
)
def test_words(situation: Situation, body: str, expected: bool) -> None:
    written = body if body.startswith("{") else f"{{{body}}}"
    assert situation.matches(f"{{body: {written}}}") is expected


def test_attachments_are_no_body() -> None:
    body = '--b\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\nsecret\r\n--b--\r\n'
    situation = Situation(header={"Content-Type": 'multipart/mixed; boundary="b"'}, body=body)
    assert not situation.matches("{body: {phrase: secret}}")
    assert situation.matches("{body: {empty: true}}")


def newest(message: Message, classification: Classification) -> tuple[str, ...]:
    return ("the newest text",)


def test_the_newest_text_is_told_by_who_knows_quotes() -> None:
    situation = replace(PLAIN, readers=Readers(newest_texts=newest))
    assert situation.matches("{body: {phrase: the newest, within: newest}}")
    assert not situation.matches("{body: {phrase: invoice, within: newest}}")
    assert situation.matches("{body: {phrase: invoice, within: whole}}")
    assert PLAIN.matches("{body: {phrase: invoice, within: newest}}")


def test_many_tests_are_answered_alike_together_and_alone() -> None:
    wanted = [
        "phrase: dear",
        "phrase: nowhere",
        "keywords: please",
        "keywords: leas",
        r"regex: 'i[a-z]+\.'",
        "regex: ^$x",
    ]
    together = "rules:\n" + "".join(
        rule(f"when: {{body: {{{test}}}}}", name=f"r{n}").removeprefix("rules:\n") for n, test in enumerate(wanted)
    )
    alone = [PLAIN.matches(f"{{body: {{{test}}}}}") for test in wanted]
    assert alone == [True, False, True, False, True, False]
    assert PLAIN.applied(together) == [tuple(f"r{n}" for n, holds in enumerate(alone) if holds)]


# --- dictionaries -----------------------------------------------------------------------------------------------------

WORDS = r"""
entries:
  - {phrase: [project falcon, "merger*plan"], weight: 5}
  - {keywords: [iban, konto], weight: 2, count: each, most: 3}
  - {regex: '\b\d{4} \d{4}\b', weight: 10}
  - {keywords: newsletter, weight: -8}
"""


def score(text: str, over: int) -> bool:
    loaded = rules(
        rule(f"when: {{body: {{dictionary: {{file: words/dlp.yaml, over: {over}}}}}}}"),
        dictionaries={"dlp.yaml": WORDS},
    )
    facts = Situation(body=text + "\r\n").facts()
    return bool(loaded.rules[0].condition.mask(facts))


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("nothing", 0),
        ("Project  Falcon, project falcon", 5),
        ("the merger and its plan for project falcon", 10),
        ("iban", 2),
        ("iban iban konto", 6),
        ("iban iban iban iban iban", 6),
        ("ibankonto", 0),
        ("1234 5678 1234 5678 iban", 12),
        ("newsletter: project falcon", -3),
    ],
)
def test_weights(text: str, weight: int) -> None:
    assert score(text, max(weight, 1) - 1) is (weight > 0)
    assert not score(text, max(weight, 0))


@pytest.mark.parametrize(
    ("file", "content", "what", "line"),
    [
        ("words/none.yaml", WORDS, "cannot read", 0),
        ("dlp.yaml", WORDS, "no file in a folder below the rules", 3),
        ("../words/dlp.yaml", WORDS, "no file in a folder below the rules", 3),
        ("/words/dlp.yaml", WORDS, "no file in a folder below the rules", 3),
        ("words/dlp.yaml", "entries: []\n", "", 1),
        ("words/dlp.yaml", "entries:\n  - {weight: 3}\n", "says nothing", 2),
        ("words/dlp.yaml", "entries:\n  - {regex: 'a(?=b)'}\n", "is not RE2", 2),
        ("words/dlp.yaml", "entries:\n  - {phrase: [x, '*']}\n", "would match any text", 2),
        ("words/dlp.yaml", "entries:\n  - {phrase: x, weight: heavy}\n", "weight", 2),
    ],
)
def test_what_is_wrong_with_a_dictionary_is_said_at_its_place(file: str, content: str, what: str, line: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        rules(rule(f"when: {{body: {{dictionary: {{file: {file}, over: 1}}}}}}"), dictionaries={"dlp.yaml": content})
    (problem,) = caught.value.problems
    assert what in f"{problem.what} {problem.mend}"
    assert problem.line == line
    assert problem.mend


# --- language, charset, stamps ----------------------------------------------------------------------------------------

TEXTS = {
    "de": "Sehr geehrte Frau Müller, anbei sende ich Ihnen das gewünschte Angebot. Mit freundlichen Grüßen",
    "en": "Dear all, please find attached the offer that you asked for. Kind regards",
    "fr": "Bonjour, veuillez trouver ci-joint le devis demandé. Cordialement",
    "es": "Hola, adjunto le envío la oferta solicitada. Un saludo",
    "it": "Buongiorno, in allegato trova l'offerta richiesta. Cordiali saluti",
    "nl": "Beste, bijgaand vindt u de gevraagde offerte. Met vriendelijke groet",
    "pl": "Dzień dobry, w załączeniu przesyłam ofertę. Pozdrawiam",
    "no": "Hei, vedlagt finner du tilbudet du ba om. Med vennlig hilsen",
    "he": "שלום, מצורפת ההצעה שביקשת. בברכה",
    "ja": "お世話になっております。ご依頼の見積書を添付いたします。",
    "zh": "您好，请查收附件中的报价。谢谢",
}


@pytest.mark.parametrize("language", TEXTS)
def test_languages(language: str) -> None:
    situation = Situation(body=TEXTS[language])
    assert [other for other in TEXTS if situation.matches(f"{{language: {other!r}}}")] == [language]


@pytest.mark.parametrize(
    ("body", "header", "when", "expected"),
    [
        # What a mail program says of its own language doesn't count where the text speaks for itself.
        (TEXTS["en"], "de-DE", "{language: de}", False),
        ("Ok", "de-AT, en", "{language: de}", True),
        ("Ok", "de-AT, en", "{language: de-ch}", False),
        ("Ok", "nb-NO", "{language: 'no'}", True),
        ("Ok", "", "{language: [de, en]}", False),
        ("\x01\x02\ufffe 1234567890 1234567890 1234567890", "", "{language: en}", False),
    ],
)
def test_language_of_the_header_and_of_the_text(body: str, header: str, when: str, expected: bool) -> None:
    assert Situation(body=body, header={"Content-Language": header}).matches(when) is expected


@pytest.mark.parametrize(
    ("label", "when", "expected"),
    [
        ("iso-8859-1", "{charset: latin1}", True),
        ("ISO-8859-1", "{charset: [utf-8, 'iso-8859-*']}", True),
        ("koi8-r", "{charset: utf-8}", False),
        ("x-unknown", "{charset: x-unknown}", True),
        ("", "{charset: us-ascii}", True),
    ],
)
def test_charset(label: str, when: str, expected: bool) -> None:
    header = {"Content-Type": f"text/plain; charset={label}" if label else "text/plain"}
    assert Situation(header=header).matches(when) is expected


@pytest.mark.parametrize(
    ("found", "when", "expected"),
    [
        (("corporate",), "{stamped: any}", True),
        (("corporate",), "{stamped: Corporate}", True),
        (("corporate",), "{stamped: {template: [compact, corporate]}}", True),
        (("corporate",), "{stamped: compact}", False),
        ((), "{stamped: any}", False),
    ],
)
def test_stamps_are_told_by_who_knows_them(found: tuple[str, ...], when: str, expected: bool) -> None:
    surely = Situation(readers=Readers(earlier_stamps=lambda message: found))
    assert surely.matches(when.replace("Corporate", "corporate")) is expected


@pytest.mark.parametrize(
    ("when", "what"),
    [
        ("{body: {within: newest}}", "says nothing"),
        ("{body: {phrase: '*'}}", "would match any text"),
        ("{body: {regex: '(?<=a)b'}}", "is not RE2"),
        ("{language: german!}", "is no language"),
        ("{stamped: corporat}", "there is no template"),
    ],
)
def test_what_makes_no_sense_is_reported(when: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        rules(rule(f"when: {when}"))
    assert what in str(caught.value)
    assert all(problem.mend for problem in caught.value.problems)


@pytest.mark.parametrize("kind", ["{body: {phrase: %s}}", "{subject: {phrase: %s}}", "{subject: {keywords: %s}}"])
def test_lists_that_look_the_same_are_not_the_same(kind: str) -> None:
    list_of_two, one_text = kind % "[pay, the]", kind % "'pay, the'"
    one, two = rule(f"when: {list_of_two}", name="one"), rule(f"when: {one_text}", name="two")
    situation = replace(PLAIN, header={"Subject": "pay it"})
    assert situation.applied(one + two.removeprefix("rules:\n")) == [("one",)]


def test_lists_may_be_long() -> None:
    words = ", ".join(f"word{n} some*" for n in range(1000))
    assert Situation(body="Word999 something\r\n").matches(f"{{body: {{keywords: [{words}]}}}}")
    assert not Situation(body="Word999 else\r\n").matches(f"{{body: {{keywords: [{words}]}}}}")
    assert Situation(header={"Subject": "a word7 some"}).matches(f"{{subject: {{keywords: [{words}]}}}}")
    with pytest.raises(ConfigurationError, match="longer than 2000 characters"):
        rules(rule(f"when: {{body: {{phrase: {'x' * 2001}}}}}"))
