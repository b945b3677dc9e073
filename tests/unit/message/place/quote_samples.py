"""How clients begin the quoted part in each language, as they write it; names and addresses are made up."""

from __future__ import annotations

from dataclasses import dataclass

WHO = "Jane Doe <jane@example.com>"


@dataclass(frozen=True, slots=True)
class Language:
    """`header`: Outlook's labels for sender, date, recipient and subject, and the date as it writes it."""

    header: tuple[str, str, str, str]
    date: str
    gmail: str
    """Attribution of Gmail, with {who}."""
    apple: str
    original: str
    """What stands between dashes before an original message."""
    forwarded: str = ""
    """Apple's line above a forwarded message."""
    colon: str = ": "


LANGUAGES = {
    "English": Language(
        ("From", "Sent", "To", "Subject"),
        "Thursday, May 2, 2024 10:00 AM",
        "On Thu, May 2, 2024 at 10:00 AM {who} wrote:",
        "On 2 May 2024, at 10:00, {who} wrote:",
        "Original Message",
        "Begin forwarded message:",
    ),
    "German": Language(
        ("Von", "Gesendet", "An", "Betreff"),
        "Donnerstag, 2. Mai 2024 10:00",
        "Am Do., 2. Mai 2024 um 10:00 Uhr schrieb {who}:",
        "Am 02.05.2024 um 10:00 schrieb {who}:",
        "Ursprüngliche Nachricht",
        "Anfang der weitergeleiteten Nachricht:",
    ),
    "French": Language(
        ("De", "Envoyé", "À", "Objet"),
        "jeudi 2 mai 2024 10:00",
        "Le jeu. 2 mai 2024 à 10:00, {who} a écrit :",
        "Le 2 mai 2024 à 10:00, {who} a écrit :",
        "Message d'origine",
        "Début du message réexpédié :",
        "\u00a0: ",
    ),
    "Spanish": Language(
        ("De", "Enviado el", "Para", "Asunto"),
        "jueves, 2 de mayo de 2024 10:00",
        "El jue, 2 may 2024 a las 10:00, Jane Doe (<jane@example.com>) escribió:",
        "El 2 may 2024, a las 10:00, {who} escribió:",
        "Mensaje original",
        "Inicio del mensaje reenviado:",
    ),
    "Italian": Language(
        ("Da", "Inviato", "A", "Oggetto"),
        "giovedì 2 maggio 2024 10:00",
        "Il giorno gio 2 mag 2024 alle ore 10:00 {who} ha scritto:",
        "Il giorno 2 mag 2024, alle ore 10:00, {who} ha scritto:",
        "Messaggio originale",
        "Inizio messaggio inoltrato:",
    ),
    "Portuguese": Language(
        ("De", "Enviado", "Para", "Assunto"),
        "2 de maio de 2024 10:00",
        "{who} escreveu (quinta, 2/05/2024 à(s) 10:00):",
        "No dia 02/05/2024, às 10:00, {who} escreveu:",
        "Mensagem original",
        "Início da mensagem reencaminhada:",
    ),
    "Portuguese (Brazil)": Language(
        ("De", "Enviada em", "Para", "Assunto"),
        "quinta-feira, 2 de maio de 2024 10:00",
        "Em qui., 2 de mai. de 2024 às 10:00, {who} escreveu:",
        "Em 2 de mai. de 2024, à(s) 10:00, {who} escreveu:",
        "Mensagem original",
        "Início da mensagem encaminhada:",
    ),
    "Dutch": Language(
        ("Van", "Verzonden", "Aan", "Onderwerp"),
        "donderdag 2 mei 2024 10:00",
        "Op do 2 mei 2024 om 10:00 schreef {who}:",
        "Op 2 mei 2024, om 10:00 heeft {who} het volgende geschreven:",
        "Oorspronkelijk bericht",
        "Begin doorgestuurd bericht:",
    ),
    "Polish": Language(
        ("Od", "Wysłano", "Do", "Temat"),
        "czwartek, 2 maja 2024 10:00",
        "czw., 2 maj 2024 o 10:00 {who} napisał(a):",
        "Wiadomość napisana przez {who} w dniu 02.05.2024, o godz. 10:00:",
        "Wiadomość oryginalna",
        "Początek przekazywanej wiadomości:",
    ),
    "Swedish": Language(
        ("Från", "Skickat", "Till", "Ämne"),
        "den 2 maj 2024 10:00",
        "Den tors 2 maj 2024 kl 10:00 skrev {who}:",
        "2 maj 2024 kl. 10:00 skrev {who}:",
        "Originalmeddelande",
        "Vidarebefordrat brev:",
    ),
    "Norwegian": Language(
        ("Fra", "Sendt", "Til", "Emne"),
        "torsdag 2. mai 2024 10:00",
        "tor. 2. mai 2024 kl. 10:00 skrev {who}:",
        "2. mai 2024 kl. 10:00 skrev {who}:",
        "Opprinnelig melding",
        "Start på videresendt melding:",
    ),
    "Danish": Language(
        ("Fra", "Sendt", "Til", "Emne"),
        "2. maj 2024 10:00",
        "Den tors. 2. maj 2024 kl. 10.00 skrev {who}:",
        "Den 2. maj 2024 kl. 10.00 skrev {who}:",
        "Oprindelig meddelelse",
        "Start på videresendt besked:",
    ),
    "Finnish": Language(
        ("Lähettäjä", "Lähetetty", "Vastaanottaja", "Aihe"),
        "torstai 2. toukokuuta 2024 10.00",
        "to 2. toukok. 2024 klo 10.00 Jane Doe (jane@example.com) kirjoitti:",
        "{who} kirjoitti 2.5.2024 kello 10.00:",
        "Alkuperäinen viesti",
        "Välitetty viesti alkaa:",
    ),
    "Czech": Language(
        ("Od", "Odesláno", "Komu", "Předmět"),
        "čtvrtek 2. května 2024 10:00",
        "čt 2. 5. 2024 v 10:00 odesílatel {who} napsal:",
        "2. 5. 2024 v 10:00, {who}:",
        "Původní zpráva",
        "Začátek přeposílané zprávy:",
    ),
    "Hungarian": Language(
        ("Feladó", "Elküldve", "Címzett", "Tárgy"),
        "2024. május 2., csütörtök 10:00",
        "{who} ezt írta (időpont: 2024. máj. 2., Cs, 10:00):",
        "2024. 05. 02. dátummal, 10:00 időpontban {who} írta:",
        "Eredeti üzenet",
        "Továbbított levél kezdete:",
    ),
    "Romanian": Language(
        ("De la", "Trimis", "Către", "Subiect"),
        "joi, 2 mai 2024 10:00",
        "joi, 2 mai 2024 la 10:00, {who} a scris:",
        "Pe 2 mai 2024, la 10:00, {who} a scris:",
        "Mesaj original",
        "Începutul mesajului redirecționat:",
    ),
    "Greek": Language(
        ("Από", "Στάλθηκε", "Προς", "Θέμα"),
        "Πέμπτη, 2 Μαΐου 2024 10:00 π.μ.",
        "Στις Πέμ 2 Μαΐ 2024 στις 10:00 π.μ., ο χρήστης {who} έγραψε:",
        "Στις 2 Μαΐ 2024, στις 10:00, ο χρήστης {who} έγραψε:",
        "Αρχικό μήνυμα",
        "Έναρξη προωθημένου μηνύματος:",
    ),
    "Turkish": Language(
        ("Kimden", "Gönderildi", "Kime", "Konu"),
        "2 Mayıs 2024 Perşembe 10:00",
        "{who}, 2 May 2024 Per, 10:00 tarihinde şunu yazdı:",
        "{who} şunları yazdı (2 May 2024 10:00):",
        "Özgün İleti",
        "İletilen ileti başlangıcı:",
    ),
    "Russian": Language(
        ("От", "Отправлено", "Кому", "Тема"),
        "2 мая 2024 г. 10:00",
        "чт, 2 мая 2024 г. в 10:00, {who}:",
        "2 мая 2024 г., в 10:00, {who} написал(а):",
        "Исходное сообщение",
        "Начало переадресованного сообщения:",
    ),
    "Ukrainian": Language(
        ("Від", "Надіслано", "Кому", "Тема"),
        "2 травня 2024 р. 10:00",
        "чт, 2 трав. 2024 р. о 10:00 {who} пише:",
        "2 трав. 2024 р. о 10:00 {who} написав(-ла):",
        "Оригінальне повідомлення",
        "Початок листа, що пересилається:",
    ),
    "Arabic": Language(
        ("من", "تم الإرسال", "إلى", "الموضوع"),
        "الخميس، 2 مايو 2024 10:00 ص",
        "في الخميس، 2 مايو 2024 في 10:00 ص تمت كتابة ما يلي بواسطة {who}:",
        "في ٢ مايو ٢٠٢٤، الساعة ١٠:٠٠ ص، كتب {who}:",
        "الرسالة الأصلية",
        "بداية الرسالة المعاد توجيهها:",
    ),
    "Hebrew": Language(
        ("מאת", "נשלח", "אל", "נושא"),
        "יום חמישי 2 מאי 2024 10:00",
        "\u202bבתאריך יום ה׳, 2 במאי 2024 ב-10:00 מאת "
        "\u202aJane Doe\u202c\u200f <\u202ajane@example.com\u202c\u200f>:\u202c",
        "ב-2 במאי 2024, בשעה 10:00, {who} כתב/ה:",
        "הודעה מקורית",
        "תחילת ההודעה שהועברה:",
    ),
    "Chinese (simplified)": Language(
        ("发件人", "发送时间", "收件人", "主题"),
        "2024年5月2日 10:00",
        "{who} 于2024年5月2日周四 10:00写道：",
        "2024年5月2日 10:00，{who} 写道：",
        "邮件原件",
        "下面是被转发的邮件：",
    ),
    "Chinese (traditional)": Language(
        ("寄件者", "寄件日期", "收件者", "主旨"),
        "2024年5月2日 上午 10:00",
        "{who} 於 2024年5月2日 週四 上午10:00寫道：",
        "{who} 於 2024年5月2日 上午10:00 寫道：",
        "原始郵件",
        "以下是轉寄的郵件：",
        "：",
    ),
    "Japanese": Language(
        ("差出人", "送信日時", "宛先", "件名"),
        "2024年5月2日 10:00",
        "2024年5月2日(木) 10:00 {who}:",
        "2024/05/02 10:00、{who}のメール:",
        "元のメッセージ",
        "転送されたメッセージ：",
    ),
    "Korean": Language(
        ("보낸 사람", "보낸 날짜", "받는 사람", "제목"),
        "2024년 5월 2일 목요일 오전 10:00",
        "2024년 5월 2일 (목) 오전 10:00, {who}님이 작성:",
        "2024. 5. 2. 오전 10:00, {who} 작성:",
        "원본 메시지",
        "전달된 메시지 시작:",
    ),
}
