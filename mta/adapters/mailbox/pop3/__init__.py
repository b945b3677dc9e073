"""POP3 servers (RFC 1939): a monitored mailbox, and nothing else.

`client` speaks the protocol itself: the standard library's poplib gives up at lines above 2,048 octets, which mail is
full of, keeps a whole message as a list of lines, and bounds neither time nor octets. `failures` says what refusals
mean, `maildrop` is a session with its messages, `set_aside` keeps what can't be processed. The port's own part is
`reader`.
"""

from mta.adapters.mailbox.pop3.reader import Pop3Reader

__all__ = ["Pop3Reader"]
