"""sendMail: graph/api/user-sendmail, graph/outlook-send-mime-message, graph/outlook-send-mail-from-other-user."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from tests.peers.graph.answers import GraphError, bad_body
from tests.peers.graph.call import Call
from tests.peers.graph.mime import mime_of, read_mime
from tests.peers.graph.properties import DELIVERY_TIME, MESSAGE_FLAGS, MESSAGE_ID, READ, SUBMIT_TIME
from tests.peers.graph.reading import entity, make
from tests.peers.graph.store import Item, Mailbox, Person, SentMail
from tests.peers.https import Response


def send(call: Call) -> Response:
    """202 without a body: taken, not yet delivered. Raises GraphError, and then nothing is sent."""
    box = call.mailbox
    item = Item(box, box.folders["sentitems"])
    is_saved, given = _read(call, item)
    owner = Person(box.name, box.address)
    item.author = item.author or owner
    item.sender = item.author if item.sender is None else item.sender
    _check_senders(box, item)
    people = [*item.to, *item.cc, *item.bcc]
    if not people or not all("@" in one.address for one in people):
        raise GraphError(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
    if item.size > call.settings.largest_message:
        raise GraphError(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")
    if is_saved:
        box.check_room(item.size)
    _stamp(call, item)
    box.complete(item)
    addresses = tuple(one.address for one in people)
    box.sent.append(SentMail(box.address, item.author.address, addresses, given or mime_of(item), is_saved))
    if is_saved:
        box.add(item)
    for address in dict.fromkeys(address.lower() for address in addresses):
        _deliver(item, call.everybody.get(address))
    return Response(202)


def _read(call: Call, item: Item) -> tuple[bool, bytes]:
    """Fill the item; whether it is saved, and the MIME that was given. Of MIME the copy can't be left out."""
    if call.is_mime:
        data = call.mime()
        read_mime(item, data)
        return True, data
    given = entity(call.body(), "sendMail", {"message", "Message", "saveToSentItems", "SaveToSentItems"})
    message = given.get("message", given.get("Message"))
    if message is None:
        raise GraphError(400, "ErrorInvalidParameter", "The value of the parameter 'Message' is empty.")
    make(item, message)
    is_saved = given.get("saveToSentItems", given.get("SaveToSentItems", True))
    if not isinstance(is_saved, bool):
        raise bad_body("Cannot convert the value of 'saveToSentItems' to the expected type 'Edm.Boolean'.")
    return is_saved, b""


def _check_senders(box: Mailbox, item: Item) -> None:
    """Raises GraphError: From and Sender are the mailbox's own, or others that it may send as."""
    allowed = {address.lower() for address in (box.address, *box.aliases, *box.send_as)}
    for one in (item.author, item.sender):
        if one is not None and one.address.lower() not in allowed:
            text = "The user account which was used to submit this request does not have the right to send mail on"
            raise GraphError(403, "ErrorSendAsDenied", f"{text} behalf of the specified sending account.")


def _stamp(call: Call, item: Item) -> None:
    """What the transport writes: the time, and a Message-ID where there is none, or none is kept."""
    now = datetime.now(UTC).replace(microsecond=0)
    item.properties |= {SUBMIT_TIME: now, DELIVERY_TIME: now, MESSAGE_FLAGS: READ}
    given = item.properties.get(MESSAGE_ID)
    if given is None or not call.settings.keeps_message_ids:
        item.properties[MESSAGE_ID] = f"<{uuid4().hex}@peer.prod.outlook.com>"
        if given is not None:
            item.headers.append(("X-Microsoft-Original-Message-ID", str(given)))


def _deliver(item: Item, target: Mailbox | None) -> None:
    if target is None:
        return
    arrived = target.twin(item, target.folders["inbox"])
    arrived.bcc = []
    arrived.set_read(False)
    target.add(arrived)
