"""Notices with the organisation's real templates, and without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mta.app.notices import NoticeTemplates
from mta.config.load import load_configuration
from mta.message.letters import CannotWriteError
from mta.tracking.notify import NoticeContext
from tests.servers.relay import Relay
from tests.unit.tracking.record.rule_desk import DESK_RULES, rule_desk
from tests.unit.tracking.scene import NOW, mail

PROJECT = Path(__file__).parents[4]


@pytest.fixture
def templates(tmp_path: Path) -> NoticeTemplates:
    relay = Relay(tmp_path / "relay", 9)
    relay.settings["organisation"]["templates"] = str(PROJECT / "templates")
    relay.write_settings()
    (organisation,) = load_configuration(relay.configuration).every_organisation
    return NoticeTemplates(organisation)


async def test_the_desks_template_tells_number_and_page(tmp_path: Path, templates: NoticeTemplates) -> None:
    async with rule_desk(tmp_path, DESK_RULES) as desk:
        desk.desk = replace(desk.desk, render=templates)
        await desk.take(mail(subject="Printer <script>"))
        message = (await desk.mails())[0]
        assert message["subject"] == "[Ticket - 000001] Printer <script>"
        text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
        assert text is not None
        assert html is not None
        assert (
            "It is Ticket 000001 now.\r\nYou can see it at https://help.example.com/ticket/1\r\n" in text.get_content()
        )
        assert 'href="https://help.example.com/ticket/1"' in html.get_content()
        assert "<strong>Example Ltd</strong>" in html.get_content()


def test_a_template_that_is_gone_is_said(templates: NoticeTemplates) -> None:
    with pytest.raises(CannotWriteError, match="no template gone"):
        templates("gone", NoticeContext({}, NOW, ""))
