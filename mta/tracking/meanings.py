"""What became of a message, in sentences for administrators: for each state the words of its reasons."""

from __future__ import annotations

from mta.model.tracking import EntryState
from mta.tracking.correlate import reasons as correlated
from mta.tracking.filter import reasons as filtered
from mta.tracking.incoming import Automatic

_RULE = filtered.of_rule("")
_AUTOMATIC = "a program wrote it, and `filters.automatic` leaves such mail out"
_FILTERED = {
    **dict.fromkeys(filtered.AUTOMATIC.values(), _AUTOMATIC),
    filtered.AUTOMATIC[Automatic.BULK]: "a list or newsletter, and `filters.automatic` leaves such mail out",
    filtered.TOO_LARGE: "larger than `filters.largest`",
    filtered.PRESET_SENDER: "its sender is a mail system, by name or address; `filters.presets: false` lets it in",
    filtered.PRESET_SUBJECT: "its subject begins like a mail system's; `filters.presets: false` lets it in",
    filtered.NOT_ACCEPTED: "its sender is none of those whom `filters.accept` names",
    filtered.CAP: "its sender had written `filters.cap_per_day` messages within 24 hours",
    "declined": "a stranger's, and somebody has declined it",
    "erased": "who wrote it was erased before anybody let it in",
}
_UNMATCHED = {
    correlated.NO_REFERENCE: "it names no conversation, and no business rule opened a record for it",
    correlated.UNKNOWN_ORIGINAL: "it answers what isn't known, and no business rule opened a record for it; when that "
    "comes within three days, this is looked at again by itself",
    correlated.UNPROVEN: "it names a conversation by what anybody can write, its sender doesn't take part in it, and "
    "no business rule opened a record for it",
    correlated.GONE: "it names a conversation that isn't kept any more, and no business rule opened a record for it",
}
_PENDING = {
    correlated.STRANGER: "its sender doesn't take part in the record that it names",
    correlated.FORGED_SENDER: "it names a record, and whoever it says to be from didn't send it",
    correlated.UNPROVEN_SENDER: "it names a record, and nothing proves who sent it",
    correlated.NO_ANSWER: "it names a record, and DNS gave no answer that would prove who sent it",
    correlated.REUSED_MESSAGE_ID: "it has the Message-ID of another message of the record",
}
_ASIDE = {
    "too-large": "larger than the mailbox's `largest`",
    "refused-by-server": "the server doesn't give it to us",
    "server-fails": "the server fails at it poll after poll",
    "fails": "a fault of ours, three times; the mailbox's log has its traceback",
    "kills-us": "the process died over it",
}
_STATES = {
    EntryState.LOOP: "a notice of our own that came back",
    EntryState.REPORT: "a bounce or receipt; what it is about says so",
    EntryState.JOINED: "it belongs to the record",
}
_BY_STATE = {
    EntryState.FILTERED: _FILTERED,
    EntryState.UNMATCHED: _UNMATCHED,
    EntryState.PENDING: _PENDING,
    EntryState.SET_ASIDE: _ASIDE,
}


def meaning(state: EntryState, reason: str) -> str:
    """In a sentence; "" for a reason that another version left, or that speaks for itself."""
    if state in _STATES:
        return _STATES[state]
    if state is EntryState.FILTERED and reason.startswith(_RULE):
        return f"your filter {reason.removeprefix(_RULE)} of `filters.rules` leaves it out"
    return _BY_STATE[state].get(reason.partition(":")[0], "")
