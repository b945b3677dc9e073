"""Everything that a message is processed under, read and validated together: whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from mta.config.load import examine_configuration
from mta.config.problems import ConfigurationError, Problem
from mta.config.schema import Configuration
from mta.config.yaml_values import read_document
from mta.ports.directory import Directory
from mta.relay.decide import OrganisationFacts, Policy, RuleSet, Surroundings, load_rules
from mta.relay.deliver.routing import RoutingTable
from mta.relay.sign import DkimKeyError, Signer
from mta.relay.stamp.templates import TemplateSet, load_templates

T = TypeVar("T")
OpenDirectory = Callable[[Path], Directory]
"""Opens the directory adapter; stages don't know adapters, so the program around them gives it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the configuration; messages name it in their log lines."""

    name: str
    """Time of the latest change and a hash of the content: equal content has one name in every process."""
    configuration: Configuration
    rules: RuleSet
    templates: TemplateSet
    directory: Directory
    signer: Signer
    mark_keys: tuple[bytes, ...]
    """The first makes marks, all check them."""
    organisation: OrganisationFacts
    policy: Policy


def load_snapshot(path: Path, open_directory: OpenDirectory) -> Snapshot:
    """Read configuration, directory, templates and rules. Raises ConfigurationError with all problems of all."""
    loading = _Loading()
    try:
        located, problems = examine_configuration(path)
    except ConfigurationError as exc:
        # What the file names is looked at all the same, as far as it can be told, so that one run shows everything.
        raise ConfigurationError([*exc.problems, *_problems_around(path, open_directory)]) from exc
    loading.problems += problems
    configuration = located.value
    organisation = configuration.organisation
    rules, templates, directory = _content(
        loading, organisation.rules, organisation.templates, organisation.directory.file, open_directory, configuration
    )
    signer = loading.attempt(lambda: _signer(located.file, configuration)) if not problems else None
    if loading.problems or rules is None or templates is None or directory is None or signer is None:
        raise ConfigurationError(_in_order(loading.problems))
    return Snapshot(
        _name(path, configuration),
        configuration,
        rules,
        templates,
        directory,
        signer,
        tuple(secret.read() for secret in organisation.mark.keys),
        OrganisationFacts.of(organisation.name, organisation.accepted_domains, organisation.attributes),
        Policy(RoutingTable(configuration.routing).next_hop, configuration.max_variants),
    )


class _Loading:
    """Collects the problems of several attempts."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def attempt(self, load: Callable[[], T]) -> T | None:
        try:
            return load()
        except ConfigurationError as exc:
            self.problems += exc.problems
            return None


def _content(
    loading: _Loading,
    rules: Path,
    templates: Path,
    people: Path,
    open_directory: OpenDirectory,
    configuration: Configuration | None,
) -> tuple[RuleSet | None, TemplateSet | None, Directory | None]:
    """Directory, then templates, then rules: each is checked against those before it, where these could be read."""
    directory = loading.attempt(lambda: open_directory(people)) if people.is_file() else None
    attributes = directory.attribute_names() if directory is not None else None
    own = configuration.organisation.attributes if configuration is not None else None
    template_set = loading.attempt(lambda: load_templates(templates, attributes, own)) if templates.is_dir() else None
    hops = configuration.next_hops if configuration is not None else None
    surroundings = Surroundings(
        template_set,
        directory.group_names() if directory is not None else None,
        frozenset(hop.name for hop in hops) if hops is not None else None,
        attributes,
        own,
    )
    rule_set = loading.attempt(lambda: load_rules(rules, surroundings)) if rules.is_dir() else None
    return rule_set, template_set, directory


def _problems_around(path: Path, open_directory: OpenDirectory) -> list[Problem]:
    """Problems of the rules, templates and people that a configuration names which doesn't fit the schema."""
    loading = _Loading()
    try:
        organisation = read_document(path).value["organisation"]
        base = path.absolute().parent
        rules, templates = base / organisation["rules"], base / organisation["templates"]
        people = base / organisation["directory"]["file"]
    except (ConfigurationError, KeyError, TypeError):
        return []
    _content(loading, rules, templates, people, open_directory, None)
    return _in_order(loading.problems)


def _in_order(problems: list[Problem]) -> list[Problem]:
    """By file, in the order in which the files were read; by place within each; nothing twice."""
    files = list(dict.fromkeys(problem.file for problem in problems))
    return sorted(
        dict.fromkeys(problems), key=lambda problem: (files.index(problem.file), problem.line, problem.column)
    )


def _signer(path: Path, configuration: Configuration) -> Signer:
    try:
        return Signer.from_config(configuration.organisation.dkim)
    except DkimKeyError as exc:
        raise ConfigurationError([Problem(path, 0, 0, str(exc), "make a key with: openssl genrsa 2048")]) from exc


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
    organisation = configuration.organisation
    yield path
    yield organisation.directory.file
    for folder in (organisation.rules, organisation.templates):
        yield from sorted(file for file in folder.rglob("*") if file.is_file())
