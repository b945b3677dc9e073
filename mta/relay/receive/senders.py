"""As whom a client may send: the domains and addresses of `senders`. Pure."""

from __future__ import annotations

from functools import lru_cache

from mta.message.addresses import addresses, is_doubtful, read_mailboxes
from mta.message.hidden_fields import hidden_names
from mta.message.parse import Message
from mta.model.address import Address, domain_key, parse_address

_AUTHORS = ("From", "Sender")


class SenderRules:
    """`example.com` is that domain alone, `*.example.com` every one below it, `jane@example.com` one address."""

    def __init__(self, senders: tuple[str, ...]) -> None:
        self._is_open = not senders
        self._addresses = frozenset(parse_address(each).key for each in senders if "@" in each)
        self._domains = frozenset(domain_key(each) for each in senders if "@" not in each and not each.startswith("*."))
        self._above = frozenset(domain_key(each[2:]) for each in senders if each.startswith("*."))

    def allows(self, sender: Address | None) -> bool:
        """Whether it may stand in the reverse-path; the null reverse-path always may."""
        if self._is_open or sender is None:
            return True
        domain = sender.domain_key
        if domain in self._domains or sender.key in self._addresses:
            return True
        while self._above and domain:
            domain = domain.partition(".")[2]
            if domain in self._above:
                return True
        return False

    def stranger_in(self, message: Message | None) -> str:
        """Who stands in From or Sender and may not, or why that can't be told; "" where all is well."""
        if self._is_open:
            return ""
        if message is None:
            return "a message over the limits, whose From is not looked at"
        hidden = set(hidden_names(message))
        for name in _AUTHORS:
            if is_doubtful(message, name) or name.lower().encode() in hidden:
                return f"a {name} that can be read in two ways"
            if not all(read_mailboxes(message.raw(field)) for field in message.fields_named(name)):
                return f"a {name} without an address"
            for mailbox in addresses(message, name):
                if not self.allows(mailbox.address):
                    return str(mailbox.address)
        return ""


@lru_cache(maxsize=256)
def sender_rules(senders: tuple[str, ...]) -> SenderRules:
    """Worked out once for each list. Raises AddressError for what is neither domain nor address."""
    return SenderRules(senders)
