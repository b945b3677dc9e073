"""What users change on items, and what is said beside their content: categories, flags, votes, rights."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.peers.ews import properties as p
from tests.peers.ews.errors import EwsError
from tests.peers.ews.field import Showing
from tests.peers.ews.items import Item
from tests.peers.ews.properties import Key, value_text
from tests.peers.ews.xml import Element, add, date_time, find, find_all, is_true, text_of


def write_categories(parent: Element, item: Item, showing: Showing) -> None:
    if categories := item.properties.get(p.CATEGORIES):
        node = add(parent, "t:Categories")
        for category in categories:
            add(node, "t:String", category)


def read_categories(item: Item, node: Element) -> None:
    item.properties[p.CATEGORIES] = tuple(text_of(child) for child in find_all(node, "t:String"))


FLAG_WORDS = {0: "NotFlagged", 1: "Complete", 2: "Flagged"}  # [MS-OXOFLAG] 2.2.1.1
_FLAG_KEYS = (p.FLAG_STATUS, p.FLAG_START, p.FLAG_DUE, p.FLAG_DONE, p.TASK_DONE, p.TASK_START, p.TASK_DUE)


def write_flag(parent: Element, item: Item, showing: Showing) -> None:
    node = add(parent, "t:Flag")
    status = FLAG_WORDS[int(item.properties.get(p.FLAG_STATUS, 0))]
    add(node, "t:FlagStatus", status)
    dates: tuple[tuple[str, Key], ...] = ()
    if status == "Flagged":
        dates = (("t:StartDate", p.FLAG_START), ("t:DueDate", p.FLAG_DUE))
    if status == "Complete":
        dates = (("t:CompleteDate", p.FLAG_DONE),)
    for name, key in dates:
        if key in item.properties:
            add(node, name, value_text(item.properties[key], nanoseconds=showing.nanoseconds))


def read_flag(item: Item, node: Element) -> None:
    """Raises EwsError: which dates go with which status (FlagType, [MS-OXWSCORE] 2.2.4.20)."""
    status = text_of(find(node, "t:FlagStatus"))
    start, due, done = (find(node, f"t:{name}") for name in ("StartDate", "DueDate", "CompleteDate"))
    if (start is not None or due is not None) and (status != "Flagged" or due is None or start is None):
        raise EwsError("ErrorInvalidArgument", "StartDate and DueDate go together, on what is flagged.")
    if done is not None and status != "Complete":
        raise EwsError("ErrorInvalidArgument", "CompleteDate goes with Complete.")
    for key in _FLAG_KEYS:
        item.properties.pop(key, None)
    item.properties[p.FLAG_STATUS] = {word: number for number, word in FLAG_WORDS.items()}[status]
    if start is not None and due is not None:
        item.properties |= {p.FLAG_START: date_time(text_of(start)), p.FLAG_DUE: date_time(text_of(due))}
    if status == "Complete":
        moment = date_time(text_of(done)) if done is not None else datetime.now(UTC)
        item.properties |= {p.FLAG_DONE: moment, p.TASK_DONE: moment}


def read_is_read(item: Item, node: Element) -> None:
    item.is_read = is_true(node)


_ICONS = {0x100: "MailRead", 0x101: "MailUnread", 0x105: "MailReplied", 0x106: "MailForwarded", 0x103: "MailUnread"}


def icon(item: Item) -> str:
    return _ICONS.get(int(item.properties.get(p.ICON, -1)), "Default")


def write_rights(parent: Element, item: Item, showing: Showing) -> None:
    node = add(parent, "t:EffectiveRights")
    may = value_text(showing.rights == "full")
    for name in ("CreateAssociated", "CreateContents", "CreateHierarchy"):
        add(node, f"t:{name}", "false")
    add(node, "t:Delete", may)
    add(node, "t:Modify", may)
    add(node, "t:Read", "true")
    add(node, "t:ViewPrivateItems", "true")


def _votes(item: Item) -> list[str]:
    """Display names in PidLidVerbStream ([MS-OXOMSG] 2.2.1.74); nothing where it is none."""
    data = item.properties.get(p.VERB_STREAM)
    try:
        return _vote_names(data) if isinstance(data, bytes) and data[:2] == b"\x02\x01" else []
    except IndexError:
        return []


def _vote_names(data: bytes) -> list[str]:
    names, at = [], 6
    for _ in range(int.from_bytes(data[2:6], "little")):
        kind = int.from_bytes(data[at : at + 4], "little")
        length = data[at + 4]
        name = data[at + 5 : at + 5 + length].decode("ascii", "replace")
        at += 5 + length
        for _ in range(3):  # message class, an internal one, and the name again
            at += 1 + data[at]
        at += 29
        if kind == 4:
            names.append(name)
    return names


def write_votes(parent: Element, item: Item, showing: Showing) -> None:
    names = _votes(item)
    response = item.properties.get(p.VERB_RESPONSE)
    if not names and not response:
        return
    node = add(parent, "t:VotingInformation")
    if names:
        options = add(node, "t:UserOptions")
        for name in names:
            option = add(options, "t:VotingOptionData")
            add(option, "t:DisplayName", name)
            add(option, "t:SendPrompt", "VotingOption")
    if response:
        add(node, "t:VotingResponse", str(response))
