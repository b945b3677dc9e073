"""Where people and groups come from: the `directory` of an organisation."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from mta.config.types import Duration, Secret, Size, Strict

Count = Annotated[int, Field(ge=1)]


class YamlDirectory(Strict):
    """One YAML file."""

    kind: Literal["yaml"] = "yaml"
    file: Path


class CsvDirectory(Strict):
    """A table of people, and perhaps one of groups, as spreadsheets and HR systems write them."""

    kind: Literal["csv"]
    file: Path
    groups_file: Path | None = None
    columns: dict[str, str] = {}
    """Heading in the file → what we call it: an attribute, or address, aliases, groups and so on; "" leaves it out."""


class LdapServer(Strict):
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """None is 636 with `ldaps`, else 389."""


class LdapTls(Strict):
    mode: Literal["ldaps", "starttls", "none"] = "ldaps"
    ca_file: Path | None = None
    verify_name: str | None = None
    """The name that the certificates must carry, where it isn't the host's."""
    clear_text_password: bool = False
    """With mode none: the password may cross the network for everybody to read."""


class DirectoryCache(Strict):
    """What a worker remembers of the people it asked for."""

    ttl: Duration = timedelta(minutes=15)
    unknown_ttl: Duration = timedelta(minutes=5)
    """How long it is remembered that nobody has an address."""
    keep_stale: Duration = timedelta(days=7)
    """How long entries are used while no server answers."""
    entries: Count = 50_000
    memory: Size = 64_000_000
    wait: Duration = timedelta(seconds=2)
    """The longest that a message waits for answers."""


class LdapDirectory(Strict):
    """Active Directory, by LDAP."""

    kind: Literal["ldap"]
    servers: Annotated[tuple[LdapServer, ...], Field(min_length=1)]
    """The first that answers is used."""
    tls: LdapTls = LdapTls()
    bind_dn: str = ""
    """A distinguished name, or user@domain; empty asks anonymously."""
    password: Secret | None = None
    bases: tuple[str, ...] = ()
    """Where people, contacts and groups stand; empty is the server's whole domain."""
    filter: str = ""
    """RFC 4515; who doesn't fit is not known."""
    attributes: dict[str, str] = {}
    """Names for templates and rules → attributes of the server, besides those that every Active Directory has."""
    photo: Literal["thumbnailPhoto", "jpegPhoto", "none"] = "thumbnailPhoto"
    user_principal_name: bool = False
    """Whether it is an address of the person too."""
    page_size: Annotated[int, Field(ge=1, le=1000)] = 500
    connect_timeout: Duration = timedelta(seconds=5)
    answer_timeout: Duration = timedelta(seconds=10)
    retry_after: Duration = timedelta(seconds=30)
    """How long a server that failed is left alone while another one answers."""
    preload: bool = False
    """Read everybody at the start, in the background."""
    cache: DirectoryCache = DirectoryCache()


def _kind(value: Any) -> Any:
    return value.get("kind", "yaml") if isinstance(value, dict) else getattr(value, "kind", None)


DirectorySettings = Annotated[
    Annotated[YamlDirectory, Tag("yaml")] | Annotated[CsvDirectory, Tag("csv")] | Annotated[LdapDirectory, Tag("ldap")],
    Discriminator(_kind),
]
