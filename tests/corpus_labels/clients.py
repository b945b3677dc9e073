"""Which mail client wrote a message, by its header and by the marks it leaves in HTML."""

from __future__ import annotations

import re

# The first that fits wins, here and below.
_BY_NAME = {
    "apple": "Apple Mail",
    "ios": "Apple Mail",
    "iphone": "Apple Mail",
    "thunderbird": "Thunderbird",
    "yahoo": "Yahoo",
    "gmail": "Gmail",
    "android": "Gmail",
    "hotmail": "Outlook.com",
    "windows_mail": "Outlook.com",
    "outlook": "Outlook",
    "aol": "AOL",
    "comcast": "Zimbra",
    "mail_ru": "mail.ru, Yandex",
    "yandex": "mail.ru, Yandex",
}
_NAMED_BY_CLIENT = ("w-", "talon-eml/")
"""Bodies under made headers, whose file names tell the client."""
_BY_AGENT = (
    ("Outlook Express", r"outlook express|windows (?:live )?mail|mimeole"),
    ("Outlook for Mac", r"macoutlook|entourage"),
    ("Outlook.com", r"hotmail|outlook\.com|microsoft windows mail"),
    ("Outlook", r"outlook|exchange|internet mail service"),
    ("Apple Mail", r"apple mail|iphone|ipad|apple-mail"),
    ("Thunderbird", r"thunderbird|mozilla|postbox|icedove"),
    ("Gmail", r"gmail|google"),
    ("Yahoo", r"yahoo"),
    ("Lotus Notes", r"lotus|notes release|domino"),
    ("GroupWise", r"groupwise"),
    ("Zimbra", r"zimbra"),
    ("GMX", r"gmx|web\.de"),
    ("mail.ru, Yandex", r"mail\.ru|yandex"),
    ("Unix clients", r"mutt|gnus|kmail|evolution|notmuch|sylpheed|claws|pine|mew|wanderlust|emacs|mh|git-send"),
)
_BY_MARK = (
    ("Thunderbird", r"moz-cite-prefix|moz-forward-container"),
    ("Yahoo", r"yahoo_quoted"),
    ("Outlook for Mac", r"olk_src_body_section"),
    ("Outlook.com", r"stopspelling|windows mail"),
    ("Outlook", r"divrplyfwdmsg|appendonsend|msonormal|border-top:\s*solid #(?:e1e1e1|b5c4df)"),
    ("Lotus Notes", r"domino-section"),
    ("GMX", r"name=\"?quote"),
    ("Gmail", r"gmail_quote|gmail_extra"),
    ("Apple Mail", r"apple-|<blockquote type=\"?cite"),
    ("Outlook", r"-----original message-----|-----urspr.ngliche nachricht-----|^_{20,}\s*from:"),
)
_AGENT_FIELDS = ("user-agent", "x-mailer", "x-newsreader", "x-mimeole")


def client_of(path: str, header: bytes, text: str) -> str:
    """The client's name; "unknown" where nothing tells. `header` is the message's own."""
    written = header.decode("latin-1").lower()
    agents = " ".join(re.findall(rf"^(?:{'|'.join(_AGENT_FIELDS)}):[ \t]*(.*)$", written, re.MULTILINE))
    for client, pattern in _BY_AGENT if agents else ():
        if re.search(pattern, agents):
            return client
    name = path.rpartition("/")[2].lower()
    named = next((client for sign, client in _BY_NAME.items() if sign in name), None)
    if named is not None and path.startswith(_NAMED_BY_CLIENT):
        return named
    lowered = text.lower()
    for client, pattern in _BY_MARK:
        if re.search(pattern, lowered, re.MULTILINE):
            return client
    if "x-ms-has-attach" in written or "thread-index" in written:
        return "Outlook"
    if re.search(r"message-id:.*mail\.gmail\.com", written):
        return "Gmail"
    return "unknown"
