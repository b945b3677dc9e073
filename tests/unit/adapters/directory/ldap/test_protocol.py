"""LDAP's bytes, against RFC 4511's own examples and against nonsense."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mta.adapters.directory.ldap.ber import BerError, element, integer, text, tlv
from mta.adapters.directory.ldap.protocol import (
    MESSAGE_OCTETS_MAX,
    Entry,
    Incoming,
    Message,
    Result,
    Scope,
    Search,
    bind_request,
    encoded_filter,
    parse_message,
    search_request,
    start_tls_request,
    unbind_request,
)
from mta.model.ldap_filter import And, Compare, Present, parse_filter


def entry_message(number: int, dn: str, attributes: dict[str, list[bytes]]) -> bytes:
    listed = [
        tlv(0x30, text(name), tlv(0x31, *(tlv(0x04, value) for value in values))) for name, values in attributes.items()
    ]
    return tlv(0x30, integer(number), tlv(0x64, text(dn), tlv(0x30, *listed)))


def done_message(number: int, code: int = 0, said: str = "", cookie: bytes | None = None) -> bytes:
    result = tlv(0x65, integer(code, 0x0A), text(""), text(said))
    if cookie is None:
        return tlv(0x30, integer(number), result)
    value = tlv(0x30, integer(0), tlv(0x04, cookie))
    control = tlv(0x30, text("1.2.840.113556.1.4.319"), tlv(0x04, value))
    return tlv(0x30, integer(number), result, tlv(0xA0, control))


def test_requests_are_those_that_other_clients_send() -> None:
    # As ldapsearch of OpenLDAP sends them.
    assert bind_request(1, "cn=a", b"pw").hex() == "3012020101600d0201030404636e3d6180027077"
    assert unbind_request(3).hex() == "30050201034200"
    assert start_tls_request(1).hex() == "301d02010177188016312e332e362e312e342e312e313436362e3230303337"
    search = Search("dc=x", Scope.SUBTREE, Present("objectClass"), ("cn",))
    assert search_request(2, search, 0).hex() == (
        "302d020102" + "6328" + "040464633d78" + "0a0102" + "0a0100" + "020100" + "020100" + "010100"
        + "870b6f626a656374436c617373" + "30040402636e"
    )  # fmt: skip
    paged = search_request(2, replace(search, page_size=5), 0).hex()
    assert paged == "3052" + search_request(2, search, 0).hex()[4:] + (
        "a023302104" + "16312e322e3834302e3131333535362e312e342e333139" + "040730050201050400"
    )


def test_long_contents_have_long_lengths() -> None:
    assert tlv(4, b"x" * 127)[:2] == b"\x04\x7f"
    assert tlv(4, b"x" * 128)[:3] == b"\x04\x81\x80"
    assert tlv(4, b"x" * 70_000)[:5] == b"\x04\x83\x01\x11\x70"
    assert integer(127) == b"\x02\x01\x7f"
    assert integer(128) == b"\x02\x02\x00\x80"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("(a=b)", "a306040161040162"),
        ("(a=)", "a3050401610400"),
        ("(a=*)", "870161"),
        ("(a=b*c*d)", "a40e" + "040161" + "3009" + "800162" + "810163" + "820164"),
        ("(a=*c*)", "a408" + "040161" + "3003" + "810163"),
        ("(a>=1)", "a506040161040131"),
        ("(a<=1)", "a606040161040131"),
        ("(a~=1)", "a806040161040131"),
        ("(!(a=*))", "a203870161"),
        ("(&(a=*)(b=*))", "a006870161870162"),
        ("(|(a=*)(b=*))", "a106870161870162"),
        ("(a:1.2:=b)", "a90b" + "8103312e32" + "820161" + "830162"),
        ("(a:dn:=b)", "a909" + "820161" + "830162" + "8401ff"),
        (r"(a=\2a\28\29\5c\00)", "a30a040161" + "04052a28295c00"),
        ("(a=ü)", "a307040161" + "0402c3bc"),
    ],
)
def test_filters(written: str, expected: str) -> None:
    assert encoded_filter(parse_filter(written)).hex() == expected


@given(st.binary())
def test_a_value_never_leaves_its_place(value: bytes) -> None:
    encoded = encoded_filter(And((Compare("mail", "=", value), Present("cn"))))
    tag, start, end = element(encoded, 0, len(encoded))
    assert (tag, end) == (0xA0, len(encoded))
    tag, at, first_end = element(encoded, start, end)
    assert tag == 0xA3
    _, _, name_end = element(encoded, at, first_end)
    _, value_start, value_end = element(encoded, name_end, first_end)
    assert encoded[value_start:value_end] == value
    assert value_end == first_end
    assert encoded[first_end:end] == b"\x87\x02cn"


def test_answers() -> None:
    data = entry_message(7, "CN=Jäne,DC=x", {"cn": [b"J"], "memberOf;range=0-1": [b"a", b"b"], "empty": []})
    assert parse_message(data) == Message(
        7, Entry("CN=Jäne,DC=x", {"cn": [b"J"], "memberof": [b"a", b"b"], "empty": []})
    )
    assert parse_message(done_message(8, 49, "data 52e\0")) == Message(8, Result(49, "data 52e"))
    assert parse_message(done_message(8, cookie=b"next")) == Message(8, Result(0, "", b"next"))
    reference = tlv(0x30, integer(9), tlv(0x73, text("ldap://other/")))
    assert parse_message(reference) == Message(9, None)


@given(st.lists(st.sampled_from([entry_message(1, "CN=a", {"cn": [b"x" * 300]}), done_message(2)]), max_size=5),
       st.integers(1, 40))  # fmt: skip
def test_messages_are_found_however_they_are_cut(messages: list[bytes], size: int) -> None:
    stream = b"".join(messages)
    incoming = Incoming()
    found = [each for at in range(0, len(stream), size) for each in incoming.feed(stream[at : at + size])]
    assert found == [parse_message(message) for message in messages]


@settings(max_examples=300)
@given(st.binary(max_size=200))
@example(b"\x30\x84\xff\xff\xff\xff")
@example(b"\x30\x03\x02\x01\x01")
@example(b"\x30\x80\x00\x00")
def test_nonsense_is_refused_or_waited_for(data: bytes) -> None:
    for read in (parse_message, lambda given: list(Incoming().feed(given))):
        try:
            read(data)
        except BerError:
            continue


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_answer_is_read_or_refused(data: st.DataObject) -> None:
    message = bytearray(data.draw(st.sampled_from([
        entry_message(7, "CN=Jane", {"cn": [b"J"], "mail": [b"jane@example.com"]}), done_message(8, cookie=b"next"),
    ])))  # fmt: skip
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse_message(bytes(message))
    except BerError:
        return
    assert isinstance(found, Message)


def test_a_message_too_large_is_refused_by_its_head() -> None:
    with pytest.raises(BerError, match="more than 4 MB"):
        list(Incoming().feed(b"\x30\x84" + (MESSAGE_OCTETS_MAX + 1).to_bytes(4, "big")))
