"""What the schema can't say of next hops and routing: names that must exist, files that must be good, sense."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from mta.config.delivery_schema import HopAuth, HopTls, MaildirHop, MxHop, SmtpHop
from mta.config.explain_errors import closest
from mta.config.findings import Finding, bad_ca_file, bad_key_pair, no_domain, secret_value
from mta.config.schema import Configuration
from mta.config.yaml_values import Loc
from mta.model.address import domain_key
from mta.model.delivery import OF_DOMAIN, VERIFIED_TLS

_FINGERPRINT = re.compile(r"(?:[0-9A-Fa-f]{2}[: ]?){31}[0-9A-Fa-f]{2}\Z")


def delivery_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Whether next hops and routing fit each other; looks at nothing outside."""
    for index, hop in enumerate(configuration.next_hops):
        loc: Loc = ("next_hops", index)
        yield from _name(loc, hop.name)
        if isinstance(hop, MaildirHop):
            yield from _folder_pattern(loc, hop)
            continue
        yield from _tls((*loc, "tls"), hop.tls)
        if hop.auth is not None:
            yield from _auth((*loc, "auth"), hop.auth, hop.tls)
        if isinstance(hop, SmtpHop):
            yield from _hosts(loc, hop)
        else:
            yield from _of_strangers(loc, hop)
    yield from _routing(configuration)
    yield from _tracking_copies(configuration)
    yield from _routed_domains(configuration)


def delivery_surroundings(configuration: Configuration) -> Iterator[Finding]:
    """Whether the certificates, keys and passwords that next hops name are there and good."""
    for index, hop in enumerate(configuration.next_hops):
        if isinstance(hop, MaildirHop):
            continue
        loc: Loc = ("next_hops", index)
        if hop.tls.ca_file is not None:
            yield from bad_ca_file((*loc, "tls", "ca_file"), hop.tls.ca_file)
        yield from _client_certificate((*loc, "tls"), hop.tls)
        if hop.auth is not None:
            password = secret_value((*loc, "auth", "password"), hop.auth.password)
            if isinstance(password, Finding):
                yield password
            elif not password or b"\0" in password:
                mend = "write the password alone into the file or variable"
                yield Finding((*loc, "auth", "password"), "the password is empty, or has a NUL in it", mend)


def _name(loc: Loc, name: str) -> Iterator[Finding]:
    signs = [sign for sign in (OF_DOMAIN, VERIFIED_TLS[0]) if sign in name]
    if signs or not name.strip():
        what = f"{name!r} can't be a next hop's name: the queue uses {OF_DOMAIN} and {VERIFIED_TLS[0]} itself"
        yield Finding((*loc, "name"), what, "use letters, digits, dots and hyphens")


def _folder_pattern(loc: Loc, hop: MaildirHop) -> Iterator[Finding]:
    try:
        str(hop.folder).format(domain="example.com", local="jane")
    except (KeyError, IndexError, ValueError):
        what = f"{hop.folder} has a placeholder that is not known"
        yield Finding((*loc, "folder"), what, "use {domain} and {local} only")


def _tls(loc: Loc, tls: HopTls) -> Iterator[Finding]:
    if tls.implicit and tls.mode != "required":
        yield Finding((*loc, "implicit"), f"implicit TLS can't be {tls.mode}", "add mode: required")
    for index, fingerprint in enumerate(tls.fingerprints):
        if not _FINGERPRINT.match(fingerprint):
            mend = "print it with: openssl x509 -in CERTIFICATE -noout -fingerprint -sha256"
            yield Finding((*loc, "fingerprints", index), f"{fingerprint!r} is no SHA-256 in hexadecimal", mend)
    if tls.fingerprints and tls.mode != "required":
        yield Finding((*loc, "fingerprints"), f"with {tls.mode} TLS nobody looks at them", "add mode: required")
    for key, value in (("ca_file", tls.ca_file), ("verify_name", tls.verify_name)):
        if tls.fingerprints and value is not None:
            mend = f"take {key} or the fingerprints away"
            yield Finding((*loc, key), f"{key} does not count beside fingerprints", mend)
    if tls.key is not None and tls.certificate is None:
        yield Finding((*loc, "key"), "a key without its certificate", "add 'certificate: PATH' of a PEM file")


def _auth(loc: Loc, auth: HopAuth, tls: HopTls) -> Iterator[Finding]:
    if not auth.user or "\0" in auth.user:
        yield Finding((*loc, "user"), "there is no such user name", "write the account's name")
    if tls.mode != "required" and not auth.clear_text:
        yield Finding(
            loc,
            f"with {tls.mode} TLS everybody on the way could have the password",
            "add mode: required to tls; or clear_text: true, where the network is yours alone",
        )


def _hosts(loc: Loc, hop: SmtpHop) -> Iterator[Finding]:
    for index, host in enumerate(hop.hosts):
        where = (*loc, "hosts", index)
        if host.mx:
            yield from no_domain((*where, "mx"), host.mx, "write the domain whose MX records are meant")
        elif not _is_address(host.host):
            yield from no_domain((*where, "host"), host.host, "write a server's full name, or its address")
        if not host.port:
            yield Finding((*where, "port"), "no server listens on port 0", "write 25, 465 or 587")


def _is_address(host: str) -> bool:
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _of_strangers(loc: Loc, hop: MxHop) -> Iterator[Finding]:
    """What is one server's can't be said of those of every domain."""
    for place, value in (
        (("auth",), hop.auth), (("tls", "verify_name"), hop.tls.verify_name),
        (("tls", "fingerprints"), hop.tls.fingerprints or None), (("tls", "implicit"), hop.tls.implicit or None),
    ):  # fmt: skip
        if value is not None:
            what = f"{place[-1]} is for one server: kind mx delivers to those of every domain"
            yield Finding((*loc, *place), what, "write a next hop of kind smtp for that server")
    if not hop.port:
        yield Finding((*loc, "port"), "no server listens on port 0", "leave it out: mail goes to port 25")


def _routing(configuration: Configuration) -> Iterator[Finding]:
    names = [hop.name for hop in configuration.next_hops]
    routing = configuration.routing
    sizes: set[int] = set()
    for loc, name in [
        (("routing", "default"), routing.default),
        *((("routing", "domains", domain), hop) for domain, hop in routing.domains.items()),
        *((("routing", "sizes", index, "next_hop"), size.next_hop) for index, size in enumerate(routing.sizes)),
    ]:
        if name not in names:
            yield Finding(loc, f"no next hop is called {name!r}", closest(name, names))
    for index, size in enumerate(routing.sizes):
        if size.over in sizes:
            yield Finding(("routing", "sizes", index, "over"), "this size stands here twice", "keep one")
        sizes.add(size.over)


def _tracking_copies(configuration: Configuration) -> Iterator[Finding]:
    names = [hop.name for hop in configuration.next_hops]
    for place, organisation in configuration.placed_organisations:
        settings, loc = organisation.tracking, (*place, "tracking")
        if settings is None:
            continue
        if settings.next_hop and settings.next_hop not in names:
            what = f"no next hop is called {settings.next_hop!r}"
            yield Finding((*loc, "next_hop"), what, closest(settings.next_hop, names))
        if not settings.processing_mailbox.isascii():
            what = "the address is beyond ASCII, which not every server on the way takes"
            yield Finding((*loc, "processing_mailbox"), what, "give the mailbox an address in ASCII")


def _routed_domains(configuration: Configuration) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for domain in configuration.routing.domains:
        loc = ("routing", "domains", domain)
        yield from no_domain(loc, domain.removeprefix("*."), "write example.com, or *.example.com for all below it")
        if domain_key(domain) in seen:
            yield Finding(loc, f"{domain!r} is the same domain as {seen[domain_key(domain)]!r}", "keep one")
        seen[domain_key(domain)] = domain


def _client_certificate(loc: Loc, tls: HopTls) -> Iterator[Finding]:
    if tls.certificate is None:
        return
    yield from bad_key_pair(loc, tls.certificate, tls.key)
