"""Whether the public halves of DKIM and ARC keys stand in DNS, and are what we sign with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mta.authenticate.keys import KeyProblem, read_key
from mta.authenticate.tags import TagListError, read_tags, without_white
from mta.config.authentication_schema import ArcKey
from mta.config.schema import DkimKey
from mta.config.signing_keys import DkimKeyError, PrivateKey, private_key
from mta.model.address import domain_key
from mta.ports.resolver import Outcome, Resolver
from mta.probe.probe import Probe, Say, Surroundings, failed, ok, warning
from mta.relay.sign.record import key_record, zone_line


@dataclass(frozen=True, slots=True)
class PublishedKeyProbe:
    """One key of the configuration."""

    uses: tuple[str, ...]
    """What it signs: DKIM, ARC."""
    key: DkimKey | ArcKey
    resolver: Resolver

    @property
    def name(self) -> str:
        return f"{self.key.selector}._domainkey.{domain_key(self.key.domain)}"

    async def run(self, say: Say) -> None:
        try:
            private = private_key(self.key.key.read())
        except (DkimKeyError, OSError, KeyError) as exc:
            say(failed(f"the private key can't be read: {exc}", "see `stampline check`"))
            return
        answer = await self.resolver.txt(self.name)
        if answer.outcome is Outcome.TEMPFAIL:
            say(failed("DNS does not answer", "ask again later; see the dns lines above"))
            return
        mend = f"publish: {zone_line(self.name, key_record(private))}"
        if not answer.records:
            what = "there is no TXT record" if answer.outcome is Outcome.NODATA else "there is no such name in DNS"
            say(failed(f"{what}: nobody can verify what this key signs ({', '.join(self.uses)})", mend))
            return
        if len(answer.records) > 1:
            what = f"there are {len(answer.records)} TXT records of that name; which one counts is left to chance"
            say(warning(what, "keep the one of this key only"))
        self._compare(answer.records, private, mend, say)

    def _compare(self, records: tuple[bytes, ...], private: PrivateKey, mend: str, say: Say) -> None:
        ours = read_key(key_record(private).encode())
        found = [read_key(record) for record in records]
        for record, key in zip(records, found, strict=True):
            if not isinstance(key, KeyProblem) and not isinstance(ours, KeyProblem) and key.key == ours.key:
                say(ok(f"the published key is the one that signs ({', '.join(self.uses)})"))
                self._flags(record, say)
                return
        problem = next((key for key in found if isinstance(key, KeyProblem)), None)
        if problem is not None:
            say(failed(f"the record is of no use: {_reason(records[found.index(problem)], problem)}", mend))
        else:
            say(failed("another key is published: what this one signs fails everywhere", mend))

    def _flags(self, record: bytes, say: Say) -> None:
        """Of a record that holds."""
        tags = read_tags(record)
        flags = {flag.strip() for flag in tags.get(b"t", b"").split(b":")}
        if b"y" in flags:
            say(warning("t=y says that the domain only tests DKIM: some ignore its signatures", "take t=y out"))
        # t=s asks that i= has the signing domain itself; we write no i=, so it has.


def _reason(record: bytes, problem: KeyProblem) -> str:
    """In the words of a zone's keeper."""
    try:
        tags = read_tags(record)
    except TagListError:
        return "it is no list of tag=value;"
    if b"p" in tags and not without_white(tags[b"p"]):
        return "p= is empty, which revokes the key"
    if problem.reason == "key is not for SHA-256":
        return "h= leaves out sha256"
    if problem.reason == "key is not for mail":
        return "s= leaves out email"
    if problem.reason in ("key can't be read", "key is of an unknown kind"):
        return f"{problem.reason} (k={tags.get(b'k', b'rsa').decode('ascii', 'replace')[:20]})"
    return problem.reason


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each name in DNS."""
    found: dict[tuple[str, str], tuple[list[str], DkimKey | ArcKey]] = {}
    for organisation in surroundings.configuration.every_organisation:
        keys: list[tuple[str, DkimKey | ArcKey]] = [("DKIM", key) for key in organisation.dkim]
        if organisation.arc is not None:
            keys.append(("ARC", organisation.arc))
        for use, key in keys:
            uses, _ = found.setdefault((domain_key(key.domain), key.selector.lower()), ([], key))
            uses.append(use)
    return [PublishedKeyProbe(tuple(uses), key, surroundings.resolver) for uses, key in found.values()]
