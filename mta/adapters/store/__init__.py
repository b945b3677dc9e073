"""The spool on SQLite: what comes in by the port `Spool` is rows, or body files, on disk when the call returns.

A call's way: `sqlite` (the port, on the event loop) → `bodies` (large bodies, synced, on a few threads) → `rows` (what
is written) → `writer` (group commit under `turnstile`, on one thread) → `operations`, `administration` (statements of
`sql/spool.sql`). Looking goes through `reader`. `database` makes, checks and migrates the file; `slots` tells the
living from the dead; `room` watches the disk.
"""
