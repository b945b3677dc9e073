"""Pictures of a template's folder: read at load, with every problem found."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mta.config.clock_words import ScheduleError
from mta.config.load import Located
from mta.config.problems import Problem
from mta.config.yaml_values import Loc
from mta.message.attachments.signatures import by_signature
from mta.relay.stamp.templates.rendering import PictureSource
from mta.relay.stamp.templates.schedules import schedule_of
from mta.relay.stamp.templates.settings import PictureFile, Settings

NAME = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*\Z")
PICTURE_MAX = 1_000_000
"""Octets of one picture."""
DARK = "-dark"
"""What a picture's cid ends with that is shown in dark mode."""
_TYPES = frozenset(("image/png", "image/jpeg", "image/gif"))


def read_pictures(entry: Path, located: Located[Settings], problems: list[Problem]) -> tuple[PictureSource, ...]:
    """Those of `pictures`, each followed by its dark one."""
    found: list[PictureSource] = []
    for index, picture in enumerate(located.value.pictures):
        _add(found, entry, located, ("pictures", index), picture, problems)
    return tuple(found)


def read_banners(entry: Path, located: Located[Settings], problems: list[Problem]) -> tuple[PictureSource, ...]:
    """Those of `banners`, whose schedules are checked, too."""
    found: list[PictureSource] = []
    for index, banner in enumerate(located.value.banners):
        loc = ("banners", index)
        if banner.dark:
            problems.append(located.problem((*loc, "dark"), "a banner has no dark one", "choose one that suits both"))
        try:
            schedule_of(banner.schedule())
        except ScheduleError as exc:
            problems.append(located.problem((*loc, exc.key), str(exc), exc.mend))
        cid = banner.cid or f"banner-{Path(banner.file).stem}"
        _add(found, entry, located, loc, banner.model_copy(update={"cid": cid, "dark": ""}), problems)
    return tuple(found)


def _add(
    found: list[PictureSource], entry: Path, located: Located[Settings], loc: Loc, picture: PictureFile,
    problems: list[Problem],
) -> None:  # fmt: skip
    cid = picture.cid or Path(picture.file).stem
    if not NAME.match(cid) or any(other.cid == cid for other in found):
        where = "cid" if "cid" in picture.model_fields_set else "file"
        problems.append(
            located.problem((*loc, where), f"{cid!r} can't be a cid, or is one already", "give it another cid")
        )
        return
    if not picture.file:
        found.append(PictureSource(cid, "", "", b"", b"", picture.url))
        return
    for file, name in ((picture.file, cid), (picture.dark, cid + DARK)):
        key = "dark" if name.endswith(DARK) and file == picture.dark else "file"
        if file and (read := _read(entry, file, name, picture.url, located, (*loc, key), problems)):
            found.append(read)


def _read(
    entry: Path, file: str, cid: str, url: str, located: Located[Settings], loc: Loc, problems: list[Problem]
) -> PictureSource | None:
    path = entry / file
    if Path(file).name != file or path.is_symlink() or not path.is_file():
        mend = "name a file that lies in the template's folder"
        problems.append(located.problem(loc, f"no picture {file!r} here", mend))
        return None
    data = path.read_bytes()
    content_type = by_signature(data)
    if content_type not in _TYPES or len(data) > PICTURE_MAX:
        mend = f"use a PNG, JPEG or GIF of at most {PICTURE_MAX} octets"
        problems.append(located.problem(loc, f"{file!r} is no picture for mail", mend))
        return None
    return PictureSource(cid, file, content_type, data, hashlib.sha256(data).digest(), url)
