-- Times are whole microseconds since 1970, UTC.

CREATE TABLE message (
    id           INTEGER PRIMARY KEY,
    queue_id     TEXT NOT NULL UNIQUE,
    accepted_at  INTEGER NOT NULL,
    size         INTEGER NOT NULL,          -- octets of the body
    reverse_path TEXT NOT NULL,             -- '' is the null reverse-path
    message_id   TEXT NOT NULL,
    snapshot     TEXT NOT NULL,
    trace        BLOB NOT NULL,
    envelope     TEXT NOT NULL,             -- JSON: envelope and client
    decision     TEXT NOT NULL,             -- JSON
    file         TEXT                       -- below bodies/; NULL: the body stands in table body
) STRICT;

CREATE UNIQUE INDEX message_file ON message (file) WHERE file IS NOT NULL;

-- Apart from message, so that listing a queue reads no bodies.
CREATE TABLE body (
    message      INTEGER PRIMARY KEY,
    data         BLOB NOT NULL
) STRICT;

-- The open recipients of one message for one next hop. A message may have two for one next hop (some of its recipients
-- were held and released on their own); at most one of them is leased at a time.
CREATE TABLE delivery (
    id           INTEGER PRIMARY KEY,
    message      INTEGER NOT NULL,
    next_hop     TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('queued', 'held')),
    due_at       INTEGER,                   -- leased: when the lease runs out; held: when it is given up, or NULL
    attempts     INTEGER NOT NULL,
    lease_owner  TEXT                       -- 'slot:instance'; NULL: not leased
) STRICT;

CREATE INDEX delivery_message ON delivery (message);
CREATE INDEX delivery_due ON delivery (next_hop, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE recipient (
    delivery     INTEGER NOT NULL,
    position     INTEGER NOT NULL,          -- in the decision's recipients
    address      TEXT NOT NULL,
    variant      INTEGER NOT NULL,          -- the decision's group
    last_reply   TEXT NOT NULL,
    PRIMARY KEY (delivery, position)
) STRICT, WITHOUT ROWID;

-- The bytes of a group's copy as edits, once an attempt has left something undelivered.
CREATE TABLE variant (
    message      INTEGER NOT NULL,
    variant      INTEGER NOT NULL,
    edits        BLOB NOT NULL,
    PRIMARY KEY (message, variant)
) STRICT;

CREATE TABLE once_key (
    key          TEXT PRIMARY KEY,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX once_key_expires ON once_key (expires_at);
