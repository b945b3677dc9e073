"""Exchange Web Services as Exchange 2016 has them, for tests: a process of its own that answers over HTTPS.

    with ews_server() as server:
        server.add_mailbox("ann@example.com")
        server.add_account("svc@example.com", "secret", impersonates=["*@example.com"])
        item = server.add_item("ann@example.com", b"Subject: Hello\\r\\n...")
        ... a client at server.url, trusting server.ca_file ...
        assert [item.subject for item in server.items("ann@example.com", "sentitems")] == ["Hello"]

A request's way: `http_server` (connections) → `service` (sign-in, limits, faults, schema, impersonation) →
`operations` on the `mailboxes` → a response that the schema approves of. `control` is what tests hold.

Where Microsoft's documents leave two readings open, the server takes the one that is harder for clients.
"""

from tests.peers.ews.control import EwsServer, LoggedRequest, PeerItem
from tests.peers.ews.running import ews_server

__all__ = ["EwsServer", "LoggedRequest", "PeerItem", "ews_server"]
