"""Text in ASCII letters, for bodies whose charset nobody knows: others would not be read there as they are meant.

As CLDR's transform Latin-ASCII has it: letters without their marks, ligatures as two letters, plain quotes and dashes.
"""

from __future__ import annotations

import re
import unicodedata

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
WRITTEN = str.maketrans({
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D",
    "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "ł": "l", "Ł": "L", "ħ": "h", "Ħ": "H", "ı": "i", "ŋ": "n", "Ŋ": "N",
    "‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "«": "<<", "»": ">>", "‹": "<", "›": ">",
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "•": "*", "·": "-", "∙": "-", "●": "*",
    "▪": "*", "…": "...", "€": "EUR", "£": "GBP", "¥": "JPY", "©": "(c)", "®": "(R)", "™": "(TM)", "→": "->",
    "←": "<-", "⇒": "=>", "×": "x", "│": "|", "─": "-", "|": "|", "§": "Sec.", "°": "deg",
})  # fmt: skip


def in_ascii(text: str) -> str | None:
    """The text in ASCII; None where it has letters or digits that no ASCII letter stands for. Other signs vanish."""
    written = unicodedata.normalize("NFKD", text.translate(WRITTEN))
    if any(char.isalnum() for run in _NOT_ASCII.findall(written) for char in run):
        return None
    return _NOT_ASCII.sub("", written)
