"""Pictures that a template makes for a person: QR codes and photos, shown by the address that the filters give."""

from __future__ import annotations

import hashlib
import io
import re
from functools import lru_cache
from typing import Any

from jinja2 import TemplateRuntimeError, pass_context
from jinja2.runtime import Context

from mta.message.attachments.signatures import by_signature
from mta.relay.stamp.templates.filters.vcards import VERSIONS, short_vcard
from mta.relay.stamp.templates.filters.vcards import vcard as vcard_of
from mta.relay.stamp.templates.rendering import PictureSource, Rendering, rendering_of
from mta.relay.stamp.templates.values import Values

PHOTO_MAX = 200_000
"""Octets; a larger photo is left out. Active Directory's `thumbnailPhoto` has at most 100 kB."""
QR_MAX = 1_000
"""Octets that a QR code may hold; with more, phones fail to read it from a screen."""
_QR_LEVELS = ("l", "m", "q", "h")
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}\Z")
_PHOTO_TYPES = {"image/png": "png", "image/jpeg": "jpg"}


def vcard(person: Any, version: str = "3.0") -> str:
    """The vCard of `sender`, `recipient` or `manager`."""
    if not isinstance(person, Values) or version not in VERSIONS:
        raise TemplateRuntimeError("vcard: made of sender, recipient or manager, in version 3.0 or 4.0")
    return vcard_of(person.peek, version)


@pass_context
def photo(context: Context, person: Any, instead: str = "") -> str:
    """The address for `src` of a person's photo; without one, of the picture `instead`, else ""."""
    if not isinstance(person, Values):
        raise TemplateRuntimeError("photo: made of sender, recipient or manager")
    rendering = rendering_of(context)
    data = person.photo()
    kind = photo_type(data)
    if kind is None:
        return _named(rendering, instead or person.missing.value(f"{person.name}.photo"))
    digest = hashlib.sha256(data).digest()
    cid = f"photo-{digest.hex()[:12]}"
    # Nobody needs the person's name in the file's.
    return rendering.add(PictureSource(cid, f"photo.{kind[1]}", kind[0], data, digest))


def photo_type(data: bytes) -> tuple[str, str] | None:
    """Media type and file extension of a photo that mail can carry, None for anything else."""
    if not 0 < len(data) <= PHOTO_MAX:
        return None
    content_type = by_signature(data)
    return (content_type, _PHOTO_TYPES[content_type]) if content_type in _PHOTO_TYPES else None


def _named(rendering: Rendering, name: str) -> str:
    if not name:
        return ""
    picture = rendering.named.get(name.removeprefix("cid:"))
    if picture is None:
        raise TemplateRuntimeError(f"photo: no picture {name!r}")
    return f"cid:{picture.cid}"


@pass_context
def qr(
    context: Context, value: Any, scale: int = 4, border: int = 4, dark: str = "#000", light: str = "#fff",
    level: str = "m",
) -> str:  # fmt: skip
    """The address for `src` of a QR code: of a text such as a web address, or of a person's vCard without places.

    `scale` is pixels for each module, `border` modules around it. "" for an empty text and for one too long.
    """
    if not (1 <= scale <= 10 and 0 <= border <= 10 and level in _QR_LEVELS):
        raise TemplateRuntimeError("qr: scale is 1 to 10, border 0 to 10, level l, m, q or h")
    if not (_COLOUR.match(dark) and _COLOUR.match(light)):
        raise TemplateRuntimeError("qr: colours are written #123456")
    content = short_vcard(value.peek) if isinstance(value, Values) else str(value)
    if not content or content.isspace() or len(content.encode("utf-8", "replace")) > QR_MAX:
        return ""
    data = _png(content, level, scale, border, dark, light)
    digest = hashlib.sha256(data).digest()
    cid = f"qr-{digest.hex()[:12]}"
    return rendering_of(context).add(PictureSource(cid, "qr.png", "image/png", data, digest))


@lru_cache(maxsize=2000)
def _png(content: str, level: str, scale: int, border: int, dark: str, light: str) -> bytes:
    """Kept, for making one takes longer than all else that is done with a message."""
    import segno

    code = segno.make(content, error=level, encoding="utf-8", micro=False, boost_error=False)
    out = io.BytesIO()
    code.save(out, kind="png", scale=scale, border=border, dark=dark, light=light)
    return out.getvalue()
