"""`python -m tests.corpus_labels`: precision and recall per client, and what goes wrong, one by one."""

from __future__ import annotations

from tests.corpus_labels.labels import LabelKind, labels
from tests.corpus_labels.measure import Outcome, agreement, outcomes, scores


def table(found: list[Outcome]) -> str:
    """The figures as lines of text."""
    lines = [f"{'client':<18} {'quotes':>6} {'precision':>9} {'recall':>7} {'other':>6} {'right':>7}"]
    for client, score in scores(found).items():
        ends = score.at_end_right / score.at_end if score.at_end else 1.0
        quoting = f"{score.wanted:>6} {score.precision:>9.1%} {score.recall:>7.1%}"
        lines.append(f"{client:<18} {quoting} {score.at_end:>6} {ends:>7.1%}")
    return "\n".join(lines)


def main() -> None:
    found = list(outcomes())
    print(table(found))
    kinds = [label.kind for label in labels().values()]
    print("\nlabels:", ", ".join(f"{kind.value} {kinds.count(kind)}" for kind in LabelKind))
    agreed, measured = agreement()
    print(f"the detector by shapes says the same of {agreed} out of {measured} labelled bodies")
    for outcome in found:
        if outcome.problem:
            print(f"{outcome.path} ({outcome.client}, {'HTML' if outcome.is_html else 'plain'}): {outcome.problem}")


if __name__ == "__main__":
    main()
