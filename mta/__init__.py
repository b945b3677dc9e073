"""Stampline: an in-line mail relay that stamps, splits, tracks, and writes back to Sent Items.

Start with `mta/README.md`, which follows one message through the folders.
"""

__version__ = "0.1.0"
