"""People in tables, as spreadsheets and HR systems write them, with everything that is wrong at its place."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from mta.adapters.directory.csv_file import CsvDirectory
from mta.config import directory_schema as schema
from mta.config.problems import ConfigurationError
from mta.model.person import Person


def load(folder: Path, people: str | bytes, groups: str | None = None, **columns: str) -> CsvDirectory:
    (folder / "people.csv").write_bytes(people if isinstance(people, bytes) else people.encode())
    if groups is not None:
        (folder / "groups.csv").write_text(groups, encoding="utf-8")
    settings = schema.CsvDirectory(
        kind="csv",
        file=folder / "people.csv",
        groups_file=folder / "groups.csv" if groups is not None else None,
        columns=columns,
    )
    return CsvDirectory.load(settings)


async def one(directory: CsvDirectory, key: str = "jane@example.com") -> Person:
    return (await directory.people([key]))[key]


def problems(folder: Path, people: str | bytes, groups: str | None = None, **columns: str) -> list[str]:
    """`FILE:LINE:COLUMN: …` of each."""
    with pytest.raises(ConfigurationError) as caught:
        load(folder, people, groups, **columns)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    "content",
    [
        "address,displayName,l\njane@example.com,Jane Doe,Oslo\n",
        "address;displayName;l\r\njane@example.com;Jane Doe;Oslo\r\n",
        "address\tdisplayName\tl\njane@example.com\tJane Doe\tOslo",
        '"address";"displayName";"l"\n"jane@example.com";"Jane Doe";"Oslo"\n\n;;\n',
        "  Address , displayName,l \n Jane@Example.com , Jane Doe ,Oslo\n",
        codecs.BOM_UTF8 + b"address,displayName,l\njane@example.com,Jane Doe,Oslo\n",
        "l,ADDRESS,displayName\nOslo,jane@example.com,Jane Doe\n",
        "address,displayName,l\rjane@example.com,Jane Doe,Oslo\r",
    ],
)
async def test_each_way_to_write_a_table(tmp_path: Path, content: str | bytes) -> None:
    jane = await one(load(tmp_path, content))
    assert jane.attributes == {"mail": "jane@example.com", "displayName": "Jane Doe", "l": "Oslo"}


async def test_a_cell_may_hold_quotes_separators_and_lines(tmp_path: Path) -> None:
    content = 'address,title,streetAddress\njane@example.com,"Head of ""Sales"", EMEA","1 Sample Street\nLondon"\n'
    jane = await one(load(tmp_path, content + "bad,,\n".replace("bad", "john@example.com")))
    assert jane.attributes["title"] == 'Head of "Sales", EMEA'
    assert jane.attributes["streetAddress"] == "1 Sample Street\nLondon"


async def test_headings_may_be_anything_and_columns_say_what_they_mean(tmp_path: Path) -> None:
    content = "E-Mail,Nachname,Telefon,Gehalt,Gruppen\njane@example.com,Doe,+49 30 1,secret,Sales;Everyone\n"
    columns = {"E-Mail": "address", "Nachname": "sn", "Telefon": "telephoneNumber", "Gehalt": "", "Gruppen": "groups"}
    directory = load(tmp_path, content, **columns)
    jane = await one(directory)
    assert jane.attributes == {"mail": "jane@example.com", "sn": "Doe", "telephoneNumber": "+49 30 1"}
    assert jane.groups == {"sales", "everyone"}
    assert directory.group_names() == {"sales", "everyone"}


async def test_groups_of_both_tables_are_the_same_groups(tmp_path: Path) -> None:
    people = "address,groups\njane@example.com,sales\njohn@example.com,\n"
    groups = (
        "name,address,members,groups,description\nSales,sales@example.com,john@example.com,,Who sells\nAll,,,Sales,\n"
    )
    directory = load(tmp_path, people, groups)
    assert (await one(directory)).groups == {"sales", "all"}
    assert (await one(directory, "john@example.com")).groups == {"sales", "all"}
    sales = await one(directory, "sales@example.com")
    assert (sales.group_name, sales.attributes["description"]) == ("sales", "Who sells")


@pytest.mark.parametrize(
    ("word", "disabled"),
    [("true", True), ("YES", True), ("1", True), ("x", True), ("no", False), ("0", False), ("", False)],
)
async def test_switches(tmp_path: Path, word: str, disabled: bool) -> None:
    assert (await one(load(tmp_path, f"address,disabled,x\njane@example.com,{word},y\n"))).disabled is disabled


def test_every_problem_has_its_row_and_cell(tmp_path: Path) -> None:
    people = (
        "address,aliases,manager,disabled,photo,groups\n"
        "jane@example.com,j@example.com;jane@,,,,Sales\n"
        "john,,,,,Sales\n"
        "\n"
        '"maria@example.com","",nobody@example.com,perhaps,none.png,\n'
        ",j2@example.com,,,,\n"
        "JANE@example.com,,,,,\n"
        "ole@example.com,,,,,,,\n"
    )
    found = problems(tmp_path, people)
    assert [each for each in found if "people.csv:5:4: disabled must be true or false, not 'perhaps'" in each]
    assert [each for each in found if "people.csv:8:7: 8 cells, but there are 6 columns" in each]
    people = people.replace("perhaps", "").replace("com,,,,,,,\n", "com,,,,,\n")
    found = problems(tmp_path, people)
    assert [each.partition(" (")[0] for each in found] == [
        "people.csv:2:2: aliases, item 2: 'jane@' is no address: domain breaks the grammar of RFC 5321",
        "people.csv:3:1: address: 'john' is no address: address needs a local part, an @ and a domain",
        "people.csv:6:1: address is missing",
    ]
    people = (
        people.replace("jane@,", ",").replace("\njohn,", "\njohn@example.com,").replace("\n,j2", "\nj2@x.example,j2")
    )
    assert [each.partition(" (")[0] for each in problems(tmp_path, people)] == [
        "people.csv:5:3: nobody here has the address nobody@example.com",
        f"people.csv:5:5: cannot read {tmp_path}/none.png: No such file or directory".replace(f"{tmp_path}/", ""),
        "people.csv:7:1: jane@example.com is taken already",
    ]


def test_problems_of_groups_are_in_their_file(tmp_path: Path) -> None:
    groups = "name,address,members,groups\nSales,sales@,,\nAll,,nobody@example.com,Salez\nall,,,\n,x@example.com,,\n"
    found = problems(tmp_path, "address\njane@example.com\n", groups)
    assert [each.partition(" (")[0] for each in found] == [
        "groups.csv:2:2: address: 'sales@' is no address: domain breaks the grammar of RFC 5321",
        "groups.csv:5:1: name is missing",
    ]
    found = problems(tmp_path, "address\njane@example.com\n", groups.replace("sales@", "").rpartition(",x@")[0])
    assert [each.partition(" (")[0] for each in found] == [
        "groups.csv:3:3: nobody here has the address nobody@example.com",
        "groups.csv:3:4: no group is called 'Salez'",
        "groups.csv:4:1: two groups are called 'all'",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "people.csv:1:1: the file has no rows"),
        (b"\n\n ,\n", "people.csv:1:1: the file has no rows"),
        (b"name,mail\nx,y\n", "people.csv:1:1: no column holds the address (call the column address, or say so"),
        (b"address,l,l\n", "people.csv:1:3: two columns are called 'l'"),
        (b"address,l\njane@example.com,M\xfcnchen\n", "people.csv:2:1: not UTF-8 (save the file as UTF-8 (in Excel"),
        (b'address,l\n\njane@example.com,"Oslo\n', "people.csv:3:1: not CSV: unexpected end of data"),
        (b'address,l\njane@example.com,"Os"lo\n', "people.csv:2:1: not CSV: "),
        (b"address\n" + b"x" * 200_000 + b"\n", "people.csv:2:1: not CSV: field larger than field limit"),
        (b"x" * 20_000_001, "people.csv:0:0: larger than 20 MB"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: bytes, expected: str) -> None:
    (found,) = problems(tmp_path, content)
    assert found.startswith(expected)


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "address,Telefon\njane@example.com,1\n", Telephon="telephoneNumber")
    expected = "people.csv:1:1: there is no column 'Telephon', which the configuration's columns name"
    assert found == f"{expected} (did you mean 'Telefon'?)"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.csv:0:0: cannot read: No such file"):
        CsvDirectory.load(schema.CsvDirectory(kind="csv", file=tmp_path / "none.csv"))
