"""The header actions of a group, brought together so that each field is edited once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mta.message.edit import Edit
from mta.message.headers import Mailbox, addresses, format_field, remove_header, set_field, set_subject, tag_subject
from mta.message.mailboxes import address_field, with_more
from mta.message.parse import Message
from mta.message.part_header import value_end
from mta.message.reference import HEADER as TRANSACTION_HEADER
from mta.message.references import with_reference
from mta.message.subject import has_tag
from mta.message.subject_token import name_conversation, with_token
from mta.model.actions import (
    Action,
    CarryId,
    NameRecipients,
    RemoveHeader,
    ReplaceText,
    RewriteSender,
    SetHeader,
    SetReplyTo,
    TagSubject,
)
from mta.model.address import Address, parse_address
from mta.relay.stamp.content.changes import on_error_of
from mta.relay.stamp.content.text_actions import replaced_subject
from mta.relay.stamp.context import Failed

# What the message's structure says of itself, and what our own edits change: not for rules.
_STRUCTURE = frozenset(("content-type", "content-transfer-encoding", "mime-version", "content-length", "content-md5"))


@dataclass(slots=True)
class _Wanted:
    """What the actions come to: a later one on the same field outweighs an earlier one."""

    message: Message
    fields: dict[str, bytes | None] = field(default_factory=dict)
    """Name in lower case → the whole field, CRLF at its end; None removes."""
    subject: str | None = None
    """Where a rule sets or ("") removes it."""
    topic: str | None = None
    """What Thread-Topic is to say, where a rule changes it."""
    prefixes: list[str] = field(default_factory=list)
    suffixes: list[str] = field(default_factory=list)
    named: dict[str, list[Address]] = field(default_factory=dict)
    """To and Cc → who is to be named there too."""
    token: str = ""
    """Of the conversation; stands behind `Re:` and before the rest of the subject."""
    others: list[Edit] = field(default_factory=list)
    """Of fields that only one action changes."""


def header_edits(message: Message, actions: Sequence[Action]) -> tuple[list[Edit], list[Failed]]:
    """Edits for the header actions among `actions`, in rule order, and those that can't be carried out."""
    wanted = _Wanted(message)
    failed: list[Failed] = []
    for action in actions:
        carry_out = _CARRY_OUT.get(type(action))
        if carry_out is not None:
            try:
                carry_out(wanted, action)
            except ValueError as exc:
                failed.append(Failed(action.rule, str(exc), on_error_of(action)))
    edits = _subject_edits(message, wanted)
    for name, whole in wanted.fields.items():
        edits += remove_header(message, name) if whole is None else set_field(message, name, whole)
    for name, added in wanted.named.items():
        edits += _name(message, name, added)
    return edits + wanted.others, failed


def untouched_edits(message: Message, actions: Sequence[Action]) -> list[Edit]:
    """What a message gets that must not be touched: the conversation's id, where no reader sees it and no signature of
    its content covers it."""
    wanted = _Wanted(message)
    for action in actions:
        if isinstance(action, CarryId):
            _carry(wanted, action)
    return [edit for name, whole in wanted.fields.items() if whole for edit in set_field(message, name, whole)] + (
        wanted.others
    )


def _set(wanted: _Wanted, action: SetHeader) -> None:
    name = _changeable(action.name)
    if name == "subject":
        wanted.subject = action.value
    else:
        wanted.fields[name] = format_field(action.name, action.value)


def _remove(wanted: _Wanted, action: RemoveHeader) -> None:
    name = _changeable(action.name)
    if name == "subject":
        wanted.subject = ""
    wanted.fields[name] = None


def _changeable(name: str) -> str:
    """In lower case. Raises ValueError for what describes the message's structure."""
    if name.lower() in _STRUCTURE:
        raise ValueError(f"{name} describes the message's structure")
    return name.lower()


def _reply_to(wanted: _Wanted, action: SetReplyTo) -> None:
    wanted.fields["reply-to"] = address_field("Reply-To", [_mailbox(action.display_name, action.address)])


def _rewrite(wanted: _Wanted, action: RewriteSender) -> None:
    """From, with what is not given taken from the present one; the former author may be whom replies go to."""
    if not action.header:
        return
    message = wanted.message
    authors = addresses(message, "From")
    if not action.address and not authors:
        raise ValueError("From names nobody whose name could be changed")
    address = parse_address(action.address) if action.address else authors[0].address
    display = action.display_name or (authors[0].display if authors else "")
    former = message.fields_named("from")
    if action.keep_as_reply_to and former and not message.has("reply-to") and "reply-to" not in wanted.fields:
        wanted.fields["reply-to"] = b"Reply-To:" + message.raw(former[0]).rstrip(b"\r\n") + b"\r\n"
    wanted.fields["from"] = address_field("From", [Mailbox(display, address)])


def _named(wanted: _Wanted, action: NameRecipients) -> None:
    known = {mailbox.address.key for name in ("To", "Cc") for mailbox in addresses(wanted.message, name)}
    known.update(address.key for added in wanted.named.values() for address in added)
    new = [address for address in map(parse_address, action.addresses) if address.key not in known]
    if new:
        wanted.named.setdefault(action.header.capitalize(), []).extend(new)


def _name(message: Message, name: str, added: Sequence[Address]) -> list[Edit]:
    """Put more addresses at the end of the last To or Cc; hidden recipients stay as they are."""
    fields = message.fields_named(name)
    if not fields:
        return set_field(message, name, address_field(name, [Mailbox("", address) for address in added]))
    last = fields[-1]
    return [Edit(last.value_start, value_end(message.root, last), with_more(message.raw(last), added))]


def _mailbox(display: str, address: str) -> Mailbox:
    return Mailbox(display, parse_address(address))


def _tag(wanted: _Wanted, action: TagSubject) -> None:
    texts = wanted.prefixes if action.where == "prefix" else wanted.suffixes
    subject = wanted.message.subject if wanted.subject is None else wanted.subject
    tag = " ".join(action.text.split())
    if tag and tag not in texts and not has_tag(subject, tag):
        texts.append(tag)


def _carry(wanted: _Wanted, action: CarryId) -> None:
    """Whatever else calls itself the conversation's id goes."""
    reference = f"<{action.reference}@{action.domain}>"
    wanted.fields[TRANSACTION_HEADER.lower()] = format_field(TRANSACTION_HEADER, reference)
    wanted.others += with_reference(wanted.message, reference.encode())
    wanted.token = action.in_subject


def _subject_edits(message: Message, wanted: _Wanted) -> list[Edit]:
    """The subject's token and tags; the first rule's stands outermost."""
    prefix, suffix = " ".join(wanted.prefixes), " ".join(reversed(wanted.suffixes))
    if wanted.token and wanted.token not in (*wanted.prefixes, *wanted.suffixes):
        if not prefix and not suffix and wanted.subject is None:
            return name_conversation(message, wanted.token)
        wanted.subject = with_token(message.subject if wanted.subject is None else wanted.subject, wanted.token)
    if not prefix and not suffix:
        if not wanted.subject:
            return []
        wanted.fields.pop("subject", None)
        return set_subject(message, wanted.subject)
    wanted.fields.pop("subject", None)
    if wanted.subject is not None or (prefix and suffix):
        subject = message.subject if wanted.subject is None else wanted.subject
        return set_subject(message, " ".join(part for part in (prefix, subject, suffix) if part))
    return tag_subject(message, prefix or suffix, "prefix" if prefix else "suffix")


def _replace(wanted: _Wanted, action: ReplaceText) -> None:
    """In every Subject, of which readers may show any, and in Outlook's Thread-Topic, which says it again."""
    subject = wanted.message.subject if wanted.subject is None else wanted.subject
    changed = replaced_subject(action, subject)
    others = wanted.message.headers("subject")[1:]
    if changed != subject or any(replaced_subject(action, other) != other for other in others):
        wanted.subject = changed
        wanted.fields["subject"] = format_field("Subject", changed)
    topic = wanted.message.header("thread-topic") if wanted.topic is None else wanted.topic
    changed = replaced_subject(action, topic)
    if changed != topic:
        wanted.topic = changed
        wanted.fields["thread-topic"] = format_field("Thread-Topic", changed)


_CARRY_OUT: dict[type[Action], Callable[..., None]] = {
    SetHeader: _set,
    RemoveHeader: _remove,
    SetReplyTo: _reply_to,
    RewriteSender: _rewrite,
    NameRecipients: _named,
    ReplaceText: _replace,
    TagSubject: _tag,
    CarryId: _carry,
}
