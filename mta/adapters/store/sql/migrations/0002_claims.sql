-- Claims: a key may be held as often as its limit says, each time under another number from 0.
DROP TABLE once_key;

CREATE TABLE claim (
    key          TEXT NOT NULL,
    number       INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (key, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX claim_expires ON claim (expires_at);
