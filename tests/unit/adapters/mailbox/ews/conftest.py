"""An HTTPS server that answers as it is told, and adapters that ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.mailbox.ews import EwsSentItems
from mta.config.mailbox_schema import EwsMailboxes
from tests.peers.https import Authority, HttpsServer, Request, Response


class Scripted:
    """Answers with what lies in `answers`, the last of them for ever; remembers what was asked."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.server = HttpsServer(self._answer, authority.ca)
        self.answers: list[Response | str] = []
        """A text is the body of a SOAP answer; `hang` never answers."""
        self.asked: list[Request] = []

    @property
    def url(self) -> str:
        return f"{self.server.url}/EWS/Exchange.asmx"

    async def _answer(self, request: Request) -> Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "hang":
            await asyncio.sleep(600)
        return answer if isinstance(answer, Response) else Response(200, soap(answer), "text/xml; charset=utf-8")


def soap(body: str) -> bytes:
    """An answer of Exchange 2019."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        '<s:Header><h:ServerVersionInfo MajorVersion="15" MinorVersion="2" MajorBuildNumber="1118" '
        'MinorBuildNumber="7" Version="V2017_07_11" xmlns:h="http://schemas.microsoft.com/exchange/services/2006/types"'
        '/></s:Header><s:Body xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
        f'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types">{body}</s:Body></s:Envelope>'
    ).encode()


def response(operation: str, inside: str = "", *, code: str = "NoError", values: str = "") -> str:
    """The body of an answer to one operation, with one response message."""
    kind = "Success" if code == "NoError" else "Error"
    text = "" if code == "NoError" else f"<m:MessageText>{code} it is</m:MessageText>"
    return (
        f'<m:{operation}Response><m:ResponseMessages><m:{operation}ResponseMessage ResponseClass="{kind}">{text}'
        f"<m:ResponseCode>{code}</m:ResponseCode>{values}{inside}</m:{operation}ResponseMessage>"
        f"</m:ResponseMessages></m:{operation}Response>"
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def scripted(authority: Authority) -> Iterator[Scripted]:
    made = Scripted(authority)
    with made.server:
        yield made


@pytest.fixture
async def opened(tmp_path: Path, authority: Authority) -> AsyncIterator[Callable[..., EwsSentItems]]:
    """Makes adapters from settings beside the usual ones; they are closed at the end."""
    made: list[EwsSentItems] = []
    (tmp_path / "password").write_text("secret\n")

    def make(url: str, **settings: Any) -> EwsSentItems:
        usual: dict[str, Any] = {
            "kind": "ews", "name": "exchange", "url": url, "sign_in": "basic", "user": "svc@example.com",
            "password": {"file": str(tmp_path / "password")}, "tls": {"ca_file": str(authority.file)}, "timeout": "20s",
        }  # fmt: skip
        made.append(EwsSentItems(EwsMailboxes.model_validate(usual | settings)))
        return made[-1]

    yield make
    for each in made:
        await each.close()
