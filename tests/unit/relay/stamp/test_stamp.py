from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import ClassVar

import pytest

from mta.message.classify import classify
from mta.message.edit import combine, joined
from mta.message.headers import prepend
from mta.model.actions import Action, Once, OnError, Place, RemoveHeader, SetHeader, TagSubject
from mta.relay.stamp.stamp import stamp_message
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from tests.unit.relay.stamp.samples import (
    HEADER,
    SAMPLES,
    STAMPS,
    alternative,
    context,
    html,
    multipart,
    outcome,
    parsed,
    plain,
    stamp,
    stamped,
    templates,
    write_templates,
)  # fmt: skip

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
QUOTE = "\n\nOn 2 May 2024, A wrote:\n> Old\n"
HTML_QUOTE = "<div>On 2 May 2024, A wrote:</div><blockquote type=cite>Old</blockquote>"


@pytest.fixture
def notes(tmp_path: Path) -> TemplateSet:
    return templates(tmp_path, one="First stamp text", two="Second stamp text", broken="{{ 1 // 0 }}")


def bodies(data: bytes) -> list[str]:
    """Text of every text part with "\\n" line ends, as the standard library reads it."""
    message = message_from_bytes(data, policy=policy.default)
    texts = (part.get_content() for part in message.walk() if part.get_content_maintype() == "text")
    return [text.replace("\r\n", "\n") for text in texts]


class TestPlaces:
    def test_each_alternative_exactly_once(self, notes: TemplateSet) -> None:
        text, source = bodies(stamped(alternative("Hi\n", "<body><p>Hi</p></body>\n"), [stamp("one")], notes))
        assert text == "Hi\n\nFirst stamp text\n"
        assert re.fullmatch(
            r'<body><p>Hi</p><div class="stampline-one--([0-9a-f]{8}0{8})" id="stampline-one--\1-[0-9a-f]{8}">'
            r'<p><a name="stampline_[0-9a-f]{8}_\1">First stamp text</a></p></div></body>\n',
            source,
        )

    def test_under_the_reply(self, notes: TemplateSet) -> None:
        data = alternative("Hi" + QUOTE, "<p>Hi</p>" + HTML_QUOTE + "\n")
        text, source = bodies(stamped(data, [stamp("one", Place.REPLY)], notes))
        assert text == "Hi\n\nFirst stamp text\n\nOn 2 May 2024, A wrote:\n> Old\n"
        assert source.index("First stamp text") < source.index("On 2 May")

    @pytest.mark.parametrize("place", list(Place))
    def test_several_stamps_stack_in_rule_order(self, notes: TemplateSet, place: Place) -> None:
        data = alternative("Hi" + QUOTE, "<p>Hi</p>" + HTML_QUOTE + "\n")
        for text in bodies(stamped(data, [stamp("one", place), stamp("two", place)], notes)):
            first, second = text.index("First stamp"), text.index("Second stamp")
            assert first < second
            if place is Place.TOP:
                assert second < text.index("Hi")
            elif place is Place.REPLY:
                assert text.index("Hi") < first < second < text.index("On 2 May")
            else:
                assert text.index("Old") < first

    @pytest.mark.parametrize("place", list(Place))
    @pytest.mark.parametrize("first", [["one"], ["two"], ["three"], ["one", "three"], ["two", "three"]])
    @pytest.mark.parametrize("kind", ["plain", "html", "alternative"])
    def test_they_stack_in_rule_order_beside_those_of_another_server(
        self, tmp_path: Path, place: Place, first: list[str], kind: str
    ) -> None:
        chosen = templates(tmp_path, one="Number one stamp", two="Number two stamp", three="Number three stamp")
        text, source = "Hi" + QUOTE, "<p>Hi</p>" + HTML_QUOTE + "\n"
        data = {"plain": plain(text), "html": html(source), "alternative": alternative(text, source)}[kind]
        every = [stamp(name, place) for name in ("one", "two", "three")]
        there = stamped(data, [action for action in every if action.template in first], chosen)
        both = stamped(there, every, chosen)
        assert bodies(both) == bodies(stamped(data, every, chosen))

    def test_top_and_bottom_of_an_empty_body(self, notes: TemplateSet) -> None:
        (text,) = bodies(stamped(plain(""), [stamp("one"), stamp("two", Place.TOP)], notes))
        assert text.index("Second stamp") < text.index("First stamp")

    def test_formats(self, notes: TemplateSet) -> None:
        data = alternative("Hi\n", "<p>Hi</p>\n")
        text, source = bodies(stamped(data, [replace(stamp("one"), formats=("html",))], notes))
        assert ("First" in text, "First" in source) == (False, True)
        done = outcome(plain("Hi\n"), [replace(stamp("one"), formats=("html",))], notes)
        assert (done.edits, done.skipped[0].reason) == ((), "no html text")

    def test_the_rest_stays_as_it_is(self, notes: TemplateSet) -> None:
        data = alternative("Hi\n", "<p>Hi</p>\n")
        assert stamped(data, [stamp("one")], notes).startswith(HEADER)
        assert outcome(data, [], notes).edits == ()


class TestSeveralTextParts:
    """Apple Mail: text around attachments, and the same in HTML beside a plain alternative."""

    FILE = b"Content-Type: application/pdf\r\nContent-Disposition: inline; filename=a.pdf\r\n\r\n%PDF\r\n"

    def mixed(self, first: str, last: str) -> bytes:
        return multipart("mixed", plain(first, header=b""), self.FILE, plain(last, header=b""))

    def test_bottom_is_in_the_last(self, notes: TemplateSet) -> None:
        first, last = bodies(stamped(self.mixed("One\n", "Two\n"), [stamp("one")], notes))
        assert (first.strip(), last) == ("One", "Two\n\nFirst stamp text\n")

    def test_top_is_in_the_first(self, notes: TemplateSet) -> None:
        first, last = bodies(stamped(self.mixed("One\n", "Two\n"), [stamp("one", Place.TOP)], notes))
        assert (first.strip(), last.strip()) == ("First stamp text\n\nOne", "Two")

    def test_reply_is_where_the_quote_begins(self, notes: TemplateSet) -> None:
        first, last = bodies(stamped(self.mixed("One" + QUOTE, "Two\n"), [stamp("one", Place.REPLY)], notes))
        assert first.startswith("One\n\nFirst stamp text\n\nOn 2 May")
        assert last.strip() == "Two"

    def test_each_way_of_reading_is_stamped_once(self, notes: TemplateSet) -> None:
        inner = multipart(
            "mixed", html("<p>One</p>\n", header=b""), self.FILE, html("<p>Two</p>\n", header=b""),
            header=b"", boundary=b"=_i",
        )  # fmt: skip
        data = multipart("alternative", plain("One Two\n", header=b""), inner)
        found = bodies(stamped(data, [stamp("one")], notes))
        assert [text.count("First stamp text") for text in found] == [1, 0, 1]

    def test_a_footer_that_all_alternatives_share_is_stamped_once(self, notes: TemplateSet) -> None:
        inner = multipart(
            "alternative", plain("Hi\n", header=b""), html("<p>Hi</p>\n", header=b""), header=b"", boundary=b"=_i"
        )
        found = bodies(stamped(multipart("mixed", inner, plain("List footer\n", header=b"")), [stamp("one")], notes))
        assert [text.count("First stamp text") for text in found] == [0, 0, 1]

    def test_attachments_are_left_alone(self, notes: TemplateSet) -> None:
        attached = b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nFile\r\n"
        found = bodies(stamped(multipart("mixed", plain("Hi\n", header=b""), attached), [stamp("one")], notes))
        assert [text.count("First stamp text") for text in found] == [1, 0]


class TestOnce:
    REPLY = HEADER.replace(b"Subject: Offer", b"Subject: Re: Offer\r\nIn-Reply-To: <0@example.com>")

    @pytest.mark.parametrize("once", list(Once))
    @pytest.mark.parametrize("place", list(Place))
    @pytest.mark.parametrize("kind", ["plain", "html", "alternative"])
    def test_a_second_server_does_not_stamp_again(
        self, notes: TemplateSet, once: Once, place: Place, kind: str
    ) -> None:
        text, source = "Hi" + QUOTE, "<p>Hi</p>" + HTML_QUOTE + "\n"
        data = {"plain": plain(text), "html": html(source), "alternative": alternative(text, source)}[kind]
        first = stamped(data, [stamp("one", place, once)], notes)
        done = outcome(first, [stamp("one", place, once)], notes)
        assert (done.edits, [entry.template for entry in done.skipped]) == ((), ["one"])

    @pytest.mark.parametrize("kind", ["plain", "html", "alternative"])
    def test_what_a_stranger_writes_like_a_stamp_keeps_none_out(self, notes: TemplateSet, kind: str) -> None:
        text, source = "Hi", "<p>Hi</p>\n"
        data = {"plain": plain(text), "html": html(source), "alternative": alternative(text, source)}[kind]
        forged = stamped(data, [stamp("one")], notes)
        done = outcome(forged, [stamp("one", Place.TOP)], notes, replace(context(), is_trusted=False))
        assert done.stamped == ("one",)

    def test_the_answer_to_a_stamped_message_is_stamped(self, notes: TemplateSet) -> None:
        old = bodies(stamped(html("<p>Question?</p>\n"), [stamp("one")], notes))[0]
        answer = html(f"<p>Hi</p><blockquote type=cite>{old}</blockquote>\n", header=self.REPLY.replace(b"<1@", b"<2@"))
        assert outcome(answer, [stamp("one", Place.REPLY)], notes).stamped == ("one",)
        assert outcome(answer, [stamp("one", Place.REPLY, Once.CONVERSATION)], notes).stamped == ()
        assert outcome(answer, [stamp("two", Place.REPLY, Once.CONVERSATION)], notes).stamped == ("two",)

    def test_the_answer_in_plain_text(self, notes: TemplateSet) -> None:
        answer = plain("Hi\n\nOn 2 May 2024, A wrote:\n> Question?\n>\n> First stamp\n> text\n", header=self.REPLY)
        assert outcome(answer, [stamp("one", Place.REPLY)], notes).stamped == ("one",)
        assert outcome(answer, [stamp("one", Place.REPLY, Once.CONVERSATION)], notes).stamped == ()

    @pytest.mark.parametrize("change", ['id="x_{}"', 'class="m_-12{}"', "name={} "])
    def test_what_clients_do_to_a_marker(self, notes: TemplateSet, change: str) -> None:
        source = f"<p>Hi</p><blockquote type=cite><div {change.format('stampline-one')}>…</div></blockquote>\n"
        assert outcome(html(source), [stamp("one", once=Once.CONVERSATION)], notes).stamped == ()

    def test_a_longer_name_is_another_template(self, tmp_path: Path) -> None:
        chosen = templates(tmp_path, **{"one-de": "Erster Text, deutsch", "one": "First text, English"})
        data = stamped(html("<p>Hi</p>\n"), [stamp("one-de", once=Once.CONVERSATION)], chosen)
        assert outcome(data, [stamp("one", once=Once.CONVERSATION)], chosen).stamped == ("one",)

    def test_two_rules_with_one_template(self, notes: TemplateSet) -> None:
        done = outcome(plain("Hi\n"), [stamp("one", rule="a"), stamp("one", rule="b")], notes)
        assert (done.stamped, [entry.rule for entry in done.skipped]) == (("one",), ["b"])


class TestFailures:
    def test_a_template_that_fails_is_reported_and_the_others_are_put_on(self, notes: TemplateSet) -> None:
        action = replace(stamp("broken", rule="legal"), on_error=OnError.REJECT)
        done = outcome(alternative("Hi\n", "<p>Hi</p>\n"), [action, stamp("one")], notes)
        assert done.stamped == ("one",)
        assert [(f.rule, f.error, f.on_error, f.template) for f in done.failed] == [
            ("legal", "broken/signature.html.j2:1: ZeroDivisionError", OnError.REJECT, "broken")
        ]

    def test_an_unknown_template(self, notes: TemplateSet) -> None:
        done = outcome(plain("Hi\n"), [stamp("gone")], notes)
        assert (done.edits, done.failed[0].error) == ((), "no template gone")

    def test_a_template_with_nothing_to_say(self, tmp_path: Path) -> None:
        write_templates(tmp_path, {"t/signature.txt.j2": "{% line %}{{ sender.fax }}{% endline %}"})
        done = outcome(alternative("Hi\n", "<p>Hi</p>\n"), [stamp("t")], load_templates(tmp_path))
        assert (done.edits, done.skipped[0].reason) == ((), "nothing to say")

    def test_all_alternatives_or_none(self, notes: TemplateSet) -> None:
        broken = b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!PGI+\r\n"
        data = multipart("alternative", plain("Hi\n", header=b""), broken)
        done = outcome(data, [stamp("one"), replace(stamp("two"), formats=("plain",))], notes)
        assert done.stamped == ("two",)
        assert [failed.template for failed in done.failed] == ["one"]
        assert b"First stamp" not in joined(data, done.edits)

    def test_no_text(self, notes: TemplateSet) -> None:
        data = HEADER + b"Content-Type: application/pdf\r\n\r\n%PDF\r\n"
        assert outcome(data, [stamp("one")], notes).skipped[0].reason == "no text that readers see"

    def test_what_must_not_be_touched_is_not(self, notes: TemplateSet) -> None:
        signed = multipart("signed", plain("Hi\n", header=b""), b"Content-Type: application/pgp-signature\r\n\r\nx\r\n")
        actions: list[Action] = [stamp("one"), TagSubject(text="[x]"), SetHeader(name="X-A", value="b")]
        done = outcome(signed, actions, notes)
        assert done.edits == ()
        assert [entry.template for entry in done.skipped] == ["one"]


class TestHeaders:
    def header(self, *actions: Action, data: bytes | None = None) -> str:
        source = data or plain("Hi\n")
        message = parsed(source)
        done = stamp_message(message, classify(message, False), actions, context(), TemplateSet({}, {}))
        return joined(source, done.edits).partition(b"\r\n\r\n")[0].decode()

    def test_set_remove_and_tag_together_with_a_stamp(self, notes: TemplateSet) -> None:
        data = HEADER + b"X-Old: 1\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nHi\r\n"
        actions: list[Action] = [
            TagSubject(text="[A]"), SetHeader(name="X-New", value="ü"), RemoveHeader(name="x-old"), stamp("one"),
        ]  # fmt: skip
        done = outcome(data, actions, notes)
        on_top = prepend(parsed(data), b"Received: from x\r\n")
        message = message_from_bytes(joined(data, combine((on_top, *done.edits))), policy=policy.default)
        assert (message["Subject"], message["X-New"], message["X-Old"]) == ("[A] Offer", "ü", None)
        assert "First stamp text" in message.get_content()

    def test_several_tags(self) -> None:
        tags = [TagSubject(text=text) for text in ("[A]", "[B]", "[A]", "offer")]
        assert "\nSubject: [A] [B] Offer\r" in self.header(*tags)
        assert "\nSubject: [A] Offer (b)\r" in self.header(
            TagSubject(text="[A]"), TagSubject(text="(b)", where="suffix")
        )

    def test_a_subject_that_is_set_and_tagged(self) -> None:
        tagged = self.header(SetHeader(name="Subject", value="New"), TagSubject(text="[A]"))
        assert "\nSubject: [A] New\r" in tagged
        assert tagged.count("Subject:") == 1

    def test_the_last_of_a_name_counts(self) -> None:
        result = self.header(SetHeader(name="X-A", value="1"), SetHeader(name="x-a", value="2"))
        assert result.endswith("\nx-a: 2")
        assert "X-A: 1" not in result
        assert "X-A" not in self.header(SetHeader(name="X-A", value="1"), RemoveHeader(name="x-a"))

    @pytest.mark.parametrize("value", ["a\r\nBcc: evil@example.com", "a\nBcc: evil@example.com", "a\r\n\r\nBcc: body"])
    def test_no_value_adds_a_field(self, value: str) -> None:
        for action in (SetHeader(name="X-A", value=value), TagSubject(text=value)):
            assert not re.search("^bcc:", self.header(action), re.IGNORECASE | re.MULTILINE)

    @pytest.mark.parametrize("name", ["Content-Type", "MIME-Version", "content-transfer-encoding"])
    def test_the_structure_is_not_for_rules(self, notes: TemplateSet, name: str) -> None:
        done = outcome(plain("Hi\n"), [SetHeader(name=name, value="x"), stamp("one")], notes)
        assert done.stamped == ("one",)
        assert done.failed[0].error == f"{name} describes the message's structure"


class TestPictures:
    FILES: ClassVar[dict[str, str | bytes]] = {
        "a/signature.html.j2": "<img src='logo.png'>A",
        "b/signature.html.j2": "<img src='logo.png'>B",
        "a/logo.png": PNG,
        "b/logo.png": PNG,
        "a/template.yaml": "pictures: [{file: logo.png}]",
        "b/template.yaml": "pictures: [{file: logo.png}]",
    }

    def test_one_that_two_stamps_share_is_added_once(self, tmp_path: Path) -> None:
        chosen = load_templates(write_templates(tmp_path, self.FILES))
        done = stamped(html("<p>Hi</p>\n"), [stamp("a"), stamp("b")], chosen)
        (cid,) = re.findall(rb"Content-ID: <(logo-[0-9a-f]{16}@stampline)>", done)
        assert done.count(b'src="cid:' + cid) == 2

    def test_a_second_stamp_later_on_finds_it_there(self, tmp_path: Path) -> None:
        chosen = load_templates(write_templates(tmp_path, self.FILES))
        done = stamped(stamped(html("<p>Hi</p>\n"), [stamp("a")], chosen), [stamp("b")], chosen)
        assert done.count(b"Content-ID:") == 1
        assert done.count(b'src="cid:') == 2

    def test_plain_text_brings_none(self, tmp_path: Path) -> None:
        chosen = load_templates(write_templates(tmp_path, self.FILES))
        assert b"Content-ID" not in stamped(plain("Hi\n"), [stamp("a")], chosen)


def test_an_attempt_after_a_crash_gives_the_same_bytes() -> None:
    data = alternative("Hi" + QUOTE, "<p>Hi</p>" + HTML_QUOTE)
    actions: list[Action] = [stamp("corporate", Place.REPLY), TagSubject(text="[ü]"), SetHeader(name="X-A", value="b")]
    first, second = (stamped(data, actions, load_templates(SAMPLES)) for _ in range(2))
    assert first == second
    assert first != data


@pytest.mark.parametrize("name", sorted(set(STAMPS) - {"receipt"}))
@pytest.mark.parametrize("place", [Place.TOP, Place.BOTTOM])
def test_a_second_server_finds_every_sample_in_plain_text(name: str, place: Place) -> None:
    chosen = load_templates(SAMPLES)
    raw = plain("Hello,\n\nplease see below.\n")
    once = stamped(raw, [stamp(name, place)], chosen)
    assert once != raw
    assert stamped(once, [stamp(name, place)], chosen) == once
