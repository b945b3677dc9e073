"""The load generator and the sink that the benchmark uses, imported where they lie."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from tests.shared import shared_folder


def tool_path(name: str) -> Path:
    """Where the tool of that name lies."""
    return shared_folder() / "bench" / f"{name}.py"


def load_tool(name: str) -> ModuleType:
    """Import `smtp_load` or `smtp_sink` from the shared folder."""
    spec = importlib.util.spec_from_file_location(name, tool_path(name))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # nothing is written beside the tools
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = with_bytecode
    return module
