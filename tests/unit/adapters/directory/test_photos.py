"""Portraits beside the directory's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mta.adapters.directory import YamlDirectory, entries
from mta.adapters.directory.photos import PHOTO_OCTETS_MAX
from mta.config.problems import ConfigurationError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


def load(folder: Path, *photos: str) -> YamlDirectory:
    people = folder / "people.yaml"
    listed = "".join(f"  - {{address: p{number}@example.com, photo: {photo}}}\n" for number, photo in enumerate(photos))
    people.write_text(f"people:\n{listed}")
    return YamlDirectory.load(people)


async def test_png_and_jpeg_are_taken_whatever_they_are_called(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(PNG)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "b.png").write_bytes(b"\xff\xd8\xff\xe1")
    found = await load(tmp_path, "a.dat", "photos/b.png").people(["p0@example.com", "p1@example.com"])
    assert [person.photo for person in found.values()] == [PNG, b"\xff\xd8\xff\xe1"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none.png", "cannot read"),
        ("folder", "cannot read"),
        ("text.png", "text.png is neither PNG nor JPEG (save the picture as PNG or JPEG)"),
        ("empty.png", "neither PNG nor JPEG"),
        ("large.png", "large.png is larger than 200 kB"),
        ("../outside.png", "'../outside.png' is not in"),
        ("/etc/hostname", "'/etc/hostname' is not in"),
        ("link.png", "'link.png' is not in"),
    ],
)
def test_what_is_no_portrait_is_said_at_its_place(tmp_path: Path, name: str, expected: str) -> None:
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(PNG)
    (home / "text.png").write_text("GIF89a")
    (home / "empty.png").touch()
    (home / "large.png").write_bytes(PNG + bytes(PHOTO_OCTETS_MAX))
    (home / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(ConfigurationError) as caught:
        load(home, name)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (2, 38)
    assert expected in str(problem)


def test_all_of_them_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "PHOTOS_OCTETS_MAX", 100)
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(ConfigurationError, match="the photos up to here are more than"):
        load(tmp_path, "a.png", "a.png")


@pytest.mark.parametrize(("name", "expected"), [("pipe", "neither PNG nor JPEG"), ("circle", "can be no file"),
                                                ('"a\\0b"', "can be no file")])  # fmt: skip
def test_what_is_no_file_is_reported_and_not_waited_for(tmp_path: Path, name: str, expected: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ConfigurationError, match=expected):
        load(tmp_path, name)
