"""Charsets: which codec a label means, and decoding that loses nothing whatever the label says."""

from __future__ import annotations

import re
from encodings.aliases import aliases
from functools import lru_cache
from typing import Literal, NamedTuple

Family = Literal["ascii", "single", "utf-8", "multi", "iso-2022-jp", "stateful", "wide"]


class Codec(NamedTuple):
    """`decoding` may know more than the label promises (cp949 for euc-kr); `encoding` never does."""

    decoding: str
    encoding: str
    family: Family


class Decoded(NamedTuple):
    """A body's text and what is known about its octets.

    Octets that the codec can't decode stand as lone surrogates (PEP 383), so that nothing is lost.
    """

    text: str
    codec: Codec
    is_declared: bool
    """The codec is the declared one; else it was guessed from the octets."""
    is_faithful: bool
    """Every octet was decoded."""


ASCII = Codec("ascii", "ascii", "ascii")
UTF_8 = Codec("utf_8", "utf_8", "utf-8")
_GUESS = Codec("cp1252", "ascii", "single")  # what is only guessed gets ASCII added, nothing else
_OPAQUE = Codec("latin_1", "ascii", "single")

# Labels met in real mail that Python doesn't know.
_ALIASES = {
    "x_sjis": "cp932", "x_ms_cp932": "cp932", "windows_31j": "cp932", "cp_932": "cp932", "ms_kanji": "cp932",
    "ks_c_5601_1989": "cp949", "ks_c_5601": "cp949", "ksc5601": "cp949", "windows_949": "cp949",
    "x_windows_949": "cp949",
    "x_gbk": "gbk", "x_euc_tw": "", "x_euc_cn": "gb2312", "x_euc_jp": "euc_jp", "x_euc_kr": "euc_kr",
    "x_big5": "big5", "big5_eten": "big5", "cn_big5": "big5", "cn_gb": "gb2312", "cn_gb_isoir165": "gb2312",
    "iso_8859_8_i": "iso8859_8", "iso_8859_8_e": "iso8859_8", "windows_874": "cp874", "iso_8859_11": "iso8859_11",
    "unicode_1_1_utf_8": "utf_8", "utf8mb4": "utf_8", "x_utf_8": "utf_8", "unicode_1_1_utf_7": "utf_7",
    "x_unicode_2_0_utf_7": "utf_7", "unicode_2_0_utf_7": "utf_7", "x_unicode_2_0_utf_8": "utf_8",
    "iso_10646_ucs_2": "utf_16_be", "ucs_2": "utf_16_be", "unicode": "utf_16", "unicodefffe": "utf_16_be",
    "hz_gb_2312": "hz", "x_mac_roman": "mac_roman", "x_mac_cyrillic": "mac_cyrillic", "x_roman8": "hp_roman8",
    "ansi": "cp1252", "x_ansi": "cp1252", "x_cp1252": "cp1252", "x_cp1250": "cp1250", "x_cp1251": "cp1251",
    "win_1251": "cp1251", "win1251": "cp1251", "win_1252": "cp1252", "iso_2022_jp_ms": "iso2022_jp_ext",
    "cp50220": "iso2022_jp", "cp50221": "iso2022_jp_ext", "csiso2022jp": "iso2022_jp", "ascii7": "ascii",
    "x_user_defined": "", "koi8r": "koi8_r", "koi8u": "koi8_u", "koi8": "koi8_r",
    "iso_8859_1_windows": "cp1252", "iso8859": "latin_1", "iso_8859": "latin_1",
}  # fmt: skip

_NOT_TEXT = {
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "mbcs", "oem",
    "undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf_8_sig",
    # EBCDIC: no ASCII markup could be put in
    "cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140",
}  # fmt: skip
_KNOWN = (set(aliases.values()) | {"cp874", "cp720", "cp856", "cp1006", "koi8_u", "cp737", "hp_roman8"}) - _NOT_TEXT

# Writers mean the vendor's superset; readers decode by it (WHATWG Encoding). We add only what the label promises.
_SUPERSETS = {
    "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932", "big5": "big5hkscs",
    "iso2022_jp": "iso2022_jp_ext",
}  # fmt: skip
_MULTI = {
    "big5", "big5hkscs", "cp932", "cp949", "cp950", "euc_jp", "euc_jis_2004", "euc_jisx0213", "euc_kr", "gb18030",
    "gb2312", "gbk", "johab", "shift_jis", "shift_jis_2004", "shift_jisx0213",
}  # fmt: skip
_NO_WORD = re.compile(r"[^a-z0-9]+")
_LABEL_MAX = 100
_META_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s{0,5}=\s{0,5}[\"']?([\w.:\-]{1,40})", re.IGNORECASE)


def _family(name: str) -> Family:
    if name in ("ascii", "utf_8"):
        return "ascii" if name == "ascii" else "utf-8"
    if name.startswith("iso2022_jp"):
        return "iso-2022-jp"
    if name in ("utf_7", "hz", "iso2022_kr"):
        return "stateful"
    if name.startswith(("utf_16", "utf_32")):
        return "wide"
    return "multi" if name in _MULTI else "single"


def codec_for(label: str) -> Codec | None:
    """The codec that a charset label means, None for one that is unknown or not for text.

    Never asks the codec registry for names that it may not have: it would try to import them, and keep each for ever.
    """
    return _codec_for(label) if len(label) <= _LABEL_MAX else None


@lru_cache(maxsize=512)
def _codec_for(label: str) -> Codec | None:
    name = _NO_WORD.sub("_", label.lower()).strip("_")
    name = _ALIASES.get(name, name)
    name = aliases.get(name, name)
    if name not in _KNOWN:
        return None
    return Codec(_SUPERSETS.get(name, name), name, _family(name))


def decode(octets: bytes, label: str, *, is_html: bool = False) -> Decoded:
    """Decode a body by its charset label ("" for none), or by what its octets show where the label can't be true."""
    codec = codec_for(label) if label else ASCII
    if codec is None or codec.family == "ascii":
        return _guess(octets, is_html=is_html, is_declared=codec is not None)
    if codec.family == "wide":
        return _decode_wide(octets, codec)
    try:
        return _windows(octets, Decoded(octets.decode(codec.decoding), codec, True, True))
    except UnicodeDecodeError:
        pass
    try:
        return Decoded(octets.decode(codec.decoding, "surrogateescape"), codec, True, False)
    except UnicodeDecodeError:  # PEP 383 covers octets above 127 only; a broken escape sequence is below
        return Decoded(octets.decode("latin_1"), _OPAQUE, False, False)


def _guess(octets: bytes, *, is_html: bool, is_declared: bool) -> Decoded:
    if octets.isascii():
        return Decoded(octets.decode("ascii"), ASCII, is_declared, True)
    try:
        return Decoded(octets.decode("utf_8"), UTF_8, False, True)
    except UnicodeDecodeError:
        pass
    meta = _META_CHARSET.search(octets, 0, 2048) if is_html else None
    named = codec_for(meta[1].decode("ascii")) if meta else None
    codec = _GUESS
    if named is not None and named.family in ("single", "multi"):
        codec = Codec(named.decoding, "ascii", named.family)
    return Decoded(octets.decode(codec.decoding, "surrogateescape"), codec, False, False)


def _windows(octets: bytes, decoded: Decoded) -> Decoded:
    """What says ISO-8859-1 and has octets 0x80-0x9f is Windows-1252: every reader shows it so."""
    if decoded.codec.encoding != "latin_1" or not _C1.search(octets):
        return decoded
    codec = Codec("cp1252", "latin_1", "single")
    text = octets.decode("cp1252", "surrogateescape")
    return Decoded(text, codec, True, not _SURROGATE.search(text))


_C1 = re.compile(rb"[\x80-\x9f]")
_SURROGATE = re.compile("[\udc80-\udcff]")


def _decode_wide(octets: bytes, codec: Codec) -> Decoded:
    name = codec.decoding
    if b"\0" not in octets[:4096]:
        return _guess(octets, is_html=False, is_declared=False)  # no UTF-16 text of ours has no NUL: the label lies
    if name in ("utf_16", "utf_32"):
        name += _byte_order(octets)
    try:
        return Decoded(octets.decode(name), Codec(name, name, "wide"), True, True)
    except UnicodeDecodeError:
        return Decoded(octets.decode("latin_1"), _OPAQUE, False, False)


def _byte_order(octets: bytes) -> str:
    """By the byte order mark, else by where the NULs of ASCII characters stand; big-endian by default (RFC 2781)."""
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "_le" if octets.startswith(b"\xff\xfe") else "_be"
    return "_le" if octets[1:4096:2].count(0) > octets[0:4096:2].count(0) else "_be"
