-- Tracking: conversations (a transaction is SQL's own word), records, tasks, monitored mailboxes.
-- `mark` is the table's name: by it a row is known on a page that stands alone (salvage.py).

CREATE TABLE conversation (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'conversation',
    organisation TEXT NOT NULL,
    module       TEXT NOT NULL,
    number       INTEGER NOT NULL,
    nonce        TEXT NOT NULL,
    merged_into  INTEGER,                   -- the one that goes on, never one that was itself merged
    created_at   INTEGER NOT NULL
) STRICT;

-- Two have one number only after a loss of data; the one with the lower id is what the number alone names.
CREATE UNIQUE INDEX conversation_name ON conversation (organisation, module, number, nonce);
CREATE INDEX conversation_merged ON conversation (merged_into) WHERE merged_into IS NOT NULL;

-- The last number that was given: none is given twice, whatever was deleted.
CREATE TABLE conversation_number (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'conversation_number',
    organisation TEXT NOT NULL,
    module       TEXT NOT NULL,
    last         INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX conversation_number_of ON conversation_number (organisation, module);

CREATE TABLE conversation_message (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'conversation_message',
    organisation TEXT NOT NULL,
    message_id   TEXT NOT NULL,
    conversation INTEGER NOT NULL,
    is_seen      INTEGER NOT NULL           -- 0: only named by one that was
) STRICT;

CREATE UNIQUE INDEX conversation_message_id ON conversation_message (organisation, message_id);
CREATE INDEX conversation_message_of ON conversation_message (conversation);

CREATE TABLE participant (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'participant',
    conversation INTEGER NOT NULL,
    address      TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX participant_of ON participant (conversation, address);

CREATE TABLE tracked_entry (
    id           INTEGER PRIMARY KEY,       -- rising: in the order of taking
    mark         TEXT NOT NULL DEFAULT 'tracked_entry',
    organisation TEXT NOT NULL,
    key          TEXT NOT NULL,
    mailbox      TEXT NOT NULL,
    message_id   TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    at           INTEGER NOT NULL,
    sender       TEXT NOT NULL,
    direction    TEXT NOT NULL,
    conversation INTEGER
) STRICT;

CREATE UNIQUE INDEX tracked_entry_key ON tracked_entry (organisation, key);
CREATE INDEX tracked_entry_message_id ON tracked_entry (organisation, message_id) WHERE message_id <> '';
CREATE INDEX tracked_entry_of ON tracked_entry (conversation) WHERE conversation IS NOT NULL;
CREATE INDEX tracked_entry_state ON tracked_entry (state);
CREATE INDEX tracked_entry_loose ON tracked_entry (at) WHERE conversation IS NULL;

-- Bounces, of whatever Message-ID: one may come before the message that it is about was fetched.
CREATE TABLE tracked_bounce (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'tracked_bounce',
    organisation TEXT NOT NULL,
    message_id   TEXT NOT NULL,
    status       TEXT NOT NULL,
    at           INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX tracked_bounce_of ON tracked_bounce (organisation, message_id);
CREATE INDEX tracked_bounce_at ON tracked_bounce (at);

-- Name and number are those of its conversation.
CREATE TABLE record (
    id           INTEGER PRIMARY KEY,       -- rising: in the order of making
    mark         TEXT NOT NULL DEFAULT 'record',
    conversation INTEGER NOT NULL UNIQUE,
    organisation TEXT NOT NULL,
    module       TEXT NOT NULL,
    number       INTEGER NOT NULL,
    state        TEXT NOT NULL,
    title        TEXT NOT NULL,
    requester    TEXT NOT NULL,
    owner        TEXT NOT NULL,
    source       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    closed_at    INTEGER,
    fields       TEXT NOT NULL,             -- JSON
    notes        INTEGER NOT NULL,          -- how many there are
    is_deleted   INTEGER NOT NULL,
    version      INTEGER NOT NULL,          -- rises with what anybody but a time-triggered rule changes
    touched_at   INTEGER NOT NULL           -- when it rose last
) STRICT;

CREATE INDEX record_state ON record (organisation, module, state, created_at) WHERE is_deleted = 0;
CREATE INDEX record_touched ON record (organisation, module, state, touched_at) WHERE is_deleted = 0;
CREATE INDEX record_requester ON record (requester COLLATE NOCASE);
CREATE INDEX record_number ON record (number);

-- Which time-triggered rules were carried out, and for which version.
CREATE TABLE record_rule (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'record_rule',
    conversation INTEGER NOT NULL,
    rule         TEXT NOT NULL,
    version      INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX record_rule_of ON record_rule (conversation, rule);

CREATE TABLE note (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'note',
    conversation INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    author       TEXT NOT NULL,
    author_name  TEXT NOT NULL,
    kind         TEXT NOT NULL,
    text         TEXT NOT NULL,
    at           INTEGER NOT NULL,
    message_id   TEXT NOT NULL,
    is_public    INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX note_of ON note (conversation, number);

-- Contents of attachments and tasks, once each, as long as one of them refers to it.
CREATE TABLE octets (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'octets',
    sha256       TEXT NOT NULL UNIQUE,
    size         INTEGER NOT NULL,
    file         TEXT,                      -- below bodies/; NULL: they stand in data
    data         BLOB
) STRICT;

CREATE UNIQUE INDEX octets_file ON octets (file) WHERE file IS NOT NULL;

CREATE TABLE attachment (
    id           INTEGER PRIMARY KEY,       -- rising: in their order
    mark         TEXT NOT NULL DEFAULT 'attachment',
    note         INTEGER NOT NULL,
    name         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    octets       INTEGER NOT NULL
) STRICT;

CREATE INDEX attachment_of ON attachment (note);
CREATE INDEX attachment_octets ON attachment (octets);

CREATE TABLE task (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    mark         TEXT NOT NULL DEFAULT 'task',
    key          TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL,
    organisation TEXT NOT NULL,
    target       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'dead')),
    created_at   INTEGER NOT NULL,
    begun_at     INTEGER NOT NULL,
    due_at       INTEGER,                   -- NULL: it has ended
    ended_at     INTEGER,
    attempts     INTEGER NOT NULL DEFAULT 0,
    reason       TEXT NOT NULL DEFAULT '',
    detail       TEXT NOT NULL DEFAULT '',
    recipients   TEXT NOT NULL,             -- JSON
    conversation INTEGER,                   -- NULL: it is in no line
    octets       INTEGER,                   -- the payload; NULL: it is done
    is_first     INTEGER NOT NULL DEFAULT 0 -- of the waiting ones in its line: same kind, target and conversation
) STRICT;

CREATE INDEX task_due ON task (kind, organisation, target, due_at) WHERE is_first = 1;
CREATE INDEX task_line ON task (conversation, kind, organisation, target, number) WHERE due_at IS NOT NULL;
CREATE INDEX task_state ON task (state, kind);
CREATE INDEX task_of ON task (conversation) WHERE conversation IS NOT NULL;
CREATE INDEX task_ended ON task (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX task_octets ON task (octets) WHERE octets IS NOT NULL;

-- By minutes, so that a flood from one address stays a few rows.
CREATE TABLE counted_message (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'counted_message',
    organisation TEXT NOT NULL,
    address      TEXT NOT NULL,
    minute       INTEGER NOT NULL,          -- its first microsecond
    messages     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX counted_message_of ON counted_message (organisation, address, minute);
CREATE INDEX counted_message_minute ON counted_message (minute);

CREATE TABLE monitored_mailbox (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'monitored_mailbox',
    name         TEXT NOT NULL UNIQUE,
    paused_at    INTEGER,
    paused_by    TEXT NOT NULL DEFAULT '',
    failures     INTEGER NOT NULL DEFAULT 0,
    trouble      INTEGER,                   -- conversation
    polled_at    INTEGER,
    answered_at  INTEGER,
    reason       TEXT NOT NULL DEFAULT '',
    detail       TEXT NOT NULL DEFAULT '',
    taken        INTEGER NOT NULL DEFAULT 0,
    set_aside    INTEGER NOT NULL DEFAULT 0,
    resume_at    INTEGER
) STRICT;

-- Attempts at messages that were begun and not ended.
CREATE TABLE message_attempt (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'message_attempt',
    mailbox      TEXT NOT NULL,
    ref          TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    at           INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX message_attempt_of ON message_attempt (mailbox, ref);

-- What is done once for each key, or once in a while (then its last time counts).
CREATE TABLE tracking_run (
    id           INTEGER PRIMARY KEY,
    mark         TEXT NOT NULL DEFAULT 'tracking_run',
    name         TEXT NOT NULL UNIQUE,
    at           INTEGER NOT NULL,
    is_once      INTEGER NOT NULL
) STRICT;

CREATE TRIGGER note_gone AFTER DELETE ON note
BEGIN
    DELETE FROM attachment WHERE note = OLD.id;
END;

CREATE TRIGGER attachment_gone AFTER DELETE ON attachment
WHEN NOT EXISTS (SELECT 1 FROM attachment WHERE octets = OLD.octets)
 AND NOT EXISTS (SELECT 1 FROM task WHERE octets = OLD.octets)
BEGIN
    DELETE FROM octets WHERE id = OLD.octets;
END;

CREATE TRIGGER task_let_go AFTER UPDATE OF octets ON task
WHEN OLD.octets IS NOT NULL AND NEW.octets IS NULL
 AND NOT EXISTS (SELECT 1 FROM attachment WHERE octets = OLD.octets)
 AND NOT EXISTS (SELECT 1 FROM task WHERE octets = OLD.octets)
BEGIN
    DELETE FROM octets WHERE id = OLD.octets;
END;

CREATE TRIGGER task_gone AFTER DELETE ON task
WHEN OLD.octets IS NOT NULL
 AND NOT EXISTS (SELECT 1 FROM attachment WHERE octets = OLD.octets)
 AND NOT EXISTS (SELECT 1 FROM task WHERE octets = OLD.octets)
BEGIN
    DELETE FROM octets WHERE id = OLD.octets;
END;

-- The first of a line is the only one of it that may be due: so what waits behind a target that is down, costs nothing.
CREATE TRIGGER task_made AFTER INSERT ON task
WHEN NEW.due_at IS NOT NULL
BEGIN
    UPDATE task SET is_first = 1 WHERE number = NEW.number AND NOT EXISTS (
        SELECT 1 FROM task AS ahead
        WHERE ahead.conversation = NEW.conversation AND ahead.kind = NEW.kind
          AND ahead.organisation = NEW.organisation AND ahead.target = NEW.target
          AND ahead.due_at IS NOT NULL AND ahead.number < NEW.number);
END;

CREATE TRIGGER task_ended AFTER UPDATE OF due_at ON task
WHEN OLD.due_at IS NOT NULL AND NEW.due_at IS NULL
BEGIN
    UPDATE task SET is_first = 0 WHERE number = NEW.number;
    UPDATE task SET is_first = 1 WHERE number = (
        SELECT min(number) FROM task AS next
        WHERE next.conversation = NEW.conversation AND next.kind = NEW.kind
          AND next.organisation = NEW.organisation AND next.target = NEW.target AND next.due_at IS NOT NULL);
END;
