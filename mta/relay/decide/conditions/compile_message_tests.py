"""Makes tests of the message as a whole of what a rule file says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path, PurePosixPath

from mta.config.clock_words import ScheduleError
from mta.config.explain_errors import closest
from mta.config.problems import ConfigurationError, Problem
from mta.config.texts import listed
from mta.config.yaml_values import Loc
from mta.message.patterns.text_patterns import PATTERN_MAX, Pattern, compile_keywords, compile_phrases
from mta.relay.decide import languages
from mta.relay.decide.conditions import attachment_tests, body_tests, message_properties, message_tests
from mta.relay.decide.conditions.compile_parties import CompileRegex, ReportProblem
from mta.relay.decide.conditions.condition import MessageTest
from mta.relay.decide.conditions.schema import (
    AttachmentTests,
    BodyTests,
    ClientTests,
    Conditions,
    DictionaryTests,
    HeaderTests,
    SubjectTests,
)
from mta.relay.decide.patterns.dictionaries import Dictionary, read_dictionary
from mta.relay.decide.schedule import compile_schedule
from mta.relay.decide.shapes import ActiveTimes
from mta.relay.decide.surroundings import Surroundings


class MessageTestCompiler:
    """Compiles message tests; problems are reported at their place, those of dictionaries go to `problems`."""

    def __init__(
        self, surroundings: Surroundings, problem: ReportProblem, regex: CompileRegex, problems: list[Problem]
    ) -> None:
        self._surroundings = surroundings
        self._problem = problem
        self._regex = regex
        self._problems = problems
        self._bodies = body_tests.BodyPatterns()
        self._dictionaries: dict[Path, Dictionary | None] = {}

    def tests(self, written: Conditions, folder: Path, loc: Loc) -> Iterator[MessageTest]:
        """In the order of an explanation. `folder` is that of the rule file, from which dictionaries are found."""
        if written.kind is not None:
            yield message_tests.kind(written.kind)
        if written.size is not None:
            yield message_tests.size(written.size)
        if written.subject is not None:
            yield from self._subject(written.subject, (*loc, "subject"))
        if written.header is not None:
            yield from self._header(written.header, (*loc, "header"))
        if written.attachments is not None:
            yield from self._attachments(written.attachments, (*loc, "attachments"))
        yield from self._properties(written, loc)
        if written.client is not None:
            yield from self._client(written.client, (*loc, "client"))
        if written.body is not None:
            yield from self._body(written.body, folder, (*loc, "body"))

    def _properties(self, written: Conditions, loc: Loc) -> Iterator[MessageTest]:
        if written.importance is not None:
            yield message_properties.importance(written.importance)
        if written.sensitivity is not None:
            yield message_properties.sensitivity(written.sensitivity)
        if written.classification is not None:
            yield message_properties.classification(written.classification)
        if written.scl is not None:
            yield message_properties.spam_level(written.scl)
        if written.recipients is not None:
            yield message_properties.recipient_count(written.recipients)
        if written.time is not None:
            yield from self._time(written.time, (*loc, "time"))
        if written.language is not None:
            self._check_languages(written.language, (*loc, "language"))
            yield body_tests.language(written.language)
        if written.charset is not None:
            yield body_tests.charset(written.charset)
        if written.stamped is not None:
            self._check_templates(written.stamped.template or (), (*loc, "stamped", "template"))
            yield body_tests.stamped(written.stamped.template)
        if written.security is not None:
            yield message_properties.security(written.security)
        if written.authentication is not None:
            yield from message_properties.authentication(written.authentication)

    # --- subject, header, body ----------------------------------------------------------------------------------------

    def _regexes(self, texts: Sequence[str] | None, loc: Loc) -> list[Pattern]:
        return [self._regex(text, (*loc, n)) for n, text in enumerate(texts or ())]

    def _sound(self, texts: Sequence[str] | None, loc: Loc) -> list[str]:
        """Those that can be looked for."""
        sound = []
        for n, text in enumerate(texts or ()):
            if not text.strip(" *?"):
                self._problem((*loc, n), f"{text!r} would match any text", "write the words to look for")
            elif len(text) > PATTERN_MAX:
                self._problem((*loc, n), f"longer than {PATTERN_MAX} characters", "look for a part of it")
            else:
                sound.append(text)
        return sound

    def _subject(self, written: SubjectTests, loc: Loc) -> Iterator[MessageTest]:
        if written.phrase is not None:
            yield message_tests.subject_phrase(self._sound(written.phrase, (*loc, "phrase")))
        if written.keywords is not None:
            yield message_tests.subject_keywords(self._sound(written.keywords, (*loc, "keywords")))
        if written.regex is not None:
            yield message_tests.subject_regex(written.regex, self._regexes(written.regex, (*loc, "regex")))
        if written.empty is not None:
            yield message_tests.subject_empty(empty=written.empty)

    def _attachments(self, written: AttachmentTests, loc: Loc) -> Iterator[MessageTest]:
        for asked in (written, written.every):
            if asked is not None and (missing := attachment_tests.missing_library(asked)):
                self._problem(loc, f"types of attachments can't be told: {missing}", "apt-get install libmagic1")
        return attachment_tests.attachments(written)

    def _header(self, written: HeaderTests, loc: Loc) -> Iterator[MessageTest]:
        if not message_tests.is_field_name(written.name):
            self._problem((*loc, "name"), f"{written.name!r} is no header name", "write a name such as X-Spam-Flag")
        sound = tuple(self._sound(written.contains, (*loc, "contains")))
        if written.contains is not None:
            written = written.model_copy(update={"contains": sound})
        yield message_tests.header(written, self._regexes(written.matches, (*loc, "matches")))

    def _body(self, written: BodyTests, folder: Path, loc: Loc) -> Iterator[MessageTest]:
        if written.empty is not None:
            yield body_tests.empty(written, expected=written.empty)
        for key, texts, compiled in (
            ("phrase", written.phrase, [compile_phrases(self._sound(written.phrase, (*loc, "phrase")))]),
            ("keywords", written.keywords, [compile_keywords(self._sound(written.keywords, (*loc, "keywords")))]),
            ("regex", written.regex, self._regexes(written.regex, (*loc, "regex"))),
        ):
            if texts is not None:
                yield self._bodies.test(f"{key}: {listed(texts)}", written, compiled)
        if written.dictionary is not None:
            dictionary = self._dictionary(written.dictionary, folder, (*loc, "dictionary", "file"))
            if dictionary is not None:
                yield body_tests.dictionary(written, dictionary, written.dictionary.over)

    def _dictionary(self, written: DictionaryTests, folder: Path, loc: Loc) -> Dictionary | None:
        parts = PurePosixPath(written.file).parts
        if len(parts) < 2 or written.file.startswith("/") or ".." in parts:
            self._problem(
                loc,
                f"{written.file!r} is no file in a folder below the rules",
                "put it into a folder there, and write dictionaries/words.yaml",
            )
            return None
        path = folder.joinpath(*parts)
        if path not in self._dictionaries:
            self._dictionaries[path] = None
            try:
                self._dictionaries[path] = read_dictionary(path, written.file)
            except ConfigurationError as exc:
                self._problems += exc.problems
        return self._dictionaries[path]

    # --- the rest -----------------------------------------------------------------------------------------------------

    def _time(self, written: ActiveTimes, loc: Loc) -> Iterator[MessageTest]:
        try:
            yield message_properties.time(compile_schedule(written, "time"))
        except ScheduleError as exc:
            self._problem((*loc, exc.key), str(exc), exc.mend)

    def _check_languages(self, tags: Sequence[str], loc: Loc) -> None:
        for n, tag in enumerate(tags):
            if not languages.is_tag(tag):
                self._problem((*loc, n), f"{tag!r} is no language", "write its code: de, en, zh-Hant")

    def _check_templates(self, names: Sequence[str], loc: Loc) -> None:
        templates = self._surroundings.templates
        for n, name in enumerate(names):
            if templates is not None and name not in templates.names():
                self._problem((*loc, n), f"there is no template {name!r}", closest(name, templates.names()))

    def _client(self, written: ClientTests, loc: Loc) -> Iterator[MessageTest]:
        if written.network is not None:
            yield self._network(written.network, (*loc, "network"))
        if written.listener is not None:
            yield message_properties.client_text(
                "listener", written.listener, lambda facts: facts.client.listener if facts.client else ""
            )
        if written.helo is not None:
            yield message_properties.client_text(
                "helo", written.helo, lambda facts: facts.client.helo if facts.client else ""
            )
        if written.tls is not None:
            yield message_properties.client_flag(
                "tls", lambda facts: facts.client.tls if facts.client else "", expected=written.tls
            )
        if written.authenticated is not None:
            yield message_properties.client_flag(
                "authenticated",
                lambda facts: facts.client.authenticated_as if facts.client else "",
                expected=written.authenticated,
            )
        if written.authenticated_as is not None:
            yield message_properties.client_text(
                "authenticated_as",
                written.authenticated_as,
                lambda facts: facts.client.authenticated_as if facts.client else "",
            )

    def _network(self, texts: Sequence[str], loc: Loc) -> MessageTest:
        networks = []
        for n, text in enumerate(texts):
            try:
                networks.append(ip_network(text))
            except ValueError as exc:
                self._problem((*loc, n), f"{text!r} is no network: {exc}", "write 10.0.0.0/8, or an address")
        return message_properties.client_network(texts, networks)
