"""Where quoted text begins, as data: what each mail client writes before it, in the languages it speaks.

Everything is in lower case and compared with lower-case text. Text patterns speak of one visible line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import re2


@dataclass(frozen=True, slots=True)
class ElementSeparator:
    """An HTML element that begins the quoted part. `value` is an RE2 pattern that the whole attribute has to match.

    Replying clients prefix the ids and classes of what they quote (`x_`, `m_-123`, `yiv123`), so `value` says what may
    stand before.
    """

    client: str
    elements: frozenset[str]
    """Element names; empty: any."""
    attribute: str
    value: str
    hint: str
    """A literal that must occur in the element's attributes."""
    to_end: bool
    """Whether the quote is the rest of the body. False where replies may stand below or between blockquotes."""
    introduces: bool
    """Whether it begins with the attribution; the writer's own words may get into it, too, and then it is no mark."""


_INTRODUCES = frozenset(("gmail_quote", "moz-cite-prefix"))
_SURROUNDS = frozenset(("gmail", "thunderbird", "blockquote", "proton", "tuta", "front", "missive"))


def _element(client: str, elements: str, attribute: str, value: str, hint: str) -> ElementSeparator:
    names = frozenset(elements.split())
    to_end, introduces = client not in _SURROUNDS, hint in _INTRODUCES
    return ElementSeparator(client, names, attribute, value, hint, to_end, introduces)


_ANY_CLASS = r"(?:.*[\s_])?{}(?:\s.*)?"

ELEMENTS: tuple[ElementSeparator, ...] = (
    _element("gmail", "div blockquote", "class", _ANY_CLASS.format("gmail_quote(?:_container)?"), "gmail_quote"),
    _element("gmail", "div", "class", _ANY_CLASS.format("gmail_attr"), "gmail_attr"),
    _element("outlook-web", "", "id", r"(?:.*_)?divrplyfwdmsg", "divrplyfwdmsg"),
    _element("outlook-web", "", "id", r"(?:.*_)?appendonsend", "appendonsend"),
    _element("hotmail", "hr", "id", r"(?:.*_)?stopspelling", "stopspelling"),
    _element("outlook-web", "hr", "tabindex", r"-1", "tabindex"),
    _element("outlook-mac", "", "id", r"(?:.*_)?olk_src_body_section", "olk_src_body_section"),
    _element("outlook-new", "", "id", r"(?:.*_)?mail-editor-reference-message-container", "mail-editor-reference"),
    _element("thunderbird", "", "class", _ANY_CLASS.format("moz-cite-prefix"), "moz-cite-prefix"),
    _element("thunderbird", "", "class", _ANY_CLASS.format("moz-forward-container"), "moz-forward-container"),
    _element("thunderbird", "table", "class", _ANY_CLASS.format("moz-email-headers-table"), "moz-email-headers"),
    _element("yahoo", "", "class", r"(?:.*[\s_])?(?:ydp\w*)?yahoo_quoted(?:\s.*)?", "yahoo_quoted"),
    _element("yahoo", "", "id", r"(?:.*_)?(?:ydp\w*)?yahoo_quoted\w*", "yahoo_quoted"),
    _element("yahoo", "", "class", _ANY_CLASS.format("yahoo-quoted-begin"), "yahoo-quoted-begin"),
    _element("zimbra", "hr div", "id", r"(?:.*_)?zwchr", "zwchr"),
    _element("zimbra", "hr div", "data-marker", r"__(?:divider|quoted_text|headers)__", "data-marker"),
    _element("proton", "div blockquote", "class", _ANY_CLASS.format("protonmail_quote"), "protonmail_quote"),
    _element("tuta", "div blockquote", "class", _ANY_CLASS.format("tutanota_quote"), "tutanota_quote"),
    _element("gmx", "div", "name", r"quote", "quote"),
    _element("spark", "div", "name", r"messagereplysection", "messagereplysection"),
    _element("front", "div blockquote", "class", _ANY_CLASS.format("front-blockquote"), "front-blockquote"),
    _element("missive", "div blockquote", "class", _ANY_CLASS.format("missive_quote"), "missive_quote"),
    _element("freshdesk", "div blockquote", "class", _ANY_CLASS.format("freshdesk_quote"), "freshdesk_quote"),
    _element("hubspot", "div blockquote", "class", _ANY_CLASS.format("hs_reply"), "hs_reply"),
    _element("notes", "div", "class", _ANY_CLASS.format("domino-section"), "domino-section"),
    _element("airmail", "", "id", r"(?:.*_)?bloop_original_html", "bloop_original_html"),
    _element("blockquote", "blockquote", "type", r"cite", "cite"),
    _element("blockquote", "blockquote", "cite", r".+", "cite"),
    _element("blockquote", "blockquote", "class", r".*quote.*", "quote"),
    _element("blockquote", "blockquote", "style", r".*border-left.*", "border-left"),
)


def _words(*lines: str) -> tuple[str, ...]:
    return tuple(word.strip() for line in lines for word in line.split("|"))


FROM = _words(
    "from|von|de|da|från|fra|van|od|от|від|kimden|gönderen|lähettäjä|feladó|expéditeur|remitente|mittente|de la|από",
    "发件人|寄件者|寄件人|差出人|送信者|보낸 사람|보낸사람|발신|מאת|من|dari|từ|จาก|saatja|nuo|odesílatel|odosielateľ",
    "nadawca|afzender|avsender|afsender|absender|отправитель|pošiljatelj|pošilja|šalje",
)
DATE = _words(
    "sent|date|gesendet|gesendet am|datum|envoyé|envoyé le|enviado|enviada|enviado el|enviada em|enviado em|data",
    "fecha de envío|skickat den|sendt den|wysłane|odeslané|odeslano|lähetysaika|date et heure",
    "fecha|inviato|skickat|sendt|dato|message du|küldés dátuma|elküldve|expediat|εστάλη|відправлено|gönderilme tarihi",
    "verzonden|verzonden op|wysłano|отправлено|дата|надіслано|tarih|gönderildi",
    "gönderme tarihi|lähetetty|päivämäärä|päiväys|küldve|dátum|odesláno|odoslané|poslano|enviat|trimis|στάλθηκε",
    "ημερομηνία|发送时间|日期|寄件日期|傳送日期|日時|送信日時|送信日|보낸 날짜|날짜|נשלח|תאריך|התאריך|التاريخ|تاريخ",
    "تم الإرسال|تاريخ الإرسال|أرسلت|傳送時間|傳送日期|보낸 시간|보냄|전송|נשלח בתאריך|datum|sendedatum|verzenddatum",
    "dikirim|tanggal|đã gửi|ngày|saadetud|išsiųsta|received|время|发送日期|sent at|date d'envoi|data invio",
)
TO = _words(
    "to|an|à|a|para|til|till|aan|do|komu|кому|kime|alıcı|vastaanottaja|címzett|destinataire|destinatario|收件人|收件者",
    "宛先|받는 사람|받는사람|אל|إلى|kepada|đến|tới|προς|către|pour|per|za|prima|cc|kopie|copie|copia|cópia|kopio|kopia",
    "kopi|копия|копія|másolat|másolatot kap|抄送|副本|참조|empfänger|destinatário|odbiorca|получатель|saaja|bilgi|dw",
    "κοιν|κοιν.|kopia do|copie à|kopie an|עותק|نسخة|نسخة إلى|c c|cópia para|con copia",
)
SUBJECT = _words(
    "subject|betreff|objet|asunto|oggetto|assunto|ämne|emne|onderwerp|temat|тема|konu|aihe|tárgy|předmět|predmet|subiect",
    "θέμα|主题|主旨|件名|제목|נושא|الموضوع|subyek|perihal|chủ đề|zadeva|assumpte|teema|tema|sujet",
)
ORIGINAL = _words(
    "original message|forwarded message|original appointment|reply message|reply separator|original mail",
    "original email",
    "ursprüngliche nachricht|ursprüngliche mail|ursprüngliche e-mail|originalnachricht|original-nachricht",
    "original nachricht|weitergeleitete nachricht|weitergeleitete mail|ursprünglicher termin|message d'origine",
    "message d’origine|message original|message transféré|message original transféré|courriel original",
    "mensaje original|mensaje reenviado|messaggio originale|messaggio inoltrato|mensagem original",
    "mensagem encaminhada|mensagem reencaminhada|originalmeddelande|ursprungligt meddelande|vidarebefordrat meddelande",
    "oprindelig meddelelse|original meddelelse|videresendt meddelelse|opprinnelig melding|videresendt melding",
    "oprindelig besked|originele bericht|origineel bericht|oorspronkelijk bericht|oorspronkelijke bericht",
    "doorgestuurd bericht|wiadomość oryginalna|oryginalna wiadomość|wiadomość przekazana|przekazana wiadomość",
    "исходное сообщение|пересылаемое сообщение|пересланное сообщение|оригинал сообщения|оригинальное сообщение",
    "оригінальне повідомлення|переслане повідомлення|orijinal mesaj|özgün ileti|özgün mesaj|iletilen mesaj",
    "alkuperäinen viesti|välitetty viesti|edelleenlähetetty viesti|eredeti üzenet|továbbított üzenet|původní zpráva",
    "původní e-mail|přeposlaná zpráva|pôvodná správa|preposlaná správa|izvorna poruka|originalna poruka",
    "izvirno sporočilo|mesaj original|mesajul original|mesaj redirecționat|αρχικό μήνυμα|προωθημένο μήνυμα|原始邮件",
    "原邮件|邮件原件|转发邮件|转发的邮件|转发邮件信息|原始郵件|轉寄郵件|元のメッセージ|転送メッセージ|転送されたメッセージ",
    "원본 메시지|원본 메일|전달된 메시지|הודעה מקורית|הודעה שהועברה|الرسالة الأصلية|رسالة معاد توجيهها|pesan asli",
    "pesan terusan|thư gốc|tin nhắn gốc|thư đã chuyển tiếp|algne kiri|pradinis laiškas|missatge original",
)
FORWARDED = _words(
    "begin forwarded message|anfang der weitergeleiteten nachricht|anfang der weitergeleiteten e-mail",
    "début du message réexpédié|début du message transféré|inicio del mensaje reenviado|inizio messaggio inoltrato",
    "início da mensagem encaminhada|início da mensagem reencaminhada|begin doorgestuurd bericht|vidarebefordrat brev",
    "vidarebefordrat mejl|start på videresendt besked|videresendt besked|start på videresendt melding",
    "początek przekazywanej wiadomości|начало переадресованного сообщения|начало пересылаемого сообщения",
    "転送されたメッセージ|下面是被转发的邮件|开始转发的邮件|以下是轉寄的郵件|전달된 메시지 시작",
    "başlangıç yönlendirilen ileti|iletilen ileti başlangıcı|iletilen ileti|începutul mesajului redirecționat",
    "începutul mesajului retransmis|început mesaj redirecționat|έναρξη προωθημένου μηνύματος",
    "початок листа, що пересилається|початок пересланого повідомлення|بداية الرسالة المعاد توجيهها",
    "بدء الرسالة المعاد توجيهها",
    "بداية الرسالة المُعاد توجيهها|תחילת ההודעה שהועברה|תחילת הודעה שהועברה|početak proslijeđene poruke",
    "začiatok preposlanej správy",
    "inici del missatge reenviat|mulai pesan yang diteruskan|bắt đầu thư đã chuyển tiếp|ส่งต่อข้อความ",
    "välitetty viesti alkaa|továbbított levél kezdete|začátek přeposílané zprávy",
)
WROTE = _words(
    "wrote|writes|schrieb|schreibt|geschrieben|a écrit|écrit|escribió|escribio|ha scritto|scrisse|scritto|escreveu",
    "schreef|geschreven|skrev|skreiv|kirjoitti|napsal|napísal|napisał|pisze|написал|писал|пишет|написав|пише|написа",
    "yazdı|írta|a scris|έγραψε|napisao|napisala|je pisao|piše|rašė|parašė|kirjutas|rakstīja|写道|寫道|写信|書きました",
    "님이 작성|작성|쓴 글|さんは書きました|님의 말|כתב|כתבה",
    "كتب|تمت كتابة|napisana przez|napisała|писав|menulis|đã viết|va escriure|skrifaði|schrieben|skreven|a ecrit",
)
SAID = _words(
    "のメール|said|says|sagte|sagt|a dit|dijo|dice|disse|zei|sade|sa|sagde|řekl|mondta|a zis|dedi|сказал|sanoi|mówi"
)
"""Words that count only right before lines that are marked as quoted."""
QUOTING = tuple(
    f"{word} "
    for word in _words("quoting|zitat von|citando|citação de|citat från|citat fra|citeren|selon|цитирую|thus spake")
)
ON = tuple(
    word + " "
    for word in _words(
        "on|am|le|el|il|em|op|den|på|dne|w dniu|dnia|на|в|у|no dia|a|ne|la data de|în data de|pe|dana|kl|at|vào|στις",
        "pada|il giorno|wiadomość napisana|at|in|vom|den|בתאריך|في|el día|na dan|ב|於|于|在",
    )
)
NOTES_TO = _words(
    "to|an|à|a|para|til|till|aan|do|komu|кому|kime|címzett|vastaanottaja|către|προς|收件人|收件者|宛先|받는 사람"
)
NOTES_SUBJECT = _words(
    "subject|betreff|thema|objet|asunto|oggetto|assunto|ämne|emne|onderwerp|temat|тема|konu|aihe|tárgy|předmět|subiect",
    "θέμα|主题|主旨|件名|제목",
)
"""Lotus Notes' labels, which may stand without a colon."""
PROCESSED = _words("original message processed by")
"""What servers write before a message that they handed on; the rest of the line is a product's name."""
FIRST_PERSON = _words(
    "i|i've|we|ich|wir|je|j'ai|nous|yo|nosotros|io|noi|eu|nós|ik|wij|jag|vi|jeg|minä|me|ja|my|já|én|я|мы|ми|εγώ|ben",
)
"""Who writes of himself quotes nobody: "as I wrote on 2 May:"."""
FOOTER = _words(
    "--|- --|__|==|sent from|gesendet von|envoyé de|enviado desde|inviato da|verzonden vanaf|skickat från|sendt fra",
    "get outlook|outlook für|to unsubscribe|unsubscribe|you received this message|you are receiving this|wysłane z",
    "отправлено из|diese e-mail wurde|this email|this e-mail|this message|this communication|confidential|disclaimer",
    "to post|to subscribe|to view|to reply|subscribe|archives|manage your|report this|the information|this electronic",
    "important notice|notice:|diese nachricht|wichtiger hinweis|le informazioni|avis de|aviso|esta mensagem",
    "deze e-mail|dit bericht|detta meddelande|denne e-mail|tämä viesti|ta wiadomość|tato zpráva|это сообщение",
    "posted on|mailing list|list-|you can reply|view this|reply to this|ce message|este mensaje|questo messaggio",
)


_ASCII_WORD = re.compile(r"[a-z0-9]{3,}")


@dataclass(frozen=True, slots=True)
class Separators:
    """What marks quoted text."""

    elements: tuple[ElementSeparator, ...] = ELEMENTS
    lines: tuple[str, ...] = field(default=())
    """RE2 patterns for whole visible lines (lower case, single spaces) that an administrator added."""
    signs: tuple[str, ...] = field(default=())
    """Literals of which one occurs in every body with such a line; one that is empty occurs in all."""

    def adding(self, literals: Iterable[str] = (), patterns: Iterable[str] = ()) -> Separators:
        """The same with separators of the administrator's: literal lines, and patterns for whole lines."""
        lines = [" ".join(literal.lower().split()) for literal in literals]
        wanted = tuple(patterns)
        # HTML may write other characters as references and put tags between words.
        signs = [max(_ASCII_WORD.findall(line), key=len, default="") for line in lines] + [""] * bool(wanted)
        escaped = (re2.escape(line) for line in lines)
        return Separators(self.elements, (*self.lines, *escaped, *wanted), (*self.signs, *signs))


DEFAULT = Separators()
