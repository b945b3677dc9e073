"""Sign a copy with DKIM: the last change to its bytes.

In: the copy as it will be sent, as segments. Out: one DKIM-Signature field to stand on top of it, or nothing where the
organisation has no key for the From domain. `canonical` is RFC 6376's relaxed canonicalisation, `dkim` the signature.
"""

from mta.relay.sign.dkim import DkimKeyError, DkimSignature, Signer

__all__ = ["DkimKeyError", "DkimSignature", "Signer"]
