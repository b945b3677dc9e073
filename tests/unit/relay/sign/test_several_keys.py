"""Two signatures on one message, Ed25519, and what a signature says of itself."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from mta.config.signing_keys import DkimKeyError, private_key
from mta.relay.sign import Signer
from tests.unit.relay.sign.signing import ED25519, HARD, NOW, RSA, Keys, pem_of, signed

MESSAGE = HARD["folded"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


def _tag(field: bytes, name: bytes) -> bytes:
    match = re.search(rb"[;\s]" + name + rb"=([^;]*)", field)
    return re.sub(rb"\s", b"", match[1]) if match else b""


async def test_an_ed25519_key_signs_beside_the_rsa_key(keys: Keys) -> None:
    first, second = keys.both().sign("example.com", [MESSAGE], NOW)
    assert (first.selector, _tag(first.field, b"a")) == (RSA, b"rsa-sha256")
    assert (second.selector, _tag(second.field, b"a")) == (ED25519, b"ed25519-sha256")
    content = first.field + second.field + MESSAGE
    assert await keys.our_verdicts(content) == {RSA: "pass", ED25519: "pass"}
    assert await keys.our_verdicts(content.replace(b"text", b"test")) == {RSA: "fail", ED25519: "fail"}


async def test_one_signature_does_not_cover_the_other(keys: Keys) -> None:
    """Whoever knows one kind only, or a server that takes one out, leaves the other valid."""
    first, second = keys.both().sign("example.com", [MESSAGE], NOW)
    assert await keys.our_verdicts(first.field + MESSAGE) == {RSA: "pass"}
    assert await keys.our_verdicts(second.field + MESSAGE) == {ED25519: "pass"}


def test_both_kinds_give_the_same_bytes_each_time(keys: Keys) -> None:
    assert keys.both().sign("example.com", [MESSAGE], NOW) == keys.both().sign("example.com", [MESSAGE], NOW)


@pytest.mark.parametrize(
    ("selector", "used"),
    [("", ["a", "always"]), ("b", ["b", "always"]), ("always", ["always"]), ("gone", ["a", "always"])],
    ids=["usual", "another", "itself", "unknown"],
)
def test_a_rule_takes_the_first_keys_place_only(keys: Keys, selector: str, used: list[str]) -> None:
    several = [
        keys.settings(selector="a"),
        keys.settings(selector="b"),
        keys.settings(ED25519, selector="always", signs="always"),
        keys.settings(domain="example.org", selector="elsewhere", signs="always"),
    ]
    made = Signer.from_config(several).sign("example.com", [MESSAGE], NOW, selector=selector)
    assert [signature.selector for signature in made] == used


async def test_an_expiry_counts_from_acceptance(keys: Keys) -> None:
    content = signed(keys.signer(expires_after=timedelta(days=7)), MESSAGE)
    assert int(_tag(content, b"x")) - int(_tag(content, b"t")) == 7 * 86400
    assert keys.dkimpy_verifies(signed(keys.signer(expires_after=timedelta(days=36500)), MESSAGE))
    assert await keys.our_verdicts(content, NOW + timedelta(days=7)) == {RSA: "pass"}
    assert await keys.our_verdicts(content, NOW + timedelta(days=7, seconds=1)) == {RSA: "fail"}


def test_no_tag_that_says_more_or_less_than_it_should(keys: Keys) -> None:
    """i= would speak for a mailbox, l= would leave room for additions; without expires_after there is no x=."""
    for made in keys.both().sign("example.com", [MESSAGE], NOW):
        tags = re.findall(rb"[;\s:]([a-z]{1,2})=", made.field)
        assert tags == [b"v", b"a", b"c", b"d", b"s", b"t", b"h", b"bh", b"b"]


@pytest.mark.parametrize(
    ("field", "breaks"),
    [
        (b"To: eve@example.org", True),
        (b"Cc: eve@example.org", True),
        (b"Reply-To: eve@example.org", True),
        (b"Subject: another", True),
        (b"From: eve@example.org", True),
        (b"Date: Mon, 23 Nov 2026 10:00:00 +0000", True),
        (b"Sender: list@example.org", False),
        (b"List-Id: <l.example.org>", False),
        (b"Resent-From: b@example.org", False),
        (b"Received: by z; Sun, 22 Nov 2026 10:00:01 +0000", False),
        (b"X-Stampline-Processed: v=1", False),
    ],
    ids=lambda value: value.partition(b":")[0].decode() if isinstance(value, bytes) else None,
)
def test_what_may_be_added_on_the_way(keys: Keys, field: bytes, breaks: bool) -> None:
    content = signed(keys.signer(), MESSAGE)
    assert keys.dkimpy_verifies(content)
    assert keys.dkimpy_verifies(field + b"\r\n" + content) is not breaks


@pytest.mark.parametrize("name", [b"Sender", b"Message-ID", b"Content-Type"], ids=lambda name: name.decode())
def test_nothing_is_added_to_a_name_that_stands(keys: Keys, name: bytes) -> None:
    content = signed(keys.signer(), name + b": x\r\n" + MESSAGE)
    assert keys.dkimpy_verifies(content)
    assert not keys.dkimpy_verifies(name + b": y\r\n" + content)


def test_a_second_resent_block_breaks_nothing_and_a_changed_one_does(keys: Keys) -> None:
    content = signed(keys.signer(), b"Resent-From: b@example.com\r\n" + MESSAGE)
    assert keys.dkimpy_verifies(b"Resent-From: c@example.org\r\n" + content)
    assert not keys.dkimpy_verifies(content.replace(b"Resent-From: b", b"Resent-From: c"))


def test_oversign_names_what_is_missing(keys: Keys) -> None:
    signer = keys.signer(headers=("subject",), oversign=("Subject", "X-Missing", "list-id"))
    (made,) = signer.sign("example.com", [b"List-Id: <l>\r\n" + MESSAGE], NOW)
    assert _tag(made.field, b"h") == b"from:from:subject:subject:list-id:list-id:x-missing"
    (made,) = keys.signer(headers=("subject",), oversign=()).sign("example.com", [b"X: y\r\n\r\n"], NOW)
    assert _tag(made.field, b"h") == b"from"


def test_keys_with_different_fields_sign_their_own(keys: Keys) -> None:
    several = [
        keys.settings(headers=("subject",), oversign=()),
        keys.settings(ED25519, signs="always", headers=("to",), oversign=()),
    ]
    first, second = Signer.from_config(several).sign("example.com", [MESSAGE], NOW)
    assert _tag(first.field, b"h") == b"from:from:subject:subject"
    assert _tag(second.field, b"h") == b"from:from:to:to"


def test_domains_are_those_with_a_key(keys: Keys) -> None:
    assert Signer.from_config([keys.settings(domain="Sales.Example.com")]).domains == {"sales.example.com"}
    assert Signer.from_config([]).domains == frozenset()


def test_short_and_overlong_keys_are_refused() -> None:
    assert private_key(pem_of(generate_private_key(65537, 1024)))
    with pytest.raises(DkimKeyError, match="has 4104 bits"):
        private_key(pem_of(generate_private_key(65537, 4104)))
