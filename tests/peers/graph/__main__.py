"""`python -m tests.peers.graph`: Graph and its OAuth authority, until they are interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tests.peers.graph.access import AUDIENCE
from tests.peers.graph.control import graph_server
from tests.peers.https import Authority
from tests.peers.oauth import oauth_server

_ENDS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)  # before there are threads that they could end
    parser = argparse.ArgumentParser(prog="python -m tests.peers.graph", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of localhost; without it any free one")
    parser.add_argument("--oauth-port", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where ca.pem is written")
    parser.add_argument("--client-id", default="stampline", help="of the one app")
    parser.add_argument("--client-secret", default="stampline-secret")
    parser.add_argument("--mailbox", action="append", default=[], metavar="ADDRESS", help="may be given several times")
    parser.add_argument("--latency", type=float, default=0, metavar="SECONDS", help="of each request")
    arguments = parser.parse_args()
    authority = Authority(arguments.folder)
    with (
        oauth_server(authority, port=arguments.oauth_port) as oauth,
        graph_server(oauth, authority, port=arguments.port) as graph,
    ):
        oauth.add_app(
            roles={AUDIENCE: ("Mail.ReadWrite",)}, client_id=arguments.client_id, secret=arguments.client_secret
        )
        for address in arguments.mailbox:
            graph.add_mailbox(address)
        graph.limit(latency_s=arguments.latency)
        print(f"url: {graph.url}\nauthority: {oauth.authority_url}\nca_file: {graph.ca_file}", flush=True)
        signal.sigwait(_ENDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
