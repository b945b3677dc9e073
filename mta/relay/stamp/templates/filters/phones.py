"""Telephone numbers in templates: written for readers at home and abroad, and for links."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from jinja2 import TemplateRuntimeError, pass_context
from jinja2.runtime import Context

from mta.relay.stamp.templates.rendering import rendering_of

STYLES = ("international", "national", "rfc3966", "e164")
_NUMBER_MAX = 100
_EXTENSION = re.compile(r"\s*(?:ext\.?|x|durchwahl)\s*(?=\d)", re.IGNORECASE)
_TRUNK_ZERO = re.compile(r"\(0\)")


def tel(value: Any) -> str:
    """A telephone number for a `tel:` link: `+44 (0)20 7946-0001 ext. 5` gives `+442079460001`."""
    number = _TRUNK_ZERO.sub("", _EXTENSION.split(str(value), maxsplit=1)[0])
    return ("+" if number.strip().startswith("+") else "") + re.sub(r"[^0-9]", "", number)


@pass_context
def phone(context: Context, value: Any, style: str = "international", country: Any = "") -> str:
    """The number in a style of `STYLES`; what can't be one is printed as it is, as a link by its digits alone.

    `country` is where a number without a country code belongs to; else the template's or the organisation's.
    """
    if style not in STYLES:
        raise TemplateRuntimeError(f"phone: no style {style!r}")
    text = str(value)
    region = str(country).strip().upper() or rendering_of(context).region.country
    written = _written(text, style, region) if len(text) <= _NUMBER_MAX else None
    if written is not None:
        return written
    if style == "rfc3966":
        digits = tel(text)
        return f"tel:{digits}" if digits.strip("+") else ""
    return text


@lru_cache(maxsize=4096)
def _written(text: str, style: str, country: str) -> str | None:
    import phonenumbers

    formats = {
        "international": phonenumbers.PhoneNumberFormat.INTERNATIONAL,
        "national": phonenumbers.PhoneNumberFormat.NATIONAL,
        "rfc3966": phonenumbers.PhoneNumberFormat.RFC3966,
        "e164": phonenumbers.PhoneNumberFormat.E164,
    }
    try:
        # "+44 (0)20 …" holds the trunk prefix that is dialled inside the country only.
        number = phonenumbers.parse(_TRUNK_ZERO.sub("", text), country or None)
    except phonenumbers.NumberParseException:
        return None
    # A number that can be dialled from nearby only, such as an extension, belongs to no country.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, formats[style])
