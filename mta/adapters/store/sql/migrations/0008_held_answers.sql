-- Answers that came before what they answer, whole, until that comes or some days are over. After a loss of data they
-- are known as unmatched, and not looked at again.

CREATE TABLE held_answer (
    id           INTEGER PRIMARY KEY,
    organisation TEXT NOT NULL,
    key          TEXT NOT NULL,             -- of its entry
    mailbox      TEXT NOT NULL,
    is_ours      INTEGER NOT NULL,          -- sent by one of ours: what others have named counts, too
    at           INTEGER NOT NULL,
    file         TEXT,                      -- below bodies/; NULL: it stands in data
    data         BLOB,
    is_due       INTEGER NOT NULL           -- what it waits for has come
) STRICT;

CREATE UNIQUE INDEX held_answer_key ON held_answer (organisation, key);
CREATE UNIQUE INDEX held_answer_file ON held_answer (file) WHERE file IS NOT NULL;
CREATE INDEX held_answer_at ON held_answer (at);
CREATE INDEX held_answer_due ON held_answer (organisation, id) WHERE is_due = 1;

-- The Message-IDs that it waits for.
CREATE TABLE awaited_message (
    id           INTEGER PRIMARY KEY,
    answer       INTEGER NOT NULL,
    organisation TEXT NOT NULL,
    message_id   TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX awaited_message_id ON awaited_message (organisation, message_id, answer);
CREATE INDEX awaited_message_of ON awaited_message (answer);

CREATE TRIGGER held_answer_gone AFTER DELETE ON held_answer
BEGIN
    DELETE FROM awaited_message WHERE answer = OLD.id;
END;

-- Whoever makes a message known, relay or tracking, makes its answers due in the same transaction.
CREATE TRIGGER message_named AFTER INSERT ON conversation_message
BEGIN
    UPDATE held_answer SET is_due = 1
    WHERE (is_ours OR NEW.is_seen) AND id IN (
        SELECT answer FROM awaited_message
        WHERE organisation = NEW.organisation AND message_id = NEW.message_id);
END;

CREATE TRIGGER message_seen AFTER UPDATE OF is_seen ON conversation_message
WHEN NEW.is_seen > OLD.is_seen
BEGIN
    UPDATE held_answer SET is_due = 1 WHERE id IN (
        SELECT answer FROM awaited_message
        WHERE organisation = NEW.organisation AND message_id = NEW.message_id);
END;
