"""Microsoft's clouds: where each has its sign-in, Microsoft Graph and Exchange Online.

https://learn.microsoft.com/graph/deployments and
https://learn.microsoft.com/exchange/client-developer/exchange-web-services/how-to-authenticate-an-ews-application-by-using-oauth
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mta.config.mailbox_schema import Cloud, OAuth


@dataclass(frozen=True, slots=True)
class Places:
    """Roots of addresses, without a slash at the end."""

    sign_in: str
    graph: str
    exchange: str

    @property
    def graph_scope(self) -> str:
        """What a token for Microsoft Graph is asked for with."""
        return f"{self.graph}/.default"

    @property
    def exchange_scope(self) -> str:
        """What a token for EWS and IMAP in Exchange Online is asked for with."""
        return f"{self.exchange}/.default"


CLOUDS: Mapping[Cloud, Places] = MappingProxyType({
    "global": Places(
        "https://login.microsoftonline.com", "https://graph.microsoft.com", "https://outlook.office365.com"
    ),
    "us-government": Places(
        "https://login.microsoftonline.us", "https://graph.microsoft.us", "https://outlook.office365.us"
    ),
    "us-government-dod": Places(
        "https://login.microsoftonline.us", "https://dod-graph.microsoft.us", "https://webmail.apps.mil"
    ),
    "china": Places(
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        "https://partner.outlook.cn",
    ),
})  # fmt: skip


def authority(settings: OAuth) -> str:
    """Where tokens come from: the configured authority, or the tenant's in its cloud."""
    return settings.authority.rstrip("/") or f"{CLOUDS[settings.cloud].sign_in}/{settings.tenant}"
