"""SMTP from the outside world. In: connections. Out: `Receiver.message(client, envelope, body)` for each whole message.

`server` listens; `connection` holds one client's bytes, timers and TLS; `session` speaks SMTP on top of it (a thick
subclass of aiosmtpd's server); `commands` parses MAIL and RCPT; `access` says who may relay; `data` reads a message up
to its end; `trace` makes the header lines that record our part of the way.
"""

from mta.relay.receive.access import AccessPolicy
from mta.relay.receive.receiver import Receiver
from mta.relay.receive.server import RelayListener
from mta.relay.receive.tls import server_context

__all__ = ["AccessPolicy", "Receiver", "RelayListener", "server_context"]
