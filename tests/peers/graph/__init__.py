"""Microsoft Graph's mail (v1.0) as Exchange Online has it, for tests: over HTTPS, in a thread of the test's process.

    with oauth_server(authority) as oauth, graph_server(oauth, authority) as graph:
        app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})   # or: oauth.resources.add(AUDIENCE), graph.grant(…)
        graph.add_mailbox("ann@example.com")
        item = graph.add_item("ann@example.com", b"Subject: Hello\\r\\n...")
        ... a client at graph.url, trusting graph.ca_file ...
        assert [item.subject for item in graph.items("ann@example.com", "sentitems")] == ["Hello"]

A request's way: `https` (connections) → `service` (faults, token, limits, rights) → `operations` on the `store` →
`writing`. `control` is what tests hold. Behaviour is as learn.microsoft.com/graph says, each module names the
page; where that leaves two readings open, the server takes the harder one for clients, or `settings` has a switch.
"""

from tests.peers.graph.access import AUDIENCE
from tests.peers.graph.control import Counters, GraphServer, PeerItem, graph_server
from tests.peers.graph.service import LoggedRequest
from tests.peers.graph.store import SentMail

__all__ = ["AUDIENCE", "Counters", "GraphServer", "LoggedRequest", "PeerItem", "SentMail", "graph_server"]
