"""Packages with plug-ins, as an installer leaves them: modules, and a folder that names their entry points."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "docs/examples/desk-plugins"


def install(folder: Path, name: str, module: str, entry_points: Mapping[str, Mapping[str, str]]) -> None:
    """Put a package into `folder`, which has to be on sys.path; `entry_points`: group → name → module:object."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(module)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in names.items())
        for group, names in entry_points.items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))


def install_example(folder: Path) -> None:
    """The one that the documentation shows."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(folder, "desk_plugins", (EXAMPLE / "desk_plugins.py").read_text(), project["entry-points"])
