"""The organisation's templates, compiled: what stamping renders, and what checking asks about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError

from mta.config.problems import ConfigurationError, Problem
from mta.ports.directory import DirectoryDownError
from mta.relay.stamp.templates.banners import Campaigns
from mta.relay.stamp.templates.check import check_organisation, check_templates, known_values, template_usages
from mta.relay.stamp.templates.files import TemplateFiles, TemplateFolder, read_folder
from mta.relay.stamp.templates.filters.links import campaign_parameters
from mta.relay.stamp.templates.filters.registry import load_libraries
from mta.relay.stamp.templates.html.css import style_of
from mta.relay.stamp.templates.html.source import PreparedHtml, prepare_html
from mta.relay.stamp.templates.regions import RegionSettings
from mta.relay.stamp.templates.rendering import NAME, PictureSource, Rendering
from mta.relay.stamp.templates.sandbox import TemplateEnvironment
from mta.relay.stamp.templates.sources import Sources
from mta.relay.stamp.templates.values import Missing
from mta.relay.stamp.templates.variables import CONTEXT, RECORDS, Usage, Use, examine, with_files

_OF_EXPRESSIONS = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError
)  # fmt: skip


class RenderError(Exception):
    """A template could not be rendered; the text names it and says where and why, without any value."""


@dataclass(frozen=True, slots=True)
class SignatureTemplate:
    """One template, ready to render. Its HTML calls `pictures` by `"cid:…"`, in double quotes."""

    name: str
    html: Template | None
    text: Template | None
    missing: Missing
    pictures: tuple[PictureSource, ...]
    context: frozenset[str] = CONTEXT
    """Names that it uses of `variables.CONTEXT`."""
    subject: Template | None = None
    campaigns: Campaigns | None = None
    region: RegionSettings = field(default_factory=RegionSettings)
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the filter `link` adds."""
    named: Mapping[str, PictureSource] = field(default_factory=dict)
    """`pictures` by cid and by file name."""
    sources: Sources = field(default_factory=Sources, repr=False)
    rendered: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)
    """Renderings kept by `render`, per sender and rule, where nothing of a single message goes into them."""

    def render_html(self, values: Mapping[str, Any], rendering: Rendering) -> str:
        """The HTML with "\\n" line ends; "" if there is no HTML. Raises RenderError."""
        return self._render(self.html, values, rendering)

    def render_text(self, values: Mapping[str, Any], rendering: Rendering) -> str:
        """The text with "\\n" line ends; "" if there is none. Raises RenderError."""
        return self._render(self.text, values, rendering)

    def render_subject(self, values: Mapping[str, Any], rendering: Rendering) -> str:
        """The subject of a mail; "" if the template has none. Raises RenderError."""
        return self._render(self.subject, values, rendering)

    def _render(self, template: Template | None, values: Mapping[str, Any], rendering: Rendering) -> str:
        if template is None:
            return ""
        try:
            return template.render(values, **{NAME: rendering})
        except TemplateError as exc:
            raise RenderError(f"{self._place(template, exc)}: {exc.message or type(exc).__name__}") from exc
        except _OF_EXPRESSIONS as exc:
            # The sandbox passes on what the template's own operations raise; their texts may hold values.
            raise RenderError(f"{self._place(template, exc)}: {type(exc).__name__}") from exc
        except DirectoryDownError as exc:
            raise RenderError(f"{self._place(template, exc)}: the directory gives no answer") from exc

    def _place(self, template: Template, error: BaseException) -> str:
        """File and line in which the error arose."""
        place = (template.name or self.name, 0)
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            if file in self.sources.sources:
                place = (file, self.sources.line(file, trace.tb_lineno))
            trace = trace.tb_next
        return f"{place[0]}:{place[1]}" if place[1] else place[0]


class TemplateSet:
    """All templates of an organisation; immutable."""

    def __init__(self, templates: Mapping[str, SignatureTemplate], usages: Mapping[str, Sequence[Usage]]) -> None:
        self._templates = dict(templates)
        self._uses = {
            name: tuple(sorted({use for usage in found for use in usage.uses})) for name, found in usages.items()
        }
        self._context = {
            name: frozenset(word for usage in found for word in usage.names) for name, found in usages.items()
        }

    def names(self) -> frozenset[str]:
        """Names that rules may use."""
        return frozenset(self._templates)

    def template(self, name: str) -> SignatureTemplate:
        """Raises KeyError."""
        return self._templates[name]

    def uses_recipient(self, name: str) -> bool:
        """Whether the template speaks of the recipient, included files considered. Raises KeyError."""
        return "recipient" in self._context[name]

    def speaks_of_records(self, name: str) -> bool:
        """Whether only notices of tracking can be made of it. Raises KeyError."""
        return not self._context[name].isdisjoint(RECORDS)

    def has_subject(self, name: str) -> bool:
        """Whether a mail can be written from the template that has a subject of its own. Raises KeyError."""
        return self._templates[name].subject is not None

    def variables(self, name: str) -> frozenset[str]:
        """Values that the template reads, e.g. {"sender.title"}, as far as its text tells. Raises KeyError.

        `sender.photo` stands for the photo, which is no attribute.
        """
        return frozenset(use.value for use in self._uses[name])

    def uses(self, name: str) -> tuple[Use, ...]:
        """The same with the files (relative to the templates folder) and lines where they stand. Raises KeyError."""
        return self._uses[name]

    def __len__(self) -> int:
        return len(self._templates)


def load_templates(
    folder: Path,
    attributes: Collection[str] | None = None,
    organisation: Mapping[str, str] | Collection[str] | None = None,
) -> TemplateSet:
    """Read, check and compile the templates under `folder`.

    `attributes` are the directory's attribute names, `organisation` those of the organisation, perhaps with their
    values; None where they are not known and so not checked. Raises ConfigurationError with every problem of all
    templates.
    """
    files = read_folder(folder)
    environment = TemplateEnvironment(Sources())
    usages = {name: examine(environment, name, source) for name, source in files.sources.items()}
    prepared = _prepared(files, usages)
    known = known_values(attributes, organisation)
    problems = [*files.problems, *check_templates(files, usages, prepared, known), *check_organisation(organisation)]
    sources = Sources(
        {**files.sources, **{name: html.source for name, html in prepared.items()}},
        {name: html.lines for name, html in prepared.items()},
    )
    environment.loader = sources
    own = {template.name: template_usages(usages, template) for template in files.templates}
    templates: dict[str, SignatureTemplate] = {}
    for template in () if problems else files.templates:
        templates[template.name] = _compile(environment, files, template, own[template.name], problems)
    if problems:
        raise ConfigurationError(sorted(set(problems)))
    locales = {template.settings.locale for template in files.templates}
    locales.add(organisation.get("locale", "") if isinstance(organisation, Mapping) else "")
    load_libraries({name for found in own.values() for usage in found for name in usage.filters}, locales)
    return TemplateSet(templates, own)


def _prepared(files: TemplateFiles, usages: Mapping[str, Usage]) -> dict[str, PreparedHtml]:
    """The HTML sources as they are compiled: with pictures of their own folder, and CSS of files they build upon."""
    pictures = {f"{template.name}/": template.pictures for template in files.templates}
    sources = [name for name in files.sources if name.endswith(".html.j2") and not usages[name].troubles]
    styles = {name: style_of(files.sources[name]) for name in sources}
    return {
        name: prepare_html(
            files.sources[name],
            pictures.get(f"{name.partition('/')[0]}/", ()),
            "\n".join(styles.get(other.file, "") for other in with_files(usages, name) if other.file != name),
        )
        for name in sources
    }


def _compile(
    environment: TemplateEnvironment,
    files: TemplateFiles,
    folder: TemplateFolder,
    usages: Sequence[Usage],
    problems: list[Problem],
) -> SignatureTemplate:
    """Compile the template and everything it includes, so that no message has to wait for it."""
    sources = environment.loader
    assert isinstance(sources, Sources)
    compiled: dict[str, Template] = {}
    for name in (usage.file for usage in usages):
        try:
            compiled[name] = environment.get_template(name)
        except TemplateSyntaxError as exc:
            what = exc.message or "not a template"
            file = exc.name or name
            line = sources.line(file, exc.lineno)
            problems.append(Problem(files.path(file), line, 0, what, "check data-line elements"))
    settings = folder.settings
    pictures = (*folder.pictures, *folder.banners)
    return SignatureTemplate(
        folder.name,
        compiled.get(folder.html),
        compiled.get(folder.text),
        folder.missing,
        pictures,
        frozenset(name for usage in usages for name in usage.names),
        compiled.get(folder.subject),
        Campaigns.of(settings.banners, folder.banners, settings.rotate) if settings.banners else None,
        RegionSettings(settings.locale, settings.timezone, settings.country),
        campaign_parameters(settings.campaign.model_dump()),
        {name: picture for picture in pictures for name in (picture.filename, picture.cid) if name},
        sources,
    )
