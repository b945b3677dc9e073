"""Business rules that ask whether a message's author wrote it, of mail that no server vouches for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.authenticate.author import DkimProver
from tests.unit.authenticate.zones import Zones
from tests.unit.tracking.correlate.signed_mail import PUBLISHED, FixedClock, policy_of, signed
from tests.unit.tracking.record.rule_desk import RuleDesk, rule_desk
from tests.unit.tracking.scene import AGENT, ANNA, mail

CUSTOMER = ANNA.partition("@")[2]
ASKING = """
rules:
  - name: proven
    when: {sender: {authenticated: true}}
    actions: [{create: {title: proven}}]
  - name: not-proven
    unless: {sender: {authenticated: true}}
    actions: [{create: {title: not proven}}]
"""
NOT_ASKING = "rules: [{name: all, actions: [{create: {title: taken}}]}]"


def verify(desk: RuleDesk) -> Zones:
    dns = Zones({**PUBLISHED, **policy_of(CUSTOMER)})
    desk.equip(prover=DkimProver(dns, FixedClock(), timeout_s=5))
    return dns


@pytest.mark.parametrize(("is_signed", "title"), [(True, "proven"), (False, "not proven")])
async def test_who_wrote_is_found_out_for_rules_that_ask(is_signed: bool, title: str, tmp_path: Path) -> None:
    async with rule_desk(tmp_path, ASKING) as desk:
        verify(desk)
        await desk.take(signed(mail(), CUSTOMER) if is_signed else mail())
        assert (await desk.record()).title == title


async def test_it_is_not_asked_where_no_rule_does_and_what_no_rule_sees(tmp_path: Path) -> None:
    async with rule_desk(tmp_path / "a", NOT_ASKING) as desk:
        dns = verify(desk)
        await desk.take(signed(mail(), CUSTOMER))
        assert not dns.asked
        assert len(await desk.records()) == 1
    async with rule_desk(tmp_path / "b", ASKING) as desk:
        dns = verify(desk)
        await desk.take(mail(subject="Undeliverable: Printer"))
        assert not dns.asked


async def test_the_owner_is_told_why_a_message_is_held(tmp_path: Path) -> None:
    async with rule_desk(tmp_path, NOT_ASKING) as desk:
        verify(desk)
        await desk.take(mail())
        taken = await desk.take(mail(message_id="<2@customer.example.net>", in_reply_to="<new-1@customer.example.net>"))
        assert (taken.state.value, taken.reason) == ("pending", "unproven-sender")
        (notice,) = await desk.mails()
        assert AGENT in notice["to"]
        why = f"Nothing proves that it is from there ({CUSTOMER} has a DMARC policy, and the message has no DKIM"
        assert why in " ".join(notice.get_content().split())
