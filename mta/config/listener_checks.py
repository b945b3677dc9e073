"""What the schema can't say of listeners: who may connect and relay, by what, and whether its files are good."""

from __future__ import annotations

import re
import ssl
from collections import Counter
from collections.abc import Iterator

from mta.config.accounts_file import account_key, read_accounts
from mta.config.findings import Finding, bad_ca_file, no_domain, unreadable
from mta.config.listener_schema import Listener
from mta.config.network_checks import network_advice, networks_of_listener
from mta.config.plain_files import who_else
from mta.config.problems import ConfigurationError
from mta.config.schema import Configuration
from mta.config.yaml_values import Loc
from mta.model.address import AddressError, parse_address

_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}\Z")
_TENANT_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_CERTIFICATE_MEND = "write the name in its certificate, such as mail.example.com, or *.example.com"


def listener_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Whether each listener's keys fit each other and the other listeners; looks at nothing outside."""
    taken: dict[tuple[str, int], str] = {}
    for index, listener in enumerate(configuration.listeners):
        loc: Loc = ("listeners", index)
        endpoint = (listener.address, listener.port)
        if listener.port and endpoint in taken:
            yield Finding(
                (*loc, "port"),
                f"{listener.address} port {listener.port} is listener {taken[endpoint]!r}'s already",
                "choose another port or address",
            )
        taken.setdefault(endpoint, listener.name)
        yield from _tls_has_files(listener, (*loc, "tls"))
        yield from _open_relay(listener, loc)
        yield from _inbound(listener, loc)
        yield from _clients(listener, loc)
        yield from _accounts(listener, loc)
        yield from _exchange_online(listener, loc)


def listener_surroundings(configuration: Configuration) -> Iterator[Finding]:
    """Whether the certificates, keys, authorities and accounts that listeners name are there and good."""
    for index, listener in enumerate(configuration.listeners):
        loc: Loc = ("listeners", index)
        yield from _certificate(listener, (*loc, "tls"))
        if listener.tls.client_ca_file is not None:
            yield from bad_ca_file((*loc, "tls", "client_ca_file"), listener.tls.client_ca_file)
        if listener.accounts_file is not None:
            yield from _accounts_in_file(listener, loc)


def listener_advice(configuration: Configuration) -> Iterator[Finding]:
    """What works and could let somebody in who isn't meant."""
    for index, listener in enumerate(configuration.listeners):
        loc: Loc = ("listeners", index)
        yield from network_advice(listener, loc)
        key = listener.tls.key if listener.tls.mode != "none" else None
        for here, path in (((*loc, "tls", "key"), key), ((*loc, "accounts_file"), listener.accounts_file)):
            if path is not None and (may := who_else(path)):
                what = f"everybody on this machine may {may} {path}"
                yield Finding(here, what, f"chmod o= {path}, and let the service's group read it")


def _tls_has_files(listener: Listener, loc: Loc) -> Iterator[Finding]:
    if listener.tls.mode == "none":
        return
    for key, value in (("certificate", listener.tls.certificate), ("key", listener.tls.key)):
        if value is None:
            yield Finding(loc, f"tls is {listener.tls.mode}, but has no {key}", f"add '{key}: PATH' of a PEM file")


def _open_relay(listener: Listener, loc: Loc) -> Iterator[Finding]:
    if listener.role == "trusted" and not listener.allowed_networks and not listener.clients:
        yield Finding(
            loc,
            f"trusted listener {listener.name!r} has no allowed_networks: anybody could relay through it",
            "list the addresses of your own servers, such as allowed_networks: [192.0.2.10], or clients",
        )
    yield from networks_of_listener(listener, loc)


def _inbound(listener: Listener, loc: Loc) -> Iterator[Finding]:
    """What is of one role only."""
    if listener.role == "inbound":
        for key, given in (
            ("clients", bool(listener.clients)),
            ("accounts_file", listener.accounts_file is not None),
            ("peer", listener.peer != "other"),
        ):
            if given:
                what = f"inbound listener {listener.name!r} takes mail from strangers, and relays for nobody"
                yield Finding((*loc, key), what, f"keep {key} for a trusted listener")
    elif listener.verify_recipients.by != "none":
        what = f"trusted listener {listener.name!r} relays to anywhere: its recipients can't be looked up"
        yield Finding((*loc, "verify_recipients"), what, "keep it for inbound listeners")


def _clients(listener: Listener, loc: Loc) -> Iterator[Finding]:
    counts = Counter(peer.name for peer in listener.clients)
    for index, peer in enumerate(listener.clients):
        here: Loc = (*loc, "clients", index)
        if counts[peer.name] > 1:
            yield Finding((*here, "name"), f"two clients are called {peer.name!r}", "give each its own name")
        for number, name in enumerate(peer.certificates):
            yield from no_domain((*here, "certificates", number), name.removeprefix("*."), _CERTIFICATE_MEND)
        for number, sender in enumerate(peer.senders):
            yield from _sender((*here, "senders", number), sender)
        if peer.certificates and listener.tls.mode == "none":
            what = f"client {peer.name!r} has to show a certificate, but the listener has no TLS"
            yield Finding((*here, "certificates"), what, "set tls: {mode: required} with certificate and key")


def _sender(loc: Loc, sender: str) -> Iterator[Finding]:
    if sender.startswith("*@"):
        yield Finding(loc, f"{sender!r} would be the address of somebody called *", f"write {sender[2:]} for all there")
        return
    try:
        parse_address(sender if "@" in sender else f"x@{sender.removeprefix('*.')}")
    except AddressError as exc:
        what = f"{sender!r} is no sender: {exc}"
        yield Finding(loc, what, "write example.com, *.example.com for all below it, or an address")


def _accounts(listener: Listener, loc: Loc) -> Iterator[Finding]:
    if listener.accounts_file is not None and listener.tls.mode == "none":
        what = "accounts need TLS, without which passwords can be read on the way"
        yield Finding((*loc, "accounts_file"), what, "set tls: {mode: required} with certificate and key")
    has_use = listener.role == "inbound" or any(peer.accounts for peer in listener.clients)  # that role is said already
    if listener.accounts_file is not None and not has_use:
        what = "clients may sign in, but nothing depends on it"
        yield Finding(
            (*loc, "accounts_file"), what, "say in clients who may relay, such as {name: staff, accounts: ['*']}"
        )
    for index, peer in enumerate(listener.clients):
        here: Loc = (*loc, "clients", index, "accounts")
        if peer.accounts and listener.accounts_file is None:
            what = f"client {peer.name!r} has to sign in, but the listener has no accounts_file"
            yield Finding(here, what, "add 'accounts_file: PATH'; stampline account add makes it")
        for number, name in enumerate(peer.accounts):
            try:
                account_key(name)
            except ValueError as exc:
                yield Finding(
                    (*here, number), f"the account's name is {exc}", "write a name of the accounts_file, or '*'"
                )


def _exchange_online(listener: Listener, loc: Loc) -> Iterator[Finding]:
    """Addresses and certificate are those of all tenants, so nothing less than all of it will do."""
    if listener.peer != "exchange-online":
        if listener.exchange_online is not None:
            what = f"exchange_online counts only with peer: exchange-online, but peer is {listener.peer}"
            yield Finding((*loc, "exchange_online"), what, "set peer: exchange-online")
        return
    if listener.exchange_online is None:
        what = "without tenant_id every other customer of Exchange Online could relay"
        yield Finding(
            (*loc, "peer"), what, "add exchange_online: {tenant_id: YOURS}; the Microsoft Entra admin center shows it"
        )
    else:
        yield from _tenant(listener, (*loc, "exchange_online"))
    if listener.tls.mode not in ("required", "implicit"):
        what = "Exchange Online is known by its certificate, which needs TLS"
        yield Finding((*loc, "tls"), what, "set tls: {mode: required} with certificate and key")
    if not listener.clients:
        what = "it is not said by which certificate Exchange Online is known"
        mend = "add clients: [{name: exchange-online, certificates: [mail.protection.outlook.com]}]"
        yield Finding(loc, what, mend)
    for index, peer in enumerate(listener.clients):
        if not peer.certificates:
            what = f"client {peer.name!r} needs no certificate, and addresses alone are those of every tenant"
            mend = "add certificates: [mail.protection.outlook.com]"
            yield Finding((*loc, "clients", index), what, mend)


def _tenant(listener: Listener, loc: Loc) -> Iterator[Finding]:
    ours = listener.exchange_online
    assert ours is not None
    if not _TENANT_ID.match(ours.tenant_id):
        what = f"{ours.tenant_id!r} is no tenant id"
        yield Finding((*loc, "tenant_id"), what, "write it as 01234567-89ab-cdef-0123-456789abcdef")
    if not _HEADER_NAME.match(ours.header):
        what = f"{ours.header!r} is no header field's name"
        yield Finding((*loc, "header"), what, "write X-MS-Exchange-CrossTenant-Id, say")


def _certificate(listener: Listener, loc: Loc) -> Iterator[Finding]:
    tls = listener.tls
    if tls.certificate is None or tls.key is None:
        return
    problems = [*unreadable((*loc, "certificate"), tls.certificate), *unreadable((*loc, "key"), tls.key)]
    yield from problems
    if not problems:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password=_no_password)
        except (OSError, ValueError) as exc:
            yield Finding(
                loc, f"certificate and key can't be used: {exc}", "check that both are PEM and belong together"
            )


def _no_password() -> str:
    raise ValueError("the key is protected by a passphrase")


def _accounts_in_file(listener: Listener, loc: Loc) -> Iterator[Finding]:
    path = listener.accounts_file
    assert path is not None
    here: Loc = (*loc, "accounts_file")
    problems = list(unreadable(here, path))
    yield from problems
    if problems:
        return
    try:
        accounts = read_accounts(path)
    except OSError as exc:
        yield Finding(here, f"cannot read {path}: {exc.strerror}", "name a file of accounts")
        return
    except ConfigurationError as exc:
        for problem in exc.problems:
            yield Finding(here, f"{path}:{problem.line}: {problem.what}", problem.mend)
        return
    for index, peer in enumerate(listener.clients):
        for number, name in enumerate(peer.accounts):
            if name != "*" and account_key(name) not in accounts:
                what = f"there is no account {name!r} in {path}"
                yield Finding(
                    (*loc, "clients", index, "accounts", number), what, f"stampline account add --file {path} {name}"
                )
