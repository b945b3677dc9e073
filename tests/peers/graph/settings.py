"""What a test can set: limits, and what Microsoft's documents leave open."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Settings:
    """A test changes them as it likes; of limits 0 is none."""

    concurrency: int = 4
    requests: int = 10_000
    requests_within_s: float = 600
    octets: int = 150 * 1024 * 1024
    """Uploaded by PATCH, POST and PUT."""
    octets_within_s: float = 300
    latency_s: float = 0
    """Of each request."""
    is_held: bool = False
    """Requests wait inside, and count as running, until it is false again."""
    largest_request: int = 4 * 1024 * 1024
    largest_message: int = 35 * 1024 * 1024
    page: int = 1000
    """At most so many on a page."""
    delete_goes_to: str = "recoverableitemsdeletions"
    """Or `deleteditems`: Microsoft's documents don't say."""
    rewrites_sent: bool = False
    """Whether the body of a sent item may be changed; the documents say no."""
    takes_aliases: bool = False
    """Whether a mailbox is found by any of its addresses; documented are user principal name and object id."""
    honours_if_match: bool = True
    checks_folder: bool = True
    """Whether a message that is named below a folder has to lie there; the documents don't say."""
    keeps_message_ids: bool = True
    """Of mail that is sent; else Exchange writes one of its own, and the given one into a field beside it."""
    next_page_at: str = ""
    """Another server that lists name for their next page."""
