"""A process that holds a spool open: accepts one message for each line that it reads, and says what became of it.

Arguments: the spool's folder, the slot.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mta.adapters.store.sqlite import SqliteSpool
from mta.model.reply import MailError
from tests.spool_samples import sample_message


async def main() -> None:
    spool = await SqliteSpool.open(Path(sys.argv[1]), slot=int(sys.argv[2]), reserve=0, patient=True)
    print("open", flush=True)
    while (await asyncio.to_thread(sys.stdin.readline)).strip():
        message = sample_message()
        try:
            await spool.accept(message)
        except MailError as error:
            print("refused", error.reply.code, flush=True)
        else:
            print("accepted", message.queue_id, flush=True)
    await spool.close()


if __name__ == "__main__":
    asyncio.run(main())
