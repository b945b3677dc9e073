"""What an erasure did or would do, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mta.cli.command import print_table, printable
from mta.cli.erase_elsewhere import Elsewhere
from mta.model.erasure import Erased, ErasedPerson, Wiped

LISTED = 50
"""Of what is kept, and of files, that many are shown; JSON has them all."""
_WAITS = frozenset({"message", "job", "task", "answer"})


def is_complete(done: Erased, wiped: Wiped) -> bool:
    """Whether nothing is left that the same command would take out later."""
    return wiped.is_log_empty and not any(kept.kind in _WAITS for kept in done.kept)


def counts_text(done: Erased) -> str:
    """For the log: `notes_removed=3 tasks_removed=1`."""
    return " ".join(f"{name}={count}" for name, count in done.counts.items() if count)


def to_json(person: ErasedPerson, done: Erased, elsewhere: Elsewhere, wiped: Wiped | None) -> dict[str, Any]:
    """`wiped` None: a dry run."""
    return {
        "person": person.digest,
        "addresses": sorted(person.addresses),
        "would_be_erased" if wiped is None else "erased": dict(done.counts),
        "kept": [{"kind": k.kind, "name": k.name, "why": k.why, "drop": k.drop} for k in done.kept],
        "named_elsewhere": [{"file": str(each.path), "what": each.what} for each in elsewhere.named],
        "unreadable": list(elsewhere.unreadable),
        "not_searched": list(elsewhere.not_searched),
        **({} if wiped is None else {"database": _wiped_to_json(wiped), "complete": is_complete(done, wiped)}),
    }


def _wiped_to_json(wiped: Wiped) -> dict[str, Any]:
    return {"log_is_empty": wiped.is_log_empty, "rewritten": wiped.is_rewritten, "octets": wiped.octets}


def print_all(person: ErasedPerson, done: Erased, elsewhere: Elsewhere, wiped: Wiped | None) -> None:
    """For a terminal."""
    who = printable(", ".join(sorted(person.addresses)))
    head = "would be erased" if wiped is None else "erased"
    counts = [(name.replace("_", " "), str(count)) for name, count in done.counts.items() if count]
    if counts:
        print(f"{who}: {head}:")
        print_table(("WHAT", "HOW MANY"), counts)
    else:
        print(f"{who}: nothing {'to erase' if wiped is None else 'was left to erase'}")
    _print_kept(done)
    _print_elsewhere(elsewhere)
    if wiped is not None:
        _print_wiped(wiped)


def _print_kept(done: Erased) -> None:
    if not done.kept:
        return
    kinds = Counter(kept.kind for kept in done.kept)
    sums = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items())
    print(f"\nkept ({sums}):")
    rows = [(f"{kept.kind} {kept.name}", kept.why, kept.drop) for kept in done.kept[:LISTED]]
    print_table(("WHAT", "WHY", "TO DROP IT"), rows)
    if len(done.kept) > LISTED:
        print(f"... and {len(done.kept) - LISTED} more")


def _print_elsewhere(elsewhere: Elsewhere) -> None:
    if elsewhere.named:
        print("\nnamed in other files, which are left alone:")
        print_table(("FILE", "WHAT BECOMES OF IT"), [(str(each.path), each.what) for each in elsewhere.named[:LISTED]])
        if len(elsewhere.named) > LISTED:
            print(f"... and {len(elsewhere.named) - LISTED} more")
    for text in elsewhere.unreadable:
        print(printable(f"could not be searched: {text}"))
    print(printable(f"\nnot searched: {'; '.join(elsewhere.not_searched)}"))


def _print_wiped(wiped: Wiped) -> None:
    if not wiped.is_log_empty:
        print("The database's log is in use and still has older states: the same command again, later.")
    if not wiped.is_rewritten:
        print(
            f"The database ({wiped.octets / 1e9:.1f} GB) was not rewritten: parts of deleted rows may stand in places "
            "within it that are free. --rewrite does it where twice that is free on its disk; mail waits meanwhile."
        )
