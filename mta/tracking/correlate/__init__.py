"""To which conversation a message belongs.

`order` holds the steps, `signs` what a message carries that may name a conversation, `tokens` the unsigned ones,
`belonging` says who takes part, `author` whether a message is of who it says, `proof` which copies are believed once
more, `reports` what bounces and receipts are about.
"""

from mta.tracking.correlate.author import Author, AuthorUnknownError
from mta.tracking.correlate.correlation import Correlation, Outcome
from mta.tracking.correlate.order import correlate
from mta.tracking.correlate.proof import with_fresh_proof

__all__ = ["Author", "AuthorUnknownError", "Correlation", "Outcome", "correlate", "with_fresh_proof"]
