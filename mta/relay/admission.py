"""What a listener asks of a message's header, before anything of it is kept: our tenant's, and as whom it is sent."""

from __future__ import annotations

from mta import events
from mta.config.listener_schema import Listener
from mta.config.schema import Configuration
from mta.message.hidden_fields import hidden_names
from mta.message.parse import Message
from mta.model.envelope import Client
from mta.model.reply import Reply
from mta.relay.receive.senders import sender_rules

NOT_OUR_TENANT = Reply(550, "5.7.1", "Relaying denied")
NOT_YOUR_AUTHOR = Reply(550, "5.7.1", "You may not send as the author in From or Sender")
ADMISSION_CHANGED = Reply(451, "4.3.2", "Configuration has changed, try again")


def judge_header(
    configuration: Configuration, client: Client, message: Message | None, queue_id: str
) -> Reply | None:  # fmt: skip
    """None where the message may pass, else the refusal, which is logged.

    `message` is None where it is over our limits: what can't be judged is refused where there is something to judge.
    """
    listener = configuration.judging_headers.get(client.listener)
    if listener is None:
        return None
    if listener.peer == "exchange-online" and not _is_of_our_tenant(listener, client, message, queue_id):
        return NOT_OUR_TENANT
    if not listener.clients:
        return None
    peer = next((peer for peer in listener.clients if peer.name == client.admitted_as), None)
    if peer is None:  # it was admitted under another configuration
        return ADMISSION_CHANGED
    stranger = sender_rules(peer.senders).stranger_in(message)
    if not stranger:
        return None
    events.sender_refused(
        listener.name, client=client.ip, admitted_as=peer.name, sender=stranger, where="header"
    )  # fmt: skip
    return NOT_YOUR_AUTHOR


def _is_of_our_tenant(listener: Listener, client: Client, message: Message | None, queue_id: str) -> bool:
    """Whether exactly one field names a tenant, and it is ours; and the client has shown Microsoft's certificate.

    All tenants share addresses and certificate, and a second field could be what another tenant's user has written.
    """
    ours = listener.exchange_online
    if ours is None or not client.certificate:
        found = "no certificate"
    elif message is None:
        found = "a message over the limits"
    elif ours.header.lower().encode("ascii", "replace") in hidden_names(message):
        found = f"a broken field {ours.header}"
    else:
        values = [message.raw(field).strip() for field in message.fields_named(ours.header)]
        if len(values) == 1 and values[0].lower() == ours.tenant_id.lower().encode("ascii", "replace"):
            return True
        found = "another tenant" if len(values) == 1 else f"{len(values)} fields {ours.header}"
    events.foreign_tenant(listener.name, client=client.ip, queue_id=queue_id, found=found)
    return False
