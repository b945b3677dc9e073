"""Sign a copy with DKIM: the last change to its bytes.

In: the copy as it will be sent, as segments. Out: one DKIM-Signature field to stand on top of it, or nothing where the
organisation has no key for the From domain.
"""

from mta.relay.sign.dkim import DkimKeyError, DkimSignature, Signer

__all__ = ["DkimKeyError", "DkimSignature", "Signer"]
