"""The contestants, started and ended here: a plain Postfix, and the relay with all its features on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import trustme
import yaml

from tests.bench.check import STAMP
from tests.bench.measure import BenchSink, Side
from tests.bench.rule_sets import EIGHT
from tests.servers.postfix import running_postfix
from tests.servers.relay import Relay

SAMPLE_EVERY = 97

_HTML = (
    """\
<table cellpadding="0" cellspacing="0" style="font-family:Calibri,sans-serif;font-size:10pt;color:#333333">
<tr><td style="padding-right:12px;border-right:2px solid #0563C1"><b>{{ sender.displayName }}</b><br>
{{ sender.title }}<br>{{ sender.department }}</td>
<td style="padding-left:12px">{{ organisation.name }}<br>
{% if sender.telephoneNumber %}Tel: {{ sender.telephoneNumber }}<br>{% endif %}
{% if sender.mobile %}Mobile: {{ sender.mobile }}<br>{% endif %}
<a href="https://www.example.com/">www.example.com</a> |
<a href="mailto:{{ sender.mail }}">{{ sender.mail }}</a></td></tr>
<tr><td colspan="2" style="font-size:8pt;color:#777777">"""
    + STAMP
    + """. This message is confidential and meant for its addressee only.</td></tr>
</table>
"""
)
_PLAIN = (
    """\
{{ sender.displayName }}
{{ sender.title }}, {{ sender.department }}
{{ organisation.name }}
{% if sender.telephoneNumber %}Tel: {{ sender.telephoneNumber }}
{% endif %}{{ sender.mail }}

"""
    + STAMP
    + """. This message is confidential and meant for its addressee only.
"""
)


def _people(count: int) -> str:
    attributes = {
        "displayName": "Sender Example", "title": "Account Manager", "department": "Sales", "mobile": "",
        "telephoneNumber": "+44 20 7946 0001", "mail": "sender@example.com",
    }  # fmt: skip
    others = [f"user{number}@example.com" for number in range(count)]
    people = [{"address": address, "attributes": attributes} for address in ("sender@example.com", *others)]
    groups = [
        {"name": "Sales", "members": ["sender@example.com"]},
        {"name": "Legal", "members": others},
        {"name": "Board", "members": others[:5]},
    ]
    return yaml.safe_dump({"people": people, "groups": groups})


@contextmanager
def postfix_side(folder: Path) -> Iterator[Side]:
    """Postfix 3.x as Debian sets it up, relaying to a sink."""
    sink = BenchSink(folder / "postfix-samples", SAMPLE_EVERY)
    try:
        with running_postfix(sink.port) as postfix:
            yield Side("postfix", postfix.port, postfix.master_pid, sink, lambda: [])
    finally:
        sink.close()


def lay_out_relay(
    folder: Path, next_hop_port: int, workers: int, rules: str = EIGHT
) -> tuple[Relay, Mapping[bytes, bytes]]:
    """The relay with TLS offered, rules, a signature, DKIM, own mark and logs; with it its DKIM record for DNS."""
    relay = Relay(folder, next_hop_port, workers=workers)
    certificate = trustme.CA().issue_cert("relay.example.com")
    certificate.private_key_pem.write_to_path(str(folder / "tls.key"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "tls.pem"))
    relay.settings["listeners"][0]["tls"] = {"mode": "offered", "certificate": "tls.pem", "key": "tls.key"}
    relay.settings["logs"]["format"] = "logfmt"
    dns = relay.add_dkim_key()
    (folder / "people.yaml").write_text(_people(500))
    relay.write_rules(rules)
    relay.write_template("sales", _HTML, _PLAIN)
    return relay, dns


@contextmanager
def relay_side(folder: Path, workers: int) -> Iterator[tuple[Side, Mapping[bytes, bytes]]]:
    """That relay, running, with a sink of its own."""
    sink = BenchSink(folder / f"relay-{workers}-samples", SAMPLE_EVERY)
    relay, dns = lay_out_relay(folder / f"relay-{workers}", sink.port, workers)
    try:
        relay.start()
        yield Side(f"stampline-{workers}", relay.port, relay.pid, sink, relay.worker_pids), dns
    finally:
        relay.clean_up()
        sink.close()
