"""What the schema can't say about alerts."""

from __future__ import annotations

from collections.abc import Iterator

from mta.config.findings import Finding, bad_ca_file, may_be_posted_to, secret_value
from mta.config.schema import Configuration
from mta.model.address import AddressError, parse_address


def alert_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Addresses that are addresses, a password that isn't shown to everybody, a URL that can be called."""
    mail, webhook = configuration.alerts.mail, configuration.alerts.webhook
    if mail is not None:
        for index, address in enumerate(mail.to):
            yield from _address(("alerts", "mail", "to", index), address)
        if mail.sender:
            yield from _address(("alerts", "mail", "sender"), mail.sender)
        if bool(mail.user) != (mail.password is not None):
            yield Finding(("alerts", "mail"), "user and password go together", "give both, or neither")
        if mail.user and mail.tls in ("none", "opportunistic"):
            yield Finding(
                ("alerts", "mail", "tls"), f"with tls {mail.tls} the password could be read on its way",
                "write tls: required, or implicit for port 465",
            )  # fmt: skip
    if webhook is not None and not may_be_posted_to(webhook.url):
        yield Finding(
            ("alerts", "webhook", "url"), f"{webhook.url!r} is neither https nor http on this machine",
            "write https://host/path; http is for 127.0.0.1 and localhost only",
        )  # fmt: skip


def alert_surroundings(configuration: Configuration) -> Iterator[Finding]:
    """Files and secrets that are there."""
    mail, webhook = configuration.alerts.mail, configuration.alerts.webhook
    if mail is not None and mail.ca_file is not None:
        yield from bad_ca_file(("alerts", "mail", "ca_file"), mail.ca_file)
    for loc, secret in (
        (("alerts", "mail", "password"), mail.password if mail is not None else None),
        (("alerts", "webhook", "key"), webhook.key if webhook is not None else None),
    ):
        value = secret_value(loc, secret) if secret is not None else b""
        if isinstance(value, Finding):
            yield value


def _address(loc: tuple[str | int, ...], address: str) -> Iterator[Finding]:
    try:
        parse_address(address)
    except AddressError as exc:
        yield Finding(loc, f"{address!r} is no address: {exc}", "write name@example.com")
