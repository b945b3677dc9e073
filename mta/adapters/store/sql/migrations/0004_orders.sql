-- What administrators have ordered until they order otherwise.

-- Next hops that every worker leaves alone until an administrator thaws them.
CREATE TABLE frozen (
    next_hop     TEXT PRIMARY KEY,          -- with all that is queued behind that name
    since        INTEGER NOT NULL,
    by_whom      TEXT NOT NULL,
    reason       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row while the node takes no mail.
CREATE TABLE draining (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    since        INTEGER NOT NULL,
    by_whom      TEXT NOT NULL,
    reason       TEXT NOT NULL
) STRICT;
