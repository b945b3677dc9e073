"""What tracking keeps, as commands open it: beside a running relay or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mta.cli.command import CommandFailedError
from mta.cli.queue_spool import check_access
from mta.cli.records_filters import numbered
from mta.config.schema import Configuration
from mta.model.record import RecordFilter
from mta.model.transaction import Transaction
from mta.ports.tracking_store import TrackingStore

Result = TypeVar("Result")
_NAMED = 10


def with_store(configuration: Configuration, use: Callable[[TrackingStore], Awaitable[Result]]) -> Result:
    """What `use` gives, on the opened store. Raises CommandFailedError where it can't be opened."""
    from mta.adapters.store.errors import StoreError
    from mta.app.spool import open_tracking_store
    from mta.model.reply import MailError

    check_access(configuration.spool.folder)

    async def run() -> Result:
        store = await open_tracking_store(configuration, works=False)
        try:
            return await use(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except (StoreError, OSError) as exc:
        raise CommandFailedError(str(exc)) from exc
    except MailError as exc:
        raise CommandFailedError(f"the store refused ({exc}): it is busy, full or damaged, see the log") from exc


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
