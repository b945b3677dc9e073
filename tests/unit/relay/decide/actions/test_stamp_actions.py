"""Rules that stamp and that remove stamps."""

from __future__ import annotations

import pytest

from mta.config.problems import ConfigurationError
from mta.model.actions import RemoveStamps, Stamp, action_from_json, action_to_json
from tests.unit.relay.decide.situation import Situation, actions_of, rule


@pytest.mark.parametrize(
    ("written", "templates"),
    [("all", ()), ("corporate", ("corporate",)), ("[corporate, dear]", ("corporate", "dear")),
     ("{templates: [dear]}", ("dear",)), ("{templates: all}", ())],
)  # fmt: skip
def test_remove_stamps(written: str, templates: tuple[str, ...]) -> None:
    (action,) = actions_of(Situation().decide(rule(actions=f"[remove-stamps: {written}]")))
    assert action == RemoveStamps(templates=templates)
    assert action_from_json(action_to_json(action)) == action


def test_an_unknown_template_is_reported() -> None:
    with pytest.raises(ConfigurationError, match="there is no template 'corporat'"):
        Situation().decide(rule(actions="[remove-stamps: [corporat]]"))


def test_html_is_made_if_asked_for() -> None:
    asked, plain = (
        actions_of(Situation().decide(rule(actions=f"[stamp: {{template: corporate{more}}}]")))[0]
        for more in (", make_html: true", "")
    )
    assert isinstance(asked, Stamp)
    assert isinstance(plain, Stamp)
    assert (asked.make_html, plain.make_html) == (True, False)
