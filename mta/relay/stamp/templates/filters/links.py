"""Values in links and styles: what they may be there, and the parameters by which a campaign is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

from jinja2 import TemplateRuntimeError, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from mta.relay.stamp.templates.rendering import rendering_of

PARAMETERS = ("source", "medium", "name", "content", "term", "id")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(?![0-9]{1,5}(?:[/?#]|\Z))", re.IGNORECASE)
_SCHEMES = frozenset(["http", "https", "mailto", "tel", "sip", "sips", "sms", "cid", "geo"])
_BEYOND_ADDRESS = re.compile(r"[^\w.!#$*+/=^`{|}~@-]")
_SPACES = re.compile(r"\s+")
_STYLE = re.compile(
    r"(?:[\w #.,%+-]|(?<![\w-])(?:rgb|hsl)a?\([\d\s.,%/]*\))*\Z", re.ASCII | re.IGNORECASE
)  # no quote, colon, semicolon, backslash or url()


def url(value: Any) -> str:
    """A web address for a link: `https://` is added where no scheme is; schemes that can run code give ""."""
    text = _SPACES.sub("%20", value.strip() if isinstance(value, str) else str(value).strip())
    found = _SCHEME.match(text)
    if found is None:
        bare = bool(text) and not text.startswith(("/", "#", "\\"))
        safe = f"https://{text}" if bare else ""
    else:
        safe = text if found[1].lower() in _SCHEMES else ""
    return Markup(safe) if isinstance(value, Markup) else safe  # noqa: S704 - as escaped as it came


def css(value: Any) -> str:
    """A value inside a style: words, numbers and colours; "" for anything that could end it or fetch something."""
    text = str(value)
    return text if _STYLE.match(text) else ""


def mailbox(value: Any) -> str:
    """An address for a `mailto:` link, to which it can't add a subject or further addresses."""
    return _BEYOND_ADDRESS.sub(lambda match: quote(match[0], safe=""), str(value))


def campaign_parameters(given: Mapping[str, str]) -> dict[str, str]:
    """`{"name": "spring"}` gives `{"utm_campaign": "spring"}`."""
    return {f"utm_{'campaign' if key == 'name' else key}": value for key, value in given.items() if value}


@pass_context
def link(context: Context, value: Any, **parameters: Any) -> str:
    """The web address with the campaign's parameters; those that it has already stay as they are."""
    for key in parameters.keys() - set(PARAMETERS):
        raise TemplateRuntimeError(f"link: no parameter {key!r}")
    own = campaign_parameters({key: str(given) for key, given in parameters.items()})
    return with_parameters(url(str(value)), {**rendering_of(context).campaign, **own})


def with_parameters(address: str, parameters: Mapping[str, str]) -> str:
    """The address with more parameters in its query; anything else in it stays as it is written."""
    if not parameters or not address.lower().startswith(("http://", "https://")):
        return address
    rest, hash_sign, fragment = address.partition("#")
    path, _, query = rest.partition("?")
    present = {unquote_plus(part.partition("=")[0]) for part in query.split("&")}
    added = [f"{key}={quote(text, safe='')}" for key, text in parameters.items() if key not in present]
    joined = "&".join(part for part in (query.rstrip("&"), *added) if part)
    return f"{path}?{joined}{hash_sign}{fragment}" if joined else address
