"""What a subject's beginning says: prefixes of replies, forwards and absence notes in many languages."""

from __future__ import annotations

import re
from enum import Enum


class SubjectSign(Enum):
    REPLY = "reply"
    FORWARD = "forward"
    AWAY = "away"


# `vs` is a reply in Finnish and a forward in Danish and Norwegian; it counts as a reply.
_REPLY = (
    "re", "aw", "antw", "antwort", "antwoord", "sv", "svar", "vs", "vá", "ref", "rif", "r", "res", "resp",
    "odp", "ynt", "yan", "bls", "balas", "atb", "απ", "απαντ", "σχετ", "ответ", "отв", "на", "ha", "відп",
    "回复", "回覆", "答复", "答覆", "返信", "답장", "회신", "תשובה", "השב", "رد", "réf", "réponse", "trả lời",
    "odgovor", "odg", "ats", "vast", "nb",
)  # fmt: skip
_FORWARD = (
    "fw", "fwd", "wg", "weitergeleitet", "tr", "rv", "reenv", "enc", "vb", "vl", "i", "inoltro", "doorst",
    "doorsturen", "pd", "ilt", "i̇lt", "̇ilt", "pr", "továbbítás", "tov", "trs", "πρθ", "пересл", "вп", "转发",
    "轉寄", "轉發", "転送", "전달", "הועבר", "إعادة توجيه", "chuyển tiếp", "videresendt", "vidarebefordrat",
    "välitetty", "fyrri", "prosl", "preposlané",
)  # fmt: skip
_AWAY = (
    "automatic reply", "auto reply", "autoreply", "auto-reply", "auto response", "out of office",
    "out of the office", "out-of-office", "away from my mail", "automatische antwort", "automatische reaktion",
    "abwesenheitsnotiz", "abwesenheit", "abwesend", "réponse automatique", "absence du bureau",
    "absent du bureau", "en dehors du bureau", "respuesta automática", "respuesta automatica",
    "fuera de la oficina", "risposta automatica", "fuori ufficio", "automatisch antwoord", "afwezig",
    "autosvar", "automatiskt svar", "automatisk svar", "frånvaro", "ikke til stede", "automaattinen vastaus",
    "poissa", "resposta automática", "ausência temporária", "odpowiedź automatyczna", "nieobecność",
    "automatická odpověď", "automatická odpoveď", "mimo kancelář", "automatikus válasz", "otomatik yanıt",
    "автоматический ответ", "автоответ", "автоматична відповідь", "αυτόματη απάντηση", "自动答复", "自动回复",
    "自動回覆", "自動応答", "不在通知", "자동 회신", "부재 중", "תשובה אוטומטית", "رد تلقائي", "vacation reply",
    "vacation", "răspuns automat", "balasan otomatis", "trả lời tự động", "samodejni odgovor",
    "automatski odgovor", "automaatvastus",
)  # fmt: skip


def _alternatives(words: tuple[str, ...]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_PREFIXES_MAX = 20
_SIGN = re.compile(
    rf"\s*+(?>(?:\[[^\]]{{0,60}}\]\s*+){{0,5}})(?:(?P<AWAY>{_alternatives(_AWAY)})"
    rf"|(?:(?P<FORWARD>{_alternatives(_FORWARD)})|(?P<REPLY>{_alternatives(_REPLY)}))"
    r"(?:\s?(?:[\[(^]\d{1,3}[\])]?|\d{1,3}))?\s?[:：])",
    re.IGNORECASE,
)


def prefix_end(subject: str) -> int:
    """Where the subject itself begins, behind `Re:` and its like; tags before them belong to what stands in front."""
    position = 0
    for _ in range(_PREFIXES_MAX):
        match = _SIGN.match(subject, position)
        if match is None or match.lastgroup == "AWAY":
            break
        position = match.end()
    return position + len(subject[position:]) - len(subject[position:].lstrip()) if position else 0


def subject_sign(subject: str) -> SubjectSign | None:
    """What the subject begins with, tags in square brackets left aside; None for an ordinary one."""
    match = _SIGN.match(subject)
    return SubjectSign[match.lastgroup] if match and match.lastgroup else None


def has_tag(subject: str, tag: str) -> bool:
    """Whether a tag stands in the subject, wherever replies and forwards have moved it; not as a part of a word."""
    tag, subject = (" ".join(text.split()).casefold() for text in (tag, subject))
    start = subject.find(tag)
    while start >= 0:
        end = start + len(tag)
        begins_word = start and tag[:1].isalnum() and subject[start - 1].isalnum()
        ends_word = tag[-1:].isalnum() and subject[end : end + 1].isalnum()
        if not begins_word and not ends_word:
            return True
        start = subject.find(tag, start + 1)
    return False
