from __future__ import annotations

import pytest

from mta.config.delivery_schema import Routing
from mta.model.address import parse_address
from mta.relay.deliver.routing import RoutingTable

TABLE = RoutingTable(
    Routing(
        default="internet",
        domains={
            "example.com": "exchange",
            "*.example.com": "branches",
            "*.lab.example.com": "lab",
            "Bücher.example": "books",
            "*.UPPER.example": "upper",
        },
    )
)


@pytest.mark.parametrize(
    ("recipient", "next_hop"),
    [
        ("a@example.com", "exchange"),
        ("a@EXAMPLE.COM", "exchange"),
        ("a@north.example.com", "branches"),
        ("a@deep.north.example.com", "branches"),
        ("a@x.lab.example.com", "lab"),
        ("a@lab.example.com", "branches"),
        ("a@notexample.com", "internet"),
        ("a@example.org", "internet"),
        ("a@xn--bcher-kva.example", "books"),
        ("a@sub.upper.example", "upper"),
        ("a@upper.example", "internet"),
    ],
)
def test_the_most_exact_domain_wins(recipient: str, next_hop: str) -> None:
    assert TABLE.next_hop(parse_address(recipient)) == next_hop
