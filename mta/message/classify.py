"""What kind of message it is, and whether it may be touched at all: by header fields and part types."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from enum import Enum

from mta.message import transfer
from mta.message.parse import Buffer, Message, Part
from mta.message.subject import SubjectSign, subject_sign


class Kind(Enum):
    NEW = "new"
    REPLY = "reply"
    FORWARD = "forward"
    AUTO_REPLY = "auto-reply"
    OUT_OF_OFFICE = "out-of-office"
    DSN = "dsn"
    MDN = "mdn"
    MEETING = "meeting"
    JOURNAL = "journal"
    VOICEMAIL = "voicemail"


_NEVER_TOUCHED = {
    Kind.DSN: "delivery status notification",
    Kind.MDN: "disposition notification",
    Kind.JOURNAL: "journal report",
}


@dataclass(frozen=True, slots=True)
class Classification:
    """`untouchable` is the reason why nothing may be changed, "" where it may."""

    kind: Kind
    signed: bool = False
    encrypted: bool = False
    smime: bool = False
    pgp: bool = False
    rights_protected: bool = False
    tnef_only: bool = False
    untouchable: str = ""
    meeting_method: str = ""
    """iTIP method in lower case (request, reply, cancel, counter…), "" where it is no meeting or says none."""
    auto_generated: bool = False
    """Auto-Submitted says that a program wrote it (RFC 3834), reply or not: never answer it automatically."""


_PKCS7_MIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_PKCS7_SIGNATURE = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_PGP_TYPES = frozenset({"application/pgp-encrypted", "application/pgp"})
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_RPMSG = "application/x-microsoft-rpmsg-message"
_DSN_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_MDN_TYPES = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_JOURNAL_FIELDS = frozenset({b"x-ms-journal-report", b"x-ms-exchange-journal-report"})
_AUTO_REPLY_FIELDS = frozenset({b"x-autoreply", b"x-autorespond", b"x-mail-autoreply", b"x-autoresponder"})
_BLANK_MAX = 1000  # octets of white space that a text without content may have
_THREAD_INDEX_NEW = 22  # octets of a conversation's first message; each reply adds five
_PGP_INLINE = re.compile(rb"-----BEGIN PGP (SIGNED )?MESSAGE-----")  # begins with a literal: searched at memchr's speed
_DAEMON = re.compile(r"(?:mailer-daemon|postmaster|mail-daemon|mailerdaemon)@|<>|\Amailer-daemon", re.IGNORECASE)
_METHOD = re.compile(rb"(?:\A|\n)METHOD:[ ]?([A-Za-z\-]{1,40})", re.IGNORECASE)
_METHOD_WITHIN = 65_536  # octets: calendar properties stand before all components (RFC 5545 §3.6)


@dataclass(slots=True)
class _Signs:
    """What the parts show, gathered in one walk."""

    signed: bool = False
    encrypted: bool = False
    smime: bool = False
    pgp: bool = False
    rights_protected: bool = False
    tnef: bool = False
    other_content: bool = False
    report: Kind | None = None
    voice: bool = False
    calendar: Part | None = None
    encloses_message: bool = False


def classify(message: Message, reverse_path_is_null: bool, *, is_trusted: bool = True) -> Classification:
    """Classify by header fields and part types (RFC 3834, 3464, 8098, 8551, 3156, 5546).

    Whoever writes a field can claim a kind that is never touched, and so keep warnings out of his mail. From a client
    that is not trusted, such a claim needs the structure too: journal reports and bounces in no standard form don't
    count, and protection by rights has to be in a part.
    """
    signs = _Signs()
    for part in message.root.own_parts():
        _look_at(part, signs)
    content_class = message.header("content-class").lower()
    rights = signs.rights_protected or (is_trusted and content_class == "rpmsg.message")
    if is_trusted:
        report = _report_kind(message, signs, content_class, reverse_path_is_null)
    else:
        report = signs.report if message.root.content_type == "multipart/report" else None
    kind = report or _kind(message, signs, content_class, reverse_path_is_null)
    tnef_only = signs.tnef and not signs.other_content
    return Classification(
        kind=kind,
        signed=signs.signed,
        encrypted=signs.encrypted,
        smime=signs.smime,
        pgp=signs.pgp,
        rights_protected=rights,
        tnef_only=tnef_only,
        untouchable=_reason(kind, signs, rights=rights, tnef_only=tnef_only),
        meeting_method=_meeting_method(signs.calendar) if kind is Kind.MEETING and signs.calendar else "",
        auto_generated=_auto_submitted(message) not in ("", "no"),
    )


def _reason(kind: Kind, signs: _Signs, *, rights: bool, tnef_only: bool) -> str:
    if rights:
        return "rights-protected"
    if signs.encrypted or signs.signed:
        family = "S/MIME" if signs.smime else "PGP" if signs.pgp else "multipart"
        return f"{family} {'encrypted' if signs.encrypted else 'signed'}"
    if kind in _NEVER_TOUCHED:
        return _NEVER_TOUCHED[kind]
    return "TNEF only" if tnef_only else ""


def _look_at(part: Part, signs: _Signs) -> None:
    kind = part.content_type
    if kind in ("text/plain", "text/html"):
        _look_at_text(part, signs)
    elif part.is_multipart:
        _look_at_multipart(part, signs)
    elif kind in _TNEF:
        signs.tnef = True
    elif kind == "text/calendar":
        signs.other_content = True
        if part.disposition != "attachment" or _is_meant_as_meeting(part):
            signs.calendar = signs.calendar or part
    else:
        _look_at_other(part, kind, signs)
        signs.other_content = True


def _is_meant_as_meeting(calendar: Part) -> bool:
    """Some writers call the calendar an attachment though it is the message itself, not a file sent along."""
    parent = calendar.parent
    return (parent is not None and parent.content_type == "multipart/alternative") or (
        calendar.value(b"content-class").strip().lower() == b"urn:content-classes:calendarmessage"
    )


def _look_at_text(part: Part, signs: _Signs) -> None:
    if not signs.other_content:
        signs.other_content = part.body_end - part.body_start > _BLANK_MAX or bool(part.raw_body.strip())
    if part.is_attachment:
        return
    if part.encoding == "base64":
        octets = transfer.decode(part.raw_body, "base64").octets
        match = _inline_pgp(octets, 0, len(octets))
    else:
        match = _inline_pgp(part.data, part.body_start, part.body_end)
    if match:
        signs.pgp = True
        signs.signed |= match[1] is not None
        signs.encrypted |= match[1] is None


def _inline_pgp(octets: Buffer, start: int, end: int) -> re.Match[bytes] | None:
    """The first armour header of a message at the beginning of a line, or right behind a tag or quote sign."""
    for match in _PGP_INLINE.finditer(octets, start, end):
        if match.start() == start or octets[match.start() - 1] in b"\n>":
            return match
    return None


def _look_at_multipart(part: Part, signs: _Signs) -> None:
    kind = part.content_type
    if kind == "multipart/signed":
        protocol = part.params.get("protocol", "").lower()
        signs.signed = True
        signs.pgp |= "pgp" in protocol
        signs.smime |= "pkcs7" in protocol
    elif kind == "multipart/encrypted":
        signs.encrypted = True
        signs.pgp |= "pgp" in part.params.get("protocol", "pgp").lower()
    elif kind == "multipart/voice-message":
        signs.voice = True
    elif kind == "multipart/report" and part.parent is None:
        report = part.params.get("report-type", "").lower()
        if report == "delivery-status":
            signs.report = Kind.DSN
        elif report == "disposition-notification":
            signs.report = Kind.MDN


def _look_at_other(part: Part, kind: str, signs: _Signs) -> None:
    name = part.filename.lower()
    if kind in _PKCS7_SIGNATURE or name.endswith(".p7s"):
        signs.signed = signs.smime = True
    elif kind in _PKCS7_MIME or (name == "smime.p7m" and not signs.other_content):
        # The name alone, behind a text, makes it a file like others.
        _look_at_pkcs7(part, signs)
    elif kind in _PGP_TYPES:
        signs.encrypted = signs.pgp = True
    elif kind == _RPMSG or name == "message.rpmsg":
        signs.rights_protected = True
    elif kind in _DSN_TYPES:
        signs.report = signs.report or Kind.DSN
    elif kind in _MDN_TYPES:
        signs.report = signs.report or Kind.MDN
    elif part.encloses_message:
        signs.encloses_message = True


def _look_at_pkcs7(part: Part, signs: _Signs) -> None:
    """`smime-type` tells; without it the content is taken for encrypted. It is opaque either way."""
    signs.smime = True
    kind = part.params.get("smime-type", "").lower()
    if kind in ("signed-data", "certs-only") or part.filename.lower().endswith(".p7c"):
        signs.signed = True
    else:
        signs.encrypted = True


def _report_kind(message: Message, signs: _Signs, content_class: str, reverse_path_is_null: bool) -> Kind | None:
    names = message.names
    if (not _JOURNAL_FIELDS.isdisjoint(names) or "journalreport" in message.header("content-identifier").lower()) and (
        signs.encloses_message or signs.rights_protected or signs.smime
    ):
        return Kind.JOURNAL
    if signs.report is not None:
        return signs.report
    if content_class in ("urn:content-classes:dsn", "urn:content-classes:mdn"):
        return Kind.DSN if content_class.endswith("dsn") else Kind.MDN
    # Bounces from before RFC 3464, and of programs that never learned it.
    if reverse_path_is_null and (b"x-failed-recipients" in names or _DAEMON.search(message.header("from"))):
        return Kind.DSN
    return None


def _kind(message: Message, signs: _Signs, content_class: str, reverse_path_is_null: bool) -> Kind:
    if signs.calendar is not None and (
        content_class == "urn:content-classes:calendarmessage" or _meeting_method(signs.calendar)
    ):
        return Kind.MEETING
    names = message.names
    if signs.voice or b"x-voicemessageduration" in names or content_class.startswith("voice"):
        return Kind.VOICEMAIL
    if message.header("message-context").lower() == "voice-message":
        return Kind.VOICEMAIL
    sign = subject_sign(message.subject)
    automatic = _automatic_kind(message, sign, reverse_path_is_null)
    if automatic is not None:
        return automatic
    if sign is SubjectSign.FORWARD:
        return Kind.FORWARD
    if sign is SubjectSign.REPLY or b"in-reply-to" in names or b"references" in names:
        return Kind.REPLY
    return Kind.REPLY if _thread_index_octets(message) > _THREAD_INDEX_NEW else Kind.NEW


def _auto_submitted(message: Message) -> str:
    """The value of Auto-Submitted in lower case (RFC 3834 §5), its comment and parameters too; "" without the field."""
    return message.header("auto-submitted").lower() if b"auto-submitted" in message.names else ""


def _automatic_kind(message: Message, sign: SubjectSign | None, reverse_path_is_null: bool) -> Kind | None:
    """X-Auto-Response-Suppress alone proves nothing: people's mail has it too; with such a subject it does."""
    value = _auto_submitted(message)
    says_away = sign is SubjectSign.AWAY
    has_away_sign = reverse_path_is_null or b"x-auto-response-suppress" in message.names or value not in ("", "no")
    if "vacation" in value or (says_away and has_away_sign):
        return Kind.OUT_OF_OFFICE
    is_reply = (
        value.startswith("auto-replied")
        or not _AUTO_REPLY_FIELDS.isdisjoint(message.names)
        or message.header("precedence").lower() in ("auto_reply", "auto-reply")
    )
    if not is_reply:
        return None
    return Kind.OUT_OF_OFFICE if says_away else Kind.AUTO_REPLY


def _thread_index_octets(message: Message) -> int:
    """Length of Outlook's Thread-Index, decoded; 0 without one."""
    value = message.header("thread-index")
    if not value:
        return 0
    try:
        return len(binascii.a2b_base64(value.encode("ascii", "replace")))
    except binascii.Error:
        return 0


def _meeting_method(calendar: Part) -> str:
    """From Content-Type (RFC 6047 §2.4), else from the object itself."""
    method = calendar.params.get("method", "").lower()
    if not method:
        match = _METHOD.search(transfer.decode(calendar.raw_body, calendar.encoding).octets[:_METHOD_WITHIN])
        method = match[1].decode("ascii").lower() if match else ""
    return method
