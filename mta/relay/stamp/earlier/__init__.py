"""Stamps that stand in a message already: known by `markers` or `wording`, not repeated, stacked in order, removed."""
