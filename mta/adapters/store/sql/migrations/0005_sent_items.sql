-- Sent Items: jobs that put into a sender's mailbox what was really sent.

-- Whether rules have changed the copy's content.
ALTER TABLE variant ADD COLUMN is_changed INTEGER NOT NULL DEFAULT 0;

CREATE TABLE sent_job (
    number       INTEGER PRIMARY KEY,       -- rising: in the order of making
    id           TEXT NOT NULL UNIQUE,      -- of mailbox, Message-ID and Date, see mta.model.sentitem
    mailbox      TEXT NOT NULL,             -- address key
    organisation TEXT NOT NULL,
    message_id   TEXT NOT NULL,
    date         INTEGER,                   -- NULL: it can't be read
    is_id_ours   INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'skipped', 'given-up')),
    created_at   INTEGER NOT NULL,
    due_at       INTEGER,                   -- leased: when the lease runs out; NULL: it has ended
    ended_at     INTEGER,
    attempts     INTEGER NOT NULL DEFAULT 0,
    reason       TEXT NOT NULL DEFAULT '',
    detail       TEXT NOT NULL DEFAULT '',
    endpoint     TEXT NOT NULL DEFAULT '',
    placed       TEXT NOT NULL DEFAULT '',  -- keys of copies, separated by spaces
    lease_owner  TEXT                       -- 'slot:instance'; NULL: not leased
) STRICT;

CREATE INDEX sent_job_due ON sent_job (mailbox, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX sent_job_leased ON sent_job (mailbox, due_at) WHERE lease_owner IS NOT NULL;
CREATE INDEX sent_job_ended ON sent_job (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE sent_copy (
    job          INTEGER NOT NULL,
    queue_id     TEXT NOT NULL,
    variant      INTEGER NOT NULL,
    message      INTEGER,                   -- whose bytes the job needs; NULL: it needs them no more
    sent_at      INTEGER NOT NULL,
    external     INTEGER NOT NULL,
    recipients   INTEGER NOT NULL,
    PRIMARY KEY (job, queue_id, variant)
) STRICT, WITHOUT ROWID;

CREATE INDEX sent_copy_message ON sent_copy (message) WHERE message IS NOT NULL;

-- One row for each mailbox that has or had jobs: what is remembered of it, and when its turn is. So that looking for
-- what is due costs a step for each due mailbox, however many jobs it has, and nothing for those that are not due, or on
-- an endpoint that is left alone.
CREATE TABLE sent_mailbox (
    mailbox      TEXT PRIMARY KEY,
    due_at       INTEGER,                   -- of its first waiting job, not before resume_at; NULL: none waits
    primary_name TEXT NOT NULL DEFAULT '',
    endpoint     TEXT NOT NULL DEFAULT '',
    resolved_at  INTEGER,
    missing      INTEGER NOT NULL DEFAULT 0,
    seldom_until INTEGER,                   -- it keeps no sent items: each message is looked for once only
    absent_until INTEGER,
    denied_since INTEGER,
    resume_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX sent_mailbox_due ON sent_mailbox (endpoint, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE sent_endpoint (
    name         TEXT PRIMARY KEY,
    resume_at    INTEGER,
    is_stopped   INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    detail       TEXT NOT NULL,
    failures     INTEGER NOT NULL,
    connections  INTEGER,
    settings     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row while the switch is not on.
CREATE TABLE sent_switch (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    position     TEXT NOT NULL CHECK (position IN ('paused', 'off')),
    since        INTEGER NOT NULL,
    by_whom      TEXT NOT NULL
) STRICT;

-- A message goes with the last that needs it: its last delivery or the last copy of a job.
DROP TRIGGER delivery_gone;

CREATE TRIGGER delivery_gone AFTER DELETE ON delivery
WHEN NOT EXISTS (SELECT 1 FROM delivery WHERE message = OLD.message)
 AND NOT EXISTS (SELECT 1 FROM sent_copy WHERE message = OLD.message)
BEGIN
    DELETE FROM content WHERE message = OLD.message;
    DELETE FROM variant WHERE message = OLD.message;
    DELETE FROM message WHERE id = OLD.message;
END;

CREATE TRIGGER sent_copy_let_go AFTER UPDATE OF message ON sent_copy
WHEN OLD.message IS NOT NULL AND NEW.message IS NULL
 AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = OLD.message)
 AND NOT EXISTS (SELECT 1 FROM sent_copy WHERE message = OLD.message)
BEGIN
    DELETE FROM content WHERE message = OLD.message;
    DELETE FROM variant WHERE message = OLD.message;
    DELETE FROM message WHERE id = OLD.message;
END;

CREATE TRIGGER sent_copy_gone AFTER DELETE ON sent_copy
WHEN OLD.message IS NOT NULL
 AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = OLD.message)
 AND NOT EXISTS (SELECT 1 FROM sent_copy WHERE message = OLD.message)
BEGIN
    DELETE FROM content WHERE message = OLD.message;
    DELETE FROM variant WHERE message = OLD.message;
    DELETE FROM message WHERE id = OLD.message;
END;

-- What has ended well needs no bytes any more.
CREATE TRIGGER sent_job_ended AFTER UPDATE OF state ON sent_job
WHEN NEW.state IN ('done', 'skipped')
BEGIN
    UPDATE sent_copy SET message = NULL WHERE job = NEW.number AND message IS NOT NULL;
END;

CREATE TRIGGER sent_job_forgotten AFTER DELETE ON sent_job
BEGIN
    DELETE FROM sent_copy WHERE job = OLD.number;
END;

-- Jobs begin when they are made, and a mailbox's turn comes with its first.
CREATE TRIGGER sent_job_made AFTER INSERT ON sent_job
BEGIN
    INSERT INTO sent_mailbox (mailbox, due_at) VALUES (NEW.mailbox, NEW.due_at)
    ON CONFLICT DO UPDATE
    SET due_at = max(min(coalesce(due_at, NEW.due_at), NEW.due_at), coalesce(resume_at, 0)) WHERE NEW.due_at IS NOT NULL;
END;

CREATE TRIGGER sent_job_moved AFTER UPDATE OF due_at ON sent_job
BEGIN
    UPDATE sent_mailbox
    SET due_at = max(coalesce(resume_at, 0), (SELECT job.due_at FROM sent_job AS job
                     WHERE job.mailbox = NEW.mailbox AND job.due_at IS NOT NULL ORDER BY job.due_at LIMIT 1))
    WHERE mailbox = NEW.mailbox;
END;

CREATE TRIGGER sent_mailbox_left_alone AFTER UPDATE OF resume_at ON sent_mailbox
WHEN OLD.resume_at IS NOT NEW.resume_at
BEGIN
    UPDATE sent_mailbox
    SET due_at = max(coalesce(NEW.resume_at, 0), (SELECT job.due_at FROM sent_job AS job
                     WHERE job.mailbox = NEW.mailbox AND job.due_at IS NOT NULL ORDER BY job.due_at LIMIT 1))
    WHERE mailbox = NEW.mailbox;
END;
