"""`python -m tests.peers.oauth`: an authority that runs until it is interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tests.peers.https import Authority
from tests.peers.oauth.server import oauth_server

_ENDS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)  # before there are threads that they could end
    parser = argparse.ArgumentParser(prog="python -m tests.peers.oauth", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of localhost; without it any free one")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where ca.pem is written")
    parser.add_argument("--client-id", default="stampline", help="of the one app")
    parser.add_argument("--client-secret", default="stampline-secret")
    parser.add_argument("--lifetime", type=int, default=3599, metavar="SECONDS", help="of tokens")
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="RESOURCE=ROLE",
        help="https://graph.microsoft.com=Mail.ReadWrite",
    )
    arguments = parser.parse_args()
    roles: dict[str, tuple[str, ...]] = {}
    for entry in arguments.role:
        resource, _, role = entry.rpartition("=")
        roles[resource] = (*roles.get(resource, ()), role)
    with oauth_server(Authority(arguments.folder), port=arguments.port) as server:
        server.lifetime_s = arguments.lifetime
        server.add_app(roles=roles, client_id=arguments.client_id, secret=arguments.client_secret)
        print(f"authority: {server.authority_url}\nca_file: {server.ca_file}", flush=True)
        signal.sigwait(_ENDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
