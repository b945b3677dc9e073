"""What the schema can't say about outgoing accounts and sinks: senders, ways to sign in, addresses, plug-ins."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points

from mta.config.explain_errors import closest
from mta.config.findings import (
    Finding,
    bad_ca_file,
    is_this_machine,
    may_be_posted_to,
    names_a_user,
    no_host,
    no_time,
    secret_value,
)
from mta.config.mailbox_checks import https_address, oauth_surroundings, required_secret
from mta.config.mailbox_schema import OAuth
from mta.config.tracking_schema import (
    AccountSettings,
    OutgoingAccount,
    PluginSink,
    Sink,
    SmtpAccount,
    TrackingSettings,
    WebhookSink,
)
from mta.config.yaml_values import Loc
from mta.model.address import AddressError, parse_address, without_tag
from mta.ports.record_sink import COLUMNS, SINKS

SHORTEST_KEY = 16
"""Octets of a key that signs; less can be guessed."""


def key_of(address: str) -> str:
    """Its address key; of what is no address, itself in lower case."""
    try:
        return parse_address(address).key
    except AddressError:
        return address.lower()


def allowed_senders(settings: TrackingSettings) -> frozenset[str]:
    """Address keys that accounts may send from at all."""
    own = [mailbox.address for mailbox in settings.mailboxes]
    return frozenset(key_of(address) for address in (*own, *settings.allowed_senders))


def own_addresses(settings: TrackingSettings) -> frozenset[str]:
    """Address keys, without a tag, that are nobody's: of the processing mailbox, the monitored ones, and those that
    notices may come from."""
    written = (settings.processing_mailbox, *(mailbox.address for mailbox in settings.mailboxes))
    mailboxes = (without_tag(key_of(address)) for address in written if address)
    return frozenset((*mailboxes, *map(key_of, settings.allowed_senders)))


def outgoing_consistency(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    """Whether accounts and sinks make sense by themselves; `loc` is that of `tracking`."""
    allowed = allowed_senders(settings)
    for index, address in enumerate(settings.allowed_senders):
        yield from _address((*loc, "allowed_senders", index), address)
    for what, key, items in (("accounts", "accounts", settings.accounts), ("sinks", "sinks", settings.sinks)):
        yield from _repeated(what, (*loc, key), [item.name for item in items])
    for index, account in enumerate(settings.accounts):
        where = (*loc, "accounts", index)
        yield from _senders(where, account, allowed)
        yield from _account(where, account)
    for index, sink in enumerate(settings.sinks):
        where = (*loc, "sinks", index)
        yield from no_time((*where, "timeout"), sink.timeout)
        if isinstance(sink, WebhookSink):
            yield from _webhook((*where, "url"), sink.url)


def outgoing_surroundings(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    """Whether the files, secrets and plug-ins that they name are there; servers are not asked."""
    for index, account in enumerate(settings.accounts):
        where = (*loc, "accounts", index)
        if account.tls.ca_file is not None:
            yield from bad_ca_file((*where, "tls", "ca_file"), account.tls.ca_file)
        if isinstance(account, SmtpAccount) and account.password is not None:
            yield from required_secret((*where, "password"), account.password)
        if isinstance(account.oauth, OAuth):
            yield from oauth_surroundings((*where, "oauth"), account.oauth)
        elif account.oauth is not None:
            for key in ("client_secret", "refresh_token"):
                if (secret := getattr(account.oauth, key)) is not None:
                    yield from required_secret((*where, "oauth", key), secret)
    for index, sink in enumerate(settings.sinks):
        yield from _sink_surroundings((*loc, "sinks", index), sink)
    if settings.write_back is not None and settings.write_back.columns:
        yield from _plugin((*loc, "write_back", "columns"), settings.write_back.columns, COLUMNS)


def _repeated(what: str, loc: Loc, names: list[str]) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if names.index(name) < index:
            yield Finding((*loc, index, "name"), f"two {what} are called {name!r}", "give each its own name")


def _senders(loc: Loc, account: AccountSettings, allowed: frozenset[str]) -> Iterator[Finding]:
    for index, address in enumerate(account.senders):
        where = (*loc, "senders", index)
        problems = list(_address(where, address))
        yield from problems
        if not problems and key_of(address) not in allowed:
            what = f"{address} is no monitored mailbox's address: nobody would see what is answered to it"
            yield Finding(where, what, "monitor it, or add it to allowed_senders")


def _account(loc: Loc, account: OutgoingAccount) -> Iterator[Finding]:
    yield from no_time((*loc, "timeout"), account.timeout)
    if account.tls.ca_file is not None and not account.tls.verify:
        yield Finding((*loc, "tls", "ca_file"), "with verify: false nobody looks at it", "remove verify: false")
    if not isinstance(account, SmtpAccount):
        yield from https_address((*loc, "url"), account.url)
        yield from https_address((*loc, "oauth", "authority"), account.oauth.authority)
        return
    yield from no_host((*loc, "host"), account.host, "smtp.example.com")
    if account.port == 0:
        yield Finding((*loc, "port"), "no server listens on port 0", "write 587, 465 or 25")
    if account.password is not None and account.oauth is not None:
        yield Finding((*loc, "oauth"), "an account signs in by password or by token", "keep one of the two")
    signs_in = account.password is not None or account.oauth is not None
    if bool(account.user) != signs_in:
        yield Finding((*loc, "user"), "AUTH needs a user and a password or oauth", "give both, or neither")
    if account.tls.mode == "none":
        for key in ("ca_file", "verify_name"):
            if getattr(account.tls, key) is not None:
                yield Finding((*loc, "tls", key), f"{key} means nothing without TLS", "choose implicit or starttls")
        if signs_in and not is_this_machine(account.host):
            what = f"the password would go to {account.host} in clear text"
            yield Finding((*loc, "tls", "mode"), what, "write implicit or starttls")
    if account.oauth is not None:
        address = account.oauth.authority if isinstance(account.oauth, OAuth) else account.oauth.token_url
        yield from https_address((*loc, "oauth"), address)


def _webhook(loc: Loc, url: str) -> Iterator[Finding]:
    if not may_be_posted_to(url):
        what = f"{url!r} is neither https nor http on this machine"
        yield Finding(loc, what, "write https://host/path; http is for 127.0.0.1 and localhost only")
    elif names_a_user(url):
        yield Finding(loc, "it names a user or a password", "take them out: requests are signed with the key")


def _sink_surroundings(loc: Loc, sink: Sink) -> Iterator[Finding]:
    if isinstance(sink, PluginSink):
        yield from _plugin((*loc, "plugin"), sink.plugin, SINKS)
        return
    if sink.tls.ca_file is not None:
        yield from bad_ca_file((*loc, "tls", "ca_file"), sink.tls.ca_file)
    value = secret_value((*loc, "key"), sink.key)
    if isinstance(value, Finding):
        yield value
    elif len(value) < SHORTEST_KEY:
        what = f"a key of {len(value)} octets can be guessed"
        yield Finding((*loc, "key"), what, "make one by `openssl rand -base64 32`")


def _plugin(loc: Loc, name: str, group: str) -> Iterator[Finding]:
    """It is not loaded: a check runs no foreign code."""
    found = entry_points(group=group).names
    if name not in found:
        mend = closest(name, found) if found else f"install a package with an entry point in {group}"
        yield Finding(loc, f"there is no plug-in {name!r} in the group {group}", mend)


def _address(loc: Loc, address: str) -> Iterator[Finding]:
    try:
        parse_address(address)
    except AddressError as exc:
        yield Finding(loc, f"{address!r} is no address: {exc}", "write name@example.com")
