"""Who and what else there is: names, formats of ids, time zones ([MS-OXWSRSLNM], [MS-OXWSCVTID], [MS-OXWSGTZ])."""

from __future__ import annotations

from collections.abc import Callable

from tests.peers.ews.calls import Call
from tests.peers.ews.errors import EwsError
from tests.peers.ews.ids import mailbox_of_id
from tests.peers.ews.mailboxes import Mailbox
from tests.peers.ews.xml import Element, add, children, find, find_all, local_name, text_of

Filler = Callable[[Element], None]
_MOST_NAMES = 100
_BIASES = {"UTC": "PT0S", "GMT Standard Time": "PT0S", "W. Europe Standard Time": "-PT60M"}


def resolve_names(call: Call) -> Element:
    """By address or part of a name ("ResolveNames operation"): primary addresses, and groups as PublicDL."""
    wanted = text_of(find(call.request, "m:UnresolvedEntry")).strip().lower()
    exact = wanted.removeprefix("smtp:")
    people = {box.address: (box.name, "Mailbox") for box in call.store.mailboxes.values() if exact in _names(box)}
    people |= {address: (name, "PublicDL") for address, name in call.store.groups.items() if address == exact}
    if not people and "smtp:" not in wanted:
        for box in call.store.mailboxes.values():
            if any(part.startswith(wanted) for part in (*box.name.lower().split(), box.address)):
                people[box.address] = (box.name, "Mailbox")

    def fill(message: Element) -> None:
        if not people:
            raise EwsError("ErrorNameResolutionNoResults", "No results were found.")
        found = list(people.items())[:_MOST_NAMES]
        if len(found) > 1:
            message.set("ResponseClass", "Warning")
            find(message, "m:ResponseCode").text = "ErrorNameResolutionMultipleResults"  # type: ignore[union-attr]
            add(message, "m:DescriptiveLinkKey", "0")
        last = str(len(people) <= _MOST_NAMES).lower()
        holder = add(message, "m:ResolutionSet", TotalItemsInView=str(len(people)), IncludesLastItemInRange=last)
        for address, (name, kind) in found:
            mailbox = add(add(holder, "t:Resolution"), "t:Mailbox")
            add(mailbox, "t:Name", name)
            add(mailbox, "t:EmailAddress", address)
            add(mailbox, "t:RoutingType", "SMTP")
            add(mailbox, "t:MailboxType", kind)

    return call.answer([fill])


def _names(mailbox: Mailbox) -> list[str]:
    return [mailbox.address, *(alias.lower() for alias in mailbox.aliases)]


def convert_id(call: Call) -> Element:
    """Only from EwsId to EwsId: ids of other kinds aren't kept here."""

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            if local_name(node) != "AlternateId" or node.get("Format") != call.request.get("DestinationFormat"):
                raise EwsError("ErrorUnsupportedPropertyDefinition")
            mailbox_of_id(node.get("Id"))
            converted = add(message, "m:AlternateId", **dict(node.attrib))
            converted.set("{http://www.w3.org/2001/XMLSchema-instance}type", "t:AlternateIdType")

        return fill

    return call.answer([one(node) for node in children(find(call.request, "m:SourceIds"))])


def get_server_time_zones(call: Call) -> Element:
    ids = find(call.request, "m:Ids")
    wanted = [text_of(node) for node in find_all(ids, "t:Id")] if ids is not None else list(_BIASES)

    def fill(message: Element) -> None:
        holder = add(message, "m:TimeZoneDefinitions")
        for name in wanted:
            if name in _BIASES:
                zone = add(holder, "t:TimeZoneDefinition", Id=name, Name=name)
                period = {"Id": f"trule:{name}", "Name": "Standard", "Bias": _BIASES[name]}
                add(add(zone, "t:Periods"), "t:Period", **period)

    return call.answer([fill])
