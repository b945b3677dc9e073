"""Active Directory beyond the contract: its settings, and what happens when servers fail. Every fault is a real one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from mta import events
from mta.adapters.directory.ldap.directory import LdapDirectory
from mta.model.person import UnansweredPerson
from mta.ports.directory import DirectoryDownError
from tests.contract.directories import BUILT_IN, LDIF, ldap_directory
from tests.servers.samba import ACCOUNT_PASSWORD, BASE, HOST, Samba, running_samba

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]  # the first one makes a domain
JANE = "jane@example.com"
IMPATIENT = {
    "connect_timeout": timedelta(milliseconds=300), "answer_timeout": timedelta(milliseconds=300),
    "retry_after": timedelta(milliseconds=50),
    "cache": {"ttl": timedelta(0), "unknown_ttl": timedelta(0), "wait": timedelta(milliseconds=200)},
}  # fmt: skip
"""Nothing stays fresh, nobody waits long."""
PATIENT = {**IMPATIENT, "connect_timeout": timedelta(seconds=20), "answer_timeout": timedelta(seconds=20)}
PATIENT["cache"] = {"ttl": timedelta(0), "wait": timedelta(seconds=30)}


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, level: str, action: str, line: str, day: str) -> None:
        self.lines.append(line)

    def count(self, *words: str) -> int:
        return sum(all(word in line for word in words) for line in self.lines)


@pytest.fixture
def log() -> Iterator[Log]:
    sink = Log()
    events.configure([sink], level="debug")
    yield sink
    events.configure([])


@pytest.fixture(scope="module")
def spare(samba_domain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    with running_samba(samba_domain, tmp_path_factory.mktemp("dc") / "dc2") as server:
        server.add(LDIF)
        yield server


@pytest.fixture
def second(spare: Samba) -> Samba:
    """A server that tests may stop and change; its Jane has a name that no test has given her yet."""
    rename_jane(spare, "Jane Second")
    spare.start()
    return spare


@asynccontextmanager
async def opened(samba: Samba, **changes: Any) -> AsyncIterator[LdapDirectory]:
    directory = ldap_directory(samba, **changes)
    await directory.start()
    try:
        async with asyncio.timeout(100):
            yield directory
    finally:
        await directory.close()


async def display_name(directory: LdapDirectory) -> str:
    return (await directory.people([JANE]))[JANE].attributes["displayName"]


def rename_jane(samba: Samba, name: str) -> None:
    dn = f"CN=Doe\\, Jane,OU=Sales Team,OU=Staff,{BASE}"
    samba.add(f"dn: {dn}\nchangetype: modify\nreplace: displayName\ndisplayName: {name}\n")


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["ldaps", "starttls", "none"])
async def test_each_way_of_talking(samba: Samba, mode: str) -> None:
    tls = {"mode": mode} if mode == "none" else {"mode": mode, "ca_file": samba.ca_file}
    async with opened(samba, tls=tls) as directory:
        assert await display_name(directory) == "Jane Döe"


async def test_the_certificate_may_carry_another_name_than_the_address(samba: Samba) -> None:
    tls = {"mode": "ldaps", "ca_file": samba.ca_file, "verify_name": HOST}
    async with opened(samba, tls=tls, bind_dn="stampline@corp.example") as directory:
        assert await display_name(directory) == "Jane Döe"


async def test_attributes_of_ones_own_names(samba: Samba) -> None:
    async with opened(samba, attributes={"room": "department", "login": "sAMAccountName"}) as directory:
        assert {"room", "login", "displayName"} <= directory.attribute_names()
        jane = (await directory.people([JANE]))[JANE]
        assert (jane.attributes["room"], jane.attributes["department"]) == ("Sales", "Sales")
        assert jane.attributes["login"] == "jane"


async def test_the_filter_decides_who_is_known(samba: Samba) -> None:
    async with opened(samba, filter="(|(department=sal*)(!(displayName=Bo\\73s)))") as directory:
        found = await directory.people([JANE, "boss@example.com", "chief@example.com"])
        assert set(found) == {JANE, "chief@example.com"}


async def test_bases_bound_what_is_known_and_one_that_is_missing_holds_nobody(samba: Samba) -> None:
    bases = (f"OU=Sales Team,OU=Staff,{BASE}", f"OU=Nowhere,{BASE}")
    async with opened(samba, bases=bases) as directory:
        found = await directory.people([JANE, "chief@example.com"])
        assert set(found) == {JANE}
        # Groups and the manager stand elsewhere, and are found by their names.
        assert "company" in found[JANE].groups
        assert found[JANE].manager == "boss@example.com"


async def test_a_principal_name_is_an_address_where_it_is_wanted(samba: Samba) -> None:
    key = "stampline@corp.example"
    async with opened(samba) as directory:
        assert await directory.people([key]) == {}
    async with opened(samba, user_principal_name=True) as directory:
        assert (await directory.people([key]))[key].attributes["sAMAccountName"] == "stampline"


async def test_without_photos(samba: Samba) -> None:
    async with opened(samba, photo="none") as directory:
        assert (await directory.people([JANE]))[JANE].photo == b""


async def test_pages_smaller_than_what_there_is(samba: Samba) -> None:
    async with opened(samba, page_size=2) as directory:
        assert len({person.address async for person in directory.everybody()}) == 6


async def test_all_groups_can_be_listed(samba: Samba) -> None:
    async with opened(samba, page_size=10) as directory:
        assert {"sales", "company", "ring", "customers", "domain users"} <= await directory.all_group_names()


async def test_a_large_group_deep_inside_others(second: Samba) -> None:
    people = [
        f"dn: CN=Member {n},OU=Staff,{BASE}\nobjectClass: contact\nmail: member{n}@example.com\n" for n in range(500)
    ]
    members = "\n".join(f"member: CN=Member {n},OU=Staff,{BASE}" for n in range(500))
    groups = [f"dn: CN=Level 0,OU=Staff,{BASE}\nobjectClass: group\nsAMAccountName: large\n{members}\n"]
    groups += [
        f"dn: CN=Level {n},OU=Staff,{BASE}\nobjectClass: group\nsAMAccountName: level {n}\n"
        f"member: CN=Level {n - 1},OU=Staff,{BASE}\n"
        for n in range(1, 12)
    ]
    second.add("\n".join([*people, *groups]))
    keys = [f"member{n}@example.com" for n in range(500)]
    async with opened(second, page_size=100, cache={"wait": timedelta(seconds=60)}) as directory:
        found = await directory.people(keys)
        assert len(found) == 500
        expected = {"large", *(f"level {n}" for n in range(12))}
        assert all(person.groups == expected for person in found.values())
        assert sum([person.address in found async for person in directory.everybody()]) == 500


async def test_everybody_is_there_at_once_after_a_preload(second: Samba) -> None:
    async with opened(second, preload=True) as directory:
        assert directory._preloading is not None
        await directory._preloading
        second.stop()
        found = await directory.people([JANE, "verkauf@example.com"])
        assert set(found) == {JANE, "verkauf@example.com", "boss@example.com"}
        assert found[JANE].groups - BUILT_IN == {"sales", "company", "ring"}


# --- faults -----------------------------------------------------------------------------------------------------------


async def test_a_server_that_goes_is_outlived_and_comes_back(second: Samba, log: Log) -> None:
    async with opened(second, **PATIENT) as directory:
        assert await display_name(directory) == "Jane Second"
        assert await directory.people(["nobody@example.com"]) == {}
        second.stop()
        rename_jane(second, "Jane Roe")
        assert await display_name(directory) == "Jane Second"
        assert await directory.people(["nobody@example.com"]) == {}
        assert log.count("level=error", "action=directory-down") == 1
        assert log.count("level=warning", "action=directory-stale") == 1
        with pytest.raises(DirectoryDownError) as caught:
            await directory.people([JANE, "chief@example.com"])
        assert caught.value.people[JANE].attributes["displayName"] == "Jane Second"
        unanswered = caught.value.people["chief@example.com"]
        assert isinstance(unanswered, UnansweredPerson)
        with pytest.raises(DirectoryDownError):
            assert unanswered.attributes
        second.start()
        while await display_name(directory) != "Jane Roe":
            await asyncio.sleep(0.02)
        assert log.count("action=directory-up") == 1
        assert log.count("action=directory-server-back") == 1


async def test_a_restart_between_look_ups_is_not_noticed(second: Samba, log: Log) -> None:
    async with opened(second, **PATIENT) as directory:
        await directory.people([JANE])
        second.stop()
        second.start()
        rename_jane(second, "Jane Roe")
        assert await display_name(directory) == "Jane Roe"
        assert log.count("action=directory") == 0


async def test_a_server_that_falls_silent_keeps_nobody_waiting(second: Samba, log: Log) -> None:
    async with opened(second, **IMPATIENT) as directory:
        while JANE not in await known(directory):
            await asyncio.sleep(0.01)
        second.freeze()
        assert await display_name(directory) == "Jane Second"
        with pytest.raises(DirectoryDownError):
            await directory.people(["chief@example.com"])
        while not log.count("action=directory-down", "error=", "within 0.3 s"):
            await asyncio.sleep(0.01)
        second.thaw()
        while "chief@example.com" not in await known(directory, "chief@example.com"):
            await asyncio.sleep(0.01)


async def known(directory: LdapDirectory, key: str = JANE) -> set[str]:
    """The keys that got an answer."""
    try:
        return set(await directory.people([key]))
    except DirectoryDownError:
        return set()


@pytest.mark.parametrize("mode", ["ldaps", "starttls", "none"])
async def test_a_black_hole_is_given_up_for_the_next_server(samba: Samba, log: Log, mode: str) -> None:
    tls = {"mode": mode} if mode == "none" else {"mode": mode, "ca_file": samba.ca_file}
    with socket.create_server(("127.0.0.1", 0)) as hole:
        servers = [{"host": "127.0.0.1", "port": hole.getsockname()[1]}, {"host": samba.address}]
        changes = {**PATIENT, "connect_timeout": timedelta(milliseconds=300)}
        if mode == "none":  # there it is the bind that isn't answered
            changes["answer_timeout"] = timedelta(milliseconds=900)
        async with opened(samba, tls=tls, servers=servers, **changes) as directory:
            while JANE not in await known(directory):
                await asyncio.sleep(0.01)
        assert log.count("action=directory-server-failed", f"server=127.0.0.1:{hole.getsockname()[1]}") >= 1


async def test_mail_waits_for_a_black_hole_no_longer_than_configured(samba: Samba) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        servers = [{"host": "127.0.0.1", "port": hole.getsockname()[1]}]
        changes = {"connect_timeout": timedelta(hours=1), "cache": {"wait": timedelta(milliseconds=100)}}
        async with opened(samba, servers=servers, **changes) as directory:
            with pytest.raises(DirectoryDownError) as caught:
                await directory.people([JANE, "boss@example.com"])
            assert set(caught.value.people) == {JANE, "boss@example.com"}


async def test_after_the_first_server_has_gone_the_second_answers_until_it_is_back(
    samba: Samba, second: Samba, log: Log
) -> None:
    (samba.folder / "both.pem").write_bytes(samba.ca_file.read_bytes() + second.ca_file.read_bytes())
    servers = [{"host": second.address}, {"host": samba.address}]
    tls = {"ca_file": samba.folder / "both.pem"}
    async with opened(samba, servers=servers, tls=tls, **PATIENT) as directory:
        assert await display_name(directory) == "Jane Second"
        second.stop()
        assert await display_name(directory) == "Jane Döe"
        assert log.count("action=directory-server-failed", f"server={second.address}:636") >= 1
        assert log.count("action=directory-down") == 0
        second.start()
        while await display_name(directory) != "Jane Second":
            await asyncio.sleep(0.02)
        assert log.count("action=directory-server-back", f"server={second.address}:636") == 1


@pytest.mark.parametrize("mode", ["ldaps", "starttls"])
async def test_a_certificate_of_an_unknown_authority_is_not_accepted(
    samba: Samba, log: Log, tmp_path: Path, mode: str
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    async with opened(samba, tls={"mode": mode, "ca_file": tmp_path / "other.pem"}) as directory:
        with pytest.raises(DirectoryDownError):
            await directory.people([JANE])
    assert log.count("certificate not accepted: unable to get local issuer certificate") >= 1


@pytest.mark.parametrize("mode", ["ldaps", "starttls"])
async def test_a_certificate_for_another_name_is_not_accepted(samba: Samba, log: Log, mode: str) -> None:
    tls = {"mode": mode, "ca_file": samba.ca_file, "verify_name": "dc2.corp.example"}
    async with opened(samba, tls=tls) as directory:
        with pytest.raises(DirectoryDownError):
            await directory.people([JANE])
    assert log.count("certificate not accepted: Hostname mismatch") >= 1


async def test_a_refused_password_is_not_tried_again_until_it_changes(samba: Samba, log: Log, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong\n")
    servers = [{"host": samba.address}, {"host": samba.address, "port": 3269}]
    async with opened(samba, servers=servers, password={"file": password}, **PATIENT) as directory:
        for _ in range(3):  # each of them could be the one that locks the account
            with pytest.raises(DirectoryDownError):
                await directory.people([JANE])
        assert log.count("action=directory-server-failed") == 1
        assert log.count("bind refused: wrong", "again_in_s=300") == 1
        password.write_text(ACCOUNT_PASSWORD + "\n")
        assert await display_name(directory) == "Jane Döe"
    assert not log.count("wrong\\n")


async def test_a_password_file_that_has_gone_is_said(samba: Samba, log: Log, tmp_path: Path) -> None:
    async with opened(samba, password={"file": tmp_path / "none"}) as directory:
        with pytest.raises(DirectoryDownError):
            await directory.people([JANE])
    assert log.count("action=directory-down", "the password can't be read") == 1


async def test_without_an_account_active_directory_shows_nothing(samba: Samba, log: Log) -> None:
    async with opened(samba, bind_dn="", password=None) as directory:
        with pytest.raises(DirectoryDownError):
            await directory.people([JANE])
    assert log.count("action=directory-down", "search refused") == 1


async def test_a_listing_that_breaks_off_says_so(second: Samba) -> None:
    async with opened(second, page_size=1, **PATIENT) as directory:
        listing = directory.everybody()
        await anext(listing)
        second.stop()
        with pytest.raises(DirectoryDownError):
            async for _ in listing:
                pass
