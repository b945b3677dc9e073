"""Authenticate inbound mail: SPF, DKIM, DMARC and ARC, as results and as the header field that says them.

In: a message as it was received, its envelope and client. Out: `model/authentication.AuthenticationResults`, or, behind
a gateway, those that the gateway's field states.

The methods are our own code on dnspython and cryptography. Libraries exist for each, and none would do: pyspf has had
no release since 2020 and waits for each answer in turn; dkimpy's canonicalisation takes time quadratic in a run of
spaces (two seconds for 40 kB, while nothing else runs); neither authheaders nor dmarc knows RFC 9989. Tests measure us
against others instead: dkimpy, Mail::DKIM, opendkim, rspamd, and the SPF project's own suite.
"""

from mta.authenticate.authenticate import Received, authenticate

__all__ = ["Received", "authenticate"]
