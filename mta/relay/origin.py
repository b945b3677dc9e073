"""Whether what our own server hands us is ours, or mail from outside that it passes on.

A trusted client's From counts, for it is our own server and knows who its users are. But that server also passes on
what strangers sent: inbox rules redirect it, mailboxes forward it, and some organisations lead their incoming mail this
way. With a forged From it would get the signature and the DKIM key of somebody who never wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Set

from mta.message.authentication_results import fields_of
from mta.message.headers import addresses
from mta.message.parse import Message
from mta.model.address import Address
from mta.model.envelope import Envelope

_REWRITTEN = re.compile(r"(?i)(?:\A|\+)SRS[01]?[=+-]")
"""Sender rewriting, as openspf and Exchange Online do it: the domain is ours, the sender is not."""
_AUTHORS = ("From", "Sender")
"""Rules may judge by either."""
_AUTHENTICATED_AS = ("x-ms-exchange-organization-authas", "x-ms-exchange-crosstenant-authas")


def outside_origin(
    message: Message, envelope: Envelope, accepted_domains: Set[str], authserv_ids: frozenset[str]
) -> str:
    """What tells that a trusted client's message with our domain in From or Sender is not ours; "" where nothing does.

    `accepted_domains` are domain keys, `authserv_ids` those of our own results, which stand on mail from outside only.
    """
    authors = (mailbox.address for name in _AUTHORS for mailbox in addresses(message, name))
    if not any(is_ours(author, accepted_domains) for author in authors):
        return ""
    reverse_path = envelope.reverse_path
    if reverse_path is not None:
        if not is_ours(reverse_path, accepted_domains):
            return "reverse-path"
        if is_rewritten(reverse_path):
            return "rewritten-reverse-path"
    if any(message.header(name).strip().lower() == "anonymous" for name in _AUTHENTICATED_AS if message.has(name)):
        return "anonymous-to-exchange"
    if fields_of(message, authserv_ids):
        return "received-from-outside"
    return ""


def is_rewritten(address: Address) -> bool:
    """Whether it stands for a stranger's address, so that bounces come back through the domain that wrote it."""
    return _REWRITTEN.search(address.local) is not None


def is_ours(address: Address, accepted_domains: Set[str]) -> bool:
    """Whether its domain is an accepted one, or below one, as senders of bounces often are."""
    domain = address.domain_key
    while domain:
        if domain in accepted_domains:
            return True
        domain = domain.partition(".")[2]
    return False
