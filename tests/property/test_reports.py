"""Whatever stands in replies, addresses, parameters and originals: the report is a report, for two readers."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.classify import Kind, classify
from mta.message.parse import parse
from mta.model.address import Address
from mta.model.envelope import DsnRequest, Notify
from mta.model.reply import Reply
from mta.relay.deliver.dsn import DsnWriter
from mta.relay.deliver.reports import Action, Cause, Report
from tests.unit.relay.deliver.samples import NOON, message, next_hop_of

WRITER = DsnWriter("relay.example.com", "postmaster", next_hop_of)
FIELDS = {
    "Original-Envelope-Id", "Reporting-MTA", "X-Stampline-Queue-Id", "Received-From-MTA", "Arrival-Date",
    "Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date",
    "Will-Retry-Until",
}  # fmt: skip

words = st.text(max_size=120) | st.sampled_from(["a\r\nX-Evil: 1", "--=_\r\n\r\n", "x" * 2000, "\u2028\x85\x0b\udc80"])
reports = st.builds(
    Report,
    address=st.builds(Address, words.filter(bool), words),
    action=st.sampled_from(Action),
    status=st.sampled_from(["2.0.0", "4.4.1", "5.1.1", "", "5.\r\nX: y"]),
    reply=st.builds(Reply, st.integers(200, 599), st.sampled_from(["", "5.1.1"]), words),
    cause=st.sampled_from(Cause),
    remote=words | st.just("mx.example.org[192.0.2.9]:25"),
    remote_reply=words,
    asked=st.builds(
        DsnRequest, st.sampled_from([None, Notify.SUCCESS]), words | words.map(lambda text: f"rfc822;{text}")
    ),
    retry_until=st.none() | st.just(NOON + timedelta(days=2)),
    for_postmaster=st.booleans(),
)
originals = st.binary(max_size=400) | words.map(
    lambda text: f"Subject: {text}\r\n\r\n{text}".encode("utf-8", "replace")
)


@settings(max_examples=300, deadline=None)
@given(
    told=st.lists(reports, min_size=1, max_size=4),
    envid=words,
    helo=words,
    ret=st.sampled_from(["", "FULL", "HDRS"]),
    original=originals,
    smtputf8=st.booleans(),
)
def test_any_report_can_be_read(
    told: list[Report], envid: str, helo: str, ret: str, original: bytes, smtputf8: bool
) -> None:
    of = message(envid=envid, ret=ret)
    assert of.client is not None
    of = replace(of, client=replace(of.client, helo=helo), envelope=replace(of.envelope, smtputf8=smtputf8))
    data = WRITER.write(of, told, NOON, original).body.data
    assert data is not None
    assert data.isascii()
    assert b"\0" not in data
    assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    assert classify(parse(data), True).kind is Kind.DSN
    assert [part.content_type for part in parse(data).root.children[:2]] == ["text/plain", "message/delivery-status"]
    parsed = email.message_from_bytes(data, policy=email.policy.compat32)
    parts: Any = parsed.get_payload()
    assert len(parts) == 3
    blocks: Any = parts[1].get_payload()
    assert len(blocks) == 1 + len(told)
    assert [block["Action"] for block in blocks[1:]] == [report.action.value for report in told]
    assert {name for block in blocks for name in dict(block)} <= FIELDS
