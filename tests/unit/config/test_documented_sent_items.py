"""What the documents show of `sent_items` is configuration that the relay takes, and what they explain is all."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from mta.config.sentitems_schema import SentItemsSettings
from mta.sentitems import reasons

DOCUMENTS = Path(__file__).parents[3] / "docs"
_BLOCK = re.compile(r"^ *```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def shown() -> list[tuple[str, str]]:
    """Document and YAML of each block that names `sent_items`."""
    return [
        (path.name, dedent(block))
        for path in sorted(DOCUMENTS.glob("*.md"))
        for block in _BLOCK.findall(path.read_text(encoding="utf-8"))
        if "sent_items:" in block
    ]


@pytest.mark.parametrize(("name", "block"), [pytest.param(*entry, id=entry[0]) for entry in shown()])
def test_what_is_shown_is_taken(name: str, block: str) -> None:
    value = yaml.safe_load(block)
    settings = value.get("organisation", value)["sent_items"]
    assert SentItemsSettings.model_validate(settings).servers


def test_every_reason_is_explained() -> None:
    known = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}
    table = (DOCUMENTS / "sent-items.md").read_text(encoding="utf-8").partition("| reason |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert sorted(word for row in rows for word in re.findall("`([a-z-]+)`", row)) == sorted(known)
    assert all(map(reasons.explained, known))


def test_each_page_shows_one() -> None:
    names = {name for name, _ in shown()}
    assert {"exchange-on-premises.md", "exchange-online.md", "hybrid.md", "sent-items.md"} <= names
