"""What is written below the attributes of a class in its source: what editors show for a key.

pydantic would read it for each model at each start, though nobody but `stampline schema` asks for it.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise


def attribute_docs(cls: type) -> dict[str, str]:
    """Attribute → the text below it, of the class itself and of those that it inherits from."""
    found: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        # An attribute that a class declares anew, without a text, has none.
        declared = inspect.get_annotations(ancestor)
        found = {name: text for name, text in found.items() if name not in declared}
        found |= _of_module(ancestor.__module__).get(ancestor.__qualname__, {})
    return found


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """Class → attribute → text, for the classes of one module of ours."""
    if not name.startswith("mta."):
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    return {
        declared.target.id: inspect.cleandoc(below.value.value)
        for declared, below in pairwise(node.body)
        if isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }
