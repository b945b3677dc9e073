"""Tests of what the header says of the message, how it came, and how it is protected."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from mta.config.texts import listed
from mta.message.parse import Message
from mta.message.wildcards import Glob
from mta.relay.decide.conditions.condition import MessageTest
from mta.relay.decide.conditions.schema import AuthenticationTests, LevelTests, RecipientCountTests
from mta.relay.decide.facts import Facts
from mta.relay.decide.schedule import Schedule

Network = IPv4Network | IPv6Network
_LABEL = re.compile(r"MSIP_Label_([0-9A-Fa-f-]{36})_(Enabled|Name)\s*=\s*([^;]{0,200})")
_LEVEL = re.compile(r"\s*(-?[0-9]{1,2})\s*\Z")
_IMPORTANCE = {
    "high": "high", "urgent": "high", "highest": "high", "1": "high", "2": "high",
    "low": "low", "non-urgent": "low", "lowest": "low", "4": "low", "5": "low",
}  # fmt: skip
_IMPORTANCE_FIELDS = ("importance", "x-priority", "x-msmail-priority", "priority")
_SENSITIVITY = {"personal": "personal", "private": "private", "company-confidential": "confidential"}
_FIRST_WORD = re.compile(r"[^\s(;,]+")
COST_FIELD = 8


def _one_of(name: str, words: Sequence[str], read: Callable[[Facts], str]) -> MessageTest:
    wanted = frozenset(words)
    return MessageTest(
        f"{name}: {listed(words)}",
        lambda facts: read(facts) in wanted,
        lambda facts: f"it is {read(facts)}",
        cost=COST_FIELD,
    )


def importance(words: Sequence[str]) -> MessageTest:
    return _one_of("importance", words, lambda facts: importance_of(facts.message))


def importance_of(message: Message) -> str:
    """low, normal or high: by the first field that says one of them (RFC 2156 §5.3.4, and what mail programs write)."""
    for name in _IMPORTANCE_FIELDS:
        if message.has(name) and (level := _IMPORTANCE.get(_word(message, name))) is not None:
            return level
    return "normal"


def _word(message: Message, name: str) -> str:
    match = _FIRST_WORD.search(message.header(name))
    return match[0].lower() if match else ""


def sensitivity(words: Sequence[str]) -> MessageTest:
    return _one_of("sensitivity", words, lambda facts: _SENSITIVITY.get(_word(facts.message, "sensitivity"), "normal"))


def classification(names: Sequence[str]) -> MessageTest:
    """Exchange's own field counts from trusted clients only; a label is what its sender says it is."""
    glob = Glob(names)
    return MessageTest(
        f"classification: {listed(names)}",
        lambda facts: any(glob.search(name) is not None for name in classifications(facts)),
        lambda facts: ", ".join(classifications(facts)) or "it has none",
        cost=COST_FIELD,
    )


def classifications(facts: Facts) -> tuple[str, ...]:
    """Names and ids of Exchange's classification, and of the sensitivity labels that are in force."""
    message = facts.message
    found: dict[str, None] = {}
    fields = ["x-microsoft-classification", "x-microsoft-classid"]
    if facts.participants.verified:
        fields.append("x-ms-exchange-organization-classification")
    for name in fields:
        found.update(dict.fromkeys(value.strip() for value in message.headers(name)))
    for value in message.headers("msip_labels"):
        labels: dict[str, dict[str, str]] = {}
        for match in _LABEL.finditer(value):
            labels.setdefault(match[1].lower(), {})[match[2]] = match[3].strip()
        for key, label in labels.items():
            if label.get("Enabled", "true").lower() == "true":
                found.update(dict.fromkeys([key, label.get("Name", "")]))
    return tuple(name for name in found if name)


def spam_level(written: LevelTests) -> MessageTest:
    over, under = written.over, written.under

    def test(facts: Facts) -> bool:
        level = spam_level_of(facts)
        return level is not None and (over is None or level > over) and (under is None or level < under)

    return MessageTest(
        f"scl: {_limits(over, under)}", test, lambda facts: f"it is {spam_level_of(facts)}", cost=COST_FIELD
    )


def spam_level_of(facts: Facts) -> int | None:
    """-1 to 9, as Exchange has judged it; None where it didn't, or where a stranger says so."""
    if not facts.participants.verified:
        return None
    match = _LEVEL.match(facts.message.header("x-ms-exchange-organization-scl"))
    return int(match[1]) if match else None


def recipient_count(written: RecipientCountTests) -> MessageTest:
    over, under = written.over, written.under
    read = _named if written.by == "header" else _addressed

    def test(facts: Facts) -> bool:
        count = read(facts)
        return (over is None or count > over) and (under is None or count < under)

    return MessageTest(
        f"recipients (by {written.by}): {_limits(over, under)}", test, lambda facts: f"{read(facts)} recipients", cost=2
    )


def _named(facts: Facts) -> int:
    """Nobody can learn of hidden ones from it."""
    return len(facts.participants.to_keys | facts.participants.cc_keys)


def _addressed(facts: Facts) -> int:
    return len(facts.recipients)


def _limits(over: int | None, under: int | None) -> str:
    return " and ".join([f"over {over}"] * (over is not None) + [f"under {under}"] * (under is not None))


def time(schedule: Schedule) -> MessageTest:
    return MessageTest(
        schedule.source, lambda facts: schedule.is_active(facts.now), lambda facts: schedule.value(facts.now), cost=3
    )


# --- protection, client, authentication -------------------------------------------------------------------------------


def security(words: Sequence[str]) -> MessageTest:
    wanted = frozenset(words)
    return MessageTest(
        f"security: {listed(words)}",
        lambda facts: not wanted.isdisjoint(protections(facts)),
        lambda facts: f"it is {', '.join(protections(facts)) or 'not protected'}",
        cost=2,
    )


def protections(facts: Facts) -> tuple[str, ...]:
    """What is known of signatures and encryption, without checking any."""
    found = facts.classification
    signs = {
        "signed": found.signed, "encrypted": found.encrypted, "smime": found.smime, "pgp": found.pgp,
        "rights-protected": found.rights_protected,
    }  # fmt: skip
    return tuple(name for name, holds in signs.items() if holds)


def client_network(texts: Sequence[str], networks: Sequence[Network]) -> MessageTest:
    def test(facts: Facts) -> bool:
        if facts.client is None:
            return False
        try:
            address = ip_address(facts.client.ip.partition("%")[0])
        except ValueError:
            return False  # a local socket has none
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in networks)

    return MessageTest(f"client.network: {listed(texts)}", test, lambda facts: f"it is {_ip(facts)}", cost=4)


def _ip(facts: Facts) -> str:
    return facts.client.ip if facts.client is not None else "not known"


def client_text(key: str, texts: Sequence[str], read: Callable[[Facts], str]) -> MessageTest:
    """`key`: listener, helo or authenticated_as."""
    glob = Glob(texts)
    return MessageTest(
        f"client.{key}: {listed(texts)}",
        lambda facts: bool(read(facts)) and glob.search(read(facts)) is not None,
        lambda facts: f"it is {read(facts) or 'none'}",
        cost=3,
    )


def client_flag(key: str, read: Callable[[Facts], str], *, expected: bool) -> MessageTest:
    """`key`: tls or authenticated."""
    return MessageTest(
        f"client.{key}: {str(expected).lower()}",
        lambda facts: bool(read(facts)) is expected,
        lambda facts: f"it is {read(facts) or 'not so'}",
        cost=2,
    )


def authentication(written: AuthenticationTests) -> list[MessageTest]:
    """One test for each method. Where nobody authenticated the message none of them holds."""
    tests = []
    for method in ("spf", "dkim", "dmarc", "arc"):
        results: tuple[str, ...] | None = getattr(written, method)
        if results is not None:
            tests.append(_result(method, results))
    if written.dkim_domain is not None:
        tests.append(_dkim_domain(written.dkim_domain))
    return tests


def _result(method: str, results: Sequence[str]) -> MessageTest:
    wanted = frozenset(results)

    def read(facts: Facts) -> str:
        return "" if facts.authentication is None else str(getattr(facts.authentication, method))

    return MessageTest(
        f"authentication.{method}: {listed(results)}",
        lambda facts: read(facts) in wanted,
        lambda facts: f"{method} is {read(facts) or 'not known'}",
        cost=2,
    )


def _dkim_domain(domains: Sequence[str]) -> MessageTest:
    glob = Glob(domains)

    def read(facts: Facts) -> Sequence[str]:
        return () if facts.authentication is None else facts.authentication.dkim_domains

    return MessageTest(
        f"authentication.dkim_domain: {listed(domains)}",
        lambda facts: any(glob.search(domain) is not None for domain in read(facts)),
        lambda facts: ", ".join(read(facts)) or "no signature holds",
        cost=3,
    )
