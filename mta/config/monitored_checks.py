"""What the schema can't say about one monitored mailbox: hours that never come, ways to sign in, folders, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mta.config.clock_words import ScheduleError
from mta.config.findings import Finding, bad_ca_file, is_this_machine, no_host, no_time
from mta.config.mailbox_checks import https_address, oauth_surroundings, required_secret
from mta.config.mailbox_hours import Schedule
from mta.config.mailbox_schema import OAuth
from mta.config.tracking_schema import (
    After,
    EwsMailbox,
    GraphMailbox,
    Hours,
    ImapMailbox,
    MaildirMailbox,
    MonitoredMailbox,
    Pop3Mailbox,
)
from mta.config.yaml_values import Loc
from mta.model.address import AddressError, parse_address

_EWS_PATH = "/ews/exchange.asmx"


def monitored_mailbox(loc: Loc, mailbox: MonitoredMailbox) -> Iterator[Finding]:
    """Whether its settings make sense by themselves."""
    try:
        parse_address(mailbox.address)
    except AddressError as exc:
        yield Finding((*loc, "address"), f"{mailbox.address!r} is no address: {exc}", "write help@example.com")
    yield from _hours((*loc, "schedule"), mailbox.schedule)
    yield from _after(loc, mailbox)
    if isinstance(mailbox, MaildirMailbox):
        return
    if mailbox.tls.ca_file is not None and not mailbox.tls.verify:
        yield Finding((*loc, "tls", "ca_file"), "with verify: false nobody looks at it", "remove verify: false")
    yield from no_time((*loc, "timeout"), mailbox.timeout)
    if mailbox.oauth is not None:
        yield from _oauth((*loc, "oauth"), mailbox)
    if isinstance(mailbox, ImapMailbox | Pop3Mailbox):
        yield from _by_lines(loc, mailbox)
    elif isinstance(mailbox, EwsMailbox):
        yield from _ews(loc, mailbox)
    else:
        yield from https_address((*loc, "url"), mailbox.url)
        yield from _shared(loc, mailbox.shared_mailbox)


def monitored_mailbox_surroundings(loc: Loc, mailbox: MonitoredMailbox) -> Iterator[Finding]:
    """Whether the files and secrets that it names are there and good; servers are not asked."""
    if isinstance(mailbox, MaildirMailbox):
        return
    if mailbox.tls.ca_file is not None:
        yield from bad_ca_file((*loc, "tls", "ca_file"), mailbox.tls.ca_file)
    if not isinstance(mailbox, GraphMailbox) and mailbox.password is not None:
        yield from required_secret((*loc, "password"), mailbox.password)
    if isinstance(mailbox.oauth, OAuth):
        yield from oauth_surroundings((*loc, "oauth"), mailbox.oauth)
    elif mailbox.oauth is not None:
        for key in ("client_secret", "refresh_token"):
            if (secret := getattr(mailbox.oauth, key)) is not None:
                yield from required_secret((*loc, "oauth", key), secret)


def place_of(mailbox: MonitoredMailbox) -> tuple[str, ...]:
    """Names the folder that is monitored, however its server is written."""
    match mailbox:
        case MaildirMailbox():
            return (str(mailbox.path), mailbox.folder)
        case ImapMailbox():
            return (mailbox.host.lower(), (mailbox.user or mailbox.address).lower(), mailbox.folder)
        case Pop3Mailbox():
            return (mailbox.host.lower(), (mailbox.user or mailbox.address).lower(), "INBOX")
    return (mailbox.kind, (mailbox.shared_mailbox or mailbox.address).lower(), mailbox.folder.lower())


def _hours(loc: Loc, hours: Hours) -> Iterator[Finding]:
    for key, repeats in (("weekdays", ("weekly",)), ("days", ("monthly", "yearly")), ("months", ("yearly",))):
        if getattr(hours, key) and hours.repeat not in repeats:
            what = f"{key} mean nothing with repeat: {hours.repeat}"
            yield Finding((*loc, key), what, f"write repeat: {repeats[0]}, or remove them")
    for key, repeat in (("weekdays", "weekly"), ("days", "monthly"), ("months", "yearly")):
        if hours.repeat == repeat and not getattr(hours, key):
            yield Finding((*loc, "repeat"), f"{repeat} needs {key}", f"add {key}, or write repeat: daily")
    try:
        schedule = Schedule.of(hours)
    except ScheduleError as exc:
        yield Finding((*loc, exc.key), str(exc), exc.mend)
        return
    if hours.start is not None and hours.end is not None and hours.start > hours.end:
        yield Finding((*loc, "end"), "it ends before it starts", "exchange the two")
    elif schedule.never_comes():
        yield Finding(loc, "this time never comes", "correct days, months, start or end")


def _after(loc: Loc, mailbox: MonitoredMailbox) -> Iterator[Finding]:
    after, where = mailbox.after, (*loc, "after")
    if isinstance(mailbox, Pop3Mailbox):
        # Moving to the usual folder is what stands there where nothing was written.
        if after.do == "mark-read" or (after.do == "move" and after.folder != After().folder):
            what = "POP3 has no folders and no marks: what was processed is always deleted"
            yield Finding((*where, "do"), what, "write do: delete, or leave it out")
        return
    if after.do == "move" and not after.folder.strip():
        yield Finding((*where, "folder"), "there is no folder without a name", "write StamplineProcessed")
    if not after.set_aside.strip():
        yield Finding((*where, "set_aside"), "there is no folder without a name", "write StamplineSetAside")
    own = mailbox.folder.strip().lower()
    for key, folder in (("folder", after.folder if after.do == "move" else ""), ("set_aside", after.set_aside)):
        if folder.strip() and folder.strip().lower() == own:
            what = "it is the folder that is monitored: messages would be read again and again"
            yield Finding((*where, key), what, "choose another one")
    if after.do == "move" and after.folder.strip().lower() == after.set_aside.strip().lower():
        what = "what can't be processed would lie among what was"
        yield Finding((*where, "set_aside"), what, "choose another one")


def _oauth(loc: Loc, mailbox: ImapMailbox | Pop3Mailbox | EwsMailbox | GraphMailbox) -> Iterator[Finding]:
    oauth = mailbox.oauth
    if isinstance(oauth, OAuth):
        yield from https_address((*loc, "authority"), oauth.authority)
        for key in ("tenant", "client_id"):
            value = getattr(oauth, key)
            if not value or not value.isprintable() or "/" in value or " " in value:
                yield Finding((*loc, key), f"{value!r} is no {key}", "copy it from the app registration")
    elif oauth is not None:
        if not oauth.token_url:
            yield Finding((*loc, "token_url"), "tokens come from nowhere", "write https://HOST/PATH")
        yield from https_address((*loc, "token_url"), oauth.token_url)


def _by_lines(loc: Loc, mailbox: ImapMailbox | Pop3Mailbox) -> Iterator[Finding]:
    yield from no_host((*loc, "host"), mailbox.host, "imap.example.com")
    if mailbox.port == 0:
        yield Finding((*loc, "port"), "no server listens on port 0", "write the server's port")
    if mailbox.sign_in == "xoauth2":
        if mailbox.oauth is None:
            yield Finding(loc, "sign_in xoauth2 needs an app registration", "add oauth")
        if mailbox.password is not None:
            yield Finding((*loc, "password"), "sign_in xoauth2 uses no password", "remove it")
    else:
        if mailbox.password is None:
            yield Finding(loc, "sign_in password needs a password", "add 'password: {file: PATH}'")
        if mailbox.oauth is not None:
            yield Finding((*loc, "oauth"), "with sign_in password nobody uses it", "write sign_in: xoauth2")
    if mailbox.tls.mode != "none":
        return
    for key in ("ca_file", "verify_name"):
        if getattr(mailbox.tls, key) is not None:
            yield Finding((*loc, "tls", key), f"{key} means nothing without TLS", "choose implicit or starttls")
    if not is_this_machine(mailbox.host):
        what = f"the password would go to {mailbox.host} in clear text"
        yield Finding((*loc, "tls", "mode"), what, "write implicit or starttls")


def _ews(loc: Loc, mailbox: EwsMailbox) -> Iterator[Finding]:
    problems = [
        *https_address((*loc, "url"), mailbox.url),
        *https_address((*loc, "autodiscover"), mailbox.autodiscover),
    ]
    yield from problems
    if mailbox.url and not problems and urlsplit(mailbox.url).path.lower() != _EWS_PATH:
        what = f"{mailbox.url!r} is not where Exchange has its web services"
        yield Finding((*loc, "url"), what, "write https://HOST/EWS/Exchange.asmx")
    if mailbox.url and mailbox.autodiscover:
        yield Finding((*loc, "autodiscover"), "with a url nobody asks Autodiscover", "keep one of the two")
    yield from _shared(loc, mailbox.shared_mailbox)
    if mailbox.sign_in == "oauth":
        if mailbox.oauth is None:
            yield Finding(loc, "sign_in oauth needs an app registration", "add oauth, with tenant and client_id")
        if mailbox.password is not None:
            yield Finding((*loc, "password"), "sign_in oauth uses no password", "remove it")
        if not mailbox.url:
            what = "Autodiscover knows no apps that sign in by themselves"
            yield Finding(loc, what, "add 'url: https://HOST/EWS/Exchange.asmx'")
        return
    if mailbox.oauth is not None:
        yield Finding((*loc, "oauth"), f"with sign_in {mailbox.sign_in} nobody uses it", "write sign_in: oauth")
    is_by_ticket = mailbox.sign_in == "kerberos" and not mailbox.user and mailbox.password is None
    if not is_by_ticket and (not mailbox.user or mailbox.password is None):
        what = f"sign_in {mailbox.sign_in} needs user and password"
        yield Finding(loc, what, "add 'user: NAME' and 'password: {file: PATH}'")


def _shared(loc: Loc, address: str) -> Iterator[Finding]:
    if address:
        try:
            parse_address(address)
        except AddressError as exc:
            what = f"{address!r} is no address: {exc}"
            yield Finding((*loc, "shared_mailbox"), what, "write the shared mailbox's address")
