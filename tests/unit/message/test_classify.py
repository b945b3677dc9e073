"""Kinds of message, and what may never be touched."""

from __future__ import annotations

import base64

import pytest

from mta.message.classify import Classification, Kind, classify
from mta.message.parse import LimitExceededError, parse
from mta.message.subject import SubjectSign, subject_sign
from tests.shared import corpus
from tests.unit.message.samples import crlf


def classified(message: str, *, null: bool = False) -> Classification:
    return classify(parse(crlf(message)), null)


def mixed(*parts: str, subtype: str = "mixed", params: str = "", fields: str = "") -> str:
    inner = "".join(f"--b\n{part}\n" for part in parts)
    return f"{fields}Content-Type: multipart/{subtype}; boundary=b{params}\n\n{inner}--b--\n"


TEXT = "Content-Type: text/plain\n\nsome text"


# --- kinds -----------------------------------------------------------------------------------------------------------

THREAD = base64.b64encode(bytes(range(27))).decode()
CALENDAR = "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR"
AWAY = "Subject: Automatic reply: hello\n"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Subject: hello\n\n", Kind.NEW),
        ("Subject: Re: hello\n\n", Kind.REPLY),
        ("Subject: AW: hello\n\n", Kind.REPLY),
        ("Subject: hello\nIn-Reply-To: <a@b>\n\n", Kind.REPLY),
        ("Subject: hello\nReferences: <a@b>\n\n", Kind.REPLY),
        (f"Subject: hello\nThread-Index: {THREAD}\n\n", Kind.REPLY),
        ("Subject: hello\nThread-Index: " + base64.b64encode(bytes(22)).decode() + "\n\n", Kind.NEW),
        ("Subject: hello\nThread-Index: ***\n\n", Kind.NEW),
        ("Subject: WG: hello\nReferences: <a@b>\n\n", Kind.FORWARD),
        ("Subject: Fwd: Re: hello\n\n", Kind.FORWARD),
        ("Subject: RE: FW: hello\n\n", Kind.REPLY),
        ("Auto-Submitted: auto-replied\nSubject: Re: x\n\n", Kind.AUTO_REPLY),
        ("Auto-Submitted: auto-replied (vacation)\n\n", Kind.OUT_OF_OFFICE),
        ("Auto-Submitted: no\nSubject: Re: x\n\n", Kind.REPLY),
        ("Auto-Submitted: auto-generated\nSubject: report\n\n", Kind.NEW),
        (f"Auto-Submitted: auto-generated\n{AWAY}\n", Kind.OUT_OF_OFFICE),
        (f"X-Auto-Response-Suppress: All\n{AWAY}\n", Kind.OUT_OF_OFFICE),
        ("X-Auto-Response-Suppress: All\nSubject: hello\n\n", Kind.NEW),
        (f"{AWAY}\n", Kind.NEW),
        ("Precedence: auto_reply\n\n", Kind.AUTO_REPLY),
        ("Precedence: bulk\n\n", Kind.NEW),
        ("X-Autoreply: yes\nSubject: Abwesenheitsnotiz: x\n\n", Kind.OUT_OF_OFFICE),
        ("X-Autorespond: Ihre Anfrage\n\n", Kind.AUTO_REPLY),
        (mixed(TEXT, CALENDAR, subtype="alternative"), Kind.MEETING),
        (CALENDAR, Kind.MEETING),
        ("Content-Type: text/calendar\n\nBEGIN:VCALENDAR\nMETHOD:REPLY\n", Kind.MEETING),
        (mixed(TEXT, CALENDAR.replace("; method=REQUEST", "")), Kind.NEW),
        (mixed(TEXT, CALENDAR + "\n", fields="Content-Class: urn:content-classes:calendarmessage\n"), Kind.MEETING),
        (mixed(TEXT, "Content-Disposition: attachment\n" + CALENDAR), Kind.NEW),
        (mixed(TEXT, "Content-Disposition: attachment\n" + CALENDAR, subtype="alternative"), Kind.MEETING),
        (mixed(TEXT, "Content-Type: audio/wav\n\nx", subtype="voice-message"), Kind.VOICEMAIL),
        (mixed(TEXT, "Content-Type: audio/wav\n\nx", fields="Content-Class: Voice-CA\n"), Kind.VOICEMAIL),
        (mixed(TEXT, "Content-Type: message/delivery-status\n\nx", subtype="report"), Kind.DSN),
        (mixed(TEXT, subtype="report", params="; report-type=delivery-status"), Kind.DSN),
        (mixed(TEXT, "Content-Type: message/disposition-notification\n\nx", subtype="report"), Kind.MDN),
        (mixed(TEXT, subtype="report", params='; report-type="Disposition-Notification"'), Kind.MDN),
        (mixed(TEXT, "Content-Type: message/feedback-report\n\nx", subtype="report"), Kind.NEW),
        (mixed(TEXT, "Content-Type: message/rfc822\n\nSubject: x\n", fields="X-MS-Journal-Report:\n"), Kind.JOURNAL),
        ("X-MS-Journal-Report:\nSubject: only says so\n\n", Kind.NEW),
    ],
)
def test_kinds(message: str, kind: Kind) -> None:
    assert classified(message).kind is kind


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("From: Mail Delivery System <MAILER-DAEMON@example.com>\n\n", Kind.DSN),
        ("From: <>\n\n", Kind.DSN),
        ("X-Failed-Recipients: a@example.com\n\n", Kind.DSN),
        (AWAY + "From: jane@example.com\n\n", Kind.OUT_OF_OFFICE),
        ("From: jane@example.com\nSubject: hello\n\n", Kind.NEW),
    ],
)
def test_a_null_reverse_path_is_one_sign_among_others(message: str, kind: Kind) -> None:
    assert classified(message, null=True).kind is kind
    assert classified(message, null=False).kind is not Kind.DSN


def test_reports_about_an_attached_message_are_not_the_attached_messages_kind() -> None:
    inside = mixed(TEXT, "Content-Type: message/delivery-status\n\nx", subtype="report").replace("b", "c")
    assert classified(mixed(TEXT, "Content-Type: message/rfc822\n\n" + inside)).kind is Kind.NEW


def test_a_programs_mail_is_marked_without_being_a_reply() -> None:
    assert classified("Auto-Submitted: auto-generated\n\n").auto_generated
    assert not classified("Auto-Submitted: no\n\n").auto_generated
    assert not classified("Subject: x\n\n").auto_generated


@pytest.mark.parametrize("method", ["REQUEST", "reply", "Cancel"])
def test_meetings_tell_their_method(method: str) -> None:
    assert classified(f"Content-Type: text/calendar; method={method}\n\nx\n").meeting_method == method.lower()
    octets = base64.b64encode(f"BEGIN:VCALENDAR\r\nMETHOD:{method}\r\n".encode()).decode()
    message = f"Content-Type: text/calendar\nContent-Transfer-Encoding: base64\n\n{octets}\n"
    assert classified(message).meeting_method == method.lower()
    assert classified(message).kind is Kind.MEETING


# --- what may never be touched ---------------------------------------------------------------------------------------

P7M = "Content-Type: application/pkcs7-mime; smime-type=%s; name=smime.p7m\n\nx"
PGP_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\n\ntext\n-----BEGIN PGP SIGNATURE-----\n"
PGP_BASE64 = (
    "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + base64.b64encode(PGP_SIGNED.encode()).decode()
)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (mixed(TEXT, subtype="signed", params='; protocol="application/pkcs7-signature"'), "S/MIME signed"),
        (mixed(TEXT, subtype="signed", params='; protocol="application/pgp-signature"'), "PGP signed"),
        (mixed(TEXT, subtype="signed"), "multipart signed"),
        (mixed(mixed(TEXT, subtype="signed").replace("b", "c"), TEXT), "multipart signed"),
        (mixed(TEXT, "Content-Type: application/x-pkcs7-signature\n\nx"), "S/MIME signed"),
        (mixed(TEXT, "Content-Type: application/octet-stream; name=smime.p7s\n\nx"), "S/MIME signed"),
        (P7M % "enveloped-data", "S/MIME encrypted"),
        (P7M % "signed-data", "S/MIME signed"),
        ("Content-Type: application/x-pkcs7-mime\n\nx", "S/MIME encrypted"),
        ("Content-Type: application/octet-stream; name=smime.p7m\n\nx", "S/MIME encrypted"),
        (mixed(P7M % "enveloped-data", TEXT), "S/MIME encrypted"),
        (mixed(TEXT, P7M % "enveloped-data"), "S/MIME encrypted"),
        (mixed(TEXT, "Content-Type: application/x-pkcs7-mime; name=a.p7c\n\nx"), "S/MIME signed"),
        (mixed("Content-Type: application/pgp-encrypted\n\nx", subtype="encrypted"), "PGP encrypted"),
        (mixed(TEXT, "Content-Type: application/pgp-encrypted\n\nVersion: 1"), "PGP encrypted"),
        ("Content-Type: text/plain\n\n" + PGP_SIGNED, "PGP signed"),
        ("Content-Type: text/plain\n\nhello\n-----BEGIN PGP MESSAGE-----\nx", "PGP encrypted"),
        ("Content-Type: text/html\n\n<pre>-----BEGIN PGP MESSAGE-----\nx", "PGP encrypted"),
        (PGP_BASE64, "PGP signed"),
        (mixed(TEXT, "Content-Type: application/x-microsoft-rpmsg-message\n\nx"), "rights-protected"),
        (mixed(TEXT, "Content-Type: application/octet-stream; name=message.rpmsg\n\nx"), "rights-protected"),
        (mixed(TEXT, fields="Content-Class: rpmsg.message\n"), "rights-protected"),
        ("Content-Type: application/ms-tnef; name=winmail.dat\n\nx", "TNEF only"),
        (mixed("Content-Type: text/plain\n\n ", "Content-Type: application/ms-tnef\n\nx"), "TNEF only"),
        (mixed(TEXT, subtype="report", params="; report-type=delivery-status"), "delivery status notification"),
        (mixed(TEXT, subtype="report", params="; report-type=disposition-notification"), "disposition notification"),
        (
            mixed(TEXT, "Content-Type: message/rfc822\n\nSubject: x\n", fields="X-MS-Journal-Report:\n"),
            "journal report",
        ),
    ],
)
def test_what_is_never_touched_has_a_reason(message: str, reason: str) -> None:
    assert classified(message).untouchable == reason


@pytest.mark.parametrize(
    "message",
    [
        mixed(TEXT, "Content-Type: application/ms-tnef\n\nx"),
        mixed(TEXT, "Content-Type: application/octet-stream; name=smime.p7m\n\nx"),
        mixed(TEXT, "Content-Type: message/rfc822\n\n" + P7M % "enveloped-data"),
        "Content-Type: text/plain\n\n> -----BEGIN PGP MESSAGE-----\n> x\n",
        "Content-Type: text/plain\n\nwrite -----BEGIN PGP MESSAGE----- first\n",
        "Content-Type: text/plain\n\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
        mixed(TEXT, "Content-Type: application/pgp-keys\n\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n"),
        mixed(TEXT, "Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment\n\n" + PGP_SIGNED),
        mixed(TEXT, "Content-Type: message/rfc822\n\n" + mixed(TEXT, subtype="signed").replace("b", "c")),
        CALENDAR,
        "Auto-Submitted: auto-replied\n\n",
    ],
)
def test_what_may_be_touched_has_none(message: str) -> None:
    assert classified(message).untouchable == ""


# --- subjects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        "Re: x", "RE:x", "AW: x", "Antw: x", "SV: x", "VS: x", "Odp: x", "YNT: x", "回复: x", "回复：x", "RES: x",
        "Re[2]: x", "Re (3): x", "RE : x", "[List] Re: x", "[EXT] [TICKET#1] AW: x", "Ответ: x", "R: x", "RIF: x",
        "Vá: x", "답장: x",
    ],
)  # fmt: skip
def test_reply_prefixes(subject: str) -> None:
    assert subject_sign(subject) is SubjectSign.REPLY


@pytest.mark.parametrize(
    "subject",
    [
        "Fwd: x", "FW: x", "WG: x", "TR: x", "RV: x", "VB: x", "Doorst: x", "PD: x", "İLT: x", "ilt: x", "转发: x",
        "轉寄：x", "ENC: x", "I: x", "VL: x", "Fwd: Re: x", "[List] Fwd: x", "転送: x",
    ],
)  # fmt: skip
def test_forward_prefixes(subject: str) -> None:
    assert subject_sign(subject) is SubjectSign.FORWARD


@pytest.mark.parametrize(
    "subject",
    [
        "hello",
        "",
        "Report: x",
        "Really: x",
        "Important: reply",
        "Reminder: x",
        "Awesome: x",
        "Try: x",
        "re x",
        "Fwdx: y",
    ],
)
def test_ordinary_subjects_have_no_sign(subject: str) -> None:
    assert subject_sign(subject) is None


# A digest that quotes a signed message, its signature too, in a text.
QUOTES_A_SIGNATURE = "kde-mimetreeparser/testdata_openpgp-signed-mailinglist_old.eml"


@pytest.mark.corpus
def test_the_corpus_is_classified_as_its_manifest_says() -> None:
    wrong = []
    for entry in corpus():
        try:
            found = classify(parse(entry.data), False)
        except LimitExceededError:
            continue
        says = entry.manifest
        if says["is_multipart_signed"] and not (found.signed and found.untouchable):
            wrong.append(f"signed: {entry.path}")
        if says["is_pgp_inline"] and not found.untouchable and entry.path != QUOTES_A_SIGNATURE:
            wrong.append(f"inline PGP: {entry.path}")
        if says["is_dsn"] and not (found.kind in (Kind.DSN, Kind.MDN) and found.untouchable):
            wrong.append(f"DSN: {entry.path}")
    assert wrong == []


# --- what strangers claim --------------------------------------------------------------------------------------------

REPORT = mixed(TEXT, "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx", subtype="report")


@pytest.mark.parametrize(
    "message",
    [
        mixed(TEXT, "Content-Type: message/rfc822\n\nSubject: x\n", fields="X-MS-Journal-Report:\n"),
        "Content-Class: rpmsg.message\n\nhello",
        "Content-Class: urn:content-classes:dsn\n\nhello",
        "From: MAILER-DAEMON@customer.example\n\nhello",
        "X-Failed-Recipients: a@example.com\n\nhello",
        mixed(TEXT, "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx"),
    ],
)
def test_header_fields_of_strangers_protect_nothing(message: str) -> None:
    parsed = parse(crlf(message))
    assert classify(parsed, True, is_trusted=True).untouchable
    assert classify(parsed, True, is_trusted=False).untouchable == ""


@pytest.mark.parametrize(
    "message",
    [
        REPORT,
        mixed(TEXT, "Content-Type: application/pkcs7-signature\n\nx", subtype="signed"),
        mixed(TEXT, 'Content-Type: application/octet-stream; name="message.rpmsg"\n\nx'),
    ],
)
def test_what_the_structure_shows_counts_whoever_sends_it(message: str) -> None:
    assert classify(parse(crlf(message)), True, is_trusted=False).untouchable
