"""Digests: once for each of their times, over restarts; what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.config.tracking_schema import Digest
from mta.tracking.notify import digests_due
from mta.tracking.notify.digest import last_slot
from tests.unit.tracking.record.rule_desk import RuleDesk, Templates, rule_desk
from tests.unit.tracking.scene import SUPPORT, mail

RULES = """rules:
- {name: new, when: {outcome: new}, actions: [create, note]}
- {name: late, when: {state: open, older_than: 12h}, actions: [close], mode: audit}
"""
MORNING = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)  # a Monday


def digest(**changes: Any) -> dict[str, Any]:
    return {"name": "open", "to": ["boss@example.com"], "timezone": "UTC", **changes}


async def due(desk: RuleDesk, now: datetime) -> int:
    return await digests_due(desk.desk, desk.store, now)


@pytest.mark.parametrize(
    ("now", "changes", "slot"),
    [
        (MORNING, {}, MORNING),
        (MORNING - timedelta(minutes=1), {}, MORNING - timedelta(days=3)),
        (MORNING + timedelta(hours=30), {}, MORNING + timedelta(days=1)),
        (MORNING, {"weekdays": ["wed"]}, MORNING - timedelta(days=5)),
        (MORNING, {"timezone": "America/New_York"}, datetime(2026, 11, 20, 12, 0, tzinfo=UTC)),
        (datetime(2026, 3, 30, 8, 0, tzinfo=UTC), {"timezone": "Europe/Berlin"}, datetime(2026, 3, 30, 5, tzinfo=UTC)),
        (datetime(2026, 3, 27, 8, 0, tzinfo=UTC), {"timezone": "Europe/Berlin"}, datetime(2026, 3, 27, 6, tzinfo=UTC)),
    ],
)
def test_the_last_of_its_times(now: datetime, changes: dict[str, Any], slot: datetime) -> None:
    assert last_slot(Digest.model_validate(digest(**changes)), now) == slot


async def test_a_digest_is_made_once_for_each_of_its_times(tmp_path: Path) -> None:
    async with rule_desk(tmp_path, RULES, digests=[digest()]) as desk:
        assert await due(desk, MORNING - timedelta(hours=1)) == 0
        assert await due(desk, MORNING - timedelta(minutes=1)) == 0
        assert await due(desk, MORNING) == 1
        assert await due(desk, MORNING + timedelta(minutes=1)) == 0
        assert await due(desk, MORNING + timedelta(days=3)) == 1
        assert len(await desk.tasks()) == 2


async def test_a_time_that_died_between_mails_and_note_is_not_told_twice(tmp_path: Path) -> None:
    async with rule_desk(tmp_path, RULES, digests=[digest()]) as desk:
        await due(desk, MORNING - timedelta(hours=1))
        await due(desk, MORNING)
        await desk.store.note_run("digest:Example:open", MORNING - timedelta(hours=1))
        assert await due(desk, MORNING + timedelta(minutes=2)) == 1
        assert len(await desk.tasks()) == 1


async def test_a_clock_that_is_set_back_loses_no_digest_and_makes_none_twice(tmp_path: Path) -> None:
    async with rule_desk(tmp_path, RULES, digests=[digest()]) as desk:
        await due(desk, MORNING - timedelta(hours=1))
        assert await due(desk, MORNING) == 1
        await due(desk, MORNING - timedelta(minutes=3))
        await due(desk, MORNING)
        assert len(await desk.tasks()) == 1
        assert await due(desk, MORNING + timedelta(days=366)) == 1
        assert await due(desk, MORNING + timedelta(minutes=9)) == 0
        assert await due(desk, MORNING + timedelta(days=1)) == 1


async def test_it_counts_and_lists_what_is_open_and_overdue(tmp_path: Path) -> None:
    async with rule_desk(tmp_path, RULES, digests=[digest(to=["boss@example.com", SUPPORT])]) as desk:
        await desk.take(mail(subject="<b>Old</b>"))
        desk.now = MORNING - timedelta(hours=1)
        await desk.take(mail(subject="New", message_id="<2@x.example>"))
        await due(desk, MORNING - timedelta(hours=1))
        await due(desk, MORNING)
        (message,) = await desk.mails()
        assert (message["to"], message["subject"]) == ("boss@example.com", "2 open, 1 overdue")
        text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
        assert text is not None
        assert html is not None
        assert "Ticket 000001  open  jane@desk.example.com  19 h  overdue  <b>Old</b>" in text.get_content()
        assert "Ticket 000002  open  jane@desk.example.com  1 h  New" in text.get_content()
        assert "ticket, open: 2" in text.get_content()
        assert "&lt;b&gt;Old&lt;/b&gt;" in html.get_content()
        assert "<b>" not in html.get_content()


async def test_a_template_gets_the_records_and_our_own_words_stand_in(tmp_path: Path) -> None:
    digests = [digest(template="list"), digest(name="gone", template="gone")]
    templates = Templates(list="{digest.total} {digest.overdue}")
    async with rule_desk(tmp_path, RULES, templates=templates, digests=digests) as desk:
        await desk.take(mail())
        await due(desk, MORNING - timedelta(hours=1))
        await due(desk, MORNING)
        first, second = await desk.mails()
        assert first.get_content().strip() == "1 1"
        assert second["subject"] == "1 open, 1 overdue"
        records = templates.seen[0].values["digest"]["records"]
        assert [(row["title"], row["overdue"]) for row in records if isinstance(row, dict)] == [("Printer", "yes")]
