"""The organisation's templates, compiled: what stamping renders, and what checking asks about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Template, TemplateError, TemplateSyntaxError

from mta.config.problems import ConfigurationError, Problem
from mta.relay.stamp.check_templates import check_templates, known_values, template_usages
from mta.relay.stamp.html_source import prepare_html
from mta.relay.stamp.sandbox import BUDGET, Budget, TemplateEnvironment
from mta.relay.stamp.template_files import PictureSource, TemplateFiles, TemplateFolder, read_folder
from mta.relay.stamp.values import Missing
from mta.relay.stamp.variables import CONTEXT, Usage, Use, examine

_OF_EXPRESSIONS = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError
)  # fmt: skip


class RenderError(Exception):
    """A template could not be rendered; the text names it and says why, without any value."""


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
    rendered: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Renderings kept by `render`, per sender, where nothing of a single message goes into them."""

    def render_html(self, values: Mapping[str, Any]) -> str:
        """The HTML with "\\n" line ends; "" if there is no HTML. Raises RenderError."""
        return self._render(self.html, values)

    def render_text(self, values: Mapping[str, Any]) -> str:
        """The text with "\\n" line ends; "" if there is none. Raises RenderError."""
        return self._render(self.text, values)

    def _render(self, template: Template | None, values: Mapping[str, Any]) -> str:
        if template is None:
            return ""
        try:
            return template.render(values, **{BUDGET: Budget()})
        except TemplateError as exc:
            raise RenderError(f"{template.name}: {exc.message or type(exc).__name__}") from exc
        except _OF_EXPRESSIONS as exc:
            # The sandbox passes on what the template's own operations raise; their texts may hold values.
            raise RenderError(f"{template.name}: {type(exc).__name__}") from exc


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

    def variables(self, name: str) -> frozenset[str]:
        """Values that the template reads, e.g. {"sender.title"}, as far as its text tells. Raises KeyError."""
        return frozenset(use.value for use in self._uses[name])

    def uses(self, name: str) -> tuple[Use, ...]:
        """The same with the files (relative to the templates folder) and lines where they stand. Raises KeyError."""
        return self._uses[name]

    def __len__(self) -> int:
        return len(self._templates)


def load_templates(
    folder: Path,
    attributes: Collection[str] | None = None,
    organisation: Collection[str] | None = None,
) -> TemplateSet:
    """Read, check and compile the templates under `folder`.

    `attributes` are the directory's attribute names, `organisation` those of the organisation; None where they are not
    known and so not checked. Raises ConfigurationError with every problem of all templates.
    """
    files = read_folder(folder)
    environment = TemplateEnvironment(DictLoader({}))
    usages = {name: examine(environment, name, source) for name, source in files.sources.items()}
    pictures = {template.html: template.pictures for template in files.templates}
    prepared = {
        name: prepare_html(source, pictures.get(name, ()))
        for name, source in files.sources.items()
        if name.endswith(".html.j2") and not usages[name].troubles
    }
    problems = [*files.problems, *check_templates(files, usages, prepared, known_values(attributes, organisation))]
    environment.loader = DictLoader({**files.sources, **{name: html.source for name, html in prepared.items()}})
    own = {template.name: template_usages(usages, template) for template in files.templates}
    templates: dict[str, SignatureTemplate] = {}
    for template in () if problems else files.templates:
        templates[template.name] = _compile(environment, files, template, own[template.name], problems)
    if problems:
        raise ConfigurationError(sorted(set(problems)))
    return TemplateSet(templates, own)


def _compile(
    environment: TemplateEnvironment,
    files: TemplateFiles,
    folder: TemplateFolder,
    usages: Sequence[Usage],
    problems: list[Problem],
) -> SignatureTemplate:
    """Compile the template and everything it includes, so that no message has to wait for it."""
    compiled: dict[str, Template] = {}
    for name in (usage.file for usage in usages):
        try:
            compiled[name] = environment.get_template(name)
        except TemplateSyntaxError as exc:
            what = exc.message or "not a template"
            problems.append(Problem(files.path(exc.name or name), exc.lineno, 0, what, "check data-line elements"))
    return SignatureTemplate(
        folder.name,
        compiled.get(folder.html),
        compiled.get(folder.text),
        folder.missing,
        folder.pictures,
        frozenset(name for usage in usages for name in usage.names),
    )
