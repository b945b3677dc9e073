"""What our own server hands us with our domain in From: ours, or a stranger's mail that it passes on."""

from __future__ import annotations

import pytest

from mta.message.parse import parse
from mta.model.address import parse_address
from mta.model.envelope import Envelope
from mta.relay.origin import outside_origin

ACCEPTED = frozenset({"example.com", "xn--bcher-kva.example"})
IDS = frozenset({"relay.example.com"})


def origin(reverse_path: str, header: str = "From: jane@example.com") -> str:
    sender = parse_address(reverse_path) if reverse_path else None
    envelope = Envelope(sender, (parse_address("bob@customer.example"),))
    return outside_origin(parse(f"{header}\r\n\r\nbody\r\n".encode()), envelope, ACCEPTED, IDS)


@pytest.mark.parametrize(
    "reverse_path",
    [
        "jane@example.com", "john@EXAMPLE.COM", "bounce-17@news.example.com", "", "jane@bücher.example",
        "jane+srsly@example.com", "srs0@example.com", "mySRS0=x@example.com",
        "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.com",
    ],
)  # fmt: skip
def test_ours(reverse_path: str) -> None:
    assert origin(reverse_path) == ""


@pytest.mark.parametrize(
    ("reverse_path", "reason"),
    [
        ("x@stranger.example", "reverse-path"),
        ("x@notexample.com", "reverse-path"),
        ("example.com@stranger.example", "reverse-path"),
        ("SRS0=HHH=TT=stranger.example=x@example.com", "rewritten-reverse-path"),
        ("srs1=HHH=fwd.example==HHH=TT=stranger.example=x@example.com", "rewritten-reverse-path"),
        ("jane+SRS=Ab12c=DE=stranger.example=x@example.com", "rewritten-reverse-path"),
    ],
)
def test_reverse_paths_of_strangers(reverse_path: str, reason: str) -> None:
    assert origin(reverse_path) == reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("X-MS-Exchange-Organization-AuthAs: Anonymous", "anonymous-to-exchange"),
        ("X-MS-Exchange-CrossTenant-AuthAs: anonymous ", "anonymous-to-exchange"),
        ("X-MS-Exchange-Organization-AuthAs: Internal", ""),
        ("Authentication-Results: Relay.Example.COM; dmarc=pass", "received-from-outside"),
        ("Authentication-Results: mx.example.net; dmarc=pass", ""),
    ],
)
def test_what_the_header_tells(fields: str, reason: str) -> None:
    assert origin("jane@example.com", f"{fields}\r\nFrom: Jane <jane@example.com>") == reason
    assert origin("", f"{fields}\r\nFrom: Jane <jane@example.com>") == reason


@pytest.mark.parametrize("header", ["From: x@stranger.example", "Subject: no author", "From: undisclosed"])
def test_what_does_not_claim_to_be_ours_is_not_asked_about(header: str) -> None:
    assert origin("x@stranger.example", header) == ""


def test_one_of_several_authors_is_enough() -> None:
    assert origin("x@stranger.example", "From: x@stranger.example, jane@example.com") == "reverse-path"


def test_who_sends_on_behalf_of_the_author_claims_to_be_ours_too() -> None:
    header = "From: x@stranger.example\r\nSender: boss@example.com"
    assert origin("x@stranger.example", header) == "reverse-path"
    assert origin("list-bounces@example.com", header) == ""
