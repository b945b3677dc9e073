"""Signatures through all stages: what is signed, by which keys, and what becomes of signatures that came with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from mta.message.parse import parse
from tests.servers.relay import Relay
from tests.unit.relay.sign.signing import ED25519, RSA, Keys
from tests.unit.relay.test_pipeline import MESSAGE, STRANGER, World, open_world

OF_OURS = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=second-relay;\r\n\th=from; bh=AA==; b=AA==\r\n"
OF_A_PARTNER = b"DKIM-Signature: v=1; a=rsa-sha256; d=partner.example;\r\n s=x; h=from;  bh=AA==; b=AA==\r\n"
STAMP = "rules:\n- {name: r, actions: [{set-header: {name: X-Stamped, value: 'yes'}}]}\n"
Open = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def at_work(tmp_path: Path, keys: Keys) -> Open:
    """Opens the relay with both keys and these settings of the organisation."""
    relay = Relay(tmp_path / "relay", 1)

    def opened(rules: str = "rules: []\n", **settings: Any) -> AbstractAsyncContextManager[World]:
        both = [
            {"domain": "example.com", "selector": kind, "key": {"file": str(keys.path(kind))}, "signs": signs}
            for kind, signs in ((RSA, "first"), (ED25519, "always"))
        ]
        relay.settings["organisation"] |= {"dkim": both} | settings
        relay.write_settings()
        relay.write_rules(rules)
        return open_world(tmp_path, relay)

    return opened


async def _copy(world: World, content: bytes, **submission: Any) -> bytes:
    await world.submit(content, "bob@example.net", **submission)
    await world.finish()
    return world.copy_for("bob@example.net")


def _signatures(content: bytes) -> list[bytes]:
    message = parse(content)
    return [content[field.start : field.end] for field in message.fields_named("dkim-signature")]


@pytest.mark.parametrize("rules", ["rules: []\n", STAMP], ids=["as-it-is", "changed"])
async def test_both_keys_sign_what_leaves(at_work: Open, keys: Keys, rules: str) -> None:
    async with at_work(rules) as world:
        copy = await _copy(world, MESSAGE)
    assert await keys.our_verdicts(copy) == {RSA: "pass", ED25519: "pass"}


async def test_signatures_of_before_are_kept(at_work: Open) -> None:
    async with at_work(STAMP) as world:
        signatures = _signatures(await _copy(world, OF_OURS + OF_A_PARTNER + MESSAGE))
    assert signatures[2:] == [OF_OURS, OF_A_PARTNER]


@pytest.mark.parametrize("rules", ["rules: []\n", STAMP], ids=["as-it-is", "changed"])
async def test_ours_of_before_are_removed_and_those_of_others_stay_to_the_octet(
    at_work: Open, keys: Keys, rules: str
) -> None:
    async with at_work(rules, existing_signatures="remove") as world:
        copy = await _copy(world, OF_OURS + OF_A_PARTNER + OF_OURS + MESSAGE)
    assert _signatures(copy)[2:] == [OF_A_PARTNER]
    assert (await keys.our_verdicts(copy))[RSA] == "pass"


async def test_nothing_is_removed_from_what_we_do_not_sign(at_work: Open) -> None:
    """Mail from outside that claims to be ours may carry a signature of ours, and a valid one at that."""
    async with at_work(STAMP, existing_signatures="remove") as world:
        await world.submit(OF_OURS + MESSAGE, "john@example.com", client=STRANGER, sender="jane@example.com")
        await world.finish()
        assert _signatures(world.copy_for("john@example.com")) == [OF_OURS]
    async with at_work(STAMP, existing_signatures="remove", dkim=[]) as world:
        assert _signatures(await _copy(world, OF_OURS + MESSAGE)) == [OF_OURS]


async def test_a_signature_expires_as_configured(at_work: Open, keys: Keys) -> None:
    key = {"domain": "example.com", "selector": RSA, "key": {"file": str(keys.path(RSA))}, "expires_after": "7d"}
    async with at_work(dkim=[key]) as world:
        (signature,) = _signatures(await _copy(world, MESSAGE))
    times = {
        tag.strip()[:1]: int(tag.strip()[2:]) for tag in signature.split(b";") if tag.strip()[:2] in (b"t=", b"x=")
    }
    assert times[b"x"] - times[b"t"] == 7 * 86400


async def test_several_authors_stay_unsigned(at_work: Open) -> None:
    for content in (
        MESSAGE.replace(b"Jane Doe <jane@example.com>", b"jane@example.com, john@example.com"),
        b"From: john@example.com\r\n" + MESSAGE,
    ):
        async with at_work() as world:
            assert _signatures(await _copy(world, content)) == []
