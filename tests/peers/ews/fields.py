"""Fields of items: how EWS names, shows and takes what is kept ([MS-OXWSCORE] 2.2.4.24, [MS-OXWSMSG] 2.2.4.1)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.peers.ews import properties as p
from tests.peers.ews.bodies import filtered, given_out, html_of_text, text_of_html
from tests.peers.ews.errors import EwsError
from tests.peers.ews.ids import change_key
from tests.peers.ews.items import Item, Participant, RecipientKind, conversation_id
from tests.peers.ews.mime_out import mime_of
from tests.peers.ews.properties import Key, value_text
from tests.peers.ews.xml import Element, add, date_time, find, find_all, is_true, text_of


@dataclass(frozen=True, slots=True)
class Showing:
    """How an item is to be shown."""

    body_type: str = "Best"
    is_find: bool = False
    filters: bool = False
    nanoseconds: bool = False
    rights: str = "full"
    """Of who asks: `full` or `read`."""


Writer = Callable[[Element, Item, Showing], None]
Reader = Callable[[Item, Element], None]
Value = Callable[[Item], Any]


@dataclass(frozen=True, slots=True)
class Field:
    uri: str
    write: Writer
    """Adds the field's element, where the item has it."""
    value: Value | None = None
    """For restrictions and sorting; None: can't be searched by."""
    read: Reader | None = None
    """Takes an element's content; None: read-only."""
    key: Key | None = None
    """The property that it is, for conflicts."""
    only_get: bool = False
    """FindItem doesn't give it ("FindItem operation": the response's properties)."""
    only_draft: bool = False
    """Can't be set once the item is sent."""
    in_default: bool = False
    words: tuple[str, ...] = ()
    """All that it may be, of an enumeration."""
    since: str = ""
    """Schema version that brought it."""

    @property
    def element(self) -> str:
        return "t:" + self.uri.partition(":")[2]

    @property
    def name(self) -> str:
        """What stands for it in conflicts."""
        return str(self.key) if self.key else self.uri


# --- simple ones: a property shown as it is ---------------------------------------------------------------------------


def _plain(uri: str, key: Key, kind: str, *, writable: bool = True, **more: Any) -> Field:
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        value = item.value(key)
        if value is None and kind == "bool" and not uri.startswith("item:Reminder"):
            value = False
        if value is not None:
            text = value_text(value, nanoseconds=showing.nanoseconds)
            add(parent, element, text[:255] if showing.is_find and kind == "string" else text)

    def read(item: Item, node: Element) -> None:
        item.properties[key] = _READERS[kind](text_of(node))

    def value(item: Item) -> Any:
        return item.value(key)

    return Field(uri, write, value, read if writable else None, key, **more)


_READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "bool": lambda text: text.strip() in ("true", "1"),
    "int": int,
    "time": date_time,
    "binary": base64.b64decode,
}


def _choice(uri: str, key: Key, words: tuple[str, ...], **more: Any) -> Field:
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        add(parent, element, words[int(item.properties.get(key, 0))])

    def read(item: Item, node: Element) -> None:
        item.properties[key] = words.index(text_of(node))

    return Field(uri, write, lambda item: words[int(item.properties.get(key, 0))], read, key, words=words, **more)


def _made(uri: str, value: Callable[[Item], Any], **more: Any) -> Field:
    """A read-only one that is worked out."""
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        found = value(item)
        if found is not None:
            add(parent, element, value_text(found))

    return Field(uri, write, value, **more)


# --- people -----------------------------------------------------------------------------------------------------------


def mailbox_element(parent: Element, who: Participant) -> None:
    node = add(parent, "t:Mailbox")
    add(node, "t:Name", who.name or who.address)
    add(node, "t:EmailAddress", who.address)
    add(node, "t:RoutingType", "SMTP")
    add(node, "t:MailboxType", "OneOff" if "@" in who.address else "Mailbox")


def participant_from(node: Element) -> Participant:
    """Of a t:Mailbox. Raises EwsError."""
    address = text_of(find(node, "t:EmailAddress")).strip()
    name = text_of(find(node, "t:Name")).strip()
    if not address:
        raise EwsError("ErrorInvalidRecipients", "At least one recipient isn't valid.")
    return Participant(address, name)


def _people(uri: str, kind: RecipientKind, **more: Any) -> Field:
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        if people := item.people(kind):
            node = add(parent, element)
            for who in people:
                mailbox_element(node, who)

    def read(item: Item, node: Element) -> None:
        item.recipients[kind] = tuple(participant_from(child) for child in find_all(node, "t:Mailbox"))

    return Field(uri, write, None, read, only_get=True, only_draft=True, **more)


def _person(uri: str, get: Callable[[Item], Participant | None], put: Callable[[Item, Participant], None]) -> Field:
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        who = get(item)
        if who and showing.is_find:  # "FindItem operation": only the name
            add(add(add(parent, element), "t:Mailbox"), "t:Name", who.name or who.address)
        elif who:
            mailbox_element(add(parent, element), who)

    def read(item: Item, node: Element) -> None:
        mailbox = find(node, "t:Mailbox")
        assert mailbox is not None  # the schema says so
        put(item, participant_from(mailbox))

    def value(item: Item) -> str | None:
        who = get(item)
        return who.name or who.address if who else None

    return Field(uri, write, value, read, only_draft=True, in_default=uri == "message:From")


# --- ids --------------------------------------------------------------------------------------------------------------


def item_id_element(parent: Element, item: Item, name: str = "t:ItemId") -> None:
    add(parent, name, Id=item.id, ChangeKey=change_key("item", item.change))


def _write_item_id(parent: Element, item: Item, showing: Showing) -> None:
    item_id_element(parent, item)


def _write_parent(parent: Element, item: Item, showing: Showing) -> None:
    add(parent, "t:ParentFolderId", Id=item.folder, ChangeKey=change_key("folder", 1))


def _write_conversation(parent: Element, item: Item, showing: Showing) -> None:
    add(parent, "t:ConversationId", Id="AAQkAG" + base64.b64encode(conversation_id(item)).decode())


# --- content ----------------------------------------------------------------------------------------------------------


def _write_mime(parent: Element, item: Item, showing: Showing) -> None:
    add(parent, "t:MimeContent", base64.b64encode(mime_of(item)).decode(), CharacterSet="UTF-8")


def body_of(item: Item, wanted: str, *, filters: bool = False) -> tuple[str, str]:
    """`HTML` or `Text`, and the body ("BodyType": Best is what the item has, HTML before text)."""
    html = item.html
    if html is None:
        text = item.text or ""
        return ("HTML", html_of_text(text)) if wanted == "HTML" else ("Text", text)
    if wanted == "Text":
        return "Text", text_of_html(html)
    shown = given_out(html)
    return "HTML", filtered(shown) if filters else shown


def _body(name: str, wanted: str = "") -> Writer:
    def write(parent: Element, item: Item, showing: Showing) -> None:
        kind, content = body_of(item, wanted or showing.body_type, filters=showing.filters)
        add(parent, name, content, BodyType=kind)

    return write


def _read_body(item: Item, node: Element) -> None:
    if node.get("BodyType") == "HTML":
        item.html = text_of(node)
    else:
        item.text = text_of(node)


def attachment_element(parent: Element, item: Item, index: int) -> Element:
    """What is said of an attachment without its content."""
    attachment = item.attachments[index]
    node = add(parent, "t:ItemAttachment" if attachment.is_item else "t:FileAttachment")
    add(node, "t:AttachmentId", Id=attachment.id)
    add(node, "t:Name", attachment.name)
    if not attachment.is_item:
        add(node, "t:ContentType", attachment.content_type)
    if attachment.content_id:
        add(node, "t:ContentId", attachment.content_id)
    if attachment.content_location:
        add(node, "t:ContentLocation", attachment.content_location)
    add(node, "t:Size", str(len(attachment.content) + 200))
    add(node, "t:LastModifiedTime", value_text(attachment.modified_at))
    add(node, "t:IsInline", value_text(attachment.is_inline))
    if not attachment.is_item:
        add(node, "t:IsContactPhoto", "false")
    return node


def _write_attachments(parent: Element, item: Item, showing: Showing) -> None:
    if item.attachments:
        node = add(parent, "t:Attachments")
        for index in range(len(item.attachments)):
            attachment_element(node, item, index)


def _write_headers(parent: Element, item: Item, showing: Showing) -> None:
    known = (("Message-ID", p.MESSAGE_ID), ("In-Reply-To", p.IN_REPLY_TO), ("References", p.REFERENCES))
    values = [(name, str(item.properties[key])) for name, key in known if key in item.properties]
    node = add(parent, "t:InternetMessageHeaders")
    for name, value in [("Subject", item.subject), *values, *item.headers]:
        add(node, "t:InternetMessageHeader", value, HeaderName=name)


# --- marks ------------------------------------------------------------------------------------------------------------


def _write_categories(parent: Element, item: Item, showing: Showing) -> None:
    if categories := item.properties.get(p.CATEGORIES):
        node = add(parent, "t:Categories")
        for category in categories:
            add(node, "t:String", category)


def _read_categories(item: Item, node: Element) -> None:
    item.properties[p.CATEGORIES] = tuple(text_of(child) for child in find_all(node, "t:String"))


FLAG_WORDS = {0: "NotFlagged", 1: "Complete", 2: "Flagged"}  # [MS-OXOFLAG] 2.2.1.1
_FLAG_KEYS = (p.FLAG_STATUS, p.FLAG_START, p.FLAG_DUE, p.FLAG_DONE, p.TASK_DONE, p.TASK_START, p.TASK_DUE)


def _write_flag(parent: Element, item: Item, showing: Showing) -> None:
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


def _read_flag(item: Item, node: Element) -> None:
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
        moment = date_time(text_of(done)) if done is not None else datetime.now().astimezone()
        item.properties |= {p.FLAG_DONE: moment, p.TASK_DONE: moment}


def _read_is_read(item: Item, node: Element) -> None:
    item.is_read = is_true(node)


_ICONS = {0x100: "MailRead", 0x101: "MailUnread", 0x105: "MailReplied", 0x106: "MailForwarded", 0x103: "MailUnread"}


def _icon(item: Item) -> str:
    return _ICONS.get(int(item.properties.get(p.ICON, -1)), "Default")


def _write_rights(parent: Element, item: Item, showing: Showing) -> None:
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


def _write_votes(parent: Element, item: Item, showing: Showing) -> None:
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


# --- all, in the order of the schema ----------------------------------------------------------------------------------

_2010, _2013 = "Exchange2010", "Exchange2013"
FIELDS = (
    Field("item:MimeContent", _write_mime, only_get=True),
    Field("item:ItemId", _write_item_id, lambda item: item.id),
    Field("item:ParentFolderId", _write_parent, lambda item: item.folder),
    _plain("item:ItemClass", p.CLASS, "string"),
    _plain("item:Subject", p.SUBJECT, "string", in_default=True),
    _choice("item:Sensitivity", p.SENSITIVITY, ("Normal", "Personal", "Private", "Confidential"), in_default=True),
    Field("item:Body", _body("t:Body"), lambda item: body_of(item, "Text")[1], _read_body, p.HTML, only_get=True,
          in_default=True),
    Field("item:Attachments", _write_attachments, only_get=True, in_default=True),
    _plain("item:DateTimeReceived", p.DELIVERY_TIME, "time", writable=False),
    _made("item:Size", lambda item: item.size, in_default=True),
    Field("item:Categories", _write_categories, lambda item: item.properties.get(p.CATEGORIES, ()), _read_categories,
          p.CATEGORIES),
    _choice("item:Importance", p.IMPORTANCE, ("Low", "Normal", "High")),
    _plain("item:InReplyTo", p.IN_REPLY_TO, "string"),
    _made("item:IsSubmitted", lambda item: bool(item.flags & 4)),
    _made("item:IsDraft", lambda item: item.is_draft),
    _made("item:IsFromMe", lambda item: bool(item.flags & 0x20)),
    _made("item:IsResend", lambda item: False),
    _made("item:IsUnmodified", lambda item: bool(item.flags & 2)),
    Field("item:InternetMessageHeaders", _write_headers, only_get=True),
    _plain("item:DateTimeSent", p.SUBMIT_TIME, "time", writable=False, in_default=True),
    _plain("item:DateTimeCreated", p.CREATED, "time", writable=False, in_default=True),
    _plain("item:ReminderDueBy", p.REMINDER_DUE, "time"),
    _plain("item:ReminderIsSet", p.REMINDER_SET, "bool"),
    _plain("item:ReminderMinutesBeforeStart", p.REMINDER_MINUTES, "int"),
    _made("item:DisplayCc", lambda item: item.value(p.tag(0x0E03))),
    _made("item:DisplayTo", lambda item: item.value(p.tag(0x0E04))),
    _made("item:HasAttachments", lambda item: item.has_attachments, in_default=True),
    _made("item:Culture", lambda item: "en-US", since=_2010),
    Field("item:EffectiveRights", _write_rights, since=_2010),
    _made("item:LastModifiedName", lambda item: item.properties.get(p.MODIFIER), since=_2010),
    _plain("item:LastModifiedTime", p.MODIFIED, "time", writable=False, since=_2010),
    _made("item:IsAssociated", lambda item: item.is_associated, in_default=True, since=_2010),
    _made("item:WebClientReadFormQueryString", lambda item: "?ae=Item&a=Open", since=_2010),
    Field("item:ConversationId", _write_conversation, since=_2010),
    Field("item:UniqueBody", _body("t:UniqueBody"), only_get=True, since=_2010),
    Field("item:Flag", _write_flag, None, _read_flag, p.FLAG_STATUS, since=_2013),
    Field("item:NormalizedBody", _body("t:NormalizedBody", "HTML"), only_get=True, since=_2013),
    _made("item:Preview", lambda item: body_of(item, "Text")[1][:255], since=_2013),
    Field("item:TextBody", _body("t:TextBody", "Text"), only_get=True, since=_2013),
    _made("item:IconIndex", _icon, since=_2013),
    _person("message:Sender", lambda item: item.sender, Item.set_sender),
    _people("message:ToRecipients", "to", in_default=True),
    _people("message:CcRecipients", "cc", in_default=True),
    _people("message:BccRecipients", "bcc", in_default=True),
    _plain("message:IsReadReceiptRequested", p.READ_RECEIPT, "bool", in_default=True, only_draft=True),
    _plain("message:IsDeliveryReceiptRequested", p.DELIVERY_RECEIPT, "bool", in_default=True, only_draft=True),
    _plain("message:ConversationIndex", p.INDEX, "binary", writable=False),
    _plain("message:ConversationTopic", p.TOPIC, "string", writable=False),
    _person("message:From", lambda item: item.author, Item.set_author),
    _plain("message:InternetMessageId", p.MESSAGE_ID, "string", in_default=True, only_draft=True),
    Field("message:IsRead", lambda parent, item, showing: add(parent, "t:IsRead", value_text(item.is_read)),
          lambda item: item.is_read, _read_is_read, p.tag(0x0E69), in_default=True),
    _plain("message:IsResponseRequested", p.REPLY_REQUESTED, "bool"),
    _plain("message:References", p.REFERENCES, "string", in_default=True, only_draft=True),
    _people("message:ReplyTo", "reply_to"),
    Field("message:VotingInformation", _write_votes, since=_2013, only_get=True),
)  # fmt: skip
BY_URI = {field.uri: field for field in FIELDS}
BY_ELEMENT = {field.element: field for field in FIELDS}
ORDER = {field.uri: number for number, field in enumerate(FIELDS)}
EXTENDED_AFTER = ORDER["item:HasAttachments"]
"""ExtendedProperty elements come after it."""
