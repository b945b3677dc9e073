"""Sign a copy: the last change to its bytes.

In: the copy as it will be sent, as segments. Out: fields to stand on top. Mail of ours gets a DKIM-Signature where the
organisation has a key for the From domain, or several; mail from outside gets an ARC set where it has a key for that.
"""

from mta.config.signing_keys import DkimKeyError
from mta.relay.sign.arc import ArcSet, Sealer
from mta.relay.sign.dkim import DkimSignature, Signer
from mta.relay.sign.existing import signatures_of

__all__ = ["ArcSet", "DkimKeyError", "DkimSignature", "Sealer", "Signer", "signatures_of"]
