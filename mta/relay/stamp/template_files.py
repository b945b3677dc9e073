"""The files of the templates folder, read whole: sources, settings and pictures, with every problem found."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mta.config.load import Located, read_yaml
from mta.config.problems import ConfigurationError, Problem
from mta.config.types import Strict
from mta.relay.stamp.values import Missing

HTML = "signature.html.j2"
TEXT = "signature.txt.j2"
SETTINGS = "template.yaml"
_NAME = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*\Z")
_SOURCE_MAX = 500_000
_PICTURE_MAX = 1_000_000
_FILES_MAX = 5_000
_MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
_KEY = re.compile(r"(?:sender|recipient|manager|organisation|message)\.\w[\w-]*\Z")


class PictureFile(Strict):
    file: str
    """Name of a PNG, JPEG or GIF file in the template's folder."""
    cid: str = ""
    """The name after `cid:` in the HTML; without one the file's name serves."""


class Settings(Strict):
    """`template.yaml`. Keys of `defaults` and `required` are written `sender.title`."""

    description: str = ""
    pictures: tuple[PictureFile, ...] = ()
    defaults: dict[str, str] = {}
    required: tuple[str, ...] = ()
    on_missing: Literal["empty", "default", "error"] = "empty"
    """What a value is that is missing, not in `defaults` and not `required`. `default`: each needs a default."""


@dataclass(frozen=True, slots=True)
class PictureSource:
    """A picture that HTML may show; `cid` and `filename` are what the HTML calls it."""

    cid: str
    filename: str
    content_type: str
    data: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class TemplateFolder:
    """One template as it stands on disk. `html` and `text` are names of sources, "" where there is no such file."""

    name: str
    html: str
    text: str
    located: Located[Settings] | None
    """None where there is no `template.yaml`."""
    pictures: tuple[PictureSource, ...]

    @property
    def settings(self) -> Settings:
        return self.located.value if self.located else Settings()

    @property
    def missing(self) -> Missing:
        return Missing(self.settings.defaults, frozenset(self.settings.required), self.settings.on_missing == "error")


@dataclass(frozen=True, slots=True)
class TemplateFiles:
    """The folder: `sources` by name relative to it, with forward slashes."""

    folder: Path
    sources: Mapping[str, str]
    templates: tuple[TemplateFolder, ...]
    problems: tuple[Problem, ...]

    def path(self, name: str) -> Path:
        return self.folder / name


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
    templates = [
        _read_template(folder, entry, sources, problems)
        for entry in entries
        if entry.is_dir() and not entry.name.startswith(("_", "."))
    ]
    return TemplateFiles(folder, sources, tuple(t for t in templates if t is not None), tuple(problems))


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


def _read_template(
    folder: Path, entry: Path, sources: Mapping[str, str], problems: list[Problem]
) -> TemplateFolder | None:
    name = entry.name
    if not _NAME.match(name):
        mend = "use letters and digits, joined by single -, _ or ."
        problems.append(Problem(entry, 0, 0, f"{name!r} can't name a template", mend))
        return None
    html, text = (file if file in sources else "" for file in (f"{name}/{HTML}", f"{name}/{TEXT}"))
    if not html and not text:
        if not any((entry / file).exists() for file in (HTML, TEXT)):
            mend = f"write {HTML} or {TEXT}, or begin the folder's name with _"
            problems.append(Problem(entry, 0, 0, "no template in this folder", mend))
        return None
    path = entry / SETTINGS
    located: Located[Settings] | None = None
    if path.exists():
        try:
            located = read_yaml(path, Settings)
        except ConfigurationError as exc:
            problems.extend(exc.problems)
            return None
    pictures: list[PictureSource] = []
    if located:
        _check_keys(located, problems)
        pictures = _read_pictures(entry, located, problems)
    return TemplateFolder(name, html, text, located, tuple(pictures))


def _check_keys(located: Located[Settings], problems: list[Problem]) -> None:
    mend = "write it as sender.title"
    problems.extend(
        located.problem(("defaults", key), f"{key!r} names no value", mend, key=True)
        for key in located.value.defaults
        if not _KEY.match(key)
    )
    problems.extend(
        located.problem(("required", index), f"{key!r} names no value", mend)
        for index, key in enumerate(located.value.required)
        if not _KEY.match(key)
    )


def _read_pictures(entry: Path, located: Located[Settings], problems: list[Problem]) -> list[PictureSource]:
    found: list[PictureSource] = []
    for index, picture in enumerate(located.value.pictures):
        loc = ("pictures", index, "file")
        path = entry / picture.file
        if Path(picture.file).name != picture.file or path.is_symlink() or not path.is_file():
            mend = "name a file that lies in the template's folder"
            problems.append(located.problem(loc, f"no picture {picture.file!r} here", mend))
            continue
        cid = picture.cid or path.stem
        if not _NAME.match(cid) or any(other.cid == cid for other in found):
            problems.append(located.problem(loc, f"{cid!r} can't be a cid, or is one already", "give it another cid"))
            continue
        data = path.read_bytes()
        content_type = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "")
        if not content_type or len(data) > _PICTURE_MAX:
            mend = f"use a PNG, JPEG or GIF of at most {_PICTURE_MAX} octets"
            problems.append(located.problem(loc, f"{picture.file!r} is no picture for mail", mend))
            continue
        found.append(PictureSource(cid, picture.file, content_type, data, hashlib.sha256(data).digest()))
    return found
