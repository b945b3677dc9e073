"""The command itself: help, usage errors, and that it starts quickly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mta import __version__
from mta.cli import COMMANDS, main

WORDS = {
    "queue": ["list", "show", "retry", "hold", "release", "delete"],
    "bypass": ["on", "off", "status"],
}
ALL = [[name] for name in COMMANDS if not name.startswith("_")]
ALL += [[name, word] for name, words in WORDS.items() for word in words]


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: stampline " + " ".join(command))


def test_help_lists_every_command_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in COMMANDS if not name.startswith("_"))
    assert "_worker" not in text
    assert "exit codes: 0 done" in text


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["queue"], ["bypass"], ["serve", "--workers", "0"], ["bypass", "on", "--for", "soon"]],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"stampline {__version__}\n"


def test_a_command_imports_only_what_it_needs() -> None:
    script = (
        "import sys, mta.cli\n"
        "try: mta.cli.main(['status', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'pydantic', 'jinja2', 'cryptography', 're2', 'sqlite3'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stderr == "[]\n"
