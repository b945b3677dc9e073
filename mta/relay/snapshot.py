"""Everything that a message is processed under, read and validated together: whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mta.config.explain_errors import closest
from mta.config.load import Located, absolute, examine_configuration
from mta.config.problems import ConfigurationError, Problem
from mta.config.schema import Configuration, DirectorySettings, Organisation, QuoteSeparators
from mta.config.sentitems_schema import SentItemsSettings
from mta.config.tracking_schema import TrackingSettings
from mta.config.yaml_values import Loc, read_document
from mta.message.place.own_separators import marks_of, separator_errors
from mta.message.place.quote_marks import QuoteMarks
from mta.ports.directory import Directory
from mta.relay.book import Book
from mta.relay.decide import OrganisationFacts, Policy, Readers, RuleSet, Surroundings, load_rules
from mta.relay.deliver.routing import RoutingTable
from mta.relay.foreign_fields import token_field
from mta.relay.sign import DkimKeyError, Sealer, Signer
from mta.relay.stamp.readers import earlier_stamps, newest_texts
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from mta.relay.track import Tracking

T = TypeVar("T")
OpenDirectory = Callable[[DirectorySettings], Directory]
"""Opens the directory adapter; stages don't know adapters, so the program around them gives it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the configuration; messages name it in their log lines."""

    name: str
    """Time of the latest change and a hash of the content: equal content has one name in every process."""
    configuration: Configuration
    books: tuple[Book, ...]
    """One for each organisation, in the order of the configuration."""
    accepted_domains: frozenset[str]
    """Of all organisations, as domain keys."""
    _by_domain: dict[str, Book] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_domain = {domain: book for book in self.books for domain in book.organisation.accepted_domains}
        object.__setattr__(self, "_by_domain", by_domain)

    def book_of(self, domain: str) -> Book | None:
        """The organisation whose accepted domain this is (a domain key)."""
        return self._by_domain.get(domain)

    @property
    def rules(self) -> int:
        """How many rules there are in all."""
        return sum(len(book.rules) for book in self.books)

    @property
    def templates(self) -> int:
        """How many templates there are in all."""
        return sum(len(book.templates) for book in self.books)


def load_snapshot(path: Path, open_directory: OpenDirectory) -> Snapshot:
    """Read configuration, directories, templates and rules. Raises ConfigurationError with all problems of all."""
    loading = _Loading(open_directory)
    try:
        located, problems = examine_configuration(path)
    except ConfigurationError as exc:
        # What the file names is looked at all the same, as far as it can be told, so that one run shows everything.
        raise ConfigurationError([*exc.problems, *_problems_around(path, open_directory)]) from exc
    loading.problems += problems
    configuration = located.value
    books = [
        _book(loading, located, place, organisation, is_sound=not problems)
        for place, organisation in configuration.placed_organisations
    ]
    if loading.problems:
        raise ConfigurationError(_in_order(loading.problems))
    return Snapshot(
        _name(path, configuration),
        configuration,
        tuple(book for book in books if book is not None),
        configuration.accepted_domains,
    )


class _Loading:
    """Collects the problems of several attempts."""

    def __init__(self, open_directory: OpenDirectory) -> None:
        self.open_directory = open_directory
        self.problems: list[Problem] = []

    def attempt(self, load: Callable[[], T]) -> T | None:
        try:
            return load()
        except ConfigurationError as exc:
            self.problems += exc.problems
            return None


def _book(
    loading: _Loading, located: Located[Configuration], place: Loc, organisation: Organisation, *, is_sound: bool
) -> Book | None:
    configuration = located.value
    hops = frozenset(hop.name for hop in configuration.next_hops)
    rules, templates, directory = _content(
        loading, organisation.rules, organisation.templates, organisation.directory, organisation.attributes, hops,
        frozenset(key.selector for key in organisation.dkim),
        tuple(module.name for module in organisation.tracking.modules) if organisation.tracking is not None else (),
    )  # fmt: skip
    marks = loading.attempt(lambda: _quote_marks(located, place, organisation.quote_separators))
    if directory is not None and organisation.sent_items is not None:
        loading.problems += _unknown_groups(located, (*place, "sent_items"), organisation.sent_items, directory)
    if directory is not None and organisation.tracking is not None:
        loading.problems += _unknown_groups(located, (*place, "tracking"), organisation.tracking, directory)
    signing = loading.attempt(lambda: _signing(located.file, organisation)) if is_sound else None
    if rules is None or templates is None or directory is None or signing is None or marks is None:
        return None
    policy = Policy(
        RoutingTable(configuration.routing, configuration.next_hops).next_hop,
        configuration.max_variants,
        is_splitting=organisation.splitting == "on",
    )
    return Book(
        organisation,
        rules,
        templates,
        directory,
        *signing,
        tuple(secret.read() for secret in organisation.mark.keys),
        token_field(organisation.mark.token.read()) if organisation.mark.token is not None else b"",
        OrganisationFacts.of(organisation.name, organisation.accepted_domains, organisation.attributes),
        policy,
        {"name": organisation.name, **organisation.attributes},
        marks,
        Readers(
            lambda message, classification: newest_texts(message, classification, marks),
            lambda message: earlier_stamps(message, templates.names()),
        ),
        configuration.authserv_ids,
        Tracking.of(organisation.name, organisation.accepted_domains[0], organisation.tracking)
        if organisation.tracking is not None
        else None,
    )


def _content(
    loading: _Loading,
    rules: Path,
    templates: Path,
    directory_settings: DirectorySettings | None,
    values: dict[str, str] | None,
    next_hops: frozenset[str] | None,
    dkim_selectors: frozenset[str] | None,
    modules: tuple[str, ...] | None,
) -> tuple[RuleSet | None, TemplateSet | None, Directory | None]:
    """Directory, then templates, then rules: each is checked against those before it, where these could be read."""
    directory = None
    if directory_settings is not None and _is_there(directory_settings):
        directory = loading.attempt(lambda: loading.open_directory(directory_settings))
    attributes = directory.attribute_names() if directory is not None else None
    template_set = (
        loading.attempt(lambda: load_templates(templates, attributes, values)) if templates.is_dir() else None
    )
    groups = directory.group_names() if directory is not None else None
    surroundings = Surroundings(template_set, groups, next_hops, attributes, values, dkim_selectors, modules)
    rule_set = loading.attempt(lambda: load_rules(rules, surroundings)) if rules.is_dir() else None
    return rule_set, template_set, directory


def _is_there(settings: DirectorySettings) -> bool:
    """Whether it can be tried: a file that isn't there is a problem of the configuration, said there."""
    file = getattr(settings, "file", None)
    return file is None or file.is_file()


def _problems_around(path: Path, open_directory: OpenDirectory) -> list[Problem]:
    """Problems of the rules, templates and people that a configuration names which doesn't fit the schema."""
    loading = _Loading(open_directory)
    for organisation in _written_organisations(path):
        try:
            base = path.absolute().parent
            rules, templates = base / organisation["rules"], base / organisation["templates"]
            written = TypeAdapter[DirectorySettings](DirectorySettings).validate_python(organisation["directory"])
        except (KeyError, TypeError, ValidationError):
            continue
        _content(loading, rules, templates, absolute(written, base), None, None, None, None)
    return _in_order(loading.problems)


def _written_organisations(path: Path) -> Sequence[dict[str, Any]]:
    try:
        value = read_document(path).value
    except ConfigurationError:
        return []
    written = [value.get("organisation"), *(value.get("organisations") or ())] if isinstance(value, dict) else []
    return [organisation for organisation in written if isinstance(organisation, dict)]


def _in_order(problems: list[Problem]) -> list[Problem]:
    """By file, in the order in which the files were read; by place within each; nothing twice."""
    files = list(dict.fromkeys(problem.file for problem in problems))
    return sorted(
        dict.fromkeys(problems), key=lambda problem: (files.index(problem.file), problem.line, problem.column)
    )


def _unknown_groups(
    located: Located[Configuration], place: Loc, settings: SentItemsSettings | TrackingSettings, directory: Directory
) -> Iterator[Problem]:
    """Groups that they name and the directory, where it can list them, doesn't know."""
    known = directory.group_names()
    for loc, groups in settings.named_groups:
        for index, group in enumerate(groups):
            if known is not None and group.lower() not in known:
                what = f"the directory has no group {group!r}"
                yield located.problem((*place, *loc, index), what, closest(group, known))


def _quote_marks(located: Located[Configuration], place: Loc, own: QuoteSeparators) -> QuoteMarks:
    place = (*place, "quote_separators")
    errors = separator_errors(own.lines, own.patterns)
    problems = [located.problem((*place, *error.loc), str(error), error.mend) for error in errors]
    if problems:
        raise ConfigurationError(problems)
    return marks_of(own.lines, own.patterns)


def _signing(path: Path, organisation: Organisation) -> tuple[Signer, Sealer | None]:
    try:
        sealer = Sealer.from_config(organisation.arc) if organisation.arc is not None else None
        return Signer.from_config(organisation.dkim), sealer
    except DkimKeyError as exc:
        raise ConfigurationError([Problem(path, 0, 0, str(exc), "make a key with: stampline dkim new")]) from exc


def _name(path: Path, configuration: Configuration) -> str:
    digest = hashlib.sha256()
    latest = 0.0
    for file in _files(path, configuration):
        digest.update(
            b"%b\0%b\0" % (file.name.encode(errors="surrogateescape"), hashlib.sha256(file.read_bytes()).digest())
        )
        latest = max(latest, file.stat().st_mtime)
    return f"{datetime.fromtimestamp(latest, UTC):%Y%m%dT%H%M%SZ}-{digest.hexdigest()[:8]}"


def _files(path: Path, configuration: Configuration) -> Iterator[Path]:
    yield path
    for organisation in configuration.every_organisation:
        for name in ("file", "groups_file"):
            file = getattr(organisation.directory, name, None)
            if file is not None:
                yield file
        for folder in (organisation.rules, organisation.templates):
            yield from sorted(file for file in folder.rglob("*") if file.is_file())
