"""Several content actions of one group come together in one set of edits."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.message.body_text import Change, displayed
from mta.message.edit import joined
from mta.message.parse import parse
from mta.model.actions import Action, AddAttachment, Place, RemoveStamps, ReplaceText, StripAttachments, TagSubject
from mta.relay.stamp.content.changes import changed, merged, moved_out
from mta.relay.stamp.templates.template_set import TemplateSet
from tests.unit.relay.stamp.samples import (
    HEADER,
    alternative,
    html,
    multipart,
    outcome,
    plain,
    stamp,
    stamped,
    templates,
)

PDF = b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n%PDF\r\n"


def texts(data: bytes) -> list[str]:
    return [body.text.replace("\r\n", "\n") for body in displayed(parse(data))]


@pytest.fixture
def notes(tmp_path: Path) -> TemplateSet:
    return templates(tmp_path, one="First stamp text", two="Second stamp text")


class TestMerging:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ([Change(5, 7, "b"), Change(1, 2, "a")], [Change(1, 2, "a"), Change(5, 7, "b")]),
            ([Change(1, 5, "a"), Change(3, 8, "b")], [Change(1, 8, "ab")]),
            ([Change(2, 3, "inner"), Change(1, 5, "a")], [Change(1, 5, "a")]),
            ([Change(1, 5, "first"), Change(1, 5, "then")], [Change(1, 5, "first")]),
            ([Change(1, 5, ""), Change(4, 6, "***"), Change(5, 9, "")], [Change(1, 9, "***")]),
            ([Change(3, 3, "in"), Change(1, 5, "a")], [Change(1, 5, "ain")]),
            ([Change(1, 5, "a"), Change(1, 1, "before"), Change(5, 5, "behind")],
             [Change(1, 1, "before"), Change(1, 5, "a"), Change(5, 5, "behind")]),
        ],
    )  # fmt: skip
    def test_changes_that_overlap_become_one(self, changes: list[Change], expected: list[Change]) -> None:
        assert merged(changes) == expected
        assert changed("0123456789", merged(changes)).startswith("0")

    def test_a_place_inside_replaced_text_moves_to_its_end(self) -> None:
        changes = [Change(2, 5, "x")]
        assert [moved_out(place, changes) for place in (1, 2, 3, 5, 6)] == [1, 2, 5, 5, 6]


class TestTogether:
    ACTIONS: tuple[Action, ...] = (
        ReplaceText(find="secret", replacement="***"),
        RemoveStamps(),
        TagSubject(text="[A]"),
    )

    @pytest.mark.parametrize("place", list(Place))
    def test_texts_are_replaced_stamps_removed_and_put_on(self, notes: TemplateSet, place: Place) -> None:
        before = stamped(alternative("My Secret\n", "<p>My <b>Se</b>cret</p>\n"), [stamp("two")], notes)
        result = stamped(before, [stamp("one", place), *self.ACTIONS], notes)
        assert b"\nSubject: [A] Offer" in result
        for text in texts(result):
            assert "***" in text
            assert "First stamp" in text
            assert "cret" not in text
            assert "Second" not in text

    def test_the_words_of_a_new_stamp_are_not_replaced(self, notes: TemplateSet) -> None:
        done = texts(stamped(plain("My text\n"), [ReplaceText(find="text", replacement="word"), stamp("one")], notes))
        assert done == ["My word\n\nFirst stamp text\n"]

    def test_a_stamp_where_the_quote_was_replaced(self, notes: TemplateSet) -> None:
        data = plain("Hi\n\nOn 2 May 2024, A wrote:\n> Old\n")
        action = ReplaceText(find=r"Hi\s+On", is_regex=True, replacement="X")
        (text,) = texts(stamped(data, [action, stamp("one", Place.REPLY)], notes))
        assert text.index("X") < text.index("First stamp text")
        assert text.count("First stamp") == 1

    @pytest.mark.parametrize("kind", ["plain", "html", "alternative", "mixed"])
    def test_with_a_file_attached(self, notes: TemplateSet, tmp_path: Path, kind: str) -> None:
        data = {
            "plain": plain("Hi\n").replace(b"charset=utf-8", b"charset=us-ascii"),
            "html": html("<p>Hi</p>\n"),
            "alternative": alternative("Hi\n", "<p>Hi</p>\n"),
            "mixed": multipart("mixed", plain("Hi\n", header=b""), PDF),
        }[kind]
        file = tmp_path / "terms.txt"
        file.write_bytes(b"Terms")
        actions: list[Action] = [stamp("one"), AddAttachment(file=str(file), filename="terms.txt")]
        if kind == "mixed":
            actions.append(StripAttachments(extensions=("pdf",)))
        done = outcome(data, actions, notes)
        assert (done.stamped, done.failed) == (("one",), ())
        result = parse(joined(data, done.edits))
        assert not result.defects
        assert result.data[: len(HEADER)] == HEADER
        assert all("First stamp" in body.text for body in displayed(result))
        names = [part.filename for part in result.attachments()]
        assert "terms.txt" in names
        assert "a.pdf" not in names
