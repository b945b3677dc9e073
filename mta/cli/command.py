"""What all commands share: exit codes, where the configuration is, how problems and tables are shown."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from mta.control.client import NotRunningError, ask
from mta.model.printable import printable as printable

DEFAULT_CONFIG = Path("/etc/stampline/stampline.yaml")
EXIT_CODES = "exit codes: 0 done · 1 failed · 2 bad configuration or usage · 3 the relay does not run"


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    BAD_CONFIGURATION = 2
    NOT_RUNNING = 3


class CommandFailedError(Exception):
    """Ends the command; the text is for the person at the terminal."""

    def __init__(self, text: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(text)
        self.code = code


def new_parser(
    subparsers: Any, name: str, summary: str, description: str, *, with_config: bool = True
) -> argparse.ArgumentParser:
    """A command's parser, with the exit codes in its help, and `--config` unless words below it have their own."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=description, epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    if with_config:
        add_config(parser)
    return parser


def add_word(words: Any, name: str, summary: str) -> argparse.ArgumentParser:
    """The parser of a command's own word, such as `queue list`."""
    parser: argparse.ArgumentParser = words.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    return parser


def add_operation(
    words: Any, name: str, summary: str, run: Callable[[argparse.Namespace], int], *, exit_codes: str,
    json: bool = True,
) -> argparse.ArgumentParser:  # fmt: skip
    """`add_word` for one that reads the configuration, and that `run` carries out; `json`: it can print JSON."""
    word = add_word(words, name, summary)
    word.epilog = exit_codes
    add_config(word)
    if json:
        word.add_argument("--json", action="store_true", help="print JSON")
    word.set_defaults(run=run)
    return word


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`: else the environment's STAMPLINE_CONFIG, else /etc/stampline/stampline.yaml."""
    default = Path(os.environ.get("STAMPLINE_CONFIG") or DEFAULT_CONFIG)
    parser.add_argument(
        "--config", type=Path, default=default, metavar="FILE",
        help="configuration file (default: $STAMPLINE_CONFIG, else %(default)s)"
        if default == DEFAULT_CONFIG else "configuration file (default: %(default)s, from $STAMPLINE_CONFIG)",
    )  # fmt: skip


def add_socket(parser: argparse.ArgumentParser) -> None:
    """`--socket PATH`, for when the configuration file can't be read just now."""
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="control socket (default: the one that the configuration names)"
    )


def control_socket(arguments: argparse.Namespace) -> Path:
    """The control socket: as told, else as the configuration names it."""
    if getattr(arguments, "socket", None):
        return Path(arguments.socket)
    return one_path(arguments, "control", "socket", "--socket PATH tells it")


def one_path(arguments: argparse.Namespace, section: str, key: str, else_: str = "add it") -> Path:
    """One path that the configuration names, read without the rest.

    `bypass on`, say, has to work while the rest of the file is broken. Raises CommandFailedError.
    """
    from mta.config.problems import ConfigurationError
    from mta.config.yaml_values import read_document

    path: Path = arguments.config.absolute()
    try:
        return Path(os.path.normpath(path.parent / str(read_document(path).value[section][key])))
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    except (KeyError, TypeError) as exc:
        text = f"{path} names no {section} {key} ({section}: {{{key}: PATH}}); {else_}"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION) from exc


def ask_supervisor(arguments: argparse.Namespace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the running relay; its answer, whatever it is."""
    path = control_socket(arguments)
    try:
        return ask(path, request)
    except NotRunningError as exc:
        raise CommandFailedError(f"the relay does not run: {exc}", ExitCode.NOT_RUNNING) from exc
    except OSError as exc:
        raise CommandFailedError(f"no answer from the relay on {path}: {exc}") from exc


def bad_configuration(problems: Iterable[object]) -> CommandFailedError:
    """All problems, one on each line."""
    lines = [str(problem) for problem in problems]
    head = f"the configuration has {len(lines)} problem{'s' if len(lines) != 1 else ''}:"
    return CommandFailedError("\n".join([head, *lines]), ExitCode.BAD_CONFIGURATION)


def print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need; the last one is not padded."""
    lines = [headings, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def short_age(seconds: float) -> str:
    """A length of time in its two largest units at most: `45s`, `12m`, `3h10m`, `2d4h`."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 1:
        return f"{max(int(seconds), 0)}s"
    if hours < 1:
        return f"{minutes}m"
    if days < 1:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{days}d{hours % 24}h"


def at_least_one(text: str) -> int:
    """An option's number. Raises argparse's error for anything else."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("write a number from 1 on")
    return int(text)


def seconds_of(text: str) -> float:
    """A duration as in the configuration: `30s`, `5m`, `4h`, `2d`. Raises argparse's error for anything else."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1].strip(), text[-1:]
    if not number.isdecimal() or unit not in units:
        raise argparse.ArgumentTypeError("write a duration as a whole number and a unit: 30s, 5m, 4h or 2d")
    return float(number) * units[unit]
