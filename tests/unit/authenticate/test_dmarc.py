"""DMARC by RFC 9989: where policies are found, what aligns, and what is no answer."""

from __future__ import annotations

from typing import Any

import pytest

from mta.authenticate.dmarc import DmarcResult, Policy, author_domain, find_policy, judge
from mta.authenticate.dmarc_record import UnknownForNowError, Walks, read_dmarc
from mta.authenticate.spf import SpfResult
from mta.message.parse import parse
from mta.model.authentication import SignatureResult
from tests.unit.authenticate.zones import TIMEOUT, Zones

NO_SPF = SpfResult("none", "example.net")


def zones(**records: Any) -> Zones:
    """Policy records by domain, `_` for the dot."""
    entries = {
        f"_dmarc.{name.replace('_', '.')}": value if value == TIMEOUT else [("TXT", each) for each in _list(value)]
        for name, value in records.items()
    }
    return Zones(entries)


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


async def policy(domain: str, source: Zones) -> Policy | None:
    return await find_policy(domain, Walks(source), source)


async def result(
    domain: str, source: Zones, spf: SpfResult = NO_SPF, signatures: tuple[SignatureResult, ...] = ()
) -> str:
    walks = Walks(source)
    found = await find_policy(domain, walks, source)
    assert found is not None
    return (await judge(found, spf, signatures, walks)).result


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("v=DMARC1; p=reject", ("reject", "reject", "reject")),
        ("v=DMARC1;p=quarantine;sp=none;np=reject;", ("quarantine", "none", "reject")),
        ("v = DMARC1 ; p = reject", ("reject", "reject", "reject")),
        ("v=DMARC1; P=reject", ("none", "none", "none")),
        ("v=DMARC1; p=reject; sp=quarantine", ("reject", "quarantine", "quarantine")),
        ("v=DMARC1; rua=mailto:a@example.com", ("none", "none", "none")),
        ("v=DMARC1; p=Reject; unknown=1; pct=50", ("reject", "reject", "reject")),
        ("v=DMARC1; p=deny; rua=mailto:a@example.com", ("none", "none", "none")),
    ],
)
def test_records(record: str, words: tuple[str, str, str]) -> None:
    read = read_dmarc(record.encode())
    assert read is not None
    assert (read.policy, read.below, read.not_there) == words


@pytest.mark.parametrize(
    "record",
    ["", "v=DMARC2; p=reject", "v=DMARC11; p=reject", "p=reject; v=DMARC1", "v=DMARC1; p=deny", "v=DMARC1 p=reject",
     "v=DMARC1; p=none; p=none", "v=spf1 -all", "v=DMARC1; p=none; x" + "x" * 9000],
)  # fmt: skip
def test_what_is_no_record(record: str) -> None:
    assert read_dmarc(record.encode()) is None


async def test_a_domain_without_policy() -> None:
    assert await policy("mail.example.com", zones(example_org="v=DMARC1; p=reject")) is None


@pytest.mark.parametrize(
    ("domain", "records", "organisational", "asked_for"),
    [
        ("example.com", {"example_com": "v=DMARC1; p=reject"}, "example.com", "reject"),
        ("a.example.com", {"example_com": "v=DMARC1; p=reject; sp=none"}, "example.com", "none"),
        ("a.example.com", {"example_com": "v=DMARC1; p=reject", "a_example_com": "v=DMARC1; p=none"}, "example.com",
         "none"),
        ("a.b.example.com", {"b_example_com": "v=DMARC1; p=none; psd=n", "example_com": "v=DMARC1; p=reject"},
         "b.example.com", "none"),
        ("a.example.bank", {"bank": "v=DMARC1; p=reject; psd=y"}, "example.bank", "reject"),
        ("bank", {"bank": "v=DMARC1; p=reject; psd=y"}, "bank", "reject"),
        ("gov.uk", {"gov_uk": "v=DMARC1; p=reject; psd=y", "uk": "v=DMARC1; p=none"}, "gov.uk", "reject"),
        ("a.example.com", {"example_com": "v=DMARC1; p=none; np=reject"}, "example.com", "reject"),
        ("a.example.com", {"example_com": "v=DMARC1; p=reject; t=y"}, "example.com", "quarantine"),
        ("example.com", {"example_com": ["x", "v=DMARC1; p=reject"]}, "example.com", "reject"),
        ("1.2.3.4.5.6.7.8.9.example.com", {"example_com": "v=DMARC1; p=reject"}, "example.com", "reject"),
    ],
)  # fmt: skip
async def test_where_a_policy_is_found(domain: str, records: Any, organisational: str, asked_for: str) -> None:
    found = await policy(domain, zones(**records))
    assert found is not None
    assert (found.organisational_domain, found.asked_for) == (organisational, asked_for)


async def test_a_domain_that_exists_has_another_policy() -> None:
    source = zones(example_com="v=DMARC1; p=none; np=reject")
    source.records["a.example.com"] = [("MX", (10, "mx.example.com"))]
    found = await policy("a.example.com", source)
    assert found is not None
    assert found.asked_for == "none"


async def test_two_records_are_none() -> None:
    assert await policy("example.com", zones(example_com=["v=DMARC1; p=reject", "v=DMARC1; p=none"])) is None


async def test_a_walk_takes_eight_questions_at_most() -> None:
    source = Zones({})
    await policy(".".join(["x"] * 100) + ".example.com", source)
    assert len(source.asked) == 8


@pytest.mark.parametrize(
    ("record", "spf", "signed_by", "expected"),
    [
        ("", "example.com", "", "pass"),
        ("", "bounces.example.com", "", "pass"),
        ("; aspf=s", "bounces.example.com", "", "fail"),
        ("; aspf=s", "example.com", "", "pass"),
        ("", "", "example.com", "pass"),
        ("", "", "mail.example.com", "pass"),
        ("; adkim=s", "", "mail.example.com", "fail"),
        ("", "example.net", "example.org", "fail"),
        ("", "notexample.com", "example.com.example.net", "fail"),
        ("", "com", "com", "fail"),
    ],
)
async def test_alignment(record: str, spf: str, signed_by: str, expected: str) -> None:
    source = zones(example_com=f"v=DMARC1; p=reject{record}")
    signatures = (SignatureResult("pass", signed_by, "s1"),) if signed_by else ()
    checked = SpfResult("pass", spf) if spf else NO_SPF
    assert await result("example.com", source, checked, signatures) == expected


async def test_what_does_not_hold_does_not_count() -> None:
    source = zones(example_com="v=DMARC1; p=reject")
    signatures = (SignatureResult("fail", "example.com", "s1"), SignatureResult("policy", "example.com", "s1"))
    assert await result("example.com", source, SpfResult("softfail", "example.com"), signatures) == "fail"


@pytest.mark.parametrize(
    ("domain", "expected"), [("example.com", "temperror"), ("x.example.com", "temperror"), ("example.net", "fail")]
)
async def test_what_could_not_be_tried_counts_where_it_could_have_helped(domain: str, expected: str) -> None:
    """Else anybody could keep a failure from being one, by a signature whose key never comes."""
    source = zones(example_com="v=DMARC1; p=reject")
    assert await result("example.com", source, NO_SPF, (SignatureResult("temperror", domain, "s1"),)) == expected
    assert await result("example.com", source, SpfResult("temperror", domain)) == expected


async def test_no_answer_for_the_policy() -> None:
    with pytest.raises(UnknownForNowError):
        await policy("example.com", zones(example_com=TIMEOUT))


async def test_no_answer_for_a_walk() -> None:
    source = zones(example_com="v=DMARC1; p=reject", mail_example_com=TIMEOUT)
    assert await result("example.com", source, SpfResult("pass", "mail.example.com")) == "temperror"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("From: a@Example.com", "example.com"),
        ("From: A <a@example.com>, B <b@example.com>", "example.com"),
        ('From: "ceo@example.com" <x@example.net>', "example.net"),
        ("From: =?utf-8?q?ceo=40example=2Ecom?= <x@example.net>", "example.net"),
        ("From: a@bücher.example", "xn--bcher-kva.example"),
        ("From: A <a@example.com>, B <b@example.net>", "From of several domains"),
        ("From: a@example.com\r\nFrom: b@example.com", "several From fields"),
        ("From: undisclosed", "From has no address"),
        ("From: <ceo@example.com.>, <x@example.net>", "From is malformed"),
        ("From: <x@example.net> <ceo@example.com>", "From is malformed"),
        ("From: ceo@example.com ceo@example.com, <x@example.net>", "From is malformed"),
        ("From: ceo@example.com <x@example.net>", "example.net"),
        ("From: Team: a@example.com (at @), b@example.com;", "example.com"),
        ("Subject: x", "no From field"),
    ],
)
def test_whose_domain_it_is(header: str, expected: str) -> None:
    found = author_domain(parse(header.encode() + b"\r\n\r\nbody\r\n"))
    assert (found.reason if isinstance(found, DmarcResult) else found) == expected
    assert not isinstance(found, DmarcResult) or found.result == "permerror"
