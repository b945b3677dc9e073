"""People in a table (CSV), and perhaps groups in a second one: what spreadsheets and HR systems export.

The first row holds headings. These have a meaning of their own; every other heading is an attribute's name:
`address`, `aliases`, `groups`, `manager`, `disabled`, `contact`, `unit` and `photo` of people; `name`, `address`,
`aliases`, `members` and `groups` of groups. Where there can be several, `;` stands between them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mta.adapters.directory.entries import DirectoryFile
from mta.adapters.directory.file_directory import FileDirectory
from mta.config import directory_schema as schema
from mta.config.explain_errors import closest
from mta.config.load import validate
from mta.config.problems import ConfigurationError, Problem
from mta.config.yaml_values import FILE_OCTETS_MAX, Document, Loc
from mta.model.address import AddressError, parse_address

_OF_PEOPLE = frozenset(("address", "aliases", "groups", "manager", "disabled", "contact", "unit", "photo"))
_OF_GROUPS = frozenset(("name", "address", "aliases", "members", "groups"))
_LISTS = frozenset(("aliases", "groups", "members"))
_SWITCHES = frozenset(("disabled", "contact"))
_TRUE = frozenset(("true", "yes", "y", "1", "x"))
_FALSE = frozenset(("", "false", "no", "n", "0"))


class CsvDirectory(FileDirectory):
    """People and groups in tables."""

    @classmethod
    def load(cls, settings: schema.CsvDirectory) -> Self:
        """Read the files. Raises ConfigurationError with every problem of them."""
        people = _Table.read(settings.file)
        groups = _Table.read(settings.groups_file) if settings.groups_file is not None else None
        document = _CsvDocument(settings.file, settings.groups_file or settings.file)
        problems = [*people.name_columns(settings.columns, _OF_PEOPLE, "address")]
        if groups is not None:
            problems += groups.name_columns({}, _OF_GROUPS, "name")
        if not problems:
            problems += document.add_people(people)
            problems += document.add_groups(groups)
        if problems:
            raise ConfigurationError(sorted(problems))
        return cls.of(validate(document, DirectoryFile))


@dataclass(slots=True)
class _Cell:
    text: str
    line: int
    column: int


@dataclass(slots=True)
class _Row:
    line: int
    cells: Mapping[str, _Cell]
    """By what the column is called here; empty cells are left out."""


class _Table:
    """A file's rows; quotes, separators and line ends as RFC 4180 has them, or with `;`, as spreadsheets write them."""

    def __init__(self, path: Path, rows: list[tuple[int, list[str]]]) -> None:
        self.path = path
        self._line, self._headings = rows[0]
        self._rows = rows[1:]
        self._names: list[str] = []

    @classmethod
    def read(cls, path: Path) -> _Table:
        """Raises ConfigurationError."""
        text = _text(path)
        first = text.partition("\n")[0]
        delimiter = max((",", ";", "\t"), key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows: list[tuple[int, list[str]]] = []
        began = 1
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    rows.append((began, cells))
                began = reader.line_num + 1
        except csv.Error as exc:
            mend = "check the quotes: a quote inside a quoted cell is written twice"
            raise ConfigurationError([Problem(path, began, 1, f"not CSV: {exc}", mend)]) from exc
        if not rows:
            mend = "the first row names the columns, such as address,displayName,telephoneNumber"
            raise ConfigurationError([Problem(path, 1, 1, "the file has no rows", mend)])
        return cls(path, rows)

    def name_columns(self, columns: Mapping[str, str], own: frozenset[str], needed: str) -> Iterator[Problem]:
        """Find out what the columns are; `columns` says it of headings that don't say it themselves."""
        headings = [heading.strip() for heading in self._headings]
        for heading in columns.keys() - set(headings):
            yield self._problem(1, f"there is no column {heading!r}, which the configuration's columns name",
                                closest(heading, [each for each in headings if each]))  # fmt: skip
        self._names = [columns.get(heading, heading) for heading in headings]
        # Attributes are written as the directory writes them; words of ours are taken in any case.
        self._names = [name.lower() if name.lower() in own else name for name in self._names]
        for number, name in enumerate(self._names, 1):
            if name and name in self._names[: number - 1]:
                yield self._problem(number, f"two columns are called {name!r}", "rename one, or leave one out")
        if needed not in self._names:
            mend = f"call the column {needed}, or say so in the configuration: columns: {{HEADING: {needed}}}"
            yield self._problem(1, f"no column holds the {needed}", mend)

    def _problem(self, column: int, what: str, mend: str) -> Problem:
        return Problem(self.path, self._line, column, what, mend)

    def rows(self) -> Iterator[_Row | Problem]:
        """The rows below the headings. Columns are counted as cells: the third one is column 3."""
        for line, cells in self._rows:
            if len(cells) > len(self._names):
                what = f"{len(cells)} cells, but there are {len(self._names)} columns"
                mend = "put a cell in quotes that holds the character that separates cells"
                yield Problem(self.path, line, len(self._names) + 1, what, mend)
                continue
            found = {
                name: _Cell(cell.strip(), line, number)
                for number, (name, cell) in enumerate(zip(self._names, cells, strict=False), 1)
                if name and cell.strip()
            }
            yield _Row(line, found)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_OCTETS_MAX + 1)
    except OSError as exc:
        mend = "create it, or correct the path" if isinstance(exc, FileNotFoundError) else "let the service read it"
        raise ConfigurationError([Problem(path, 0, 0, f"cannot read: {exc.strerror}", mend)]) from exc
    if len(raw) > FILE_OCTETS_MAX:
        raise ConfigurationError([Problem(path, 0, 0, f"larger than {FILE_OCTETS_MAX // 1_000_000} MB", "split it")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        mend = 'save the file as UTF-8 (in Excel: "CSV UTF-8")'
        raise ConfigurationError([Problem(path, line, 1, "not UTF-8", mend)]) from exc


class _CsvDocument(Document):
    """The tables as one value of the shape that the YAML file has, each part with its place."""

    def __init__(self, people: Path, groups: Path) -> None:
        super().__init__(people, {"people": [], "contacts": [], "groups": []})
        self.values = {(kind,): (1, 1) for kind in self.value}
        self._groups_file = groups
        self._members: dict[str, list[str]] = {}

    def problem(self, loc: Loc, what: str, mend: str = "", *, key: bool = False) -> Problem:
        """A problem with the value at `loc`, in the file that it comes from."""
        file = self._groups_file if loc[:1] == ("groups",) else self.file
        return Problem(file, *self.place(loc, key=key), what, mend)

    def add_people(self, table: _Table) -> list[Problem]:
        """The rows as people and contacts, and the groups that they name as groups with members."""
        problems: list[Problem] = []
        for row in table.rows():
            if isinstance(row, Problem):
                problems.append(row)
                continue
            entry, found = _entry(row, table.path, _OF_PEOPLE)
            problems += found
            kind = "contacts" if entry.pop("contact", False) else "people"
            for group in entry.pop("groups", ()):
                # A bad address is a problem of its row, not of the group too.
                self._members.setdefault(group, []).extend(_addresses(entry))
            self._add(kind, entry, row)
        return problems

    def add_groups(self, table: _Table | None) -> list[Problem]:
        """The rows as groups, with the members that the table of people gives them."""
        problems: list[Problem] = []
        named: dict[str, dict[str, Any]] = {}
        for row in table.rows() if table is not None else ():
            if isinstance(row, Problem):
                problems.append(row)
                continue
            entry, found = _entry(row, table.path if table is not None else self.file, _OF_GROUPS)
            problems += found
            named[str(entry.get("name", "")).lower()] = entry
            self._add("groups", entry, row)
        for name, members in self._members.items():
            if name.lower() not in named:
                named[name.lower()] = {"name": name}
                self.value["groups"].append(named[name.lower()])
            named[name.lower()].setdefault("members", []).extend(members)
        return problems

    def _add(self, kind: str, entry: dict[str, Any], row: _Row) -> None:
        loc: Loc = (kind, len(self.value[kind]))
        self.value[kind].append(entry)
        self.values[loc] = self.values[(*loc, "attributes")] = (row.line, 1)
        for name, cell in row.cells.items():
            self.values[(*loc, name)] = self.values[(*loc, "attributes", name)] = (cell.line, cell.column)


def _addresses(entry: Mapping[str, Any]) -> list[str]:
    try:
        return [parse_address(entry.get("address", "")).key]
    except AddressError:
        return []


def _entry(row: _Row, path: Path, own: frozenset[str]) -> tuple[dict[str, Any], list[Problem]]:
    """A row in the shape of the YAML file."""
    entry: dict[str, Any] = {"attributes": {}}
    problems: list[Problem] = []
    for name, cell in row.cells.items():
        if name not in own:
            entry["attributes"][name] = cell.text
        elif name in _LISTS:
            entry[name] = [item.strip() for item in cell.text.split(";") if item.strip()]
        elif name in _SWITCHES:
            word = cell.text.lower()
            if word not in _TRUE | _FALSE:
                what = f"{name} must be true or false, not {cell.text[:40]!r}"
                problems.append(Problem(path, cell.line, cell.column, what, "write true or false"))
            entry[name] = word in _TRUE
        else:
            entry[name] = cell.text
    return entry, problems
