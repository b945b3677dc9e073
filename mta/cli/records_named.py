"""Records as commands name them."""

from __future__ import annotations

from mta.cli.command import CommandFailedError
from mta.cli.records_filters import numbered
from mta.config.schema import Configuration
from mta.model.record import RecordFilter
from mta.model.transaction import Transaction
from mta.ports.tracking_store import TrackingStore

_NAMED = 10


async def transaction_named(
    store: TrackingStore, configuration: Configuration, text: str, organisation: str
) -> Transaction:
    """What `ticket-17` or `17` names, also where it has no record, or was merged. Raises CommandFailedError."""
    module, number = numbered(text)
    which = RecordFilter(organisation=organisation, module=module, number=number, with_deleted=True)
    named = [record.transaction for _, record in await store.records(which, limit=_NAMED)]
    found = dict.fromkeys([await store.current(each) or each for each in named])
    for each in configuration.every_organisation:
        if organisation.lower() in ("", each.name.lower()) and module:
            transaction = await store.transaction(each.name, module, number)
            found.update({transaction: None} if transaction is not None else {})
    if not found:
        raise CommandFailedError(f"there is no record {text!r}: `stampline records list` shows those there are")
    if len(found) > 1:
        names = ", ".join(f"{each} of {each.organisation}" for each in found)
        raise CommandFailedError(f"{text!r} names several: {names}; say which, with --organisation NAME where needed")
    return next(iter(found))
