-- Times are whole microseconds since 1970, UTC.

-- Small rows, so that a long queue is listed fast.
CREATE TABLE message (
    id           INTEGER PRIMARY KEY,       -- given by the process, unique by its slot, rising
    queue_id     TEXT NOT NULL UNIQUE,
    accepted_at  INTEGER NOT NULL,
    size         INTEGER NOT NULL,          -- octets of the body
    reverse_path TEXT NOT NULL,             -- '' is the null reverse-path
    message_id   TEXT NOT NULL,
    file         TEXT                       -- the body, below bodies/; NULL: it stands in content.data
) STRICT;

CREATE UNIQUE INDEX message_file ON message (file) WHERE file IS NOT NULL;

CREATE TABLE content (
    message      INTEGER PRIMARY KEY,
    snapshot     TEXT NOT NULL,
    trace        BLOB NOT NULL,
    envelope     TEXT NOT NULL,             -- JSON: envelope and client
    decision     TEXT NOT NULL,             -- JSON
    data         BLOB                       -- the body, where it is no file
) STRICT;

-- The open recipients of one message for one next hop. A message may have two for one next hop (some of its recipients
-- were held and released on their own); at most one of them is leased at a time.
CREATE TABLE delivery (
    message      INTEGER NOT NULL,
    part         INTEGER NOT NULL,
    next_hop     TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('queued', 'held')),
    due_at       INTEGER,                   -- leased: when the lease runs out; held: when it is given up, or NULL
    attempts     INTEGER NOT NULL,
    lease_owner  TEXT,                      -- 'slot:instance'; NULL: not leased
    recipients   TEXT NOT NULL,             -- JSON: [[position in the decision, address, variant, last reply], ...]
    PRIMARY KEY (message, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_due ON delivery (next_hop, due_at) WHERE due_at IS NOT NULL;

-- The bytes of one variant's copy as edits, once an attempt has left something undelivered.
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

-- A message goes with its last delivery, and everything of it goes with the message.
CREATE TRIGGER delivery_gone AFTER DELETE ON delivery
WHEN NOT EXISTS (SELECT 1 FROM delivery WHERE message = OLD.message)
BEGIN
    DELETE FROM content WHERE message = OLD.message;
    DELETE FROM variant WHERE message = OLD.message;
    DELETE FROM message WHERE id = OLD.message;
END;
