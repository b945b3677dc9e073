"""A submission server with STARTTLS and AUTH."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import trustme

from mta.adapters.outgoing import open_account
from mta.config.tracking_schema import SmtpAccount
from mta.ports.outgoing import MailAccount
from tests.contract.accounts.harness import LARGEST, SENDER, Arrived, Fault
from tests.servers.submission import Desk, submission_server

SECRET = "p\u00e4ssword"


class Smtp:
    """Fulfils `Harness`."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="submission-")))
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self._folder / "ca.pem"))
        trustme.CA().cert_pem.write_to_path(str(self._folder / "other.pem"))
        (self._folder / "secret").write_text(SECRET)
        (self._folder / "wrong").write_text("wrong")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.desk = Desk({"desk": SECRET})
        self._port = self._stack.enter_context(
            submission_server(self.desk, context, tls="starttls", data_size_limit=2 * LARGEST, auth_required=True)
        )

    def open(self, **settings: Any) -> MailAccount:
        own = {
            "kind": "smtp", "name": "desk", "host": "localhost", "port": self._port, "user": "desk",
            "password": {"file": str(self._folder / "secret")}, "senders": [SENDER], "timeout": "10s",
            "tls": {"mode": "starttls", "ca_file": str(self._folder / "ca.pem")},
        }  # fmt: skip
        return open_account(SmtpAccount.model_validate(own | settings), hostname="relay.example.com")

    def arrived(self) -> Sequence[Arrived]:
        return [Arrived(each.recipients, each.message) for each in self.desk.submitted]

    def fault(self, fault: Fault) -> AbstractContextManager[MailAccount]:
        settings: dict[Fault, dict[str, Any]] = {
            Fault.SECRET: {"password": {"file": str(self._folder / "wrong")}},
            Fault.UNTRUSTED: {"tls": {"mode": "starttls", "ca_file": str(self._folder / "other.pem")}},
            Fault.DOWN: {"port": 9},
        }
        answers = {Fault.BUSY: "421 4.3.2 later", Fault.REFUSES: "554 5.7.1 no"}
        return self._at(self.open(**settings.get(fault, {})), answers.get(fault, ""))

    @contextmanager
    def _at(self, account: MailAccount, answer: str) -> Iterator[MailAccount]:
        if answer:
            self.desk.answers["."] = answer
        yield account
        self.desk.answers.clear()

    def close(self) -> None:
        self._stack.close()
