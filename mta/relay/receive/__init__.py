"""SMTP from the outside world. In: connections. Out: `Receiver.message(client, envelope, body)` for each whole message.

`server` is one listener. `accepting` takes its connections (`proxy_header`, TLS from the first octet). `connection` has
one client's bytes, timers and TLS; `session` speaks SMTP on top of it, by commands that stand in `greeting`, `auth`,
`transaction` (MAIL, RCPT) and `content` (DATA, BDAT). `commands` parses MAIL and RCPT; `access`, `clients` and `peers`
say who may relay; `data` and `incoming` read a message to its end; `trace` makes the header lines that record our part
of the way.
"""

from mta.relay.receive.access import AccessPolicy
from mta.relay.receive.receiver import Receiver
from mta.relay.receive.server import RelayListener
from mta.relay.receive.tls import server_context

__all__ = ["AccessPolicy", "Receiver", "RelayListener", "server_context"]
