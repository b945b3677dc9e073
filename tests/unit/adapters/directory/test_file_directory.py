"""What a directory of many people takes in memory."""

from __future__ import annotations

from pathlib import Path

from mta.adapters.directory.file_directory import YamlDirectory


async def test_who_is_in_the_same_groups_has_one_set_of_them(tmp_path: Path) -> None:
    """Each set is of hundreds of names in a large organisation, and every worker holds everybody's."""
    people = "".join(f"- address: p{n}@example.com\n" for n in range(3))
    groups = (
        "- {name: One, members: [p0@example.com, p1@example.com], groups: [Two]}\n"
        "- {name: Two, members: [p2@example.com], groups: [One]}\n"
    )
    (tmp_path / "people.yaml").write_text(f"people:\n{people}groups:\n{groups}")
    directory = YamlDirectory.load(tmp_path / "people.yaml")
    found = await directory.people([f"p{n}@example.com" for n in range(3)])
    assert {person.groups for person in found.values()} == {frozenset({"one", "two"})}
    assert len({id(person.groups) for person in found.values()}) == 1
