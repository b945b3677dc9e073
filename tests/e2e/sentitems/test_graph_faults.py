"""A whole relay, and Exchange Online in trouble: no tokens, an expired secret, limits, a service that is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tests.e2e.sentitems.faulty import Clock
from tests.e2e.sentitems.mailboxes import RULES, STAMP, TEMPLATES, counts, kill_process, message, sent_items, submit
from tests.peers.graph import AUDIENCE, GraphServer, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import App, OAuthServer, oauth_server
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

_numbers = count(1)


@dataclass(frozen=True)
class Online:
    relay: Relay
    graph: GraphServer
    oauth: OAuthServer
    app: App
    clock: Clock

    def send(self) -> tuple[str, str]:
        """From a new mailbox; gives it and the Message-ID."""
        number = next(_numbers)
        mailbox, name = f"user{number}@example.com", f"<{number}.graph@example.com>"
        self.graph.add_mailbox(mailbox)
        self.graph.add_item(mailbox, message(name, mailbox))
        submit(self.relay, message(name, mailbox), sender=mailbox)
        return mailbox, name

    def is_stamped(self, mailbox: str) -> bool:
        items = self.graph.items(mailbox, "sentitems")
        return len(items) == 1 and STAMP in f"{items[0].html}{items[0].text}"

    def until_stamped(self, mailbox: str) -> None:
        wait_until(lambda: self.is_stamped(mailbox), 60, lambda: f"a stamped item: {counts(self.relay)}")


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Online]:
    folder = tmp_path_factory.mktemp("online")
    authority, clock = Authority(folder), Clock(folder / "shift")
    with oauth_server(authority) as oauth, graph_server(oauth, authority) as graph, Sink() as sink:
        app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
        (folder / "secret").write_text(app.secret)
        settings = {
            "name": "online", "kind": "graph", "url": graph.url, "tls": {"ca_file": str(authority.file)},
            "oauth": {
                "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url,
                "scope": f"{AUDIENCE}/.default", "client_secret": {"file": str(folder / "secret")},
            },
        }  # fmt: skip
        with running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, environment=clock.environment,
            organisation=sent_items(settings), alerts={"look_every": "1s"},
        ) as relay:  # fmt: skip
            yield Online(relay, graph, oauth, app, clock)
            assert not relay.events("internal-error")
            assert all(app.secret not in path.read_text() for path in (relay.folder / "log").glob("*.log"))


def test_an_authority_that_gives_no_tokens_is_waited_for(online: Online) -> None:
    online.oauth.fail(times=1)
    mailbox, _ = online.send()
    told = online.relay.wait_for_event("mailbox-server-left-alone", server="online")
    assert told["reason"] in ("server-down", "server-busy")
    assert online.graph.counters().requests == 0
    online.clock.forward(61)
    online.until_stamped(mailbox)


@pytest.mark.long
def test_a_service_that_is_away_is_asked_nothing_until_its_time(online: Online) -> None:
    online.graph.forget()
    online.graph.fail("status", status=503, retry_after="2")
    mailbox, _ = online.send()
    online.until_stamped(mailbox)
    first, second, *_ = online.graph.log()
    assert second.at - first.at >= 2.0
    told = online.relay.wait_for_event("mailbox-server-left-alone", server="online", reason="server-busy", for_s=2.0)
    assert str(told["detail"]).startswith("503")


@pytest.mark.long
def test_a_mailbox_over_its_limit_keeps_no_others_waiting(online: Online) -> None:
    online.graph.fail("code", status=429, code="ApplicationThrottled", retry_after="600", operation="create")
    throttled, name = online.send()
    online.relay.wait_for_event("sent-item", message_id=name, state="waiting", reason="mailbox-unavailable")
    other, _ = online.send()
    online.until_stamped(other)
    assert not online.is_stamped(throttled)
    online.clock.forward(601)
    online.until_stamped(throttled)


@pytest.mark.long
def test_a_secret_that_has_expired_stops_the_server_and_is_tried_three_times(online: Online) -> None:
    online.oauth.expire_secrets(online.app)
    kill_process(online.relay)  # its token is good for an hour
    before = online.oauth.token_requests
    mailbox, _ = online.send()
    for wait_s in (60, 300):
        online.relay.wait_for_event("mailbox-server-left-alone", server="online", reason="sign-in", for_s=float(wait_s))
        online.clock.forward(wait_s + 60)  # jobs wait a little longer than the server
    told = online.relay.wait_for_event("mailbox-server-stopped", server="online", reason="sign-in")
    assert "AADSTS7000222" in str(told["detail"])
    online.relay.wait_for_event("alert", key="sent-items-server:online")
    assert online.oauth.token_requests == before + 3
    for secret in online.app.secrets:
        secret.expires_at = datetime.now(UTC) + timedelta(days=1)
    online.relay.cli_here("sentitems", "resume", "--server", "online")
    online.until_stamped(mailbox)
    online.relay.wait_for_event("alert-over", key="sent-items-server:online")
