"""Tracking: which records there are, which mailboxes are monitored, and what becomes of what they get."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mta.config.mailbox_schema import ImapTls, MailboxServer, OAuth, Trust, kind_of
from mta.config.types import Count, Duration, Port, Secret, Size, Strict
from mta.message.tokens import TokenStyle

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Often = Annotated[int, Field(ge=1, le=9999)]


class People(Strict):
    """Some people: addresses (`*` stands for anything) and groups, members of their groups included."""

    addresses: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Module(Strict):
    """A kind of record: ticket, assignment, requestor, announcement, any name."""

    name: Name
    label: str = ""
    """What tokens and templates call it; empty is its name with a capital letter."""
    digits: Annotated[int, Field(ge=1, le=12)] = 6
    """An id is filled with zeros up to so many digits."""
    subject_token: str = "[{label} - {id}]"
    """Put into subjects, and looked for; `{label}`, `{module}` and `{id}` stand for what they say. Empty: none."""
    body_token: Literal["none", "visible", "hidden"] = "none"
    """The signed reference in the text: for clients that drop header fields."""
    owner: str = ""
    """Address of the owner of new records, where no rule says another."""
    staff_url: str = ""
    """`https://desk.example.com/{module}/{id}`: `record.url` in notices to staff."""
    self_service_url: str = ""
    """The same for everybody else."""

    @property
    def style(self) -> TokenStyle:
        """How its records' numbers are written."""
        return TokenStyle(self.name, self.label or self.name.capitalize(), self.digits, self.subject_token)


# --- monitored mailboxes ---------------------------------------------------------------------------------------------


class Poll(Strict):
    every: Often = 5
    """Minutes."""
    messages: Often = 100
    """At most, in one poll."""


class Hours(Strict):
    """When a mailbox is polled; all that is said has to hold."""

    repeat: Literal["daily", "weekly", "monthly", "yearly"] = "daily"
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    """With `weekly`."""
    days: tuple[Annotated[int, Field(ge=1, le=31)], ...] = ()
    """Of the month, with `monthly` and `yearly`; one that a month doesn't have is its last."""
    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = ()
    """With `yearly`."""
    hours: str = "00:00-24:00"
    """`08:00-18:00`; past midnight: `22:00-06:00`."""
    start: date | None = None
    end: date | None = None
    """The last day, included."""
    timezone: str = ""
    """Empty: this machine's."""


class After(Strict):
    """What becomes of a processed message on the server."""

    do: Literal["mark-read", "delete", "move"] = "move"
    """POP3 always deletes."""
    folder: str = "StamplineProcessed"
    """With `move`."""
    purge: bool = True
    """What was deleted goes for good when the poll ends."""
    set_aside: str = "StamplineSetAside"
    """The folder for what can't be processed; POP3, which has no folders: a Maildir beside the store."""


class MonitoredMailboxSettings(Strict):
    """What all kinds share."""

    name: Name
    enabled: bool = True
    address: str
    """The mailbox's own address; notices may be sent from it."""
    poll: Poll = Poll()
    schedule: Hours = Hours()
    after: After = After()
    log_messages: bool = True
    """A line for each message in the mailbox's log, not only for what goes wrong."""
    largest: Size = 100_000_000
    """Larger messages are set aside."""
    trouble_template: str = ""
    """Of the notice when sign-in fails three times in a row; empty, or gone: our own words."""


class TokenUrl(Strict):
    """Any authority of OAuth 2.0 (RFC 6749), by the address of its tokens: Gmail among them."""

    token_url: str
    client_id: str
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    """None: client credentials (§4.4); else it is refreshed (§6)."""
    scope: str = ""


class MaildirMailbox(MonitoredMailboxSettings):
    kind: Literal["maildir"]
    path: Path
    folder: str = ""
    """Below it, `.Name`; empty is the mailbox itself."""


class ImapMailbox(MonitoredMailboxSettings):
    kind: Literal["imap"]
    host: str
    port: Port | None = None
    """None is 993 with implicit TLS, else 143."""
    tls: ImapTls = ImapTls()
    sign_in: Literal["password", "xoauth2"] = "password"
    user: str = ""
    """Empty: `address`."""
    password: Secret | None = None
    oauth: OAuth | TokenUrl | None = None
    folder: str = "INBOX"
    timeout: Duration = timedelta(seconds=60)


class Pop3Mailbox(MonitoredMailboxSettings):
    kind: Literal["pop3"]
    host: str
    port: Port | None = None
    """None is 995 with implicit TLS, else 110."""
    tls: ImapTls = ImapTls()
    sign_in: Literal["password", "xoauth2"] = "password"
    user: str = ""
    password: Secret | None = None
    oauth: OAuth | TokenUrl | None = None
    timeout: Duration = timedelta(seconds=60)


def set_aside_folder(spool: Path, mailbox: str) -> Path:
    """The Maildir for what can't be processed, where the server has no folders (POP3)."""
    return spool / "set-aside" / mailbox


class EwsMailbox(MonitoredMailboxSettings):
    kind: Literal["ews"]
    url: str = ""
    """`https://mail.example.com/EWS/Exchange.asmx`; empty: by Autodiscover."""
    autodiscover: str = ""
    sign_in: Literal["basic", "ntlm", "kerberos", "oauth"] = "ntlm"
    user: str = ""
    password: Secret | None = None
    oauth: OAuth | None = None
    shared_mailbox: str = ""
    """Address of the mailbox to open, where it isn't the account's own."""
    impersonate: bool = False
    """The account has ApplicationImpersonation for the mailbox; else it has its own, or full access to a shared one."""
    folder: str = "Inbox"
    """A path: `Inbox/Tickets`."""
    tls: Trust = Trust()
    timeout: Duration = timedelta(seconds=120)


class GraphMailbox(MonitoredMailboxSettings):
    kind: Literal["graph"]
    oauth: OAuth
    url: str = ""
    shared_mailbox: str = ""
    """Empty: `address`."""
    folder: str = "Inbox"
    tls: Trust = Trust()
    timeout: Duration = timedelta(seconds=60)


MonitoredMailbox = Annotated[
    Annotated[MaildirMailbox, Tag("maildir")]
    | Annotated[ImapMailbox, Tag("imap")]
    | Annotated[Pop3Mailbox, Tag("pop3")]
    | Annotated[EwsMailbox, Tag("ews")]
    | Annotated[GraphMailbox, Tag("graph")],
    Discriminator(kind_of),
]


_ONLINE_HOSTS = (".office365.com", ".outlook.com", ".office.com")


def is_of_exchange(mailbox: MonitoredMailbox) -> bool:
    """Whether it can be told that Exchange keeps this mailbox: it writes the MIME of messages anew, and knows as whom
    it let their senders in."""
    if isinstance(mailbox, ImapMailbox | Pop3Mailbox):
        return mailbox.host.lower().endswith(_ONLINE_HOSTS)
    return isinstance(mailbox, EwsMailbox | GraphMailbox)


# --- outgoing accounts -----------------------------------------------------------------------------------------------


class AccountSettings(Strict):
    name: Name
    senders: Annotated[tuple[str, ...], Field(min_length=1)]
    """Addresses that From may have; the first one is used where nobody says another."""


class SmtpAccount(AccountSettings):
    kind: Literal["smtp"]
    host: str
    port: Port | None = None
    """None is 465 with implicit TLS, 587 with STARTTLS, else 25."""
    tls: ImapTls = ImapTls(mode="starttls")
    user: str = ""
    """Empty: no AUTH."""
    password: Secret | None = None
    oauth: OAuth | TokenUrl | None = None
    """XOAUTH2 instead of a password."""
    timeout: Duration = timedelta(seconds=60)


class GraphAccount(AccountSettings):
    """Microsoft 365: sendMail of Microsoft Graph, as the sender's mailbox."""

    kind: Literal["graph"]
    oauth: OAuth
    url: str = ""
    tls: Trust = Trust()
    timeout: Duration = timedelta(seconds=60)


OutgoingAccount = Annotated[
    Annotated[SmtpAccount, Tag("smtp")] | Annotated[GraphAccount, Tag("graph")], Discriminator(kind_of)
]


# --- filters and correlation -----------------------------------------------------------------------------------------


class Match(Strict):
    """One of the three; case doesn't count. Each text has more than one character."""

    contains: str = ""
    """A literal part."""
    any_of: str = ""
    """Literal parts, separated by commas."""
    regex: str = ""
    """RE2."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.contains, self.any_of, self.regex))) != 1:
            raise ValueError("contains, any_of and regex exclude each other | keep one of the three")
        return self


class FilterRule(Strict):
    """Leaves out what it matches."""

    name: str
    direction: Literal["incoming", "outgoing", "both"] = "incoming"
    """outgoing: whom we never write to."""
    role: Literal["requestor", "technician", "both"] = "both"
    """Of the sender of what comes in, of the recipient of what goes out."""
    field: Literal["address", "local-part", "display-name", "subject"]
    match: Match


class Filters(Strict):
    presets: bool = True
    """Bounces and out-of-office mail by their usual senders and subjects."""
    rules: tuple[FilterRule, ...] = ()
    accept: Literal["everybody", "requestors", "technicians", "both"] = "everybody"
    """both: known people only, of either kind."""
    largest: Size = 50_000_000
    """Larger messages are left out."""
    subject_length: Count = 255
    """Longer subjects are cut, and the whole one is kept in the note."""
    restricted_attachments: tuple[str, ...] = (
        "exe", "com", "bat", "cmd", "scr", "pif", "vbs", "vbe", "js", "jse", "wsf", "wsh", "msi", "hta", "lnk", "ps1",
        "jar", "reg", "cpl",
    )  # fmt: skip
    """Endings of names, or media types as `application/x-msdownload`: left out, and the note says so."""
    automatic: Literal["leave-out", "take"] = "leave-out"
    """Mail that programs wrote: automatic replies, lists, bulk mail. Bounces always mark what they are about."""
    cap_per_day: Count = 200
    """Messages of one address that are taken in 24 hours, and notices that one address gets; owners and technicians get
    20 times as many."""


class TicketPattern(Strict):
    """How another system writes its numbers into subjects."""

    system: Name
    regex: str
    """RE2, with one group: the number."""


class CorrelationSettings(Strict):
    tickets: tuple[TicketPattern, ...] = ()
    thread_index: bool = True
    """Exchange's own conversation names count, if the sender takes part."""
    join_by_token: Literal["participants", "everybody"] = "participants"
    """Who may join by an unsigned token. everybody: whoever guesses a number."""
    token_joiners: People = People()
    """Who may besides, if nothing is against it that he wrote the message."""
    authserv_ids: tuple[str, ...] = ()
    """Whose Authentication-Results on top of a monitored mailbox's messages are believed: who fails DMARC there takes
    part in nothing. The relay's own are always."""
    verify_dkim: Literal["auto", "always", "never"] = "auto"
    """Whether we verify DKIM ourselves, of messages that come by a monitored mailbox and would join. auto: where there
    are no authserv_ids, and the mailbox isn't one of Exchange's, which writes messages anew."""
    unproven: Literal["hold", "by-dmarc", "join"] = "by-dmarc"
    """What becomes of messages of those who may join, if nothing proves that they sent them: pending; pending if the
    domain has a DMARC policy and we verify; or they join."""


# --- what follows ----------------------------------------------------------------------------------------------------


class WebhookSink(Strict):
    name: Name
    kind: Literal["webhook"]
    url: str
    """https, or http on this machine."""
    key: Secret
    """Signs each request: X-Stampline-Signature."""
    tls: Trust = Trust()
    timeout: Duration = timedelta(seconds=30)
    give_up_after: Duration = timedelta(days=3)


class PluginSink(Strict):
    name: Name
    kind: Literal["plugin"]
    plugin: str
    """Name of an entry point in the group `stampline.sinks`."""
    settings: dict[str, Any] = {}
    timeout: Duration = timedelta(seconds=30)
    give_up_after: Duration = timedelta(days=3)


Sink = Annotated[Annotated[WebhookSink, Tag("webhook")] | Annotated[PluginSink, Tag("plugin")], Discriminator(kind_of)]


class Digest(Strict):
    """A report by mail of what stands in records."""

    name: Name
    to: Annotated[tuple[str, ...], Field(min_length=1)]
    account: str = ""
    """Empty: the first one."""
    template: str = ""
    """Empty: our own words."""
    modules: tuple[Name, ...] = ()
    """Empty: all."""
    states: tuple[str, ...] = ("open",)
    at: str = "07:00"
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ("mon", "tue", "wed", "thu", "fri")
    timezone: str = ""


class WriteBack(Strict):
    """Marks on the copies of filed messages in people's mailboxes."""

    servers: tuple[MailboxServer, ...] = ()
    """Where the mailboxes are, in an organisation without `sent_items`; else they are where that says."""
    audience: People
    """Whose mailboxes may be written to."""
    category: str = "Transferred"
    link: bool = True
    link_in_body: bool = False
    columns: str = ""
    """Name of an entry point in the group `stampline.columns`; it is given the record and gives names and values."""
    columns_settings: dict[str, Any] = {}
    search_for: Duration = timedelta(days=1)


class Trouble(Strict):
    """What is done when a mailbox can't be signed in to three polls in a row."""

    module: str = ""
    """Of the record that is opened; empty: the first module."""
    notify: tuple[str, ...] = ()
    account: str = ""


class TrackingSettings(Strict):
    keys: Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]
    """Sign references and copies. The first one signs; all verify."""
    processing_mailbox: str = ""
    """Address that copies of tracked messages go to; it should be monitored. Empty: no copies."""
    next_hop: str = ""
    """By which copies go; empty: as any mail for that address."""
    modules: Annotated[tuple[Module, ...], Field(min_length=1)]
    rules: Path
    """A folder of business rules (`*.yaml`), read in the order of their names."""
    mailboxes: tuple[MonitoredMailbox, ...] = ()
    technicians: People = People()
    """Staff, who work on records."""
    requestors: People = People()
    """Known people beside those of the directory."""
    filters: Filters = Filters()
    correlation: CorrelationSettings = CorrelationSettings()
    accounts: tuple[OutgoingAccount, ...] = ()
    allowed_senders: tuple[str, ...] = ()
    """Addresses that accounts may send from, beside those of the monitored mailboxes."""
    sinks: tuple[Sink, ...] = ()
    digests: tuple[Digest, ...] = ()
    trouble: Trouble = Trouble()
    write_back: WriteBack | None = None
    keep: Duration = timedelta(days=90)
    """How long it is remembered what became of messages and tasks that belong to no record."""

    def verifies_dkim(self, mailbox: MonitoredMailbox) -> bool:
        """Whether we verify the signatures of what comes by this mailbox."""
        how = self.correlation.verify_dkim
        if how != "auto" or self.correlation.unproven == "join":
            return how == "always"
        return not self.correlation.authserv_ids and not is_of_exchange(mailbox)

    @property
    def named_groups(self) -> Iterator[tuple[tuple[str | int, ...], tuple[str, ...]]]:
        """Each list of groups with its place."""
        for key in ("technicians", "requestors"):
            yield (key, "groups"), getattr(self, key).groups
        yield ("correlation", "token_joiners", "groups"), self.correlation.token_joiners.groups
        if self.write_back is not None:
            yield ("write_back", "audience", "groups"), self.write_back.audience.groups
