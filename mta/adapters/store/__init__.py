"""The spool on SQLite: what comes in by the port `Spool` is rows, or body files, on disk when the call returns.

A call's way: `sqlite` (the port, on the event loop) → `bodies` (large bodies, synced, on a few threads) → `rows` (what
is written) → `writer` (group commit under `turnstile`, on one thread) → `operations`, `administration` (statements of
`sql/spool.sql`). Looking goes through `reader`. `database` makes, checks and migrates the file; `slots` tells the
living from the dead; `room` watches the disk. `keeper` opens and closes all of it: at once where the disk fails or the
files are others by now (`place`), and again after a look through it; `damage` sets aside what is broken, `recover`
brings back what `salvage` can read in it.

In the same database: Sent Items jobs (`sentitems`, `sent_*`), and what tracking keeps (`tracking`, `tracking_*`), where
the way is `tracking` (the port) → `tracking_operations` (what is taken), `tracking_work` (tasks, what is forgotten),
`tracking_conversations` (also the relay's, by `conversations`) → `tracking_reader`. Large contents are body files.
"""
