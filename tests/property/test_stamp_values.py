# ruff: noqa: E501 - samples stand on one line
"""No directory value, however strange, adds markup to HTML, lines to text or fields to the header."""

from __future__ import annotations

from email import message_from_bytes, policy
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mta.message.html.scan import attributes, tokens
from mta.model.actions import SetHeader, TagSubject
from mta.model.person import Person
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from mta.relay.stamp.templates.values import one_line
from tests.unit.relay.stamp.samples import JANE, alternative, context, stamp, stamped, write_templates

VALUES = st.text() | st.lists(
    st.sampled_from(["<", ">", '"', "'", "&", "--", "{{", "}}", "{%", "\r\n", "\n\n", "\x00", "\u2028", "x", "</div>", "\ud800"])
).map("".join)  # fmt: skip
SOURCE = (
    "<p title=\"{{ sender.title }}\" class='{{ sender.title }}'>[{{ sender.title }}]</p><!-- {{ sender.title }} -->"
    '<a href="{{ sender.title }}">x</a>'
)


@cache
def chosen() -> TemplateSet:
    folder = write_templates(
        Path(mkdtemp()), {"t/signature.html.j2": SOURCE, "t/signature.txt.j2": "[{{ sender.title }}]\n|"}
    )
    return load_templates(folder)


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_html_and_text_keep_their_shape(value: str) -> None:
    given_context = context(Person(JANE.address, attributes={"title": value}))
    message = message_from_bytes(
        stamped(alternative("Hi\n", "<body>Hi</body>\n"), [stamp("t")], chosen(), given_context), policy=policy.default
    )
    text, source = (part.get_content().replace("\r\n", "\n") for part in message.iter_parts())
    found = list(tokens(source))
    # The first words stand in an anchor, which marks the stamp.
    assert [token.name for token in found] == ["body", "div", "p", "a", "a", "p", "", "a", "a", "div", "body"]
    assert list(attributes(found[2].attributes)) == ["title", "class"]
    assert attributes(found[7].attributes)["href"].partition(":")[0].lower() not in ("javascript", "data", "vbscript")
    assert len(text.split("\n")) == 5


@given(VALUES)
@example("\U00018cd6\r\x1b")
def test_a_value_is_one_line(value: str) -> None:
    line = one_line(value)
    assert len(line.splitlines()) <= 1
    assert "\x00" not in line
    assert one_line(line) == line


@given(VALUES, st.sampled_from(["X-Department", "Subject", "Reply-To"]))
@settings(max_examples=150, deadline=None)
def test_the_header_keeps_its_fields(value: str, name: str) -> None:
    data = alternative("Hi\n", "<p>Hi</p>\n")
    actions = [SetHeader(name=name, value=value.encode(errors="replace").decode()), TagSubject(text="[x]")]
    names = {key.lower() for key in message_from_bytes(stamped(data, actions, chosen())).keys()}  # noqa: SIM118
    before = {key.lower() for key in message_from_bytes(data).keys()}  # noqa: SIM118
    assert names <= before | {name.lower()}
