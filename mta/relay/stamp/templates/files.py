"""The files of the templates folder, read whole: sources, settings and pictures, with every problem found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mta.config.explain_errors import closest
from mta.config.load import Located, read_yaml
from mta.config.problems import ConfigurationError, Problem
from mta.relay.stamp.templates.pictures import NAME, read_banners, read_pictures
from mta.relay.stamp.templates.rendering import PictureSource
from mta.relay.stamp.templates.settings import Settings
from mta.relay.stamp.templates.values import KEY, Missing

HTML = "signature.html.j2"
TEXT = "signature.txt.j2"
SETTINGS = "template.yaml"
SUBJECT = f"{SETTINGS}: subject.txt.j2"
"""The subject's name among the sources; its ending says that it is text."""
_SOURCE_MAX = 500_000
_FILES_MAX = 5_000
_DEPTH_MAX = 8


@dataclass(frozen=True, slots=True)
class TemplateFolder:
    """One template as it stands on disk. `html`, `text` and `subject` are names of sources, "" where there is none."""

    name: str
    html: str
    text: str
    located: Located[Settings] | None
    """None where there is no `template.yaml`."""
    pictures: tuple[PictureSource, ...]
    banners: tuple[PictureSource, ...] = ()
    """One for each of the settings' `banners`."""
    settings: Settings = field(default_factory=Settings)
    subject: str = ""

    @property
    def missing(self) -> Missing:
        return Missing(self.settings.defaults, frozenset(self.settings.required), self.settings.on_missing == "error")

    def over(self, extended: TemplateFolder) -> TemplateFolder:
        """With what `extended` has and this folder hasn't."""
        own = {name for picture in self.pictures for name in (picture.cid, picture.filename)}
        inherited = (picture for picture in extended.pictures if not {picture.cid, picture.filename} & own)
        has_banners = self.located is not None and "banners" in self.located.value.model_fields_set
        return replace(
            self,
            html=self.html or extended.html,
            text=self.text or extended.text,
            pictures=(*inherited, *self.pictures),
            banners=self.banners if has_banners else extended.banners,
            settings=self.settings.over(extended.settings),
            subject=self.subject or extended.subject,
        )


@dataclass(frozen=True, slots=True)
class TemplateFiles:
    """The folder: `sources` by name relative to it, with forward slashes."""

    folder: Path
    sources: Mapping[str, str]
    templates: tuple[TemplateFolder, ...]
    problems: tuple[Problem, ...]

    def path(self, name: str) -> Path:
        return self.folder / name.removesuffix(": subject.txt.j2")


def read_folder(folder: Path) -> TemplateFiles:
    """Read all templates under `folder`. A folder whose name begins with `_` holds only parts to include.

    Raises ConfigurationError if the folder itself can't be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as exc:
        what = f"the templates folder can't be read: {exc.strerror}"
        raise ConfigurationError([Problem(folder, 0, 0, what, "name an existing folder")]) from exc
    problems: list[Problem] = []
    sources = _read_sources(folder, problems)
    read = {
        entry.name: template
        for entry in entries
        if entry.is_dir() and not entry.name.startswith(("_", "."))
        if (template := _read_template(entry, sources, problems)) is not None
    }
    templates = tuple(_resolved(read, template, problems) for template in read.values())
    problems += (_empty(folder / template.name) for template in templates if _is_empty(folder, template))
    return TemplateFiles(folder, sources, templates, tuple(problems))


def _is_empty(folder: Path, template: TemplateFolder) -> bool:
    """Whether there is nothing to say, and not because its files are bad."""
    if template.html or template.text or template.settings.extends:
        return False
    return not any((folder / template.name / file).exists() for file in (HTML, TEXT))


def _empty(path: Path) -> Problem:
    mend = f"write {HTML} or {TEXT}, or begin the folder's name with _"
    return Problem(path, 0, 0, "no template in this folder", mend)


def _read_sources(folder: Path, problems: list[Problem]) -> dict[str, str]:
    sources: dict[str, str] = {}
    root = folder.resolve()
    for path in sorted(folder.rglob("*.j2"))[:_FILES_MAX]:
        if not path.resolve().is_relative_to(root):
            problems.append(Problem(path, 0, 0, "leads out of the templates folder", "copy the file"))
            continue
        if not path.name.endswith((".html.j2", ".txt.j2")):
            mend = "name it .html.j2 or .txt.j2, which decides how values are escaped"
            problems.append(Problem(path, 0, 0, "neither HTML nor text by its name", mend))
            continue
        try:
            data = path.read_bytes()
            text = data.decode("utf-8-sig")
        except OSError as exc:
            problems.append(Problem(path, 0, 0, f"can't be read: {exc.strerror}"))
            continue
        except UnicodeDecodeError as exc:
            line = data[: exc.start].count(b"\n") + 1
            problems.append(Problem(path, line, 0, "not UTF-8", "save the file as UTF-8"))
            continue
        if len(text) > _SOURCE_MAX:
            problems.append(Problem(path, 0, 0, f"longer than {_SOURCE_MAX} characters"))
            continue
        sources[path.relative_to(folder).as_posix()] = text.replace("\r\n", "\n").replace("\r", "\n")
    return sources


def _read_template(entry: Path, sources: dict[str, str], problems: list[Problem]) -> TemplateFolder | None:
    name = entry.name
    if not NAME.match(name):
        mend = "use letters and digits, joined by single -, _ or ."
        problems.append(Problem(entry, 0, 0, f"{name!r} can't name a template", mend))
        return None
    html, text = (file if file in sources else "" for file in (f"{name}/{HTML}", f"{name}/{TEXT}"))
    path = entry / SETTINGS
    if not path.exists():
        return TemplateFolder(name, html, text, None, ())
    try:
        located = read_yaml(path, Settings)
    except ConfigurationError as exc:
        problems.extend(exc.problems)
        return None
    _check_keys(located, problems)
    subject = ""
    if located.value.subject:
        subject = f"{name}/{SUBJECT}"
        sources[subject] = located.value.subject
    pictures = read_pictures(entry, located, problems)
    banners = read_banners(entry, located, problems)
    return TemplateFolder(name, html, text, located, pictures, banners, located.value, subject)


def _resolved(
    read: Mapping[str, TemplateFolder], template: TemplateFolder, problems: list[Problem], depth: int = 0
) -> TemplateFolder:
    """The template with what it takes over from the one that it extends."""
    wanted = template.settings.extends
    if not wanted or template.located is None:
        return template
    extended = read.get(wanted)
    if extended is None:
        problems.append(template.located.problem(("extends",), f"no template {wanted!r}", closest(wanted, read)))
        return template
    if depth > _DEPTH_MAX:
        problems.append(template.located.problem(("extends",), "templates extend each other in a circle", "end it"))
        return template
    return template.over(_resolved(read, extended, problems, depth + 1))


def _check_keys(located: Located[Settings], problems: list[Problem]) -> None:
    mend = "write it as sender.title"
    problems.extend(
        located.problem(("defaults", key), f"{key!r} names no value", mend, key=True)
        for key in located.value.defaults
        if not KEY.match(key)
    )
    problems.extend(
        located.problem(("required", index), f"{key!r} names no value", mend)
        for index, key in enumerate(located.value.required)
        if not KEY.match(key)
    )
