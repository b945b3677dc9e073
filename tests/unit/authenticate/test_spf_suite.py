"""The SPF project's test suite for RFC 7208 (`rfc7208-tests.yml`, with its licence beside it)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mta.authenticate.spf import check_spf
from tests.unit.authenticate.zones import TIMEOUT, Zones

SUITE = Path(__file__).with_name("rfc7208-tests.yml")


def _cases() -> Iterator[Any]:
    for scenario in yaml.safe_load_all(SUITE.read_text("utf-8")):
        zones = {str(name): _entry(entry) for name, entry in scenario["zonedata"].items()}
        for name, case in scenario["tests"].items():
            yield pytest.param(zones, case, id=name)


def _entry(written: list[Any]) -> Any:
    """The suite lists SPF records as type SPF; they stand for TXT where no TXT is named."""
    if written == ["TIMEOUT"]:
        return TIMEOUT
    records = [(kind, data) for pair in written if pair != "TIMEOUT" for kind, data in pair.items()]
    has_txt = any(kind == "TXT" for kind, _ in records)
    made = [("TXT" if kind == "SPF" else kind, data) for kind, data in records if not (kind == "SPF" and has_txt)]
    made = [(kind, TIMEOUT if data == "TIMEOUT" else data) for kind, data in made if data != "NONE"]
    answered = {kind for kind, _ in made}
    # A timeout beside records is that of every other type.
    return made + [(kind, TIMEOUT) for kind in ("TXT", "A") if "TIMEOUT" in written and kind not in answered]


@pytest.mark.parametrize(("zones", "case"), list(_cases()))
async def test_suite(zones: dict[str, Any], case: dict[str, Any]) -> None:
    local_part, _, domain = case["mailfrom"].rpartition("@")
    mail_from = (local_part, domain) if domain else None
    checked = await check_spf(Zones(zones), str(case["host"]), mail_from, case["helo"])
    expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert checked.result in expected, checked
