"""An OAuth authority as Microsoft Entra ID's: client credentials (RFC 6749 §4.4), tokens signed RS256.

    with oauth_server(authority) as oauth:
        app = oauth.add_app(roles={"https://graph.example.com": ("Mail.ReadWrite",)})
        settings = {"tenant": oauth.tenant, "client_id": app.client_id, "client_secret": app.secret,
                    "authority": oauth.authority_url}

Documents (learn.microsoft.com/entra/identity-platform): v2-oauth2-client-creds-grant-flow,
access-token-claims-reference, certificate-credentials, reference-error-codes.
"""

from tests.peers.oauth.apps import App, ClientCertificate, client_certificate
from tests.peers.oauth.server import OAuthServer, oauth_server
from tests.peers.oauth.tokens import InvalidTokenError, SigningKey, verified

__all__ = [
    "App",
    "ClientCertificate",
    "InvalidTokenError",
    "OAuthServer",
    "SigningKey",
    "client_certificate",
    "oauth_server",
    "verified",
]
