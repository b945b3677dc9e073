"""Stamps that stand in a message already, not repeated, stacked in order, removed. They are known by their markers
(`mta.message.stamp_markers`), or by `wording`."""
