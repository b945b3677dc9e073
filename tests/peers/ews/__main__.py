"""`python -m tests.peers.ews`: a server that runs until it is interrupted."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from tests.peers.ews.bearer import Tokens
from tests.peers.ews.calls import Settings
from tests.peers.ews.control_server import Control, control_server
from tests.peers.ews.http_server import EwsHttpServer
from tests.peers.ews.schema import load
from tests.peers.ews.service import Service
from tests.peers.ews.sign_in import SignIn

_ENDING = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    arguments = _parser().parse_args()
    with TemporaryDirectory(prefix="ews-") as temporary:
        folder = arguments.folder or Path(temporary)
        return _serve(arguments, folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.peers.ews", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of localhost; without it any free one")
    parser.add_argument("--folder", type=Path, help="where ca.pem is written; without it a temporary one")
    parser.add_argument("--flavour", choices=["exchange", "other"], default="exchange")
    parser.add_argument("--offer", action="append", choices=["basic", "ntlm", "bearer"], help="ways to sign in")
    parser.add_argument("--latency", default="0s", metavar="TIME", help="of each request: 50ms")
    parser.add_argument("--certificate", choices=["good", "expired", "other-authority", "other-name"], default="good")
    parser.add_argument("--oauth-keys", type=Path, metavar="JWKS", help="whose tokens are believed")
    parser.add_argument("--oauth-audience", default="https://outlook.office365.com")
    parser.add_argument(
        "--mailbox", action="append", default=[], metavar="ADDRESS", help="that is there from the start"
    )
    parser.add_argument(
        "--account", action="append", default=[], metavar="USER:PASSWORD", help="that may impersonate everybody"
    )
    parser.add_argument("--announce", action="store_true", help="one line of JSON; ends with standard input")
    return parser


def _serve(arguments: argparse.Namespace, folder: Path) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # before the first thread is there
    load()
    settings = Settings(
        arguments.flavour, tuple(arguments.offer or ("basic", "ntlm")), latency_s=_seconds(arguments.latency)
    )
    service = Service(settings)
    tokens = Tokens(arguments.oauth_keys, arguments.oauth_audience) if arguments.oauth_keys else None
    sign_in = SignIn(service.accounts, folder, tokens)
    context, certificate_hash, ca_file = _tls(arguments.certificate, folder)
    server = EwsHttpServer(arguments.port, context, certificate_hash, service, sign_in)
    control = Control(service, sign_in)
    for address in arguments.mailbox:
        control.add_mailbox(address, "", [])
    for account in arguments.account:
        user, _, password = account.partition(":")
        control.add_account(user, password=password, impersonates=["*"])
    controlled = control_server(control)
    for one in (server, controlled):
        threading.Thread(target=one.serve_forever, daemon=True).start()
    facts = {
        "url": f"https://localhost:{server.server_address[1]}/EWS/Exchange.asmx",
        "control": controlled.server_address[1],
        "ca_file": str(ca_file),
    }
    if arguments.announce:
        print(json.dumps(facts), flush=True)
        threading.Thread(target=_wait_for_end, daemon=True).start()
    else:
        print("\n".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
    signal.sigwait(_ENDING)
    return 0


def _wait_for_end() -> None:
    sys.stdin.read()  # our parent's end is ours
    os.kill(os.getpid(), signal.SIGTERM)


def _seconds(text: str) -> float:
    number = text.rstrip("ms")
    return float(number) / (1000 if text.endswith("ms") else 1)


def _tls(kind: str, folder: Path) -> tuple[ssl.SSLContext, bytes, Path]:
    """A context, the certificate's SHA-256, and the file of the authority that clients shall trust."""
    authority = trustme.CA()
    issuer = trustme.CA() if kind == "other-authority" else authority
    names = ["other.example"] if kind == "other-name" else ["localhost", "127.0.0.1"]
    expires = datetime.now(UTC) - timedelta(days=1) if kind == "expired" else None
    certificate = issuer.issue_cert(*names, not_after=expires)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    return context, hashlib.sha256(der).digest(), ca_file


if __name__ == "__main__":
    sys.exit(main())
