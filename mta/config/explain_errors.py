"""Turns pydantic's errors into sentences for those who write the files, with a way to mend each."""

from __future__ import annotations

import difflib
import types
from collections.abc import Collection, Iterable, Mapping, Sized
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mta.config.problems import Problem
from mta.config.yaml_values import Document, Loc

_SENTENCES: dict[str, tuple[str, str]] = {
    "string_type": ("{name} must be text", "put the value in quotes"),
    "int_type": ("{name} must be a whole number", "write digits only"),
    "int_parsing": ("{name} must be a whole number", "write digits only"),
    "int_from_float": ("{name} must be a whole number", "write digits only"),
    "bool_type": ("{name} must be true or false", "write true or false"),
    "bool_parsing": ("{name} must be true or false", "write true or false"),
    "tuple_type": ("{name} must be a list", "write one item a line, each behind '- '"),
    "list_type": ("{name} must be a list", "write one item a line, each behind '- '"),
    "dict_type": ("{name} must hold keys and values", "write 'key: value' lines under it"),
    "model_type": ("{name} must hold keys and values", "write 'key: value' lines under it"),
    "model_attributes_type": ("{name} must hold keys and values", "write 'key: value' lines under it"),
    "path_type": ("{name} must be a path", "write the path of a file or folder"),
    "greater_than_equal": ("{name} must be {ge} or more", "choose a larger number"),
    "less_than_equal": ("{name} must be {le} or less", "choose a smaller number"),
    "too_short": ("{name} needs at least {min_length} item(s)", "add one"),
    "too_long": ("{name} takes at most {max_length} item(s)", "remove some"),
    "union_tag_not_found": ("kind is missing", "say which kind it is"),
    "union_tag_invalid": ("kind is {tag!r}, but must be one of {expected_tags}", "choose one of them"),
    "ip_v4_network": ("{name} is no IP address or network", "write 192.0.2.10, 192.0.2.0/24 or 2001:db8::/32"),
    "ip_v6_network": ("{name} is no IP address or network", "write 192.0.2.10, 192.0.2.0/24 or 2001:db8::/32"),
    "date_from_datetime_parsing": ("{name} is no date", "write 2026-12-31"),
    "date_parsing": ("{name} is no date", "write 2026-12-31"),
    "date_type": ("{name} is no date", "write 2026-12-31"),
    "string_pattern_mismatch": (  # of names
        "{name} has other characters than lower case letters, digits and hyphens, or more than 32",
        "write one like support-desk",
    ),
    "recursion_loop": ("{name} contains itself", "write the value out"),
}


def closest(word: str, known: Collection[str]) -> str:
    """A hint such as "did you mean 'port'?", or the known words where none is close; "" if there are none."""
    if not known:
        return ""
    near = difflib.get_close_matches(word.lower(), [k.lower() for k in known], n=1, cutoff=0.6)
    for candidate in sorted(known):
        if near and candidate.lower() == near[0]:
            return f"did you mean {candidate!r}?"
    words = sorted(known)
    return f"known here: {', '.join(words[:20])}{', …' if len(words) > 20 else ''}"


def schema_problems(document: Document, model: type[BaseModel], errors: Iterable[ErrorDetails]) -> list[Problem]:
    """Pydantic's errors as problems with their places in the file, in order, each once."""
    return sorted({_schema_problem(document, model, error) for error in errors if not _is_echo(error)})


def _is_echo(error: ErrorDetails) -> bool:
    """A list is "too short" to pydantic because items of it are wrong; these have errors of their own."""
    given = error["input"]
    least = error.get("ctx", {}).get("min_length", 0)
    return error["type"] == "too_short" and isinstance(given, Sized) and len(given) >= least


def _schema_problem(document: Document, model: type[BaseModel], error: ErrorDetails) -> Problem:
    """One pydantic error as a problem with its place in the file."""
    # Names of pydantic's own that stand between those of the file, such as "lax-or-strict[…]".
    loc: Loc = tuple(item for item in error["loc"] if not (isinstance(item, str) and "[" in item))
    kind = error["type"]
    if kind == "extra_forbidden":
        known = known_keys(model, loc[:-1])
        return document.problem(loc, f"unknown key {str(loc[-1])!r}", closest(str(loc[-1]), known), key=True)
    if kind == "missing":
        return document.problem(loc[:-1], f"{_name(loc)} is missing", f"add '{loc[-1]}: …' here" if loc else "")
    if kind == "literal_error":
        return _wrong_word(document, loc, error)
    what, mend = _sentence(error, _name(loc))
    return document.problem(loc, what, mend)


def _sentence(error: ErrorDetails, name: str) -> tuple[str, str]:
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] in _SENTENCES:
        if error["input"] is None and error["loc"]:
            return f"{name} has no value", "write one, or remove the key to get the default"
        what, mend = _SENTENCES[error["type"]]
        return what.format(name=name, **context), mend
    if error["type"] in ("value_error", "assertion_error"):
        what, _, mend = str(context.get("error", error["msg"])).partition(" | ")
        return f"{name}: {what}" if name else what, mend
    message = error["msg"]
    return f"{name}: {message[:1].lower()}{message[1:]}", ""


def _wrong_word(document: Document, loc: Loc, error: ErrorDetails) -> Problem:
    given = error["input"]
    expected = str(error.get("ctx", {}).get("expected", ""))
    words = [word for word in expected.replace(" or ", ", ").replace("'", "").split(", ") if word]
    # Only words are shown again: anything longer may be a secret or a body pasted to the wrong place.
    shown = repr(given) if isinstance(given, int | str) and len(str(given)) <= 40 else "something else"
    hint = closest(given, words) if isinstance(given, str) else "choose one of them"
    if hint.startswith("known here"):
        hint = "choose one of them"
    return document.problem(loc, f"{_name(loc)} must be one of {', '.join(words)}, not {shown}", hint)


def _name(loc: Loc) -> str:
    """What to call the value: its key, and for a list item the list's key with the item's number."""
    names = [item for item in loc if isinstance(item, str)]
    if not loc:
        return "the file"
    if isinstance(loc[-1], int):
        return f"{names[-1] if names else 'the list'}, item {loc[-1] + 1}"
    return names[-1]


def known_keys(model: type[BaseModel], loc: Loc) -> frozenset[str]:
    """The keys that a schema takes at `loc`; empty where it takes any or none."""
    keys: set[str] = set()
    for found in _models_at([model], loc):
        keys.update(field.alias or name for name, field in found.model_fields.items())
    return frozenset(keys)


def _models_at(models: Collection[type[BaseModel]], loc: Loc) -> list[type[BaseModel]]:
    """The models that may stand at `loc`; elements that name no field (list positions, tags) only narrow down."""
    current = list(models)
    for item in loc:
        following: list[type[BaseModel]] = []
        for model in current:
            for name, field in model.model_fields.items():
                if item in (name, field.alias):
                    following += _models_in(field.annotation)
        tagged = [model for model in current if _has_tag(model, item)]
        current = following or tagged or current
    return current


def _has_tag(model: type[BaseModel], tag: str | int) -> bool:
    field = model.model_fields.get("kind")
    return field is not None and tag in get_args(field.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every model that an annotation mentions: through unions, containers, Annotated and type aliases."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    if get_origin(annotation) in (Annotated, Union, types.UnionType, tuple, list, dict) or get_args(annotation):
        return [model for part in get_args(annotation) for model in _models_in(part)]
    return []
