"""What can be wrong with templates beyond their syntax: values, files and pictures that don't exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from mta.config.problems import Problem
from mta.relay.stamp.templates.banners import VALUES as BANNER_VALUES
from mta.relay.stamp.templates.files import SUBJECT, TemplateFiles, TemplateFolder
from mta.relay.stamp.templates.html.masks import Trouble
from mta.relay.stamp.templates.html.source import PreparedHtml
from mta.relay.stamp.templates.regions import region_troubles
from mta.relay.stamp.templates.variables import Usage, with_files

MESSAGE_VALUES = frozenset(("subject", "date", "from", "to", "cc", "message_id"))
PERSON_VALUES = frozenset(("address", "mail"))
PHOTO = "photo"
RECORD_VALUES = frozenset((
    "id", "number", "module", "label", "token", "title", "state", "requester", "owner", "source", "url", "created",
    "updated", "closed", "fields",
))  # fmt: skip
NOTE_VALUES = frozenset(("author", "author_name", "kind", "text", "lines", "attachments"))
DIGEST_VALUES = frozenset(("name", "total", "overdue", "shown", "records"))
MAILBOX_VALUES = frozenset(("name", "address", "reason", "detail", "mend", "failures"))
_PEOPLE = ("sender", "recipient", "manager")
Known = Mapping[str, Collection[str] | None]
"""Attributes by name of the context; None where every attribute is accepted."""


def known_values(attributes: Collection[str] | None, organisation: Collection[str] | None) -> Known:
    """Which attributes each name of the context has."""
    people = None if attributes is None else frozenset(attributes) | PERSON_VALUES
    own = None if organisation is None else frozenset(organisation) | {"name"}
    return {
        **dict.fromkeys(_PEOPLE, people),
        "organisation": own,
        "message": MESSAGE_VALUES,
        "rule": frozenset(("name",)),
        "banner": BANNER_VALUES,
        "record": RECORD_VALUES,
        "note": NOTE_VALUES,
        "digest": DIGEST_VALUES,
        "mailbox": MAILBOX_VALUES,
    }


def template_usages(usages: Mapping[str, Usage], template: TemplateFolder) -> list[Usage]:
    """The usage of a template's files, with what they include."""
    return [
        usage for name in (template.html, template.text, template.subject) if name for usage in with_files(usages, name)
    ]


def check_templates(
    files: TemplateFiles, usages: Mapping[str, Usage], prepared: Mapping[str, PreparedHtml], known: Known
) -> list[Problem]:
    """Every problem of the files and of the templates as a whole."""
    problems: list[Problem] = []
    subjects = {f"{template.name}/{SUBJECT}": template.located for template in files.templates}
    for name, usage in usages.items():
        troubles = [*usage.troubles, *_unknown_files(files, usage), *_unknown_values(usage, known)]
        if name in prepared:
            troubles += prepared[name].troubles
        located = subjects.get(name)
        if located is None:
            problems += _at(files.path(name), troubles)
        else:
            problems += (located.problem(("subject",), trouble.what, trouble.mend) for trouble in troubles)
    for template in files.templates:
        problems += _bad_keys(template, known)
        problems += _bad_region(template)
        problems += _lacking_defaults(files, template, template_usages(usages, template))
        problems += _unknown_pictures(files, template, usages, prepared)
    return problems


def _at(path: Path, troubles: Sequence[Trouble]) -> list[Problem]:
    return [Problem(path, trouble.line, 0, trouble.what, trouble.mend) for trouble in troubles]


def _unknown_files(files: TemplateFiles, usage: Usage) -> list[Trouble]:
    return [
        Trouble(line, f"no file {name!r}", "write its path from the templates folder")
        for name, line in usage.files.items()
        if name not in files.sources
    ]


def _unknown_values(usage: Usage, known: Known) -> list[Trouble]:
    return [
        Trouble(use.line, f"unknown value {use.value}", mend)
        for use in usage.uses
        if (mend := _unknown(use.value, known)) is not None
    ]


def _unknown(value: str, known: Known) -> str | None:
    """How to mend a value that doesn't exist; None for one that does."""
    name, _, attribute = value.partition(".")
    names = known.get(name)
    if names is None or attribute in names or (attribute == PHOTO and name in _PEOPLE):
        return None
    for other in names:
        if other.lower() == attribute.lower():
            return f"write {name}.{other}"
    return f"{name} has {', '.join(sorted(names))}"


def _bad_region(template: TemplateFolder) -> Iterator[Problem]:
    if template.located is None:
        return
    own = template.located.value
    given = {"locale": own.locale, "timezone": own.timezone, "country": own.country}
    for key, what, mend in region_troubles(given):
        yield template.located.problem((key,), what, mend)


def check_organisation(organisation: Collection[str] | Mapping[str, str] | None) -> list[Problem]:
    """What is wrong with the organisation's attributes that say for which region values are written."""
    if not isinstance(organisation, Mapping):
        return []
    return [
        Problem(Path("organisation"), 0, 0, f"attribute {key}: {what}", mend)
        for key, what, mend in region_troubles(organisation)
    ]


def _bad_keys(template: TemplateFolder, known: Known) -> Iterator[Problem]:
    if template.located is None:
        return
    for key in template.settings.defaults:
        if (mend := _unknown(key, known)) is not None:
            yield template.located.problem(("defaults", key), f"unknown value {key}", mend, key=True)
    for index, key in enumerate(template.settings.required):
        if (mend := _unknown(key, known)) is not None:
            yield template.located.problem(("required", index), f"unknown value {key}", mend)


def _lacking_defaults(files: TemplateFiles, template: TemplateFolder, own: Sequence[Usage]) -> Iterator[Problem]:
    if template.settings.on_missing != "default":
        return
    for use in (use for usage in own for use in usage.uses):
        if use.value.partition(".")[0] in _PEOPLE and use.value not in template.settings.defaults:
            mend = "add it to defaults in template.yaml, or choose on_missing: empty"
            what = f"{use.value} has no default in template {template.name}"
            yield Problem(files.path(use.file), use.line, 0, what, mend)


def _unknown_pictures(
    files: TemplateFiles, template: TemplateFolder, usages: Mapping[str, Usage], prepared: Mapping[str, PreparedHtml]
) -> Iterator[Problem]:
    known = {picture.cid for picture in (*template.pictures, *template.banners)}
    for usage in with_files(usages, template.html) if template.html else ():
        for cid in sorted(prepared[usage.file].cids - known) if usage.file in prepared else ():
            mend = "list its file under pictures in template.yaml"
            yield Problem(files.path(usage.file), 0, 0, f"no picture cid:{cid} in template {template.name}", mend)
