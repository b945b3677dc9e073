"""Fields of items: how EWS names, shows and takes what is kept ([MS-OXWSCORE] 2.2.4.24, [MS-OXWSMSG] 2.2.4.1)."""

from __future__ import annotations

from tests.peers.ews import properties as p
from tests.peers.ews.contents import (
    body_of,
    body_writer,
    read_body,
    write_attachments,
    write_conversation,
    write_headers,
    write_item_id,
    write_mime,
    write_parent,
)
from tests.peers.ews.field import Field, choice, made, people_field, person_field, plain
from tests.peers.ews.items import Item
from tests.peers.ews.marks import (
    icon,
    read_categories,
    read_flag,
    read_is_read,
    write_categories,
    write_flag,
    write_rights,
    write_votes,
)
from tests.peers.ews.properties import value_text
from tests.peers.ews.xml import add

_2010, _2013 = "Exchange2010", "Exchange2013"
FIELDS = (
    Field("item:MimeContent", write_mime, only_get=True),
    Field("item:ItemId", write_item_id, lambda item: item.id),
    Field("item:ParentFolderId", write_parent, lambda item: item.folder),
    plain("item:ItemClass", p.CLASS, "string"),
    plain("item:Subject", p.SUBJECT, "string", in_default=True),
    choice("item:Sensitivity", p.SENSITIVITY, ("Normal", "Personal", "Private", "Confidential"), in_default=True),
    Field("item:Body", body_writer("t:Body"), lambda item: body_of(item, "Text")[1], read_body, p.HTML, only_get=True,
          in_default=True),
    Field("item:Attachments", write_attachments, only_get=True, in_default=True),
    plain("item:DateTimeReceived", p.DELIVERY_TIME, "time", writable=False),
    made("item:Size", lambda item: item.size, in_default=True),
    Field("item:Categories", write_categories, lambda item: item.properties.get(p.CATEGORIES, ()), read_categories,
          p.CATEGORIES),
    choice("item:Importance", p.IMPORTANCE, ("Low", "Normal", "High")),
    plain("item:InReplyTo", p.IN_REPLY_TO, "string"),
    made("item:IsSubmitted", lambda item: bool(item.flags & 4)),
    made("item:IsDraft", lambda item: item.is_draft),
    made("item:IsFromMe", lambda item: bool(item.flags & 0x20)),
    made("item:IsResend", lambda item: False),
    made("item:IsUnmodified", lambda item: bool(item.flags & 2)),
    Field("item:InternetMessageHeaders", write_headers, only_get=True),
    plain("item:DateTimeSent", p.SUBMIT_TIME, "time", writable=False, in_default=True),
    plain("item:DateTimeCreated", p.CREATED, "time", writable=False, in_default=True),
    plain("item:ReminderDueBy", p.REMINDER_DUE, "time"),
    plain("item:ReminderIsSet", p.REMINDER_SET, "bool"),
    plain("item:ReminderMinutesBeforeStart", p.REMINDER_MINUTES, "int"),
    made("item:DisplayCc", lambda item: item.value(p.tag(0x0E03))),
    made("item:DisplayTo", lambda item: item.value(p.tag(0x0E04))),
    made("item:HasAttachments", lambda item: item.has_attachments, in_default=True),
    made("item:Culture", lambda item: "en-US", since=_2010),
    Field("item:EffectiveRights", write_rights, since=_2010),
    made("item:LastModifiedName", lambda item: item.properties.get(p.MODIFIER), since=_2010),
    plain("item:LastModifiedTime", p.MODIFIED, "time", writable=False, since=_2010),
    made("item:IsAssociated", lambda item: item.is_associated, in_default=True, since=_2010),
    made("item:WebClientReadFormQueryString", lambda item: "?ae=Item&a=Open", since=_2010),
    Field("item:ConversationId", write_conversation, since=_2010),
    Field("item:UniqueBody", body_writer("t:UniqueBody"), only_get=True, since=_2010),
    Field("item:Flag", write_flag, None, read_flag, p.FLAG_STATUS, since=_2013),
    Field("item:NormalizedBody", body_writer("t:NormalizedBody", "HTML"), only_get=True, since=_2013),
    made("item:Preview", lambda item: body_of(item, "Text")[1][:255], since=_2013),
    Field("item:TextBody", body_writer("t:TextBody", "Text"), only_get=True, since=_2013),
    made("item:IconIndex", icon, since=_2013),
    person_field("message:Sender", lambda item: item.sender, Item.set_sender),
    people_field("message:ToRecipients", "to", in_default=True),
    people_field("message:CcRecipients", "cc", in_default=True),
    people_field("message:BccRecipients", "bcc", in_default=True),
    plain("message:IsReadReceiptRequested", p.READ_RECEIPT, "bool", in_default=True, only_draft=True),
    plain("message:IsDeliveryReceiptRequested", p.DELIVERY_RECEIPT, "bool", in_default=True, only_draft=True),
    plain("message:ConversationIndex", p.INDEX, "binary", writable=False),
    plain("message:ConversationTopic", p.TOPIC, "string", writable=False),
    person_field("message:From", lambda item: item.author, Item.set_author),
    plain("message:InternetMessageId", p.MESSAGE_ID, "string", in_default=True, only_draft=True),
    Field("message:IsRead", lambda parent, item, showing: add(parent, "t:IsRead", value_text(item.is_read)),
          lambda item: item.is_read, read_is_read, p.tag(0x0E69), in_default=True),
    plain("message:IsResponseRequested", p.REPLY_REQUESTED, "bool"),
    plain("message:References", p.REFERENCES, "string", in_default=True, only_draft=True),
    people_field("message:ReplyTo", "reply_to"),
    Field("message:VotingInformation", write_votes, since=_2013, only_get=True),
)  # fmt: skip
BY_URI = {field.uri: field for field in FIELDS}
BY_ELEMENT = {field.element: field for field in FIELDS}
ORDER = {field.uri: number for number, field in enumerate(FIELDS)}
EXTENDED_AFTER = ORDER["item:HasAttachments"]
"""ExtendedProperty elements come after it."""
