"""EWS as it is on the wire: requests written by hand, answers read by XPath."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

import httpx
from lxml import etree

from tests.peers.ews import EwsServer

SPACES = {
    "s": "http://schemas.xmlsoap.org/soap/envelope/",
    "m": "http://schemas.microsoft.com/exchange/services/2006/messages",
    "t": "http://schemas.microsoft.com/exchange/services/2006/types",
    "e": "http://schemas.microsoft.com/exchange/services/2006/errors",
}
SENT = '<t:DistinguishedFolderId Id="sentitems"/>'
FLAGS = '<t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/>'


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def root(self) -> Any:
        return etree.fromstring(self.body)

    def all(self, path: str) -> list[str]:
        """Texts of elements, or values of attributes."""
        found = self.root.xpath(path, namespaces=SPACES)
        return [str(each) if isinstance(each, str) else str(each.text or "") for each in found]

    def one(self, path: str) -> str:
        found = self.all(path)
        assert len(found) == 1, f"{len(found)} of {path} in {self.body[:3000]!r}"
        return found[0]

    @property
    def code(self) -> str:
        """Of the fault, or of the one response message."""
        return self.one("//e:ResponseCode | //m:ResponseCode")

    @property
    def ids(self) -> list[tuple[str, str]]:
        """Ids and change keys of items."""
        nodes = self.root.xpath("//t:ItemId", namespaces=SPACES)
        return [(node.get("Id"), node.get("ChangeKey")) for node in nodes]

    @property
    def mime(self) -> bytes:
        return base64.b64decode(self.one("//t:MimeContent"))


class Raw:
    """One account's connections."""

    def __init__(self, client: httpx.Client, url: str, mailbox: str, version: str) -> None:
        self._client = client
        self._url = url
        self._mailbox = mailbox
        self._version = version

    def ask(self, operation: str) -> Answered:
        """The operation's element, in the envelope."""
        return self.send(envelope(operation, self._mailbox, self._version).encode())

    def send(self, body: bytes, url: str = "") -> Answered:
        response = self._client.post(url or self._url, content=body)
        return Answered(response.status_code, response.headers, response.content)

    # --- operations ---

    def create(self, mime: bytes, *properties: str, folder: str = SENT, how: str = "SaveOnly") -> Answered:
        content = f"<t:MimeContent>{base64.b64encode(mime).decode()}</t:MimeContent>"
        return self.ask(
            f'<m:CreateItem MessageDisposition="{how}"><m:SavedItemFolderId>{folder}</m:SavedItemFolderId>'
            f"<m:Items><t:Message>{content}{''.join(properties)}</t:Message></m:Items></m:CreateItem>"
        )

    def get(self, item: str, *paths: str, shape: str = "IdOnly", mime: bool = False, body_type: str = "") -> Answered:
        extra = "<t:IncludeMimeContent>true</t:IncludeMimeContent>" if mime else ""
        extra += f"<t:BodyType>{body_type}</t:BodyType>" if body_type else ""
        extra += f"<t:AdditionalProperties>{''.join(paths)}</t:AdditionalProperties>" if paths else ""
        return self.ask(
            f"<m:GetItem><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{extra}</m:ItemShape>"
            f"<m:ItemIds><t:ItemId Id={quoteattr(item)}/></m:ItemIds></m:GetItem>"
        )

    def find(self, restriction: str = "", *paths: str, folder: str = SENT, view: str = "", sort: str = "") -> Answered:
        more = f"<t:AdditionalProperties>{''.join(paths)}</t:AdditionalProperties>" if paths else ""
        within = f"<m:Restriction>{restriction}</m:Restriction>" if restriction else ""
        return self.ask(
            '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>'
            f"{more}</m:ItemShape>{view}{within}{sort}<m:ParentFolderIds>{folder}</m:ParentFolderIds></m:FindItem>"
        )

    def update(self, item: str, key: str | None, *changes: str, how: str = "AutoResolve") -> Answered:
        keyed = "" if key is None else f" ChangeKey={quoteattr(key)}"
        return self.ask(
            f'<m:UpdateItem ConflictResolution="{how}" MessageDisposition="SaveOnly"><m:ItemChanges><t:ItemChange>'
            f"<t:ItemId Id={quoteattr(item)}{keyed}/><t:Updates>{''.join(changes)}</t:Updates>"
            "</t:ItemChange></m:ItemChanges></m:UpdateItem>"
        )

    def delete(self, item: str, how: str, key: str = "") -> Answered:
        keyed = f" ChangeKey={quoteattr(key)}" if key else ""
        ids = f"<m:ItemIds><t:ItemId Id={quoteattr(item)}{keyed}/></m:ItemIds>"
        return self.ask(f'<m:DeleteItem DeleteType="{how}">{ids}</m:DeleteItem>')


def envelope(operation: str, mailbox: str, version: str = "Exchange2016") -> str:
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in SPACES.items())
    impersonation = (
        f"<t:ExchangeImpersonation><t:ConnectingSID>{mailbox}</t:ConnectingSID></t:ExchangeImpersonation>"
        if mailbox
        else ""
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<s:Envelope {spaces}><s:Header>'
        f'<t:RequestServerVersion Version="{version}"/>{impersonation}</s:Header>\n'
        f"<s:Body>{operation}</s:Body></s:Envelope>"
    )


@contextmanager
def raw(
    server: EwsServer,
    mailbox: str = "",
    *,
    auth: httpx.Auth | tuple[str, str] | None = ("svc@example.com", "secret"),
    version: str = "Exchange2016",
    headers: dict[str, str] | None = None,
) -> Iterator[Raw]:
    """Acting for `mailbox`, a primary address, or a whole element such as `<t:SmtpAddress>…`."""
    who = (
        mailbox if not mailbox or mailbox.startswith("<") else f"<t:PrimarySmtpAddress>{mailbox}</t:PrimarySmtpAddress>"
    )
    context = ssl.create_default_context(cafile=str(server.ca_file))
    fields = {"Content-Type": "text/xml; charset=utf-8", **(headers or {})}
    with httpx.Client(verify=context, auth=auth, headers=fields, trust_env=False, timeout=60) as client:
        yield Raw(client, server.url, who, version)


def extended(uri: str, *values: str) -> str:
    """An ExtendedProperty: of one value, or of several."""
    texts = [f"<t:Value>{value}</t:Value>" for value in values]
    inside = texts[0] if len(texts) == 1 else f"<t:Values>{''.join(texts)}</t:Values>"
    return f"<t:ExtendedProperty>{uri}{inside}</t:ExtendedProperty>"


def field(uri: str) -> str:
    return f'<t:FieldURI FieldURI="{uri}"/>'


def set_field(uri: str, element: str) -> str:
    """A SetItemField; `uri` is a field's name, or a whole path."""
    path = uri if uri.startswith("<") else field(uri)
    return f"<t:SetItemField>{path}<t:Message>{element}</t:Message></t:SetItemField>"


def equal(path: str, value: str) -> str:
    constant = f"<t:FieldURIOrConstant><t:Constant Value={quoteattr(value)}/></t:FieldURIOrConstant>"
    return f"<t:IsEqualTo>{path}{constant}</t:IsEqualTo>"


def boundaries(mime: bytes) -> list[bytes]:
    return re.findall(rb'boundary="([^"]+)"', mime)
