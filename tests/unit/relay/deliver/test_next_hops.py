from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from mta import events
from mta.config.delivery_schema import HopTls, Host, MaildirHop, NextHop, SmtpHop
from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from mta.ports.transport import Segments, Stopped
from mta.relay.deliver.next_hops import NextHops


class Way:
    """A transport that only knows what it was made from."""

    def __init__(self, hop: NextHop) -> None:
        self.hop = hop
        self.are_blocked: set[str] = set()
        self.is_closed = False

    async def deliver(
        self,
        envelope: Envelope,
        recipients: Sequence[RecipientEntry],
        content: Segments,
        *,
        deadline_s: float,
        overlook: Collection[Misfit] = (),
    ) -> Sequence[RecipientResult]:
        raise NotImplementedError

    def is_blocked(self, domain: str) -> bool:
        return domain in self.are_blocked

    def blocked(self) -> Collection[str]:
        return self.are_blocked

    def stopped(self) -> Mapping[str, Stopped]:
        return {domain: Stopped(3.0, "451 4.4.1 no") for domain in self.are_blocked}

    async def close(self) -> None:
        self.is_closed = True


def smtp(name: str, port: int = 25) -> SmtpHop:
    return SmtpHop(name=name, hosts=(Host(host="mx.example.org", port=port),))


class Built(list[Way]):
    def __call__(self, hop: NextHop) -> Way:
        if hop.name == "broken":
            raise OSError("no such CA file")
        self.append(Way(hop))
        return self[-1]


ARCHIVE = MaildirHop(name="archive", kind="maildir", folder=Path("/srv/archive"))


def test_each_name_has_its_transport() -> None:
    hops = NextHops(Built())
    hops.apply([smtp("a"), ARCHIVE], default="a")
    assert hops.transport("archive") is not hops.transport("a")


def test_a_reload_keeps_what_did_not_change() -> None:
    built = Built()
    hops = NextHops(built)
    hops.apply([smtp("a"), smtp("b"), ARCHIVE], default="a")
    kept, changed, removed = hops.transport("a"), hops.transport("b"), hops.transport("archive")
    gone = hops.apply([smtp("a"), smtp("b", port=26), smtp("new")], default="a")
    assert hops.transport("a") is kept
    assert hops.transport("b") is not changed
    assert gone == (changed, removed)
    assert len(built) == 5


def test_a_reload_that_fails_changes_nothing() -> None:
    hops = NextHops(Built())
    hops.apply([smtp("a"), smtp("b")], default="a")
    before = hops.transport("a"), hops.transport("b")
    with pytest.raises(OSError, match="CA file"):
        hops.apply([smtp("a", port=26), smtp("broken")], default="a")
    with pytest.raises(KeyError):
        hops.apply([smtp("a", port=26)], default="b")
    assert (hops.transport("a"), hops.transport("b")) == before


class Lines:
    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, level: events.Level, action: str, line: str, day: str) -> None:
        self.written.append(line)


def test_an_unknown_name_goes_the_default_way_and_is_logged() -> None:
    hops, lines = NextHops(Built()), Lines()
    hops.apply([smtp("a"), smtp("b")], default="b")
    events.configure([lines])
    try:
        assert hops.transport("taken-away") is hops.transport("b")
    finally:
        events.configure([])
    assert "next_hop=taken-away used=b" in lines.written[0]


def test_blocked_names_those_to_leave_alone() -> None:
    built = Built()
    hops = NextHops(built)
    hops.apply([smtp("a"), smtp("b")], default="a")
    built[1].are_blocked = {""}
    assert hops.blocked() == {"b"}


async def test_close_ends_all() -> None:
    built = Built()
    hops = NextHops(built)
    hops.apply([smtp("a"), smtp("b")], default="a")
    await hops.close()
    assert [way.is_closed for way in built] == [True, True]


def test_verified_tls_is_the_same_next_hop_with_tls_required() -> None:
    built = Built()
    hops = NextHops(built)
    hops.apply([smtp("a"), ARCHIVE], default="a")
    over_tls = hops.transport("a+tls")
    assert over_tls is not hops.transport("a")
    assert over_tls is hops.transport("a+tls")
    made = built[-1].hop
    assert isinstance(made, SmtpHop)
    assert (made.name, made.tls.mode, made.hosts) == ("a", "required", smtp("a").hosts)
    assert hops.transport("archive+tls") is hops.transport("archive")


def test_a_next_hop_that_requires_tls_anyway_needs_no_other() -> None:
    hops = NextHops(Built())
    strict = smtp("a").model_copy(update={"tls": HopTls(mode="required")})
    hops.apply([strict], default="a")
    assert hops.transport("a+tls") is hops.transport("a")


def test_a_next_hop_that_is_gone_does_not_take_the_need_of_tls_with_it() -> None:
    built = Built()
    hops = NextHops(built)
    hops.apply([smtp("a")], default="a")
    hops.transport("taken-away+tls")
    made = built[-1].hop
    assert isinstance(made, SmtpHop)
    assert made.tls.mode == "required"


async def test_a_reload_keeps_verified_tls_where_the_next_hop_stays(tmp_path: Path) -> None:
    built = Built()
    hops = NextHops(built)
    hops.apply([smtp("a"), smtp("b")], default="a")
    kept, changed = hops.transport("a+tls"), hops.transport("b+tls")
    gone = hops.apply([smtp("a"), smtp("b", port=26)], default="a")
    assert changed in gone
    assert hops.transport("a+tls") is kept
    assert hops.transport("b+tls") is not changed
    built[2].are_blocked = {""}
    assert hops.blocked() == {"a+tls"}
    await hops.close()
    assert built[2].is_closed
