"""What rules can do for a recipient.

An action is committed with the decision, so it holds values (a header's rendered text, a next hop's name), not
references to a rule; `rule` names the rule for logs only and does not take part in equality.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar


class OnError(Enum):
    """What happens when carrying out a rule's action fails (template error, directory down)."""

    DELIVER_UNSTAMPED = "deliver-unstamped"
    DEFER = "defer"
    REJECT = "reject"


class Place(Enum):
    TOP = "top"
    BOTTOM = "bottom"
    REPLY = "reply"
    """Under the newest reply and above the quoted text; at the end where nothing is quoted."""


class Once(Enum):
    MESSAGE = "message"
    CONVERSATION = "conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Base of all actions. `kind` is the name in rules and in the committed form."""

    kind: ClassVar[str]
    changes_content: ClassVar[bool] = False
    """Whether it shapes the copy's bytes: never done to untouchable messages."""
    rule: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp(Action):
    """Add a template's text. `recipient` is the recipient's address key where the template speaks of them, else ""."""

    kind: ClassVar[str] = "stamp"
    changes_content: ClassVar[bool] = True
    template: str
    place: Place = Place.BOTTOM
    once: Once = Once.MESSAGE
    formats: tuple[str, ...] = ("html", "plain")
    make_html: bool = False
    """A message of plain text alone gets an HTML alternative, so that the stamp is seen as it was designed."""
    recipient: str = ""
    on_error: OnError = OnError.DELIVER_UNSTAMPED


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSubject(Action):
    kind: ClassVar[str] = "tag-subject"
    changes_content: ClassVar[bool] = True
    text: str
    where: str = "prefix"
    """"prefix" or "suffix"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHeader(Action):
    """Replace every field of that name by one, or add it; `value` is unencoded text of one line."""

    kind: ClassVar[str] = "set-header"
    changes_content: ClassVar[bool] = True
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveHeader(Action):
    kind: ClassVar[str] = "remove-header"
    changes_content: ClassVar[bool] = True
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReplyTo(Action):
    """Replies go to this address; it takes the place of what Reply-To says."""

    kind: ClassVar[str] = "set-reply-to"
    changes_content: ClassVar[bool] = True
    address: str
    display_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteSender(Action):
    """Put another address in From, the reverse-path, or both. `address` is a full address; "" keeps the present one."""

    kind: ClassVar[str] = "rewrite-sender"
    changes_content: ClassVar[bool] = True
    address: str = ""
    display_name: str = ""
    """Of From; "" keeps the present one."""
    header: bool = True
    envelope: bool = False
    keep_as_reply_to: bool = False
    """Where the message names no Reply-To, the former From becomes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceText(Action):
    """Replace every match in the decoded subject and displayed text; `replacement` may name groups as `\\1`."""

    kind: ClassVar[str] = "replace-text"
    changes_content: ClassVar[bool] = True
    find: str
    """Literal text, found without regard to case; or (`is_regex`) an RE2 pattern."""
    is_regex: bool = False
    replacement: str = ""
    mask: str = ""
    """A character that takes the place of each letter and digit, instead of `replacement`."""
    keep_last: int = 0
    """Letters and digits at a match's end that the mask leaves."""
    where: tuple[str, ...] = ("subject", "body")
    on_error: OnError = OnError.DELIVER_UNSTAMPED


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveStamps(Action):
    """Take out earlier stamps of ours; `templates` names which, () is all."""

    kind: ClassVar[str] = "remove-stamps"
    changes_content: ClassVar[bool] = True
    templates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAttachment(Action):
    """Attach a file of the organisation's, or a vCard. One of `file` and `vcard` is there."""

    kind: ClassVar[str] = "add-attachment"
    changes_content: ClassVar[bool] = True
    file: str = ""
    """Absolute path."""
    vcard: str = ""
    """"sender": their card as the directory has it."""
    filename: str
    """As the reader sees it."""
    on_error: OnError = OnError.DELIVER_UNSTAMPED


@dataclass(frozen=True, slots=True, kw_only=True)
class StripAttachments(Action):
    """Take attachments out that meet every test given, and leave a notice. Empty tests hold for all attachments."""

    kind: ClassVar[str] = "strip-attachments"
    changes_content: ClassVar[bool] = True
    names: tuple[str, ...] = ()
    """File names with `*` and `?`, lower case."""
    extensions: tuple[str, ...] = ()
    """Lower case, without the dot."""
    types: tuple[str, ...] = ()
    """Media types by content, e.g. `application/zip` or `image/*`."""
    larger_than: int = 0
    """Octets of the decoded attachment."""
    mismatch: bool | None = None
    """Extension and content are of different kinds."""
    encrypted: bool | None = None
    executable: bool | None = None
    inline: bool = False
    """Pictures that the text shows, too; they stay otherwise."""
    folder: str = ""
    """Absolute path of the folder that keeps what is taken; "" drops it."""
    notice: str = ""
    """What stands in its place: `{names}`, `{place}` and `{rule}` are filled in."""
    on_error: OnError = OnError.DELIVER_UNSTAMPED


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(Action):
    kind: ClassVar[str] = "reject"
    code: int = 550
    status: str = "5.7.1"
    text: str = "Rejected by policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer(Action):
    kind: ClassVar[str] = "defer"
    text: str = "Deferred by policy, try again later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(Action):
    kind: ClassVar[str] = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Action):
    """Quarantine; releasing carries out the rest of the decision; expires into a DSN."""

    kind: ClassVar[str] = "hold"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Action):
    kind: ClassVar[str] = "route"
    next_hop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequireTls(Action):
    """Go to the next hop over TLS with a verified certificate, or not at all."""

    kind: ClassVar[str] = "require-tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignWith(Action):
    """Sign the copy with the DKIM key of this selector, of the domain that would sign anyway."""

    kind: ClassVar[str] = "dkim-key"
    selector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRecipients(Action):
    """The copy goes to these too, and nobody is told: see `NameRecipients`."""

    kind: ClassVar[str] = "add-recipients"
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRecipients(Action):
    """Name these in To or Cc, as far as it does not name them yet."""

    kind: ClassVar[str] = "name-recipients"
    changes_content: ClassVar[bool] = True
    addresses: tuple[str, ...]
    header: str = "cc"
    """"to" or "cc"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(Action):
    """The copy goes to these instead of the recipient."""

    kind: ClassVar[str] = "redirect"
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive(Action):
    """One copy of the message as it was received, once per original, to an address or by a next hop of its own."""

    kind: ClassVar[str] = "archive"
    address: str = ""
    """"" is `archive` at this relay's host name: for next hops that don't go by the address."""
    next_hop: str = ""
    """"" routes the address as any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify(Action):
    """A message from a template to somebody, once per original."""

    kind: ClassVar[str] = "notify"
    template: str
    to: tuple[str, ...]
    sender: str = ""
    """Address in From; "" is the postmaster's."""
    recipient: str = ""
    """Address key of the recipient of whom the template speaks, "" where it speaks of none."""
    on_error: OnError = OnError.DELIVER_UNSTAMPED


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoRespond(Action):
    """A message from a template to the sender (RFC 3834), at most `limit` times in `period_s` for one sender."""

    kind: ClassVar[str] = "auto-respond"
    template: str
    limit: int = 1
    period_s: int = 86_400
    sender: str = ""
    """Address in From; "" is the recipient's, as their header named them."""
    recipient: str = ""
    """Address key of the recipient who answers; limits are counted for each, unless `sender` answers for all."""
    on_error: OnError = OnError.DELIVER_UNSTAMPED


@dataclass(frozen=True, slots=True, kw_only=True)
class Track(Action):
    """The message opens a tracked conversation, or goes on with one, once per original. `CarryId` is what comes of it.

    Before the 250 the conversation is found or opened, so this never stands in a recipient's list.
    """

    kind: ClassVar[str] = "track"
    module: str
    """Kind of the record that it opens; it goes on with one of any kind."""
    opens: bool = True
    """False: it only goes on with a conversation."""
    copies: bool = True
    """The processing mailbox gets a copy."""
    carries: bool = True
    """False: the message is of a kind that nothing is put into, because it never is or the rule doesn't name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryId(Action):
    """The copy carries the id of the conversation that it belongs to; messages that may not be touched do in header
    fields that nobody reads."""

    kind: ClassVar[str] = "carry-id"
    changes_content: ClassVar[bool] = True
    reference: str
    """Signed; without brackets and domain."""
    domain: str
    """Makes a Message-ID of it."""
    in_subject: str = ""
    """The token that the subject gets; "" for none."""
    in_text: str = "none"
    """How the text gets the reference: "none", "visible" or "hidden"."""


ONCE = (Archive, Notify, AutoRespond, Track)
"""Done once for an original message, at acceptance: they shape nobody's copy."""
ACTION_KINDS: dict[str, type[Action]] = {
    cls.kind: cls
    for cls in (
        Stamp, TagSubject, SetHeader, RemoveHeader, SetReplyTo, RewriteSender, ReplaceText, RemoveStamps, AddAttachment,
        StripAttachments, Reject, Defer, Drop, Hold, Route, RequireTls, SignWith, AddRecipients, NameRecipients,
        Redirect, Archive, Notify, AutoRespond, Track, CarryId,
    )
}  # fmt: skip
_FIELDS = {cls: tuple(each.name for each in fields(cls)) for cls in ACTION_KINDS.values()}
_ENUM_FIELDS: dict[str, type[Enum]] = {"place": Place, "once": Once, "on_error": OnError}


def action_to_json(action: Action) -> dict[str, Any]:
    """The committed form: plain JSON values with `kind`."""
    values: dict[str, Any] = {"kind": action.kind}
    for name in _FIELDS[type(action)]:
        value = getattr(action, name)
        values[name] = value.value if isinstance(value, Enum) else value
    return values


def action_from_json(data: dict[str, Any]) -> Action:
    """The reverse of `action_to_json`. Raises KeyError for an unknown kind."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    cls = ACTION_KINDS[values.pop("kind")]
    for name, enum in _ENUM_FIELDS.items():
        if name in values:
            values[name] = enum(values[name])
    return cls(**values)
