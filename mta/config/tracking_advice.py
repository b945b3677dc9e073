"""What works in tracking, and is probably not meant so: copies that nobody reads, templates that aren't there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from mta.config.findings import Finding, is_this_machine
from mta.config.outgoing_checks import key_of
from mta.config.schema import Configuration
from mta.config.tracking_schema import (
    EwsMailbox,
    GraphMailbox,
    MonitoredMailbox,
    TrackingSettings,
    is_of_exchange,
)
from mta.config.yaml_values import Loc
from mta.ports.clock import SystemClock

_ONLINE = "outlook.office365.com"


def tracking_advice(configuration: Configuration) -> Iterator[Finding]:
    """Of all organisations."""
    yield from _unproven_copies(configuration)
    for place, organisation in configuration.placed_organisations:
        if organisation.tracking is not None:
            loc: Loc = (*place, "tracking")
            yield from _copies(loc, organisation.tracking)
            yield from _exchange_online(loc, organisation.tracking)
            yield from _ended(loc, organisation.tracking)
            yield from _unproven(loc, organisation.tracking)
            yield from _templates(loc, organisation.tracking, organisation.templates)


def _copies(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    address = settings.processing_mailbox
    monitored = {key_of(mailbox.address) for mailbox in settings.mailboxes if mailbox.enabled}
    if address and key_of(address) not in monitored:
        what = f"no mailbox that is monitored has the address {address}: copies would lie there unread"
        yield Finding((*loc, "processing_mailbox"), what, "monitor it, unless it is another name of one that is")


def _exchange_online(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    for index, mailbox in enumerate(settings.mailboxes):
        if isinstance(mailbox, EwsMailbox) and (urlsplit(mailbox.url).hostname or "").lower() == _ONLINE:
            what = "Exchange Online ends EWS on 1 April 2027, and takes no passwords by it any more"
            yield Finding((*loc, "mailboxes", index, "url"), what, "write kind: graph, see docs/exchange-online.md")


def _ended(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    """Time makes no settings wrong: a relay that was started yesterday starts today."""
    today = SystemClock().now().date()
    for index, mailbox in enumerate(settings.mailboxes):
        end = mailbox.schedule.end
        if mailbox.enabled and end is not None and end < today:
            where = (*loc, "mailboxes", index, "schedule", "end")
            what = f"{end} is over: the mailbox is polled no more"
            yield Finding(where, what, "write a later day, or enabled: false")


def _unproven(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    """Copies in the processing mailbox are proven by our key."""
    correlation = settings.correlation
    for index, mailbox in enumerate(settings.mailboxes):
        is_for_copies = key_of(mailbox.address) == key_of(settings.processing_mailbox or "")
        if is_for_copies or not mailbox.enabled or correlation.authserv_ids or settings.verifies_dkim(mailbox):
            continue
        what = "nothing proves who wrote what comes by this mailbox: " + (
            "all that belongs to a conversation is held"
            if correlation.unproven == "hold"
            else "whoever holds a mail of a conversation can write in it in a customer's name"
        )
        yield Finding((*loc, "mailboxes", index), what, _mend_of_unproven(mailbox))


def _unproven_copies(configuration: Configuration) -> Iterator[Finding]:
    """They say what the listener found out."""
    settings = [organisation.tracking for organisation in configuration.every_organisation]
    if not any(each is not None and each.processing_mailbox for each in settings):
        return
    for index, listener in enumerate(configuration.listeners):
        is_open = listener.role == "inbound" and not is_this_machine(listener.address)
        if is_open and listener.authentication.mode == "off":
            what = "mail that rules track comes in here, and nobody looks whether its From is true"
            yield Finding(("listeners", index), what, "set authentication: {mode: verify}, or trust behind a gateway")


def _mend_of_unproven(mailbox: MonitoredMailbox) -> str:
    if isinstance(mailbox, GraphMailbox):
        return "set correlation.authserv_ids: [exchange-online], if Exchange Online gets your mail from the internet"
    if is_of_exchange(mailbox):
        return "name the gateway in front of it in correlation.authserv_ids, or lead mail through an inbound listener"
    return "let correlation.verify_dkim be auto, or name the server in front of it in correlation.authserv_ids"


def _templates(loc: Loc, settings: TrackingSettings, folder: Path) -> Iterator[Finding]:
    """One that is gone stops nothing: mails are written in our own words."""
    named: list[tuple[Loc, str]] = [
        ((*loc, "mailboxes", index, "trouble_template"), mailbox.trouble_template)
        for index, mailbox in enumerate(settings.mailboxes)
    ]
    named += [((*loc, "digests", index, "template"), digest.template) for index, digest in enumerate(settings.digests)]
    for where, name in named:
        if name and not (folder / name).is_dir():
            what = f"there is no template {name!r} in {folder}"
            yield Finding(where, what, "make it; without it such mails are written in our own words")
