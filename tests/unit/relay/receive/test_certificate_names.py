"""Names in certificates, and the configured ones (RFC 6125)."""

from __future__ import annotations

import pytest
import trustme
from cryptography import x509

from mta.relay.receive.certificate_names import matching_name, names_of


def certificate(*names: str, common_name: str | None = None) -> x509.Certificate:
    leaf = trustme.CA().issue_cert(*names, common_name=common_name)
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())


def test_dns_names_before_the_common_name() -> None:
    assert names_of(certificate("a.example.com", "*.example.net", common_name="cn.example.com")) == (
        "a.example.com", "*.example.net",
    )  # fmt: skip
    assert names_of(certificate(common_name="CN.Example.com")) == ("cn.example.com",)
    assert names_of(certificate("192.0.2.1", "jane@example.com")) == ()


@pytest.mark.parametrize(
    ("configured", "presented", "fits"),
    [
        ("mail.example.com", "mail.example.com", True),
        ("MAIL.example.com", "mail.example.com", True),
        ("mail.example.com", "*.example.com", True),
        ("*.example.com", "mail.example.com", True),
        ("*.example.com", "*.example.com", True),
        ("mail.example.com", "mail.example.com.evil.example", False),
        ("mail.example.com", "example.com", False),
        ("example.com", "*.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("a.b.example.com", "*.example.com", False),
        ("mail.example.com", "*.com", False),
        ("example.com", "*.com", False),
        ("mail.example.com", "*", False),
        ("mail.example.com", "m*.example.com", False),
        ("*.example.com", "*.sub.example.com", False),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("mail.example.com", "mail.example.com\0.evil.example", False),
    ],
)
def test_which_name_is_the_same(configured: str, presented: str, fits: bool) -> None:
    assert matching_name([configured], [presented]) == (configured if fits else "")


def test_the_first_configured_name_counts() -> None:
    assert matching_name(["x.example", "b.example", "a.example"], ["a.example", "b.example"]) == "b.example"
    assert matching_name([], ["a.example"]) == matching_name(["a.example"], []) == ""
