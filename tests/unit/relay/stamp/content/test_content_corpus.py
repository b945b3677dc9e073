"""Every message of the shared corpus loses its attachments, gets one, and has a common word replaced: nothing else."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mta.message.attachments import attachments
from mta.message.attachments.take_out import NOTICE_NAME
from mta.message.body_text import TextBody, displayed
from mta.message.classify import Classification, classify
from mta.message.edit import Edit, joined
from mta.message.html.visible_text import VisibleText
from mta.message.parse import LimitExceededError, Message, Part, parse
from mta.model.actions import Action, AddAttachment, ReplaceText, StripAttachments
from mta.relay.stamp.stamp import stamp_message
from mta.relay.stamp.templates.template_set import TemplateSet
from tests.shared import CorpusMessage, corpus
from tests.unit.relay.stamp.samples import context

pytestmark = pytest.mark.corpus
STRIP = StripAttachments(rule="r")
WORD, OTHER = "the", "xQz"
REPLACE = ReplaceText(rule="r", find=rf"\b{WORD}\b", is_regex=True, replacement=OTHER)


def changed(*actions: Action) -> Iterator[tuple[CorpusMessage, Message, Message, Sequence[str]]]:
    """Each message that may be touched, before and after, and what failed. The others stay as they are."""
    for entry in corpus():
        try:
            message = parse(entry.data)
        except LimitExceededError:
            continue
        kind = classify(message, False)
        found = stamp_message(message, kind, actions, context(), TemplateSet({}, {}))
        again = stamp_message(parse(entry.data), kind, actions, context(), TemplateSet({}, {}))
        assert found.edits == again.edits, entry.path
        if kind.untouchable:
            assert found.edits == (), entry.path
        else:
            yield entry, message, parse(joined(entry.data, found.edits)), [failed.error for failed in found.failed]


def leaves(root: Part, without: frozenset[int] = frozenset()) -> list[tuple[str, bytes]]:
    """Type and octets of the parts that hold something, but for some and what is inside them."""
    if id(root) in without:
        return []
    if root.is_multipart or root.encloses_message:
        return [leaf for child in root.children for leaf in leaves(child, without)]
    return [(root.content_type, root.raw_body)]


def stdlib_leaves(data: bytes) -> int:
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    return sum(not part.is_multipart() for part in message.walk())


def test_all_attachments_are_taken_out_and_all_else_stays() -> None:
    taken = left = 0
    for entry, before, after, failed in changed(STRIP):
        assert not failed, entry.path
        found = attachments(before)
        if not found:
            assert after.data == before.data, entry.path
            continue
        taken += 1
        rest = [each for each in attachments(after) if each.name != NOTICE_NAME]
        left += len(rest)
        stays = {each.part.raw_body for each in rest}
        gone = frozenset(id(each.part) for each in found if each.part.raw_body not in stays)
        kept = leaves(before.root, gone)
        assert [leaf for leaf in leaves(after.root) if leaf in kept] == kept, entry.path
        assert len(leaves(after.root)) <= len(kept) + len(gone), entry.path
        assert stdlib_leaves(bytes(after.data)) <= stdlib_leaves(entry.data), entry.path
    assert taken > 250
    assert left < 10  # TNEF, and pictures that the text shows


def test_one_is_added_to_each_message_once(tmp_path: Path) -> None:
    content = b"%PDF-1.4\n" + bytes(range(256)) * 20
    (tmp_path / "terms.pdf").write_bytes(content)
    add = AddAttachment(rule="r", file=str(tmp_path / "terms.pdf"), filename="Geschäftsbedingungen.pdf")
    added = other = 0
    for entry, before, after, failed in changed(add):
        assert not failed, entry.path
        found = [each for each in attachments(after) if each.octets == content]
        assert [each.name for each in found] == [add.filename], entry.path
        inside = leaves(after.root)
        added += 1
        # A delimiter at the very end of a message that breaks off opens an empty part once something follows it.
        is_whole = "a multipart is not closed" not in before.defects
        assert inside[:-1] == leaves(before.root) or not is_whole, entry.path
        assert joined(after.data, again(after, add)) == after.data, entry.path
        other += stdlib_leaves(bytes(after.data)) != stdlib_leaves(entry.data) + 1
    assert added > 1200
    assert other < 25  # the standard library ends broken headers elsewhere


def again(message: Message, action: Action) -> tuple[Edit, ...]:
    kind: Classification = classify(message, False)
    return stamp_message(message, kind, [action], context(), TemplateSet({}, {})).edits


def test_a_word_is_replaced_where_it_is_seen_and_nowhere_else() -> None:
    replaced = 0
    for entry, before, after, failed in changed(REPLACE):
        if failed:
            assert len(failed) == 1, entry.path
            continue
        shown, then = displayed(before), displayed(after)
        assert len(shown) == len(then), entry.path
        bodies = {id(body.part) for body in shown}
        assert leaves(before.root, frozenset(bodies)) == leaves(after.root, frozenset(id(b.part) for b in then))
        for old, new in zip(shown, then, strict=True):
            expected = re.sub(rf"\b{WORD}\b", OTHER, seen(old), flags=re.IGNORECASE | re.ASCII)
            found = seen(new)
            assert found.rstrip("\r\n") == expected.rstrip("\r\n"), entry.path
            replaced += OTHER in expected
            assert new.text.count("<") == old.text.count("<"), entry.path
    assert replaced > 400


def seen(body: TextBody) -> str:
    return VisibleText(body.text, is_html=body.is_html, is_flowed=body.is_flowed, is_delsp=body.is_delsp).text
