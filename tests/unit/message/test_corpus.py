"""Every message of the corpus: scanned within limits, and changed without touching anything else."""

from __future__ import annotations

import email
import email.message
import html
from collections.abc import Iterator

import pytest

from mta.message.body_text import Change, displayed
from mta.message.edit import CannotEditError, apply, joined
from mta.message.parse import LimitExceededError, Message, parse
from tests.shared import corpus
from tests.unit.message.changes import IN_ASCII, MARK, problems_of_change, tree_of
from tests.unit.message.samples import by_stdlib

pytestmark = pytest.mark.corpus

OVER_LIMITS = {
    "flanker/messages_enclosed-endless.eml": "MIME parts",
    "james/eml_mailWithManyHeaders.eml": "fields in a header",
}

# Where our tree is not that of Python's email package, and why.
DIFFERS_FROM_STDLIB = {
    # The package keeps all up to the ";" as the type.
    "enmime/mail_mime-bad-content-type.eml": "a parameter without a semicolon before it",
    "enmime/mail_mime-blank-media-name.eml": "a parameter without a semicolon before it",
    # The package opens an empty part behind a last delimiter that lacks its dashes.
    "james/eml_alternative.eml": "delimiter at the very end",
    "james/eml_filenameAndName.eml": "delimiter at the very end",
    "james/eml_filenameOnly.eml": "delimiter at the very end",
    "mail-parser-py/mails_mail_test_1.eml": "delimiter at the very end",
    "mail-parser-py/mails_mail_test_11.eml": "delimiter at the very end",
    "stalwart-mail-parser/malformed_014.eml": "delimiter at the very end",
    "zammad/mail_mail034.eml": "delimiter at the very end",
    "kmime/data_multipart-parse-abort-2.eml": "delimiter at the very end",
    # The package opens an empty part between two delimiter lines; no reader shows one.
    "mime4j/testmsgs_multipartemptypart.eml": "doubled delimiter",
    # The package ends the header at a line that is no field; we go on where unmistakable fields follow.
    "james/eml_mailWithLongHeaders.eml": "broken line inside the header",
    "james/eml_oneAttachmentWithSimpleContentType.eml": "broken line inside the header",
    "kmime/data_big-allocation.eml": "broken line inside the header",
    "kmime/data_bug519599.eml": "broken line inside the header",
    "mimekit/mbox_content-length.mbox.txt-0008.eml": "broken line inside the header",
    "php-mime-mail-parser/mails_issue84.eml": "broken line inside the header",
    "zammad/mail_mail054.eml": "broken line inside the header",
    "zammad/mail_mail068.eml": "broken line inside the header",
    # The package does not unfold the boundary.
    "mime4j/mimetools-testmsgs_multi-badnames.eml": "folded boundary",
    "mime4j/mimetools-testmsgs_multi-simple.eml": "folded boundary",
    "stalwart-mail-parser/thirdparty_012.eml": "folded boundary",
    # The package reads base64 as if it were a message.
    "mime4j/testmsgs_base64encoded-rfc822message.eml": "encoded message/rfc822",
    "msgreader/SampleFiles_TestWithAttachmentsAndInlines.eml": "encoded message/rfc822",
    "php-mime-mail-parser/mails_issue274.eml": "encoded message/rfc822",
    # `a----` closes the outer multipart for the package, though the inner one is named so.
    "stalwart-mail-parser/malformed_005.eml": "boundary that is another's closing delimiter",
}


def messages() -> Iterator[tuple[str, bytes, Message]]:
    for entry in corpus():
        if entry.path not in OVER_LIMITS:
            yield entry.path, entry.data, parse(entry.data)


def test_nothing_fails_but_what_is_over_a_limit() -> None:
    refused = {}
    for entry in corpus():
        try:
            message = parse(entry.data)
        except LimitExceededError as error:
            refused[entry.path] = error.what
        else:
            assert joined(entry.data, []) == entry.data
            assert b"".join(apply(entry.data, [])) == entry.data
            assert message.header("subject") == message.subject
    assert refused == OVER_LIMITS


def test_spans_nest_and_fields_cover_the_header() -> None:
    for path, data, message in messages():
        for part in message.root.walk():
            assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(data), path
            position = part.header_start
            for field in part.fields:
                assert field.start == position < field.end, path
                assert field.start <= field.value_start <= field.end, path
                position = field.end
            assert data[position : part.body_start] in (b"", b"\r\n"), path
            end = part.body_start
            for child in part.children:
                assert end <= child.header_start, path
                end = child.body_end
            assert end <= part.body_end, path


def test_the_tree_is_that_of_the_stdlib_but_for_known_differences() -> None:
    different = {path for path, data, message in messages() if tree_of(message.root) != _theirs(data)}
    assert different == set(DIFFERS_FROM_STDLIB)


def _theirs(data: bytes) -> object:
    return _their_tree(email.message_from_bytes(data))


def _their_tree(part: email.message.Message) -> object:
    kind = part.get_content_type()
    children = part.get_payload() if part.is_multipart() else []
    assert isinstance(children, list)
    if kind.startswith("message/") and kind not in ("message/rfc822", "message/global", "message/news"):
        children = []  # the package cuts reports into blocks of fields; for us they are one text
    return (kind, [_their_tree(child) for child in children if isinstance(child, email.message.Message)])


SEEN = (MARK.strip(), IN_ASCII.strip())
# Messages in which the email package does not find the mark, as it reads their header otherwise than we do.
UNREAD_BY_STDLIB = {
    # A line that is no field ends the header for the package; we go on where unmistakable fields follow.
    "james/eml_mailWithLongHeaders.eml",
    "james/eml_oneAttachmentWithSimpleContentType.eml",
    "mimekit/mbox_unmunged.mbox.eml",
    "php-mime-mail-parser/mails_issue84.eml",
    "ruby-mail/plain_emails_raw_email_incorrect_header.eml",
    "ruby-mail/rfc2822_example13.eml",
    "webklex-php-imap/messages_issue-40.eml",
    # White space behind `quoted-printable` makes it an unknown encoding for the package.
    "mailcore2/input_gh-965-utf8.eml",
    "ruby-mail/error_emails_content_transfer_encoding_qp_with_space.eml",
    # It sees no such part at all, as above.
    "mime4j/mimetools-testmsgs_multi-badnames.eml",
    "mime4j/mimetools-testmsgs_multi-simple.eml",
    "stalwart-mail-parser/malformed_005.eml",
}
# Where the mark can't be put in, and why.
NOT_BASE64 = "the body is not base64, as it says"
REFUSED: dict[str, set[str]] = {
    NOT_BASE64: {
        "enmime/mail_mime-bad-content-transfer-encoding.eml",
        "stalwart-mail-parser/thirdparty_002.eml",
    },
}


def _places(text: str) -> list[int]:
    """The beginning, the end, and a place inside that is not between CR and LF."""
    return sorted({0, max(text.find("\r\n", len(text) // 2), 0), len(text) // 2, len(text)})


def test_a_change_in_each_displayed_text_touches_nothing_else() -> None:
    refused: dict[str, set[str]] = {}
    unread: set[str] = set()
    problems: list[str] = []
    for path, data, message in messages():
        for index, body in enumerate(displayed(message)):
            for place in _places(body.text):
                try:
                    edits = body.change([Change(place, place, MARK)])
                except CannotEditError as error:
                    refused.setdefault(str(error), set()).add(path)
                    continue
                after = parse(joined(data, edits))
                where = f"{path} body {index} at {place}"
                problems += [
                    f"{where}: {problem}" for problem in problems_of_change(message, body, place, after, index)
                ]
                texts = [html.unescape(text) for text in by_stdlib(bytes(after.data))]
                if place == len(body.text) and not any(mark in text for text in texts for mark in SEEN):
                    unread.add(path)
    assert problems == []
    assert refused == REFUSED
    assert unread == UNREAD_BY_STDLIB
