"""Plug-ins that return nonsense, never end, or leave: that is their rule's failure, and nobody's mail is lost."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from mta.config.problems import ConfigurationError
from mta.model.actions import (
    Action,
    AddRecipients,
    AutoRespond,
    Defer,
    Drop,
    NameRecipients,
    Notify,
    OnError,
    Place,
    Redirect,
    Reject,
    SetHeader,
    Stamp,
    TagSubject,
)
from mta.model.decision import Decision
from mta.relay.decide import Outcome
from mta.relay.decide.actions.plugins import View
from tests.unit.relay.decide.situation import Situation, actions_of, rule

SAID: list[Callable[[View], Iterable[Any]]] = []
TWO = Situation(to=("buyer@customer.example", "john@example.com"))


def plugin(view: View) -> Iterable[Any]:
    return SAID[-1](view)


class Leaving:
    def __init__(self, options: dict[str, Any]) -> None:
        sys.exit(1)


@pytest.fixture
def saying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Decides under a rule whose plug-in does that."""
    info = tmp_path / "nonsense-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nonsense\nVersion: 1.0\n")
    names = "".join(f"{name} = {__name__}:{name}\n" for name in ("plugin", "Leaving"))
    (info / "entry_points.txt").write_text(f"[stampline.actions]\n{names}")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def decided(what: Callable[[View], Iterable[Any]], situation: Situation = TWO) -> Outcome:
        SAID.append(what)
        return situation.decide(rule(actions="[plugin: plugin]"))

    return decided


def wrong(**values: Any) -> Any:
    """Values of types that mypy would not let pass."""
    return values


@pytest.mark.parametrize(
    "action",
    [
        Reject(code=250),
        Reject(text="No\r\n250 Ok"),
        Reject(status="2.0.0"),
        Defer(text="No\r\n250 Ok"),
        Redirect(addresses=()),
        AddRecipients(addresses=()),
        Notify(template="corporate", to=()),
        NameRecipients(addresses=("john@example.com",), header="bcc"),
        SetHeader(name="X-A\r\nBcc", value="x"),
        AutoRespond(template="corporate", limit=0),
        AutoRespond(template="corporate", period_s=10**15),
        TagSubject(**wrong(text=None)),
        SetHeader(**wrong(name="X-A", value=object())),
        SetHeader(**wrong(name=7, value="x")),
        Stamp(**wrong(template="corporate", place="nowhere")),
        AddRecipients(**wrong(addresses=None)),
        AddRecipients(**wrong(addresses=[7])),
    ],
    ids=lambda action: action.kind,
)
def test_an_action_that_can_not_be_carried_out_fails_the_rule(saying: Callable[..., Outcome], action: Action) -> None:
    outcome = saying(lambda view: [action])
    assert {failure.on_error for failure in outcome.failures} == {OnError.DELIVER_UNSTAMPED}
    assert outcome.reply is None
    assert len(outcome.decision.recipients) == len(TWO.to)
    assert [entry.actions for entry in outcome.decision.recipients] == [(), ()]
    assert not any(entry.is_redirected for entry in outcome.decision.recipients)


def test_lists_and_words_are_taken_for_what_they_mean(saying: Callable[..., Outcome]) -> None:
    outcome = saying(
        lambda view: [
            Notify(**wrong(template="corporate", to=["john@example.com"])),
            AddRecipients(**wrong(addresses=["boss@example.com"])),
            Stamp(**wrong(template="corporate", place="top", formats=["plain"])),
        ]
    )
    assert outcome.failures == ()
    (stamp,) = actions_of(outcome)
    assert isinstance(stamp, Stamp)
    assert (stamp.place, stamp.formats) == (Place.TOP, ("plain",))
    assert Decision.from_json(json.loads(json.dumps(outcome.decision.to_json()))) == outcome.decision


def test_one_that_never_ends_is_stopped(saying: Callable[..., Outcome]) -> None:
    outcome = saying(lambda view: itertools.repeat(Drop()))
    assert [failure.error for failure in outcome.failures] == ["plug-in plugin: more than 100 actions"] * 2
    assert actions_of(outcome) == ()


def test_one_that_leaves_does_not_take_the_relay_along(saying: Callable[..., Outcome]) -> None:
    outcome = saying(lambda view: sys.exit(1))
    assert [failure.error for failure in outcome.failures] == ["plug-in plugin: SystemExit"] * 2


def test_one_that_leaves_while_it_is_made_is_reported(saying: Callable[..., Outcome]) -> None:
    with pytest.raises(ConfigurationError, match="can't be loaded: SystemExit"):
        Situation().decide(rule(actions="[plugin: Leaving]"))
