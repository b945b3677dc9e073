"""Which language a text is written in, by Compact Language Detector 2; it is loaded when a rule first asks."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from types import ModuleType

TEXT_MAX = 20_000
"""Characters that are looked at."""
_LETTERS_MIN = 20
"""Fewer letters are a greeting or a name, which could be of any language."""
_LETTER = re.compile(r"[^\W\d_]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]|[\ud800-\udfff]")
_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8})*\Z")
# Older or narrower codes than people write.
_SAME = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "nb": "no", "nn": "no"}
_UNKNOWN = "un"


@cache
def _detector() -> ModuleType:
    # Here, for it takes 8 MB that only rules about languages need.
    return import_module("pycld2")


def detect(text: str) -> str:
    """The language of most of the text, such as `de` or `zh-hant`; "" where it is too short or can't be told."""
    text = _CONTROL.sub(" ", text[:TEXT_MAX])
    if len(_LETTER.findall(text, 0, 400)) < _LETTERS_MIN and not _is_dense(text):
        return ""
    detector = _detector()
    try:
        is_reliable, _, found = detector.detect(text.encode(), isPlainText=True)
    except detector.error:
        return ""  # octets that it takes for no UTF-8; Python's idea of it is wider
    code = str(found[0][1]).lower()
    return common_tag(code) if is_reliable and code != _UNKNOWN else ""


def _is_dense(text: str) -> bool:
    """Scripts that say much in few characters: Chinese, Japanese, Korean."""
    return sum(character >= "\u3040" for character in text[:400] if character.isalpha()) >= _LETTERS_MIN // 4


def common_tag(tag: str) -> str:
    """A language tag in the form that rules and detector share."""
    primary, dash, rest = tag.strip().lower().replace("_", "-").partition("-")
    return _SAME.get(primary, primary) + dash + rest


def is_tag(text: str) -> bool:
    """Whether it looks like a language tag (RFC 5646)."""
    return _TAG.match(text.lower()) is not None


def is_of(language: str, wanted: str) -> bool:
    """Whether a language is the wanted one or a kind of it: `de-at` is of `de`."""
    return language == wanted or language.startswith(f"{wanted}-")
