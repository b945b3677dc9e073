"""docs/tracking.md: its business rules are good and do what it says, and every word of rules is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from mta.model.person import Person
from mta.tracking.record import action_schema, load_business_rules, schema
from mta.tracking.record.wording import NAMES
from tests.unit.tracking.record.rule_desk import JANE, RuleDesk, rule_desk, rule_settings, write_rules
from tests.unit.tracking.scene import ANNA, mail

SECTION = re.search(
    r"^## Records and business rules\n(.*?)^## ",
    (Path(__file__).parents[4] / "docs" / "tracking.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
assert SECTION is not None
TEXT = SECTION[1]
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
SINKS = [{"kind": "webhook", "name": "desk", "url": "https://desk.example.com/in", "key": {"env": "K"}}]
MODELS: list[type[BaseModel]] = [
    schema.Conditions, schema.TextTests, schema.BodyTests, schema.SenderTests, schema.RecipientTests, schema.FieldTests,
    schema.AttachmentTests, action_schema.ActionEntry, action_schema.CreateAction, action_schema.UpdateAction,
    action_schema.ReopenAction, action_schema.NoteAction, action_schema.ReadFieldsAction, action_schema.NotifyAction,
    action_schema.CallAction,
]  # fmt: skip
KEYS = {field.alias or name for model in MODELS for name, field in model.model_fields.items()}


@pytest.mark.parametrize("word", sorted({*KEYS, *schema.KINDS, *NAMES}))
def test_every_word_is_explained(word: str) -> None:
    assert re.search(rf"[`{{ ({{]{re.escape(word)}[`}}:. ,]", TEXT), word


def write_examples(folder: Path) -> Path:
    for number, example in enumerate(EXAMPLES):
        write_rules(folder, example, f"{number}.yaml")
    return folder


def test_the_examples_are_good(tmp_path: Path) -> None:
    rules = load_business_rules(write_examples(tmp_path / "rules"), rule_settings(sinks=SINKS), {"ticket-opened"})
    assert len(EXAMPLES) == 3
    assert [rule.name for rule in rules.by_time] == ["four-hours", "done-and-gone"]


async def examples_desk(desk: RuleDesk) -> None:
    order = mail(to="orders@desk.example.com", subject="URGENT: order 17", body="Order number: 42\r\nCustomer: A&B\r\n")
    await desk.take(order)
    record = await desk.record()
    assert (str(record.transaction), record.title, record.requester) == ("case-1", "Order of Anna", ANNA)
    assert record.fields == {"from": "web", "order_number": "42", "customer": "A&B"}
    assert len(await desk.notes()) == 1
    (call,) = await desk.calls()
    assert call["event"] == "record.created"


async def test_the_first_example_does_what_it_says(tmp_path: Path) -> None:
    async with rule_desk(tmp_path, write_examples(tmp_path / "rules"), sinks=SINKS) as desk:
        await examples_desk(desk)


async def test_the_second_example_does_what_it_says(tmp_path: Path) -> None:
    create = "rules:\n- {name: first, when: {record: missing}, actions: [create]}\n"
    write_rules(tmp_path / "rules", create, "0.yaml")
    write_rules(tmp_path / "rules", EXAMPLES[1], "1.yaml")
    vip = Person(ANNA, groups=frozenset({"vip"}))
    async with rule_desk(tmp_path, tmp_path / "rules", people=[vip, JANE]) as desk:
        await desk.take(mail(subject="Order 17"))
        assert (await desk.record()).fields == {"priority": "high", "order": "17"}
